"""Models that cannot be traced are refused with what to do; odd ones lose only what they must."""

import copy
import threading
import warnings
from collections.abc import Callable

import pytest
import torch
from layers import Lambda, images
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrizations, parametrize, prune

from swarmopt_pruning.errors import NotExportable, PruningError
from swarmopt_pruning.graph import ChannelGraph
from swarmopt_pruning.models import build


def stack(*between: nn.Module) -> nn.Sequential:
    first, second = nn.Conv2d(3, 6, 3), nn.Conv2d(6, 8, 3)
    return nn.Sequential(first, second, *between, nn.Conv2d(8, 5, 1), nn.Conv2d(5, 2, 1))


def branches(x: Tensor) -> Tensor:
    if x.mean() > 0:
        return x + 1
    return x


def positive(x: Tensor) -> int:
    return x.nonzero().shape[0]


def filtered(x: Tensor) -> Tensor:
    return x[x.mean((1, 2, 3)) > -5]


def normed(x: Tensor) -> Tensor:
    return functional.batch_norm(x, torch.zeros(8), torch.ones(8))


DATA_DEPENDENT: dict[str, tuple[Callable[[Tensor], Tensor], str]] = {
    "a branch": (branches, r"`if x\.mean\(\) > 0:` \(line \d+ of test_graph_b.*, in branches"),
    "a number": (lambda x: x * float(x.mean().item()), r"\.item\(\).* \(line \d+ of test_graph_b"),
    "a width": (lambda x: x[:, : int((x > 0).sum()) % 8 + 1], r"line \d+ of test_graph_border"),
    "a mask": (lambda x: x[x > 0].view(1, -1, 1, 1), r"`.*x\[x > 0\].*line \d+ of test_graph_b"),
    "a filter": (lambda x: normed(filtered(x)), r"`return x\[.* \(line \d+ of .*, in filtered\)"),
    "a helper": (lambda x: x + positive(x), r"`return x\.nonzero.* \(line \d+.*, in positive\)"),
    "numpy": (lambda x: torch.from_numpy(x.detach().numpy()), r"numpy\(\).* \(line \d+"),
}  # fmt: skip


@pytest.mark.parametrize("name", DATA_DEPENDENT)
def test_a_decision_on_values_is_named_with_its_line(name: str) -> None:
    function, message = DATA_DEPENDENT[name]
    model = nn.Sequential(nn.Conv2d(3, 8, 3), Lambda(function))
    with pytest.raises(NotExportable, match=message) as caught:
        ChannelGraph.trace(model, (images(),))
    assert "torch.where" in str(caught.value)


@pytest.mark.parametrize(
    ("example", "message"),
    [
        ((images(4),), r"to have 3 channels.*float32 \(2, 4, 8, 8\) on cpu.*float32 on cpu"),
        ((images().double(),), r"example is \(float64 .*the model's tensors are float32 on cpu"),
        ((images().to("meta"),), r"on the meta device, \(float32 .*pass a real batch"),
        (
            (images()[:0],),
            r"example is empty, \(float32 \(0, 3, 8, 8\) on cpu\): .*pass one",
        ),
        ((images(), images()), r"example is \(float32 .*, float32"),
        ((3,), r"example is \(int\)"),
    ],
)
def test_an_example_that_does_not_fit_is_shown_beside_the_model(
    example: tuple[object, ...], message: str
) -> None:
    with pytest.raises(PruningError, match=message) as caught:
        ChannelGraph.trace(stack(), example)
    assert not isinstance(caught.value, NotExportable)


def scripted() -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return nn.Sequential(torch.jit.trace(nn.Conv2d(3, 8, 3), images()))  # type: ignore[no-untyped-call]


def quantized() -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = nn.Sequential(nn.Flatten(), nn.Linear(192, 4))
        made: nn.Module = torch.ao.quantization.quantize_dynamic(model, {nn.Linear})  # type: ignore[no-untyped-call]
        return made


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (scripted, "0 is a TorchScript module .*Trace the nn.Module that it was scripted from"),
        (quantized, "1 is quantized .*Prune the floating-point network, and quantize the result"),
        (lambda: stack().to("meta"), r"0\.weight is on the meta device .*to_empty"),
        (lambda: nn.Sequential(nn.LazyConv2d(4, 3)), "has no shape yet: run the lazy model once"),
        (lambda: nn.DataParallel(stack()), r"is a DataParallel, .*trace the .*model\.module"),
        pytest.param(
            lambda: torch.compile(stack()),
            r"made by torch\.compile: trace .*model\._orig_mod",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_model_of_another_kind_is_refused_with_the_cure(
    make: Callable[[], nn.Module], message: str
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # lazy modules, and TorchScript, announce themselves
        model = make()
    with pytest.raises(PruningError, match=message):
        ChannelGraph.trace(model, (images(),))


def test_a_forward_that_takes_names_only_is_told_the_way_around() -> None:
    class Named(nn.Module):
        def forward(self, *, pixels: Tensor) -> Tensor:
            return pixels

    with pytest.raises(PruningError, match=r"pixels by name only: .*self\.model\(pixels=x\)"):
        ChannelGraph.trace(Named(), (images(),))


def test_code_that_becomes_one_operator_says_how_to_take_it_apart() -> None:
    class Silent(nn.Sequential):
        def forward(self, x: Tensor) -> Tensor:
            with torch.no_grad():
                x = self[0](x)
            out: Tensor = self[2](self[1](x))
            return out

    graph = ChannelGraph.trace(Silent(*stack().children()), (images(),))
    reasons = {frozen.name: frozen.reason for frozen in graph.frozen}
    assert "take torch.no_grad() out of forward" in reasons["0"]
    assert graph.names == ("1",)


def test_what_reads_a_parameter_is_pruned_like_what_reads_an_image() -> None:
    class Prototype(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.map = nn.Parameter(torch.randn(1, 3, 6, 6))
            self.look, self.up = nn.Conv2d(3, 6, 3), nn.ConvTranspose2d(3, 6, 1)
            self.body, self.head = nn.Conv2d(3, 6, 3), nn.Conv2d(6, 2, 1)

        def forward(self, x: Tensor) -> Tensor:
            extra = self.look(self.map).mean((2, 3)) + self.up(self.map).mean((2, 3))
            out: Tensor = self.head(self.body(x) + extra[:, :, None, None])
            return out

    graph = ChannelGraph.trace(Prototype(), (images(),))
    assert [(group.width, group.name) for group in graph.groups] == [(6, "look")]
    reasons = {frozen.name: frozen.reason for frozen in graph.frozen}
    assert "reads, like an input of the model" in reasons["map"]


def test_something_that_is_no_model_is_refused() -> None:
    with pytest.raises(PruningError, match=r"must be a torch\.nn\.Module, got function"):
        ChannelGraph.trace(images, (images(),))


def test_a_model_that_draws_numbers_cannot_be_verified_and_says_so() -> None:
    model = stack(Lambda(lambda x: x * torch.rand_like(x)))
    with pytest.raises(PruningError, match=r"answers differently .*verify=False"):
        ChannelGraph.trace(model, (images(),))
    assert len(ChannelGraph.trace(model, (images(),), verify=False).groups) == 2


def test_a_model_that_does_not_run_again_is_told_with_its_own_error() -> None:
    runs: list[int] = []

    def tires(x: Tensor) -> Tensor:
        runs.append(1)
        if len(runs) > 3:  # once as it is, once exported, once counted
            raise LookupError("no more runs")
        return x

    with pytest.raises(PruningError, match=r"not a second time .*LookupError: no more runs"):
        ChannelGraph.trace(stack(Lambda(tires)), (images(),))


def test_a_model_that_answers_nan_cannot_be_verified_and_says_so() -> None:
    with pytest.raises(PruningError, match="NaN or inf only"):
        ChannelGraph.trace(stack(Lambda(lambda x: (-1 - x.abs()).sqrt())), (images(),))


def test_an_answer_that_is_nan_in_places_is_compared_in_the_others() -> None:
    model = stack()
    model.append(Lambda(lambda x: torch.cat([x, torch.full_like(x, torch.nan)])))
    assert len(ChannelGraph.trace(model, (images(),)).groups) == 3


@torch.library.custom_op("swarmopt_tests::gate", mutates_args=())
def gate(x: Tensor) -> Tensor:
    return torch.sigmoid(x) * x.flip(1)


@gate.register_fake
def _(x: Tensor) -> Tensor:
    return torch.empty_like(x)


@torch.library.custom_op("swarmopt_tests::unknown", mutates_args=())
def unknown(x: Tensor) -> Tensor:
    return x.clone()


def test_a_custom_operator_is_named_its_neighbours_stay_and_the_rest_is_free() -> None:
    graph = ChannelGraph.trace(stack(Lambda(torch.ops.swarmopt_tests.gate.default)), (images(),))
    assert graph.names == ("0", "3")
    assert graph.frozen[0].name == "1"
    assert graph.frozen[0].reason == ("goes through swarmopt_tests.gate.default, which has no rule")


def test_a_custom_operator_without_a_fake_implementation_is_told_how_to_get_one() -> None:
    with pytest.raises(NotExportable, match=r"unknown.*@torch\.library\.register_fake\('"):
        ChannelGraph.trace(stack(Lambda(torch.ops.swarmopt_tests.unknown.default)), (images(),))


def test_a_model_that_cannot_be_copied_is_told_so() -> None:
    model = stack()
    model.lock = threading.Lock()  # type: ignore[assignment]
    with pytest.raises(PruningError, match=r"cannot be copied .*lock.*copy\.deepcopy\(model\)"):
        ChannelGraph.trace(model, (images(),))


def old_weight_norm(layer: nn.Module) -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.nn.utils.weight_norm(layer)


def masked_by_torch(layer: nn.Module) -> nn.Module:
    made: nn.Module = prune.l1_unstructured(layer, "weight", 0.5)  # type: ignore[no-untyped-call]
    return made


@pytest.mark.parametrize(
    ("wrap", "cure"),
    [
        (parametrizations.weight_norm, "parametrize.remove_parametrizations(1, 'weight')"),
        (parametrizations.spectral_norm, "parametrize.remove_parametrizations(1, 'weight')"),
        (old_weight_norm, "remove_weight_norm(1)"),
        (torch.nn.utils.spectral_norm, "remove_spectral_norm(1)"),
        (masked_by_torch, "prune.remove(1, 'weight')"),
    ],
)
def test_a_weight_that_torch_computes_stays_and_says_how_to_free_it(
    wrap: Callable[[nn.Module], nn.Module], cure: str, check_candidates: Callable[..., None]
) -> None:
    model = stack()
    wrap(model[1])
    model(images())
    graph = ChannelGraph.trace(model, (images(),))
    assert graph.names == ("2",)
    makers = ("original", "original1", "_g", "_orig")
    own = [f.reason for f in graph.frozen if f.name.endswith(makers)]
    assert len(own) == 1
    assert cure in own[0]
    assert cure in next(f.reason for f in graph.frozen if f.name == "0")
    check_candidates(model.eval(), (images(),), graph, 5)


def test_a_parametrisation_that_was_removed_leaves_nothing_behind() -> None:
    model = stack()
    parametrizations.weight_norm(model[1])
    parametrize.remove_parametrizations(model[1], "weight")
    assert len(ChannelGraph.trace(model, (images(),)).groups) == 3


def test_hooks_are_called_with_copies_and_stay_on_the_pruned_model() -> None:
    seen: list[Tensor] = []
    model = stack()
    model[0].register_forward_hook(lambda _, __, out: seen.append(out.detach()))
    graph = ChannelGraph.trace(model, (images(),))
    small = graph.plan({"0": 2}).apply(model)
    seen.clear()
    small(images())
    assert [x.shape[1] for x in seen] == [2]


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_another_type_is_traced_in_that_type(dtype: torch.dtype) -> None:
    graph = ChannelGraph.trace(stack().to(dtype), (images().to(dtype),))
    free = ChannelGraph.trace(stack(), (images(),), verify=False)
    assert graph.groups == free.groups


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_a_network_of_branches_is_traced_in_another_type(dtype: torch.dtype) -> None:
    graph = ChannelGraph.trace(build("tiny-concat").to(dtype), (images().to(dtype),))
    free = ChannelGraph.trace(build("tiny-concat"), (images(),))
    assert graph.groups == free.groups


def test_inputs_may_be_nested_and_the_batch_is_found_inside() -> None:
    class Takes(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = stack()

        def forward(self, inputs: dict[str, list[Tensor]]) -> Tensor:
            out: Tensor = self.body(inputs["images"][0])
            return out

    assert len(ChannelGraph.trace(Takes(), ({"images": [images()]},)).groups) == 3


def test_an_operator_that_hides_its_products_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def count(*_: object) -> int:
        raise RuntimeError("Unsupported: higher-order operator")

    monkeypatch.setattr("swarmopt_pruning.graph.batch_macs", count)
    with pytest.raises(PruningError, match=r"cannot be counted.*Unsupported.*torch\.where"):
        ChannelGraph.trace(stack(), (images(),))


def test_a_shape_changed_in_place_freezes_its_channels() -> None:
    model = stack(Lambda(lambda x: x.clone().transpose_(1, 2).tanh().transpose(1, 2)))
    graph = ChannelGraph.trace(model, (images(),))
    assert graph.names == ("0", "3")
    assert "transpose_.default changes the shape of a tensor in place" in graph.frozen[0].reason


def test_nothing_is_lost_when_a_trace_is_refused() -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), Lambda(branches)).train()
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(NotExportable):
        ChannelGraph.trace(model, (images(),))
    assert all(module.training for module in model.modules())
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
