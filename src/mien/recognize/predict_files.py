"""Predicts the faces in many photos and videos as a stream: memory does not grow with their number or length."""

import io
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any

from mien.disk import write_atomically
from mien.faces.between_frames import WHOLE_EVERY, whole_searches
from mien.faces.crop import CropSpec
from mien.faces.which_faces import Turns
from mien.media.file_limits import FILE_LIMITS, FileLimits
from mien.media.file_names import PHOTOS, escaped_name
from mien.media.find_source_files import find_source_files
from mien.media.photos_and_frames import PhotoOrFrame, in_batches, read_photos_and_frames
from mien.media.rejections import Rejected
from mien.media.source_files import VIDEOS, SourceFile
from mien.media.video_cuts import CutDetector
from mien.recognize.drawing import draw_predictions
from mien.recognize.prediction import Prediction
from mien.recognize.recognizer import Recognizer
from mien.recognize.resting_look import BaselineFollower
from mien.recognize.tracking_and_smoothing import TrackingSettings
from mien.recognize.video_tracker import VideoTracker
from mien.settings import Count, require_fitting

TRACKING = TrackingSettings()
"""Settings of tracking unless others are given."""
SMALLEST = 12
"""In a video faces are looked for from this part of a frame's shorter side on: a twelfth."""


@dataclass(frozen=True, eq=False)
class PredictedPhoto:
    """A photo, or a frame of a video, with the predictions for the faces in it."""

    photo: PhotoOrFrame
    """The photo or frame: its file, its pixels, and the frame's number and time."""
    faces: tuple[Prediction, ...]
    """The predictions, one a face."""

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON: the file's name and path, the number and second of a video's frame, and the faces."""
        photo = self.photo
        frame = {} if photo.time is None else {"frame": photo.number, "time": round(photo.time, 3)}
        notes = {"notes": list(photo.notes)} if photo.notes else {}
        return file_fields(photo.input) | frame | notes | {"faces": [face.to_json() for face in self.faces]}


@dataclass(frozen=True)
class UnreadableFile:
    """A file that could not be read, or not wholly, and why."""

    input: SourceFile
    reason: str
    """Why, in a sentence."""

    def to_json(self) -> dict[str, str]:
        """Plain values for JSON: the file's name and path, and the reason under `fault`."""
        return file_fields(self.input) | {"fault": self.reason}


def predict(
    inputs: Sequence[Path | str],
    recognizer: Recognizer | Path | str = "mien-s",
    every: float = 0.04,
    faults: list[UnreadableFile] | None = None,
    crop_spec: CropSpec | None = None,
    least_face: float | None = None,
    limits: FileLimits = FILE_LIMITS,
    turn: Turns = "off",
    device: str = "auto",
    without: Path | None = None,
    baseline: BaselineFollower | None = None,
) -> Iterator[PredictedPhoto]:
    """Read the faces in photos and videos, one after the other: files, folders, globs, lists and archives of them.

    `every`: seconds between the frames of a video. `faults`: a list to which is added what cannot be read. `crop_spec`,
    `least_face`, `limits`, `turn` and `baseline` as `predict_files` takes them. `without`: a folder whose files are passed over.
    Raises MienError where there is no such input or model.
    """
    if not isinstance(recognizer, Recognizer):
        recognizer = Recognizer.load(recognizer, device)
    found = find_source_files(inputs, limits=limits)
    if without is not None:
        absolute = Path(os.path.abspath(without))
        found = (one for one in found if not one.path.is_relative_to(absolute))
    given = [] if faults is None else faults
    return predict_files(
        recognizer, found, every, given, crop_spec, least_face=least_face, limits=limits, turn=turn, baseline=baseline
    )


def predict_files(
    recognizer: Recognizer,
    inputs: Iterable[SourceFile],
    every: float,
    faults: list[UnreadableFile],
    crop_spec: CropSpec | None = None,
    tracking: TrackingSettings = TRACKING,
    least_face: float | None = None,
    limits: FileLimits = FILE_LIMITS,
    turn: Turns = "off",
    baseline: BaselineFollower | None = None,
    whole_every: int = WHOLE_EVERY,
) -> Iterator[PredictedPhoto]:
    """Predict all photos, and a frame of each video every so many seconds; people are followed through a video.

    Files that cannot be read, or not wholly, or are beyond the `limits`, are added to `faults`. Without a `crop_spec` faces are
    cut out as the model's card says. Faces are looked for from `least_face` pixels on; without it, as the crop spec says in
    photos, and as `crop_in_frames` says in videos. `turn`: also look for faces in photos on their side, and in the frames of
    videos that are searched whole.
    `whole_every`: the most frames of a video, where they are near, from one search of the whole frame to the next; 1 for all.
    `baseline`: corrects scores for a person's resting look. What tracking cannot promise,
    `mien.recognize.face_embeddings.tracking_caution` tells. Raises MienError as `Recognizer.read` does, and for a `whole_every`
    below 1.
    """
    require_fitting(Count, whole_every=whole_every)
    settings = tracking.for_frames(every)
    video, tracker = None, VideoTracker(settings)
    how = crop_spec or recognizer.crop_spec
    if least_face is not None:
        how = how.looking_for(least_face)
    for photos in in_batches(_photos_and_frames(inputs, every, faults, limits)):
        found = list[tuple[Prediction, ...]]()
        for (_, shape), group in groupby(photos, _video_and_shape):
            some = list(group)
            pixels = [photo.pixels for photo in some]
            searched = crop_in_frames(how, shape) if shape and least_face is None else how
            times, cuts = [photo.time or 0 for photo in some], [photo.cut is not None for photo in some]
            whole = whole_searches(times, cuts, whole_every) if shape else None
            found += recognizer.read(pixels, searched, limits, turn, whole)
        for photo, faces in zip(photos, found, strict=True):
            if photo.time is None:
                yield PredictedPhoto(photo, baseline(None, faces) if baseline else faces)
                continue
            if photo.input is not video:
                video, tracker = photo.input, VideoTracker(settings)
                if baseline:
                    baseline.begin_video(photo.input.name)
            followed = tracker.follow(photo.time, photo.pixels, faces, photo.cut)
            yield PredictedPhoto(photo, baseline(photo.time, followed) if baseline else followed)


def _video_and_shape(photo: PhotoOrFrame) -> tuple[SourceFile | None, tuple[int, ...]]:
    """The video that a frame is of, and the frame's shape; neither for a photo."""
    return (None, ()) if photo.time is None else (photo.input, photo.pixels.shape)


def crop_in_frames(crop_spec: CropSpec, shape: tuple[int, ...]) -> CropSpec:
    """How faces are found and cut out in a video's frames of `shape` (H, W, 3), given how it is done in photos.

    Faces are looked for from a twelfth of a frame's shorter side on, or from the photos' least face on if that is larger: smaller
    ones show little, and looking for them takes most of the time.
    """
    return crop_spec.looking_for(max(min(shape[:2]) / SMALLEST, crop_spec.least_face))


def file_fields(input: SourceFile) -> dict[str, str]:
    """The fields that tell where a file is.

    `photo` is its name among all that were given; `path`, absolute, is that of the file or of the archive around it; `member` is
    its name in the archive. A camera has no path.
    """
    fields = {"photo": input.name}
    if input.path != Path():
        fields["path"] = os.path.abspath(input.path)
    if input.member is not None:
        fields["member"] = _in_archive(input)
    return fields


def write_drawing(read: PredictedPhoto, folder: Path, number: int) -> Path:
    """Write the photo with its predictions drawn as a JPEG into `folder`, and give its path; its name begins with `number`."""
    content = io.BytesIO()
    draw_predictions(read.photo.pixels, read.faces).save(content, "JPEG", quality=92)
    path = folder / drawing_name(read.photo.name, number, ".jpg")
    write_atomically(path, content.getvalue())
    return path


def drawing_name(name: str, number: int, ending: str) -> str:
    """The name of the file that a photo or video is drawn into: its number and its name, with another ending.

    A name from an archive may be hostile: only letters, digits and . @ - are kept, so that it leads to no other folder.
    """
    own = next((each for each in (*PHOTOS, *VIDEOS) if name.lower().endswith(each)), "")
    plain = re.sub(r"[^\w.@-]+", "_", name[: len(name) - len(own)])
    return f"{number:06d}-{plain[-100:]}{ending}"


def _photos_and_frames(
    inputs: Iterable[SourceFile], every: float, faults: list[UnreadableFile], limits: FileLimits
) -> Iterator[PhotoOrFrame]:
    for one in inputs:
        rejected, cuts = list[Rejected](), CutDetector()
        for photo in read_photos_and_frames([one], every, rejected, limits):
            yield photo if photo.time is None else replace(photo, cut=cuts.at(photo.pixels))
        faults += [UnreadableFile(one, each.reason) for each in rejected]


def _in_archive(input: SourceFile) -> str:
    """A file's name within its archive: without the part of the archive's own path that stands before it."""
    parts = input.path.parts
    before = (f"{escaped_name('/'.join(parts[first:]))}/" for first in range(len(parts)))
    return next((input.name.removeprefix(each) for each in before if input.name.startswith(each)), input.name)
