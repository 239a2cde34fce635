"""Commands that make a model of a model: to give away, or for other faces."""

from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from mien.cli.options import MODEL_TAKEN, Device, FaceSetOrPhotos, Json, seed_option, whole_number
from mien.cli.printing import print_result, warn
from mien.progress import progress_bar


def export(
    run: Annotated[str, typer.Argument(help=MODEL_TAKEN)],
    out: Annotated[Path, typer.Argument(help="The new folder; with --one-file or --int8 the new file.")],
    align: Annotated[
        str | None,
        typer.Option(
            metavar="'WAY; DETECTOR; WHICH'",
            help="How faces are cut out of photos for the model, where its face set does not say.",
        ),
    ] = None,
    hugging_face: Annotated[
        bool, typer.Option("--hugging-face", help="Add a README.md as the Hugging Face Hub shows it.")
    ] = False,
    whole: Annotated[
        bool, typer.Option("--one-file", help="Write one ONNX file with the weights inside, for other programs.")
    ] = False,
    int8: Annotated[
        Path | None,
        typer.Option(metavar="FACESET", help="Write one ONNX file of eight bits, calibrated and measured on this face set."),
    ] = None,
    web: Annotated[
        bool, typer.Option("--web", help="Write a page that runs the model in the browser, as files for any web server.")
    ] = False,
    opset: Annotated[int | None, whole_number("Version of ONNX's operators, with --one-file. Unless given: 17.", 13, 22)] = None,
    batch: Annotated[int | None, whole_number("Faces at a time in one file. Unless given: any number.", 1, 4096)] = None,
    as_json: Json = False,
) -> None:
    """Write a model to give away: half the size, and ready to run without torch. Every command that takes a run takes it."""
    if opset is not None and not whole:
        raise typer.BadParameter("it is for --one-file", param_hint="--opset")
    if batch is not None and not (whole or int8):
        raise typer.BadParameter("it is for --one-file and --int8", param_hint="--batch")
    if web:
        if align is not None or hugging_face or whole or int8:
            todo = "it writes a page, and takes none of --align, --hugging-face, --one-file and --int8"
            raise typer.BadParameter(todo, param_hint="--web")
        _export_page(run, out, as_json)
        return
    if whole or int8:
        if align is not None or hugging_face or (whole and int8):
            todo = "--one-file and --int8 write a file of their own; --align and --hugging-face are for a folder"
            raise typer.BadParameter(todo, param_hint="--int8" if int8 else "--one-file")
        _export_file(run, out, int8, opset, batch, as_json)
        return
    from mien.recognize.bundled import find_model
    from mien.recognize.export_model import export as write
    from mien.recognize.hugging_face import write_readme
    from mien.recognize.model_card import read_card
    from mien.recognize.model_folder import GRAPH, WEIGHTS

    stated = read_card(find_model(run)).faces.alignment
    card = write(run, out, align)
    if align is not None:
        _say_replaced(stated, card.faces.alignment)
    if hugging_face:
        write_readme(card, out)
    sizes = {name: (out / name).stat().st_size for name in (WEIGHTS, GRAPH)}
    values = {"folder": str(out), "classes": list(card.classes), "alignment": card.faces.alignment, "bytes": sizes}
    print_result(as_json, values, f"{sum(sizes.values()) / 1e6:.1f} MB, faces cut out by: {card.faces.alignment} -> {out}")


def _say_replaced(before: str, now: str) -> None:
    """Say that a new card states another alignment than the old one did, if that stated one."""
    from mien.cli.reading import say_overridden
    from mien.errors import MienError
    from mien.faces.crop import CropSpec

    with suppress(MienError):
        stated = CropSpec.from_text(before)
        stated.require_loaded()  # a card imports no module
        say_overridden(stated, CropSpec.from_text(now), "in the new model ")


def _export_page(run: str, out: Path, as_json: bool) -> None:
    """Write the page in the browser."""
    from mien.browser.static_page import export_page

    card = export_page(run, out)
    size = sum(file.stat().st_size for file in out.rglob("*") if file.is_file())
    values = {"folder": str(out), "classes": list(card.classes), "alignment": card.faces.alignment, "bytes": size}
    shown = "show it by a web server: python -m http.server --directory"
    print_result(as_json, values, f"{size / 1e6:.1f} MB, faces cut out by: {card.faces.alignment} -> {out}; {shown} {out}")


def _export_file(run: str, out: Path, int8: Path | None, opset: int | None, batch: int | None, as_json: bool) -> None:
    """Write one file of ONNX."""
    from mien.recognize.int8_export import export_int8
    from mien.recognize.one_file import export_one_file
    from mien.recognize.onnx_graph_check import OPSET

    if int8 is not None:
        figures = export_int8(run, out, int8, batch)
        print_result(as_json, {"file": str(out)} | figures.to_json(), f"{figures} -> {out}")
        return
    opset = opset or OPSET
    card, size = export_one_file(run, out, opset, batch), out.stat().st_size
    values = {"file": str(out), "classes": list(card.classes), "alignment": card.faces.alignment, "bytes": size, "opset": opset}
    print_result(as_json, values, f"{size / 1e6:.1f} MB, faces cut out by: {card.faces.alignment} -> {out}")


def adapt(
    model: Annotated[str, typer.Argument(metavar="MODEL", help=MODEL_TAKEN)],
    faceset: FaceSetOrPhotos,
    out: Annotated[Path, typer.Option(help="The new model folder.")],
    seed: Annotated[int, seed_option("Draws the five parts in which the model is tried, and views of faces.")] = 0,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Fit a model to a few faces of your own, with classes of your own. A model that gets worse by it is refused."""
    from mien.cli.result_tables import adapted_table
    from mien.experiments.adaptation.adapt import adapt as fit

    with progress_bar(quiet=as_json) as bar:
        found = fit(model, faceset, out, seed, device, bar)
    if not as_json:
        warn(found.caution)
    unsure = "no answer of this model is sure, since there are few faces: look at each answer yourself"
    told = [*([unsure] if found.sure == 1 else []), "each face by a last layer that was fitted to others", f"-> {out}"]
    print_result(as_json, found.to_json() | {"caution": found.caution}, adapted_table(found), *told)
