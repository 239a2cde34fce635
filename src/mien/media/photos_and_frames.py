"""Photos and frames of videos, read one after the other."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from time import thread_time

from mien.errors import MienError
from mien.media.file_limits import FILE_LIMITS, FileLimits
from mien.media.photos import Photo, read_photo
from mien.media.rejections import Rejected
from mien.media.source_files import SourceFile
from mien.media.video_cuts import Cut
from mien.media.video_frames import read_frames

TOGETHER, PIXELS = 16, 24_000_000
"""The most photos in a batch, and the pixels at which a batch is full."""


@dataclass(frozen=True, eq=False)
class PhotoOrFrame:
    """The pixels of a photo, or of a frame of a video."""

    input: SourceFile
    """The photo's or the video's file."""
    pixels: Photo
    """The pixels, uint8 (H, W, 3), RGB, upright."""
    frame: int | None = None
    """The frame's number among the frames taken from its video, from 0; None for a photo."""
    time: float | None = None
    """Seconds since the video's first frame; None for a photo."""
    number: int | None = None
    """The frame's number among all frames of its video, from 0; None for a photo."""
    notes: tuple[str, ...] = ()
    """Sentences about how a photo was read."""
    cut: Cut | None = None
    """The cut before a frame, where cuts were looked for and there is one."""

    @property
    def name(self) -> str:
        """The name of the photo, or that of the video and the frame's time; unique among all inputs."""
        return self.input.name if self.time is None else f"{self.input.name}@{self.time:.3f}s"


def read_photos_and_frames(
    inputs: Iterable[SourceFile],
    every: float,
    rejected: list[Rejected],
    limits: FileLimits = FILE_LIMITS,
    beat: Callable[[], None] = lambda: None,
) -> Iterator[PhotoOrFrame]:
    """All photos, and the frames of videos `every` so many seconds; what cannot be read is added to `rejected`.

    `beat` is called for each photo before it is read, and again and again while a video is read.
    """

    def clock() -> float:
        beat()
        return thread_time()

    for one in inputs:
        beat()
        try:
            if not one.video:
                notes = list[str]()
                pixels = read_photo(one, limits, notes=notes)
                yield PhotoOrFrame(one, pixels, notes=tuple(notes))
                continue
            for number, frame in enumerate(read_frames(one, every, limits, clock)):
                yield PhotoOrFrame(one, frame.pixels, number, frame.time, frame.number)
        except MienError as error:
            rejected.append(Rejected(one.name, error.found))


def in_batches(items: Iterable[PhotoOrFrame]) -> Iterator[list[PhotoOrFrame]]:
    """Photos and frames in lists that need little memory."""
    batch, pixels = list[PhotoOrFrame](), 0
    for item in items:
        batch.append(item)
        pixels += item.pixels.shape[0] * item.pixels.shape[1]
        if len(batch) >= TOGETHER or pixels >= PIXELS:
            yield batch
            batch, pixels = [], 0
    if batch:
        yield batch
