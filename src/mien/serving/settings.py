"""What a service is asked to do, and how much its clients may ask of it.

The command offers these settings as options, so that this module loads nothing heavy.
"""

from dataclasses import replace
from typing import Annotated

from pydantic import Field
from pydantic.dataclasses import dataclass

from mien.media.file_limits import FILE_LIMITS, FileLimits
from mien.settings import STRICT, Count, Seconds, plain_errors

MOST_BYTES = 1 << 30
"""The largest request that may be allowed."""


@plain_errors
@dataclass(frozen=True, config=STRICT)
class ServiceSettings:
    """Limits of a service, and how requests are gathered."""

    bytes: Annotated[int, Field(ge=1 << 10, le=MOST_BYTES)] = 32 << 20
    """Most bytes of a request."""
    pixels: Count = 50_000_000
    """Most pixels of a photo."""
    request_pixels: Count = 100_000_000
    """Most pixels of all photos of a request together, by their headers."""
    photos: Annotated[int, Field(ge=1, le=1000)] = 16
    """Most photos in a request."""
    faces: Count = 100
    """Most faces that are told of a photo, the detector's surest first."""
    waiting: Annotated[int, Field(ge=1, le=100_000)] = 64
    """Most requests that wait for an answer; others are asked to come again (429)."""
    held: Annotated[int, Field(ge=1 << 10, le=1 << 40)] = 256 << 20
    """Most bytes of all requests together that are in memory at a time."""
    seconds: Seconds = 30.0
    """How long a request may wait until its photos are begun with; later it is refused (503)."""
    batch: Annotated[int, Field(ge=1, le=1000)] = 16
    """Photos of different requests that are read together; 1 reads them one at a time."""
    gather: Annotated[float, Field(ge=0, le=10)] = 0.0
    """Seconds to wait for other requests while there is nothing to do. What comes while photos are read is gathered anyhow."""

    @property
    def file_limits(self) -> FileLimits:
        """The limits within which a photo is decoded."""
        return replace(FILE_LIMITS, bytes=min(FILE_LIMITS.bytes, self.bytes), pixels=self.pixels, seconds=5.0)
