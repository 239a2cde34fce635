"""The command that trains an autoencoder, which makes semantic neighbors of faces."""

from pathlib import Path
from typing import Annotated

import typer

from mien.cli.options import FaceSetPath, Json, Settings, Trust, key_values, setting, trust_typed, whole_number
from mien.cli.printing import print_result
from mien.progress import progress_bar
from mien.training.settings import TrainingSettings

autoencoder = typer.Typer(
    no_args_is_help=True, help="Autoencoders, which make semantic neighbors of faces: the same expression, moved a little."
)


@autoencoder.command()
def train(
    faceset: FaceSetPath,
    out: Annotated[Path, typer.Option(help="The new folder, or one that was interrupted, which goes on.")],
    preset: Annotated[
        str, typer.Option(help="small: for 48-pixel faces and a processor; paper: SNA's settings, for 112 pixels.")
    ] = "small",
    refine: Annotated[
        str | None,
        typer.Option(
            help="none, or wgan: a second phase with a critic and an expression network. Unless given: the preset's choice."
        ),
    ] = None,
    epochs: Annotated[
        int | None, whole_number("Epochs of the first phase; for those of the second --set refine_stages.0.epochs=N.")
    ] = None,
    labels_per_class: Annotated[
        int | None, setting(TrainingSettings, "labels_per_class", form="For the expression network of --refine wgan.")
    ] = None,
    split: Annotated[str | None, setting(TrainingSettings, "split")] = None,
    set_: Settings = None,
    device: Annotated[str, setting(TrainingSettings, "device")] = "auto",
    threads: Annotated[int | None, setting(TrainingSettings, "threads")] = None,
    trust: Trust = False,
    as_json: Json = False,
) -> None:
    """Train an autoencoder on the training split, with pictures as it goes; goes on where it was."""
    from mien.pretraining.autoencoder.settings import autoencoder_settings
    from mien.pretraining.autoencoder.train_alone import train_autoencoder

    changed: dict[str, object] = {**key_values(set_, "--set")}
    trust_typed(changed, trusted=trust)
    changed |= {key: value for key, value in {"refine": refine, "stages.0.epochs": epochs}.items() if value is not None}
    settings = TrainingSettings(labels_per_class=labels_per_class, split=split, device=device, threads=threads)
    with progress_bar(quiet=as_json) as bar:
        card = train_autoencoder(faceset, out, autoencoder_settings(preset, changed), settings, bar)
    values = {"out": str(out), "metrics": card.metrics, "labels": card.budget}
    error, mean_face = card.metrics["pixel_error"], card.metrics["mean_face_error"]
    text = f"a pixel is {error:.1f} of 255 from what it was, on faces held out (the mean face: {mean_face:.1f}) -> {out}"
    print_result(as_json, values, text, f"pictures: {out / 'pictures'}")
