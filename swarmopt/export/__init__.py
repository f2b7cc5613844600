"""Runs and comparisons for other programs: CSV, and the format of IOHprofiler."""
