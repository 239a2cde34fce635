"""What reading photos, videos and cameras has in common: options, forms of what is printed, and polite ends."""

import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.cli.options import MODEL_READ, number
from mien.cli.printing import say

if TYPE_CHECKING:
    from mien.faces.crop import CropSpec
    from mien.recognize.predict_files import PredictedPhoto, UnreadableFile
    from mien.recognize.prediction_rows import Columns
    from mien.recognize.prediction_writer import Form, PredictionWriter
    from mien.recognize.recognizer import Recognizer

STOPPED = 130
"""Exit code after Ctrl-C."""

Model = Annotated[str, typer.Option(help=MODEL_READ)]
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
def _whole() -> Iterator[None]:
    """Ctrl-C waits until what is written here is whole."""
    pressed = list[int]()
    before = signal.signal(signal.SIGINT, lambda number, frame: pressed.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if pressed:
        raise KeyboardInterrupt


@dataclass(frozen=True)
class Reading:
    """How faces are read and printed, by what was typed."""

    form: "Form"
    """What is printed."""
    crop_spec: "CropSpec | None"
    """How faces are cut out; None for what the model's card says."""
    folder: Path | None
    """Where pictures are drawn."""

    @staticmethod
    def of(form: "Form", align: str | None, detector: str | None, draw: Path | None) -> "Reading":
        """What these options ask for; the folder to draw into is made. Raises MienError and usage errors for what cannot be."""
        return Reading(form, _chosen_crop(align, detector), _made_folder(draw))

    def recognizer(self, model: str, device: str) -> "Recognizer":
        """The model, once it is said where faces are cut out in another way than its card says."""
        from mien.errors import MienError
        from mien.recognize.recognizer import Recognizer

        recognizer = Recognizer.load(model, device)
        if self.crop_spec:
            with suppress(MienError):  # it does not say, which is why another way was asked for
                say_overridden(recognizer.crop_spec, self.crop_spec)
        return recognizer

    @contextmanager
    def writing(
        self,
        classes: tuple[str, ...],
        columns: "Columns" = "mien",
        faults: "Sequence[UnreadableFile]" = (),
        also: "Callable[[PredictedPhoto], None]" = lambda read: None,
    ) -> "Iterator[Callable[[PredictedPhoto], None]]":
        """A function that prints and draws a photo or frame, each whole. At the end it is said what could not be read.

        `also`: called with each, in the same breath.
        """
        from mien.recognize.prediction_writer import PredictionWriter

        writer = PredictionWriter(self.form, classes, sys.stdout, self.folder, columns)

        def write(read: "PredictedPhoto") -> None:
            with _whole():
                writer.write(read)
                also(read)

        try:
            yield write
        finally:
            with _whole():
                _close(writer, faults)


def _close(writer: "PredictionWriter", faults: "Sequence[UnreadableFile]") -> None:
    """End what is written, and say what could not be read and where pictures lie."""
    writer.close()
    for fault in faults:
        writer.fault(fault)
        say(f"mien: {fault.input.name}: {fault.reason}", file=sys.stderr)
    if writer.drawn():
        say(writer.drawn(), file=sys.stderr)


def say_overridden(stated: "CropSpec", chosen: "CropSpec", where: str = "") -> None:
    """Say on standard error that faces are cut out in another way than `stated` in a model's card, where that is so.

    `where`: words before it. Raises MienError for an unknown way.
    """
    if str(stated) != str(chosen):
        ours, theirs = str(chosen).split("; "), str(stated).split("; ")
        taken = "; ".join(part for part in ours if part not in theirs)
        said = "; ".join(part for part in theirs if part not in ours)
        say(f"mien: {where}faces are cut out by '{taken}', not by '{said}' as the model's card says", file=sys.stderr)


def chosen_form(as_json: bool, as_csv: bool, as_elan: bool = False) -> "Form":
    if as_json + as_csv + as_elan > 1:
        raise typer.BadParameter("expected one of --json, --csv and --elan", param_hint="--csv" if as_csv else "--elan")
    return "json" if as_json else "csv" if as_csv else "elan" if as_elan else "text"


def _chosen_crop(align: str | None, detector: str | None) -> "CropSpec | None":
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


def _made_folder(folder: Path | None) -> Path | None:
    """Made where it is not there."""
    from mien.folders import require_new

    if folder is None:
        return None
    require_new(folder)
    folder.mkdir(parents=True, exist_ok=True)
    return folder
