"""Antennas: an example of a plugin for swarmopt, with a problem, an algorithm and an observer."""
