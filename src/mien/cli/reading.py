"""What reading photos, videos and cameras has in common: options, forms of what is printed, and polite ends."""

import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.cli.options import number
from mien.cli.printing import say

if TYPE_CHECKING:
    from mien.faces.crop import CropSpec
    from mien.recognize.predict_files import UnreadableFile
    from mien.recognize.prediction_writer import Form, PredictionWriter
    from mien.recognize.recognizer import Recognizer

STOPPED = 130
"""Exit code after Ctrl-C."""

Model = Annotated[str, typer.Option(help="A run, a model folder, or mien-s, which comes with mien.")]
Align = Annotated[str | None, typer.Option(help="How faces are cut out, such as 'box'. Unless given: as the model's card says.")]
Detector = Annotated[str | None, typer.Option(help="What finds faces, together with --align: mtcnn, haar or dlib.")]
LeastFace = Annotated[
    float | None,
    number(
        "Side in pixels of the smallest faces to look for. Unless given: in videos a twelfth of a frame's shorter side.", 1, 1e6
    ),
]
Draw = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help="A new folder to draw into: photos with their faces framed and named, and pictures of videos over time.",
    ),
]
AsCsv = Annotated[bool, typer.Option("--csv", help="Print a line of CSV for every face.")]


@contextmanager
def stopped() -> Iterator[None]:
    """Ctrl-C ends the command."""
    try:
        yield
    except KeyboardInterrupt:
        stop = typer.Exit(STOPPED)
        stop.add_note("what was read until then is written")
        raise stop from None


@contextmanager
def whole() -> Iterator[None]:
    """Ctrl-C waits until what is written here is whole."""
    pressed = list[int]()
    before = signal.signal(signal.SIGINT, lambda number, frame: pressed.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if pressed:
        raise KeyboardInterrupt


def close_writer(writer: "PredictionWriter", faults: "Sequence[UnreadableFile]") -> None:
    """End what is written, and say what could not be read and where pictures lie."""
    writer.close()
    for fault in faults:
        writer.fault(fault)
        say(f"mien: {fault.input.name}: {fault.reason}", file=sys.stderr)
    if writer.drawn():
        say(writer.drawn(), file=sys.stderr)


def say_overridden(recognizer: "Recognizer", crop_spec: "CropSpec | None") -> None:
    """Say on standard error that faces are cut out in another way than the model's card says, where that is so."""
    from mien.errors import MienError

    try:
        stated = str(recognizer.crop_spec)
    except MienError:  # it does not say, which is why another way was asked for
        return
    if crop_spec and stated != str(crop_spec):
        ours, theirs = str(crop_spec).split("; "), stated.split("; ")
        taken = "; ".join(part for part in ours if part not in theirs)
        said = "; ".join(part for part in theirs if part not in ours)
        say(f"mien: faces are cut out by '{taken}', not by '{said}' as the model's card says", file=sys.stderr)


def chosen_form(as_json: bool, as_csv: bool, as_elan: bool = False) -> "Form":
    if as_json + as_csv + as_elan > 1:
        raise typer.BadParameter("expected one of --json, --csv and --elan", param_hint="--csv" if as_csv else "--elan")
    return "json" if as_json else "csv" if as_csv else "elan" if as_elan else "text"


def chosen_crop(align: str | None, detector: str | None) -> "CropSpec | None":
    from mien.faces.crop import CropSpec

    if align is None:
        if detector is not None:
            raise typer.BadParameter(
                "expected --align with it: else the model's card says what finds faces", param_hint="--detector"
            )
        return None
    crop_spec = CropSpec(align, detector or "mtcnn", "all")
    crop_spec.require_workable()
    return crop_spec


def made_folder(folder: Path | None) -> Path | None:
    """Made where it is not there."""
    from mien.folders import require_new

    if folder is None:
        return None
    require_new(folder)
    folder.mkdir(parents=True, exist_ok=True)
    return folder
