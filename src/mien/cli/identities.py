"""Commands about who is on a face: sets whose label is the person, and how well a network tells people apart."""

from pathlib import Path
from typing import Annotated

import typer

from mien.cli.options import Device, FaceSetPath, Json, TestSplit, seed_option, share, whole_number
from mien.cli.printing import note_held_out, print_result, warn
from mien.progress import progress_bar
from mien.wording import percent, quantity


def identities(
    faceset: FaceSetPath,
    out: Annotated[Path, typer.Argument(help="The new folder.")],
    least: Annotated[int, whole_number("The fewest faces that a person may have.")] = 5,
    test: Annotated[float, share("Share of the people whose faces are held out, as the split `test`.")] = 0.2,
    split: Annotated[
        str | None, typer.Option(help="Split to take faces from, or all. Unless given: all but those held out for tests.")
    ] = None,
    seed: Annotated[int, seed_option("Draws who is held out.")] = 0,
    as_json: Json = False,
) -> None:
    """Make a face set whose label is the person, to pretrain a network on."""
    from mien.data.faceset import FaceSet
    from mien.data.identities import write_identities
    from mien.data.splits import held_out_rows

    faces = FaceSet.open(faceset, verify=True)
    with progress_bar(quiet=as_json) as bar:
        made = write_identities(faces, out, least, test, seed, split, bar)
    left_out = len(held_out_rows(faces)) if split is None else 0
    trained, held_out = len(made.classes), len(set(made.select(made.labels < 0).values("subject")))
    counts = {"faces": len(made), "people": trained, "held_out": held_out, "left_out": left_out}
    values = counts | {"out": str(out), "checksum": made.info.checksum}
    note_held_out(left_out)
    print_result(
        as_json,
        values,
        f"{quantity(len(made), 'face')} of {quantity(trained, 'person', 'people')} and {held_out} held out -> {out}",
    )


def verify(
    run: Annotated[str, typer.Argument(metavar="RUN_OR_NETWORK", help="A run, a model, or a network's name.")],
    faceset: FaceSetPath,
    split: TestSplit = None,
    block: Annotated[
        str | None, typer.Option(help="Block of the network whose features are compared. Unless given: the last.")
    ] = None,
    pairs: Annotated[int, whole_number("How many pairs of faces; half of them show one person.", 2, 10**7)] = 6000,
    folds: Annotated[int, whole_number("Folds without a person in common.", 2, 1000)] = 10,
    flip: Annotated[bool, typer.Option(help="Add the features of the mirror image.")] = False,
    seed: Annotated[int, seed_option("Draws the pairs, and a network's random weights.")] = 0,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Measure whether a network tells if two photos show one person, as Labeled Faces in the Wild does."""
    from mien.evaluation.verification import verify as measure

    with progress_bar(quiet=as_json) as bar:
        found = measure(run, faceset, split, block, pairs, folds, flip, seed, device, bar)
    of = f"{quantity(found.faces, 'face')} of {quantity(found.people, 'person', 'people')}"
    lines = [
        found.source,
        f"{quantity(found.pairs, 'pair')} of {of}, {quantity(len(found.folds), 'fold')}",
        f"accuracy {percent(found.accuracy)} ± {percent(found.error)} (standard error), AUC {found.auc:.3f}",
    ]
    print_result(as_json, found.to_json(), *lines)
    if found.trained_on:
        warn(f"the run used labels of {found.trained_on} of the split's faces")
    if found.pairs < pairs:
        warn(f"{quantity(found.pairs, 'pair')} instead of {pairs}; the folds' people have no more")
