"""Commands about who is on a face: sets whose label is the person, and how well a network tells people apart."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from mien.cli.shared import Device, FaceSetPath, Json, TestSplit, print_values, say, seed_option, share, whole
from mien.wording import quantity


def identities(
    faceset: FaceSetPath,
    out: Annotated[Path, typer.Argument(help="The new folder.")],
    least: Annotated[int, whole("Faces that a person has to have.")] = 5,
    test: Annotated[float, share("Share of the people that is held out whole, as the split `test`.")] = 0.2,
    split: Annotated[
        str | None, typer.Option(help="Split to take faces from, or all; unless said, all but those held out for tests.")
    ] = None,
    seed: Annotated[int, seed_option("Draws who is held out.")] = 0,
    as_json: Json = False,
) -> None:
    """Make a face set whose label is the person, to pretrain a network on."""
    from mien.cli.console import Bar
    from mien.data.faceset import FaceSet
    from mien.data.identities import write_identities
    from mien.data.splits import held_out_rows

    faces = FaceSet.open(faceset, verify=True)
    with Bar(quiet=as_json) as bar:
        made = write_identities(faces, out, least, test, seed, split, bar)
    left_out = len(held_out_rows(faces)) if split is None else 0
    trained, held_out = len(made.classes), len(set(made.select(made.labels < 0).values("subject")))
    counts = {"faces": len(made), "people": trained, "held_out": held_out, "left_out": left_out}
    values = counts | {"out": str(out), "checksum": made.info.checksum}
    if left_out:
        held = quantity(left_out, "face held out for tests is", "faces held out for tests are")
        say(f"{held} left out (--split all takes them)", file=sys.stderr)
    print_values(
        as_json,
        values,
        f"{quantity(len(made), 'face')} of {quantity(trained, 'person', 'people')} and {held_out} held out -> {out}",
    )


def verify(
    run: Annotated[str, typer.Argument(metavar="RUN_OR_NETWORK", help="A run, a model, or a network's name.")],
    faceset: FaceSetPath,
    split: TestSplit = None,
    block: Annotated[str | None, typer.Option(help="Block whose features are compared; the last one unless said.")] = None,
    pairs: Annotated[int, whole("Pairs of faces, half of them of one person.", 2, 10**7)] = 6000,
    folds: Annotated[int, whole("Folds without a person in common.", 2, 1000)] = 10,
    flip: Annotated[bool, typer.Option(help="Add the mirror image's features.")] = False,
    seed: Annotated[int, seed_option("Draws the pairs (and a network's random weights).")] = 0,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Measure whether a network tells if two photos show one person, as Labeled Faces in the Wild does."""
    from mien.cli.console import Bar
    from mien.evaluation.verification import verify as measure

    with Bar(quiet=as_json) as bar:
        found = measure(run, faceset, split, block, pairs, folds, flip, seed, device, bar)
    of = f"{quantity(found.faces, 'face')} of {quantity(found.people, 'person', 'people')}"
    lines = [
        found.source,
        f"{quantity(found.pairs, 'pair')} of {of}, {quantity(len(found.folds), 'fold')}",
        f"accuracy {found.accuracy:.1%} ± {found.error:.1%} (standard error), AUC {found.auc:.3f}",
    ]
    print_values(as_json, found.to_json(), *lines)
    if found.trained_on:
        say(f"warning: the run used labels of {found.trained_on} of the split's faces", file=sys.stderr)
    if found.pairs < pairs:
        say(f"warning: {quantity(found.pairs, 'pair')} instead of {pairs}; the folds' people have no more", file=sys.stderr)
