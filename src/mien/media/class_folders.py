"""Which of nested folders are the classes of the photos in them: one answer for all commands that read labeled photos."""

import os
import shlex
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from mien.class_words import is_named, is_unlabeled, split_folder
from mien.errors import MienError
from mien.expressions import canonical

PASSED_OVER = ("__MACOSX",)
"""Folders that are passed over, as hidden ones are."""

Folders = tuple[str, ...]
"""The names of nested folders, from the one below the given folder down."""


@dataclass(frozen=True)
class FolderContents:
    """What lies in a folder: its folders, and whether there are photos."""

    folders: Folders = ()
    """The names of the folders, without hidden ones."""
    photos: bool = False
    """Whether photos or videos lie beside these folders."""


ListFolder = Callable[[Folders], FolderContents]
"""Lists what lies in a folder, by its path below the given folder."""

Wanted = Callable[[str], bool]
"""Is a file read, by its name?"""


def look_on_disk(top: Path, wanted: Wanted) -> ListFolder:
    """A `Look` at the folders below `top` on the disk; one that cannot be read looks empty."""

    def look(folders: Folders) -> FolderContents:
        found, photos = list[str](), False
        with suppress(OSError), os.scandir(top.joinpath(*folders)) as listed:  # it is said when its turn comes
            for entry in listed:
                if is_passed_over(entry.name):
                    continue
                if is_folder(entry):
                    found.append(entry.name)
                else:
                    photos |= wanted(entry.name)
        return FolderContents(tuple(sorted(found)), photos)

    return look


def is_passed_over(name: str) -> bool:
    """Whether a file or folder is hidden, or is nobody's."""
    return name.startswith((".", *PASSED_OVER))


def is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether an entry is a folder. A link to itself is none, and no file either when it is read."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def folders_above_classes(look: ListFolder, place: Path, own: Collection[str] = ()) -> Folders:
    """The folders, each alone in the one before, that lie above the class folders; mostly there are none.

    `own`: folders that the user maps to a class. Raises MienError where the classes may be at one level or at the next.
    """
    above: Folders = ()
    while True:
        level = look(above)
        if any(name in own or is_named(name) for name in level.folders):
            return above
        if above and len(level.folders) > 1:
            raise _either(place, above, level)
        if len(level.folders) != 1:
            return ()
        if level.photos:
            _require_plain(look, (*above, level.folders[0]), place)
            return ()
        above = (*above, level.folders[0])


def splits_above_classes(look: ListFolder, above: Folders, place: Path) -> Folders:
    """The folders below `above` that are splits with class folders in them. Raises MienError where others lie beside them."""
    top = look(above).folders
    splits = tuple(name for name in top if split_folder(name) and look((*above, name)).folders)
    others = [name for name in top if name not in splits and not is_unlabeled(name)]
    if splits and others:
        mixed = f"{', '.join(splits)} beside {', '.join(others)}"
        todo = "put every class folder below a split"
        raise MienError(f"either classes or splits in {place.joinpath(*above)}", mixed, todo)
    return splits


def _require_plain(look: ListFolder, folder: Folders, place: Path) -> None:
    """Raises MienError where a folder alone beside photos holds several folders: it may be a class, or each of them."""
    inner = look(folder)
    if len(inner.folders) > 1 or any(is_named(name) for name in inner.folders):
        raise _either(place, folder, inner)


def require_classes(look: ListFolder, above: Folders, place: Path, own: Collection[str] = ()) -> None:
    """Raises MienError where a folder that would be a class holds class folders or splits."""
    _require_classes_below_splits(look, above, place, own)
    for folder in _class_folders(look, above):
        name, inner = folder[-1], look(folder).folders
        where = place.joinpath(*folder)
        splits = [below for below in inner if split_folder(below)]
        if len(splits) > 1 and len(splits) == len(inner):
            todo = "put the class folders below the splits"
            raise MienError(f"splits above the class folders in {place}", f"{', '.join(splits)} in {where}", todo)
        deeper = [below for below in inner if canonical(below)]
        if deeper and name not in own and not is_named(name):
            todo = "give the folder above the classes, or map this one to a class"
            raise MienError(f"class folders in {where.parent}", f"{', '.join(deeper)} in {where}", todo)


def _require_classes_below_splits(look: ListFolder, above: Folders, place: Path, own: Collection[str]) -> None:
    """Raises MienError where one folder alone lies between a split and what may be its classes."""
    for split in (name for name in look(above).folders if split_folder(name)):
        level = look((*above, split))
        if len(level.folders) != 1 or level.folders[0] in own or is_named(level.folders[0]):
            continue
        inner = look((*above, split, level.folders[0]))
        if len(inner.folders) > 1 or any(is_named(name) for name in inner.folders):
            found = f"one folder, {level.folders[0]}, with {', '.join(inner.folders[:10])} in it"
            todo = f"put the class folders directly below the splits, or say --classes CLASS={shlex.quote(level.folders[0])}"
            raise MienError(f"class folders in {place.joinpath(*above, split)}", found, todo)


def _class_folders(look: ListFolder, above: Folders) -> list[Folders]:
    """The class folders of one level, and those below the splits there."""
    top = [(*above, name) for name in look(above).folders]
    below = [(*folder, name) for folder in top if split_folder(folder[-1]) for name in look(folder).folders]
    return [folder for folder in top if not split_folder(folder[-1])] + below


def _either(place: Path, above: Folders, level: FolderContents) -> MienError:
    inner, listed = "/".join(above), ", ".join(level.folders[:10])
    there = shlex.quote(str(place.joinpath(*above)))
    give = f"give {there}" if place.is_dir() else f"unpack {place.name} and give the folder {shlex.quote(inner)}"
    todo = f"{give} if these are the classes, or say --classes CLASS={shlex.quote(above[0])} if all of it is one class"
    return MienError(f"class folders in {place}", f"one folder, {inner}, with {listed} in it", todo)
