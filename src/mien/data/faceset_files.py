"""Reads the files of a stored face set: what it states of itself, and its pixels, both checked before use."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mien.data.format import Info, checksum
from mien.disk import require_regular
from mien.errors import MienError
from mien.json_toml import read_json, settings_of_file

MOST_HEADER = 10_000
"""The most bytes of the header of faces.npy; numpy takes no more."""


def verify_checksum(folder: Path, info: Info) -> None:
    """Raises MienError where the checksum of a stored set is not the one that it states."""
    found = checksum(folder, info)
    if found != info.checksum:
        stated = f"checksum {info.checksum[:12]}… of {folder}"
        raise MienError(stated, f"{found[:12]}…", "import the set again: it was changed")


def read_info(folder: Path) -> Info:
    """What a stored set states of itself. Raises MienError where the folder is no face set, or of another version."""
    missing = [name for name in ("faceset.json", "faces.npy", "table.parquet") if not (folder / name).is_file()]
    if missing:
        raise MienError(
            f"a face set at {folder}",
            f"no {', '.join(missing)} there",
            "make one with mien import or mien prepare",
        )
    values = read_json(folder / "faceset.json", "import the set again")
    if values.get("version") != 1:
        raise MienError("a face set of version 1", f"version {values.get('version')}", "open it with the mien that wrote it")
    return settings_of_file(Info, values, folder / "faceset.json", "import the set again")


def map_pixels(path: Path) -> npt.NDArray[Any]:
    """The array in a .npy file, mapped into memory. Raises MienError for a damaged file."""
    todo = "import the set again"
    require_regular(path, todo)
    try:
        _require_header(path)
        # Copy on write: torch wants a writable array, and nothing written ever reaches the file.
        pixels: npt.NDArray[Any] = np.load(path, mmap_mode="c", allow_pickle=False)
    except Exception as error:  # numpy meets headers that make no sense with exceptions of many kinds
        raise MienError(f"an array in {path}", str(error)[:200] or type(error).__name__, todo) from error
    if not pixels.flags.c_contiguous:
        raise MienError(f"an array in {path} that lies row by row", "another order", todo)
    return pixels


def _require_header(path: Path) -> None:
    """Raises ValueError where a file does not begin with the header of an array."""
    with path.open("rb") as file:
        head = file.read(12)
    length = int.from_bytes(head[8:10] if head[6:7] == b"\x01" else head[8:12], "little")
    if head[:6] != b"\x93NUMPY" or length > MOST_HEADER:
        raise ValueError("no header of an array" if head else "an empty file")
