"""The command line when something is wrong: one message that names it, and the exit code."""

from pathlib import Path

import pytest
from typed import MODULE, output, place

from swarmopt import record


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder with a module of the user's own."""
    place(tmp_path, monkeypatch)
    return tmp_path


def test_a_wrong_value_of_the_environment_names_its_variable(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SWARMOPT_BUDGET", "abc")
    _, err = output(capsys, "run", "--problem", "sphere", code=2)
    assert "the environment variable SWARMOPT_BUDGET: 'abc' is not a valid integer" in err
    assert "for '--budget': 'x'" in output(capsys, "run", "--budget", "x", code=2)[1]


def test_a_variable_that_nothing_reads_is_warned_of_once_by_what_reads_any(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SWARMOPT_BUDGTE", "SWARMOPT_XYZ", "SWARMOPT_SEED", "SWARMOPT_DATA"):
        monkeypatch.setenv(name, "3")
    _, err = output(capsys, "run", "--problem", "sphere", "--dry-run")
    near, far = err.splitlines()
    assert near.startswith("warning: the environment variable SWARMOPT_BUDGTE has no effect")
    assert near.endswith("did you mean SWARMOPT_BUDGET?")
    assert "SWARMOPT_XYZ has no effect" in far
    assert "known: SWARMOPT_ALGORITHM, SWARMOPT_BUDGET," in far
    _, err = output(capsys, "compare", "--problem", "sphere", "--budget", "0", code=2)
    assert err.splitlines()[:2] == [near, far]  # SWARMOPT_SEED is for `run`
    assert output(capsys, "list")[1] == ""


WRONG = [
    (["--problem", "rastrign"], "did you mean 'rastrigin'?"),
    (["--problem", "rastrgin", "--config", "space.toml"], "did you mean 'rastrigin'?"),
    (["--problem", "mine.loss", "--config", "space.toml"], "did you mean 'mine:loss'?"),
    (["--problem", "mine/loss", "--config", "space.toml"], "unknown problem 'mine/loss'"),
    (["--problem", "sphere", "--algorithm", "psso"], "did you mean 'pso'"),
    (["--problem", "mine.objective"], "did you mean 'mine:objective'?\n"),
    (["--problem", "sphere", "--algorithm", "my.own.Swarm"], "did you mean 'my.own:Swarm'"),
    (["--problem", "sphere", "--set", "dimm=3"], "did you mean 'dim'?"),
    (["--problem", "sphere", "--set", "dim=three"], "dim = 'three'"),
    (["--problem", "sphere", "--set", "dim=2.5"], "dim = 2.5"),
    (["--problem", "sphere", "--set", "dim=0"], "dim"),
    (["--problem", "sphere", "--set", "dim"], "expected key=value"),
    (["--problem", "sphere", "--set", "algorithm.populatoin=3"], "did you mean 'population'?"),
    (["--problem", "sphere", "--set", "algorithm.population=0"], "population"),
    (["--problem", "sphere", "--set", "algorithm=3"], "give --algorithm NAME"),
    (["--problem", "sphere", "--budget", "0"], "budget: expected at least 1, got 0"),
    (["--problem", "sphere", "--budget", "x"], "'x' is not a valid integer"),
    (["--problem", "sphere", "--seed", "-1"], "seed: expected 0 <= seed"),
    (["--problem", "sphere", "--max-time", "nan"], "max_time: expected a number, got NaN"),
    (["--problem", "sphere", "--bugdet", "3"], "--budget"),
    (["--problem", "sphere", "--config", "space.toml"], "has a space of its own"),
    (["--problem", "nowhere:thing"], "the module 'nowhere' cannot be imported"),
    (["--problem", "mine:objectiv"], "did you mean 'objective'?"),
    (["--problem", "mine:objective"], "which needs a space: give --config"),
    (["--problem", "mine:number"], "expected a Problem, a factory or a function"),
    (["--problem", "mine:make_nothing"], "expected a swarmopt.Problem, got 2"),
    (["--problem", "mine:ready", "--set", "size=3"], "takes no --set size"),
    (["--problem", "mine:make", "--set", "sizee=3"], "did you mean 'size'?"),
    (["--problem", "mine:make", "--set", "scale=nan"], "expected a number, got NaN"),
    (["--problem", "sphere", "--algorithm", "mine:swarm", "--set", "algorithm.w=1"], "finished"),
    ([], "--problem is needed"),
    (["--config", "none.toml"], "none.toml cannot be read"),
    (["--config", "mine.py"], "mine.py is not valid TOML"),
    (["--problem", "sphere:dim=3"], "give --problem sphere --set dim=3"),
    (["--problem", "sphere:dim"], "--problem sphere:dim: dim: expected key=value"),
    (
        ["--problem", "sphere", "--algorithm", "pso:population=50:w=0.5"],
        "give --algorithm pso --set algorithm.population=50 --set algorithm.w=0.5",
    ),
]


@pytest.mark.parametrize(("arguments", "message"), WRONG)
def test_wrong_input_is_a_usage_error_that_names_it(
    arguments: list[str], message: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, err = output(capsys, "run", *arguments, code=2)
    assert message in err
    assert "Traceback" not in err
    assert not out
    assert not (folder / "runs").exists()


@pytest.mark.parametrize(
    ("parts", "message"),
    [("0", "ZeroDivisionError: integer division"), ("1", "JSONDecodeError: Expecting property")],
)
@pytest.mark.parametrize(
    "command", ["run", "compare --algorithms pso --seeds 1 --workers 0 --budget 9 --out c"]
)
def test_a_factory_that_raises_is_one_message_with_the_users_own_line(
    command: str, parts: str, message: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [*command.split(), "--problem", "mine:make_broken", "--set", f"parts={parts}"]
    _, err = output(capsys, *words, code=1)
    line = 1 + MODULE.splitlines().index('    return json.loads("{" * (1 // parts))')
    assert err.startswith(f"error: problem mine:make_broken cannot be made: it raised {message}")
    assert err.endswith(f"({folder / 'mine.py'}, line {line})\n")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    "command", ["run", "compare --algorithms pso --seeds 1 --workers 0 --budget 9 --out c"]
)
def test_a_problem_that_cannot_be_prepared_is_one_message_too(
    command: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, err = output(capsys, *command.split(), "--problem", "mine:Unready", code=1)
    line = 1 + MODULE.splitlines().index('        open("/nowhere/weights")')
    assert "unready cannot be prepared: it raised FileNotFoundError:" in err.replace("mine:U", "u")
    assert err.endswith(f"({folder / 'mine.py'}, line {line})\n")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("budgett = 3", "did you mean 'budget'?"),
        ('budget = "many"', "budget"),
        ("budget = ", "not valid TOML"),
        ("[space]\nx = 5", "space.x: expected a table"),
        ("[space]\nx = {low = 1, high = 2}", "the key 'type' is missing"),
        ('[space]\nx = {type = "reel", low = 1, high = 2}', "did you mean 'real'?"),
        ('[space]\nx = {type = "real", low = 2, high = 1}', "low is greater than high"),
        ('[space]\nx = {type = "real", low = 1}', "'high' is needed"),
        ('[space]\nx = {type = "real", low = 1, hihg = 2}', "did you mean 'high'"),
        ('[space]\nx = {type = "integer", low = 1.5, high = 2}', "low = 1.5"),
        ("[space]\n", "at least one variable"),
        (("[space]\nx = {type = 'real', low = 1, high = 2}\n"
         "x = {type = 'real', low = 1, high = 2}"), "not valid TOML"),
    ],
)  # fmt: skip
def test_a_wrong_file_is_named_with_its_key(
    text: str, message: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "wrong.toml").write_text(text)
    _, err = output(capsys, "run", "--problem", "mine:objective", "--config", "wrong.toml", code=2)
    assert message in err
    assert "Traceback" not in err


def test_a_module_that_exits_is_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "leaves.py").write_text("import sys\nsys.exit(0)\n")
    _, err = output(capsys, "run", "--problem", "leaves:fun", code=2)
    assert "SystemExit" in err


def test_an_existing_out_folder_is_refused_unless_overwritten(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ("run", "--problem", "sphere", "--budget", "30", "--out", "a")
    output(capsys, *arguments)
    before = (folder / "a" / "result.json").read_bytes()
    _, err = output(capsys, *arguments, code=1)
    assert "a exists already and is left as it is" in err
    assert (folder / "a" / "result.json").read_bytes() == before
    output(capsys, *arguments, "--overwrite")
    assert (folder / "a" / "result.json").read_bytes() != before


def test_an_infeasible_problem_exits_with_3(capsys: pytest.CaptureFixture[str]) -> None:
    out, _ = output(capsys, "run", "--problem", "mine:infeasible", "--config", "space.toml", code=3)
    assert "no feasible point" in out
    assert "violation 1" in out


def test_only_failures_exit_with_1_and_keep_the_record(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, err = output(capsys, "run", "--problem", "mine:nan", "--config", "space.toml",
                    "--out", "a", "--algorithm", "random-search", code=1)  # fmt: skip
    assert "none of the 20 points of the first batch has a finite cost" in err
    assert "the record of 20 evaluations is kept in a; mend the objective first" in err
    assert "swarmopt resume" not in err
    assert len(record.read(folder / "a").ids) == 20
