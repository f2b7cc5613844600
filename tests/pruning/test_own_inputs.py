"""Layers of a cut network refitted to what they read there."""

import copy
from collections.abc import Mapping

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call

from swarmopt_pruning import build
from swarmopt_pruning.graph import ChannelGraph
from swarmopt_pruning.layer_calls import LayerCall, LayerCalls
from swarmopt_pruning.models import MODELS
from swarmopt_pruning.moments import as_matrices, patches, values
from swarmopt_pruning.own_inputs import ROWS, OwnInputs
from swarmopt_pruning.plan import PruningPlan
from swarmopt_pruning.trace import first_names

SMALL = [
    pytest.param(name, marks=[] if name in {"tiny-grouped", "digits-cnn"} else [pytest.mark.slow])
    for name in MODELS
    if name.startswith(("tiny-", "digits-"))
]


def refitted(model: nn.Module, plan: PruningPlan, x: Tensor) -> dict[str, Tensor]:
    """Return the tensors of a cut network, refitted while images run through it."""
    own = OwnInputs(model, x)
    tensors = {name: tensor.detach() for name, tensor in first_names(model)[0].items()}
    tensors |= plan.slice(tensors)
    with torch.no_grad(), plan.resized(model), own.refitting(plan, tensors):
        functional_call(model, tensors, (x,))
    return tensors


def answers(
    model: nn.Module, plan: PruningPlan, tensors: Mapping[str, Tensor], x: Tensor
) -> Tensor:
    with torch.no_grad(), plan.resized(model):
        out: Tensor = functional_call(model, dict(tensors), (x,))
    return out


def heard(
    model: nn.Module, x: Tensor, tensors: Mapping[str, Tensor], plan: PruningPlan
) -> dict[str, LayerCall]:
    """Return what each layer reads, in a network of other tensors."""
    calls: dict[str, LayerCall] = {}
    hears = LayerCalls(tensors, lambda call: calls.update({call.weight: call}))
    with torch.no_grad(), plan.resized(model), hears:
        functional_call(model, dict(tensors), (x,))
    return calls


LAST: dict[str, nn.Module] = {
    "conv": nn.Conv2d(6, 5, 3, padding=1),
    "conv-without-bias": nn.Conv2d(6, 5, 3, stride=2, bias=False),
    "transposed": nn.ConvTranspose2d(6, 5, 3, stride=2),
    "grouped": nn.Conv2d(6, 4, 3, groups=2),
}


def three(kind: str) -> nn.Module:
    torch.manual_seed(0)
    first = nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 6, 3, padding=1), nn.ReLU()
    return nn.Sequential(*first, copy.deepcopy(LAST[kind])).eval()


@pytest.mark.parametrize("kind", LAST)
def test_each_layer_is_the_least_squares_fit_of_what_it_reads_there(kind: str) -> None:
    model, x = three(kind), torch.randn(40, 3, 6, 6, generator=torch.Generator().manual_seed(1))
    graph = ChannelGraph.trace(model, (x[:2],))
    plan = graph.plan({"0": 5, "2": 4})
    kept = {f"{layer}.weight": list(plan.kept[layer]) for layer in ("0", "2")}
    new = refitted(model, plan, x)
    before = heard(model, x, model.state_dict(keep_vars=True), graph.plan({}))
    for name, call in heard(model, x, new, plan).items():
        goal = layer_answers(model, name, before[name])
        if name in kept:
            goal = goal[:, kept[name]]
        rows = patches(call, ROWS).double()
        matrices = as_matrices(new[name], call.groups, transposed=call.transposed).flatten(2)
        takes_mean = bool(call.bias)
        for g, wanted in enumerate(goal.view(len(goal), call.groups, -1).unbind(1)):
            inside = rows[g].numpy()
            if takes_mean:
                inside = np.column_stack([inside, np.ones(len(inside))])
            solution, *_ = np.linalg.lstsq(inside, wanted.double().numpy(), rcond=None)
            best = ((inside @ solution - wanted.double().numpy()) ** 2).mean()
            ours = rows[g] @ matrices[g].double().T
            if takes_mean:
                ours = ours + new[call.bias].view(call.groups, -1)[g].double()
            error = float(((ours - wanted.double()) ** 2).mean())
            assert error <= 1.01 * best + 1e-6 * float(wanted.var()), name


def layer_answers(model: nn.Module, name: str, call: LayerCall) -> Tensor:
    """Return what a layer of the original puts out at the places that are looked at."""
    tensors = model.state_dict()
    rows = patches(call, ROWS) if call.kernel else values(call, ROWS)
    matrices = as_matrices(tensors[name], call.groups, transposed=call.transposed).flatten(2)
    out = torch.bmm(rows, matrices.transpose(1, 2)).transpose(0, 1).flatten(1)
    return out + (tensors[call.bias] if call.bias else 0.0)


@pytest.mark.parametrize("name", SMALL)
def test_the_answers_come_nearer_to_those_of_the_original(name: str) -> None:
    torch.manual_seed(0)
    model = build(name).eval()
    n_in = next(p for p in model.parameters() if p.dim() > 2).shape[1]
    x = torch.rand(80, n_in, 8, 8, generator=torch.Generator().manual_seed(1))
    graph = ChannelGraph.trace(model, (x[:2],))
    halves = {g.name: max(1, g.n_units // 2) * g.block for g in graph.groups}
    plan = graph.plan(halves)
    before = {n: t.clone() for n, t in model.state_dict().items()}
    new = refitted(model, plan, x)
    assert all(torch.equal(before[n], t) for n, t in model.state_dict().items()), "it is written to"
    with torch.no_grad():
        whole = model(x)
    sliced = plan.apply(model)
    with torch.no_grad():
        lost = float((sliced(x) - whole).square().mean())
    kept = float((answers(model, plan, new, x) - whole).square().mean())
    assert kept < 0.5 * lost


def test_equal_channels_can_go_everywhere_without_a_loss() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.ReLU(),
        nn.Flatten(), nn.Linear(8 * 16, 4),
    ).eval()  # fmt: skip
    with torch.no_grad():
        for name in ("0.weight", "0.bias", "2.weight", "2.bias"):
            tensor = model.get_parameter(name)
            tensor[4:] = tensor[:4]
    x = torch.randn(300, 1, 8, 8)
    graph = ChannelGraph.trace(model, (x[:2],))
    plan = graph.plan({"0": [0, 1, 2, 3], "2": [4, 5, 6, 7]})
    new = refitted(model, plan, x)
    with torch.no_grad():
        whole = model(x)
    torch.testing.assert_close(answers(model, plan, new, x), whole, rtol=0.02, atol=2e-3)


def test_the_new_bias_does_not_depend_on_the_one_before() -> None:
    model, x = three("conv"), torch.randn(40, 3, 6, 6)
    plan = ChannelGraph.trace(model, (x[:2],)).plan({"0": 5, "2": 4})
    own, found = OwnInputs(model, x), []
    for moved in (0.0, 3.0):
        tensors = {name: tensor.detach() for name, tensor in first_names(model)[0].items()}
        tensors |= plan.slice(tensors)
        tensors["4.bias"] = tensors["4.bias"] + moved
        with torch.no_grad(), plan.resized(model), own.refitting(plan, tensors):
            functional_call(model, tensors, (x,))
        found.append(tensors["4.bias"])
    torch.testing.assert_close(found[0], found[1])


class Tied(nn.Module):
    """A layer whose weight is also multiplied with, under another name."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(4, 6), nn.Linear(6, 6)
        self.a, self.last = nn.Linear(6, 6), nn.Linear(6, 2)
        self.b = self.a.weight

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.last(self.a(self.second(self.first(x).relu()).relu()).relu() @ self.b)
        return out


def test_a_weight_with_two_names_stays_as_it_is() -> None:
    torch.manual_seed(0)
    model, x = Tied().eval(), torch.randn(60, 4)
    plan = ChannelGraph.trace(model, (x[:2],)).plan({"first": 4})
    new, sliced = refitted(model, plan, x), plan.slice(first_names(model)[0])
    name = next(iter({"a.weight", "b"} & set(new)))
    assert torch.equal(new[name], sliced.get(name, model.b))


class Twice(nn.Module):
    """A layer that is called twice reads two things, so no one refit is right."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.step = nn.Conv2d(1, 6, 1), nn.Conv2d(6, 6, 1)
        self.last = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.step(self.step(self.first(x).relu()).relu()).relu()
        out: Tensor = self.last(x.mean((2, 3)))
        return out


def test_a_layer_that_is_called_twice_stays_as_it_is() -> None:
    torch.manual_seed(0)
    model, x = Twice().eval(), torch.randn(30, 1, 4, 4)
    graph = ChannelGraph.trace(model, (x[:2],))
    plan = graph.plan({graph.names[0]: 4})
    new = refitted(model, plan, x)
    sliced = plan.slice(model.state_dict())
    assert torch.equal(new["step.weight"], sliced["step.weight"])
    assert not torch.equal(new["last.weight"], sliced["last.weight"])


def test_what_the_original_heard_is_not_kept_alive_by_names_alone() -> None:
    """A tensor made later may have the `id` of one that is gone: only given tensors are written."""
    torch.manual_seed(0)
    model, x = three("conv"), torch.randn(20, 3, 6, 6)
    graph = ChannelGraph.trace(model, (x[:2],))
    own = OwnInputs(model, x)
    for count in (5, 3, 7):
        plan = graph.plan({"0": count})
        tensors = {n: t.detach() for n, t in model.state_dict(keep_vars=True).items()}
        tensors |= plan.slice(tensors)
        with torch.no_grad(), plan.resized(model), own.refitting(plan, tensors):
            functional_call(model, tensors, (x,))
        again = refitted(model, plan, x)
        assert all(torch.equal(tensors[name], again[name]) for name in again)


class Growing(nn.Module):
    """A network whose second layer reads more places where the first one is narrow."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.last = nn.Linear(2, 6), nn.Linear(6, 6), nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x).relu()
        if x.shape[1] < 6:
            x = torch.cat([x, x])
        out: Tensor = self.last(self.second(x).relu())
        return out


def test_a_layer_that_reads_other_places_than_in_the_original_stays_as_it_is() -> None:
    torch.manual_seed(0)
    model, x = Growing().eval(), torch.randn(40, 2)
    plan = ChannelGraph.trace(model, (x[:2],), verify=False).plan({"first": 4})
    new, sliced = refitted(model, plan, x), plan.slice(model.state_dict())
    assert torch.equal(new["second.weight"], sliced["second.weight"])


def test_a_network_of_double_precision_keeps_its_type() -> None:
    model, x = three("conv").double(), torch.randn(20, 3, 6, 6, dtype=torch.float64)
    plan = ChannelGraph.trace(model, (x[:2],)).plan({"0": 5})
    new = refitted(model, plan, x)
    assert {tensor.dtype for tensor in new.values()} == {torch.float64}
    assert not torch.equal(new["2.weight"], plan.slice(model.state_dict())["2.weight"])
