"""Commands that measure what was trained."""

from pathlib import Path
from typing import Annotated

import typer

from mien.cli.options import (
    MODEL_READ,
    Device,
    FaceSetOrPhotos,
    FaceSetPath,
    Json,
    Limits,
    TestSplit,
    folder_beside,
    whole_number,
)
from mien.cli.printing import print_evaluation, print_result, warn
from mien.progress import progress_bar
from mien.wording import quantity


def evaluate(
    run: Annotated[Path, typer.Argument(metavar="MODEL", help=MODEL_READ)],
    faceset: FaceSetOrPhotos,
    split: TestSplit = None,
    fold: Annotated[str | None, typer.Option(help="Instead of splits: test on this fold of subjects, for example 1/5.")] = None,
    folds: Annotated[
        int | None, whole_number("MODEL is a folder of runs, or a comparison: test each on its own of so many folds.", 2, 1000)
    ] = None,
    by: Annotated[str | None, typer.Option(help="A column: figures for each of its values.")] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for report.html and metrics.json. Unless given: one in MODEL; needed for mien-s."),
    ] = None,
    flip: Annotated[bool, typer.Option(help="Average with the mirror image.")] = False,
    device: Device = "auto",
    limits: Limits = "on",
    as_json: Json = False,
) -> None:
    """Test a recognizer: figures with intervals, and a report to look at."""
    from mien.data.splits import test_split
    from mien.evaluation.evaluate import evaluate as measure
    from mien.media.file_limits import file_limits
    from mien.preparation.photo_folder import open_or_prepare
    from mien.recognize.bundled import BUNDLED
    from mien.recognize.recognizer import Recognizer

    if folds is not None:
        if split or fold or by:
            raise typer.BadParameter("expected --folds without --split, --fold and --by", param_hint="--folds")
        _evaluate_folds(run, faceset, folds, out or run / f"evaluation-{folds}-folds", flip, device, as_json)
        return
    if out is None and (str(run) in BUNDLED or run.is_file()):
        why = "is a file" if run.is_file() else "comes with mien"
        raise typer.BadParameter(f"expected a folder for the report, since {run} {why}", param_hint="--out")
    recognizer = Recognizer.load(run, device)
    with progress_bar(quiet=as_json) as bar:
        faces = open_or_prepare(faceset, bar, limits=file_limits(limits), as_found=True)
    part = f"fold-{fold.replace('/', '-of-')}" if fold else split or test_split(faces)
    folder = out or run / "-".join(["evaluation", part, *(["flip"] if flip else []), *(["by", by] if by else [])])
    result = measure(recognizer, faces, split, by=by, out=folder, flip=flip, fold=fold)
    print_evaluation(result, as_json, [str(folder / "report.html")])


def _evaluate_folds(runs: Path, faceset: Path, folds: int, out: Path, flip: bool, device: str, as_json: bool) -> None:
    from mien.cli.result_tables import fold_table
    from mien.experiments.evaluated_folds import evaluate_folds

    with progress_bar(quiet=as_json) as bar:
        found = evaluate_folds(runs, faceset, folds, out, flip, device, bar)
    for warning in () if as_json else found.warnings:
        warn(warning)
    print_result(as_json, found.to_json(), fold_table(found.together, f"{folds} folds of people, together"), out / "folds.csv")


def weights(
    run: Annotated[Path, typer.Argument(help="Folder of a finished run.")],
    faceset: Annotated[Path, typer.Argument(metavar="FACESET", help="Folder of the face set that it trained on.")],
    per_class: Annotated[int, whole_number("Faces of each class in the picture.", 1, 10_000)] = 8,
    out: Annotated[Path | None, typer.Option(help="Folder for weights.png and weights.csv. Unless given: RUN/weights.")] = None,
    as_json: Json = False,
) -> None:
    """Show the training faces that counted least, and how well a low weight finds wrong labels."""
    from mien.cli.result_tables import weight_table
    from mien.evaluation.sample_weights import inspect_weights

    found, folder = inspect_weights(run, faceset, per_class, out), out or run / "weights"
    said = []
    if found.equal:
        said = ["this run weighed all faces the same"]
    elif found.auroc == found.auroc:  # nan where nobody knows which labels are wrong
        wrong = quantity(found.flipped, "label is", "labels are")
        said = [f"{wrong} known to be wrong; a low weight finds them with an AUROC of {found.auroc:.3f}"]
    if not as_json:
        warn(found.warning)
    print_result(as_json, found.to_json(), weight_table(found), *said, folder / "weights.png", folder / "weights.csv")


def intensity(
    run: Annotated[Path, typer.Argument(help="A run or a model folder.")],
    faceset: FaceSetPath,
    split: TestSplit = None,
    column: Annotated[str, typer.Option(help="Column that holds the true intensity.")] = "intensity",
    out: Annotated[
        Path | None, typer.Option(help="Folder for intensity.png and intensity.csv. Unless given: RUN/intensity.")
    ] = None,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Measure whether predictions grow with the intensity of the expression."""
    from mien.cli.result_tables import growth_tables
    from mien.evaluation.intensity import inspect_intensity

    folder = out or folder_beside(run, "intensity")
    found = inspect_intensity(run, faceset, split, column, folder, device)
    if not as_json:
        warn(found.warning)
    files = [path for path in (folder / "intensity.png", folder / "intensity.csv") if path.is_file()]
    print_result(as_json, found.to_json(), *growth_tables(found), f"intervals: bootstrap over {found.over}", *files)
