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


@hookimpl
def swarmopt_register_commands() -> list[Registration]:
    """Return the commands that look at a network, and at how fast it is scored."""
    return [
        Registration(
            "prune-inspect",
            "swarmopt_pruning.command:inspect",
            "Tell which channels of a network can be pruned, which are tied or frozen, and why.",
        ),
        Registration(
            "prune-tune",
            "swarmopt_pruning.tune_command:tune_command",
            "Measure which settings score candidates fastest on this machine.",
        ),
    ]
