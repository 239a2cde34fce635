"""Frames of a camera."""

import time
from collections.abc import Iterator
from itertools import count

import cv2
import numpy as np

from mien.errors import MienError
from mien.faces.frames import Frame


def camera_frames(number: int, seconds: float | None = None) -> Iterator[Frame]:
    """What the camera of that number sees, frame after frame, for so many seconds or until nobody asks any more.

    Times are those of a clock, so that a slow recognizer gets fewer frames and falls back behind nothing; frames are numbered as
    they are taken. Raises MienError where there is no such camera, or it stops.
    """
    camera = cv2.VideoCapture(number)
    try:
        if not camera.isOpened():
            raise MienError(
                f"a camera of number {number}", "none that can be opened", "plug it in, or try another number, from 0"
            )
        camera.set(cv2.CAP_PROP_BUFFERSIZE, 1)  # no frame from a while ago
        began = time.monotonic()
        for taken in count():
            if seconds is not None and time.monotonic() - began >= seconds:
                return
            there, picture = camera.read()
            if not there:
                raise MienError(f"frames of camera {number}", "none any more", "plug it in again")
            yield Frame(taken, time.monotonic() - began, np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8))
    finally:
        camera.release()
