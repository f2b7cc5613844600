"""The built-in problems: known optima, none of them at a special point of its box.

Registered by name in `swarmopt.builtins`; each class is also imported from its own module, say
`from swarmopt.problems.analytic import Rastrigin`. The keyword arguments of a class are its
settings, on the command line `--set dim=20`.
"""
