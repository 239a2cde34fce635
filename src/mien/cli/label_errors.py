"""The command about labels that are probably wrong."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.cli.shared import Device, FaceSetPath, Json, own_folder, print_json, say, seed_option, share, whole
from mien.plain import counted

if TYPE_CHECKING:
    from mien.cli.console import Table
    from mien.label_errors.known_mistakes import KnownMistakes
    from mien.label_errors.ranking import LabelErrors

MOST_PAIRS = 8
"""Pairs of a label and a likelier class that are printed."""


def doubts(
    faceset: FaceSetPath,
    model: Annotated[
        Path | None,
        typer.Option(metavar="MODEL", help="A run, a model folder or mien-s; a set of cached features needs none."),
    ] = None,
    split: Annotated[str | None, typer.Option(help="Split to look through, or all; train or Training unless said.")] = None,
    by: Annotated[
        str, typer.Option(help="confident (cleanlab on held-out predictions), weights (of the run), or neighborhood (S of SNA).")
    ] = "confident",
    folds: Annotated[int, whole("Folds of confident.", 1, 1000)] = 5,
    first: Annotated[int, whole("Faces in the picture.", 1, 100_000)] = 100,
    noise: Annotated[float, share("For experiments: share of the labels to flip before anything else.")] = 0.0,
    seed: Annotated[int, seed_option("Draws folds, flips and neighbors.")] = 0,
    neighbors: Annotated[
        Path | None, typer.Option(help="For neighborhood: a folder of mien neighbors train; else the run's own, or features.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Where table and picture go; RUN/doubts-SPLIT unless said; without a run, a folder here.")
    ] = None,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Find labels that are probably wrong, the most doubtful first."""
    from mien.cli.console import Bar, show
    from mien.data.faceset import FaceSet
    from mien.label_errors.find import find_label_errors
    from mien.label_errors.report import require_free, write_label_errors

    # An experiment, or another method, does not take the place of the list that somebody works with.
    extra = [*([by] if by != "confident" else []), *(["noise"] if noise else [])]
    name = "-".join(["doubts", split or "train", *extra])
    if model is None and (by != "confident" or FaceSet.open(faceset).info.kind != "features"):
        raise typer.BadParameter("expected a model, such as mien-s or a run, to judge labels by", param_hint="--model")
    folder = out or (Path(name) if model is None else own_folder(model, name))
    require_free(folder)
    with Bar(quiet=as_json, single=True) as bar:
        found = find_label_errors(model, faceset, split, by, folds, noise, seed, neighbors, device, bar)
        files = write_label_errors(found, folder, first)
    for warning in found.warnings:
        say(f"warning: {warning}", file=sys.stderr)
    if as_json:
        print_json(found.to_json() | {"out": str(folder), "files": files})
        return
    say(f"{found.dataset}, {found.split}: {counted(len(found.ids), 'label')} by {found.how}")
    if found.likely is not None:
        say(f"cleanlab takes {found.flagged.sum()} for wrong, and estimates that {found.noise_rate:.1%} are")
        show(_pair_table(found))
    if found.known is not None and found.known.wrong:
        show(_known_table(found.known, len(found.ids)))
        if found.known.auroc == found.known.auroc:  # nan where all of them are wrong
            say(f"the list finds them with an AUROC of {found.known.auroc:.3f}")
    elif found.known is not None:
        say("none of these labels is known to be wrong")
    say(*(folder / name for name in files), sep="\n")


def _pair_table(found: "LabelErrors") -> "Table":
    """The labels that cleanlab believes to be confused most often."""
    from mien.cli.console import Table

    table, likely, classes = Table("labeled", "likely", "faces (estimate)"), found.likely, range(len(found.classes))
    if likely is not None:
        pairs = [(float(likely[label, other]), label, other) for label in classes for other in classes if label != other]
        for count, label, other in sorted(pairs, key=lambda pair: -pair[0])[:MOST_PAIRS]:
            if round(count):
                table.add_row(found.classes[label], found.classes[other], f"{count:.0f}")
    return table


def _known_table(known: "KnownMistakes", count: int) -> "Table":
    from mien.cli.console import Table

    table = Table("of the first", "known to be wrong", "share")
    for first, wrong in {**known.first, count: known.wrong}.items():
        table.add_row(f"{first}", str(wrong), f"{wrong / first:.1%}")
    return table
