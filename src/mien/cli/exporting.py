"""Commands that make a model of a model: to give away, or for other faces."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from mien.cli.shared import Device, FaceSetPath, Json, print_json, print_values, say, seed_option


def export(
    run: Annotated[Path, typer.Argument(help="A run or a model folder.")],
    out: Annotated[Path, typer.Argument(help="The new model folder.")],
    align: Annotated[
        str | None,
        typer.Option(
            metavar="'WAY; DETECTOR; WHICH'", help="How faces are cut out of photos for it, where its set does not say."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Write a model to give away: half the size, and ready to run without torch. It is read as a run is."""
    from mien.recognize.export_model import export as write
    from mien.recognize.model_folder import GRAPH, WEIGHTS

    card = write(run, out, align)
    sizes = {name: (out / name).stat().st_size for name in (WEIGHTS, GRAPH)}
    values = {"folder": str(out), "classes": list(card.classes), "alignment": card.faces.alignment, "bytes": sizes}
    print_values(as_json, values, f"{sum(sizes.values()) / 1e6:.1f} MB, faces cut out by: {card.faces.alignment} -> {out}")


def adapt(
    model: Annotated[str, typer.Argument(metavar="RUN_OR_BOX", help="A run, a model folder, or mien-s, which comes with mien.")],
    faceset: FaceSetPath,
    out: Annotated[Path, typer.Option(help="The new model folder.")],
    seed: Annotated[int, seed_option("Draws the five parts in which it is tried, and views of faces.")] = 0,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Fit a model to a few faces of your own, with classes of your own; refused where it gets worse by them."""
    from mien.cli.console import Bar, adapted_table, show
    from mien.data.faceset import FaceSet
    from mien.experiments.adaptation.adapt import adapt as fit

    with Bar(quiet=as_json) as bar:
        found = fit(model, FaceSet.open(faceset), out, seed, device, bar)
    if as_json:
        print_json(found.to_json() | {"caution": found.caution})
        return
    if found.caution:
        say(f"warning: {found.caution}", file=sys.stderr)
    show(adapted_table(found))
    if found.sure == 1:
        say("no answer of this model is sure, since there are few faces: look at each answer yourself")
    say("each face by a last layer that was fitted to others")
    say(f"-> {out}")
