"""Commands that measure what was trained."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from mien.cli.shared import (
    Device,
    FaceSetOrPhotos,
    FaceSetPath,
    Json,
    Limits,
    TestSplit,
    own_folder,
    print_json,
    say,
    show_evaluation,
    whole,
)
from mien.plain import counted


def evaluate(
    run: Annotated[Path, typer.Argument(help="A run or a model folder.")],
    faceset: FaceSetOrPhotos,
    split: TestSplit = None,
    fold: Annotated[str | None, typer.Option(help="Instead of splits: this fold of subjects is `test`, for example 1/5.")] = None,
    by: Annotated[str | None, typer.Option(help="A column: figures for each of its values.")] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Where report.html and metrics.json go; a folder in RUN named by what is measured unless said."),
    ] = None,
    flip: Annotated[bool, typer.Option(help="Average with the mirror image.")] = False,
    device: Device = "auto",
    limits: Limits = "on",
    as_json: Json = False,
) -> None:
    """Test a recognizer: figures with intervals, and a report to look at."""
    import os

    from mien.cli.console import Bar
    from mien.data.faceset import FaceSet
    from mien.data.splits import test_split
    from mien.evaluation.evaluate import evaluate as measure
    from mien.media.limits import limits_of
    from mien.preparation.photo_folder import open_or_prepare
    from mien.recognize.bundled import BUNDLED
    from mien.recognize.recognizer import Recognizer

    if out is None and str(run) in BUNDLED:
        raise typer.BadParameter(f"expected a folder for the report, since {run} comes with mien", param_hint="--out")
    recognizer = Recognizer.load(run, device)
    with Bar(quiet=as_json) as bar:
        faces = FaceSet.open(open_or_prepare(faceset, os.cpu_count() or 1, bar, limits=limits_of(limits)), verify=True)
    part = f"fold-{fold.replace('/', '-of-')}" if fold else split or test_split(faces)
    folder = out or run / "-".join(["evaluation", part, *(["flip"] if flip else []), *(["by", by] if by else [])])
    result = measure(recognizer, faces, split, by=by, out=folder, flip=flip, fold=fold)
    show_evaluation(result, as_json, [str(folder / "report.html")])


def weights(
    run: Annotated[Path, typer.Argument(help="Folder of a finished run.")],
    faceset: Annotated[Path, typer.Argument(metavar="FACESET", help="Folder of the face set that it trained on.")],
    per_class: Annotated[int, whole("Faces of each class in the picture.", 1, 10_000)] = 8,
    out: Annotated[Path | None, typer.Option(help="Where weights.png and weights.csv go; RUN/weights unless said.")] = None,
    as_json: Json = False,
) -> None:
    """Show the training faces that counted least, and how well a low weight finds wrong labels."""
    from mien.cli.console import show, weight_table
    from mien.evaluation.sample_weights import inspect_weights

    found, folder = inspect_weights(run, faceset, per_class, out), out or run / "weights"
    if as_json:
        print_json(found.to_json())
        return
    show(weight_table(found))
    if found.equal:
        say("this run weighed all faces the same")
    elif found.auroc == found.auroc:  # nan where nobody knows which labels are wrong
        wrong = counted(found.flipped, "label is", "labels are")
        say(f"{wrong} known to be wrong; a low weight finds them with an AUROC of {found.auroc:.3f}")
    _warn(found.warning)
    say(folder / "weights.png", folder / "weights.csv", sep="\n")


def intensity(
    run: Annotated[Path, typer.Argument(help="A run or a model folder.")],
    faceset: FaceSetPath,
    split: TestSplit = None,
    column: Annotated[str, typer.Option(help="Column that holds the true intensity.")] = "intensity",
    out: Annotated[Path | None, typer.Option(help="Where intensity.png and intensity.csv go; RUN/intensity unless said.")] = None,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Measure whether predictions grow with the intensity of the expression."""
    from mien.cli.console import growth_tables, show
    from mien.evaluation.intensity import inspect_intensity

    folder = out or own_folder(run, "intensity")
    found = inspect_intensity(run, faceset, split, column, folder, device)
    if as_json:
        print_json(found.to_json())
        return
    for table in growth_tables(found):
        show(table)
    say(f"intervals: bootstrap over {found.over}")
    _warn(found.warning)
    say(*(path for path in (folder / "intensity.png", folder / "intensity.csv") if path.is_file()), sep="\n")


def _warn(text: str) -> None:
    if text:
        say(f"warning: {text}", file=sys.stderr)
