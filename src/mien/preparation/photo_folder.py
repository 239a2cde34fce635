"""A folder of labeled photos where a face set is wanted: it is prepared first, once."""

import hashlib
import os
from pathlib import Path

from mien.disk import read_json, write_aside
from mien.errors import MienError
from mien.media.inputs import find_inputs, printable, require_prepared
from mien.media.limits import LIMITS, FileLimits
from mien.preparation.prepare import Found, Preparing, classes_of, prepare_faces, survey
from mien.progress import Progress
from mien.wording import quantity

SEEN = "photos.json"
"""In a set that was made here: a hash of the photos that it was made of."""


def open_or_prepare(folder: Path, workers: int, progress: Progress, least: int = 1, limits: FileLimits = LIMITS) -> Path:
    """The face set at `folder`; where photos in class folders lie there, the set `FOLDER.faces`, which is made beside it.

    It is used again as long as the photos are those it was made of, by name, size and time. Raises MienError where they are
    not, where there are photos in fewer than `least` class folders, and as `prepare` does.
    """
    require_prepared(folder, labeled=True)
    folder = Path(os.path.abspath(folder))  # "." and ".." have no name of their own
    if (folder / "faceset.json").exists() or not folder.is_dir():
        return folder
    made, now = folder.with_name(f"{folder.name}.faces"), _seen(folder)
    if made.exists():
        if not (made / SEEN).is_file() or read_json(made / SEEN, f"remove {made}").get("photos") != now:
            expected, todo = f"{made} to be made of the photos in {folder} as they are", f"remove {made}, or give it instead"
            raise MienError(expected, "something else, or photos that have changed since", todo)
        return made
    asked = Preparing((str(folder),), labeled=True)
    found = survey(asked, limits)
    if not found.photos:
        return folder
    _require_classes(folder, found, least)
    progress.say(f"{folder} holds photos: their faces are cut out into {made}, once (mien prepare has settings)")
    done = prepare_faces(asked, made, workers, progress=progress, limits=limits)
    write_aside(made / SEEN, f'{{"photos": "{now}"}}'.encode())
    left_out = f", {quantity(done.rejected, 'photo')} without one ({made / 'rejected.csv'})" if done.rejected else ""
    progress.say(f"{quantity(len(done.faces), 'face')}{left_out}")
    return made


def _require_classes(folder: Path, found: Found, least: int) -> None:
    classes = classes_of(found.labels)
    if len(set(classes.values())) < least:
        there = [f"{found.labels[name]} in {printable(name)}" for name in classes]
        there += [f"{found.loose} in {folder} itself, without a class folder"] if found.loose else []
        folders = "a class folder" if least == 1 else f"at least {least} class folders"
        expected = f"photos in {folders}, such as {folder / 'happiness'}"
        raise MienError(expected, ", ".join(there) or "none", "sort the photos into a folder for each class")


def _seen(folder: Path) -> str:
    """A hash of what the photos are called, how large they are and when they were written."""
    digest = hashlib.sha256()
    for one in find_inputs([folder], labeled=True):
        state = os.stat(one.path) if one.path.exists() else None
        digest.update(f"{one.name}\n{state and (state.st_size, state.st_mtime_ns)}\n".encode("utf-8", "surrogatepass"))
    return digest.hexdigest()
