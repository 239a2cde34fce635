"""Commands that look into a network: what its neurons respond to, where it looks."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.cli.shared import Device, FaceSetPath, Json, print_json, print_values, say, seed_option, whole
from mien.plain import counted

if TYPE_CHECKING:
    from mien.cli.console import Table
    from mien.evaluation.neurons import Neurons


def neurons(
    run: Annotated[str, typer.Argument(metavar="RUN_OR_NETWORK", help="A run, a model, or a network's name.")],
    faceset: FaceSetPath,
    out: Annotated[Path, typer.Option(help="The new folder for report.html, pictures and tables.")],
    layers: Annotated[
        str | None, typer.Option(help="Blocks, for example stage2_1,stage3_1; head is the class outputs. All blocks unless said.")
    ] = None,
    before: Annotated[str | None, typer.Option(metavar="RUN_OR_NETWORK", help="What it was before fine-tuning.")] = None,
    split: Annotated[str, typer.Option(help="Split to take labeled faces from.")] = "all",
    per_class: Annotated[int | None, whole("Take so many faces of each class at most.")] = None,
    top: Annotated[int, whole("Faces that excite a neuron most, which are counted.")] = 100,
    drawn: Annotated[int, whole("Neurons of each layer that get a picture which excites them; of head all.", 0, 10_000)] = 8,
    seed: Annotated[int, seed_option("Draws the order of ties, the noise of pictures, a network's random weights.")] = 0,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Look at what neurons respond to: label entropy, mean faces, pictures that excite them."""
    from mien.cli.console import Bar, show
    from mien.evaluation.neurons import inspect_neurons
    from mien.evaluation.report.neurons import require_new, write_neurons

    require_new(out)
    chosen = [name.strip() for name in layers.split(",")] if layers else []
    with Bar(quiet=as_json, single=True) as bar:
        found = inspect_neurons(run, faceset, chosen, before, split, top, per_class, drawn, seed, device, bar)
        files = write_neurons(found, out)
    if found.warning:
        say(f"warning: {found.warning}", file=sys.stderr)
    if as_json:
        print_json(found.to_json() | {"out": str(out), "files": files})
        return
    show(_table(found))
    say(f"low: entropy below {found.threshold:.3f}, the lowest average of a layer")
    say(out / "report.html")


def _table(found: "Neurons") -> "Table":
    from mien.cli.console import Table

    table = Table(
        "layer", "neurons", "average entropy", "low", title=f"{found.dataset}, {counted(len(found.faces), 'labeled face')}"
    )
    if found.before is not None:
        table.add_column("average before")
        table.add_column("low before")
    for number, layer in enumerate(found.after.layers):
        cells = [layer.name, str(len(layer.entropy)), f"{layer.entropy.mean():.3f}", str(found.low(layer))]
        if found.before is not None:
            earlier = found.before.layers[number]
            cells += [f"{earlier.entropy.mean():.3f}", str(found.low(earlier))]
        table.add_row(*cells)
    return table


def explain(
    run: Annotated[Path, typer.Argument(help="A run or a model folder.")],
    photo: Annotated[Path, typer.Argument(help="A picture of one face, cropped like those the model was trained on.")],
    out: Annotated[Path | None, typer.Option(help="The new PNG; PHOTO_explained.png beside the photo unless said.")] = None,
    class_: Annotated[str | None, typer.Option("--class", help="Class to explain; the most likely unless said.")] = None,
    block: Annotated[str | None, typer.Option(help="Block whose maps are used; the last that has maps unless said.")] = None,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Recognize the face on a photo, and draw the regions that decided."""
    from mien.cli.console import Bar
    from mien.evaluation.grad_cam import explain_photo, explained_path
    from mien.plain import short

    with Bar(quiet=as_json) as bar:
        found, target = explain_photo(run, photo, out, class_, block, device, bar), out or explained_path(photo)
    likely = sorted(found.to_json()["probabilities"].items(), key=lambda pair: -pair[1])
    lines = [*(f"{short(name):<12} {share:6.1%}" for name, share in likely), str(target)]
    if not found.heat.any():
        say(f"warning: no region speaks for {found.explained}", file=sys.stderr)
    print_values(as_json, found.to_json() | {"out": str(target)}, *lines)
