"""Reading frames of videos, one every so many seconds; memory does not grow with the video."""

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from time import thread_time
from typing import IO, TYPE_CHECKING, cast

import cv2
import numpy as np
import numpy.typing as npt

from mien.errors import MienError
from mien.media.container_boxes import missing_bytes
from mien.media.decoding.decode import require_size
from mien.media.file_limits import FILE_LIMITS, Clock, Deadline, FileLimits
from mien.media.memory_limit import Allowance
from mien.media.rejections import reason_of
from mien.media.source_files import SourceFile, open_source_file, unreadable
from mien.media.video_gaps import GapCounter

if TYPE_CHECKING:
    import av
    from av.container import InputContainer
    from av.sidedata.sidedata import SideData

OPTIONS = {"format_whitelist": "mov,avi,matroska", "protocol_whitelist": "none"}
"""FFmpeg's options: formats that open other files or addresses are off, and no protocol is allowed."""

_MARGIN = 1 << 20
"""Pixels that a decoder may need around a picture."""

_STILL = 1024 | 2048
"""FFmpeg's marks of a stream that is no video: an attached picture, thumbnails."""

_PAUSE, _BETWEEN = 0.5, 256
"""Seconds without a frame that count as missing frames, in a file with more skipped bytes than this."""

_CLOSE = 1e-6
"""Seconds by which a frame may come early: times are rounded."""


@dataclass(frozen=True, eq=False)
class Frame:
    """A frame of a video: uint8 (H, W, 3), its number among all frames, from 0, and its time in seconds since the first."""

    number: int
    """The frame's number among all frames of the video, from 0."""
    time: float
    """Seconds since the first frame."""
    pixels: npt.NDArray[np.uint8]
    """The pixels, uint8 (H, W, 3), RGB, as a player shows them."""


@dataclass(frozen=True, eq=False)
class _Decoded:
    """A frame as the decoder gives it, with its number and time."""

    number: int
    time: float
    picture: "av.VideoFrame"
    width: int
    """The width in pixels at which it is to be shown, before it is turned."""


@dataclass(eq=False)
class _Told:
    """What there is to say of a video that was not read wholly."""

    gaps: GapCounter
    streams: str = ""


def read_frames(input: SourceFile, every: float, limits: FileLimits = FILE_LIMITS, clock: Clock = thread_time) -> Iterator[Frame]:
    """The first frame at or after 0, `every`, 2 `every`, ... seconds: RGB, upright and as wide as a player shows it.

    Of several videos in a file the largest is read. Damaged frames are passed over, but counted. One thread decodes, and
    nothing but the file itself is opened. Raises MienError for an `every` that is not positive; and, after all frames that can
    be read, where the video is damaged, truncated, one of several, no video, beyond the limits or unreadable.
    """
    if not (math.isfinite(every) and every > 0):
        raise MienError("seconds between frames above 0", f"{every}", "give another")
    return _frames(input, every, limits, clock)


def _frames(input: SourceFile, every: float, limits: FileLimits, clock: Clock) -> Iterator[Frame]:
    due, last, told, cause = 0.0, 0.0, _Told(GapCounter()), None
    try:
        for one in _decoded(input, limits, Deadline(limits.seconds, clock), told):
            last = one.time
            if last >= due - _CLOSE:
                due = (math.floor((last + _CLOSE) / every) + 1) * every
                yield Frame(one.number, last, as_shown(one.picture, one.width))
    except Exception as error:  # FFmpeg meets a broken file with errors of many kinds; none of them is hidden.
        cause, found = error, reason_of(error)
    ended = [] if cause is None else [f"{found}, after {last:.2f} s" if due else found]
    reasons = [*ended, told.gaps.tell(to_the_end=not ended), told.streams]
    if any(reasons):
        raise unreadable(input, "; ".join(filter(None, reasons))) from cause


def _decoded(input: SourceFile, limits: FileLimits, deadline: Deadline, told: _Told) -> Iterator[_Decoded]:
    """All sound frames in order of their times. Raises ValueError at the end of a truncated video."""
    import av

    allowance, shown = Allowance(limits.memory - 3 * limits.frame_pixels), False  # and a frame of RGB
    with open_source_file(input) as file:
        there, missing = file.seek(0, os.SEEK_END), missing_bytes(file)
        try:
            with _container(_Hurried(file, deadline), missing, allowance) as container:
                frames = _timed(container, limits, deadline, there, told)
                while (one := _next(frames, deadline, allowance)) is not None:
                    if one.picture.is_corrupt:
                        told.gaps.corrupt()
                        continue
                    shown = True
                    told.gaps.sound(one.time)
                    yield one
        except MemoryError as error:  # FFmpeg's is one, too
            raise ValueError(f"a video that takes more than {limits.memory:,} bytes of memory") from error
        except av.FFmpegError as error:
            raise ValueError(missing or error.strerror) from error
    if missing or not shown:  # FFmpeg takes the end of a truncated file for the video's
        raise ValueError(missing or "no frame that can be decoded")


def _container(file: "_Hurried", missing: str, allowance: Allowance) -> "InputContainer":
    import av

    try:
        with allowance.step():
            return av.open(file, "r", options=OPTIONS)
    except av.MemoryError:
        raise
    except av.FFmpegError as error:
        raise ValueError(missing or "no video of a known format") from error


def _next(frames: Iterator[_Decoded], deadline: Deadline, allowance: Allowance) -> _Decoded | None:
    """The next frame, for which there is as much time as for the one before; None at the end."""
    deadline.begin()
    with allowance.step():
        return next(frames, None)


def _timed(container: "InputContainer", limits: FileLimits, deadline: Deadline, there: int, told: _Told) -> Iterator[_Decoded]:
    """All frames of a file, corrupt ones too, each with a time; one without a time follows the one before."""
    import av

    stream = _largest(container, told)
    context = stream.codec_context
    width = shown_width(context.width, stream.sample_aspect_ratio)
    require_size(max(width, context.width), context.height, limits.frame_pixels)
    context.options = {"max_pixels": str(min(2 * limits.frame_pixels + _MARGIN, 2**31 - 1))}
    context.thread_count = 1
    step = 1 / (stream.average_rate or Fraction(25))
    if "matroska" in container.format.name and stream.average_rate == stream.base_rate:  # what is damaged is passed over unsaid
        told.gaps.step, told.gaps.longest = float(step), max(_PAUSE, 10 * float(step))
    first, time, number, read, end = None, -step, 0, 0, there
    for packet in _packets(container, stream, told.gaps):
        deadline.check()
        read += packet.size
        if packet.pos is not None:
            if packet.pos > end + _BETWEEN:
                told.gaps.skipped()
            end = packet.pos + packet.size
        if read > there:
            raise ValueError("frames that share their bytes")
        try:
            decoded = packet.decode()
        except av.MemoryError:
            raise
        except av.FFmpegError:  # the next packet may be sound
            told.gaps.undecoded(packet.pts if packet.size else None)
            continue
        for frame in decoded:
            width = shown_width(frame.width, stream.sample_aspect_ratio or context.sample_aspect_ratio)
            require_size(max(width, frame.width), frame.height, limits.frame_pixels)
            number += told.gaps.before(frame.pts)
            stated = frame.pts * frame.time_base if frame.pts is not None and frame.time_base else None
            first = stated if first is None else first
            time = time + step if stated is None or first is None else stated - first
            yield _Decoded(number, float(time), frame, width)
            number += 1


def _largest(container: "InputContainer", told: _Told) -> "av.VideoStream":
    """The stream that is shown largest, the first of equal ones. A picture such as a cover is no video."""
    videos = [one for one in container.streams.video if not int(getattr(one, "disposition", 0)) & _STILL]
    known = [one for one in videos if one.codec_context is not None]
    if not known:
        raise ValueError("a video of no known codec" if videos else "no video in it")
    sizes = [(shown_width(one.codec_context.width, one.sample_aspect_ratio), one.codec_context.height) for one in known]
    width, height = max(sizes, key=math.prod)
    if len(videos) > 1:
        told.streams = f"{len(videos)} videos in one file, of which the largest is read, {width} x {height} pixels"
    return known[sizes.index((width, height))]


def _packets(container: "InputContainer", stream: "av.VideoStream", gaps: GapCounter) -> "Iterator[av.Packet[av.VideoStream]]":
    """All packets of a stream; behind a part of the file that cannot be read, those that follow."""
    import av

    came = True
    while came:
        came = False
        try:
            for packet in container.demux(stream):
                came = True
                yield packet
            return
        except av.InvalidDataError:
            if not came:
                raise
            gaps.undecoded(None)


def shown_width(width: int, ratio: Fraction | None) -> int:
    """The width in pixels at which a row of `width` stored pixels is shown, each `ratio` times as wide as high."""
    return max(1, round(width * ratio)) if width and ratio and ratio > 0 else width


def as_shown(frame: "av.VideoFrame", width: int) -> npt.NDArray[np.uint8]:
    """A frame as a player shows it, RGB (H, W, 3): stretched to `width` pixels, then turned by its display matrix."""
    pixels = np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
    height, stored = pixels.shape[:2]
    if width != stored:
        way = cv2.INTER_AREA if width < stored else cv2.INTER_LINEAR
        pixels = np.asarray(cv2.resize(pixels, (width, height), interpolation=way), np.uint8)
    return _upright(pixels, frame)


class _Hurried:
    """A file that can be read until a deadline."""

    def __init__(self, file: IO[bytes], deadline: Deadline) -> None:
        self.seek = file.seek
        self.tell = file.tell
        self._file = file
        self._deadline = deadline

    def read(self, size: int = -1) -> bytes:
        """The next bytes. Raises ValueError where the time is over."""
        self._deadline.check()
        return self._file.read(size)


def _upright(pixels: npt.NDArray[np.uint8], frame: "av.VideoFrame") -> npt.NDArray[np.uint8]:
    """The pixels turned upright by the display matrix, to the nearest quarter turn."""
    side = frame.side_data.get("DISPLAYMATRIX")
    if side is None:
        return pixels
    # x' = a x + c y, y' = b x + d y (FFmpeg, libavutil/display.h)
    a, b, _, c, d = np.frombuffer(bytes(cast("SideData", side)), np.int32)[:5].tolist()
    if abs(b) + abs(c) > abs(a) + abs(d):
        pixels, a, d = np.swapaxes(pixels, 0, 1), c, b
    return np.ascontiguousarray(pixels[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1])
