"""What every operator does to the labels of channels."""

from swarmopt_pruning.rules import elementwise, layers, movement
from swarmopt_pruning.rules.table import RULES, labels_after

__all__ = ["RULES", "elementwise", "labels_after", "layers", "movement"]
