"""What lies in a folder, in one order everywhere: large trees are looked through folder by folder, and only names are kept."""

import os
from pathlib import Path

from mien.errors import MienError
from mien.media.face_pictures import SUFFIXES


def folder_names(folder: Path) -> list[str]:
    """The names of the folders in a folder, sorted; hidden ones are passed over. Raises MienError where there are none."""
    with os.scandir(folder) as entries:
        names = sorted(entry.name for entry in entries if entry.is_dir() and not entry.name.startswith("."))
    if not names:
        raise MienError(f"folders of pictures in {folder}", "none", "check that this is the right folder")
    return names


def picture_names(folder: Path) -> list[str]:
    """The names of the pictures in a folder, sorted; hidden files, and those that are no pictures by name, are passed over."""
    with os.scandir(folder) as entries:
        return sorted(one.name for one in entries if one.name.lower().endswith(SUFFIXES) and not one.name.startswith("."))
