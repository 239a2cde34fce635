"""Frames from a camera of this computer, or from a camera at a network address."""

import math
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from threading import Condition, Thread
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import cv2
import numpy as np

from mien.errors import MienError
from mien.media.decoding.decode import require_size
from mien.media.file_limits import FILE_LIMITS
from mien.media.photos import Photo
from mien.media.video_frames import Frame, as_shown, shown_width

if TYPE_CHECKING:
    import av

SCHEMES = ("rtsp", "rtsps", "http", "https")
"""How the address of a camera may begin."""
OPTIONS = {
    "protocol_whitelist": "rtsp,rtsps,rtp,udp,tcp,tls,http,https",
    "format_whitelist": "rtsp,mpjpeg,mjpeg,mpegts,flv,mov,matroska,h264,hevc",
    "rtsp_flags": "prefer_tcp",
    "max_redirects": "0",
}
"""FFmpeg's options for a camera's address: no playlists, and nothing that opens files or further addresses."""
SECONDS = 10.0
"""Seconds within which a camera has to answer, and to send its next frame."""
_LARGEST = 10**6
"""The largest number that a camera may have."""


@dataclass(frozen=True)
class Camera:
    """A camera, by its number or its address."""

    place: str
    """The words after "a camera" in a message: `of number 0`, or `at` a device or an address without what may be secret."""
    number: int | None = None
    """The number of a camera of this computer; None for one at an address."""
    address: str = ""
    """The whole address, which may hold a password; empty for a camera of this computer."""

    @property
    def name(self) -> str:
        """The camera's name in messages and results, without anything secret."""
        return f"camera {self.place.removeprefix('of number ').removeprefix('at ')}"


def find_camera(given: str | int) -> Camera:
    """The camera of a number from 0, a device such as /dev/video2, or an address such as rtsp://192.168.1.20/stream.

    Raises MienError for anything else.
    """
    text = str(given).strip()
    if text.isascii() and text.isdigit() and int(text) <= _LARGEST:
        return Camera(f"of number {int(text)}", int(text))
    scheme, slashes, _ = text.partition("://")
    if slashes:
        return _at_address(text, scheme.lower())
    device = re.fullmatch(r"/dev/video(\d{1,6})", os.path.realpath(text))  # others in /dev are links to it
    if device:
        return Camera(f"at {text}", int(device[1]))
    expected = "a camera: its number from 0, a device such as /dev/video2, or an address such as rtsp://192.168.1.20/stream"
    if os.path.isfile(text):
        raise MienError(expected, f"a file, {text}", "read files with mien predict")
    raise MienError(expected, repr(text), "give one of these")


@dataclass(frozen=True)
class Reconnecting:
    """How a camera that is lost is tried again."""

    seconds: float = 0.0
    """How long it is tried, from its last frame; 0 for not at all."""
    tell: Callable[[str], None] = lambda said: None
    """Told in a sentence that the camera is lost, and that it is back."""
    wait: Callable[[float], None] = lambda seconds: time.sleep(seconds)
    """Waits so many seconds between two tries."""
    clock: Callable[[], float] = lambda: time.monotonic()
    """Seconds, which only grow."""


NOT_AGAIN = Reconnecting()
"""A camera that is lost is not tried again."""


def camera_frames(camera: int | str, seconds: float | None = None, again: Reconnecting = NOT_AGAIN) -> Iterator[Frame]:
    """The frames of a camera, one after the other, for so many `seconds`, or as long as they are asked for.

    `camera`: a number, a device or an address, as `find_camera` takes it. Only the address that is named here is opened. Times
    are those of a clock: a slow recognizer gets fewer frames and never lags behind. A camera that stops is tried `again`, while
    time goes on. Raises MienError where there is no such camera, or it stops and does not come back.
    """
    return _frames(find_camera(camera), seconds, again)


def _frames(camera: Camera, seconds: float | None, again: Reconnecting) -> Iterator[Frame]:
    source, taken = _open(camera), 0
    seen = began = again.clock()
    ends = math.inf if seconds is None else began + seconds
    while True:
        with closing(source):
            try:
                while again.clock() < ends:
                    picture = source.next()
                    seen = again.clock()
                    yield Frame(taken, seen - began, picture)
                    taken += 1
                return
            except MienError as error:
                lost = error
        back = _reopened(camera, again, min(ends, seen + again.seconds), lost)
        if back is None:
            if again.clock() >= ends:
                return
            raise lost
        source = back


def _open(camera: Camera) -> "_Newest | _Numbered":
    return _Newest(camera) if camera.number is None else _Numbered(camera, camera.number)


def _reopened(camera: Camera, again: Reconnecting, last: float, lost: MienError) -> "_Newest | _Numbered | None":
    """The camera, if it can be opened until `last`."""
    if again.clock() < last:
        again.tell(f"{camera.name} is lost ({lost.found}); it is tried again")
    pause = 0.5
    while (now := again.clock()) < last:
        again.wait(min(pause, last - now))
        pause = min(8.0, 2 * pause)
        try:
            source = _open(camera)
        except MienError:
            continue
        again.tell(f"{camera.name} answers again")
        return source
    return None


class _Numbered:
    """Reads a camera of this computer."""

    def __init__(self, camera: Camera, number: int) -> None:
        before = cv2.utils.logging.getLogLevel()
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # of OpenCV's own tries
        try:
            self._camera, self._opened = camera, cv2.VideoCapture(number)
        finally:
            cv2.utils.logging.setLogLevel(before)
        if not self._opened.isOpened():
            self.close()
            todo = "plug it in, or try another one"
            raise MienError(f"a camera {camera.place}", "none that can be opened", todo)
        self._opened.set(cv2.CAP_PROP_BUFFERSIZE, 1)  # no frame from a while ago

    def next(self) -> Photo:
        """The next frame. Raises MienError where there is none."""
        there, picture = self._opened.read()
        if not there:
            raise MienError(f"frames of {self._camera.name}", "none any more", "plug it in again")
        return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), np.uint8)

    def close(self) -> None:
        """Let the camera go."""
        self._opened.release()


def _at_address(text: str, scheme: str) -> Camera:
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if scheme not in SCHEMES or not host:
        expected = f"an address of a camera that begins with {', '.join(f'{one}://' for one in SCHEMES)}"
        found = f"{scheme}://" if scheme not in SCHEMES else "one without a host that can be read"
        raise MienError(expected, found, "give the address that the camera's manual states")
    shown = parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()  # a query may hold a password
    return Camera(f"at {shown}", address=text)


class _Newest:
    """Reads the newest frame of a stream in a thread of its own, so that older frames are never waited for."""

    def __init__(self, camera: Camera) -> None:
        import av

        self._camera, self._there = camera, Condition()
        self._newest: tuple[av.VideoFrame, int] | None = None
        self._ended, self._over = "", False
        try:
            self._container = av.open(camera.address, "r", options=OPTIONS, timeout=(SECONDS, SECONDS))
        except (av.FFmpegError, OSError, ValueError) as error:  # without its cause, which names the whole address
            todo = "check the address, and whether the camera is on"
            raise MienError(f"a camera {camera.place}", _said(error), todo) from None
        if not self._container.streams.video:
            self._container.close()
            raise MienError(f"a camera {camera.place}", "no video", "check the address")
        self._thread = Thread(target=self._read, name="mien-camera", daemon=True)
        self._thread.start()

    def next(self) -> Photo:
        """The newest frame, once there is one that was not given yet. Raises MienError where the stream ends."""
        with self._there:
            self._there.wait_for(lambda: self._newest or self._ended)
            newest, self._newest = self._newest, None
        if newest is None:
            raise MienError(f"frames of {self._camera.name}", self._ended, "check whether the camera is on")
        return as_shown(*newest)

    def close(self) -> None:
        """Let the stream go."""
        self._over = True
        self._thread.join()

    def _read(self) -> None:
        ended = "none any more"
        try:
            with self._container as container:
                stream = container.streams.video[0]
                stream.codec_context.options = {"max_pixels": str(FILE_LIMITS.frame_pixels)}
                stream.codec_context.thread_count = 1
                for packet in container.demux(stream):
                    if self._over:
                        return
                    self._take(packet, stream.sample_aspect_ratio)
        except Exception as error:  # whatever FFmpeg meets is told to who asks for the next frame
            ended = f"none any more ({_said(error)})"
        finally:
            with self._there:
                self._ended = ended
                self._there.notify()

    def _take(self, packet: "av.Packet[av.VideoStream]", ratio: Fraction | None) -> None:
        import av

        try:
            frames = packet.decode()
        except av.InvalidDataError:  # the next one may be sound
            return
        for frame in frames:
            if not frame.is_corrupt:
                width = shown_width(frame.width, ratio)
                require_size(max(width, frame.width), frame.height, FILE_LIMITS.frame_pixels)
                with self._there:
                    self._newest = frame, width
                    self._there.notify()


def _said(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)
