"""The command line in a shell: completion, examples in every help, plain output where asked for."""

import os
import pty
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import TextIO

import click
import pytest
from click.shell_completion import ShellComplete

from swarmopt import cli, plugins
from swarmopt.terminal import console

COMMANDS = sorted(plugins.installed().entries["command"])
OURS = sorted(n for n, e in plugins.installed().entries["command"].items() if e.owner == "swarmopt")
STYLE = re.compile(rb"\x1b\[[\d;]*m")  # what moves the cursor ends in other letters
COLOUR = re.compile(rb"\x1b\[[\d;]*(?:3[0-9]|4[0-9]|9[0-7]|10[0-7])[\d;]*m")


def help_of(name: str) -> str:
    command = plugins.installed().get("command", name)
    with click.Context(command, info_name=name) as ctx:
        return str(command.get_help(ctx))


@pytest.mark.parametrize(
    "name", [n if n in OURS else pytest.param(n, marks=pytest.mark.slow) for n in COMMANDS]
)
def test_every_help_has_an_example_that_the_command_takes(name: str) -> None:
    said = help_of(name)
    assert "Example" in said
    lines = re.findall(rf"swarmopt {name} .*", said[said.index("Example") :])
    assert lines
    command = plugins.installed().get("command", name)
    for line in lines:
        command.make_context(name, shlex.split(line)[2:])


def complete(*words: str) -> list[str]:
    shell = ShellComplete(cli.swarmopt, {}, "swarmopt", "_SWARMOPT_COMPLETE")
    *before, last = words
    return [item.value for item in shell.get_completions(before, last)]


def test_commands_options_and_names_are_completed() -> None:
    assert complete("re") == ["report", "resume"]
    assert "--budget" in complete("run", "--bud")
    assert complete("run", "--problem", "ra") == ["rastrigin"]
    assert complete("compare", "--algorithms", "ga,ps") == ["ga,pso"]
    assert complete("show", "knap") == ["knapsack"]


def test_a_shell_gets_what_it_asks_for() -> None:
    asked = {
        "_SWARMOPT_COMPLETE": "bash_complete",
        "COMP_WORDS": "swarmopt run --problem ra",
        "COMP_CWORD": "3",
    }
    code = "import sys; sys.argv[0] = 'swarmopt'; from swarmopt.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **asked}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == "plain,rastrigin\n"


def test_completing_a_command_imports_none() -> None:
    context = click.Context(cli.swarmopt, info_name="swarmopt")
    before = {name for name in sys.modules if name.startswith("swarmopt.cli.")}
    assert {item.value for item in cli.swarmopt.shell_complete(context, "")} >= set(COMMANDS)
    assert {name for name in sys.modules if name.startswith("swarmopt.cli.")} == before


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder where a run and a comparison are there."""
    place = tmp_path_factory.mktemp("shell")
    run = "run --problem sphere --set dim=2 --budget 60 --seed 1 --out a"
    compare = (
        "compare --problem sphere --algorithms pso,ga --budget 60 --seeds 5 --workers 0 --out b"
    )
    for command in (run, compare):
        subprocess.run([sys.executable, "-m", "swarmopt", *command.split()], cwd=place, check=True)
    return place


ARGUMENTS = {
    "compare": "compare --problem sphere --algorithms pso,ga --budget 60 --seeds 5 --out b",
    "export": "export a",
    "list": "list",
    "plugins": "plugins",
    "report": "report a",
    "resume": "resume a",
    "run": "run --problem sphere --budget 60 --seed 1 --out a --overwrite",
    "show": "show pso",
}


def test_every_command_of_ours_is_tried() -> None:
    assert sorted(ARGUMENTS) == OURS


def told_without_output(name: str, cwd: Path, stdout: TextIO) -> tuple[int, str]:
    """Return the exit code and stderr of a command whose stdout takes nothing."""
    command = [sys.executable, "-m", "swarmopt", *ARGUMENTS[name].split()]
    buffered = {key: v for key, v in os.environ.items() if key != "PYTHONUNBUFFERED"}
    done = subprocess.run(
        command, cwd=cwd, stdout=stdout, stderr=subprocess.PIPE, text=True, check=False,
        env=buffered,
    )  # fmt: skip
    return done.returncode, done.stderr


@pytest.mark.slow
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a disk that is always full")
@pytest.mark.parametrize("name", ["list", "export"])  # one writes by click, one by itself
def test_a_full_stdout_is_one_message(name: str, folder: Path) -> None:
    with Path("/dev/full").open("w") as full:
        code, told = told_without_output(name, folder, full)
    assert told == "error: the output cannot be written: No space left on device\n"
    assert code == 1


@pytest.mark.slow
@pytest.mark.parametrize("name", ["list", "export"])
def test_a_reader_who_has_seen_enough_gets_no_word(name: str, folder: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as gone:
        assert told_without_output(name, folder, gone) == (1, "")


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(ARGUMENTS))
def test_without_a_terminal_there_is_text_only(name: str, folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "swarmopt", *ARGUMENTS[name].split()],
        cwd=folder, capture_output=True, check=True,
    )  # fmt: skip
    assert b"\x1b" not in done.stdout + done.stderr


def in_terminal(command: list[str], cwd: Path, **environment: str) -> bytes:
    """Return what a command writes where stdout and stderr are a terminal."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        command, cwd=cwd, stdin=theirs, stdout=theirs, stderr=theirs,
        env={**os.environ, "TERM": "xterm-256color", **environment},
    )  # fmt: skip
    os.close(theirs)
    written = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # the other end is closed
            break
        if not part:
            break
        written += part
    assert process.wait(60) == 0
    os.close(ours)
    return written


@pytest.mark.slow
@pytest.mark.parametrize("wish", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
@pytest.mark.parametrize("name", ["run", "compare"])  # the others write by click.echo alone
def test_a_terminal_that_wants_no_styles_gets_none(
    name: str, wish: dict[str, str], folder: Path
) -> None:
    command = [sys.executable, "-m", "swarmopt", *ARGUMENTS[name].split()]
    assert not STYLE.search(in_terminal(command, folder, **wish))


@pytest.mark.parametrize(
    ("wish", "styled"),
    [({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False), ({"NO_COLOR": ""}, True)],
)
def test_who_wants_no_styles_gets_no_bold_either(
    wish: dict[str, str], styled: bool, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.delenv("NO_COLOR", raising=False)
    for name, value in {"FORCE_COLOR": "1", "TERM": "xterm-256color", **wish}.items():
        monkeypatch.setenv(name, value)
    for stderr in (False, True):
        console(stderr=stderr).print("[bold]best[/bold] [red]cost[/red]")
    out, err = capsys.readouterr()
    assert out == err
    assert ("\x1b[" in out) is styled


@pytest.mark.parametrize(("kind", "moves"), [("dumb", False), ("xterm-256color", True)])
def test_a_terminal_that_cannot_move_its_cursor_gets_lines_and_no_bar(
    kind: str, moves: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # a terminal, whatever the tests write to
    monkeypatch.setenv("TERM", kind)
    assert console(stderr=True).is_terminal is moves  # what all displays ask


@pytest.mark.slow
def test_a_terminal_without_it_may_get_colour(folder: Path) -> None:
    command = [sys.executable, "-m", "swarmopt", *ARGUMENTS["run"].split()]
    assert COLOUR.search(in_terminal(command, folder))
