"""Walks through folders at any depth, even where links lead in circles."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mien.media.class_folders import is_folder
from mien.media.file_names import is_wanted


@dataclass(frozen=True)
class WalkedPath:
    """A path met on a walk: a folder or a file, or a folder that cannot be read (`error`)."""

    path: Path
    folder: bool = False
    """Whether it is a folder."""
    error: OSError | None = None
    """Why the folder cannot be read; None where it can."""


def walk_folder(top: Path) -> Iterator[WalkedPath]:
    """A folder and the files that count below it, by name. A folder that links reach again is walked once, at its first
    path.
    """
    known: set[tuple[int, int]] = set()
    levels: list[Iterator[os.DirEntry[str]]] = []
    path: Path | None = top
    while True:
        if path is not None:
            try:
                status = os.stat(path)
                if (status.st_dev, status.st_ino) not in known:
                    known.add((status.st_dev, status.st_ino))
                    with os.scandir(path) as listed:
                        levels.append(iter(sorted(listed, key=lambda entry: entry.name)))
                    yield WalkedPath(path, folder=True)
            except OSError as error:
                yield WalkedPath(path, error=error)
        if not levels:
            return
        entry = next(levels[-1], None)
        path = None
        if entry is None:
            levels.pop()
        elif not entry.name.startswith("."):
            if is_folder(entry):
                path = Path(entry.path)
            elif is_wanted(entry.name):
                yield WalkedPath(Path(entry.path))
