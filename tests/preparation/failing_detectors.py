"""Detectors that fail, for processes that look for faces: each imports this, so that it imports little."""

import os
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic.dataclasses import dataclass as checked
from typing_extensions import override

from mien.errors import MienError
from mien.faces.detect import Detector
from mien.faces.face import Face
from photographs import Bright, Photo


@dataclass(frozen=True)
class Absent(Detector):
    """A detector by the name `failing_detectors:Absent`, which needs something that is not installed."""

    @override
    def __call__(self, photos: Sequence[Photo]) -> list[tuple[Face, ...]]:
        """Never any faces."""
        raise MienError("ONNX Runtime", "it is not installed", "pip install 'mien[onnx]'")


@checked(frozen=True)
class Deadly(Detector):
    """A detector by the name `failing_detectors:Deadly`: as Bright, but its process dies of some photos, without a word."""

    width: int = 99
    """Of photos that it dies of; 0 for any."""
    several: bool = False
    """It dies of many of them alone."""

    @override
    def __call__(self, photos: Sequence[Photo]) -> list[tuple[Face, ...]]:
        """Boxes, or the end."""
        if len(photos) > self.several and any(self.width in (0, photo.shape[1]) for photo in photos):
            os._exit(1)
        return Bright()(photos)


@checked(frozen=True)
class Hungry(Detector):
    """A detector by the name `failing_detectors:Hungry`: as Bright, but it wants much memory for some photos."""

    @override
    def __call__(self, photos: Sequence[Photo]) -> list[tuple[Face, ...]]:
        """Boxes, or MemoryError."""
        if any(photo.shape[1] == 99 for photo in photos):
            np.empty(1 << 33, np.uint8)
        return Bright()(photos)


@checked(frozen=True)
class Stuck(Detector):
    """A detector by the name `failing_detectors:Stuck`: as Bright, but it never comes back from some photos."""

    marker: Path
    """A file that then holds its process's number."""

    @override
    def __call__(self, photos: Sequence[Photo]) -> list[tuple[Face, ...]]:
        """Boxes, or nothing ever."""
        if any(photo.shape[1] == 99 for photo in photos):
            self.marker.write_text(str(os.getpid()))
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
            while True:
                time.sleep(1)
        return Bright()(photos)


@dataclass(frozen=True)
class Wrong(Detector):
    """A detector by the name `failing_detectors:Wrong`, with an error that no other process can make again."""

    @override
    def __call__(self, photos: Sequence[Photo]) -> list[tuple[Face, ...]]:
        """Never any faces."""

        class Own(Exception):
            """Of this function alone."""

        raise Own("a mistake in the detector")
