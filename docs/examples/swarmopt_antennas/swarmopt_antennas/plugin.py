"""What swarmopt learns of this package; imports neither the problem nor the algorithm."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from swarmopt.plugins import Registration, hookimpl


@hookimpl
def swarmopt_register_problems() -> list[Registration]:
    """Return the problem of this package."""
    help_ = "Masts of whole heights that cover a line of houses at the least cost."
    return [Registration("antennas", "swarmopt_antennas.problem:Antennas", help_)]


@hookimpl
def swarmopt_register_algorithms() -> list[Registration]:
    """Return the algorithm of this package."""
    return [Registration("walk", "swarmopt_antennas.walk:Walk", "Steps from the best point.")]


@hookimpl
def swarmopt_run_started(settings: Mapping[str, Any], folder: Path | None) -> None:
    """Leave a note in the folder of every run."""
    if folder is not None:
        (folder / "antennas.txt").write_text(f"seed {settings['seed']}\n", encoding="utf-8")
