"""What a recognizer reads before a camera, frame after frame."""

from collections.abc import Iterator
from pathlib import Path

from mien.faces.crop import CropSpec
from mien.media.photos_and_frames import PhotoOrFrame
from mien.media.source_files import SourceFile
from mien.recognize.camera import NOT_AGAIN, Camera, Reconnecting, camera_frames, find_camera
from mien.recognize.predict_files import TRACKING, PredictedPhoto, crop_in_frames
from mien.recognize.recognizer import Recognizer
from mien.recognize.tracking_and_smoothing import FaceTracker


def watch(
    camera: int | str,
    recognizer: Recognizer | Path | str = "mien-s",
    seconds: float | None = None,
    crop_spec: CropSpec | None = None,
    least_face: float | None = None,
    device: str = "auto",
    again: Reconnecting = NOT_AGAIN,
) -> Iterator[PredictedPhoto]:
    """Read every frame of a camera and follow its faces, for so many seconds or until nobody asks any more; nothing is stored.

    `camera`: a number, a device or an address, as `find_camera` reads it. Without a `crop_spec` faces are cut out as the model's
    card says. They are looked for from `least_face` pixels on; unless said, as `crop_in_frames` says.
    A camera that stops is tried `again`. Raises MienError where there is no such camera, or it does not come back, and where the
    recognizer cannot be loaded.
    """
    if not isinstance(recognizer, Recognizer):
        recognizer = Recognizer.load(recognizer, device)
    return _watched(find_camera(camera), camera, recognizer, seconds, crop_spec or recognizer.crop_spec, least_face, again)


def _watched(
    named: Camera,
    camera: int | str,
    recognizer: Recognizer,
    seconds: float | None,
    how: CropSpec,
    least_face: float | None,
    again: Reconnecting,
) -> Iterator[PredictedPhoto]:
    tracker, name = FaceTracker(TRACKING), SourceFile(named.name, Path())
    for frame in camera_frames(camera, seconds, again):
        searched = how.looking_for(least_face) if least_face else crop_in_frames(how, frame.pixels.shape)
        predictions = tracker.follow(frame.time, recognizer.read([frame.pixels], searched)[0])
        yield PredictedPhoto(PhotoOrFrame(name, frame.pixels, frame.number, frame.time, frame.number), predictions)
