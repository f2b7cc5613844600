"""The command line, as a user types it."""

import json
import os
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest

from swarmopt import record
from swarmopt.cli import call

MODULE = """
import json
import math
from swarmopt import FunctionProblem, Real, Space, algorithms

def objective(p):
    return (p["lr"] - 0.01) ** 2 + abs(p["depth"] - 7) + (p["act"] != "tanh")

def rows(x):
    return ((x - 1) ** 2).sum(axis=1)

def nan(p):
    return math.nan

def infeasible(p):
    return 1.0, 1.0

def make(*, size: int = 2, scale: float = 1.0) -> FunctionProblem:
    space = Space([Real(-1, 1)] * size)
    return FunctionProblem(lambda x: scale * float((x ** 2).sum()), space, name="made")

def make_broken(*, parts: int = 0):
    return json.loads("{" * (1 // parts))

class Unready(FunctionProblem):
    def __init__(self) -> None:
        super().__init__(lambda x: 0.0, Space([Real(0, 1)]), name="unready")

    def prepare(self):
        open("/nowhere/weights")

def make_nothing(*, size: int = 2):
    return size

ready = make(size=4)
swarm = algorithms.PSO(population=13)
number = 5

def slow(p):
    import time
    time.sleep(0.05)
    return p["lr"]
"""
SPACE = """
budget = 90

[space]
lr = {type = "real", low = 1e-4, high = 1.0, log = true}
depth = {type = "integer", low = 1, high = 10}
act = {type = "categorical", choices = ["relu", "tanh"]}
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder with a module of the user's own."""
    (tmp_path / "mine.py").write_text(MODULE)
    (tmp_path / "space.toml").write_text(SPACE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "mine", raising=False)
    for name in [n for n in os.environ if n.startswith("SWARMOPT_")]:
        monkeypatch.delenv(name)
    return tmp_path


def output(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> tuple[str, str]:
    """Run the command, check its exit code, and return what it printed."""
    assert call(arguments) == code, capsys.readouterr()
    captured = capsys.readouterr()
    return captured.out, captured.err


def test_a_run_leaves_a_folder_and_says_where(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, err = output(
        capsys, "run", "--problem", "rastrigin", "--set", "dim=20", "--algorithm", "pso",
        "--budget", "500", "--seed", "3",
    )  # fmt: skip
    path = folder / "runs" / "rastrigin-pso-1"
    assert "run folder: runs/rastrigin-pso-1" in out
    assert "500/500 evaluations" in err
    assert {p.name for p in path.iterdir()} == {
        "run.toml", "journal.sqlite", "result.json", "convergence.png",
    }  # fmt: skip
    assert record.read(path).x.shape == (500, 20)
    result = json.loads((path / "result.json").read_text())
    assert (result["nfev"], result["seed"], result["algorithm"]) == (500, 3, "pso")
    assert f"{result['fun']:.10g}" in out
    assert (path / "convergence.png").read_bytes().startswith(b"\x89PNG")


def test_the_next_run_takes_the_next_free_folder(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):
        output(capsys, "run", "--problem", "sphere", "--budget", "30")
    assert sorted(p.name for p in (folder / "runs").iterdir()) == ["sphere-ssa-1", "sphere-ssa-2"]


def test_a_run_toml_repeats_its_run(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output(capsys, "run", "--problem", "ackley", "--set", "dim=3", "--algorithm", "ga", "--budget",
           "150", "--set", "algorithm.population=24", "--out", "a")  # fmt: skip
    output(capsys, "run", "--config", "a/run.toml", "--out", "b")
    first, second = (json.loads((folder / n / "result.json").read_text()) for n in "ab")
    assert {**first, "seconds": 0} == {**second, "seconds": 0}
    settings = tomllib.loads((folder / "b" / "run.toml").read_text())
    assert settings["set"]["dim"] == 3
    assert settings["set"]["rotated"] is True  # defaults are written down too
    assert settings["set"]["algorithm"]["population"] == 24


def test_an_objective_of_the_users_own(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, _ = output(capsys, "run", "--problem", "mine:objective", "--config", "space.toml",
                    "--seed", "1", "--json")  # fmt: skip
    result = json.loads(out)
    assert result["nfev"] == 90
    assert set(result["params"]) == {"lr", "depth", "act"}
    assert result["problem"] == "objective"


def test_a_batch_objective_on_an_unnamed_space(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "rows.toml").write_text(
        'batch = true\nproblem = "mine:rows"\nbudget = 300\n'
        + '[[space]]\ntype = "real"\nlow = -5\nhigh = 5\n' * 3
    )
    out, _ = output(capsys, "run", "--config", "rows.toml", "--json", "--seed", "0")
    assert json.loads(out)["fun"] < 0.1


def test_factories_and_finished_problems_and_algorithms_of_the_users_own(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, size, extra in (("mine:make", 3, ["--set", "size=3"]), ("mine:ready", 4, [])):
        out, _ = output(capsys, "run", "--problem", name, *extra, "--budget", "26", "--json",
                        "--algorithm", "mine:swarm")  # fmt: skip
        result = json.loads(out)
        assert len(result["x"]) == size
        assert result["nit"] == 2
        assert result["problem"] == "made"


def test_settings_win_in_the_order_file_environment_flag_set(
    capsys: pytest.CaptureFixture[str], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "c.toml").write_text('problem = "sphere"\nbudget = 11\nseed = 1\n[set]\ndim = 2\n')

    def plan(*arguments: str) -> dict[str, object]:
        found: dict[str, object] = json.loads(
            output(capsys, "run", "--config", "c.toml", "--dry-run", "--json", *arguments)[0]
        )
        return found

    assert (plan()["budget"], plan()["seed"], plan()["variables"]) == (11, 1, 2)
    monkeypatch.setenv("SWARMOPT_BUDGET", "12")
    assert (plan()["budget"], plan()["seed"]) == (12, 1)
    assert plan("--budget", "13")["budget"] == 13
    assert plan("--set", "dim=5")["variables"] == 5


def test_a_wrong_value_of_the_environment_names_its_variable(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SWARMOPT_BUDGET", "abc")
    _, err = output(capsys, "run", "--problem", "sphere", code=2)
    assert "the environment variable SWARMOPT_BUDGET: 'abc' is not a valid integer" in err
    assert "for '--budget': 'x'" in output(capsys, "run", "--budget", "x", code=2)[1]


@pytest.mark.parametrize("error", [ImportError("no\nbackend"), OSError("no\nbackend")])
@pytest.mark.parametrize("flag", ["--overwrite", "--json"])
def test_a_picture_that_cannot_be_drawn_costs_no_result(
    error: Exception,
    flag: str,
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(*_: object) -> None:
        sys.stdout.write("drawn\n")
        raise error

    monkeypatch.setattr("swarmopt.plots.style.save", broken)
    out, err = output(capsys, "run", "--problem", "sphere", "--budget", "30", "--out", "a", flag)
    shown, _, rest = out.partition("drawn\n")
    assert json.loads((folder / "a" / "result.json").read_text())["message"] in shown
    assert not rest
    assert err.endswith("warning: convergence.png is not drawn: no backend\n")


def test_without_matplotlib_a_run_ends_well(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [n for n in sys.modules if n.startswith("swarmopt.plots.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    out, err = output(capsys, "run", "--problem", "sphere", "--budget", "30")
    assert "run folder: runs/sphere-ssa-1" in out
    assert "warning: convergence.png is not drawn: " in err


def test_a_dry_run_shows_everything_and_makes_nothing(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(folder.iterdir())
    out, _ = output(capsys, "run", "--problem", "knapsack", "--dry-run", "--seed", "5")
    assert "budget" in out
    assert "seed  5" in out
    assert "Boolean()" in out
    assert sorted(folder.iterdir()) == before


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
    assert len(record.read(folder / "a").ids) == 20


WRONG = [
    (["--problem", "rastrign"], "did you mean 'rastrigin'?"),
    (["--problem", "sphere", "--algorithm", "psso"], "did you mean 'pso'"),
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


def test_settings_that_are_zero_or_false_are_written_down(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "c.toml").write_text('problem = "knapsack"\ncache = false\n')
    output(capsys, "run", "--config", "c.toml", "--seed", "0", "--target", "0", "--budget", "30",
           "--out", "a")  # fmt: skip
    settings = tomllib.loads((folder / "a" / "run.toml").read_text())
    assert (settings["seed"], settings["target"], settings["cache"]) == (0, 0, False)


def test_starting_points_come_from_the_file(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "space.toml").write_text(
        'x0 = [{lr = 0.01, depth = 7, act = "tanh"}]\n' + SPACE.replace("budget = 90", "budget = 7")
    )
    out, _ = output(
        capsys, "run", "--problem", "mine:objective", "--config", "space.toml", "--json"
    )
    assert json.loads(out)["fun"] == 0.0


def test_runs_that_start_together_get_folders_of_their_own(folder: Path) -> None:
    command = [sys.executable, "-m", "swarmopt", "run", "--problem", "sphere", "--budget", "3000",
               "--algorithm", "pso"]  # fmt: skip
    runs = [subprocess.Popen([*command, "--seed", str(k)], cwd=folder) for k in range(3)]
    assert [run.wait(timeout=120) for run in runs] == [0, 0, 0]
    folders = sorted((folder / "runs").iterdir())
    assert [path.name for path in folders] == [f"sphere-pso-{k}" for k in (1, 2, 3)]
    seeds = set()
    for path in folders:
        result = json.loads((path / "result.json").read_text())
        assert tomllib.loads((path / "run.toml").read_text())["seed"] == result["seed"]
        seeds.add(result["seed"])
        assert record.count(path) == 3000
    assert seeds == {0, 1, 2}


def test_a_module_that_exits_is_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "leaves.py").write_text("import sys\nsys.exit(0)\n")
    _, err = output(capsys, "run", "--problem", "leaves:fun", code=2)
    assert "SystemExit" in err


def test_a_time_limit_ends_a_run_with_its_result(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "space.toml").write_text("max_time = 0.3\n" + SPACE.replace("budget = 90\n", ""))
    out, _ = output(capsys, "run", "--problem", "mine:slow", "--config", "space.toml", "--json")
    assert json.loads(out)["status"] == "time"


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


def test_list_show_and_plugins(capsys: pytest.CaptureFixture[str]) -> None:
    out, _ = output(capsys, "list")
    assert "rastrigin" in out
    assert "ssa-classic" in out
    assert "rastrigin" not in output(capsys, "list", "algorithms")[0]
    listed = json.loads(output(capsys, "list", "problems", "--json")[0])
    assert {"sphere", "knapsack"} <= {entry["name"] for entry in listed["problems"]}
    shown, _ = output(capsys, "show", "ssa")
    assert "adapted; the published algorithm is ssa-classic" in shown
    assert "algorithm.population" in shown
    about = json.loads(output(capsys, "show", "rastrigin", "--json")[0])
    assert "dim" in {row["key"] for row in about["settings"]}
    assert "size" in output(capsys, "show", "mine:make")[0]
    assert "did you mean 'rastrigin'" in output(capsys, "show", "rastrigim", code=2)[1]
    assert "swarmopt: swarmopt_register" in output(capsys, "plugins")[0]
    assert "swarmopt" in json.loads(output(capsys, "plugins", "--json")[0])["loaded"]


def test_help_and_version_and_an_unknown_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert "Commands" in output(capsys, "--help")[0]
    assert "Show the settings of a problem or an algorithm." in output(capsys, "--help")[0]
    assert "--problem" in output(capsys, "run", "--help")[0]
    assert "0.1" in output(capsys, "--version")[0]
    assert "did you mean 'run'" in output(capsys, "rnu", code=2)[1]


@pytest.mark.slow
def test_ctrl_c_keeps_the_record_and_exits_with_130(folder: Path) -> None:
    command = [sys.executable, "-m", "swarmopt", "run", "--problem", "mine:slow", "--config",
               "space.toml", "--budget", "100000", "--out", "a"]  # fmt: skip
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=folder)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if (folder / "a").exists() and len(record.read(folder / "a").ids) > 5:
            break
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted; the record of" in err
    assert "evaluations is kept in a" in err
    assert len(record.read(folder / "a").ids) > 5


def test_python_dash_m_is_the_same_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "swarmopt", "--version"], capture_output=True, text=True, check=True
    )
    assert "swarmopt" in done.stdout
