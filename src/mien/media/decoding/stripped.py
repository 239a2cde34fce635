"""What is left of a picture's file without metadata.

Metadata may be damaged, huge or hostile, and decoders warn of it by process-wide means; what is dropped cannot do harm. EXIF's
orientation is read by itself. What would make decoding slow or large is counted beforehand.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from mien.media.decoding.joined_bytes import Piece

ANIMATION = "an animation, of which the first frame is read"
"""The note for a file of several frames."""


@dataclass(frozen=True, eq=False)
class StrippedPicture:
    """A picture's file without metadata."""

    pieces: Sequence[Piece]
    """The parts of the file that stay, in order."""
    turn: int = 1
    """The EXIF orientation of the picture, 1 to 8."""
    extra: int = 0
    """Bytes of memory that the decoder takes beside the file and the pixels."""
    note: str = ""
    """A sentence about the file, such as that it holds other pictures; "" for none."""
    largest: int = 0
    """The largest possible value of a picture of 16 bits; 0 where the file does not state it."""
    stretch: float = 1.0
    """How many times as wide as high a pixel is to be shown."""
    coded: int = 0
    """Pixels of the coded frame by its own header, 0 where unknown; the file may state another number elsewhere."""
