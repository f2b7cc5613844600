"""What a graph cannot follow stays whole, with its reason; what it can stays free."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from layers import Head, Lambda, conv, images
from torch import Tensor, nn
from torch.nn import functional

from swarmopt_pruning.cost import count_macs
from swarmopt_pruning.graph import ChannelGraph


def test_an_operator_without_a_rule_freezes_what_it_reads_and_is_named() -> None:
    body = nn.Sequential(conv(3, 6), conv(6, 8), Lambda(lambda x: x.cumsum(1)), conv(8, 5))
    strange = Lambda(lambda x: (x + 1.5).lgamma())
    unknown = nn.Sequential(conv(3, 6), conv(6, 8), strange, conv(8, 5))
    graph = ChannelGraph.trace(Head(body, 5), (images(),))
    assert [g.name for g in graph.groups] == ["body.0.0", "body.3.0"]
    assert "cumsum" in {f.name: f.reason for f in graph.frozen}["body.1.0"]
    graph = ChannelGraph.trace(Head(unknown, 5), (images(),))
    assert [g.name for g in graph.groups] == ["body.0.0", "body.3.0"]
    assert "aten.lgamma.default, which has no rule" in graph.frozen[0].reason


@pytest.mark.parametrize(
    ("norm", "operator"), [(nn.GroupNorm(1, 8), "group_norm"), (nn.LayerNorm([8, 8, 8]), "layer_")]
)
def test_a_norm_over_several_channels_freezes_them(norm: nn.Module, operator: str) -> None:
    body = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), norm, conv(8, 5), conv(5, 4))
    graph = ChannelGraph.trace(Head(body, 4), (images(),))
    assert [g.name for g in graph.groups] == ["body.2.0", "body.3.0"]
    assert operator in graph.frozen[0].reason


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (lambda x: x.mean(1, keepdim=True) * x, "aten.mean.dim runs over the channels"),
        (lambda x: functional.pad(x, (0, 0, 0, 0, -1, 1)), "crops channels"),
        (lambda x: x[:, :, None].mul(x[:, None]).flatten(1, 2), "two sets of channels"),
        (lambda x: torch.cat(x.split([4, 2], 1)[::-1], 1), "unequal parts"),
        (lambda x: x.narrow(1, 0, 4).exp(), "apart at fixed indices"),
        (
            lambda x: functional.max_pool2d(x.transpose(1, 2), 2),
            "max_pool2d.default runs over the channels",
        ),
        (lambda x: x * torch.ones(6, 1, 1), "lines up in aten.mul.Tensor with an input"),
        (lambda x: torch.sigmoid(x.sum((1, 2, 3), keepdim=True)) * x, "aten.sum.dim_IntList"),
        (lambda x: x.std() * x, "aten.std.correction runs over"),
    ],
)
def test_what_cannot_be_followed_is_frozen_with_its_reason(
    function: Callable[[Tensor], Tensor], reason: str
) -> None:
    body = nn.Sequential(conv(3, 6), Lambda(function), conv(function(images(6)).shape[1], 5))
    graph = ChannelGraph.trace(Head(body, 5), (images(),), verify=False)
    assert graph.names == ("body.2.0",)
    assert reason in graph.frozen[0].reason


@pytest.mark.parametrize(
    "function",
    [
        lambda x: functional.pad(
            functional.interpolate(x, scale_factor=2), (1, 1, 1, 1), "reflect"
        ),
        lambda x: x.unsqueeze(2).expand(-1, -1, 3, -1, -1).mean(2),
        lambda x: x[:, :, 1:-1, ::2].contiguous().clamp(0, 1) ** 2,
        lambda x: torch.cat([x, x.flip(1)], 1).unbind(2)[0].unsqueeze(-1),
        lambda x: x * (x > 0.1) - x.softmax(-1) + x.view(2, -1, 64).mean(-1)[..., None, None],
        lambda x: torch.cat([x.flatten(2), x.new_ones(2, 2, 64)], 1).view(2, -1, 8, 8),
        lambda x: x.chunk(1, 1)[0] + torch.ones(()) * x.chunk(2, 2)[0].mean(2, keepdim=True),
    ],
)
def test_what_only_moves_or_maps_channels_leaves_them_free(
    function: Callable[[Tensor], Tensor],
) -> None:
    body = nn.Sequential(conv(3, 6), Lambda(function), conv(function(images(6)).shape[1], 5))
    graph = ChannelGraph.trace(Head(body, 5), (images(),))
    assert graph.names == ("body.0.0", "body.2.0")


def test_products_of_activations_are_measured_and_named() -> None:
    def gram(x: Tensor) -> Tensor:
        flat = x.flatten(2)
        return (flat @ flat.transpose(1, 2)).unsqueeze(1)

    model = nn.Sequential(conv(3, 6), conv(6, 8), Lambda(gram), nn.Flatten(), nn.Linear(64, 5))
    graph = ChannelGraph.trace(model, (images(),))
    assert graph.names == ("0.0",)
    assert graph.fixed_operators == ("aten.matmul.default",)
    counts = np.array([[4], [6]])
    measured = [count_macs(graph.plan({"0.0": n}).apply(model), (images(),)) for n in (4, 6)]
    assert graph.macs(counts).tolist() == measured


def test_channels_taken_by_fixed_indices_are_frozen() -> None:
    model = Head(nn.Sequential(conv(3, 6), Lambda(lambda x: x[:, 1:5]), conv(4, 5)), 5)
    graph = ChannelGraph.trace(model, (images(),), verify=False)
    assert graph.names == ("body.2.0",)
    assert "fixed indices" in graph.frozen[0].reason


def test_channels_behind_a_layer_over_the_pixels_are_not_taken_apart() -> None:
    tokens = nn.Sequential(conv(3, 6), nn.Flatten(2), nn.Linear(64, 10), nn.ReLU())
    model = nn.Sequential(tokens, nn.Linear(10, 4), nn.Flatten(), nn.Linear(24, 3))
    graph = ChannelGraph.trace(model, (images(),), verify=False)
    assert [(g.name, g.width) for g in graph.groups] == [("0.2", 10), ("1", 4)]
    assert graph.frozen[0].reason == "it can only be cut as a whole"


def test_a_weight_that_is_computed_or_read_elsewhere_is_frozen() -> None:
    class Standardised(nn.Conv2d):
        def forward(self, x: Tensor) -> Tensor:
            weight = self.weight - self.weight.mean((1, 2, 3), keepdim=True)
            return functional.conv2d(x, weight, self.bias, padding=1)

    class Penalised(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(8, 6, 3, padding=1)

        def forward(self, x: Tensor) -> Tensor:
            out: Tensor = self.conv(x) * self.conv.weight.abs().sum()
            return out

    body = nn.Sequential(conv(3, 6), Standardised(6, 7, 3, padding=1), conv(7, 8), Penalised())
    graph = ChannelGraph.trace(Head(body, 6), (images(),))
    assert graph.names == ()
    assert {f.name: f.width for f in graph.frozen}["body.3.conv"] == 6
    assert (
        graph.macs(np.zeros((3, 0), dtype=int)).tolist()
        == [count_macs(Head(body, 6), (images(),))] * 3
    )


def test_layers_of_another_kind_freeze_only_what_they_touch() -> None:
    class Reads(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = conv(3, 6), conv(6, 5)
            self.lstm = nn.LSTM(5, 4, batch_first=True)

        def forward(self, x: Tensor) -> dict[str, Tensor]:
            x = self.second(self.first(x))
            return {"last": self.lstm(x.flatten(2).transpose(1, 2))[0][:, -1]}

    graph = ChannelGraph.trace(Reads(), (images(),))
    assert graph.names == ("first.0",)
    frozen = {f.name: (f.width, f.reason) for f in graph.frozen}
    assert list(frozen) == ["second.0", "lstm.weight_ih_l0", "lstm.weight_hh_l0"]
    assert frozen["second.0"][0] == 5
    assert all("aten.lstm" in reason for _, reason in frozen.values())


def test_layers_that_do_not_fit_their_rule_are_frozen_and_their_cost_is_measured() -> None:
    class Halved(nn.Module):
        """Layers whose weights are computed from parameters."""

        def __init__(self) -> None:
            super().__init__()
            self.up = nn.Parameter(torch.randn(6, 5, 2, 2))
            self.out = nn.Parameter(torch.randn(4, 5))

        def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
            x = functional.conv_transpose2d(x, self.up / 2)
            return functional.linear(x.mean((2, 3)), self.out / 2), [x]

    model = nn.Sequential(conv(3, 4), conv(4, 6), Halved())
    graph = ChannelGraph.trace(model, (images(),))
    assert graph.names == ("0.0",)
    assert "aten.conv_transpose2d.input has a computed weight" in graph.frozen[0].reason
    assert set(graph.fixed_operators) == {
        "aten.conv_transpose2d.input",
        "aten.linear.default",
    }
    small = graph.plan({"0.0": 3}).apply(model)
    assert graph.macs(np.array([[3]])).tolist() == [count_macs(small, (images(),))]


def test_one_image_without_a_batch_dimension_freezes_its_convolution() -> None:
    class Unbatched(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Conv2d(3, 6, 3), nn.Conv2d(6, 4, 3)

        def forward(self, x: Tensor) -> Tensor:
            out: Tensor = self.second(self.first(x)[0])
            return out

    graph = ChannelGraph.trace(Unbatched(), (images(),))
    assert graph.groups == ()
    assert "without a batch dimension" in graph.frozen[0].reason
