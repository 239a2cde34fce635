"""Commands that make and look at face sets."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mien.cli.options import (
    Device,
    FaceSetPath,
    Json,
    Limits,
    Seed,
    Settings,
    class_names,
    key_values,
    number,
    share,
    whole_number,
)
from mien.cli.printing import note, print_result, warn, warn_of_few_tests, warn_of_untested
from mien.progress import progress_bar
from mien.wording import quantity

if TYPE_CHECKING:
    from mien.data.source import Source


def import_(
    source: Annotated[
        str, typer.Argument(help="folder, table, synthetic, a database (mien databases lists them), or package.module:Name.")
    ],
    paths: Annotated[
        list[Path], typer.Argument(metavar="[INPUT] OUT", help="What to read (not for synthetic), and the new folder.")
    ],
    rule: Annotated[str | None, typer.Option(help="Label rule of ferplus: majority, probability or argmax.")] = None,
    columns: Annotated[
        str | None, typer.Option(help="Names of the columns of a csv file: path=name,label=label,subject=person.")
    ] = None,
    classes: Annotated[str | None, typer.Option(help="Our names of classes, and theirs: anger=angry,happiness=happy.")] = None,
    side: Annotated[int | None, whole_number("Side of the stored faces in pixels.", 1, 4096)] = None,
    test: Annotated[
        float, share("Share of the faces that becomes the split `test`, whole people at a time, where there are no splits.")
    ] = 0.0,
    color: Annotated[bool, typer.Option(help="Store color faces.")] = False,
    skip: Annotated[
        int, whole_number("How many inputs may be left out since they cannot be read; rejected.csv lists them.", least=0)
    ] = 0,
    set_: Settings = None,
    limits: Limits = "on",
    as_json: Json = False,
) -> None:
    """Import a published database, a folder, a table, or drawn faces into a face set."""
    from mien.data.importing import import_source, source_from, told_notes
    from mien.json_toml import parse_word

    if len(paths) > 2:
        raise typer.BadParameter("expected [INPUT] OUT", param_hint="INPUT OUT")
    settings: dict[str, Any] = {key: parse_word(value) for key, value in key_values(set_, "--set").items()}
    given: dict[str, Any] = {"input": paths[0] if len(paths) == 2 else None, "rule": rule, "side": side, "color": color or None}
    given |= {"limits": limits if limits == "off" else None}
    given |= {"columns": key_values(columns, "--columns") if columns else None}
    given |= {"classes": class_names(classes) or None}
    settings |= {key: value for key, value in given.items() if value is not None}
    with progress_bar(quiet=as_json) as bar:
        bar.begin("import", 0)
        database = source_from(source, settings)
        done = import_source(database, paths[-1], skip, bar.reached, test)
    values = {
        "faces": len(done.faces),
        "rejected": len(done.rejected),
        "out": str(paths[-1]),
        "checksum": done.faces.info.checksum,
        "differences": list(done.differences),
    }
    left_out = f", {quantity(len(done.rejected), 'input')} left out (rejected.csv says why)" if done.rejected else ""
    _warn_of_whole_photos(database)
    note(told_notes(done.notes) if done.notes else "")
    warn(f"not the published numbers of faces: {'; '.join(done.differences)}" if done.differences else "")
    if test:
        warn_of_few_tests(done.faces)
        warn_of_untested(done.faces)
    print_result(as_json, values, f"{quantity(len(done.faces), 'face')} -> {paths[-1]}{left_out}")


def _warn_of_whole_photos(database: "Source") -> None:
    """Warn where the pictures of a folder or a table are no crops of faces."""
    files = database.pictures()
    if files is None:
        return
    from mien.preparation.whole_photos import measure_whole_photos

    warn(measure_whole_photos(files).warning)


def describe(
    faceset: FaceSetPath,
    picture: Annotated[Path | None, typer.Option(help="Write a picture of example faces per class to this PNG.")] = None,
    as_json: Json = False,
) -> None:
    """Count the faces of a set per split and class, and show examples."""
    from dataclasses import asdict

    from mien.cli.result_tables import count_table
    from mien.data import describe as room
    from mien.data.faceset import FaceSet

    faces = FaceSet.open(faceset, verify=True)
    found = room.describe(faces)
    if picture is not None:
        room.write_examples(faces, picture)
    counts = {
        split: dict(zip(found.classes, map(int, row), strict=True)) for split, row in zip(found.splits, found.counts, strict=True)
    }
    many = quantity(len(faces), faces.info.kind.removesuffix("s"))
    told = [f"{many} of {faces.info.name or faceset}", f"terms: {faces.info.license}"]
    told += [f"cite: {faces.info.citation}"] if faces.info.citation else []
    print_result(as_json, {"info": asdict(faces.info), "counts": counts}, *told, count_table(found))


def features(
    network: Annotated[
        str, typer.Argument(metavar="RUN_OR_NETWORK[:BLOCK]", help="A run, a model, or a network's name; and a block.")
    ],
    faceset: FaceSetPath,
    out: Annotated[Path, typer.Argument(help="The new folder.")],
    views: Annotated[int, whole_number("Views of each face: clean, mirror, then weak and strong in turn.", 1, 1000)] = 2,
    grid: Annotated[
        int, whole_number("Side of the grid to which maps of features are averaged; 0 keeps them as they are.", 0, 4096)
    ] = 1,
    limit_gb: Annotated[float, number("The most gigabytes that the features may take on disk.", 0, 1e9)] = 8.0,
    seed: Seed = 0,
    device: Device = "auto",
    set_: Settings = None,
    beside: Annotated[
        list[str] | None,
        typer.Option(metavar="RUN_OR_NETWORK[:BLOCK]", help="Another, whose features follow the first one's; can be repeated."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Write the features that a block of a network gives every face, for recipes on the `embedding` network.

    A network's name stands for its published weights where it has some (facenet_dlib), else for random ones; --set changes the
    first one's settings.
    """
    from mien.json_toml import parse_word
    from mien.recognize.features import write_features

    settings = {key: parse_word(value) for key, value in key_values(set_, "--set").items()}
    with progress_bar(quiet=as_json) as bar:
        made = write_features(network, faceset, out, views, grid, seed, device, bar, limit_gb, settings, beside or ())
    values = {"faces": len(made), "views": made.info.views, "dimension": made.info.channels, "out": str(out)}
    print_result(
        as_json,
        values,
        f"{quantity(len(made), 'face')} x {quantity(views, 'view')} x {quantity(made.info.channels, 'feature')} -> {out}",
    )


def convert(
    file: Annotated[
        Path,
        typer.Argument(
            help="vgg_face.mat, a .safetensors with conv1_1.weight to fc8.bias (for RGB, not Caffe's BGR), or fr_feature.onnx."
        ),
    ],
    out: Annotated[Path, typer.Argument(help="The new model folder.")],
    side: Annotated[
        int, whole_number("Side in pixels of the faces that the model will be used on; it resizes them itself.", 1, 4096)
    ] = 224,
    color: Annotated[bool, typer.Option("--color/--gray", help="Whether those faces are in color.")] = True,
    as_json: Json = False,
) -> None:
    """Turn published weights of a face net into a model, from which recipes may start and features be taken.

    VGG-Face's become a vgg16; fr_feature.onnx becomes a facenet_mobile.
    """
    from mien.recognize.convert_face_net import convert_face_net
    from mien.recognize.convert_vgg_face import convert_weights

    card = (convert_face_net if file.suffix == ".onnx" else convert_weights)(file, out, side, 3 if color else 1)
    values = {"network": card.network, "people": len(card.classes), "side": side, "color": color, "out": str(out)}
    people = f" with {quantity(len(card.classes), 'person', 'people')}" if card.classes else ""
    print_result(as_json, values, f"{card.network['network']}{people} -> {out}")
