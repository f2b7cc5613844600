"""A plan is data: it survives a file, fits its own model and no other."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call

from swarmopt_pruning.compose import _cuts
from swarmopt_pruning.errors import PlanCorrupted, PlanMismatch, PruningError
from swarmopt_pruning.fingerprint import shapes_of
from swarmopt_pruning.graph import ChannelGraph
from swarmopt_pruning.models import build
from swarmopt_pruning.plan import Cut, PruningPlan

torch.set_num_threads(1)


def images() -> Tensor:
    return torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def model() -> nn.Module:
    return build("digits-resnet", widths=(4, 6, 8)).eval()


@pytest.fixture(scope="module")
def plan(model: nn.Module) -> PruningPlan:
    graph = ChannelGraph.trace(model, (images(),))
    return graph.plan({"stem": 3, "layer2.0.conv1": [0, 5], "layer3.0.conv2": 5})


def test_a_plan_survives_a_file(plan: PruningPlan, model: nn.Module, tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    plan.save(path)
    loaded = PruningPlan.load(path)
    assert loaded == plan
    assert loaded.fingerprint == plan.fingerprint
    assert [p.name for p in tmp_path.iterdir()] == ["plan.json"]
    torch.testing.assert_close(loaded.apply(model)(images()), plan.apply(model)(images()))


def test_a_plan_needs_no_trace_and_fits_other_weights_and_types(plan: PruningPlan) -> None:
    other = build("digits-resnet", widths=(4, 6, 8)).eval().double()
    x = images().double()
    small, masked = plan.apply(other), plan.mask(other)
    torch.testing.assert_close(small(x), masked(x))
    assert next(small.parameters()).dtype == torch.float64


def test_the_original_is_not_touched_and_shares_nothing(plan: PruningPlan) -> None:
    original = build("digits-resnet", widths=(4, 6, 8))
    before = {name: tensor.clone() for name, tensor in original.state_dict().items()}
    for made in (plan.apply(original), plan.mask(original)):
        with torch.no_grad():
            for tensor in made.state_dict().values():
                tensor.zero_()
    for name, tensor in original.state_dict().items():
        torch.testing.assert_close(tensor, before[name], rtol=0, atol=0)


def test_layers_of_the_smaller_network_say_their_new_sizes(
    plan: PruningPlan, model: nn.Module
) -> None:
    small = plan.apply(model)
    for module in small.modules():
        if isinstance(module, nn.Conv2d):
            out, into = module.weight.shape[:2]
            assert (module.out_channels, module.in_channels) == (out, into)
        elif isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.num_features == len(module.weight) == len(module.running_mean)
        elif isinstance(module, nn.Linear):
            assert (module.out_features, module.in_features) == tuple(module.weight.shape)
    assert plan.kept["stem"] != tuple(range(4))
    assert small.get_parameter("layer2.0.conv1.weight").shape[:2] == (2, 3)


def test_slices_run_the_original_as_the_smaller_network(
    plan: PruningPlan, model: nn.Module
) -> None:
    sliced = plan.slice(model.state_dict())
    small = dict(plan.apply(model).state_dict())
    assert set(sliced) == {n for n, s in shapes_of(model).items() if s != tuple(small[n].shape)}
    with plan.resized(model):
        found = functional_call(model, sliced, (images(),))
    torch.testing.assert_close(found, plan.apply(model)(images()))


def test_a_smaller_network_trains(plan: PruningPlan, model: nn.Module) -> None:
    small = plan.apply(model).train()
    small(images()).sum().backward()
    assert all(p.grad is not None and p.grad.shape == p.shape for p in small.parameters())


def test_gradients_flow_back_through_slices(plan: PruningPlan, model: nn.Module) -> None:
    sliced = plan.slice(dict(model.named_parameters()) | dict(model.named_buffers()))
    functional_call(model, sliced, (images(),)).sum().backward()
    gradient = model.get_parameter("layer2.0.conv1.weight").grad
    assert gradient is not None
    assert gradient.flatten(1).abs().sum(1).nonzero().flatten().tolist() == [0, 5]
    model.zero_grad()


def test_resized_attributes_are_put_back(model: nn.Module) -> None:
    net = nn.Sequential(nn.Conv2d(1, 6, 3), nn.Conv2d(6, 6, 3, groups=6), nn.Conv2d(6, 2, 1))
    plan = ChannelGraph.trace(net, (images(),)).plan({"0": 2})
    with plan.resized(net):
        assert net[1].groups == 2
    assert net[1].groups == 6
    with pytest.raises(RuntimeError), plan.resized(net):
        net(torch.zeros(1, 1, 8, 8))  # the whole weights do not fit two groups
    assert net[1].groups == 6
    assert net[0].out_channels == 6


def test_a_plan_is_refused_by_another_model_with_what_differs(plan: PruningPlan) -> None:
    with pytest.raises(PlanMismatch, match=r"stem\.weight is \(5, 1, 3, 3\) instead of \(4, 1"):
        plan.apply(build("digits-resnet", widths=(5, 6, 8)))
    with pytest.raises(PlanMismatch, match=r"no stem\.weight .*conv1\.weight besides"):
        plan.mask(build("digits-cnn"))
    with pytest.raises(PlanMismatch, match="before it is pruned"):
        plan.apply(plan.apply(build("digits-resnet", widths=(4, 6, 8))))
    with pytest.raises(PlanMismatch, match="no such tensor"):
        plan.slice(build("digits-cnn").state_dict())


def edited(content: dict[str, Any], *keys: Any, to: Any) -> dict[str, Any]:
    part: Any = content
    for key in keys[:-1]:
        part = part[key]
    part[keys[-1]] = to
    return content


@pytest.mark.parametrize(
    ("keys", "value", "message"),
    [
        (["schema"], 2, "schema 2, this version reads schema 1"),
        (["schema"], True, "schema True"),
        (["fingerprint"], "0", "fingerprint"),
        (["shapes", "stem.weight"], [9, 1, 3, 3], "fingerprint"),
        (["shapes", "stem.weight"], "x", "whole numbers"),
        (["shapes"], [], "'shapes' is missing or no dict"),
        (["indices", 0], [1, 0], "not ascending"),
        (["indices", 0], [], "empty"),
        (["indices", 0], [0, 99], "beyond its size"),
        (["indices", 0], [0.5], "whole numbers"),
        (["indices", 0], [0, 0], "not ascending"),
        (["indices", 0], [-1, 0], "whole numbers"),
        (["indices", 0], None, "whole numbers"),
        (["kept", "stem"], 99, "inconsistent"),
        (["kept", "stem"], -1, "whole numbers"),
        (["kept", "trunk"], 0, "'trunk' is only one of"),
        (["widths", "stem"], 1, "has 1 channels, none"),
        (["widths", "stem"], "4", "whole numbers"),
        (["widths"], None, "'widths' is missing"),
        (["model"], 3, "'model' is missing or no str"),
        (["cuts", 1, "tensor"], [], "inconsistent"),
        (["cuts", 0, "tensor"], "stump.weight", "'stump.weight' has no dimension"),
        (["cuts", 0, "dim"], 4, "no dimension 4"),
        (["cuts", 0, "masked"], "yes", "'masked'"),
        (["cuts", 0], {}, "inconsistent"),
        (["cuts"], None, "'cuts' is missing"),
        (["cuts"], [], "keeps 3 of 4 channels, but 'stem.weight' is not cut"),
        (["cuts", 0, "masked"], False, "does not belong to the digest"),
        (["torch"], "0", "does not belong to the digest"),
        (["digest"], "0", "does not belong to the digest"),
        (["digest"], None, "'digest' is missing"),
    ],
)
def test_a_damaged_plan_is_refused(
    plan: PruningPlan, tmp_path: Path, keys: list[Any], value: Any, message: str
) -> None:
    path = tmp_path / "plan.json"
    plan.save(path)
    path.write_text(json.dumps(edited(json.loads(path.read_text()), *keys, to=value)))
    with pytest.raises(PlanCorrupted, match=message):
        PruningPlan.load(path)


def test_a_plan_that_lost_any_cut_or_a_digit_is_refused(plan: PruningPlan, tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    plan.save(path)
    text = path.read_text()
    whole = json.loads(text)
    for number in range(len(whole["cuts"])):
        cuts = [cut for place, cut in enumerate(whole["cuts"]) if place != number]
        path.write_text(json.dumps({**whole, "cuts": cuts}))
        with pytest.raises(PlanCorrupted, match=r"not cut|digest"):
            PruningPlan.load(path)
    for place in [i for i, letter in enumerate(text) if letter.isdigit()]:
        other = "1" if text[place] != "1" else "2"
        path.write_text(text[:place] + other + text[place + 1 :])
        with pytest.raises(PlanCorrupted):
            PruningPlan.load(path)


def test_a_file_whose_fields_come_in_another_order_is_the_same_plan(
    plan: PruningPlan, tmp_path: Path
) -> None:
    path = tmp_path / "plan.json"
    plan.save(path)
    content = json.loads(path.read_text())
    path.write_text(json.dumps(dict(reversed(content.items())), indent=2))
    assert PruningPlan.load(path) == plan


def test_a_file_that_cannot_be_read_is_told_and_a_folder_that_is_missing_is_made(
    plan: PruningPlan, tmp_path: Path
) -> None:
    path = tmp_path / "some" / "where" / "plan.json"
    with pytest.raises(PruningError, match=r"plan\.json cannot be read as a plan: No such file"):
        PruningPlan.load(path)
    plan.save(path)
    assert PruningPlan.load(path) == plan
    with pytest.raises(PruningError, match="cannot be read as a plan: Is a directory"):
        PruningPlan.load(path.parent)
    with pytest.raises(PruningError, match=r"expected a PruningPlan, got str.*PruningPlan\.load"):
        plan.then("plan.json")  # type: ignore[arg-type]


def test_a_dimension_that_is_cut_twice_is_refused(plan: PruningPlan, tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    plan.save(path)
    content = json.loads(path.read_text())
    content["cuts"].append(content["cuts"][0])
    path.write_text(json.dumps(content))
    with pytest.raises(PlanCorrupted, match=r"dimension 0 of 'stem\.weight' is cut 2 times"):
        PruningPlan.load(path)


def test_a_plan_cut_short_anywhere_is_refused(plan: PruningPlan, tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    plan.save(path)
    whole = path.read_bytes()
    for length in range(0, len(whole) - 1, 37):
        path.write_bytes(whole[:length])
        with pytest.raises(PlanCorrupted, match=r"plan\.json is not JSON"):
            PruningPlan.load(path)


def test_two_prunings_in_a_row_are_one_plan_for_the_original(
    model: nn.Module, plan: PruningPlan, tmp_path: Path
) -> None:
    once = plan.apply(model)
    second = ChannelGraph.trace(once, (images(),)).plan(
        {"stem": [0, 2], "layer2.0.conv1": 1, "layer3.0.conv1": 5}
    )
    both = plan.then(second)
    twice = second.apply(once)
    torch.testing.assert_close(both.apply(model)(images()), twice(images()), rtol=0, atol=0)
    torch.testing.assert_close(both.mask(model)(images()), twice(images()))
    assert both.kept["stem"] == tuple(plan.kept["stem"][i] for i in (0, 2))
    assert both.kept["layer2.0.conv1"] in ((0,), (5,))
    assert both.kept["layer3.0.conv2"] == plan.kept["layer3.0.conv2"]
    assert (both.fingerprint, both.widths) == (plan.fingerprint, plan.widths)
    both.save(tmp_path / "both.json")
    assert PruningPlan.load(tmp_path / "both.json") == both
    with pytest.raises(PlanMismatch, match="not made for the network that the first one makes"):
        second.then(plan)
    with pytest.raises(PlanMismatch, match=r"Trace the pruned network"):
        plan.then(plan)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["tiny-grouped", "tiny-shuffle", "tiny-split"])
def test_networks_whose_channels_are_cut_in_blocks_are_pruned_twice(name: str) -> None:
    torch.manual_seed(0)
    original, x = build(name).eval(), torch.randn(2, 3, 8, 8)

    def halved(network: nn.Module, seed: int) -> PruningPlan:
        graph = ChannelGraph.trace(network, (x,), verify=False)
        wanted = {group.name: (group.n_units + 1) // 2 * group.block for group in graph.groups}
        return graph.plan(wanted, importance="random", seed=seed)

    first = halved(original, seed=1)
    second = halved(first.apply(original), seed=2)
    both = first.then(second)
    twice = second.apply(first.apply(original))
    torch.testing.assert_close(both.apply(original)(x), twice(x), rtol=0, atol=0)
    torch.testing.assert_close(both.mask(original)(x), twice(x))


def test_composing_knows_blocks_with_channels_of_their_own() -> None:
    first = Cut("w", 1, 4, (0, 2, 4, 5), True, blocks=2)  # keeps 0, 2 of one and 0, 1 of the other
    assert _cuts({("w", 1): first}, {("w", 1): Cut("w", 1, 2, (1,), True)}) == (
        Cut("w", 1, 4, (2, 5), True, blocks=2),
    )
    assert _cuts(
        {("w", 1): Cut("w", 1, 4, (1, 3), True)},
        {("w", 1): Cut("w", 1, 2, (0, 3), True, blocks=2)},
    ) == (Cut("w", 1, 4, (1, 7), True, blocks=2),)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b'{"schema": 1,', "cut short"),
        (b"", "cut short"),
        (b"\xff", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[1]", "not a pruning plan"),
        (b'{"schema": 1, "schema": 1}', "'schema' is there twice"),
    ],
)
def test_a_file_that_is_no_plan_is_refused(tmp_path: Path, text: bytes, message: str) -> None:
    path = tmp_path / "plan.json"
    path.write_bytes(text)
    with pytest.raises(PlanCorrupted, match=message):
        PruningPlan.load(path)


def test_a_failed_save_leaves_the_old_file(
    plan: PruningPlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "plan.json"
    plan.save(path)
    before = path.read_bytes()

    def full(_: int) -> None:
        raise OSError("no space left")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="no space"):
        plan.save(path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["plan.json"]
