"""The state of a training in one file, from which it goes on bit by bit after a kill.

The file holds tensors (parameters, buffers, momenta, the epoch's order of images, the state of the
generator) and, as JSON in its metadata, how many steps were made, the key of the training and a
digest of it all. A file that is damaged, or of another training, is not believed.
"""

import json
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from swarmopt_pruning.files import part_of
from swarmopt_pruning.tensors import tensor_digest, write_tensors

log = logging.getLogger(__name__)

INTERVAL = 30.0  # seconds of training that a kill may cost
SHARE = 20  # training takes at least so many times as long as the writing of checkpoints
ABOUT = "training"  # the one key of the file's metadata: safetensors shuffles several

Tensors = Mapping[str, Tensor]


@dataclass(eq=False)
class TrainingState:
    """Everything that the next step of a training depends on, the global generator aside.

    Attributes:
        model: that learns.
        optimizer: of its parameters.
        schedule: of the optimizer's rates.
        order: (n,) the images in the order of this epoch.
        step: how many steps were made.
        best: the model's tensors after the last epoch whose loss was finite; empty before one.
    """

    model: nn.Module
    optimizer: Optimizer
    schedule: LRScheduler
    order: Tensor
    step: int = 0
    best: dict[str, Tensor] = field(default_factory=dict)

    def tensors(self) -> dict[str, Tensor]:
        """Return all of it that is tensors, by name; momenta only where there are some."""
        found = {f"model.{n}": t for n, t in state_of(self.model).items()}
        for name, parameter in self.model.named_parameters():
            for key, value in self.optimizer.state.get(parameter, {}).items():
                if isinstance(value, Tensor):
                    found[f"{key}.{name}"] = value
        found |= {f"best.{n}": t for n, t in self.best.items()}
        return {**found, "order": self.order, "generator": torch.random.get_rng_state()}

    def restore(self, step: int, tensors: Tensors) -> bool:
        """Go to another step, and return whether the tensors fit; if not, nothing is changed."""
        if not self._fit(tensors):
            return False
        with torch.no_grad():
            for name, tensor in state_of(self.model).items():
                tensor.copy_(tensors[f"model.{name}"])
        for name, parameter in self.model.named_parameters():
            if (momentum := tensors.get(f"momentum_buffer.{name}")) is not None:
                own = torch.empty_like(parameter).copy_(momentum)  # with the parameter's layout
                self.optimizer.state[parameter]["momentum_buffer"] = own
        names = state_of(self.model) if any(n.startswith("best.") for n in tensors) else ()
        self.best = {n: tensors[f"best.{n}"].clone() for n in names}
        self.order, self.step = tensors["order"].clone(), step
        if step > 0:  # the schedule steps to where it was
            position = {"last_epoch": step - 1, "_step_count": step + 1}
            self.schedule.load_state_dict({**self.schedule.state_dict(), **position})
            self.schedule.step()
        torch.random.set_rng_state(tensors["generator"])
        return True

    def _fit(self, tensors: Tensors) -> bool:
        """Return whether these are tensors of such a training."""
        wanted = self.tensors()
        optional = {
            f"momentum_buffer.{n}": p
            for n, p in self.model.named_parameters()
            if f"momentum_buffer.{n}" in tensors
        }
        if any(n.startswith("best.") for n in tensors):
            wanted |= {f"best.{n}": t for n, t in state_of(self.model).items()}
        known = {**wanted, **optional}
        alike = tensors.keys() == known.keys() and all(
            tensors[n].shape == t.shape and tensors[n].dtype == t.dtype for n, t in known.items()
        )
        if not alike or not torch.equal(tensors["order"].sort().values, self.order.sort().values):
            return False
        torch.Generator().set_state(tensors["generator"])  # RuntimeError where it is none
        return True


def state_of(model: nn.Module) -> dict[str, Tensor]:
    """Return the parameters and buffers of a model, by name; those that are not saved too."""
    return {**dict(model.named_parameters()), **dict(model.named_buffers())}


class Checkpoint:
    """The file of one training.

    Args:
        path: where it is.
        key: a hash of everything that decides what is learnt.
    """

    def __init__(self, path: Path, key: str) -> None:
        self.path = path
        self._key = key
        self._written = time.monotonic()
        self._took = 0.0  # seconds of the last writing
        self.kept = 0  # steps in the file
        self._broken = False

    def restore(self, state: TrainingState, n_steps: int) -> None:
        """Bring a training that is to begin to where the file has it, if there is one to trust."""
        try:
            if not self.path.exists():
                return
            step, tensors = self._read()
            if not (0 <= step <= n_steps and state.restore(step, tensors)):
                raise ValueError("it does not fit this training")  # noqa: TRY301 - one warning for all
        except (OSError, SafetensorError, RuntimeError, KeyError, TypeError, ValueError) as error:
            log.warning("%s is not used, training starts anew: %s", self.path, error)
        else:
            self.kept = step

    def _read(self) -> tuple[int, dict[str, Tensor]]:
        """Return the steps made and the tensors.

        Raises:
            OSError, SafetensorError, KeyError, TypeError, ValueError: It is damaged or foreign.
        """
        with safe_open(self.path, framework="pt") as file:
            about = json.loads((file.metadata() or {})[ABOUT])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no dict
        step = about["step"]
        if about["key"] != self._key:
            raise ValueError("it belongs to another training: other settings, data or weights")
        if type(step) is not int or about["digest"] != self._digest(step, tensors):
            raise ValueError("it is damaged")
        return step, tensors

    def _digest(self, step: int, tensors: Tensors) -> str:
        return tensor_digest(tensors, f"{self._key} {step}")

    def keep(self, state: TrainingState, *, epoch_ended: bool) -> None:
        """Write the state where it is time: at the end of an epoch, and after half a minute."""
        waited = time.monotonic() - self._written
        due = epoch_ended or waited >= INTERVAL
        if self._broken or not due or waited < SHARE * self._took:
            return
        began = time.monotonic()
        tensors = state.tensors()
        about = {
            "key": self._key,
            "step": state.step,
            "digest": self._digest(state.step, tensors),
        }
        try:
            write_tensors(self.path, tensors, {ABOUT: json.dumps(about, sort_keys=True)})
        except OSError as error:
            log.warning("no checkpoint of the training can be kept at %s: %s", self.path, error)
            self._broken = True
            return
        self.kept = state.step
        self._written = time.monotonic()
        self._took = self._written - began


def remove(path: Path) -> None:
    """Remove a checkpoint and what a kill may have left of one."""
    for file in (path, part_of(path)):
        file.unlink(missing_ok=True)
