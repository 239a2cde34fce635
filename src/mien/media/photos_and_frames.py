"""Photos, and frames of videos, read from inputs as a stream."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from time import thread_time

from mien.errors import MienError
from mien.media.file_limits import FILE_LIMITS, FileLimits
from mien.media.photos import Photo, read_photo
from mien.media.rejections import Rejected
from mien.media.source_files import SourceFile
from mien.media.video_frames import read_frames

TOGETHER, PIXELS = 16, 24_000_000
"""Photos, and pixels of photos, that are looked at together."""


@dataclass(frozen=True, eq=False)
class PhotoOrFrame:
    """A photo, or a frame of a video."""

    input: SourceFile
    pixels: Photo
    frame: int | None = None
    """Of a video: the how manyth that was taken, from 0."""
    time: float | None = None
    """Of a video: seconds since its first frame."""
    number: int | None = None
    """Of a video: the frame's number among all its frames, from 0."""
    notes: tuple[str, ...] = ()
    """What is to be said of how a photo was read."""

    @property
    def name(self) -> str:
        """Unique among all."""
        return self.input.name if self.time is None else f"{self.input.name}@{self.time:.3f}s"


def read_photos_and_frames(
    inputs: Iterable[SourceFile],
    every: float,
    faults: list[Rejected],
    limits: FileLimits = FILE_LIMITS,
    beat: Callable[[], None] = lambda: None,
) -> Iterator[PhotoOrFrame]:
    """All photos, and frames of videos `every` so many seconds; what cannot be read is added to `faults`.

    `beat` is called for each photo before it is read, and while a video is, whether its frames are taken or not.
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
            faults.append(Rejected(one.name, error.found))


def in_batches(shots: Iterable[PhotoOrFrame]) -> Iterator[list[PhotoOrFrame]]:
    """Lists of some that need not much memory."""
    batch, pixels = list[PhotoOrFrame](), 0
    for shot in shots:
        batch.append(shot)
        pixels += shot.pixels.shape[0] * shot.pixels.shape[1]
        if len(batch) >= TOGETHER or pixels >= PIXELS:
            yield batch
            batch, pixels = [], 0
    if batch:
        yield batch
