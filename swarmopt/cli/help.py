"""What commands say of themselves: examples, and names that a shell completes."""

from collections.abc import Callable

import click
from click.shell_completion import CompletionItem

from swarmopt import plugins

Completer = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


def examples(*commands: str) -> str:
    """Return the end of a command's help: examples, one a line, as they are."""
    title = "Example:" if len(commands) == 1 else "Examples:"
    return "\n".join(["\b", title, *(f"  {command}" for command in commands)])


def names_of(*kinds: str) -> Completer:
    """Return what completes the registered names of these kinds; after a comma, the next name.

    Args:
        kinds: "problem", "algorithm", ...
    """

    def complete(
        ctx: click.Context,  # noqa: ARG001 - click's signature
        param: click.Parameter,  # noqa: ARG001 - click's signature
        incomplete: str,
    ) -> list[CompletionItem]:
        before, comma, last = incomplete.rpartition(",")
        entries = plugins.installed().entries
        return [
            CompletionItem(f"{before}{comma}{name}", help=entry.registration.help)
            for kind in kinds
            for name, entry in entries[kind].items()
            if name.startswith(last)
        ]

    return complete
