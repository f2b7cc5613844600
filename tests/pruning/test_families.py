"""However the channels of a network hang together, cutting them is exact, or told as frozen."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from swarmopt_pruning.graph import ChannelGraph
from swarmopt_pruning.models import MODELS, build
from swarmopt_pruning.models.shufflenet import GroupedUnit
from swarmopt_pruning.models.tiny import Bottleneck, Classifier, conv
from swarmopt_pruning.plan import PruningPlan
from swarmopt_pruning.verify import randomised

Example = tuple[Any, ...]
TINY = [name for name in MODELS if name.startswith("tiny-")]


def images(channels: int = 3, size: int = 8, n: int = 2) -> Tensor:
    rng = torch.Generator().manual_seed(1)
    return torch.randn(n, channels, size, size, generator=rng)


class Detector(nn.Module):
    """Two inputs, features of two sizes, one head for both, outputs in a dict of lists."""

    def __init__(self) -> None:
        super().__init__()
        self.image, self.depth = conv(3, 6), conv(1, 5)
        self.fine, self.coarse = conv(11, 8), conv(8, 8, stride=2)
        self.lateral, self.above = nn.Conv2d(8, 6, 1), nn.Conv2d(8, 6, 1)
        self.head = nn.ModuleDict({"body": conv(6, 6), "box": nn.Conv2d(6, 4, 1)})
        self.kind = nn.Conv2d(6, 3, 1)

    def forward(self, image: Tensor, depth: Tensor | None = None) -> dict[str, Any]:
        assert depth is not None
        fine = self.fine(torch.cat([self.image(image), self.depth(depth)], dim=1))
        above = self.above(self.coarse(fine))
        upper = functional.interpolate(above, size=fine.shape[-2:], mode="nearest")
        levels = [self.head["body"](x) for x in (self.lateral(fine) + upper, above)]
        return {
            "boxes": [self.head["box"](x) for x in levels],
            "kinds": tuple(self.kind(x) for x in levels),
            "size": fine.shape[-1],
        }


class Tied(nn.Module):
    """An autoencoder whose decoder is the transposed weight of its encoder, with class tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.code, self.out = conv(3, 8), nn.Conv2d(8, 6, 3, padding=1), conv(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        y = functional.relu(self.code(x))
        out: Tensor = self.out(functional.conv_transpose2d(y, self.code.weight, padding=1) + x)
        return out.mean((2, 3))


class Words(nn.Module):
    """An embedding table behind which convolutions run over a sequence."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.conv, self.fc = nn.Embedding(9, 8), nn.Conv1d(8, 6, 3), nn.Linear(6, 3)

    def forward(self, words: Tensor) -> Tensor:
        x = functional.relu(self.conv(self.table(words).transpose(1, 2)))
        out: Tensor = self.fc(x.amax(2))
        return out


class Volume(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm, self.second = (
            nn.Conv3d(1, 6, 3),
            nn.BatchNorm3d(6),
            nn.Conv3d(6, 4, 2),
        )
        self.fc = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(self.second(functional.relu(self.norm(self.first(x)))))
        out: Tensor = self.fc(functional.adaptive_avg_pool3d(x, 1).flatten(1))
        return out


class Padded(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return functional.pad(x, (0, 0, 0, 0, 0, 4))


def hooked() -> nn.Module:
    model = Classifier(nn.Sequential(conv(3, 6), conv(6, 5)), 5, 3)
    model.body.get_submodule("0").register_forward_hook(lambda _, __, out: out * 2 + 1)
    model.body.get_submodule("1").register_forward_pre_hook(lambda _, x: (x[0].abs(),))
    return model


def behind(width: int, *layers: nn.Module) -> nn.Module:
    return Classifier(nn.Sequential(conv(3, 8), *layers), width, 3)


@functools.cache
def networks() -> dict[str, tuple[nn.Module, Example]]:
    up = functools.partial(nn.ConvTranspose2d, kernel_size=2, stride=2)
    instance = nn.InstanceNorm2d(8, affine=True, track_running_stats=True)
    padded = (
        nn.Conv2d(8, 7, 3, padding=1, padding_mode="reflect", bias=False),
        nn.Conv2d(7, 6, 3, padding=2, dilation=2, padding_mode="circular"),
        nn.Conv2d(6, 5, 3, padding="same"),
    )
    unaligned = (conv(8, 24, 1), conv(24, 24, groups=4), conv(24, 24, groups=6), conv(24, 4))
    frozen_between = (conv(8, 12, 1), Padded(), conv(16, 16, groups=4))
    one_input = behind(6, nn.Conv2d(8, 16, 3, groups=8), nn.PReLU(), conv(16, 6))
    return {
        "two inputs and detection heads": (Detector(), (images(), images(1))),
        "decoder tied to encoder": (Tied(), (images(),)),
        "embedding": (Words(), (torch.arange(10).view(2, 5) % 9,)),
        "volume": (Volume(), (torch.randn(2, 1, 6, 6, 6),)),
        "hooks": (hooked(), (images(),)),
        "transposed in groups": (behind(6, up(8, 12, groups=4), conv(12, 6)), (images(),)),
        "transposed depthwise": (behind(6, up(8, 16, groups=8), conv(16, 6)), (images(),)),
        "one output a group": (behind(6, conv(8, 4, groups=4), conv(4, 6)), (images(),)),
        "one input a group": (one_input, (images(),)),
        "groups that do not align": (behind(4, *unaligned), (images(),)),
        "groups beside padding": (behind(16, *frozen_between), (images(),)),
        "instance norm": (behind(6, instance, conv(8, 6)), (images(),)),
        "norm in groups of one": (behind(6, nn.GroupNorm(8, 8), conv(8, 6)), (images(),)),
        "norm over pixels": (behind(6, nn.LayerNorm([8, 8]), conv(8, 6)), (images(),)),
        "kinds of padding": (behind(5, *padded), (images(),)),
        "upsampled": (
            behind(4, nn.Upsample(scale_factor=2, mode="bilinear"), conv(8, 4)),
            (images(),),
        ),
        "subpixels": (behind(2, nn.PixelShuffle(2), conv(2, 2)), (images(),)),
        "unfolded": (behind(4, nn.PixelUnshuffle(2), conv(32, 4)), (images(),)),
        "shuffled": (behind(6, nn.ChannelShuffle(2), conv(8, 6)), (images(),)),
        "double precision": (build("tiny-grouped").double(), (images().double(),)),
        "one image": (build("tiny-residual-b"), (images(n=1),)),
        "wide groups": (behind(8, Bottleneck(8, 32, 2)), (images(),)),
    }


def case(name: str) -> tuple[nn.Module, Example]:
    model, example = (build(name), (images(),)) if name in MODELS else networks()[name]
    return randomised(model, example), example


@pytest.mark.slow
@pytest.mark.parametrize("name", [*TINY, *networks()])
def test_the_pruned_network_equals_its_masked_twin_and_the_closed_forms(
    name: str, check_candidates: Callable[..., None], thorough: bool
) -> None:
    model, example = case(name)
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    graph = ChannelGraph.trace(model, example, verify=thorough)
    check_candidates(model, example, graph, 20)
    assert graph.groups
    assert all(torch.equal(tensor, before[key]) for key, tensor in model.state_dict().items())
    assert not missing(model, graph)


def missing(model: nn.Module, graph: ChannelGraph) -> list[str]:
    """Return the weights that neither a group nor a reason speaks of."""
    places = [place for group in graph.groups for place in group.where]
    places += [place for frozen in graph.frozen for place in frozen.where]
    told = {place.tensor for place in places}
    named = {f.name.partition("#")[0] for f in graph.frozen}
    return [
        name
        for name, parameter in model.named_parameters()
        if parameter.dim() > 1 and name not in told and name.removesuffix(".weight") not in named
    ]


def test_a_frozen_weight_is_told_whatever_read_it() -> None:
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem, self.never = conv(3, 6), nn.Linear(4, 3)
            self.pair = nn.Bilinear(6, 6, 4)

        def forward(self, x: Tensor) -> Tensor:
            x = self.stem(x).mean((2, 3))
            out: Tensor = self.pair(x, x)
            return out

    model = Odd()
    graph = ChannelGraph.trace(model, (images(),))
    assert not missing(model, graph)
    reasons = {f.name: f.reason for f in graph.frozen}
    assert reasons["pair"] == "goes through aten.bilinear.default, which has no rule"
    assert reasons["never"] == "the model does not use it on this example"


@pytest.mark.parametrize(
    ("name", "options"),
    [
        pytest.param("shufflenet-v1", {"widths": (60, 120, 240)}, marks=pytest.mark.slow),
        ("tiny-grouped", {}),
        ("tiny-shuffle", {}),
    ],
)
def test_networks_of_blocks_lose_most_of_their_macs_at_half_their_channels(
    name: str, options: dict[str, Any]
) -> None:
    graph = ChannelGraph.trace(build(name, **options), (images(size=16),), verify=False)
    half = np.array([[max(1, g.n_units // 2) * g.block for g in graph.groups]])
    lost = 1 - graph.macs(half)[0] / graph.macs(graph.widths[None])[0]
    assert lost >= 0.4


def test_blocks_whose_indices_cannot_be_equal_lose_equally_many(
    tmp_path: Path, check_candidates: Callable[..., None]
) -> None:
    """20 channels in 3 groups, shuffled: the blocks of the next layer begin in different places."""
    units = GroupedUnit(24, 240, 3, 2, first=True), GroupedUnit(240, 240, 3, 1, first=False)
    model = randomised(Classifier(nn.Sequential(conv(3, 24), *units), 240, 5), (images(),))
    graph = ChannelGraph.trace(model, (images(),), verify=False)
    (group,) = [g for g in graph.groups if g.name == "body.2.reduce.0"]
    assert (group.width, group.block) == (54, 9)
    stays = {f.name: f.width for f in graph.frozen}
    assert stays["body.2.reduce.0#2"] == 6
    plan = graph.plan({group.name: 27})
    (cut,) = [c for c in plan.cuts if c.tensor == "body.2.restore.0.weight"]
    assert (cut.dim, cut.size, cut.blocks) == (1, 20, 3)
    kept = [[i - 20 * b for i in cut.kept if i // 20 == b] for b in range(3)]
    assert len({len(row) for row in kept}) == 1
    assert kept[0] != kept[1]
    plan.save(tmp_path / "plan.json")
    assert PruningPlan.load(tmp_path / "plan.json") == plan
    small = plan.apply(model).get_submodule("body.2.restore.0")
    assert isinstance(small, nn.Conv2d)
    assert (small.in_channels, small.groups) == (27 + 6, 3)
    check_candidates(model, (images(),), graph, 1)


def test_whole_groups_of_a_normalisation_go_and_the_others_keep_their_statistics() -> None:
    model = behind(6, nn.GroupNorm(4, 8), conv(8, 6))
    graph = ChannelGraph.trace(model, (images(),))
    assert [(g.width, g.block) for g in graph.groups] == [(8, 2), (6, 1)]
    norm = graph.plan({graph.names[0]: 6}).apply(model).get_submodule("body.1")
    assert isinstance(norm, nn.GroupNorm)
    assert (norm.num_groups, norm.num_channels) == (3, 6)


def test_a_convolution_with_one_output_a_group_loses_whole_groups() -> None:
    model = behind(6, conv(8, 4, groups=4), conv(4, 6))
    graph = ChannelGraph.trace(model, (images(),))
    small = graph.plan({graph.names[0]: 6}).apply(model).get_submodule("body.1.0")
    assert isinstance(small, nn.Conv2d)
    assert (small.in_channels, small.out_channels, small.groups) == (6, 3, 3)
