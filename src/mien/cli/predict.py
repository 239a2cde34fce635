"""The command that reads faces in photos and in videos."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.cli.options import Device, Json, Limits, Turn, number, one_of, setting
from mien.cli.printing import say
from mien.cli.reading import Align, AsCsv, Detector, Draw, LeastFace, Model, Reading, chosen_form, stopped
from mien.faces.which_faces import Turns
from mien.recognize.baseline_settings import BaselineSettings
from mien.wording import quantity

if TYPE_CHECKING:
    from mien.media.file_limits import LimitSwitch
    from mien.recognize.annotated_video import AnnotatedVideo
    from mien.recognize.predict_files import PredictedPhoto
    from mien.recognize.prediction_rows import Columns
    from mien.recognize.prediction_writer import Form
    from mien.recognize.resting_look import BaselineFollower

NOTHING_READ = 1
"""Exit code where not one input could be read."""

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
ColumnNames = Annotated[str, typer.Option(metavar="NAMES", help="Columns of --csv: mien, or fex for those of py-feat's Fex.")]
AsElan = Annotated[
    bool, typer.Option("--elan", help="Print a table of one video for ELAN: a row for each stretch of one expression.")
]


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
    columns: ColumnNames = "mien",
    as_elan: AsElan = False,
    device: Device = "auto",
    limits: Limits = "on",
    as_json: Json = False,
) -> None:
    """Name the expression of every face in photos and videos; --json prints a line of JSON for each photo and frame."""
    from mien.media.file_limits import file_limits
    from mien.progress import progress_bar
    from mien.recognize.annotated_video import annotated_video, require_one_video
    from mien.recognize.face_embeddings import tracking_caution
    from mien.recognize.predict_files import UnreadableFile
    from mien.recognize.predict_files import predict as run
    from mien.recognize.resting_look import baseline_follower

    _require_inputs(paths, as_csv or as_elan)
    form = chosen_form(as_json, as_csv, as_elan)
    if as_elan:
        _require_one_video_alone(paths, limits)
    _say_empty_folders(paths, limits)
    names, asked = _columns(columns, form), Reading.of(form, align, detector, draw)
    faults, noted = list[UnreadableFile](), _Noted(tracking_caution(every))
    if video is not None:
        require_one_video(paths, file_limits(limits))
    with stopped(), annotated_video(video) as film:
        recognizer = asked.recognizer(model, device)
        settings = BaselineSettings(baseline_strength, baseline_seconds)
        correct = baseline_follower(recognizer, settings, baseline or (), file_limits(limits), asked.crop_spec, turn, least_face)
        writing = asked.writing(recognizer.classes, names, faults, lambda read: _film(film, read))
        with writing as write, progress_bar(quiet=form != "text") as bar:
            bar.begin("photos and frames", 0)
            given = (paths, recognizer, every, faults, asked.crop_spec, least_face, file_limits(limits), turn)
            for read in run(*given, without=asked.folder, baseline=correct):
                noted.note(read)
                write(read)
                bar.advance(1)
    _say_film(video, film)
    _say_baseline(correct, baseline_seconds, noted)
    _end(noted, bool(faults), turn, paths)


def _require_one_video_alone(paths: Sequence[Path], limits: "LimitSwitch") -> None:
    """Raises MienError where there are photos or several videos, by the files' names: ELAN shows one video."""
    from mien.errors import MienError
    from mien.media.file_limits import file_limits
    from mien.media.find_source_files import find_source_files

    found = [one.video for one in find_source_files(paths, limits=file_limits(limits)) if not one.fault]
    videos, photos = sum(found), len(found) - sum(found)
    if photos or videos > 1:
        counts = f"{quantity(videos, 'video')} and {quantity(photos, 'photo')}"
        raise MienError("exactly one video with --elan, and no photos", counts, "give one video alone")


def _say_empty_folders(paths: Sequence[Path], limits: "LimitSwitch") -> None:
    """Say which of several folders hold no photo and no video."""
    from mien.media.file_limits import file_limits
    from mien.media.find_source_files import find_source_files

    for path in paths if len(paths) > 1 else ():
        if path.is_dir() and not any(True for _ in find_source_files([path], limits=file_limits(limits))):
            say(f"mien: {path}: no photo or video there", file=sys.stderr)


def _end(noted: "_Noted", faulty: bool, turn: Turns, paths: Sequence[Path]) -> None:
    """Say what to do about photos without a face. Raises MienError where nothing was to be read; ends where nothing could be."""
    from mien.errors import MienError
    from mien.faces.crop import TURN

    if noted.lost and turn == "off":
        say(f"mien: no face in {noted.lost} of {quantity(noted.photos, 'photo')}; {TURN}", file=sys.stderr)
    if faulty and not noted.read:
        raise typer.Exit(NOTHING_READ)
    if not noted.read:
        where = ", ".join(map(str, paths[:3])) + (f" and {len(paths) - 3} more" if len(paths) > 3 else "")
        raise MienError("at least one photo or video", f"none in {where}", "check the inputs")


def _film(film: "AnnotatedVideo | None", read: "PredictedPhoto") -> None:
    if film is not None:
        film.write(read)


def _say_film(video: Path | None, film: "AnnotatedVideo | None") -> None:
    """Say what was written of a video."""
    if film is not None:
        frames = quantity(film.frames, "frame")
        say(f"{frames} without sound in {video}" if film.frames else f"no video, and so no {video}", file=sys.stderr)


def _say_baseline(correct: "BaselineFollower | None", seconds: float | None, noted: "_Noted") -> None:
    """Say of which videos no score was corrected, and why."""
    if correct is None or seconds is None:
        return
    for told in correct.shortfalls():
        say(f"mien: {told}", file=sys.stderr)
    if noted.photos:
        told = f"{quantity(noted.photos, 'photo')}: no score was corrected: --baseline-seconds is for videos"
        say(f"mien: {told}", file=sys.stderr)


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


def _say_notes(read: "PredictedPhoto") -> None:
    """Say on standard error what is odd about a photo or a frame."""
    for note in read.photo.notes:
        say(f"mien: {read.photo.input.name}: {note}", file=sys.stderr)


def _columns(name: str, form: "Form") -> "Columns":
    if one_of(name, ("mien", "fex"), "--columns") != "fex":
        return "mien"
    if form != "csv":
        raise typer.BadParameter("expected --csv with it, which has columns", param_hint="--columns")
    return "fex"
