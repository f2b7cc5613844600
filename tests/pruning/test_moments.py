"""What layers read, and its moments."""

import copy
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from swarmopt_pruning import moments as module
from swarmopt_pruning.layer_calls import LayerCall, LayerCalls
from swarmopt_pruning.moments import as_matrices, as_weight, measure_moments, patches, values
from swarmopt_pruning.trace import first_names

LAYERS: dict[str, tuple[nn.Module, tuple[int, ...]]] = {
    "conv1d": (nn.Conv1d(4, 6, 3, stride=2, padding=1, dilation=2), (4, 11)),
    "conv1d-same": (nn.Conv1d(4, 6, 4, padding="same", dilation=3), (4, 11)),
    "conv2d": (nn.Conv2d(4, 6, (3, 2), stride=(1, 2), padding=(2, 0), dilation=(1, 2)), (4, 7, 9)),
    "conv2d-valid": (nn.Conv2d(4, 6, 3, padding="valid", bias=False), (4, 7, 9)),
    "conv2d-same": (nn.Conv2d(4, 6, (2, 3), padding="same"), (4, 7, 9)),
    "conv2d-1x1": (nn.Conv2d(4, 6, 1, stride=2), (4, 7, 9)),
    "conv2d-mirrored": (nn.Conv2d(4, 6, 3, padding=1, padding_mode="reflect"), (4, 7, 9)),
    "conv3d": (nn.Conv3d(4, 6, 2, stride=2, padding=1), (4, 5, 4, 3)),
    "grouped": (nn.Conv2d(4, 6, 3, groups=2, padding=1), (4, 5, 5)),
    "depthwise": (nn.Conv2d(4, 8, 3, groups=4), (4, 5, 5)),
    "transposed1d": (nn.ConvTranspose1d(4, 6, 3, stride=2, padding=1, output_padding=1), (4, 5)),
    "transposed2d": (
        nn.ConvTranspose2d(4, 6, (3, 2), stride=(3, 2), padding=(1, 0), output_padding=(2, 1)),
        (4, 5, 4),
    ),
    "transposed-cropped": (nn.ConvTranspose2d(4, 6, 2, stride=1, padding=2), (4, 6, 6)),
    "transposed-dilated": (nn.ConvTranspose2d(4, 6, 3, dilation=2, padding=1), (4, 5, 4)),
    "transposed-grouped": (nn.ConvTranspose2d(4, 6, 3, stride=2, groups=2), (4, 5, 4)),
    "transposed-depthwise": (nn.ConvTranspose2d(4, 4, 3, stride=2, groups=4), (4, 5, 4)),
    "transposed3d": (nn.ConvTranspose3d(4, 6, 2, stride=2, bias=False), (4, 3, 2, 2)),
    "linear": (nn.Linear(4, 6), (4,)),
    "linear-3d": (nn.Linear(4, 6, bias=False), (5, 4)),
}


def heard(model: nn.Module, *x: Tensor) -> list[LayerCall]:
    calls: list[LayerCall] = []
    with torch.no_grad(), LayerCalls(first_names(model)[0], calls.append):
        model(*x)
    return calls


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
@pytest.mark.parametrize("name", LAYERS)
def test_patches_times_matrices_are_the_layers_output(name: str) -> None:
    torch.manual_seed(0)
    layer, shape = copy.deepcopy(LAYERS[name][0]).double(), LAYERS[name][1]
    x = torch.randn(3, *shape, dtype=torch.float64)
    (call,) = heard(layer, x)
    weight, bias = layer.weight, layer.bias
    assert isinstance(weight, Tensor)
    rows = patches(call) if call.kernel else values(call)
    matrices = as_matrices(weight, call.groups, transposed=call.transposed)
    out = torch.einsum("gpc,goc->pgo", rows, matrices.flatten(2)).flatten(1)  # (positions, outputs)
    if isinstance(bias, Tensor):
        out = out + bias
        assert call.bias == "bias"
    wanted = layer(x) if not call.kernel else layer(x).movedim(1, -1)
    torch.testing.assert_close(out.view(wanted.shape), wanted)


@pytest.mark.parametrize("name", LAYERS)
def test_matrices_become_the_weight_again(name: str) -> None:
    layer = LAYERS[name][0]
    weight, groups = layer.weight, getattr(layer, "groups", 1)
    transposed = name.startswith("transposed")
    assert isinstance(weight, Tensor)
    matrices = as_matrices(weight, groups, transposed=transposed)
    assert torch.equal(as_weight(matrices, weight.shape[2:], transposed=transposed), weight)


class Own(nn.Module):
    """Layers as functions, with arguments by name and by place."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Parameter(torch.randn(4, 2, 3))
        self.second = nn.Parameter(torch.randn(4, 3, 2))
        self.third = nn.Parameter(torch.randn(5, 3))
        self.shift = nn.Parameter(torch.randn(5))

    def forward(self, x: Tensor) -> Tensor:
        x = functional.conv1d(x, self.first, padding=1, groups=1, stride=2)
        x = torch.conv_transpose1d(x, self.second, None, 2)
        x = functional.linear(x.mean(2), bias=self.shift, weight=self.third)
        return functional.linear(x, self.third.abs().t())  # a computed weight


def test_layers_that_are_called_as_functions_are_heard() -> None:
    calls = heard(Own(), torch.randn(2, 2, 8))
    assert [(c.weight, c.bias) for c in calls] == [
        ("first", ""),
        ("second", ""),
        ("third", "shift"),
    ]
    assert calls[0].stride == (2,)
    assert calls[0].padding == ((1, 1),)
    assert calls[1].transposed
    assert calls[1].stride == (2,)


def check(found: module.Moments, rows: Tensor) -> None:
    """Compare moments with those of (groups, n, columns) patches."""
    wide = rows.double()
    mean = wide.mean(dim=1)
    off = wide - mean[:, None]
    n = rows.shape[1]
    assert found.n == n
    torch.testing.assert_close(found.mean, mean, rtol=1e-5, atol=1e-5)
    for centred, expected in ((True, off), (False, wide)):
        product = expected.transpose(1, 2) @ expected / n
        torch.testing.assert_close(found.covariance(centred=centred), product, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["conv2d", "grouped", "transposed2d", "conv1d", "linear-3d"])
def test_moments_over_batches_are_those_of_all_patches(name: str) -> None:
    torch.manual_seed(1)
    layer, shape = LAYERS[name]
    x = 3 + torch.randn(7, *shape)
    found = measure_moments(layer, {"weight"}, x, batch=3)["weight"]
    (call,) = heard(layer, x)
    check(found, patches(call) if call.kernel else values(call))


class Twice(nn.Module):
    """One weight that is called twice, with biases of its own each time or the same."""

    def __init__(self, same: bool) -> None:
        super().__init__()
        self.step = nn.Conv2d(3, 3, 1)
        self.other = self.step.bias if same else nn.Parameter(torch.ones(3))

    def forward(self, x: Tensor) -> Tensor:
        return functional.conv2d(self.step(x).relu(), self.step.weight, self.other)


@pytest.mark.parametrize("same", [True, False])
def test_a_layer_that_is_called_twice_has_the_moments_of_both_calls(same: bool) -> None:
    torch.manual_seed(2)
    model, x = Twice(same), torch.randn(4, 3, 2, 2)
    found = measure_moments(model, {"step.weight"}, x)["step.weight"]
    check(found, torch.cat([values(call) for call in heard(model, x)], dim=1))
    assert found.bias == ("other" if same else "")


class Mixed(nn.Module):
    """A weight that goes down and comes up again."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(3, 3, 2, 2))

    def forward(self, x: Tensor) -> Tensor:
        return functional.conv_transpose2d(functional.conv2d(x, self.weight), self.weight)


def test_a_weight_that_different_kinds_of_layers_share_has_no_moments() -> None:
    assert measure_moments(Mixed(), {"weight"}, torch.randn(2, 3, 4, 4)) == {}


def test_only_the_layers_that_were_asked_for_are_looked_at() -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 2))
    assert set(measure_moments(model, {"1.weight", "2.weight"}, torch.randn(4, 3))) == {"1.weight"}


@pytest.mark.parametrize("name", ["conv2d", "conv2d-1x1", "transposed2d", "linear-3d"])
def test_many_patches_are_thinned_evenly(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    layer, shape = LAYERS[name]
    x = torch.randn(8, *shape)
    monkeypatch.setattr(module, "MOST_ROWS", 30)
    found = measure_moments(layer, {"weight"}, x, batch=4)["weight"]
    expected = []
    for part in torch.split(x, 4):
        (call,) = heard(layer, part)
        look = patches if call.kernel else values
        whole, some = look(call).flatten(2), look(call, 15)
        assert some.shape[1] == min(15, whole.shape[1])
        distances = torch.cdist(some, whole)
        assert float(distances.amin(dim=2).max()) < 1e-2
        expected.append(some)
    assert found.n <= 30
    check(found, torch.cat(expected, dim=1))


@pytest.mark.parametrize("sides", [(8, 8), (30, 30), (7, 7), (16, 1), (1, 64), (55, 34)])
def test_thinned_places_are_spread_over_images_rows_and_columns(sides: tuple[int, int]) -> None:
    n_places = 400 * sides[0] * sides[1]
    x = torch.arange(float(n_places)).view(400, 1, *sides)  # each place holds its number
    (call,) = heard(nn.Conv2d(1, 2, 1), x)
    for look in (patches, values):
        for most in (4_000, 5_003, n_places // 2, n_places - 1):
            places = look(call, most).flatten()
            assert len(places) == most
            gaps = places.diff()
            assert float(gaps.min()) >= 1
            assert float(gaps.max()) <= 2 * n_places / most + 1
            for number, modulus in ((sides[1], sides[1]), (sides[0], sides[0] * sides[1])):
                seen = (places % modulus // (modulus // number)).long().bincount()
                assert len(seen) == number
                assert float(seen.min()) >= 0.5 * len(places) / number


def test_of_too_wide_patches_each_place_is_looked_at_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_COLUMNS", 35)
    model, x = nn.Conv2d(4, 6, 3), torch.randn(3, 4, 5, 5)
    found = measure_moments(model, {"weight"}, x)["weight"]
    assert found.taps == 1
    check(found, x.movedim(1, -1).reshape(1, -1, 4))
    monkeypatch.setattr(module, "MOST_COLUMNS", 36)
    assert measure_moments(model, {"weight"}, x)["weight"].taps == 9


def test_the_variance_of_what_hardly_varies_is_not_lost_in_rounding() -> None:
    rng = np.random.default_rng(0)
    x = torch.from_numpy(1000 + 0.01 * rng.standard_normal((400, 3))).float()
    found = measure_moments(nn.Linear(3, 2), {"weight"}, x)["weight"].covariance(centred=True)[0]
    torch.testing.assert_close(found, x.double().T.cov(correction=0), rtol=1e-3, atol=1e-7)
    x = torch.full((40, 3), 0.1)
    found = measure_moments(nn.Linear(3, 2), {"weight"}, x)["weight"].covariance(centred=True)[0]
    assert float(found.abs().max()) < 1e-12


def test_measuring_changes_neither_the_model_nor_its_modes() -> None:
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 2, 3)).eval()
    before = copy.deepcopy(model.state_dict())
    measure_moments(model, {"2.weight"}, torch.randn(5, 1, 6, 6), batch=2)
    after: dict[str, Any] = model.state_dict()
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())
    assert not any(m.training for m in model.modules())
