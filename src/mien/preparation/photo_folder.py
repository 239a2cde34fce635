"""A folder of labeled photos where a face set is wanted: it is prepared first, once."""

import hashlib
import os
from dataclasses import replace
from pathlib import Path

from mien.data.faceset import FaceSet
from mien.data.faceset_files import read_info
from mien.data.format import Info
from mien.disk import write_atomically
from mien.errors import MienError
from mien.faces.align import align_from_text
from mien.faces.crop import CropSpec
from mien.json_toml import read_json
from mien.media.file_limits import FILE_LIMITS, FileLimits
from mien.media.file_names import escaped_name
from mien.media.find_source_files import find_source_files, require_face_set
from mien.preparation.preparation_settings import PreparationSettings
from mien.preparation.prepare import prepare_faces
from mien.preparation.survey import Survey, classes_of, survey_inputs
from mien.progress import Progress, Silent
from mien.registry import component_to_text
from mien.wording import quantity

SEEN = "photos.json"
"""A file in a set that was made here: the hash of the photos that it was made from."""


def open_or_prepare(
    faces: FaceSet | Path | str,
    progress: Progress | None = None,
    least: int = 1,
    workers: int | None = None,
    limits: FileLimits = FILE_LIMITS,
    verify: bool = True,
    like: Info | None = None,
    as_found: bool = False,
) -> FaceSet:
    """A face set as it is, or the one at a folder; for a folder of photos in class folders, the set of their faces.

    That set is prepared first, as `FOLDER.faces` beside the photos, and used again as long as the photos are those it was made
    of, by name, size and time. `workers`: processes that prepare it, as many as there are processors unless said. `verify`:
    compare an opened set with its checksum. `like`: faces, such as those of a model, whose way of being cut out, side and color
    are taken, instead of the usual ones. `as_found`: take the set that is there, however its faces were cut out.
    Raises MienError where the photos have changed since, where the faces were cut out in another way, side or color, where there
    are photos in fewer than `least` class folders, and as `prepare_faces` and `FaceSet.open` do.
    """
    if isinstance(faces, FaceSet):
        return faces
    folder, workers = Path(faces), workers or os.cpu_count() or 1
    return FaceSet.open(_prepared(folder, progress or Silent(), least, workers, limits, like, as_found), verify)


def _prepared(
    folder: Path, progress: Progress, least: int, workers: int, limits: FileLimits, like: Info | None, as_found: bool
) -> Path:
    """Where the face set of a folder lies: there, or, if photos lie there, beside it."""
    require_face_set(folder, labeled=True)
    folder = Path(os.path.abspath(folder))  # "." and ".." have no name of their own
    if (folder / "faceset.json").exists() or not folder.is_dir():
        return folder
    asked, made, now = PreparationSettings((str(folder),), labeled=True), folder.with_name(f"{folder.name}.faces"), _seen(folder)
    says_how = like is None or like.alignment not in ("", "unknown")
    if made.exists():
        if not (made / SEEN).is_file() or read_json(made / SEEN, f"remove {made}").get("photos") != now:
            expected, todo = f"{made} to be made of the photos in {folder} as they are", f"remove {made}, or give it instead"
            raise MienError(expected, "something else, or photos that have changed since", todo)
        if says_how and not as_found:
            _require_cut_out_as(_like(asked, like), made, folder)
        return made
    asked = _like(asked, like)
    found = survey_inputs(asked, limits)
    if not found.photos:
        if not any(path.is_file() for path in folder.iterdir()) and any(folder.iterdir()):
            raise MienError(f"photos in class folders, or a face set, at {folder}", "folders without a photo", "put photos there")
        return folder
    _require_classes(folder, found, least)
    progress.say(f"{folder} holds photos: their faces are cut out into {made}, once (mien prepare has settings)")
    done = prepare_faces(asked, made, workers, progress=progress, limits=limits)
    write_atomically(made / SEEN, f'{{"photos": "{now}"}}'.encode())
    left_out = f", {quantity(done.rejected, 'photo')} without one ({made / 'rejected.csv'})" if done.rejected else ""
    progress.say(f"{quantity(len(done.faces), 'face')}{left_out}")
    return made


def _like(asked: PreparationSettings, info: Info | None) -> PreparationSettings:
    """Settings by which faces are cut out as those of `info` were, if that is known."""
    if info is None or not info.alignment:
        return asked
    spec = CropSpec.from_text(info.alignment)
    return replace(asked, align=spec.align, detector=spec.detector, side=info.side, color=info.channels == 3)


def _require_cut_out_as(asked: PreparationSettings, made: Path, folder: Path) -> None:
    """Raises MienError where the faces of a set were not cut out in the way, side and color that are asked for.

    Detectors are not compared: whoever takes the faces for a model says where the model's was another one.
    """
    info = read_info(made)
    wanted = _cut_out(asked.align, asked.side, asked.color)
    found = _cut_out(CropSpec.from_text(info.alignment).align, info.side, info.channels == 3)
    if found != wanted:
        todo = f"remove {made}, and they are cut out again, or prepare {folder} by hand with mien prepare, into another folder"
        raise MienError(f"the faces in {made} to be cut out by {wanted}", found, todo)


def _cut_out(align: str, side: int, color: bool) -> str:
    """How faces are cut out, in words: the way with all its settings, side and color."""
    foreign = ":" in align.partition(" ")[0]  # What a file names is not imported; a file names all settings.
    way = align if foreign else component_to_text(align_from_text(align))
    return f"{way}, side {side}, {'color' if color else 'gray'}"


def _require_classes(folder: Path, found: Survey, least: int) -> None:
    classes = classes_of(found.labels)
    if len(set(classes.values())) < least:
        there = [f"{found.labels[name]} in {escaped_name(name)}" for name in classes]
        there += [f"{found.loose} in {folder} itself, without a class folder"] if found.loose else []
        folders = "a class folder" if least == 1 else f"at least {least} class folders"
        expected = f"photos in {folders}, such as {folder / 'happiness'}"
        raise MienError(expected, ", ".join(there) or "none", "sort the photos into a folder for each class")


def _seen(folder: Path) -> str:
    """A hash of the names, sizes and times of the photos in a folder."""
    digest = hashlib.sha256()
    for one in find_source_files([folder], labeled=True):
        state = os.stat(one.path) if one.path.exists() else None
        digest.update(f"{one.name}\n{state and (state.st_size, state.st_mtime_ns)}\n".encode("utf-8", "surrogatepass"))
    return digest.hexdigest()
