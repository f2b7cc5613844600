"""The command `swarmopt`. Commands are registered through the hooks and imported when called."""

import io
import logging
import os
import sys
import warnings
from collections.abc import Sequence
from difflib import get_close_matches

import click
from click.core import ParameterSource
from click.shell_completion import CompletionItem

from swarmopt import plugins
from swarmopt.cli.help import examples
from swarmopt.errors import PluginError, SettingError, SwarmoptError, UnknownNameError
from swarmopt.terminal import printable

PREFIX = "SWARMOPT_"  # of environment variables
READ_ELSEWHERE = {"SWARMOPT_DATA", "SWARMOPT_WORKER"}  # by swarmopt-pruning, by objectives
FAILED, USAGE, NOTHING_FEASIBLE, INTERRUPTED = 1, 2, 3, 130


class Commands(click.Group):
    """The registered commands; listing them imports none."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names of the commands."""
        return sorted(plugins.installed().entries["command"])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a command."""
        if cmd_name not in plugins.installed().entries["command"]:
            error = UnknownNameError("command", cmd_name, self.list_commands(ctx))
            raise click.UsageError(str(error), ctx)
        command = plugins.installed().get("command", cmd_name)
        if not isinstance(command, click.Command):
            raise PluginError(f"the command {cmd_name!r} is no click command: {command!r:.80}")
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that is named, and warn of variables that only seem to be for it."""
        name, command, rest = super().resolve_command(ctx, args)
        if command is not None and not ctx.resilient_parsing:  # a shell that completes wants none
            _warn_of_variables(command)
        return name, command, rest

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return the names of commands that begin so, and options; nothing is imported."""
        entries = plugins.installed().entries["command"]
        found = [
            CompletionItem(name, help=entries[name].registration.help)
            for name in self.list_commands(ctx)
            if name.startswith(incomplete)
        ]
        return [*found, *click.Command.shell_complete(self, ctx, incomplete)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands from their registrations."""
        entries = plugins.installed().entries["command"]
        with formatter.section("Commands"):
            formatter.write_dl(
                [(name, entries[name].registration.help) for name in self.list_commands(ctx)]
            )


@click.group(
    cls=Commands,
    epilog=examples("swarmopt run --problem rastrigin --budget 5000 --seed 1"),
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(package_name="swarmopt")
def swarmopt() -> None:
    """Optimise a black box, prune a network, compare optimizers.

    Results go to stdout, progress and errors to stderr. Exit codes: 0 done, 1 failed, 2 usage,
    3 no feasible finite point, 130 interrupted.
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line, and exit with its code."""
    sys.exit(call(arguments))


def call(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code; every expected error is one message."""
    _log_to_stderr()
    warnings.showwarning = _show_warning
    for name, reason in plugins.installed().skipped.items():
        click.echo(f"warning: the plugin {name} is skipped: {reason}", err=True)
    try:
        code = swarmopt.main(arguments, standalone_mode=False)
        sys.stdout.flush()
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.ClickException as error:
        _name_variable(error)
        error.show()
        return error.exit_code
    except SwarmoptError as error:
        click.echo(f"error: {printable(str(error))}", err=True)
        return USAGE if isinstance(error, SettingError) else FAILED
    except (KeyboardInterrupt, click.Abort):
        click.echo("interrupted", err=True)
        return INTERRUPTED
    except MemoryError as error:
        click.echo(f"error: out of memory: {error}", err=True)
        code = FAILED
    except OSError as error:
        if error.filename is not None:  # of a file, so not of what is printed
            raise
        sys.stdout = io.StringIO()  # Python flushes it at its end, which would fail again
        if not isinstance(error, BrokenPipeError):  # a reader who has seen enough
            why = error.strerror or error
            click.echo(f"error: the output cannot be written: {why}", err=True)
        code = FAILED
    return code if isinstance(code, int) else 0


def _name_variable(error: click.ClickException) -> None:
    """Let an error name the environment variable that a wrong value comes from, not the flag."""
    if not isinstance(error, click.BadParameter) or error.param is None or error.ctx is None:
        return
    name, variable = error.param.name, error.param.envvar
    if name and error.ctx.get_parameter_source(name) is ParameterSource.ENVIRONMENT:
        error.param_hint = f"the environment variable {variable}"


def _warn_of_variables(command: click.Command) -> None:
    """Warn of environment variables that are named like ours and read by nothing."""
    own = _variables_of(command)
    if not own or all(name in own for name in os.environ if name.startswith(PREFIX)):
        return
    known = own | READ_ELSEWHERE | _variables_of(plugins.installed().get("command", "run"))
    for name in sorted(os.environ):
        if not name.startswith(PREFIX) or name in known:
            continue
        ends = [each.removeprefix(PREFIX) for each in sorted(known)]
        near = get_close_matches(name.removeprefix(PREFIX), ends, n=1)
        cure = f"did you mean {PREFIX}{near[0]}?" if near else f"known: {', '.join(sorted(known))}"
        click.echo(
            f"warning: the environment variable {printable(name)} has no effect, as nothing reads "
            f"it; {cure}",
            err=True,
        )


def _variables_of(command: click.Command) -> set[str]:
    """Return the names of the environment variables that options of a command come from."""
    return {p.envvar for p in command.params if isinstance(p.envvar, str)}


def _log_to_stderr() -> None:
    """Show what the packages report while they work."""
    handler = logging.StreamHandler()
    handler.setFormatter(_Printable("%(message)s"))
    for package in plugins.installed().packages:
        log = logging.getLogger(package)
        log.handlers = [handler]
        log.setLevel(logging.INFO)


class _Printable(logging.Formatter):
    """Formats messages whose parts may come from a stranger's folder."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the message, safe to show."""
        return printable(super().format(record))


def _show_warning(message: Warning | str, *_: object, **__: object) -> None:
    """Show a warning to a user: what it says, not where in the code it was said."""
    click.echo(f"warning: {printable(str(message))}", err=True)
