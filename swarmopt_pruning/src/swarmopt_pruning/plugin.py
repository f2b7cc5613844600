"""What the plugin registers. Does not import torch."""

from swarmopt.plugins import Registration, hookimpl


@hookimpl
def swarmopt_register_problems() -> list[Registration]:
    """Return the problem of pruning channels."""
    return [
        Registration(
            "channel-prune",
            "swarmopt_pruning.problem:ChannelPruning",
            "How many channels each layer of a CNN keeps; writes the smaller network.",
        )
    ]
