"""Every operator between two layers leaves the channels free, or freezes them with a reason."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from swarmopt_pruning.graph import ChannelGraph
from swarmopt_pruning.verify import randomised

Function = Callable[[Tensor], Tensor]


def images() -> Tensor:
    return torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(1))


class Lambda(nn.Module):
    def __init__(self, function: Function) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


def between(function: Function) -> nn.Module:
    """Return a network that calls a function on eight channels."""
    width = function(torch.randn(2, 8, 8, 8).abs() + 0.1).shape[1]
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), Lambda(function), nn.Conv2d(width, 4, 1), nn.Flatten()
    )
    return randomised(model, (images(),))


def halves(x: Tensor) -> tuple[Tensor, Tensor]:
    middle = x.shape[1] // 2
    return x[:, :middle], x[:, middle:]


def many_functions(x: Tensor) -> Tensor:
    x = functional.mish(functional.selu(functional.celu(functional.elu(functional.gelu(x)))))
    x = functional.hardshrink(functional.softshrink(functional.tanhshrink(x * 3)), 0.01)
    x = functional.threshold(functional.rrelu(functional.silu(x)), -1.0, 0.2)
    x = functional.softplus(functional.hardswish(functional.relu6(functional.logsigmoid(x))))
    x = torch.erf(x) + torch.sin(x) - torch.floor(x) * torch.expm1(-x.abs())
    return torch.atan2(x, x + 1.5) + torch.fmod(x, 2) + torch.remainder(x, 3) + x.sign()


def many_choices(x: Tensor) -> Tensor:
    x = torch.where((x > 0) & (x < 1) | (x > 2), x, -x) * (~(x > 3))
    x = x.masked_fill(x > 1, 0.5).clamp(-1, 1) + torch.maximum(x, x * 2) + x.nan_to_num()
    return torch.relu_(x.clone().add_(1).mul_(0.5)) + torch.ones_like(x).type_as(x)


def many_sizes(x: Tensor) -> Tensor:
    wide = functional.interpolate(x, scale_factor=2, mode="bilinear", antialias=True)
    wide = functional.pad(
        functional.pad(wide, (1, 1, 0, 0), mode="reflect"), (0, 0, 2, 2), mode="circular"
    )
    small = functional.adaptive_avg_pool2d(wide, 4) + functional.adaptive_max_pool2d(x, (4, 4))
    small = small + functional.interpolate(x, size=4, mode="area") + functional.lp_pool2d(x, 2, 2)
    grid = torch.zeros(x.shape[0], 4, 4, 2)
    return small + functional.grid_sample(x, grid, align_corners=False)


def many_orders(x: Tensor) -> Tensor:
    x = x.swapaxes(1, 3).movedim(3, 1).flip(2).roll((1, 2), (2, 3)).contiguous()
    x = x.sort(2)[0] + x.topk(8, dim=3)[0] + x.cumsum(2) + x.softmax(3) + x.logsumexp(2, True)
    x = x - x.mean(0, keepdim=True) + x.amax((2, 3), keepdim=True) + x.max(3, keepdim=True)[0]
    return functional.normalize(x, dim=2) + x.var((2, 3), keepdim=True).sqrt()


FREE: dict[str, tuple[Function, int]] = {
    "functions": (many_functions, 1),
    "choices": (many_choices, 1),
    "sizes": (many_sizes, 1),
    "orders": (many_orders, 1),
    "pixel_shuffle": (lambda x: functional.pixel_shuffle(x, 2), 4),
    "pixel_shuffle and pool": (
        lambda x: functional.avg_pool2d(functional.pixel_shuffle(x, 2), 2), 4,
    ),
    "pixel_unshuffle": (lambda x: functional.pixel_unshuffle(x, 2), 1),
    "channel_shuffle": (lambda x: functional.channel_shuffle(x, 2), 2),
    "unfold": (lambda x: functional.unfold(x, 3, padding=1).view(x.shape[0], -1, 8, 8), 1),
    "fold": (lambda x: functional.fold(functional.unfold(x, 2, stride=2), 8, 2, stride=2), 1),
    "chunk": (lambda x: torch.cat([y * i for i, y in enumerate(x.chunk(4, 1))], 1), 4),
    "tensor_split": (lambda x: x.tensor_split(2, 1)[0] * x.tensor_split(2, 1)[1], 2),
    "hsplit": (lambda x: torch.cat(torch.hsplit(x, 2)[::-1], 1), 2),
    "split by width": (lambda x: torch.cat(torch.split(x, x.shape[1] // 2, 1)[::-1], 1), 2),
    "slices by width": (lambda x: torch.cat([halves(x)[1].tanh(), halves(x)[0]], 1), 2),
    "narrow by width": (lambda x: x.narrow(1, 0, x.shape[1] // 2), 2),
    "every second": (lambda x: torch.cat([x[:, ::2], x[:, 1::2].tanh()], 1), 2),
    "pairs of neighbours": (lambda x: x.view(x.shape[0], -1, 2, 8, 8).amax(2), 2),
    "pairs of halves": (lambda x: x.view(x.shape[0], 2, -1, 8, 8).amax(1), 2),
    "unflatten": (lambda x: torch.unflatten(x, 1, (-1, 4)).prod(2), 4),
    "select a half": (lambda x: torch.unflatten(x, 1, (2, -1))[:, 0].exp(), 2),
    "unbind halves": (lambda x: torch.unflatten(x, 1, (2, -1)).unbind(1)[1], 2),
    "stack": (lambda x: torch.stack([x, x.sin()], 2).flatten(1, 2), 1),
    "repeat": (lambda x: x.repeat(1, 2, 1, 1) + torch.tile(x, (1, 2, 1, 1)), 1),
    "repeat_interleave": (lambda x: x.repeat_interleave(2, 1), 1),
    "expand": (lambda x: x.mean((2, 3), keepdim=True).expand(-1, -1, 8, 8), 1),
    "one dimension": (lambda x: x.flatten(2).unsqueeze(-1), 1),
    "images as samples": (lambda x: x.reshape(-1, 1, 8, 8).sin().reshape(x.shape[0], -1, 8, 8), 1),
    "gates": (lambda x: functional.glu(x, 1), 2),
    "new channels": (lambda x: torch.cat([x, x.new_zeros(x.shape[0], 3, 8, 8)], 1), 1),
    "coordinates": (
        lambda x: torch.cat([x, torch.linspace(-1, 1, 8).expand(x.shape[0], 1, 8, 8)], 1), 1,
    ),
    "padded channels": (lambda x: functional.pad(x, (0, 0, 0, 0, 2, 2)), 1),
}  # fmt: skip


@pytest.mark.parametrize("name", FREE)
def test_channels_stay_free_in_blocks_that_the_operator_asks_for(
    name: str, check_candidates: Callable[..., None], thorough: bool
) -> None:
    function, block = FREE[name]
    model = between(function)
    graph = ChannelGraph.trace(model, (images(),), verify=thorough)
    assert [(g.name, g.width, g.block) for g in graph.groups] == [("0", 8, block)]
    check_candidates(model, (images(),), graph, 20)


def in_place_on_a_part(x: Tensor) -> Tensor:
    x = x.clone()
    x[:, 0] = 1
    return x


FROZEN: dict[str, tuple[Function, str]] = {
    "mean over channels": (lambda x: x * x.mean(1, keepdim=True), "mean.dim runs over the"),
    "softmax over channels": (lambda x: x.softmax(1), "softmax.int runs over the"),
    "largest channel": (lambda x: x.max(1, keepdim=True)[0], "max.dim runs over the channels"),
    "pooled channels": (lambda x: torch.cat([x.amax(1, True), x.sum(1, True)], 1), "runs over"),
    "local response": (lambda x: functional.local_response_norm(x, 3), "avg_pool3d.default runs"),
    "length of channels": (lambda x: functional.normalize(x, dim=1), "runs over the channels"),
    "variance of channels": (lambda x: x / x.var(1, keepdim=True).sqrt(), "runs over the channels"),
    "einsum": (lambda x: torch.einsum("nchw,ndhw->ncd", x, x)[..., None], "einsum.default, which"),
    "attention": (
        lambda x: functional.scaled_dot_product_attention(x, x, x.cumsum(1)),
        "runs over the channels",
    ),
    "matmul": (lambda x: x @ x.transpose(2, 3), "aten.matmul.default, which has no rule"),
    "roll over channels": (lambda x: x.roll(1, 1), "apart at fixed indices"),
    "one channel": (lambda x: x[:, 3].unsqueeze(1), "apart at fixed indices"),
    "listed channels": (lambda x: x[:, [3, 1, 2]], "aten.index.Tensor, which has no rule"),
    "all but one": (lambda x: x[:, 1:] - x[:, :-1], "apart at fixed indices"),
    "unequal parts": (lambda x: torch.cat(x.chunk(3, 1)[::-1], 1), "makes unequal parts"),
    "parts of a fixed width": (
        lambda x: torch.cat(torch.split(x, 4, 1)[::-1], 1), "when it is cut|differs",
    ),
    "a fixed half": (lambda x: torch.cat([x[:, :4].cos(), x[:, 4:]], 1), "when it is cut|differs"),
    "fixed indices": (lambda x: x.gather(1, torch.zeros(2, 4, 8, 8, dtype=torch.long)), "gather"),
    "constant for each channel": (
        lambda x: x * torch.linspace(1, 2, 8).view(8, 1, 1), "lines up in aten.mul.Tensor with an",
    ),
    "all pairs": (lambda x: (x[:, :, None] * x[:, None]).flatten(1, 2), "two sets of channels"),
    "spectrum": (lambda x: torch.fft.fft2(x).abs(), "aten.fft_fft2.default, which has no rule"),
    "assignment": (in_place_on_a_part, "fixed indices|no rule"),
}  # fmt: skip


@pytest.mark.parametrize("name", FROZEN)
def test_what_cannot_be_cut_is_frozen_with_its_reason(name: str) -> None:
    function, reason = FROZEN[name]
    graph = ChannelGraph.trace(between(function), (images(),))
    assert graph.groups == ()
    assert sum(f.width for f in graph.frozen if f.name.startswith("0")) == 8
    assert any(part in f.reason for f in graph.frozen[:1] for part in reason.split("|"))


class Scale(nn.Module):
    def __init__(self, apply: Callable[[Tensor, nn.Parameter], Tensor], *shape: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(*shape))
        self.apply_to = apply

    def forward(self, x: Tensor) -> Tensor:
        return self.apply_to(x, self.weight)


SCALES: dict[str, tuple[Callable[[Tensor, nn.Parameter], Tensor], tuple[int, ...]]] = {
    "of the right shape": (lambda x, w: x * w, (8, 1, 1)),
    "first": (lambda x, w: w + x, (1, 8, 1, 1)),
    "indexed": (lambda x, w: x * w[None, :, None, None], (8,)),
    "viewed": (lambda x, w: x * w.view(1, -1, 1, 1).exp(), (8,)),
    "channels last": (lambda x, w: (x.permute(0, 2, 3, 1) * w).permute(0, 3, 1, 2), (8,)),
    "in three operands": (lambda x, w: torch.addcmul(x, x.sin(), w.view(-1, 1, 1)), (8,)),
    "for each pixel": (lambda x, w: x + w, (8, 8, 8)),
    "a single one": (lambda x, w: x * w, (1,)),
    "a single one of three operands": (lambda x, w: torch.addcmul(x, x.sin(), w), (1,)),
    "as a slope": (functional.prelu, (8,)),
}


@pytest.mark.parametrize("name", SCALES)
def test_a_parameter_for_each_channel_goes_with_its_channel(
    name: str, check_candidates: Callable[..., None], thorough: bool
) -> None:
    apply, shape = SCALES[name]
    layers = nn.Conv2d(3, 8, 3, padding=1), Scale(apply, *shape), nn.Conv2d(8, 4, 1)
    model = randomised(nn.Sequential(*layers), (images(),))
    graph = ChannelGraph.trace(model, (images(),), verify=thorough)
    assert [(g.name, g.width, g.block) for g in graph.groups] == [("0", 8, 1)]
    small = graph.plan({"0": 3}).apply(model)
    assert small.get_parameter("1.weight").numel() == (
        3 * 64 if name == "for each pixel" else 1 if "single" in name else 3
    )
    check_candidates(model, (images(),), graph, 20)


def test_attention_layers_freeze_what_they_read_and_their_products_are_counted(
    check_candidates: Callable[..., None],
) -> None:
    class Attends(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Conv2d(3, 6, 3), nn.Conv2d(6, 8, 3)
            self.layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)

        def forward(self, x: Tensor) -> Tensor:
            tokens = self.second(self.first(x).relu()).flatten(2).transpose(1, 2)
            out: Tensor = self.layer(tokens)
            return out.mean(1)

    model = randomised(Attends(), (images(),))
    graph = ChannelGraph.trace(model, (images(),))
    assert graph.names == ("first", "layer.linear1")
    assert {"second", "layer.self_attn.in_proj_weight"} <= {f.name for f in graph.frozen}
    check_candidates(model, (images(),), graph, 20)
