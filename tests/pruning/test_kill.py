"""kill -9 at any moment of training or fine-tuning changes no bit of what comes out.

Each script is one process without threads, which forks the processes that it kills.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from swarmopt import minimize
from swarmopt_pruning import ChannelPruning

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="the scripts fork"),
]

START = """
import json, logging, os, random, signal, sys, time
from pathlib import Path
from types import SimpleNamespace
import numpy as np, torch
torch.set_num_threads(1)
from swarmopt.result import History
from swarmopt_pruning import ChannelPruning, Recipe, checkpoint, load_data
from swarmopt_pruning.original import make_original, trained
from swarmopt_pruning.places import cache_folder
from swarmopt_pruning.train import train

folder, seed = Path(sys.argv[1]), int(sys.argv[2])
rng = random.Random(seed)
checkpoint.SHARE, checkpoint.INTERVAL = 0, 0.02
counts = folder / "log"
log = logging.getLogger("swarmopt_pruning")
log.addHandler(logging.FileHandler(counts))
log.setLevel(logging.INFO)

def begin(job):
    pid = os.fork()
    if pid == 0:
        try:
            job()
            os._exit(0)
        finally:
            os._exit(1)
    return pid

def ended(pid, seconds):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            assert status == 0, f"the process failed: {status}"
            return True
        time.sleep(0.001)
    return False

def killed_until_done(job, whole, most):
    for n in range(most):
        pid = begin(job)
        if ended(pid, rng.uniform(0, 0.3 * whole)):
            return n
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    assert ended(begin(job), 120)
    return most

def seconds(job):
    began = time.monotonic()
    assert ended(begin(job), 120)
    return time.monotonic() - began

def tell(**found):
    print(json.dumps({**found, "log": counts.read_text()}))
"""

FINISH = """
problem = ChannelPruning(model="digits-cnn", epochs=2, finalists=1, finetune_epochs=8)
x = problem.space.decode(np.full((1, len(problem.space)), 0.45))[0]
result = SimpleNamespace(x=x, seed=7, history=History())
whole, torn = folder / "whole", folder / "torn"
whole.mkdir(), torn.mkdir()
took = min(seconds(lambda: problem.finish(result, whole)) for _ in range(2))
kills = killed_until_done(lambda: problem.finish(result, torn), took, 10)
tell(kills=kills, files={
    path.name: sorted(f.name for f in path.iterdir()) for path in (whole, torn)
}, same=[(whole / n).read_bytes() == (torn / n).read_bytes()
         for n in ("plan.json", "pruned.safetensors")])
"""

ORIGINAL = """
data, recipe = load_data("digits"), Recipe(epochs=12)

def job(name):
    os.environ["XDG_CACHE_HOME"] = str(folder / name)
    trained(*make_original("digits-cnn", data), data, recipe)

def files(name):
    return {f.name: f for f in (folder / name / "swarmopt").iterdir()}

train(make_original("digits-cnn", data)[1], data.train, Recipe(epochs=1), seed=0)  # warm
took = seconds(lambda: job("whole"))
kills = killed_until_done(lambda: job("torn"), took, 10)
whole, torn = files("whole"), files("torn")
[weights] = [n for n in whole if n.endswith(".safetensors")]
tell(kills=kills, files=[sorted(whole), sorted(torn)],
     same=whole[weights].read_bytes() == torn[weights].read_bytes())
"""

INTERRUPT = """
import os, signal
from swarmopt_pruning.checkpoint import Checkpoint
keep = Checkpoint.keep
def kept(self, state, *, epoch_ended):
    keep(self, state, epoch_ended=epoch_ended)
    if "finetuning" in self.path.name and self.kept:
        os.kill(os.getpid(), signal.SIGINT)
Checkpoint.keep = kept
"""

TOGETHER = """
data, recipe = load_data("digits"), Recipe(epochs=6)
os.environ["XDG_CACHE_HOME"] = str(folder / "cache")

def job():
    name, model = make_original("digits-cnn", data)
    trained(name, model, data, recipe)
    (folder / f"{os.getpid()}.digest").write_text(str(
        [float(t.double().sum()) for t in model.state_dict().values()]
    ))

pids = [begin(job) for _ in range(3)]
for pid in pids:
    assert ended(pid, 120)
tell(digests=[p.read_text() for p in folder.glob("*.digest")])
"""


def run(script: str, folder: Path, seed: int) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-c", START + script, str(folder), str(seed)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_fine_tuning_killed_at_random_moments_ends_with_the_same_network(tmp_path: Path) -> None:
    found = run(FINISH, tmp_path, 0)
    assert found["kills"] >= 2
    assert "it goes on after" in found["log"]
    assert found["same"] == [True, True]
    expected = ["channels.png", "plan.json", "pruned.safetensors"]
    assert found["files"] == {"whole": expected, "torn": expected}


def test_training_the_original_killed_at_random_moments_ends_with_the_same_weights(
    tmp_path: Path,
) -> None:
    found = run(ORIGINAL, tmp_path, 0)
    assert found["kills"] >= 2
    assert "it goes on after" in found["log"]
    assert found["same"]
    assert found["files"][0] == found["files"][1]


def test_a_run_that_is_interrupted_in_fine_tuning_goes_on_from_its_checkpoint(
    tmp_path: Path,
) -> None:
    whole, torn = tmp_path / "whole", tmp_path / "torn"
    arguments = [
        "run", "--problem", "channel-prune", "--set", "model=digits-cnn", "--set", "epochs=2",
        "--set", "finetune_epochs=6", "--budget", "6", "--seed", "1", "--workers", "0",
        "--out", str(torn),
    ]  # fmt: skip
    code, said = command(INTERRUPT, *arguments)
    file = torn / "finetuning.safetensors"
    assert code == 130, said
    assert f"1.0 of 6 epochs are kept in {file}" in said
    assert f"go on with: swarmopt resume {torn}" in said
    code, said = command("", "resume", str(torn))
    assert code == 0, said
    assert f"it goes on after 1.0 of them, kept in {file}" in said
    assert not file.exists()
    problem = ChannelPruning(model="digits-cnn", epochs=2, finetune_epochs=6)
    minimize(problem, budget=6, seed=1, workers=0, run_dir=whole)
    for name in ("plan.json", "pruned.safetensors"):
        assert (whole / name).read_bytes() == (torn / name).read_bytes()


def command(first: str, *arguments: str) -> tuple[int, str]:
    """Run the command line after some code; return its exit code and what it says."""
    code = f"{first}\nfrom swarmopt.cli import main; main({list(arguments)!r})"
    done = subprocess.run(
        [sys.executable, "-c", code], stderr=subprocess.PIPE, text=True, timeout=300, check=False
    )
    return done.returncode, done.stderr


def test_of_several_processes_that_need_an_original_one_trains_it(tmp_path: Path) -> None:
    found = run(TOGETHER, tmp_path, 0)
    assert found["log"].count("training the original digits-cnn") == 1
    assert found["log"].count("comes from") == 2
    assert len(found["digests"]) == 3
    assert len(set(found["digests"])) == 1
