"""Whether a test is too easy, because its faces have near-duplicates among those that taught the recognizer."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from mien.data.faceset import FaceSet
from mien.data.twins import have_twins
from mien.disk import read_json
from mien.errors import MienError
from mien.recognize.files import read_sources, read_used
from mien.recognize.recognizer import Recognizer

MOST_BYTES = 2 << 30
"""More pixels of training faces are not read for a warning."""
LEAST = 0.01
"""A smaller share of test faces with twins is noted, and no reason for a warning."""


def find_training_faces(recognizer: Recognizer, whole: FaceSet) -> FaceSet | None:
    """The faces whose labels the run, or one that it began with, used: of the set `whole`, or else of the run's own set.

    None where they are not at hand: a model without its run, a set that is gone or was changed, features.
    """
    folder = recognizer.folder
    if folder is None:
        return None
    checksum = recognizer.card.faces.checksum
    used = {checksum: read_used(folder)}
    for source in read_sources(folder):
        used[source["faces"]] = used.get(source["faces"], set()) | set(source["used"])
    taught_here = bool(whole.info.checksum) and bool(used.get(whole.info.checksum))
    faces = whole if taught_here else _own_set(folder, checksum)
    if faces is None or faces.info.kind != "faces":
        return None
    taught = np.isin(faces.values("id"), list(used[faces.info.checksum]))
    return faces.select(taught) if taught.any() else None


def _own_set(folder: Path, checksum: str) -> FaceSet | None:
    """The stored set that a run was trained on, where it is still there as it was."""
    if not checksum or not (folder / "run.json").is_file():
        return None
    path = read_json(folder / "run.json", "train again").get("order", {}).get("faces")
    try:
        faces = None if path is None else FaceSet.open(path)
    except MienError:
        return None  # It was moved: that is no fault of the test.
    return faces if faces is not None and faces.info.checksum == checksum else None


def twin_notes(recognizer: Recognizer, tested: FaceSet, whole: FaceSet, right: npt.NDArray[np.bool_]) -> dict[str, str]:
    """What is to be said of test faces, of the set `whole`, that have twins among the training faces; `right`: (N,).

    The test faces are none that taught the recognizer. Empty where no training faces are at hand, or no face has a twin.
    """
    training = find_training_faces(recognizer, whole)
    if training is None or tested.info.kind != "faces":
        return {}
    size = len(training) * training.info.side**2 * training.info.channels
    if size > MOST_BYTES:
        return {"near-duplicates": f"not looked for among {len(training)} training faces: mien twins does"}
    twins = have_twins(tested, training)
    if not twins.any():
        return {}
    found = f"{twins.sum()} of {len(twins)} test faces ({twins.mean():.1%}) have a near-duplicate among the training faces"
    without = f"without them accuracy is {right[~twins].mean():.1%}" if not twins.all() else "no face is without one"
    if twins.mean() < LEAST:
        return {"near-duplicates": f"{found}; {without}"}
    return {"warning": f"{found}: figures flatter; {without}"}
