"""From the words of a command line to paths: files and folders, and patterns with what matches them."""

import glob
import os
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from mien.disk import relative_name
from mien.errors import MienError
from mien.media.archives import ARCHIVES
from mien.media.file_names import escaped_name, is_wanted
from mien.media.folder_labels import NamedInput
from mien.media.folder_walk import walk_folder
from mien.media.photo_lists import LISTS, check_list


def named_inputs(inputs: Sequence[str | Path], mapped: Collection[str]) -> list[NamedInput]:
    """What a user named, once each, without what lies in a folder that was named too.

    Raises MienError where nothing is at a path or matches a pattern.
    """
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
    root = kept[0] if single else _common_folder(list(paths.values()))
    for text in kept:
        if text.lower().endswith(LISTS):
            check_list(Path(text), mapped)
    return [NamedInput(Path(text), "" if text == root else relative_name(text, root)) for text in kept]


def _common_folder(folders: Sequence[str]) -> str:
    """The folder that holds all of these; "" where none does, as on two drives of Windows."""
    try:
        return os.path.commonpath(folders) if folders else ""
    except ValueError:
        return ""


def _matches(named: str | Path, pattern: str) -> list[str]:
    found = sorted(set(_expanded(pattern))) if glob.has_magic(pattern) else []
    taken: dict[str, str] = {}
    """By their real paths."""
    for text in found:
        if os.path.isdir(text) or is_wanted(text):
            taken.setdefault(os.path.realpath(text), text)
    if not taken:
        nothing = f"only other files, {found[0]} among them" if found else "nothing"
        raise MienError(f"a file, folder or pattern at {escaped_name(str(named))}", nothing, "check the path")
    return list(taken.values())


def _expanded(pattern: str) -> Iterator[str]:
    """All paths that match a pattern, some more than once. For `**`, glob itself would not end where links lead in circles."""
    above, double, below = f"{pattern}{os.sep}".partition(f"{os.sep}**{os.sep}")
    if not double:
        yield from glob.iglob(pattern)
        return
    for top in filter(os.path.isdir, glob.iglob(above or os.sep)):
        if not below:
            yield top
        for met in walk_folder(Path(top)) if below else ():
            if met.folder:
                yield from _expanded(os.path.join(glob.escape(str(met.path)), below.rstrip(os.sep)))


def _plain_folder(pattern: str) -> str:
    """The folder of a pattern above its first part with a wildcard."""
    parts = pattern.split(os.sep)
    first = next(place for place, part in enumerate(parts) if glob.has_magic(part))
    return os.sep.join(parts[:first]) or os.sep


def _within(text: str, folders: set[str]) -> bool:
    """Whether a path is found in one of these folders anyhow."""
    path = Path(text)
    for above in path.parents:
        if str(above) in folders:
            parts = path.relative_to(above).parts
            return not any(part.startswith(".") for part in parts) and (text in folders or is_wanted(text))
    return False


def _is_many(text: str) -> bool:
    """Whether a path is a folder, an archive or a list."""
    return os.path.isdir(text) or text.lower().endswith((*ARCHIVES, *LISTS))
