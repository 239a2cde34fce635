"""What reading a file may cost: bytes, pixels, scans, seconds and memory."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from time import thread_time
from typing import Literal

Clock = Callable[[], float]
"""A function that gives seconds, which only grow."""

LimitSwitch = Literal["on", "off"]
"""The values of a command's option for limits."""

_MUCH = 1 << 62


@dataclass(frozen=True)
class FileLimits:
    """Bounds beyond which a photo, video or archive is refused; the photos of all cameras lie within the defaults."""

    bytes: int = 1 << 28
    """The most bytes of a photo's file, both stored and unpacked."""
    pixels: int = 100_000_000
    """The most pixels of a photo."""
    side: int = 250_000
    """The most pixels of a photo's width, and of its height: decoders take memory and time for each row."""
    frame_pixels: int = 40_000_000
    """The most pixels of a video's frame: a decoder holds many frames."""
    scans: int = 100
    """The most scans of a progressive JPEG."""
    scanned: int = 2_000_000_000
    """The most pixels of a JPEG, counted once for each scan."""
    seconds: float = 15.0
    """The most seconds for decoding a photo, or the next frame of a video."""
    memory: int = 950_000_000
    """The most bytes of memory for decoding a photo or a video."""
    members: int = 1_000_000
    """The most members of an archive."""
    directory: int = 48 << 20
    """The most bytes of a zip's directory, which is held while it is listed."""
    packed: int = 100
    """How many times as large as the archive its members may be, all together, once unpacked."""
    worker: int = 3 << 30
    """The most bytes that a process that reads photos may take beyond what it starts with (on Linux)."""


FILE_LIMITS = FileLimits()
"""The limits, unless the user says otherwise."""

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
"""No limits: for files that are known to be harmless."""


def file_limits(switch: LimitSwitch) -> FileLimits:
    """The limits for files; no limits where a command's option says off."""
    return NO_LIMITS if switch == "off" else FILE_LIMITS


class Deadline:
    """A time limit, checked while work goes on."""

    def __init__(self, seconds: float, clock: Clock = thread_time) -> None:
        self._seconds, self._clock = seconds, clock
        self._end = clock() + seconds

    def check(self) -> None:
        """Raises ValueError where the time is over."""
        if self._clock() > self._end:
            raise ValueError(f"more than {self._seconds:g} seconds of decoding")

    def begin(self) -> None:
        """Start the time anew."""
        self._end = self._clock() + self._seconds
