"""A folder of labeled photos where a face set is wanted: it is prepared first, once."""

import hashlib
import os
from pathlib import Path

from mien.disk import read_json, write_aside
from mien.errors import MienError
from mien.faces.inputs import find_inputs
from mien.faces.prepare import Preparing, prepare
from mien.progress import Progress

SEEN = "photos.json"
"""In a set that was made here: a hash of the photos that it was made of."""


def faces_of(folder: Path, workers: int, progress: Progress) -> Path:
    """The face set at `folder`; where photos in class folders lie there, the set `FOLDER.faces`, which is made beside it.

    It is used again as long as the photos are those it was made of, by name, size and time. Raises MienError where they are
    not, and as `prepare` does.
    """
    folder = Path(os.path.abspath(folder))  # "." and ".." have no name of their own
    if (folder / "faceset.json").exists() or not _has_folders(folder):
        return folder
    made, now = folder.with_name(f"{folder.name}.faces"), _seen(folder)
    if made.exists():
        if not (made / SEEN).is_file() or read_json(made / SEEN, f"remove {made}").get("photos") != now:
            expected, todo = f"{made} to be made of the photos in {folder} as they are", f"remove {made}, or give it instead"
            raise MienError(expected, "something else, or photos that have changed since", todo)
        return made
    progress.say(f"{folder} holds photos: their faces are cut out into {made}, once (mien prepare has settings)")
    done = prepare(Preparing((str(folder),), labeled=True), made, workers, progress=progress)
    write_aside(made / SEEN, f'{{"photos": "{now}"}}'.encode())
    left_out = f", {done.rejected} photos without one ({made / 'rejected.csv'})" if done.rejected else ""
    progress.say(f"{len(done.faces)} faces{left_out}")
    return made


def _has_folders(folder: Path) -> bool:
    return folder.is_dir() and any(one.is_dir() and not one.name.startswith(".") for one in folder.iterdir())


def _seen(folder: Path) -> str:
    """A hash of what the photos are called, how large they are and when they were written."""
    digest = hashlib.sha256()
    for one in find_inputs([folder], labeled=True):
        state = os.stat(one.path) if one.path.exists() else None
        digest.update(f"{one.name}\n{state and (state.st_size, state.st_mtime_ns)}\n".encode("utf-8", "surrogatepass"))
    return digest.hexdigest()
