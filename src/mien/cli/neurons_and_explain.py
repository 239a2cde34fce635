"""Commands that look into a network: what its neurons respond to, where it looks."""

from pathlib import Path
from typing import Annotated

import typer

from mien.cli.options import Device, FaceSetPath, Json, seed_option, whole_number
from mien.cli.printing import print_result, warn
from mien.progress import progress_bar


def neurons(
    run: Annotated[str, typer.Argument(metavar="RUN_OR_NETWORK", help="A run, a model, or a network's name.")],
    faceset: FaceSetPath,
    out: Annotated[Path, typer.Option(help="The new folder for report.html, pictures and tables.")],
    layers: Annotated[
        str | None,
        typer.Option(
            help="Blocks, separated by commas: stage2_1,stage3_1; head stands for the class outputs. Unless given: all blocks."
        ),
    ] = None,
    before: Annotated[
        str | None, typer.Option(metavar="RUN_OR_NETWORK", help="The run or network before fine-tuning, to compare with.")
    ] = None,
    split: Annotated[str, typer.Option(help="Split to take labeled faces from.")] = "all",
    per_class: Annotated[int | None, whole_number("The most faces to take of each class. Unless given: all.")] = None,
    top: Annotated[int, whole_number("How many of the faces that excite a neuron most are looked at.")] = 100,
    drawn: Annotated[
        int, whole_number("Neurons of each layer that get a picture which excites them; those of head all get one.", 0, 10_000)
    ] = 8,
    seed: Annotated[int, seed_option("Draws the order of ties, the noise of pictures, and a network's random weights.")] = 0,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Look at what neurons respond to: label entropy, mean faces, pictures that excite them."""
    from mien.cli.result_tables import neuron_table
    from mien.evaluation.neurons import inspect_neurons
    from mien.evaluation.report.neurons import write_neurons
    from mien.folders import require_absent

    require_absent(out)
    chosen = [name.strip() for name in layers.split(",")] if layers else []
    with progress_bar(quiet=as_json, single=True) as bar:
        found = inspect_neurons(run, faceset, chosen, before, split, top, per_class, drawn, seed, device, bar)
        files = write_neurons(found, out)
    warn(found.warning)
    low = f"low: entropy below {found.threshold:.3f}, the lowest average of a layer"
    values = found.to_json() | {"out": str(out), "files": files}
    print_result(as_json, values, neuron_table(found), low, out / "report.html")


def explain(
    run: Annotated[Path, typer.Argument(help="A run or a model folder.")],
    photo: Annotated[Path, typer.Argument(help="A picture of one face, cropped like those the model was trained on.")],
    out: Annotated[Path | None, typer.Option(help="The new PNG. Unless given: PHOTO_explained.png beside the photo.")] = None,
    class_: Annotated[str | None, typer.Option("--class", help="Class to explain. Unless given: the most likely.")] = None,
    block: Annotated[
        str | None, typer.Option(help="Block of the network whose maps are used. Unless given: the last that has maps.")
    ] = None,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Recognize the face on a photo, and draw the regions that decided."""
    from mien.evaluation.grad_cam import explain_photo, explained_path
    from mien.wording import percent, short_name

    with progress_bar(quiet=as_json) as bar:
        found, target = explain_photo(run, photo, out, class_, block, device, bar), out or explained_path(photo)
    likely = sorted(found.to_json()["probabilities"].items(), key=lambda pair: -pair[1])
    lines = [*(f"{short_name(name):<12} {percent(share):>6}" for name, share in likely), str(target)]
    if not found.heat.any():
        warn(f"no region speaks for {found.explained}")
    print_result(as_json, found.to_json() | {"out": str(target)}, *lines)
