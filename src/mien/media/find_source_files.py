"""Finds the photos and videos in what a user names: folders, patterns, lists, archives, single files."""

import os
import shlex
import unicodedata
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from mien.errors import MienError
from mien.media.archives import ARCHIVES, ArchiveEntry, archive_entries
from mien.media.decoding.strip_other_formats import HEIC
from mien.media.face_pictures import hint_of_other_system, picture_path
from mien.media.file_limits import FILE_LIMITS, FileLimits
from mien.media.file_names import PHOTOS, UNREAD, escaped_name, is_wanted, is_wanted_member
from mien.media.folder_labels import (
    NamedInput,
    above_members,
    inner_folders,
    label_and_split,
    label_and_split_of_folders,
    last_folders,
    with_labels_from_folders,
)
from mien.media.folder_walk import walk_folder
from mien.media.named_inputs import named_inputs
from mien.media.photo_lists import LISTS, read_list, short_hash
from mien.media.rejections import reason_of
from mien.media.source_files import VIDEOS, SourceFile


def find_source_files(
    inputs: Sequence[str | Path],
    labeled: bool = False,
    limits: FileLimits = FILE_LIMITS,
    mapped: Collection[str] = (),
    keep: Sequence[str] = (),
) -> Iterator[SourceFile]:
    """The photos and videos at `inputs`: each input in turn, folders and their files by name.

    An input is a folder, a pattern, a list, an archive or a file. Folders are read at any depth, without hidden files and files
    that are neither photo, video nor archive by their names. Links are followed, but each folder is read once for each input,
    at the first of its paths by name. Patterns (*, ?, [], **) stand for the folders, photos, videos and archives that match,
    each once, even where links lead to it by several paths.
    Lists start from their own folder: a text has a path a line; a CSV or Parquet table a column `path`, and perhaps `label`,
    `split` and `subject`, which always count, and others, which are taken along where they are among `keep`. A file that a list
    names again comes with a fault. Any other file that is named counts as a photo.

    Names are unique: paths from the one folder, archive or list that is given; with several inputs, from the folder above them
    all.

    With `labeled`, the label is the name of the class folder: the first folder, below a split where there is one, and below
    folders that lie, each alone, above all classes. In an archive it is the first such folder that is not named like the
    archive, unless the archive lies in a class folder itself; for a path in a list without labels it is the last folder. With
    several inputs, a folder that is one of them and named like a split is one; any other without folders named like expressions
    is the class of what lies directly in it, and of all below it where it is named like a class itself. Labels are in Unicode's
    form NFC. Names such as none, nan and unlabeled mean no label, unless they are `mapped`.

    What cannot be read comes as a SourceFile with a `fault`. Memory holds the inputs, the matches of patterns, the names in one
    folder of each level, a number for each folder of one input, a zip's directory, a hash for each name of one archive, and a
    hash and a row for each file of one list.

    Raises MienError at once for an input that is not there, and for a list that cannot be read, names an unknown split, or
    names a file twice with different labels, splits or subjects. With `labeled`, it also does so for splits beside classes, and
    where folders do not tell which of them are the classes.
    """
    if isinstance(inputs, str | os.PathLike):
        raise MienError("a list of paths of photos and videos", f"a single path, {inputs}", "put it into a list")
    if "" in inputs:
        raise MienError("paths of photos and videos", "an empty one", "name the current folder by a dot")
    names, columns = frozenset(mapped), tuple(keep)
    known = [replace(each, limits=limits, mapped=names, keep=columns) for each in named_inputs(inputs, mapped)]
    given = [with_labels_from_folders(each, is_wanted) if labeled else each for each in known]
    return (found for each in given for found in _found(each))


def require_face_set(path: Path, labeled: bool = False) -> None:
    """Raises MienError for a list, archive, photo or video where a face set is wanted. `labeled`: it must have labels."""
    kinds = {LISTS: "a list", ARCHIVES: "an archive", PHOTOS: "a photo", VIDEOS: "a video"}
    kind = next((kind for ends, kind in kinds.items() if path.name.lower().endswith(ends)), "")
    if kind and path.is_file():
        todo = f"make one of it first: mien prepare {shlex.quote(str(path))} OUT{' --labeled' if labeled else ''}"
        raise MienError(f"a face set at {escaped_name(str(path))}", kind, todo)


def _found(given: NamedInput) -> Iterator[SourceFile]:
    text = given.path.name.lower()
    if given.path.is_dir():
        yield from _in_folder(given)
    elif text.endswith(LISTS):
        yield from _in_list(given)
    elif text.endswith(ARCHIVES):
        yield from _in_archive(given.path, given.prefix, (), given)
    else:
        yield _single(given.path, given.prefix)


def _single(path: Path, name: str, label: str = "", split: str = "") -> SourceFile:
    lower = path.name.lower()
    ending = next((each for each in UNREAD if lower.endswith(each)), "")
    unread = HEIC if ending in (".heic", ".heif", ".hif") else f"{ending} files are not read" if ending else ""
    label = escaped_name(unicodedata.normalize("NFC", label))
    return SourceFile(escaped_name(name), path, video=lower.endswith(VIDEOS), label=label, split=split, fault=unread)


def _in_folder(given: NamedInput) -> Iterator[SourceFile]:
    for met in walk_folder(given.path):
        path, within = met.path, met.path.relative_to(given.path)
        name = _joined(given.prefix, within.as_posix())
        if met.error is not None:
            yield SourceFile(escaped_name(name), path, fault=reason_of(met.error))
        elif path.name.lower().endswith(ARCHIVES) and not met.folder:
            yield from _in_archive(path, name, within.parts[:-1], given)
        elif not met.folder:
            yield _single(path, name, *label_and_split(given, within.parts[:-1]))


def _in_archive(path: Path, prefix: str, folders: tuple[str, ...], given: NamedInput) -> Iterator[SourceFile]:
    """The members of an archive that lies in `folders` of what was given."""
    known = _Known()
    own = next(path.name[: -len(end)] for end in ARCHIVES if path.name.lower().endswith(end))
    above = above_members(given, folders, _names(path, given), is_wanted_member) if given.labeled else ()
    try:
        for entry in archive_entries(path, is_wanted_member, lambda name: name.lower().endswith(PHOTOS), given.limits):
            inner = inner_folders(entry.name, own) if not above else inner_folders(entry.name, "")[len(above) :]
            yield _member(path, _joined(prefix, known.unique(entry.name)), entry, *label_and_split(given, (*folders, *inner)))
    except MienError as error:
        yield SourceFile(escaped_name(prefix or path.name), path, fault=error.found)


def _names(path: Path, given: NamedInput) -> Iterator[str]:
    """The names of an archive's members, up to where it is damaged, which is reported when it is read."""
    with suppress(MienError):
        yield from (entry.name for entry in archive_entries(path, is_wanted_member, lambda name: False, given.limits))


def _member(path: Path, name: str, entry: ArchiveEntry, label: str, split: str) -> SourceFile:
    found = _single(Path(entry.name), name, label, split)
    unread = "an archive in an archive; such files are not read" if entry.name.lower().endswith(ARCHIVES) else found.fault
    return replace(found, path=path, member=entry.member, content=entry.content, fault=entry.fault or unread)


def _in_list(given: NamedInput) -> Iterator[SourceFile]:
    folder = given.path.parent
    try:
        for line in read_list(given.path, given.mapped, given.keep):
            name = os.path.normpath(line.path)
            if line.before:
                named = _joined(given.prefix, f"{name} (row {line.row})")
                yield SourceFile(escaped_name(named), folder / name, fault=f"the same file as in row {line.before}, which counts")
                continue
            label, split = label_and_split_of_folders(last_folders(name), False, given.mapped) if given.labeled else ("", "")
            label, split = label if line.label is None else line.label, split if line.split is None else line.split
            found = _single(folder / name, _joined(given.prefix, name), label, split)
            found = replace(found, subject=escaped_name(line.subject or ""), more=line.more)
            try:
                picture_path(folder, name)
            except MienError:
                found = replace(found, fault="a path that leaves the list's folder; write it from the root")
            if not found.fault and (hint := hint_of_other_system(folder / name)):
                found = replace(found, fault=f"no file there{hint}")
            if not found.fault and _is_missing(folder / name):
                found = replace(found, fault=_missing_from(given.path, line.row))
            yield found
    except MienError as error:
        yield SourceFile(escaped_name(given.prefix or given.path.name), given.path, fault=error.found)


def _is_missing(path: Path) -> bool:
    """Whether nothing is at a path. Any other reason not to read it is said when it is read."""
    try:
        path.stat()
    except OSError as error:
        return isinstance(error, FileNotFoundError)
    except ValueError:  # a null byte
        return False
    return False


def _missing_from(path: Path, row: int) -> str:
    """Why a file of a list is not read: the list may be a text that was given by mistake."""
    kind = "line" if path.suffix.lower() == ".txt" else "row"
    return f"No such file or directory; {kind} {row} of {escaped_name(path.name)}, which was taken for a list of paths, names it"


def _joined(prefix: str, name: str) -> str:
    return f"{prefix}/{name}" if prefix else name


class _Known:
    """Remembers names as hashes, to make each name unique among lists and archives."""

    def __init__(self) -> None:
        self._last: dict[bytes, int] = {}
        """The last number that was tried for each name."""

    def new(self, name: str) -> bool:
        """Whether a name was not there yet; from now on it is."""
        key = short_hash(name)
        there = key in self._last
        self._last.setdefault(key, 1)
        return not there

    def unique(self, name: str) -> str:
        """The name, with a number before its ending where it was there already."""
        if self.new(name):
            return name
        (stem, ending), key = os.path.splitext(name), short_hash(name)
        while True:
            self._last[key] += 1
            found = f"{stem}~{self._last[key]}{ending}"
            if self.new(found):
                return found
