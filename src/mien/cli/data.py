"""Commands that make and look at face sets."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from mien.cli.shared import (
    Device,
    FaceSetPath,
    Json,
    Limits,
    Seed,
    Settings,
    listed,
    number,
    pairs,
    print_json,
    print_values,
    say,
    share,
    warn_of_few_tests,
    warn_of_untested,
    whole,
)
from mien.plain import counted


def import_(
    source: Annotated[
        str, typer.Argument(help="A database: fer2013, ferplus, folder, table, synthetic, or package.module:Name.")
    ],
    paths: Annotated[
        list[Path], typer.Argument(metavar="[INPUT] OUT", help="What to read (not for synthetic), and the new folder.")
    ],
    rule: Annotated[str | None, typer.Option(help="Label rule of ferplus: majority, probability or argmax.")] = None,
    columns: Annotated[str | None, typer.Option(help="Which csv column is what: path=name,label=label,subject=person.")] = None,
    classes: Annotated[str | None, typer.Option(help="Our class names and theirs: anger=angry,happiness=happy.")] = None,
    side: Annotated[int | None, whole("Side of the stored faces in pixels.", 1, 4096)] = None,
    test: Annotated[
        float, share("Share of faces, whole subjects, that become the split `test` where there are no splits.")
    ] = 0.0,
    color: Annotated[bool, typer.Option(help="Store color faces.")] = False,
    skip: Annotated[int, whole("How many unreadable inputs may be left out; they are listed in rejected.csv.", least=0)] = 0,
    set_: Settings = None,
    limits: Limits = "on",
    as_json: Json = False,
) -> None:
    """Import a published database, a folder, a table, or rendered faces, into a face set."""
    from mien.cli.console import Bar
    from mien.data.importing import import_source, source_from, told_notes
    from mien.disk import value_of

    if len(paths) > 2:
        raise typer.BadParameter("expected [INPUT] OUT", param_hint="INPUT OUT")
    settings: dict[str, Any] = {key: value_of(value) for key, value in pairs(set_, "--set").items()}
    given: dict[str, Any] = {"input": paths[0] if len(paths) == 2 else None, "rule": rule, "side": side, "color": color or None}
    given |= {"limits": limits if limits == "off" else None}
    given |= {"columns": pairs(columns, "--columns") if columns else None}
    given |= {"classes": {theirs: ours for ours, theirs in listed(classes)} if classes else None}
    settings |= {key: value for key, value in given.items() if value is not None}
    with Bar(quiet=as_json) as bar:
        bar.begin("import", 0)
        database = source_from(source, settings)
        done = import_source(database, paths[-1], skip, bar.reached, test)
    values = {
        "faces": len(done.faces),
        "rejected": len(done.rejected),
        "out": str(paths[-1]),
        "checksum": done.faces.info.checksum,
    }
    left_out = f", {counted(len(done.rejected), 'input')} left out (rejected.csv says why)" if done.rejected else ""
    _warn_of_whole_photos(database)
    if done.notes:
        say(told_notes(done.notes), file=sys.stderr)
    if test:
        warn_of_few_tests(done.faces)
        warn_of_untested(done.faces)
    print_values(as_json, values, f"{counted(len(done.faces), 'face')} -> {paths[-1]}{left_out}")


def _warn_of_whole_photos(database: Any) -> None:
    """A line on stderr where the pictures of a folder or a table are no crops of faces."""
    if not hasattr(database, "pictures"):
        return
    from mien.preparation.whole_photos import look

    if warning := look(database.pictures()).warning:
        say(f"warning: {warning}", file=sys.stderr)


def describe(
    faceset: FaceSetPath,
    picture: Annotated[Path | None, typer.Option(help="Write a picture of example faces per class to this PNG.")] = None,
    as_json: Json = False,
) -> None:
    """Count the faces of a set per split and class, and show examples."""
    from dataclasses import asdict

    from mien.cli.console import count_table, show
    from mien.data import describe as room
    from mien.data.faceset import FaceSet

    faces = FaceSet.open(faceset, verify=True)
    found = room.describe(faces)
    if picture is not None:
        room.write_examples(faces, picture)
    if as_json:
        counts = {
            split: dict(zip(found.classes, map(int, row), strict=True))
            for split, row in zip(found.splits, found.counts, strict=True)
        }
        print_json({"info": asdict(faces.info), "counts": counts})
        return
    say(f"{len(faces)} {faces.info.kind} of {faces.info.name or faceset}, license {faces.info.license}")
    show(count_table(found))


def features(
    network: Annotated[
        str, typer.Argument(metavar="RUN_OR_NETWORK[:BLOCK]", help="A run, a model, or a network's name; and a block.")
    ],
    faceset: FaceSetPath,
    out: Annotated[Path, typer.Argument(help="The new folder.")],
    views: Annotated[int, whole("Views of each face: clean, mirror, then weak and strong in turn.", 1, 1000)] = 2,
    grid: Annotated[int, whole("Maps are averaged to GRID x GRID; 0 keeps them as they are.", 0, 4096)] = 1,
    limit_gb: Annotated[float, number("The most that the features may take on disk.", 0, 1e9)] = 8.0,
    seed: Seed = 0,
    device: Device = "auto",
    set_: Settings = None,
    as_json: Json = False,
) -> None:
    """Cache what a network's block makes of every face, for recipes on the `embedding` network.

    A network's name stands for its published weights where it has some (facenet_dlib), else for random ones; --set changes its
    settings.
    """
    from mien.cli.console import Bar
    from mien.data.faceset import FaceSet
    from mien.disk import value_of
    from mien.recognize.features import write_features

    faces = FaceSet.open(faceset, verify=True)
    settings = {key: value_of(value) for key, value in pairs(set_, "--set").items()}
    with Bar(quiet=as_json) as bar:
        made = write_features(network, faces, out, views, grid, seed, device, bar, limit_gb, settings)
    values = {"faces": len(made), "views": made.info.views, "dimension": made.info.channels, "out": str(out)}
    print_values(
        as_json,
        values,
        f"{counted(len(made), 'face')} x {counted(views, 'view')} x {counted(made.info.channels, 'feature')} -> {out}",
    )


def convert(
    file: Annotated[
        Path, typer.Argument(help="vgg_face.mat, or a .safetensors with conv1_1.weight to fc8.bias; for RGB, not Caffe's BGR.")
    ],
    out: Annotated[Path, typer.Argument(help="The new model folder.")],
    side: Annotated[int, whole("Side in pixels of the faces it will be used on; it resizes them to 224.", 1, 4096)] = 224,
    color: Annotated[bool, typer.Option("--color/--gray", help="Whether these faces are in color.")] = True,
    as_json: Json = False,
) -> None:
    """Turn VGG-Face's published weights into a model of vgg16, from which recipes may start and features be taken."""
    from mien.recognize.convert_vgg_face import convert_weights

    card = convert_weights(file, out, side, 3 if color else 1)
    values = {"network": card.network, "people": len(card.classes), "side": side, "color": color, "out": str(out)}
    print_values(as_json, values, f"vgg16 with {counted(len(card.classes), 'person', 'people')} -> {out}")
