"""The report of what is prunable, tied and frozen: its figures, its table and its command."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from swarmopt.cli import call
from swarmopt_pruning import ChannelGraph, build, inspect_graph
from swarmopt_pruning.cost import count_macs, count_params
from swarmopt_pruning.inspection import inspection_table
from swarmopt_pruning.terminal import printable

MODULE = """
import torch
from torch import nn

def network():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3, groups=8), nn.Conv2d(8, 12, 1),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(12, 4),
    )

def with_example():
    return network(), (torch.zeros(2, 3, 9, 9),)

def hostile():
    outer = nn.Sequential()
    outer.add_module("\\x1b[31m[red]x", network())
    return outer, torch.zeros(2, 3, 9, 9)

def text():
    return "a network"

def raising():
    raise OSError("no such disk")
"""


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "160")


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "inspected.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "inspected", raising=False)
    return tmp_path


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert call(["prune-inspect", *arguments]) == 0
    return capsys.readouterr().out


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert call(["prune-inspect", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    return captured.err


def test_the_document_names_every_group_its_ties_and_what_is_frozen() -> None:
    model = build("digits-resnet")
    graph = ChannelGraph.trace(model, (torch.zeros(1, 1, 8, 8),), verify=False)
    document = inspect_graph(graph, model)
    assert [entry["name"] for entry in document["groups"]] == list(graph.names)
    assert [entry["channels"] for entry in document["groups"]] == graph.widths.tolist()
    found = {entry["name"]: entry for entry in document["groups"]}
    assert found["layer1.0.conv1"]["tied"] == []
    assert found["layer1.0.conv1"]["read_by"] == ["layer1.0.conv2"]
    (tie,) = found["layer2.0.conv2"]["tied"]
    assert tie["name"] == "layer2.0.shortcut.conv"
    assert document["frozen"] == [
        {"name": "fc", "channels": 10, "reason": "reaches the output of the model"}
    ]
    assert json.loads(json.dumps(document)) == document


def test_its_figures_are_those_of_really_pruned_networks() -> None:
    model, example = build("digits-cnn"), (torch.zeros(1, 1, 8, 8),)
    graph = ChannelGraph.trace(model, example, verify=False)
    document = inspect_graph(graph, model)
    smallest = graph.plan(dict.fromkeys(graph.names, 1)).apply(model)
    assert document["smallest"] == {
        "macs": count_macs(smallest, example),
        "params": count_params(smallest),
    }
    one = graph.plan({"conv2": 1}).apply(model)
    removed = next(e for e in document["groups"] if e["name"] == "conv2")["removed"]
    assert removed["macs"] == pytest.approx(
        1 - count_macs(one, example) / document["macs"], abs=1e-6
    )
    assert removed["params"] == pytest.approx(1 - count_params(one) / document["params"], abs=1e-6)


@pytest.mark.usefixtures("module")
def test_the_command_prints_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys, "inspected:network", "--input", "2,3,9,9")
    assert "2 groups of 20 channels can be pruned, 4 channels cannot" in text
    assert "2 (depthwise: works on each channel by itself)" in text
    assert "reaches the output of the model" in text
    assert printed(capsys, "inspected:with_example") == text
    assert printed(capsys, "inspected:network", "--input", "2x3x9x9", "--no-verify") == text


@pytest.mark.usefixtures("module")
def test_the_command_prints_json(capsys: pytest.CaptureFixture[str]) -> None:
    document = json.loads(printed(capsys, "inspected:with_example", "--json"))
    assert [entry["name"] for entry in document["groups"]] == ["0", "3"]
    assert document["verified"] is True
    more = json.loads(printed(capsys, "inspected:with_example", "--json", "--no-verify"))
    assert more == {**document, "verified": False}


def test_built_in_networks_need_no_shape(capsys: pytest.CaptureFixture[str]) -> None:
    model = build("digits-cnn")
    document = json.loads(printed(capsys, "digits-cnn", "--json", "--no-verify"))
    assert document["macs"] == count_macs(model, (torch.zeros(1, 1, 8, 8),))


def test_weights_are_read_and_checked(module: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_file({"a": torch.zeros(1)}, module / "w.safetensors")
    told = refused(capsys, "inspected:with_example", "--weights", "w.safetensors")
    assert "0.weight is missing" in told


@pytest.mark.usefixtures("module")
def test_names_cannot_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys, "inspected:hostile")
    assert "\x1b" not in text
    assert "\\x1b[31m[red]x.0" in text
    assert json.loads(printed(capsys, "inspected:hostile", "--json"))["groups"][0]["name"] == (
        "\x1b[31m[red]x.0"
    )


@pytest.mark.usefixtures("module")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["resnet-20"], "did you mean 'resnet20'"),
        (["inspected:network"], "give the shape, batch first: --input 2,3,224,224"),
        (["inspected:network", "--input", "2,three"], "expected whole numbers of at least 1"),
        (["inspected:network", "--input", "2,0,9,9"], "expected whole numbers of at least 1"),
        (["inspected:network", "--input", "2,1,9,9"], "does not run on the example"),
        (["inspected:text"], "expected a torch.nn.Module, or a module and the tuple"),
        (["inspected:raising"], "MODEL=inspected:raising raised OSError: no such disk"),
        (["inspected:netwerk"], "did you mean 'network'"),
        (["nowhere:network"], "the module 'nowhere' cannot be imported"),
        ([], "Missing argument 'MODEL'"),
    ],
)
def test_what_is_wrong_is_said_in_one_message(
    capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert message in refused(capsys, *arguments)


def test_the_table_says_where_channels_are_cut_together_or_costs_are_constant() -> None:
    document: dict[str, Any] = {
        "model": "N", "macs": 10, "params": 10, "smallest": {"macs": 5, "params": 5},
        "groups": [{"name": "a", "channels": 8, "multiple_of": 4, "tied": [], "read_by": [],
                    "removed": {"macs": 0.5, "params": 0.5}}],
        "frozen": [], "fixed_operators": ["aten.bmm.default"],
    }  # fmt: skip
    text = inspection_table(document)
    assert "steps of more than 1" in text
    assert text.endswith("counted as constant, having no closed form: aten.bmm.default")
    assert "frozen" not in text
    nothing = inspection_table({**document, "groups": [], "fixed_operators": []})
    assert nothing.splitlines()[1] == "0 groups of 0 channels can be pruned, 0 channels cannot"
    assert len(nothing.splitlines()) == 3


def test_a_network_without_parameters_of_images_is_still_inspected() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(12, 3))
    graph = ChannelGraph.trace(model, (torch.zeros(2, 3, 4),))
    assert inspect_graph(graph, model)["groups"] == []


def test_printable_text_has_no_control_characters_and_keeps_the_rest() -> None:
    assert printable("layer1.ä.漢") == "layer1.ä.漢"
    assert printable("a\x1b[0m\n\u202e") == "a\\x1b[0m\\n\\u202e"
