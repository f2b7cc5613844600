"""Layers that lose inputs, refitted: against least squares on the patches themselves."""

import itertools
import logging
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.func import functional_call

from swarmopt_pruning import least_squares, moments, reconstruct
from swarmopt_pruning.graph import ChannelGraph
from swarmopt_pruning.layer_calls import LayerCall, LayerCalls
from swarmopt_pruning.moments import as_matrices, measure_moments, patches, values
from swarmopt_pruning.plan import PruningPlan
from swarmopt_pruning.reconstruct import Reconstruction
from swarmopt_pruning.trace import first_names

Importance = Mapping[str, NDArray[np.float64]]
WIDTH = 8
LAST: dict[str, nn.Module] = {
    "conv1d": nn.Conv1d(WIDTH, 4, 3, padding=1, stride=2),
    "conv2d": nn.Conv2d(WIDTH, 4, 3, padding=1),
    "conv2d-1x1": nn.Conv2d(WIDTH, 4, 1),
    "conv3d": nn.Conv3d(WIDTH, 4, 2),
    "grouped": nn.Conv2d(WIDTH, 4, 3, groups=2, dilation=2, padding="same"),
    "transposed": nn.ConvTranspose2d(WIDTH, 4, 3, stride=2, padding=1, output_padding=1),
    "transposed-grouped": nn.ConvTranspose2d(WIDTH, 4, 2, stride=2, groups=2),
    "linear": nn.Linear(WIDTH * 16, 4),
    "linear-3d": nn.Linear(WIDTH, 4),
}

QUICK = {"conv2d", "grouped", "transposed-grouped"}
KINDS = [pytest.param(kind, marks=[] if kind in QUICK else [pytest.mark.slow]) for kind in LAST]


class ChannelsLast(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(2).transpose(1, 2)


@dataclass
class Case:
    """A network of two layers, of which the second one loses inputs."""

    model: nn.Sequential
    x: Tensor

    def __post_init__(self) -> None:
        self.model.eval()
        self.graph = ChannelGraph.trace(self.model, (self.x[:2],))
        self.tensors = {n: t.detach() for n, t in self.model.state_dict().items()}

    @property
    def last(self) -> str:
        """Name of the layer that is refitted."""
        return f"{len(self.model) - 1}.weight"

    def refit(self) -> Reconstruction:
        found = measure_moments(self.model, set(self.graph.reads), self.x)
        return Reconstruction(self.tensors, found, self.graph.reads)

    def plan(
        self, count: int, importance: Importance | str = "random", seed: int = 0
    ) -> PruningPlan:
        return self.graph.plan({"0": count}, importance=importance, seed=seed)

    def answers(self, plan: PruningPlan, tensors: Mapping[str, Tensor]) -> Tensor:
        with torch.no_grad(), plan.resized(self.model):
            out: Tensor = functional_call(self.model, {**self.tensors, **tensors}, self.x)
        return out

    def reads(self) -> tuple[Tensor, LayerCall]:
        """The (groups, rows, columns) patches that the last layer reads."""
        calls: dict[str, LayerCall] = {}
        with (
            torch.no_grad(),
            LayerCalls(first_names(self.model)[0], lambda c: calls.update({c.weight: c})),
        ):
            self.model(self.x)
        call = calls[self.last]
        return (patches(call) if call.kernel else values(call)), call


def case(kind: str, *, bias: bool = True) -> Case:
    torch.manual_seed(0)
    dims = {"conv1d": 1, "conv3d": 3}.get(kind, 2)
    first = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[dims - 1](3, WIDTH, 3, padding=1)
    flat: dict[str, nn.Module] = {"linear": nn.Flatten(), "linear-3d": ChannelsLast()}
    between = [flat[kind]] if kind in flat else []
    last = LAST[kind] if bias else nn.Conv2d(WIDTH, 4, 3, bias=False)
    x = torch.randn(200 if kind == "linear" else 60, 3, *(4,) * dims)
    return Case(nn.Sequential(first, nn.ReLU(), *between, last), x)


def kept_columns(at: Case, plan: PruningPlan, call: LayerCall) -> list[list[int]]:
    """Find for each group which columns of the patches stay, by slicing numbered weights."""
    weight = at.tensors[at.last]
    numbers = torch.arange(weight.numel(), dtype=torch.float64).view(weight.shape)
    sliced = plan.slice(at.tensors | {at.last: numbers})[at.last]
    full, part = (
        as_matrices(w, call.groups, transposed=call.transposed).flatten(2)
        for w in (numbers, sliced)
    )
    return [
        [full[g, 0].tolist().index(number) for number in part[g, 0].tolist()]
        for g in range(call.groups)
    ]


def check_least_squares(at: Case, plan: PruningPlan) -> list[list[int]]:
    """Compare the refitted last layer with numpy's; return the columns kept in each group."""
    found = at.refit().sliced(plan)
    rows, call = at.reads()
    new = as_matrices(found[at.last], call.groups, transposed=call.transposed).flatten(2)
    old = as_matrices(at.tensors[at.last], call.groups, transposed=call.transposed).flatten(2)
    bias = found[call.bias].view(call.groups, -1)
    columns = kept_columns(at, plan, call)
    for g in range(call.groups):
        wanted = rows[g].double() @ old[g].double().T
        inside = np.column_stack([rows[g][:, columns[g]].double(), np.ones(len(wanted))])
        solution, *_ = np.linalg.lstsq(inside, wanted.numpy(), rcond=None)
        scale = float(old.abs().max())
        np.testing.assert_allclose(new[g].T, solution[:-1], rtol=0, atol=1e-3 * scale)
        before = at.tensors[call.bias].view(call.groups, -1)[g]
        np.testing.assert_allclose(bias[g] - before, solution[-1], rtol=0, atol=2e-3 * scale)
    return columns


@pytest.mark.parametrize("kind", KINDS)
def test_the_refit_is_that_of_least_squares_on_the_patches(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(least_squares, "RIDGE", 1e-9)
    at = case(kind)
    check_least_squares(at, at.plan(4, seed=3))


def test_each_group_of_a_convolution_may_keep_other_channels(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(least_squares, "RIDGE", 1e-9)
    torch.manual_seed(0)
    layers = nn.Conv2d(3, 12, 1), nn.ReLU(), nn.Conv2d(12, 12, 3, groups=2), nn.ReLU()
    at = Case(nn.Sequential(*layers, nn.Conv2d(12, 6, 1, groups=3)), torch.randn(60, 3, 5, 5))
    columns = check_least_squares(at, at.graph.plan({"2": 6}, importance="random", seed=0))
    assert columns[0] != columns[1]


@pytest.mark.parametrize("normalised", [True, False])
def test_without_a_bias_the_mean_is_left_to_normalisation_where_there_is_one(
    normalised: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(least_squares, "RIDGE", 1e-9)
    at = case("conv2d", bias=False)
    if normalised:
        at.tensors["2.running_mean"] = torch.zeros(WIDTH)
    plan = at.plan(4, seed=3)
    found = at.refit().sliced(plan)
    rows, call = at.reads()
    old, new = (t.flatten(1).double() for t in (at.tensors[at.last], found[at.last]))
    (columns,) = kept_columns(at, plan, call)
    inside, wanted = rows[0][:, columns].double(), rows[0].double() @ old.T
    if normalised:
        inside, wanted = inside - inside.mean(0), wanted - wanted.mean(0)
    solution, *_ = np.linalg.lstsq(inside.numpy(), wanted.numpy(), rcond=None)
    np.testing.assert_allclose(new.T, solution, rtol=0, atol=1e-3 * float(old.abs().max()))
    assert set(found) == {"0.weight", "0.bias", at.last}


@pytest.mark.parametrize("kind", KINDS)
def test_one_of_two_equal_channels_can_go_without_a_loss(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(least_squares, "RIDGE", 1e-9)
    at = case(kind)
    for name in ("0.weight", "0.bias"):  # channels 2 i and 2 i + 1 are the same
        at.tensors[name][1::2] = at.tensors[name][::2]
    scores = np.tile([1.0, 0.0, 0.0, 1.0], 2)
    plan = at.plan(4, {"0": scores[: at.graph.groups[0].n_units]})
    assert plan.kept["0"] == (0, 3, 4, 7)
    whole = at.model(at.x).detach()
    scale = float(whole.abs().max())
    assert float((at.answers(plan, plan.slice(at.tensors)) - whole).abs().max()) > 0.05 * scale
    for most in (moments.MOST_COLUMNS, 1):  # patch by patch, and place by place
        monkeypatch.setattr(moments, "MOST_COLUMNS", most)
        refitted = at.answers(plan, at.refit().sliced(plan))
        torch.testing.assert_close(refitted, whole, rtol=0, atol=1e-4 * scale)


@pytest.mark.parametrize("kind", KINDS)
def test_the_mean_of_the_output_stays_and_its_error_falls(kind: str) -> None:
    at = case(kind)
    rec = at.refit()
    whole = at.model(at.x).detach()
    dims = [d for d in range(whole.ndim) if d != (2 if kind == "linear-3d" else 1)]
    for count, seed in itertools.product((2, 4, 6), range(3)):
        plan = at.plan(count, seed=seed)
        refitted = rec.sliced(plan)
        off = at.answers(plan, refitted) - whole
        inherited = at.answers(plan, plan.slice(at.tensors)) - whole
        assert float(off.square().mean()) < float(inherited.square().mean())
        mean = off.mean(dim=dims)
        torch.testing.assert_close(mean, torch.zeros_like(mean), rtol=0, atol=1e-5)


class Borrowed(nn.Module):
    """Two layers that add one bias, and a layer that runs twice."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.one, self.two = (nn.Conv2d(i, o, 1) for i, o in ((3, 6), (6, 6), (6, 4)))
        self.three = nn.Conv2d(6, 4, 1)
        self.three.bias = self.two.bias

    def forward(self, x: Tensor) -> Tensor:
        x = self.one(self.one(self.stem(x).relu()).relu()).relu()
        out: Tensor = self.two(x) * self.three(x)
        return out


def test_a_bias_that_two_layers_add_stays_as_it_is() -> None:
    torch.manual_seed(0)
    model, x = Borrowed().eval(), torch.randn(20, 3, 3, 3)
    graph = ChannelGraph.trace(model, (x[:2],))
    tensors = dict(model.named_parameters())
    rec = Reconstruction(tensors, measure_moments(model, set(graph.reads), x), graph.reads)
    plan = graph.plan(dict.fromkeys(graph.names, 3), importance="l1")
    found = rec.sliced(plan)
    assert "two.bias" not in found
    assert found["one.weight"].shape == (3, 3, 1, 1)
    assert not torch.equal(found["one.bias"], plan.slice(tensors)["one.bias"])


def test_dependent_inputs_let_the_ridge_grow_and_it_is_said_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(least_squares, "RIDGE", 1e-30)
    at = case("conv2d-1x1")
    for name in ("0.weight", "0.bias"):
        at.tensors[name][1:] = at.tensors[name][:1] * torch.arange(2, 9).view(
            -1, *[1] * (at.tensors[name].dim() - 1)
        )
    rec = at.refit()
    with caplog.at_level(logging.WARNING):
        for seed in range(3):
            found = rec.sliced(at.plan(5, seed=seed))
            assert all(bool(tensor.isfinite().all()) for tensor in found.values())
    said = [r.getMessage() for r in caplog.records if r.name == reconstruct.__name__]
    assert said == ["the inputs of 2.weight depend on each other: its ridge grows"]


def test_inputs_that_never_change_are_taken_up_by_the_bias() -> None:
    at = case("conv2d-1x1")
    at.x = torch.full_like(at.x, 0.7)
    at.tensors["0.weight"].mul_(0)
    plan = at.plan(3, seed=1)
    found = at.refit().sliced(plan)
    assert torch.equal(found[at.last], plan.slice(at.tensors)[at.last])
    torch.testing.assert_close(at.answers(plan, found), at.model(at.x), rtol=1e-5, atol=1e-6)


def test_what_is_kept_again_is_solved_once_and_little_is_remembered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    at = case("conv2d")
    rec = at.refit()
    first = rec.sliced(at.plan(4))
    assert rec.sliced(at.plan(4))[at.last] is first[at.last]
    monkeypatch.setattr(reconstruct, "CACHED", 1)
    rec.sliced(at.plan(5))
    assert len(rec._known) == 1
    assert torch.equal(rec.sliced(at.plan(4))[at.last], first[at.last])


def test_nothing_of_the_network_is_written_to() -> None:
    at = case("grouped")
    before = {name: tensor.clone() for name, tensor in at.tensors.items()}
    at.refit().sliced(at.plan(4))
    assert all(torch.equal(at.tensors[name], tensor) for name, tensor in before.items())
