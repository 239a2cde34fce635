"""What people answered in Label Studio, remembered in a folder, and models that learn from it one after the other."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from threading import Lock, Thread
from typing import Any

import numpy as np
import numpy.typing as npt

from mien.data.faceset import FaceSet
from mien.disk import read_bytes, write_atomically
from mien.errors import MienError
from mien.exchange.label_studio_tasks import chosen
from mien.json_text import to_json
from mien.json_toml import parse_json
from mien.recipes.recipe import Recipe
from mien.recognize.recognizer import Recognizer
from mien.training.settings import TrainingSettings
from mien.training.train import train

FILE = "annotations.json"
MOST = 200_000
"""The most pictures whose answers are remembered."""

FindFace = Callable[[Recognizer, Path], npt.NDArray[np.uint8] | None]


class AnnotationTraining:
    """Remembers each person's newest answer about a picture in `folder`/annotations.json, and trains into `folder`/model-N."""

    def __init__(self, folder: Path, recipe: str = "supervised_small", tell: Callable[[str], None] = lambda text: None) -> None:
        """`recipe`: what models learn by; they start from the model before. `tell`: is told of models and of what fails.

        Raises MienError where an earlier annotations.json cannot be read.
        """
        self._folder, self._recipe, self._tell = folder, recipe, tell
        self._lock = Lock()
        self._thread: Thread | None = None
        folder.mkdir(parents=True, exist_ok=True)
        there, todo = folder / FILE, "remove it, or take another folder"
        self._answers: dict[str, dict[str, str]] = {}
        if there.exists():
            said = parse_json(read_bytes(there, todo), str(there), todo)
            if not isinstance(said, dict) or not all(isinstance(given, dict) for given in said.values()):
                raise MienError(f"answers by picture and person in {there}", "something else", todo)
            self._answers = said

    def remember(self, picture: Path, annotation: Mapping[str, Any]) -> None:
        """Remember an annotation; one that was skipped or chose nothing takes the person's earlier answer back.

        Raises MienError for an annotation of another form, and beyond 200,000 pictures.
        """
        choices = [] if annotation.get("was_cancelled") else chosen(annotation, "an annotation")
        with self._lock:
            if str(picture) not in self._answers and len(self._answers) >= MOST:
                raise MienError(f"answers about at most {MOST} pictures", "more", "begin another folder")
            answers = self._answers.setdefault(str(picture), {})
            person = str(annotation.get("completed_by"))[:100]
            answers.pop(person, None)
            if len(choices) == 1:
                answers[person] = choices[0]
            write_atomically(self._folder / FILE, to_json(self._answers, ascii_only=True).encode())

    def start(self, recognizer: Recognizer, classes: Sequence[str], find: FindFace, take: Callable[[Recognizer], None]) -> bool:
        """Begin to train in a thread, and hand the new recognizer to `take`. Returns False where it trains already."""
        with self._lock:
            if self._thread is not None and self._thread.is_alive():
                return False
            answers = {picture: dict(given) for picture, given in self._answers.items()}
            self._thread = Thread(target=self._train, args=(recognizer, tuple(classes), answers, find, take), daemon=True)
            self._thread.start()
        return True

    def wait(self) -> None:
        """Wait until training has ended."""
        if self._thread is not None:
            self._thread.join()

    def _train(
        self,
        recognizer: Recognizer,
        classes: tuple[str, ...],
        answers: Mapping[str, Mapping[str, str]],
        find: FindFace,
        take: Callable[[Recognizer], None],
    ) -> None:
        try:
            faces = agreed_faces(recognizer, classes, answers, find)
            number = 1 + sum(path.name.startswith("model-") for path in self._folder.iterdir())
            out, recipe = self._folder / f"model-{number}", Recipe.load(self._recipe)
            if recognizer.folder is not None:
                recipe = recipe.with_start(recognizer.folder)
            train(faces, recipe, out, TrainingSettings(seed=number, device="cpu"))
            take(Recognizer.load(out))
            self._tell(f"learned from {len(faces)} pictures: {out}")
        except MienError as error:
            self._tell(f"not trained: {error}")


def agreed_faces(
    recognizer: Recognizer, classes: tuple[str, ...], answers: Mapping[str, Mapping[str, str]], find: FindFace
) -> FaceSet:
    """The faces whose pictures more people gave one class than any other, as the recognizer takes them.

    Choices that nobody made are no classes. Raises MienError where fewer than two classes are left.
    """
    labeled = dict[str, str]()
    for picture, given in answers.items():
        counts = Counter(name for name in given.values() if name in classes).most_common(2)
        if counts and (len(counts) == 1 or counts[0][1] > counts[1][1]):
            labeled[picture] = counts[0][0]
    found = {picture: face for picture in labeled if (face := find(recognizer, Path(picture))) is not None}
    used = [name for name in classes if name in {labeled[picture] for picture in found}]
    if len(used) < 2:
        raise MienError("answers of two classes or more", ", ".join(used) or "none", "let people answer more")
    labels = [used.index(labeled[picture]) for picture in found]
    made = FaceSet.from_arrays(np.stack(list(found.values())), labels, used, {"id": list(found)})
    return made
