"""ChannelGraph: which channels of a network must be cut together, what cutting them saves.

The idea is dependency tracing on data: the network is exported once, every output channel gets a
label, and the graph is run on labels. Fang et al., "DepGraph: Towards Any Structural Pruning",
2023, state the problem; here operators that move data are executed rather than described.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from swarmopt_pruning.border import check, check_run
from swarmopt_pruning.choice import (
    check_choice,
    given_scores,
    units_of_channels,
    units_of_count,
    units_of_counts,
)
from swarmopt_pruning.cost import (
    QuadraticForm,
    batch_macs,
    count_macs,
    count_params,
    macs_form,
    params_form,
)
from swarmopt_pruning.errors import PruningError, UnknownName, first_line
from swarmopt_pruning.fingerprint import shapes_of
from swarmopt_pruning.importance import Member, keep_indices, unit_scores
from swarmopt_pruning.plan import Cut, PruningPlan
from swarmopt_pruning.resize import channel_rows
from swarmopt_pruning.rules import labels_after
from swarmopt_pruning.structure import (
    Frozen,
    Group,
    Structure,
    assemble,
    freeze_group,
    unread_weights,
)
from swarmopt_pruning.trace import Role, evaluation_copy, first_names, walk_model
from swarmopt_pruning.training import untrainable_groups
from swarmopt_pruning.trials import Pattern, part
from swarmopt_pruning.verify import failing_groups, subject

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Choice = int | Sequence[int] | Ints

_MASKED = frozenset({Role.FILTER, Role.BIAS, Role.SCALE, Role.READ})
_LEARNED = frozenset({Role.FILTER, Role.BIAS, Role.SCALE})


class ChannelGraph:
    """The prunable channels of one network; made by `trace`.

    It refers to the parameters of the network, without owning or changing them: importance reads
    the weights as they are when it is asked.
    """

    def __init__(
        self,
        structure: Structure,
        model: nn.Module,
        *,
        macs: QuadraticForm,
        params: QuadraticForm,
        fixed_operators: tuple[str, ...] = (),
    ) -> None:
        self._structure = structure
        self._tensors, _ = first_names(model)
        self._shapes = shapes_of(model)
        self._model_name = type(model).__qualname__
        self._macs = macs
        self._params = params
        self.fixed_operators = fixed_operators
        """Products whose multiply-adds have no closed form: measured once, counted as constant."""

    @classmethod
    def trace(
        cls, model: nn.Module, example: tuple[Any, ...], *, verify: bool = True
    ) -> "ChannelGraph":
        """Find the groups of channels of a model, which is not changed.

        Args:
            model: any network that `torch.export` takes, in training or evaluation mode, frozen
                parameters or not.
            example: the model's arguments, for one batch of images `(images,)`; few are enough.
            verify: cut a part of each group and compare with the masked twin; freeze what differs.
                Without it, code that cuts channels at a number, such as `x[:, :8]` of 16, is
                believed to mean a share of them.

        Raises:
            NotExportable: The model's graph depends on the values of tensors.
            PruningError: The model is scripted, quantized or compiled, does not run on the example,
                cannot be copied, or answers differently each time.
        """
        check(model, example)
        working = evaluation_copy(model)
        check_run(working, example)
        walk = walk_model(working, example, labels_after)
        measured = _measured(working, example)
        fixed = tuple(walk.fixed_operators)

        def built(structure: Structure) -> "ChannelGraph":
            return cls(
                structure,
                model,
                macs=macs_form(structure, walk.tensors, walk.layers, measured, walk.batch),
                params=params_form(structure, walk.tensors),
                fixed_operators=fixed,
            )

        structure = assemble(walk)
        graph = built(structure)
        if not verify:
            return graph
        tried = subject(working, example)
        failures = dict(failing_groups(graph.names, graph.trial, tried, graph.costs_hold))
        sound = [name for name in graph.names if name not in failures]
        failures |= untrainable_groups(sound, graph.trial, tried, unread_weights(walk))
        if not failures:
            return graph
        for name, reason in failures.items():
            freeze_group(walk, structure, name, reason)
        return built(assemble(walk))

    @property
    def groups(self) -> tuple[Group, ...]:
        """What can be cut, in the order of the network."""
        return self._structure.groups

    @property
    def frozen(self) -> tuple[Frozen, ...]:
        """What cannot be cut, each with its reason."""
        return self._structure.frozen

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the groups."""
        return tuple(group.name for group in self.groups)

    @property
    def reads(self) -> dict[str, int]:
        """Weights that read channels of a group, with the dimension along which they do."""
        return {
            place.tensor: place.dim
            for group in self.groups
            for place in group.where
            if place.role is Role.READ
        }

    def units_of(self, tensor: str, dim: int, number: int) -> Ints:
        """Return the unit of a group that each index of a tensor's dimension belongs to.

        Args:
            tensor: name of a parameter or buffer.
            dim: one of its dimensions that carries channels.
            number: of the group.

        Returns:
            (blocks * size,) units from 0; -1 for indices that are not of the group.
        """
        first, last = self._structure.starts[number : number + 2]
        units = self._structure.units[tensor, dim]
        mine: Ints = np.where((units >= first) & (units < last), units - first, -1)
        return mine

    @property
    def widths(self) -> Ints:
        """Channels of each group before pruning: (groups,)."""
        return np.array([group.width for group in self.groups], dtype=np.int64)

    def macs(self, counts: ArrayLike) -> Ints:
        """Return the multiply-adds of one image, exactly, for a whole population.

        Convolutions, linear layers and products between activations count; the latter, where they
        have no closed form, are constant (`fixed_operators`).

        Args:
            counts: (n, groups) channels kept of each group.

        Returns:
            (n,) multiply-adds.

        Raises:
            PruningError: A count is not possible.
        """
        return self._macs(units_of_counts(self.groups, counts))

    def params(self, counts: ArrayLike) -> Ints:
        """Return the number of parameters, exactly, for a whole population.

        Args:
            counts: (n, groups) channels kept of each group.

        Returns:
            (n,) entries of all parameters.

        Raises:
            PruningError: A count is not possible.
        """
        return self._params(units_of_counts(self.groups, counts))

    def channels(self, counts: ArrayLike) -> Ints:
        """Return the number of channels kept, summed over the groups: (n,).

        Every group counts once, however many layers it ties; frozen channels do not count.

        Args:
            counts: (n, groups) channels kept of each group.

        Raises:
            PruningError: A count is not possible.
        """
        units_of_counts(self.groups, counts)
        total: Ints = np.asarray(counts, dtype=np.int64).sum(axis=1)
        return total

    def scores(
        self,
        importance: str = "l1",
        *,
        seed: int = 0,
        gradients: Mapping[str, Tensor] | None = None,
    ) -> dict[str, Floats]:
        """Score the channels of every group by the weights the model has now.

        Args:
            importance: "l1", "l2", "bn-scale", "taylor" or "random".
            seed: seed of "random".
            gradients: of the parameters by name, on one batch; only "taylor" needs them, and
                `taylor_scores` makes them on several.

        Returns:
            for each group (width // block,) scores, one for each block, higher is more important.

        Raises:
            UnknownName: There is no importance of that name.
            PruningError: The importance says nothing about a group.
        """
        return {
            group.name: unit_scores(
                importance, group.name, self._members(number, gradients), group.n_units, seed
            )
            for number, group in enumerate(self.groups)
        }

    def plan(
        self,
        choice: Mapping[str, Choice],
        *,
        importance: str | Mapping[str, Floats] = "l1",
        seed: int = 0,
    ) -> PruningPlan:
        """Decide which channels stay.

        Args:
            choice: for each group how many channels to keep, or which ones (numbers from 0 within
                the group, whole blocks); groups that are not named stay whole.
            importance: decides which ones where only their number is given: a name, or scores of
                one's own as `scores` returns them, for each such group.
            seed: seed of "random".

        Raises:
            UnknownName: A group or importance does not exist.
            PruningError: A count or index is not possible.
        """
        check_choice(choice)
        stays = np.ones(int(self._structure.starts[-1]) + 1, dtype=bool)
        for name, wanted in choice.items():
            if name not in self.names:
                raise UnknownName("group", name, self.names)
            number = self.names.index(name)
            first, last = self._structure.starts[number : number + 2]
            stays[first:last] = False
            if isinstance(wanted, int | np.integer) and not isinstance(wanted, bool):
                kept = self._best(number, int(wanted), importance, seed)
            else:
                kept = units_of_channels(
                    self.groups[number], self._structure.channel_units[number], wanted
                )
            stays[first + kept] = True
        return self._plan(stays)

    def costs_hold(self, plan: PruningPlan, model: nn.Module, example: tuple[Any, ...]) -> bool:
        """Return whether the closed forms say what the network of a plan really costs."""
        counts = np.array([[len(plan.kept[name]) for name in self.names]], dtype=np.int64)
        small = plan.apply(model)
        return int(self.params(counts)[0]) == count_params(small) and int(
            self.macs(counts)[0]
        ) == count_macs(small, example)

    def trial(self, names: Sequence[str], pattern: Pattern = part) -> PruningPlan:
        """Return a plan that cuts the named groups, as a test of them.

        Args:
            names: groups to be cut; the others stay whole.
            pattern: which of their units stay.
        """
        stays = np.ones(int(self._structure.starts[-1]) + 1, dtype=bool)
        for name in names:
            number = self.names.index(name)
            first, last = self._structure.starts[number : number + 2]
            stays[first:last] = pattern(int(last - first), number)
        return self._plan(stays)

    def _best(
        self, number: int, count: int, importance: str | Mapping[str, Floats], seed: int
    ) -> Ints:
        """Return the units with the highest scores that make up `count` channels."""
        group = self.groups[number]
        n_units = units_of_count(group, count)
        if isinstance(importance, str):
            members = self._members(number)
            scores = unit_scores(importance, group.name, members, group.n_units, seed)
        else:
            scores = given_scores(group, importance)
        return keep_indices(scores, n_units)

    def _plan(self, stays: NDArray[np.bool_]) -> PruningPlan:
        """Return the plan that keeps the units marked in `stays`; its last entry is True."""
        structure, cuts = self._structure, []
        known: dict[bytes, tuple[int, ...]] = {}
        for (tensor, dim), units in structure.units.items():
            keeps = stays[units]
            if not keeps.all():
                blocks = structure.blocks[tensor, dim]
                size = len(units) // blocks
                rows = keeps.reshape(blocks, size)
                if (rows == rows[0]).all():  # the same places in every block
                    blocks, keeps = 1, rows[0]
                kept = known.setdefault(keeps.tobytes(), tuple(np.flatnonzero(keeps).tolist()))
                masked = structure.places[tensor, dim].role in _MASKED
                cuts.append(Cut(tensor, dim, size, kept, masked, blocks))
        kept_channels = {
            group.name: tuple(np.flatnonzero(stays[first + units]).tolist())
            for group, first, units in zip(
                self.groups, structure.starts, structure.channel_units, strict=False
            )
        }
        return PruningPlan(
            model=self._model_name,
            torch_version=str(torch.__version__),
            shapes=self._shapes,
            widths={group.name: group.width for group in self.groups},
            kept=kept_channels,
            cuts=tuple(cuts),
        )

    def _members(self, number: int, gradients: Mapping[str, Tensor] | None = None) -> list[Member]:
        """Return what the parameters that make the channels of a group hold for them."""
        first, last = self._structure.starts[number : number + 2]
        members = []
        for place in self.groups[number].where:
            if place.role in _LEARNED:
                units = torch.from_numpy(self._structure.units[place.tensor, place.dim])
                mine = ((units >= int(first)) & (units < int(last))).nonzero().flatten()
                held = [self._tensors[place.tensor]]
                held += [gradients[place.tensor]] if gradients and place.tensor in gradients else []
                blocks = self._structure.blocks[place.tensor, place.dim]
                rows, *slopes = (
                    channel_rows(tensor.detach().cpu(), place.dim, blocks)[mine] for tensor in held
                )
                unit = units[mine] - int(first)
                members.append(Member(place.role, rows, unit, *slopes))
        return members


def _measured(model: nn.Module, example: tuple[Any, ...]) -> int:
    """Return the multiply-adds of the example, by torch's counter.

    Raises:
        PruningError: The counter cannot look into the model.
    """
    try:
        return batch_macs(model, example)
    except PruningError:
        raise
    except Exception as error:
        raise PruningError(
            f"the multiply-adds of {type(model).__name__} cannot be counted: torch's counter does "
            f"not go through it ({first_line(error)}). Is there torch.cond or another higher-order "
            f"operator in its forward? Write that line with torch.where"
        ) from error
