"""Which files count as photos, videos and archives, by their names; and names that are safe to show."""

from pathlib import PurePosixPath

from mien.media.archives import ARCHIVES
from mien.media.face_pictures import SUFFIXES
from mien.media.source_files import VIDEOS

PHOTOS = SUFFIXES
"""How the names of photos end, in lower case."""

UNREAD = tuple(
    f".{ending}"
    for ending in (
        *("heic", "heif", "hif", "jxl", "tga", "psd", "xcf", "exr", "hdr", "pfm"),
        *("dng", "cr2", "cr3", "nef", "arw", "orf", "raf", "rw2", "pef", "srw"),
        *("wmv", "asf", "flv", "mpg", "mpeg", "m2v", "vob", "ts", "mts", "m2ts", "ogv", "rm", "rmvb", "mxf", "dv"),
        *("rar", "7z", "tar.bz2", "tbz", "tbz2", "tar.xz", "txz", "tar.lzma", "tar.zst", "tzst"),
    )
)
"""How the names of files end that are not read but reported, in lower case: photos, videos and archives of other formats."""


def escaped_name(name: str) -> str:
    """A name with line breaks, other control characters and bytes that are not UTF-8 written out, as Python writes them.

    Backslashes are doubled, so that different names stay different.
    """
    if name.isprintable() and "\\" not in name:
        return name
    escaped = (letter if letter.isprintable() and letter != "\\" else ascii(letter)[1:-1] for letter in name)
    return "".join(escaped)


def is_wanted(name: str) -> bool:
    """Whether a file counts as a photo, video or archive by its name, readable or not."""
    return name.lower().endswith((*PHOTOS, *VIDEOS, *ARCHIVES, *UNREAD))


def is_wanted_member(name: str) -> bool:
    """Whether a member of an archive counts as a photo, video or archive by its name, and is not hidden."""
    parts = PurePosixPath(name).parts
    hidden = any(part.startswith(".") and part not in (".", "..") for part in parts)
    return not hidden and is_wanted(name)
