"""The photos that faces come from: what is around a face, small, and nothing else of the file."""

import asyncio
import io
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

from PIL import Image, ImageDraw

from mien.data.faceset import FaceSet
from mien.errors import MienError
from mien.media.file_limits import FILE_LIMITS
from mien.media.photos import read_photo
from mien.media.source_files import SourceFile
from mien.preparation.photo_note import photos_by_name, read_photo_note

AROUND = 4.0
"""The part of the photo that is shown: a square of so many times the longer side of the face's box."""
SIDE = 720
"""The most pixels that the longer side of the shown part has."""
PHOTO_LIMITS = replace(FILE_LIMITS, bytes=64 << 20, pixels=50_000_000, seconds=5.0, memory=400_000_000)
"""Limits of the photos that are read: larger ones are not shown, since the page has other things to do."""
FRAME = (255, 200, 0)
"""The color of the frame around the face."""
NOT_SHOWN = "none"
"""What a user gives instead of a place so that no photos are shown."""


class SourcePhotos:
    """The photos that the faces of a pool come from. All threads may use one."""

    def __init__(
        self, place: str, names: Sequence[str | None], boxes: Sequence[Sequence[float] | None], found: Mapping[str, SourceFile]
    ) -> None:
        """`names`, `boxes`: of each row of the pool, the photo and the face's box in it, or None; `found`: photos by name."""
        self.place = place
        """Where the photos are, as it is told to whoever serves the page."""
        self._rows = {
            row: (found[name], tuple(box))
            for row, (name, box) in enumerate(zip(names, boxes, strict=True))
            if name is not None and name in found and box is not None
        }

    def __len__(self) -> int:
        return len(self._rows)

    def knows(self, row: int) -> bool:
        """Whether the photo of the face in this row of the pool is known; the file may be gone meanwhile."""
        return row in self._rows

    def around(self, row: int) -> bytes:
        """A JPEG of what is around the face in a row of the pool, whose photo is known, with a frame around the face.

        Raises MienError where the photo cannot be read or is too large.
        """
        photo, box = self._rows[row]
        picture = Image.fromarray(read_photo(photo, PHOTO_LIMITS))
        x, y, half = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2, AROUND * max(box[2] - box[0], box[3] - box[1]) / 2
        left, top = max(0, int(x - half)), max(0, int(y - half))
        right, bottom = min(picture.width, int(x + half) + 1), min(picture.height, int(y + half) + 1)
        if left >= right or top >= bottom:
            raise MienError("a photo with the face in it", f"{picture.width} x {picture.height} pixels", "prepare the set again")
        part = picture.crop((left, top, right, bottom))
        scale = min(1.0, SIDE / max(part.size))
        part = part.resize((max(1, round(part.width * scale)), max(1, round(part.height * scale))), Image.Resampling.LANCZOS)
        corners = [(value - start) * scale for value, start in zip(box, (left, top, left, top), strict=True)]
        ImageDraw.Draw(part).rectangle(corners, outline=FRAME, width=2)
        file = io.BytesIO()
        part.save(file, "JPEG", quality=85)
        return file.getvalue()


class PhotoTurns:
    """Lets one photo be read at a time; each annotator may wait for one. For one event loop."""

    def __init__(self) -> None:
        self._all = asyncio.Lock()
        self._own: dict[str, asyncio.Lock] = {}

    @asynccontextmanager
    async def of(self, name: str) -> AsyncIterator[None]:
        """Wait for this annotator's turn to read a photo."""
        async with self._own.setdefault(name, asyncio.Lock()), self._all:
            yield


def find_source_photos(pool: FaceSet, given: str | None = None) -> SourcePhotos | None:
    """The photos of a pool, at the place `given` or where the note beside the pool says.

    None where there are none, and for "none". Raises MienError where none of them is at the place `given`.
    """
    if given == NOT_SHOWN or not {"photo", "box"} <= set(pool.column_names):
        return None
    names, boxes = pool.column("photo").to_pylist(), pool.column("box").to_pylist()
    try:
        inputs = (given,) if given else read_photo_note(pool.folder) if pool.folder else ()
        if not inputs:
            return None
        found = SourcePhotos(", ".join(inputs), names, boxes, photos_by_name(inputs, {name for name in names if name}))
    except MienError:
        if given:
            raise
        return None  # they were moved since
    if given and not len(found):
        raise MienError(f"the photos of these faces at {given}", "none of them", "give what mien prepare was given")
    return found if len(found) else None
