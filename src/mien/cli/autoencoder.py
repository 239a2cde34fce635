"""Commands about semantic neighbors: the autoencoder that makes them."""

from pathlib import Path
from typing import Annotated

import typer

from mien.cli.shared import Device, FaceSetPath, Json, Settings, Threads, Trust, pairs, print_values, typed, whole

neighbors = typer.Typer(no_args_is_help=True, help="Semantic neighbors of faces: the same expression, moved a little.")


@neighbors.command()
def train(
    faceset: FaceSetPath,
    out: Annotated[Path, typer.Option(help="The new folder, or one that was interrupted, which goes on.")],
    preset: Annotated[
        str, typer.Option(help="small: 48-pixel faces and a CPU; paper: SNA's settings, for 112 pixels.")
    ] = "small",
    refine: Annotated[
        str | None,
        typer.Option(help="none, or wgan: a second phase with a critic and an expression network; the preset's unless said."),
    ] = None,
    epochs: Annotated[int | None, whole("Of the first phase; refine_stages.0.epochs for the second.")] = None,
    labels_per_class: Annotated[int | None, whole("Label budget of the expression network, which --refine wgan trains.")] = None,
    split: Annotated[str | None, typer.Option(help="Split to train on; train or Training unless said.")] = None,
    set_: Settings = None,
    device: Device = "auto",
    threads: Threads = None,
    trust: Trust = False,
    as_json: Json = False,
) -> None:
    """Train an autoencoder on the training split, with pictures as it goes; goes on where it was."""
    from mien.cli.console import Bar
    from mien.pretraining.autoencoder.settings import autoencoder_settings
    from mien.pretraining.autoencoder.train_alone import train_autoencoder
    from mien.training.settings import TrainingSettings

    changed: dict[str, object] = {**pairs(set_, "--set")}
    typed(changed, trusted=trust)
    changed |= {key: value for key, value in {"refine": refine, "stages.0.epochs": epochs}.items() if value is not None}
    order = TrainingSettings(labels_per_class=labels_per_class, split=split, device=device, threads=threads)
    with Bar(quiet=as_json) as bar:
        card = train_autoencoder(faceset, out, autoencoder_settings(preset, changed), order, bar)
    values = {"out": str(out), "metrics": card.metrics, "labels": card.budget}
    error, plain = card.metrics["pixel_error"], card.metrics["mean_face_error"]
    text = f"a pixel is {error:.1f} of 255 from what it was, on faces held out (the mean face: {plain:.1f}) -> {out}"
    print_values(as_json, values, text, f"pictures: {out / 'pictures'}")
