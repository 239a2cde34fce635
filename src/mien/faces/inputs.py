"""From what people name (folders, patterns, lists, archives, single files) to the photos and videos there."""

import glob
import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from mien.data.images import SUFFIXES, picture_path
from mien.data.sources.folder import SPLITS, UNLABELED
from mien.errors import MienError
from mien.faces.archives import ARCHIVES, Entry, entries
from mien.faces.lists import LISTS, check_list, lines
from mien.faces.places import VIDEOS, Input, fault

UNREAD = (".heic", ".heif", ".avif", ".jp2", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".psd", ".wmv", ".flv", ".3gp")
"""How the names of photos and videos end that are not read, in lower case: they are not passed over in silence."""


@dataclass(frozen=True)
class Given:
    """A folder, list, archive or file that was named; `prefix` begins the names of what is found there."""

    path: Path
    prefix: str
    splits: bool = False
    """The folder has splits, and class folders below them."""


def find_inputs(inputs: Sequence[str | Path], labeled: bool = False) -> Iterator[Input]:
    """The photos and videos at `inputs`, each input in turn, folders and their files by name.

    Folders are read at any depth, without hidden files and files that are neither photo, video nor archive by their
    names; a link to a folder is followed unless it leads back. Patterns (*, ?, [], **) stand for the folders, photos, videos
    and archives that match. Lists (.txt: a path a line; .csv: a column `path`, and perhaps `label` and `split`) start from
    their own folder and name photos and videos; a repeated path counts once. Other files that are named count as photos.

    Names are unique: paths from the one folder, archive or list that is given; with several inputs, from the folder above
    them all. With `labeled`, the label is the name of the first folder, below a split where there is one, as in `Folder`;
    of an archive's member, of the first folder in the archive that is not named like the archive, unless the archive lies
    in a class folder itself; of a path in a list without labels, of its last folder.

    What cannot be read comes as an Input with a `fault`. In memory are what was given and the matches of patterns, the names
    in one folder of each level, a zip's directory, and a hash for each name of one list or archive. Raises MienError at
    once for an input that is not there, a list that cannot be read, and, with `labeled`, splits beside classes.
    """
    given = [replace(each, splits=labeled and _has_splits(each.path)) for each in _given(inputs)]
    return (found for each in given for found in _found(each, labeled))


def printable(name: str) -> str:
    """A name without line breaks, other control characters and bytes that are no UTF-8, written out as Python does.

    Backslashes are doubled, so that different names stay different.
    """
    if name.isprintable() and "\\" not in name:
        return name
    escaped = (letter if letter.isprintable() and letter != "\\" else ascii(letter)[1:-1] for letter in name)
    return "".join(escaped)


def _given(inputs: Sequence[str | Path]) -> list[Given]:
    """What was named, once each, without what lies in a folder that was named too."""
    paths: dict[str, str] = {}
    """The folder above each: names start there."""
    for named in inputs:
        text = os.path.abspath(named)
        if os.path.lexists(text):
            paths.setdefault(text, os.path.dirname(text))
        else:
            for match in _matches(named, text):
                paths.setdefault(match, _plain_folder(text))
    folders = {text for text in paths if os.path.isdir(text)}
    kept = [text for text in paths if not _within(text, folders)]
    single = len(paths) == 1 and os.path.lexists(inputs[0]) and _is_many(kept[0])
    root = kept[0] if single else os.path.commonpath(list(paths.values())) if paths else ""
    for text in kept:
        if text.lower().endswith(LISTS):
            check_list(Path(text))
    return [Given(Path(text), "" if text == root else os.path.relpath(text, root)) for text in kept]


def _matches(named: str | Path, pattern: str) -> list[str]:
    found = sorted(glob.glob(pattern, recursive=True)) if glob.has_magic(pattern) else []
    taken = [text.rstrip(os.sep) for text in found if os.path.isdir(text) or _wanted(text)]
    if not taken:
        nothing = f"only other files, {found[0]} among them" if found else "nothing"
        raise MienError(f"a file, folder or pattern at {printable(str(named))}", nothing, "check the path")
    return taken


def _plain_folder(pattern: str) -> str:
    """The folder of a pattern above its first part that is none."""
    parts = pattern.split(os.sep)
    first = next(place for place, part in enumerate(parts) if glob.has_magic(part))
    return os.sep.join(parts[:first]) or os.sep


def _within(text: str, folders: set[str]) -> bool:
    """Is it found in one of these folders anyhow?"""
    path = Path(text)
    for above in path.parents:
        if str(above) in folders:
            parts = path.relative_to(above).parts
            return not any(part.startswith(".") for part in parts) and (text in folders or _wanted(text))
    return False


def _is_many(text: str) -> bool:
    return os.path.isdir(text) or text.lower().endswith((*ARCHIVES, *LISTS))


def _has_splits(folder: Path) -> bool:
    """Are there splits above the classes of a folder? Raises MienError where other folders lie beside them."""
    try:
        top = [below for below in sorted(folder.iterdir()) if below.is_dir() and not below.name.startswith(".")]
        splits = [below for below in top if below.name.lower() in SPLITS and any(each.is_dir() for each in below.iterdir())]
    except OSError:  # no folder, or one that cannot be read, which is said when its turn comes
        return False
    others = [below.name for below in top if below not in splits and below.name.lower() != UNLABELED]
    if splits and others:
        mixed = printable(f"{', '.join(below.name for below in splits)} beside {', '.join(others)}")
        raise MienError(f"either classes or splits in {folder}", mixed, "put every class folder below a split")
    return bool(splits)


def _wanted(name: str) -> bool:
    return name.lower().endswith((*SUFFIXES, *VIDEOS, *ARCHIVES, *UNREAD))


def _wanted_member(name: str) -> bool:
    parts = PurePosixPath(name).parts
    hidden = any(part.startswith(".") and part not in (".", "..") for part in parts)
    return not hidden and name.lower().endswith((*SUFFIXES, *VIDEOS, *UNREAD))


def _found(given: Given, labeled: bool) -> Iterator[Input]:
    text = given.path.name.lower()
    if given.path.is_dir():
        yield from _in_folder(given, labeled)
    elif text.endswith(LISTS):
        yield from _in_list(given, labeled)
    elif text.endswith(ARCHIVES):
        yield from _in_archive(given.path, given.prefix, (), given, labeled)
    else:
        yield _single(given.path, given.prefix)


def _single(path: Path, name: str, label: str = "", split: str = "") -> Input:
    unread = f"{path.suffix.lower()} files are not read" if path.name.lower().endswith(UNREAD) else ""
    video = path.name.lower().endswith(VIDEOS)
    return Input(printable(name), path, video=video, label=printable(label), split=printable(split), fault=unread)


def _in_folder(given: Given, labeled: bool) -> Iterator[Input]:
    for path, error in _walk(given.path):
        name = _joined(given.prefix, path.relative_to(given.path).as_posix())
        if error is not None:
            yield Input(printable(name), path, fault=fault(error))
            continue
        folders = path.relative_to(given.path).parts[:-1]
        if path.name.lower().endswith(ARCHIVES):
            yield from _in_archive(path, name, folders, given, labeled)
        else:
            yield _single(path, name, *(_class_of(folders, given.splits) if labeled else ("", "")))


def _walk(folder: Path) -> Iterator[tuple[Path, OSError | None]]:
    """The wanted files below a folder, and the folders that cannot be read; folders above are known, to see circles."""
    levels: list[tuple[tuple[int, int], Iterator[os.DirEntry[str]]]] = []
    path: Path | None = folder
    while True:
        if path is not None:
            try:
                status = os.stat(path)
                place = (status.st_dev, status.st_ino)
                if place not in (known for known, _ in levels):
                    with os.scandir(path) as listed:
                        levels.append((place, iter(sorted(listed, key=lambda entry: entry.name))))
            except OSError as error:
                yield path, error
        if not levels:
            return
        entry = next(levels[-1][1], None)
        path = None
        if entry is None:
            levels.pop()
        elif not entry.name.startswith("."):
            if _is_folder(entry):
                path = Path(entry.path)
            elif _wanted(entry.name):
                yield Path(entry.path), None


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself: no folder, and no file either when it is read
        return False


def _in_archive(path: Path, prefix: str, folders: tuple[str, ...], given: Given, labeled: bool) -> Iterator[Input]:
    """The members of an archive, which lies in `folders` of what was given."""
    known = _Known()
    own = next(path.name[: -len(end)] for end in ARCHIVES if path.name.lower().endswith(end))
    try:
        for entry in entries(path, _wanted_member, lambda name: not name.lower().endswith(VIDEOS)):
            inner = tuple(part for part in PurePosixPath(entry.name).parts[:-1] if part not in ("/", "//", ".."))
            inner = inner[1:] if inner[:1] == (own,) else inner
            place = _class_of((*folders, *inner), given.splits) if labeled else ("", "")
            yield _member(path, _joined(prefix, known.unique(entry.name)), entry, *place)
    except MienError as error:
        yield Input(printable(prefix or path.name), path, fault=error.found)


def _member(path: Path, name: str, entry: Entry, label: str, split: str) -> Input:
    found = _single(Path(entry.name), name, label, split)
    return replace(found, path=path, member=entry.member, content=entry.content, fault=entry.fault or found.fault)


def _in_list(given: Given, labeled: bool) -> Iterator[Input]:
    known, folder = _Known(), given.path.parent
    known.new(str(given.path))
    try:
        for line in lines(given.path, labeled):
            name = os.path.normpath(line.path)
            if not known.new(os.path.join(folder, name)):
                continue
            label, split = _class_of(_last_folders(name), False) if labeled else ("", "")
            label, split = label if line.label is None else line.label, split if line.split is None else line.split
            found = _single(folder / name, _joined(given.prefix, name), label, split)
            try:
                picture_path(folder, name)
            except MienError:
                found = replace(found, fault="a path that leaves the list's folder; write it from the root")
            yield found
    except MienError as error:
        yield Input(printable(given.prefix or given.path.name), given.path, fault=error.found)


def _class_of(folders: tuple[str, ...], splits: bool) -> tuple[str, str]:
    """Label and split of a file in these folders; `splits`: the first folder is one, or holds what has no label."""
    split = ""
    if folders and folders[0].lower() in SPLITS and (splits or len(folders) > 1):
        split, folders = SPLITS[folders[0].lower()], folders[1:]
    if not folders or folders[0].lower() == UNLABELED:
        return "", split or ("train" if splits and folders else "")
    return folders[0], split


def _last_folders(name: str) -> tuple[str, ...]:
    """The last folder of a path, and the one above where that is a split."""
    folders = tuple(part for part in PurePosixPath(name).parts[:-1] if part not in ("/", "//", ".."))
    return folders[-2:] if len(folders) > 1 and folders[-2].lower() in SPLITS else folders[-1:]


def _joined(prefix: str, name: str) -> str:
    return f"{prefix}/{name}" if prefix else name


class _Known:
    """Which names there were, as hashes: two lists or archives of different names never have the same."""

    def __init__(self) -> None:
        self._hashes: set[bytes] = set()

    def new(self, name: str) -> bool:
        """Was there no such name yet?"""
        key = hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        there = key in self._hashes
        self._hashes.add(key)
        return not there

    def unique(self, name: str) -> str:
        """The name; with a number before its ending where it was there already."""
        stem, ending = os.path.splitext(name)
        count, found = 1, name
        while not self.new(found):
            count += 1
            found = f"{stem}~{count}{ending}"
        return found
