"""The label and the split of a photo, by the folders that it lies in."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from mien.class_words import FOLDERS, is_named, is_unlabeled, label_or_none, split_folder
from mien.expressions import canonical
from mien.media.class_folders import (
    FolderContents,
    Folders,
    ListFolder,
    Wanted,
    folders_above_classes,
    is_passed_over,
    look_on_disk,
    require_classes,
    splits_above_classes,
)
from mien.media.file_limits import FILE_LIMITS, FileLimits

DEEP = 8
"""How many levels of folders in an archive are searched for the class folders."""


@dataclass(frozen=True)
class NamedInput:
    """A folder, list, archive or file that a user named. `prefix` begins the names of what is found there."""

    path: Path
    prefix: str
    labeled: bool = False
    """Whether folders are classes."""
    own: str = ""
    """The name of a folder that may be a split or a class itself, since it is one of several inputs; "" for none."""
    splits: bool = False
    """Whether the folder has splits with class folders below them."""
    above: Folders = ()
    """The folders, each alone in the one before, above those of splits and classes."""
    mapped: frozenset[str] = frozenset()
    """Names of folders that the user maps to a class, whatever they are."""
    keep: tuple[str, ...] = ()
    """Other columns of lists to take along."""
    limits: FileLimits = FILE_LIMITS
    """The limits for archives."""


def with_labels_from_folders(given: NamedInput, wanted: Wanted) -> NamedInput:
    """An input with what its folders mean found out. Raises MienError where they do not tell, or splits lie beside classes."""
    if not given.path.is_dir():
        return replace(given, labeled=True)
    name, look = given.path.name, look_on_disk(given.path, wanted)
    alone = given.prefix and is_named(name) and not split_folder(name)
    above = () if alone else folders_above_classes(look, given.path, given.mapped)
    top = look(above).folders
    splits = bool(splits_above_classes(look, above, given.path))
    has_classes = any(canonical(below) for below in top)
    may = bool(split_folder(name)) or is_unlabeled(name) or not has_classes
    own = name if given.prefix and may and not splits else ""
    if not (own and is_named(own)):
        require_classes(look, above, given.path, given.mapped)
    return replace(given, labeled=True, own=own, splits=splits, above=above)


def label_and_split(given: NamedInput, folders: Folders) -> tuple[str, str]:
    """The label and the split of a file that lies in these folders of an input; "" for none."""
    if not given.labeled:
        return "", ""
    own, folders = given.own, _without(given.above, folders)
    if split_folder(own):
        return label_and_split_of_folders((own, *folders), True, given.mapped)
    if own and (not folders or is_unlabeled(own) or canonical(own)):
        return label_and_split_of_folders((own,), False, given.mapped)
    return label_and_split_of_folders(folders, given.splits, given.mapped)


def above_members(given: NamedInput, folders: Folders, names: Iterable[str], wanted: Wanted) -> Folders:
    """The folders in an archive, each alone in the one before, above its class folders.

    The archive lies in `folders` of the input. There are none where no classes are looked for in it. Raises MienError where
    folders do not tell which are the classes.
    """
    folders = _without(given.above, folders)
    if not given.labeled or (given.own and is_named(given.own) and not split_folder(given.own)):
        return ()
    if any(not split_folder(name) for name in folders):
        return ()
    look = _in_names(names, wanted)
    above = folders_above_classes(look, given.path, given.mapped)
    require_classes(look, above, given.path, given.mapped)
    return above


def label_and_split_of_folders(folders: Folders, splits: bool, mapped: frozenset[str] = frozenset()) -> tuple[str, str]:
    """The label and the split of a file in these folders. `splits`: the first folder is a split, or holds what has no label."""
    split = ""
    if folders and split_folder(folders[0]) and (splits or len(folders) > 1):
        split, folders = split_folder(folders[0]), folders[1:]
    label = label_or_none(folders[0], mapped) if folders else ""
    return label, split or (FOLDERS[0] if splits and folders and not label else "")


def last_folders(name: str) -> Folders:
    """The last folder of a path, and the one above where that is a split."""
    folders = tuple(part for part in PurePosixPath(name).parts[:-1] if part not in ("/", "//", ".."))
    return folders[-2:] if len(folders) > 1 and split_folder(folders[-2]) else folders[-1:]


def inner_folders(name: str, own: str) -> Folders:
    """The folders of an archive's member, without a first one that is named like the archive."""
    inner = tuple(part for part in PurePosixPath(name).parts[:-1] if part not in ("/", "//", ".."))
    return _without((own,), inner)


def _without(above: Folders, folders: Folders) -> Folders:
    return folders[len(above) :] if folders[: len(above)] == above else folders


def _in_names(names: Iterable[str], wanted: Wanted) -> ListFolder:
    """Lists folders among the names of an archive's members."""
    levels = dict[Folders, tuple[set[str], bool]]()
    for folders, photo in ((inner, wanted(name)) for name in names for inner in [inner_folders(name, "")]):
        for depth in range(min(len(folders), DEEP) + 1):
            found, photos = levels.get(folders[:depth], (set(), False))
            if depth < len(folders) and not is_passed_over(folders[depth]):
                found.add(folders[depth])
            levels[folders[:depth]] = (found, photos or (photo and depth == len(folders)))

    def look(folders: Folders) -> FolderContents:
        found, photos = levels.get(folders, (set(), False))
        return FolderContents(tuple(sorted(found)), photos)

    return look
