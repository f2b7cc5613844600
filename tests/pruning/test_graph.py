"""Groups are right when cutting them gives the network that has zeros in their place."""

import functools
from collections.abc import Callable

import numpy as np
import pytest
import torch
from layers import Head, Lambda, conv, images
from torch import Tensor, nn

from swarmopt_pruning.cost import count_macs, count_params
from swarmopt_pruning.errors import NotExportable, PruningError
from swarmopt_pruning.graph import ChannelGraph
from swarmopt_pruning.models import BasicBlock, build
from swarmopt_pruning.trace import Role
from swarmopt_pruning.verify import randomised

torch.set_num_threads(1)


class TwoPaths(nn.Module):
    """Stem and two layers whose results are combined by a function."""

    def __init__(
        self, one: nn.Module, other: nn.Module, combine: Callable[[Tensor, Tensor, Tensor], Tensor]
    ) -> None:
        super().__init__()
        self.stem, self.one, self.other = conv(3, 8), one, other
        self.combine = combine

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        return self.combine(x, self.one(x), self.other(x))


class Scaled(nn.Module):
    """A learnable scale, an offset kept as a buffer, and slopes, one for each channel."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.linspace(0.5, 1.5, width).view(width, 1, 1))
        self.offset: Tensor
        self.register_buffer("offset", torch.linspace(1, 2, width).view(1, width, 1, 1))
        self.slopes = nn.PReLU(width)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.slopes(x * self.scale + self.offset)
        return out


def shuffle(x: Tensor) -> Tensor:
    n, c, h, w = x.shape
    return x.view(n, 4, c // 4, h, w).transpose(1, 2).flatten(1, 2)


@functools.cache
def networks() -> dict[str, tuple[nn.Module, Tensor]]:
    grouped = nn.Sequential(conv(3, 8), conv(8, 12, groups=4), conv(12, 6, 1))
    shuffled = nn.Sequential(
        conv(3, 8), conv(8, 16, 1, groups=4), Lambda(shuffle), conv(16, 16, 1, groups=4)
    )
    concat = TwoPaths(conv(8, 6), conv(8, 7, 1), lambda x, a, b: torch.cat([a, x, b], 1))
    attention = TwoPaths(conv(8, 6), nn.Conv2d(8, 1, 1), lambda _, a, b: a * b.sigmoid())
    scaled = nn.Sequential(conv(3, 6), Scaled(6), conv(6, 5))
    plain_norm = nn.Sequential(
        nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6, affine=False), nn.Sigmoid(), nn.Conv2d(6, 5, 3)
    )
    gated = nn.Sequential(conv(3, 8), nn.GLU(dim=1), conv(4, 5))
    stacked = TwoPaths(conv(8, 8), conv(8, 8), lambda *paths: torch.stack(paths, 1).sum(1))
    chosen = TwoPaths(conv(8, 8), conv(8, 8), lambda x, a, b: torch.where(x > 0.1, a, b))
    mlp = nn.Sequential(nn.Linear(12, 9), nn.GELU(), nn.Linear(9, 7, bias=False), nn.Linear(7, 3))
    return {
        "sequential": (build("digits-cnn"), images(1)),
        "residual identity": (
            Head(nn.Sequential(conv(3, 6), BasicBlock(6, 6, 1, "B")), 6),
            images(),
        ),
        "residual projection": (build("digits-resnet"), images(1)),
        "concat": (Head(concat, 21), images()),
        "spatial attention": (Head(attention, 6), images()),
        "parameter for each channel": (Head(scaled, 5), images()),
        "norm without weights": (Head(plain_norm, 5), images()),
        "grouped": (Head(grouped, 6), images()),
        "shuffle": (Head(shuffled, 16), images()),
        "gated": (Head(gated, 5), images()),
        "sum of a stack": (Head(stacked, 8), images()),
        "choice by a condition": (Head(chosen, 8), images()),
        "linear": (mlp, torch.randn(2, 12)),
        "linear over a sequence": (mlp, torch.randn(2, 4, 12)),
    }


def random_counts(graph: ChannelGraph, rng: np.random.Generator) -> dict[str, int]:
    return {g.name: int(rng.integers(1, g.n_units + 1)) * g.block for g in graph.groups}


@functools.cache
def traced(name: str) -> tuple[nn.Module, Tensor, ChannelGraph]:
    """Return a network with random weights and its graph as the rules alone see it."""
    model, x = networks()[name]
    model = randomised(model, (x,)).eval()
    return model, x, ChannelGraph.trace(model, (x,), verify=False)


@pytest.mark.parametrize("name", networks())
def test_the_pruned_network_equals_its_masked_twin_and_the_closed_forms(
    name: str, thorough: bool
) -> None:
    model, x, graph = traced(name)
    assert graph.groups
    whole = model(x)
    rng = np.random.default_rng(7)
    counted = 6 if thorough else 1
    for number in range(20 if thorough else 3):
        counts = random_counts(graph, rng)
        plan = graph.plan(counts, importance="random", seed=int(rng.integers(99)))
        small, masked = plan.apply(model), plan.mask(model)
        with torch.no_grad():
            expected = masked(x)
            scale = float(expected.abs().max())
            for found in (small(x), plan.call(model, x)):
                torch.testing.assert_close(found, expected, rtol=0, atol=1e-5 * max(1, scale))
        row = np.array([list(counts.values())])
        assert number >= counted or graph.macs(row).tolist() == [count_macs(small, (x,))]
        assert graph.params(row).tolist() == [count_params(small)]
        assert {n: len(kept) for n, kept in plan.kept.items()} == counts
    torch.testing.assert_close(model(x), whole, rtol=0, atol=0)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in networks() if name != "residual projection"])
def test_verification_freezes_nothing_that_is_sound(name: str) -> None:
    model, x, loose = traced(name)
    strict = ChannelGraph.trace(model, (x,))
    assert strict.groups == loose.groups
    assert strict.frozen == loose.frozen


def test_channels_of_a_residual_stream_are_one_group_named_by_its_first_layer() -> None:
    graph = ChannelGraph.trace(build("digits-resnet", widths=(4, 6, 8)), (images(1),), verify=False)
    assert [(g.name, g.width, g.block) for g in graph.groups] == [
        ("stem", 4, 1),
        ("layer1.0.conv1", 4, 1),
        ("layer2.0.conv1", 6, 1),
        ("layer2.0.conv2", 6, 1),
        ("layer3.0.conv1", 8, 1),
        ("layer3.0.conv2", 8, 1),
    ]
    stream = {place.tensor for place in graph.groups[3].where if place.role is Role.FILTER}
    assert stream == {"layer2.0.conv2.weight", "layer2.0.shortcut.conv.weight"}
    assert [(f.name, f.width) for f in graph.frozen] == [("fc", 10)]
    assert "output" in graph.frozen[0].reason


def test_channels_beside_zero_padding_stay_and_the_padded_ones_are_one_stream() -> None:
    model = build("resnet20", widths=(4, 8, 12), shortcut="A")
    graph = ChannelGraph.trace(model, (images(),), verify=False)
    stem = graph.groups[0]
    assert (stem.name, stem.width) == ("stem", 4)
    written = {p.tensor for p in stem.where if p.role is Role.FILTER}
    assert {"layer1.2.conv2.weight", "layer2.0.conv2.weight", "layer3.2.conv2.weight"} <= written
    frozen = {f.name: (f.width, f.reason) for f in graph.frozen}
    assert frozen["layer2.0.conv2"][0] == 4
    assert "padding" in frozen["layer3.0.conv2"][1]


def test_a_depthwise_convolution_belongs_to_the_group_of_its_input() -> None:
    body = nn.Sequential(conv(3, 6), conv(6, 12, groups=6), conv(12, 5, 1))
    graph = ChannelGraph.trace(Head(body, 5), (images(),))
    assert [(g.name, g.width) for g in graph.groups] == [("body.0.0", 6), ("body.2.0", 5)]
    small = graph.plan({"body.0.0": 4}).apply(Head(body, 5))
    layer = small.get_submodule("body.1.0")
    assert isinstance(layer, nn.Conv2d)
    assert (layer.in_channels, layer.out_channels, layer.groups) == (4, 8, 4)


def test_a_grouped_convolution_loses_equally_much_in_every_block() -> None:
    body = nn.Sequential(conv(3, 8), conv(8, 12, groups=4), conv(12, 6, 1))
    model = Head(body, 6)
    graph = ChannelGraph.trace(model, (images(),))
    assert [(g.width, g.block) for g in graph.groups] == [(8, 4), (12, 4), (6, 1)]
    small = graph.plan({"body.1.0": [0, 2, 3, 5, 6, 8, 9, 11]}).apply(model)
    layer = small.get_submodule("body.1.0")
    assert isinstance(layer, nn.Conv2d)
    assert (layer.in_channels, layer.out_channels, layer.groups) == (8, 8, 4)
    with pytest.raises(PruningError, match=r"\[1, 4, 7, 10\] are cut together"):
        graph.plan({"body.1.0": [0, 3, 6, 9, 1]})
    with pytest.raises(PruningError, match=r"cannot keep 6 channels; it has 12, and 4\.\.12 in st"):
        graph.plan({"body.1.0": 6})


def test_a_frozen_model_is_pruned_like_any_other() -> None:
    model = build("digits-cnn")
    free = ChannelGraph.trace(model, (images(1),))
    counts = random_counts(free, np.random.default_rng(0))
    expected = free.plan(counts)
    model.requires_grad_(requires_grad=False)
    frozen = ChannelGraph.trace(model, (images(1),))
    assert frozen.groups == free.groups
    assert frozen.plan(counts) == expected
    assert not any(p.requires_grad for p in frozen.plan(counts).apply(model).parameters())


def test_tracing_leaves_the_model_alone_whatever_mode_it_is_in() -> None:
    model = build("digits-resnet").train()
    model.get_submodule("layer1").eval()
    modes = [module.training for module in model.modules()]
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    ChannelGraph.trace(model, (images(1),))
    assert [module.training for module in model.modules()] == modes
    assert all(p.grad is None and p.requires_grad for p in model.parameters())
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(tensor, before[name], rtol=0, atol=0)


def test_an_example_without_a_tensor_is_refused() -> None:
    with pytest.raises(PruningError, match="no tensor with a batch dimension"):
        ChannelGraph.trace(Lambda(lambda x: images() * x), (2,))


def test_a_model_that_looks_at_values_is_not_exportable_and_the_line_is_named() -> None:
    class Decides(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            if x.sum() > 0:
                return x
            return -x

    with pytest.raises(NotExportable, match=r"`if x\.sum\(\) > 0:` \(line \d+ of test_graph"):
        ChannelGraph.trace(nn.Sequential(conv(3, 6), Decides()), (images(),))


def test_an_example_that_does_not_fit_is_told_from_a_model_that_does_not_export() -> None:
    with pytest.raises(PruningError, match="does not run on the example") as caught:
        ChannelGraph.trace(build("digits-cnn"), (images(2),))
    assert not isinstance(caught.value, NotExportable)
    with pytest.raises(PruningError, match=r"pass \(images,\)"):
        ChannelGraph.trace(build("digits-cnn"), images(1))
