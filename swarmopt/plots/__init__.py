"""Pictures of runs and comparisons: functions from numbers to a figure, and figures as files."""
