"""Writes a video anew with the faces framed and named that were predicted in it; its sound is left out."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mien.disk import create_atomically
from mien.errors import MienError
from mien.folders import require_absent
from mien.media.file_limits import FILE_LIMITS, FileLimits
from mien.media.find_source_files import find_source_files
from mien.media.source_files import SourceFile
from mien.recognize.drawing import draw_predictions
from mien.recognize.predict_files import PredictedPhoto

if TYPE_CHECKING:
    import av

ENDINGS = {".mp4": "mp4", ".mkv": "matroska"}
"""Formats of the video that is written, by how its name ends."""
TICKS = 90_000
"""Units of time in a second."""


class AnnotatedVideo:
    """The video that is written. Frames have the times that they were read at; photos are passed over."""

    def __init__(self, container: "av.container.OutputContainer") -> None:
        self.frames = 0
        """Frames that were written."""
        self._container, self._last = container, -1
        self._input: SourceFile | None = None
        self._stream: av.VideoStream | None = None

    def write(self, read: PredictedPhoto) -> None:
        """Write the next frame as it was predicted. Raises MienError where another video begins."""
        import av

        if read.photo.time is None:
            return
        if self._input not in (None, read.photo.input):
            raise _another(read.photo.input)
        self._input = read.photo.input
        picture = np.asarray(draw_predictions(read.photo.pixels, read.faces).convert("RGB"))
        if self._stream is None:
            self._stream = self._opened(picture.shape[1] // 2 * 2 or 2, picture.shape[0] // 2 * 2 or 2)
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
        frame = frame.reformat(self._stream.width, self._stream.height, "yuv420p")  # even sides, and those of the first frame
        self._last = max(self._last + 1, round(read.photo.time * TICKS))
        frame.pts, frame.time_base = self._last, Fraction(1, TICKS)
        self._container.mux(self._stream.encode(frame))
        self.frames += 1

    def finish(self) -> None:
        """Write what is left."""
        if self._stream is not None:
            self._container.mux(self._stream.encode(None))

    def _opened(self, width: int, height: int) -> "av.VideoStream":
        import av

        stream = self._container.add_stream("libx264" if "libx264" in av.codecs_available else "mpeg4", rate=25)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.time_base = Fraction(1, TICKS)
        stream.codec_context.thread_count = 1
        return stream


def require_one_video(inputs: Sequence[Path | str], limits: FileLimits = FILE_LIMITS) -> None:
    """Raises MienError where there is more than one video at `inputs`, by the files' names; nothing is read of them."""
    videos = (one for one in find_source_files(inputs, limits=limits) if one.video and not one.fault)
    for second in islice(videos, 1, 2):
        raise _another(second)


def _another(video: SourceFile) -> MienError:
    return MienError("one video", f"another one, {video.name}", "give each video a command of its own")


@contextmanager
def annotated_video(path: Path | None) -> Iterator[AnnotatedVideo | None]:
    """A video that is written to `path`, an .mp4 or .mkv; None for none. It is there once the context has ended, or was stopped
    by Ctrl-C; after an error it is not.

    Raises MienError for another ending, where something is at `path`, and where no file can be written there.
    """
    import av

    if path is None:
        yield None
        return
    if path.suffix.lower() not in ENDINGS:
        raise MienError(f"a name that ends in {' or '.join(ENDINGS)}", str(path), "choose another name for --video")
    require_absent(path)
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        aside.touch()
    except OSError as error:
        raise MienError(f"to write {path}", error.strerror or str(error), "choose another place for `video`") from error
    try:
        with av.open(str(aside), "w", format=ENDINGS[path.suffix.lower()]) as container:
            film = AnnotatedVideo(container)
            try:
                yield film
            except KeyboardInterrupt:
                film.finish()
                stopped = True
            else:
                film.finish()
                stopped = False
        if film.frames:
            create_atomically(aside, path)
        if stopped:
            raise KeyboardInterrupt
    finally:
        aside.unlink(missing_ok=True)
