"""The command about labels that are probably wrong."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.cli.options import NEIGHBORS, Device, FaceSetPath, Json, folder_beside, seed_option, share, whole_number
from mien.cli.printing import print_result, warn
from mien.progress import progress_bar
from mien.wording import percent, quantity

if TYPE_CHECKING:
    from mien.cli.tables import TextTable
    from mien.label_errors.ranking import LabelErrors


def label_errors(
    faceset: FaceSetPath,
    model: Annotated[
        Path | None,
        typer.Option(metavar="MODEL", help="A run, a model folder or mien-s; a set of cached features needs none."),
    ] = None,
    split: Annotated[str | None, typer.Option(help="Split to look through, or all. Unless given: train or Training.")] = None,
    by: Annotated[
        str,
        typer.Option(
            help="confident (cleanlab on held-out predictions), weights (of the run), or neighborhood (labels at neighbors)."
        ),
    ] = "confident",
    folds: Annotated[int, whole_number("Folds of confident.", 1, 1000)] = 5,
    first: Annotated[int, whole_number("Faces in the picture.", 1, 100_000)] = 100,
    noise: Annotated[float, share("For experiments: share of the labels to flip before anything else.")] = 0.0,
    seed: Annotated[int, seed_option("Draws folds, flips and neighbors.")] = 0,
    neighbors: Annotated[
        str | None,
        typer.Option(
            metavar="KIND|FOLDER",
            help=f"For neighborhood. {NEIGHBORS} Unless given: views; with --score divergence the run's own, or its features.",
        ),
    ] = None,
    score: Annotated[
        str | None,
        typer.Option(help="For neighborhood: label (minus log p of the label there; unless given), or divergence (S of SNA)."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for table and picture. Unless given: doubts-SPLIT, in the run or here."),
    ] = None,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Find labels that are probably wrong, the most doubtful first."""
    from mien.data.faceset import FaceSet
    from mien.label_errors.find import find_label_errors
    from mien.label_errors.report import require_own_list, write_label_errors

    # An experiment, or another method, does not take the place of the list that somebody works with.
    extra = [*([by] if by != "confident" else []), *(["noise"] if noise else [])]
    name = "-".join(["doubts", split or "train", *extra])
    if model is None and (by != "confident" or FaceSet.open(faceset).info.kind != "features"):
        raise typer.BadParameter("expected a model, such as mien-s or a run, to judge labels by", param_hint="--model")
    folder = out or (Path(name) if model is None else folder_beside(model, name))
    require_own_list(folder)
    with progress_bar(quiet=as_json, single=True) as bar:
        found = find_label_errors(model, faceset, split, by, folds, noise, seed, neighbors, device, bar, score)
        files = write_label_errors(found, folder, first)
    for warning in found.warnings:
        warn(warning)
    values = found.to_json() | {"out": str(folder), "files": files}
    print_result(as_json, values, *_told(found), *(folder / name for name in files))


def _told(found: "LabelErrors") -> "list[str | TextTable]":
    """What was found, as lines and tables."""
    from mien.cli.result_tables import confusion_table, known_wrong_table

    told: list[str | TextTable] = [f"{found.dataset}, {found.split}: {quantity(len(found.ids), 'label')} by {found.how}"]
    if found.likely is not None:
        told.append(f"cleanlab takes {found.flagged.sum()} for wrong, and estimates that {percent(found.noise_rate)} are")
        told.append(confusion_table(found))
    if found.known is not None and found.known.wrong:
        told.append(known_wrong_table(found.known, len(found.ids)))
        if found.known.auroc == found.known.auroc:  # nan where all of them are wrong
            told.append(f"the list finds them with an AUROC of {found.known.auroc:.3f}")
    elif found.known is not None:
        told.append("none of these labels is known to be wrong")
    return told
