"""The command that asks for labels and learns from them, round by round."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.cli.shared import (
    Device,
    FaceSetPath,
    Json,
    Settings,
    Start,
    Threads,
    Trust,
    number,
    pairs,
    print_json,
    say,
    seed_option,
    typed,
    whole,
)
from mien.limits import MOST

if TYPE_CHECKING:
    from mien.active.learning_curve import LearningCurve, StrategyMeans
    from mien.cli.console import Table


Acquire = Annotated[str, typer.Option(help="Which faces are asked about: a,b,c; with settings, 'worthiness extension=1'.")]
StartLabels = Annotated[int | None, whole("Labels for the first model, validation included; all unless said.")]
Oracle = Annotated[
    str | None, typer.Option(metavar="labels|RATE", help="For experiments: known labels answer, this share of them flipped.")
]
Test = Annotated[
    str,
    typer.Option(help="Split to draw the curve on; auto: test or PublicTest, else validation; none: validation."),
]
Learn = Annotated[
    str, typer.Option(help="new: new labels and those the last model misses; all: all labels; afresh: all, from the start.")
]
Tune = Annotated[
    str | None,
    typer.Option(
        help="Recipe to go on by from the last model; else the last stage of --recipe, an only one at a tenth of its rate."
    ),
]
MinGain = Annotated[
    float | None,
    number("End where validation accuracy gained less in a round: 0.005 is half a point.", -1, 1),
]


def rounds(
    faceset: FaceSetPath,
    recipe: Annotated[str, typer.Option(help="How the first model is trained: a recipe's name or a TOML file.")],
    out: Annotated[Path, typer.Option(help="A new folder, or one in which the same rounds were begun, which go on.")],
    per_round: Annotated[int, whole("Faces asked about in a round.")],
    acquire: Acquire = "worthiness",
    number: Annotated[int, typer.Option("--rounds", min=1, max=MOST, help="How many rounds.")] = 2,
    start_labels_per_class: StartLabels = None,
    pool: Annotated[Path | None, typer.Option(help="Face set to ask about; else the rest of the training split.")] = None,
    oracle: Oracle = None,
    store: Annotated[str | None, typer.Option(help="Label store that people answer into: a file, or postgresql://...")] = None,
    per_face: Annotated[int, whole("Answers of different people that a face wants, with --store.")] = 1,
    split_to_test: Test = "auto",
    learn: Learn = "new",
    tune: Tune = None,
    min_gain: MinGain = None,
    seed: Annotated[int, seed_option()] = 0,
    seeds: Annotated[int, whole("How many seeds, from --seed on; with an oracle alone.")] = 1,
    start: Start = None,
    epochs: Annotated[int | None, whole("Epochs in all, of --recipe.")] = None,
    go_on: Annotated[bool, typer.Option("--go-on", help="Do not wait: go on with the answers that are there.")] = False,
    set_: Settings = None,
    device: Device = "auto",
    threads: Threads = None,
    trust: Trust = False,
    as_json: Json = False,
) -> None:
    """Ask about the faces that matter most, learn from the answers, and again; or compare ways to choose them."""
    from mien.active.rounds import rounds as run
    from mien.active.settings import RoundsSettings
    from mien.cli.console import Bar
    from mien.registry import validate

    changes = pairs(set_, "--set")
    typed(changes, trusted=trust, recipes=(recipe, tune))
    asked = {
        "recipe": recipe,
        "acquire": [part.strip() for part in acquire.split(",") if part.strip()],
        "per_round": per_round,
        "rounds": number,
        "start_labels_per_class": start_labels_per_class,
        "pool": pool,
        "oracle": 0.0 if oracle == "labels" else oracle,
        "store": store,
        "per_face": per_face,
        "split_to_test": None if split_to_test == "none" else split_to_test,
        "learn": learn,
        "tune": tune,
        "min_gain": min_gain,
        "seed": seed,
        "seeds": seeds,
        "start": start,
        "epochs": epochs,
        "settings": changes,
        "device": device,
        "threads": threads,
    }
    plan = validate(RoundsSettings, asked)
    with Bar(quiet=as_json, single=True) as bar:
        found = run(faceset, plan, out, bar, go_on)
    _print(found, out, as_json)


def _print(found: "LearningCurve", out: Path, as_json: bool) -> None:
    from mien.cli.console import show

    if as_json:
        print_json(found.to_json() | {"out": str(out)})
        return
    if found.caution:
        say(f"warning: {found.caution}", file=sys.stderr)
    show(_table(found))
    say(*(out / name for name in ("curve.csv", "table.csv", "curve.png")), sep="\n")


def _table(found: "LearningCurve") -> "Table":
    """Every round of one strategy, or the last round of each of several."""
    from rich import box

    from mien.cli.console import Table

    several = len(found.strategies) > 1
    where = found.tested or "validation"
    title = f"figures on {where}" + (f"; difference to {found.reference}" if several else "")
    extra = ["difference\n(95 %)", "p"] if several else []
    table = Table(
        "strategy", "labels", "n", "accuracy\n± SD", *extra, "average",
        title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0),
    )  # fmt: skip
    lines = {line.strategy: line for line in found.lines}.values() if several else found.lines
    for line in lines:
        table.add_row(*_cells(line, several))
    return table


def _cells(line: "StrategyMeans", several: bool) -> list[str]:
    """A row; a dash where there is nothing."""
    sd, difference = line.accuracy.sd, line.difference
    cells = [line.strategy, f"{line.labels.mean:.0f}", str(line.accuracy.count)]
    cells += [_percent(line.accuracy.mean) + (f"\n± {100 * sd:.1f}" if sd == sd else "")]
    if several:
        between = f"\n({100 * difference.low:+.1f} to {100 * difference.high:+.1f})" if difference.low == difference.low else ""
        cells += [f"{100 * difference.mean:+.1f}{between}" if difference.pairs else "-"]
        cells += [f"{difference.p:.3f}" if difference.p == difference.p else "-"]
    return [*cells, _percent(line.average_accuracy.mean)]


def _percent(share: float) -> str:
    return f"{share:.1%}" if share == share else "-"
