"""Commands that make a model of a model: to give away, or for other faces."""

from pathlib import Path
from typing import Annotated

import typer

from mien.cli.options import Device, FaceSetOrPhotos, Json, seed_option
from mien.cli.printing import print_result, warn
from mien.progress import progress_bar


def export(
    run: Annotated[Path, typer.Argument(help="A run or a model folder.")],
    out: Annotated[Path, typer.Argument(help="The new model folder.")],
    align: Annotated[
        str | None,
        typer.Option(
            metavar="'WAY; DETECTOR; WHICH'",
            help="How faces are cut out of photos for the model, where its face set does not say.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Write a model to give away: half the size, and ready to run without torch. Every command that takes a run takes it."""
    from mien.recognize.export_model import export as write
    from mien.recognize.model_folder import GRAPH, WEIGHTS

    card = write(run, out, align)
    sizes = {name: (out / name).stat().st_size for name in (WEIGHTS, GRAPH)}
    values = {"folder": str(out), "classes": list(card.classes), "alignment": card.faces.alignment, "bytes": sizes}
    print_result(as_json, values, f"{sum(sizes.values()) / 1e6:.1f} MB, faces cut out by: {card.faces.alignment} -> {out}")


def adapt(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A run, a model folder, or mien-s, which comes with mien.")],
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
