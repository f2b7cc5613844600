"""Codes: explicit lists, and which groups share one number of the search."""

from typing import Any

import numpy as np
import pytest

from swarmopt_pruning import Group, PruningError, UnknownName, constrain, uniform
from swarmopt_pruning.structure import Place
from swarmopt_pruning.trace import Role


def group(name: str, width: int, *makers: str, block: int = 1) -> Group:
    layers = makers or (name,)
    return Group(name, width, block, tuple(Place(f"{m}.weight", 0, Role.FILTER) for m in layers))


RESNET = (
    group("stem", 16, "stem", "layer1.0.conv2", "layer1.1.conv2"),
    group("layer1.0.conv1", 16),
    group("layer1.1.conv1", 16),
    group("layer2.0.conv1", 32),
    group("layer2.0.conv2", 32, "layer2.0.conv2", "layer2.0.shortcut.conv", "layer2.1.conv2"),
    group("layer2.1.conv1", 32),
)


def codes_of(groups: tuple[Group, ...], **settings: Any) -> dict[str, list[str]]:
    made = constrain(groups, **settings)
    return {code.name: [groups[j].name for j in code.groups] for code in made.codes}


def test_each_group_has_a_code_of_its_own_unless_told_otherwise() -> None:
    assert codes_of(RESNET) == {g.name: [g.name] for g in RESNET}


def test_one_code_a_stage_ties_all_that_is_made_inside_it() -> None:
    assert codes_of(RESNET, codes="stage") == {
        "stem": ["stem"],
        "layer1": ["layer1.0.conv1", "layer1.1.conv1"],
        "layer2": ["layer2.0.conv1", "layer2.0.conv2", "layer2.1.conv1"],
    }


def test_one_code_a_block_leaves_the_residual_path_its_own() -> None:
    wide = (*RESNET, group("layer3.0.conv1", 64), group("layer3.0.conv2", 64))
    assert codes_of(wide, codes="block") == {
        **{g.name: [g.name] for g in RESNET},
        "layer3.0": ["layer3.0.conv1", "layer3.0.conv2"],
    }


@pytest.mark.parametrize(
    ("layer", "block", "stage"),
    [
        ("layer1.0.conv", "layer1.0", "layer1"),
        ("features.3.conv.0.0", "features.3", "features"),
        ("_blocks.7._depthwise_conv", "_blocks.7", "_blocks"),
        ("stages.1.blocks.0.conv", "stages.1.blocks.0", "stages.1.blocks"),
        ("blocks.2.1.conv_pw", "blocks.2.1", "blocks.2"),
        ("features.denseblock1.layer2.conv", "features.denseblock1.layer2",
         "features.denseblock1"),
    ],
)  # fmt: skip
def test_blocks_and_stages_are_read_from_the_names_of_many_families(
    layer: str, block: str, stage: str
) -> None:
    pair = (group(layer, 8), group(f"{block}.other", 8))
    assert set(codes_of(pair, codes="block")) == {block}
    assert set(codes_of(pair, codes="stage")) == {stage}


def test_tied_groups_take_the_same_share_of_their_own_widths() -> None:
    constraints = constrain(RESNET, step=0.25, minimum=0.25, tie=["layer?.0.conv1"])
    index = [code.name for code in constraints.searched].index("layer?.0.conv1")
    x = np.zeros((4, len(constraints.searched)))
    x[:, index] = range(4)
    assert constraints.counts(x)[:, 1].tolist() == [4, 8, 12, 16]
    assert constraints.counts(x)[:, 3].tolist() == [8, 16, 24, 32]
    assert constraints.space.params(x[2:3])[0]["layer?.0.conv1"] == 0.75
    assert constraints.n_after == 4**5


def test_a_list_of_patterns_ties_what_matches_any_of_them() -> None:
    found = codes_of(RESNET, tie=[["stem", "layer2.0.conv2"]])
    assert found["stem, layer2.0.conv2"] == ["stem", "layer2.0.conv2"]
    assert len(found) == 5


def test_tied_groups_of_one_width_show_their_count() -> None:
    space = constrain(RESNET, step=0.5, minimum=0.5, tie=["layer1.*"]).space
    assert space.params(np.ones((1, 5)))[0]["layer1.*"] == 16


def test_an_excluded_group_is_in_no_tie() -> None:
    constraints = constrain(RESNET, exclude=["layer2.0.conv2"], codes="stage")
    smallest = constraints.counts(np.zeros((1, len(constraints.searched))))[0]
    assert smallest.tolist() == [2, 2, 2, 3, 32, 3]


def test_explicit_counts_replace_the_shares() -> None:
    constraints = constrain(RESNET, allowed={"layer2.*": [32, 8, 24, 8], "stem": [16]})
    assert constraints.allowed[3:] == ((8, 24, 32),) * 3
    assert constraints.allowed[0] == (16,)
    assert len(constraints.allowed[1]) == 10


def test_groups_with_lists_of_one_length_can_be_tied() -> None:
    constraints = constrain(
        RESNET, allowed={"layer1.*": [4, 16], "layer2.*": [8, 24]}, tie=["layer*"]
    )
    x = np.array([[0.0, 1.0], [0.0, 0.0]])
    assert constraints.counts(x)[:, 1:].tolist() == [[16, 16, 24, 24, 24], [4, 4, 8, 8, 8]]


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"codes": "blocks"}, UnknownName, "did you mean 'block'"),
        ({"tie": ["layer9.*"]}, UnknownName, r"pattern named 'layer9\.\*'"),
        ({"allowed": {"layer9": [1]}}, UnknownName, "layer9"),
        ({"tie": ["layer1.*", "*.0.conv1"]}, PruningError, "'layer1.0.conv1' matches both"),
        ({"allowed": {"stem": [4], "*": [4]}}, PruningError, "'stem' matches both 'stem' and"),
        ({"allowed": {"stem": [4, 17]}}, PruningError, r"expected some of 1\.\.16"),
        ({"allowed": {"stem": [0]}}, PruningError, r"the counts \[0\]"),
        ({"allowed": {"stem": [True]}}, PruningError, r"the counts \[True\]"),
        ({"allowed": {"stem": []}}, PruningError, r"the counts \[\]"),
        ({"allowed": {"stem": 4}}, PruningError, "'stem' expects a list of counts, got 4"),
        ({"allowed": [3]}, PruningError, r"expected a dictionary .*got \[3\]"),
        ({"multiple": 2.5}, PruningError, "expected a whole number of at least 1, got 2.5"),
        ({"multiple": True}, PruningError, "expected a whole number of at least 1, got True"),
        ({"multiple": 1000}, PruningError, "more than the widest group has, 32 channels"),
        ({"step": "a"}, PruningError, "step: expected a share of the width .*got 'a'"),
        ({"allowed": {"stem": [4]}, "tie": ["*"]}, PruningError, "different numbers of allowed"),
    ],
)
def test_contradictions_are_named(
    settings: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        constrain(RESNET, **settings)


def test_explicit_counts_keep_whole_blocks() -> None:
    with pytest.raises(PruningError, match=r"expected some of 4\.\.16 in steps of 4"):
        constrain([group("a", 16, block=4)], allowed={"a": [4, 6]})


def test_uniform_keeps_the_same_share_of_every_group() -> None:
    groups = (group("a", 16), group("b", 24, block=4), group("c", 2))
    assert uniform(groups, 0.7) == {"a": 11, "b": 16, "c": 1}
    assert uniform(groups, 0.7, multiple=8) == {"a": 8, "b": 16, "c": 1}
    assert uniform(groups, 1.0) == {"a": 16, "b": 24, "c": 2}
    for wrong in (0.0, "a", None, True):
        with pytest.raises(PruningError, match="share: expected a share"):
            uniform(groups, wrong)  # type: ignore[arg-type]
    with pytest.raises(PruningError, match="multiple: expected a whole number"):
        uniform(groups, 0.5, multiple=1.5)  # type: ignore[arg-type]


def test_one_pattern_may_be_a_string_and_a_count_numpys() -> None:
    groups = (group("ab", 16), group("a", 16), group("b", 16))
    assert constrain(groups, exclude="ab").allowed[0] == (16,)
    assert codes_of(groups, tie="a*") == {"a*": ["ab", "a"], "b": ["b"]}
    counts: Any = np.array([4, 8])
    assert constrain(groups, allowed={"b": counts}).allowed[2] == (4, 8)
