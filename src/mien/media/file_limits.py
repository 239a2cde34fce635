"""What a file may cost: bytes, pixels, scans, seconds and memory."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from time import thread_time
from typing import Literal

Clock = Callable[[], float]
"""Gives seconds that only grow."""

Switch = Literal["on", "off"]
"""Whether there are limits, as a command's option."""

_MUCH = 1 << 62


@dataclass(frozen=True)
class FileLimits:
    """A photo or a video beyond one of them is refused. Every camera's photos are within."""

    bytes: int = 1 << 28
    """Of a photo's file, as it is stored and as it is unpacked."""
    pixels: int = 100_000_000
    """Of a photo."""
    side: int = 250_000
    """Pixels of a photo's width, and of its height: decoders take memory and time for each row."""
    frame_pixels: int = 40_000_000
    """Of a video's frame: a decoder holds many."""
    scans: int = 100
    """Of a JPEG: a progressive one tells a picture in several."""
    scanned: int = 2_000_000_000
    """Scans of a JPEG, each with all its pixels."""
    seconds: float = 15.0
    """For decoding a photo, or for the next frame of a video."""
    memory: int = 950_000_000
    """Bytes that decoding a photo or a video takes."""
    members: int = 1_000_000
    """Of an archive."""
    directory: int = 48 << 20
    """Bytes of a zip's directory, which is held while it is listed."""
    packed: int = 100
    """How many times an archive's bytes its members may be unpacked, where that is more than some."""
    worker: int = 3 << 30
    """Bytes that a process that reads photos may take in all, beyond what it has when it begins (on Linux)."""


FILE_LIMITS = FileLimits()
"""Unless somebody says otherwise."""

NO_LIMITS = FileLimits(
    bytes=_MUCH,
    pixels=_MUCH,
    side=_MUCH,
    frame_pixels=_MUCH >> 2,
    scans=_MUCH,
    scanned=_MUCH,
    seconds=math.inf,
    memory=_MUCH,
    members=_MUCH,
    directory=_MUCH,
    packed=_MUCH,
    worker=_MUCH,
)
"""No limits, for files that are known."""


def file_limits(switch: Switch) -> FileLimits:
    """Those that there are unless somebody says off."""
    return NO_LIMITS if switch == "off" else FILE_LIMITS


class Deadline:
    """A time after which `check` raises ValueError."""

    def __init__(self, seconds: float, clock: Clock = thread_time) -> None:
        self._seconds, self._clock = seconds, clock
        self._end = clock() + seconds

    def check(self) -> None:
        """Raises ValueError where it is over."""
        if self._clock() > self._end:
            raise ValueError(f"more than {self._seconds:g} seconds of decoding")

    def begin(self) -> None:
        """As many seconds again from now."""
        self._end = self._clock() + self._seconds
