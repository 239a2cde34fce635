"""Commands that read faces in photos, in videos and before a camera."""

import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.cli.options import Device, Json, Limits, Turn, number, one_of, setting
from mien.cli.printing import say
from mien.faces.which_faces import Turns
from mien.recognize.baseline_settings import BaselineSettings
from mien.wording import quantity

if TYPE_CHECKING:
    from mien.faces.crop import CropSpec
    from mien.recognize.annotated_video import AnnotatedVideo
    from mien.recognize.predict_files import PredictedPhoto, UnreadableFile
    from mien.recognize.prediction_rows import Columns
    from mien.recognize.prediction_writer import Form, PredictionWriter
    from mien.recognize.recognizer import Recognizer

NOTHING_READ, STOPPED = 1, 130
"""Exit codes where not one input could be read, and after Ctrl-C."""

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
Video = Annotated[
    Path | None,
    typer.Option(metavar="OUT", help="Write a video anew, an .mp4 or .mkv, with its faces framed and named, without sound."),
]
Baseline = Annotated[
    list[Path] | None,
    typer.Option(metavar="PHOTO", help="A photo of the neutral face of the person on all photos, by which scores are corrected."),
]
BaselineSeconds = Annotated[float | None, setting(BaselineSettings, "seconds", "--baseline-seconds")]
BaselineStrength = Annotated[float | None, setting(BaselineSettings, "strength", "--baseline-strength")]
AsCsv = Annotated[bool, typer.Option("--csv", help="Print a line of CSV for every face.")]


def predict(
    paths: Annotated[list[Path], typer.Argument(metavar="INPUT...", help="Photos, videos, folders, globs, lists, archives.")],
    model: Model = "mien-s",
    align: Align = None,
    detector: Detector = None,
    least_face: LeastFace = None,
    turn: Turn = "off",
    every: Annotated[float, number("Seconds between the frames that are read in a video.", 0.001, 1e9)] = 0.04,
    baseline: Baseline = None,
    baseline_seconds: BaselineSeconds = None,
    baseline_strength: BaselineStrength = None,
    draw: Draw = None,
    video: Video = None,
    as_csv: AsCsv = False,
    columns: Annotated[
        str, typer.Option(metavar="NAMES", help="Columns of --csv: mien, or fex for those of py-feat's Fex.")
    ] = "mien",
    as_elan: Annotated[
        bool, typer.Option("--elan", help="Print a table of one video for ELAN: a row for each stretch of one expression.")
    ] = False,
    device: Device = "auto",
    limits: Limits = "on",
    as_json: Json = False,
) -> None:
    """Name the expression of every face in photos and videos; --json prints a line of JSON for each photo and frame."""
    from mien.media.file_limits import file_limits
    from mien.progress import progress_bar
    from mien.recognize.annotated_video import annotated_video
    from mien.recognize.face_embeddings import tracking_caution
    from mien.recognize.predict_files import UnreadableFile
    from mien.recognize.predict_files import predict as run
    from mien.recognize.prediction_writer import PredictionWriter
    from mien.recognize.recognizer import Recognizer
    from mien.recognize.resting_look import baseline_follower

    _require_inputs(paths, as_csv or as_elan)
    form, crop_spec = _form(as_json, as_csv, as_elan), _crop_spec(align, detector)
    names, folder = _columns(columns, form), _new_folder(draw)
    faults, noted = list[UnreadableFile](), _Noted(tracking_caution(every))
    with _stopped(), annotated_video(video) as film:
        recognizer = Recognizer.load(model, device)
        _say_overridden(recognizer, crop_spec)
        settings = BaselineSettings(baseline_strength, baseline_seconds)
        correct = baseline_follower(recognizer, settings, baseline or (), file_limits(limits), crop_spec)
        writer = PredictionWriter(form, recognizer.classes, sys.stdout, folder, names)
        try:
            with progress_bar(quiet=form != "text") as bar:
                bar.begin("photos and frames", 0)
                for read in run(
                    paths,
                    recognizer,
                    every,
                    faults,
                    crop_spec,
                    least_face,
                    file_limits(limits),
                    turn,
                    without=folder,
                    baseline=correct,
                ):
                    noted.note(read)
                    with _whole():
                        writer.write(read)
                        _film(film, read)
                    bar.advance(1)
        finally:
            with _whole():
                _close(writer, faults)
    _say_film(video, film)
    _end(noted, bool(faults), turn)


def _end(noted: "_Noted", faulty: bool, turn: Turns) -> None:
    """Say what to do about photos without a face. Raises MienError where nothing was to be read; ends where nothing could be."""
    from mien.errors import MienError
    from mien.faces.crop import TURN

    if noted.lost and turn == "off":
        say(f"mien: no face in {noted.lost} of {quantity(noted.photos, 'photo')}; {TURN}", file=sys.stderr)
    if faulty and not noted.read:
        raise typer.Exit(NOTHING_READ)
    if not noted.read:
        raise MienError("at least one photo or video", "none", "check the inputs")


def _film(film: "AnnotatedVideo | None", read: "PredictedPhoto") -> None:
    if film is not None:
        film.write(read)


def _say_film(video: Path | None, film: "AnnotatedVideo | None") -> None:
    """Say what was written of a video."""
    if film is not None:
        frames = quantity(film.frames, "frame")
        say(f"{frames} without sound in {video}" if film.frames else f"no video, and so no {video}", file=sys.stderr)


@dataclass
class _Noted:
    """What is to be said of all that is read, at once or at the end."""

    weak: str
    """What cannot be promised of videos, once one is read; "" for nothing."""
    read: int = 0
    photos: int = 0
    lost: int = 0
    """Photos without a face."""

    def note(self, read: "PredictedPhoto") -> None:
        self.read += 1
        if read.photo.time is None:
            self.photos += 1
            self.lost += not read.faces
        elif self.weak:
            say(f"mien: {self.weak}", file=sys.stderr)
            self.weak = ""
        _say_notes(read)


def _require_inputs(paths: Sequence[Path], as_table: bool) -> None:
    """Raises MienError for addresses on the web, and for a table that was printed before."""
    from mien.errors import MienError
    from mien.media.source_files import require_local
    from mien.recognize.prediction_writer import is_predictions_csv

    for path in paths:
        require_local(path)
        if len(paths) > 1 and as_table and is_predictions_csv(path):
            todo = f"leave it out; to write it anew: mien predict ... --csv > {path}"
            raise MienError("photos and videos", f"{path}, which mien predict --csv wrote", todo)


def watch(
    camera: Annotated[
        str,
        typer.Argument(
            metavar="CAMERA", help="The camera's number from 0, a device such as /dev/video2, or an address such as rtsp://..."
        ),
    ],
    model: Model = "mien-s",
    align: Align = None,
    detector: Detector = None,
    least_face: LeastFace = None,
    seconds: Annotated[float | None, number("Seconds to watch. Unless given: until Ctrl-C.", 0, 1e9)] = None,
    reconnect: Annotated[float, number("Seconds to try a camera again that is lost; 0 ends the command then.", 0, 1e9)] = 60,
    draw: Draw = None,
    as_csv: AsCsv = False,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Name the expressions before a camera, now and over time. Nothing is stored but what --draw, --csv and --json ask for."""
    from mien.errors import MienError
    from mien.recognize.camera import Reconnecting, find_camera
    from mien.recognize.prediction import sentence
    from mien.recognize.prediction_writer import PredictionWriter
    from mien.recognize.recognizer import Recognizer
    from mien.recognize.watch import watch as run
    from mien.terminal import live

    form, crop_spec, folder = _form(as_json, as_csv), _crop_spec(align, detector), _new_folder(draw)
    try:
        find_camera(camera)
    except MienError as error:
        raise typer.BadParameter(str(error), param_hint="'CAMERA'") from None
    again = Reconnecting(reconnect, lambda said: say(f"mien: {said}", file=sys.stderr))
    with _stopped():
        recognizer = Recognizer.load(model, device)
        _say_overridden(recognizer, crop_spec)
        writer = PredictionWriter(form, recognizer.classes, sys.stdout, folder)
        try:
            with live() as shown, suppress(KeyboardInterrupt):
                for read in run(camera, recognizer, seconds, crop_spec, least_face, again=again):
                    with _whole():
                        writer.write(read)
                    if form == "text":
                        time, frames = read.photo.time or 0.0, (read.photo.number or 0) + 1
                        said = [f"{time:.0f} s, {frames / max(time, 1e-3):.0f} frames a second"]
                        said += [f"face {one.track}: {sentence(one)}" for one in read.faces]
                        shown.update("\n".join(said), refresh=True)
        finally:
            with _whole():
                _close(writer, [])


@contextmanager
def _stopped() -> Iterator[None]:
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


def _close(writer: "PredictionWriter", faults: "Sequence[UnreadableFile]") -> None:
    """End what is written, and say what could not be read and where pictures lie."""
    writer.close()
    for fault in faults:
        writer.fault(fault)
        say(f"mien: {fault.input.name}: {fault.reason}", file=sys.stderr)
    if writer.drawn():
        say(writer.drawn(), file=sys.stderr)


def _say_notes(read: "PredictedPhoto") -> None:
    """Say on standard error what is odd about a photo or a frame."""
    for note in read.photo.notes:
        say(f"mien: {read.photo.input.name}: {note}", file=sys.stderr)


def _say_overridden(recognizer: "Recognizer", crop_spec: "CropSpec | None") -> None:
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


def _form(as_json: bool, as_csv: bool, as_elan: bool = False) -> "Form":
    if as_json + as_csv + as_elan > 1:
        raise typer.BadParameter("expected one of --json, --csv and --elan", param_hint="--csv" if as_csv else "--elan")
    return "json" if as_json else "csv" if as_csv else "elan" if as_elan else "text"


def _columns(name: str, form: "Form") -> "Columns":
    if one_of(name, ("mien", "fex"), "--columns") != "fex":
        return "mien"
    if form != "csv":
        raise typer.BadParameter("expected --csv with it, which has columns", param_hint="--columns")
    return "fex"


def _crop_spec(align: str | None, detector: str | None) -> "CropSpec | None":
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


def _new_folder(folder: Path | None) -> Path | None:
    """Made where it is not there."""
    from mien.folders import require_new

    if folder is None:
        return None
    require_new(folder)
    folder.mkdir(parents=True, exist_ok=True)
    return folder
