"""Where memory runs out, work goes on with fewer images at a time, which is said once."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from swarmopt_pruning import Images, PruningError, Recipe, accuracy, build, load_data, recalibrate
from swarmopt_pruning import memory as module
from swarmopt_pruning.checkpoint import state_of
from swarmopt_pruning.graph import ChannelGraph
from swarmopt_pruning.measure import figures, largest_difference
from swarmopt_pruning.memory import Fitting, is_out_of_memory
from swarmopt_pruning.moments import measure_moments
from swarmopt_pruning.original import ModelName
from swarmopt_pruning.score import Scorer
from swarmopt_pruning.train import accuracy_and_loss, seeded, train

CPU = RuntimeError(
    "[enforce fail at alloc_cpu.cpp:121] err == 0. DefaultCPUAllocator: can't allocate memory: you "
    "tried to allocate 2000000 bytes. Error code 12 (Cannot allocate memory)"
)
CUDA = torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
ERRORS = [pytest.param(CPU, id="cpu"), pytest.param(CUDA, id="cuda")]

Tight = Callable[..., list[int]]


@pytest.fixture
def tight(monkeypatch: pytest.MonkeyPatch) -> Tight:
    """Give what lets convolutions run out of memory above a number of images."""
    module._warn_once.cache_clear()  # each test is a process of its own
    forward = nn.Conv2d.forward

    def limit(most: int, error: Exception = CUDA, *, inference: bool | None = None) -> list[int]:
        taken: list[int] = []

        def limited(self: nn.Conv2d, x: Tensor) -> Tensor:
            meant = inference in (None, torch.is_inference_mode_enabled())
            if meant and len(x) > most:
                raise error
            taken.append(len(x))
            return forward(self, x)

        monkeypatch.setattr(nn.Conv2d, "forward", limited)
        return taken

    return limit


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.message for r in caplog.records if r.name == "swarmopt_pruning.memory"]


def once(caplog: pytest.LogCaptureFixture) -> str:
    """Return the one message about memory."""
    (message,) = said(caplog)
    return message


@cache
def scorer() -> Scorer:
    """Return a scorer that has scored nothing; `replace` makes others of it."""
    torch.manual_seed(0)
    model = build("digits-cnn").eval()
    data = load_data("digits").train[:100]
    graph = ChannelGraph.trace(model, (data.x[:2],))
    moments = measure_moments(model, set(graph.reads), data.x)
    return Scorer(graph, model, graph.scores("l1"), moments, data[:64], data, batch=64)


def narrow(found: Scorer) -> NDArray[np.int64]:
    return found.graph.widths // 2


def small_network(*, normalised: bool) -> nn.Module:
    with seeded(0):
        norm = nn.BatchNorm2d(4) if normalised else nn.Identity()
        return nn.Sequential(nn.Conv2d(1, 4, 3), norm, nn.ReLU(), nn.Flatten(), nn.Linear(64, 2))


def blobs(n: int) -> Images:
    rng = torch.Generator().manual_seed(0)
    y = torch.arange(n) % 2
    return Images(torch.randn(n, 1, 6, 6, generator=rng) * 0.5 + y[:, None, None, None], y)


@pytest.mark.parametrize("error", [CPU, CUDA, MemoryError("none left"), RuntimeError("bad_alloc")])
def test_work_is_begun_anew_with_half_as_much_until_it_fits(
    error: Exception, tight: Tight, caplog: pytest.LogCaptureFixture
) -> None:
    del tight

    def work(batch: int) -> int:
        if batch > 30:
            raise error
        return 10 * batch

    fitting = Fitting("counting", 100, effect="so it is slower", setting="score_batch")
    assert [fitting.run(work), fitting.run(work), fitting.batch] == [250, 250, 25]
    Fitting("counting", 100, effect="so it is slower", setting="score_batch").run(work)
    assert once(caplog) == (
        "counting is out of memory with 100 images at a time, and goes on with 25, so it is "
        "slower; score_batch=25 begins with that"
    )


@pytest.mark.parametrize(("least", "tried"), [(1, r"1 image .*tried 9, 4, 2, 1"), (2, "9, 4, 2")])
def test_where_nothing_fits_the_error_says_what_was_tried_and_what_helps(
    least: int, tried: str, tight: Tight, caplog: pytest.LogCaptureFixture
) -> None:
    tight(0)
    x = blobs(9).x
    model = small_network(normalised=False)
    with pytest.raises(PruningError, match=tried) as caught:
        Fitting("looking", 9, least).run(lambda batch: model(x[:batch]))
    for words in ("looking", "CUDA out of memory", "score_batch", "--workers 0", "device=cpu"):
        assert words in str(caught.value)
    assert not said(caplog)


def test_other_errors_are_left_as_they_are() -> None:
    def wrong(_: int) -> None:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    assert not is_out_of_memory(ValueError("out of memory"))
    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        Fitting("looking", 9).run(wrong)


@pytest.mark.parametrize("error", ERRORS)
def test_a_score_is_that_of_the_batch_that_fits(
    error: Exception, tight: Tight, caplog: pytest.LogCaptureFixture
) -> None:
    counts = narrow(scorer())
    expected = replace(scorer(), batch=16).score(counts)
    assert expected != scorer().score(counts)
    found = replace(scorer())
    tight(20, error, inference=False)
    first, second = found.score(counts), found.score(counts)
    assert first == second
    assert (first.right, first.seen) == (expected.right, expected.seen)
    assert first.loss == pytest.approx(expected.loss, rel=1e-5)  # counted 64 at a time, not 16
    assert once(caplog) == (
        "measuring batch normalisation and refitting is out of memory with 64 images at a time, "
        "and goes on with 16, which changes scores a little; score_batch=16 begins with that"
    )


def test_the_refitted_network_is_that_of_the_batch_that_fits(tight: Tight) -> None:
    counts = narrow(scorer())
    expected = state_of(replace(scorer(), batch=16).refitted(counts))
    tight(20)
    found = state_of(replace(scorer()).refitted(counts))
    for name, tensor in expected.items():
        assert torch.equal(found[name], tensor), name


@pytest.mark.parametrize("error", ERRORS)
def test_counting_with_fewer_images_changes_no_score(
    error: Exception, tight: Tight, caplog: pytest.LogCaptureFixture
) -> None:
    counts = narrow(scorer())
    expected = replace(scorer()).score(counts)
    found = replace(scorer())
    taken = tight(20, error, inference=True)
    for _ in range(2):
        score = found.score(counts)
        assert (score.right, score.seen) == (expected.right, expected.seen)
        assert (score.loss, score.brier) == pytest.approx((expected.loss, expected.brier), rel=1e-5)
    assert 16 in taken
    assert once(caplog) == (
        "scoring is out of memory with 64 images at a time, and goes on with 16; score_batch=16 "
        "begins with that"
    )


def test_batch_normalisation_is_never_measured_on_one_image(tight: Tight) -> None:
    tight(1, inference=False)
    with pytest.raises(PruningError, match="even with 2 images at a time"):
        replace(scorer()).score(narrow(scorer()))


@pytest.mark.parametrize("error", ERRORS)
def test_accuracy_with_fewer_images_is_the_same(
    error: Exception, tight: Tight, caplog: pytest.LogCaptureFixture
) -> None:
    model, data = small_network(normalised=True), blobs(101)
    right, loss = accuracy_and_loss(model, data)
    tight(20, error)
    assert accuracy_and_loss(model, data) == pytest.approx((right, loss), rel=1e-5)
    assert accuracy(model, data[:77]) > 0
    assert once(caplog) == (
        "measuring accuracy is out of memory with 256 images at a time, and goes on with 16"
    )


def test_moments_with_fewer_images_are_the_same(
    tight: Tight, caplog: pytest.LogCaptureFixture
) -> None:
    model, x = scorer().model, scorer().images.x
    weights = set(scorer().graph.reads)
    expected = measure_moments(model, weights, x)
    tight(30)
    found = measure_moments(model, weights, x)
    assert found.keys() == expected.keys()
    for name, moments in expected.items():
        assert found[name].n == moments.n
        torch.testing.assert_close(
            found[name].covariance(centred=True), moments.covariance(centred=True),
            rtol=1e-4, atol=1e-6,
        )  # fmt: skip
    assert once(caplog) == (
        "measuring what layers read is out of memory with 50 images at a time, and goes on with 25"
    )


def test_recalibration_goes_on_with_the_batch_that_fits(tight: Tight) -> None:
    x = blobs(64).x
    expected, found = small_network(normalised=True), small_network(normalised=True)
    recalibrate(expected, x, batch=16)
    tight(20)
    recalibrate(found, x, batch=64)
    for name, tensor in state_of(expected).items():
        assert torch.equal(state_of(found)[name], tensor), name
    norm = found[1]  # type: ignore[index] # a Sequential
    assert (norm.momentum, norm.training) == (0.1, False)
    tight(1)
    with pytest.raises(PruningError, match="even with 2 images"):
        recalibrate(found, x, batch=64)
    assert (norm.momentum, norm.training) == (0.1, False)


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("distill", [0.0, 0.7])
def test_a_training_step_of_parts_is_the_step_of_the_whole_batch(
    distill: float, error: Exception, tight: Tight, caplog: pytest.LogCaptureFixture
) -> None:
    data, recipe = blobs(101), Recipe(epochs=2, distill=distill)
    teacher = small_network(normalised=True)
    whole, parts = small_network(normalised=False), small_network(normalised=False)
    before = {name: tensor.clone() for name, tensor in state_of(whole).items()}
    train(whole, data, recipe, seed=1, teacher=teacher)
    tight(20, error)
    train(parts, data, recipe, seed=1, teacher=teacher)
    for name, tensor in state_of(whole).items():
        assert not torch.allclose(tensor, before[name], atol=1e-3)
        torch.testing.assert_close(state_of(parts)[name], tensor, rtol=1e-3, atol=1e-5)
    assert once(caplog) == (
        "training is out of memory with 64 images at a time, and goes on with 16, several times "
        "for one step; batch normalisation then sees fewer images"
    )


@pytest.mark.parametrize("most", [3, 4, 40])
def test_no_part_of_a_step_is_one_image_alone(most: int, tight: Tight) -> None:
    model, data = small_network(normalised=True), blobs(64 + 33)
    taken = tight(most)
    train(model, data, Recipe(epochs=3), seed=1)
    assert set(taken) <= set(range(2, most + 1))
    assert sum(taken) == 3 * len(data)
    assert accuracy(model, data) > 0.8


def test_a_training_that_cannot_fit_is_an_error(tight: Tight) -> None:
    tight(1)
    with pytest.raises(PruningError, match=r"training is out of memory even with 2 images"):
        train(small_network(normalised=True), blobs(64), Recipe(epochs=1), seed=1)


def test_latency_is_of_the_images_that_fit_which_is_said(
    tight: Tight, caplog: pytest.LogCaptureFixture
) -> None:
    data = load_data("digits")
    torch.manual_seed(0)
    model, name = build("digits-cnn").eval(), ModelName("digits-cnn", {})
    tight(20)
    found = figures(model, data, channels=80, original=name)
    assert found.latency_batch == 16
    fewer = figures(model, data, channels=80, original=name, latency_batch=found.latency_batch)
    assert fewer.latency_batch == 16
    about = [message for message in said(caplog) if "latency" in message]
    assert about == [
        "measuring latency is out of memory with 64 images at a time, and goes on with 16"
    ]


def test_two_networks_are_compared_by_all_images_a_few_at_a_time(tight: Tight) -> None:
    one, other, x = small_network(normalised=False), small_network(normalised=True), blobs(50).x
    recalibrate(other, x)
    expected = largest_difference(one, other, x)
    tight(20)
    assert largest_difference(one, other, x) == pytest.approx(expected, rel=1e-5)
