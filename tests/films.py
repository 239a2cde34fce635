"""Films for tests: what a fake camera of Chromium shows."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from drawn import drawings
from mien.media.photos import Photo

RATE = 30
"""Frames a second."""


def fake_camera(film: Path) -> tuple[str, ...]:
    """Chromium's flags for a camera that shows a film."""
    return ("--use-fake-device-for-media-stream", f"--use-file-for-fake-video-capture={film}")


def write_y4m(path: Path, frames: Sequence[Photo]) -> Path:
    """A film of frames (H, W, 3), RGB, as YUV4MPEG2, which Chromium shows again and again."""
    high, wide = frames[0].shape[:2]
    with path.open("wb") as file:
        file.write(f"YUV4MPEG2 W{wide} H{high} F{RATE}:1 Ip A1:1 C420jpeg\n".encode())
        for frame in frames:
            file.write(b"FRAME\n" + cv2.cvtColor(frame, cv2.COLOR_RGB2YUV_I420).tobytes())
    return path


def one_face(count: int = RATE, size: tuple[int, int] = (480, 640), side: int = 220) -> list[Photo]:
    """Frames of one drawn face that moves a little from side to side, and back."""
    face = cv2.resize(drawings()[3].photo, (side, side), interpolation=cv2.INTER_CUBIC)
    frames = []
    for number in range(count):
        frame = np.full((*size, 3), 128, np.uint8)
        left = (size[1] - side) // 2 + round(40 * np.sin(2 * np.pi * number / count))
        top = (size[0] - side) // 2
        frame[top : top + side, left : left + side] = face
        frames.append(frame)
    return frames
