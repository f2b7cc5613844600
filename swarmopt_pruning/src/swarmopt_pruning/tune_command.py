"""swarmopt prune-tune: which settings score candidates fastest on this machine."""

import json
from dataclasses import asdict

import click

from swarmopt.errors import SettingError
from swarmopt.settings import build, parse_value
from swarmopt_pruning.problem import ChannelPruning
from swarmopt_pruning.tune import advice, capability, tune


@click.command("prune-tune")
@click.option(
    "--set",
    "assignments",
    multiple=True,
    metavar="KEY=VALUE",
    help="A setting of channel-prune, such as model=resnet20 or target_macs=0.3.",
)
@click.option(
    "--repeats", default=5, help="Rounds in which each setting scores once.", show_default=True
)
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def tune_command(*, assignments: tuple[str, ...], repeats: int, as_json: bool) -> None:
    """Measure which settings score candidates fastest on this machine.

    One candidate, of uniform widths, is scored with several types of numbers, batches and threads.
    Nothing is written, and no run sets anything by itself: a score is the same to the last bit only
    with the same settings.

    Example: swarmopt prune-tune --set model=resnet20 --set data=fashion-mnist
    """
    values = dict(_assignment(text) for text in assignments)
    problem = build(ChannelPruning, values, "problem channel-prune")
    found = tune(problem, repeats=repeats)
    if as_json:
        rows = [{**asdict(m), "seconds": m.seconds, "rate": m.rate} for m in found]
        click.echo(json.dumps(rows, indent=2))
        return
    click.echo(f"this processor: {capability()}")
    click.echo(
        f"{'dtype':<9}{'batch':>6}{'threads':>9}{'ms':>9}{'least':>8}{'most':>8}"
        f"{'all cores/s':>13}{'accuracy':>10}"
    )
    for each in found:
        low, high = min(each.rounds), max(each.rounds)
        click.echo(
            f"{each.dtype:<9}{each.batch:>6}{each.threads:>9}{1000 * each.seconds:>9.1f}"
            f"{1000 * low:>8.1f}{1000 * high:>8.1f}{each.rate:>13.2f}{each.accuracy:>10.4f}"
        )
    click.echo(advice(found, problem.scorer, threads=problem.threads))


def _assignment(text: str) -> tuple[str, object]:
    name, equals, value = text.partition("=")
    if not equals:
        raise SettingError(f"--set {text}: expected KEY=VALUE, such as --set target_macs=0.3")
    return name, parse_value(value)
