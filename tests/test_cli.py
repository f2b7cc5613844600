"""The command line, as a user types it: what a command leaves, and what it says."""

import json
import re
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest
from typed import SPACE, output, place

from swarmopt import plugins, record


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder with a module of the user's own."""
    place(tmp_path, monkeypatch)
    return tmp_path


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


@pytest.mark.slow
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


def test_what_an_objective_prints_is_not_in_the_way_of_the_result(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = folder / "mine.py"
    mine.write_text(mine.read_text() + '\nprint("imported")\n')
    out, err = output(capsys, "run", "--problem", "mine:loud", "--config", "space.toml", "--json")
    assert json.loads(out)["nfev"] == 90
    assert err.count("loud says") == 90
    assert "imported" in err


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
    assert re.search("^seed +5$", out, flags=re.MULTILINE)
    assert "Boolean()" in out
    assert sorted(folder.iterdir()) == before


def test_a_dry_run_has_one_setting_a_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "space.toml").write_text(
        'x0 = [{lr = 0.01, depth = 7, act = "tanh"}]\n' + SPACE.replace("90", "20")
    )
    plans = [
        ("--problem", "rastrigin", "--set", "dim=14"),
        ("--problem", "mine:objective", "--config", "space.toml"),
    ]
    shown = [output(capsys, "run", *plan, "--dry-run")[0] for plan in plans]
    assert not any("{" in line or len(line) > 80 for out in shown for line in out.splitlines())
    for setting in ("dim +14", "rotated +True", r"algorithm\.sigma +0\.3", "x11 +Real.*"):
        assert re.search(f"^  {setting}$", shown[0], flags=re.MULTILINE), setting
    assert shown[0].endswith("  and 2 more\n")
    assert re.search("^x0 +1 starting point$", shown[1], flags=re.MULTILINE)


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


@pytest.mark.slow
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


def test_a_time_limit_ends_a_run_with_its_result(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "space.toml").write_text("max_time = 0.3\n" + SPACE.replace("budget = 90\n", ""))
    out, _ = output(capsys, "run", "--problem", "mine:slow", "--config", "space.toml", "--json")
    assert json.loads(out)["status"] == "time"


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
    assert "did you mean 'mine:make'" in output(capsys, "show", "mine.make", code=2)[1]
    assert "swarmopt: swarmopt_register" in output(capsys, "plugins")[0]
    assert "swarmopt" in json.loads(output(capsys, "plugins", "--json")[0])["loaded"]


def test_what_has_no_settings_is_shown_without_a_word_on_them(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert "settings, for --set" in output(capsys, "show", "mine:make")[0]
    shown, _ = output(capsys, "show", "mine:Unready")
    assert shown.startswith("problem mine:Unready\n")
    assert "--set" not in shown


def test_a_plain_function_is_shown_as_one_that_needs_a_space(
    capsys: pytest.CaptureFixture[str],
) -> None:
    shown, _ = output(capsys, "show", "mine:objective")
    assert shown.startswith("problem mine:objective\n\nIt is a plain function, which needs a space")
    assert "--set" not in shown
    assert json.loads(output(capsys, "show", "mine:objective", "--json")[0])["settings"] == []
    assert "takes no setting p" in output(capsys, "show", "mine:objective:p=3", code=2)[1]


def test_what_another_package_would_bring_is_named_with_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plugins, "installed", lambda: plugins.load([]))
    _, err = output(capsys, "show", "channel-prune", code=2)
    assert "unknown problem 'channel-prune'" in err
    assert "comes with another package: pip install swarmopt-pruning" in err


def test_a_plugin_that_is_skipped_is_listed_with_the_reason(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = plugins.load([])
    registry.add("exits", lambda: sys.exit("no licence"))
    monkeypatch.setattr(plugins, "installed", lambda: registry)
    out, _ = output(capsys, "plugins")
    assert out.endswith("\nexits: skipped: SystemExit: no licence\n")
    found = json.loads(output(capsys, "plugins", "--json")[0])
    assert found["skipped"] == {"exits": "SystemExit: no licence"}


def test_what_is_shown_may_have_settings(capsys: pytest.CaptureFixture[str]) -> None:
    shown, _ = output(capsys, "show", "pso:population=50")
    assert re.search(r"algorithm\.population +int \| None, 50 \(default None\)", shown)
    assert re.search(r"algorithm\.inertia +float, default 0\.7298", shown)
    assert re.search(r"size +int, 3 \(default 2\)", output(capsys, "show", "mine:make:size=3")[0])
    about = json.loads(output(capsys, "show", "pso:population=50", "--json")[0])
    assert about["name"] == "pso"
    assert {row["key"]: row["given"] for row in about["settings"] if "given" in row} == {
        "algorithm.population": 50
    }
    assert "did you mean 'population'" in output(capsys, "show", "pso:popul=50", code=2)[1]
    assert "population = 'x': expected" in output(capsys, "show", "pso:population=x", code=2)[1]


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
