"""What people answered in Label Studio, remembered in a folder, and models that are adapted to it one after the other."""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from threading import Lock, Thread
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import numpy.typing as npt
from pydantic import Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from mien.disk import read_bytes, write_atomically
from mien.errors import MienError
from mien.exchange.label_studio_tasks import OTHER, annotator, chosen
from mien.expressions import canonical
from mien.installed import require_package
from mien.json_text import to_json
from mien.json_toml import parse_json
from mien.recognize.model_card import ModelCard, read_card
from mien.recognize.recognizer import Recognizer
from mien.settings import STRICT

if TYPE_CHECKING:
    from mien.data.faceset import FaceSet

FILE, MODEL = "annotations.json", "model-"
"""The file of answers, and how the folders of models begin, before their numbers."""
MOST = 200_000
"""The most pictures whose answers are remembered."""
NO_FACE, UNSURE = OTHER
"""Choices that are no classes."""

FindFace = Callable[[Recognizer, Path], npt.NDArray[np.uint8] | None]


@dataclass(frozen=True, config=STRICT)
class Given:
    """One person's answer about a picture."""

    choice: str
    annotation: Annotated[str, Field(max_length=100)]
    """The number of the annotation in Label Studio."""


ANSWERS = TypeAdapter(dict[str, dict[str, Given]])
"""By picture and person."""


class AnnotationTraining:
    """Remembers each person's newest answer about a picture in `folder`/annotations.json, and adapts into `folder`/model-N."""

    def __init__(
        self,
        folder: Path,
        model: Path | str = "mien-s",
        device: str = "auto",
        tell: Callable[[str], None] = lambda text: None,
    ) -> None:
        """`model`: each training fits its last layer to all answers, as `mien.adapt` does. `tell`: is told of models and of what
        fails.

        Raises MienError without the extra `train`, and where an earlier annotations.json cannot be read.
        """
        require_package("torch")
        self._folder, self._model, self._device, self._tell = folder, model, device, tell
        self._lock = Lock()
        self._thread: Thread | None = None
        folder.mkdir(parents=True, exist_ok=True)
        self._answers = _read(folder / FILE) if (folder / FILE).exists() else {}

    def recognizer(self) -> Recognizer:
        """The newest of the models that were learned from the given one; the given one itself where there is none.

        Raises MienError as `Recognizer.load` does.
        """
        given = Recognizer.load(self._model, self._device)
        numbers = sorted(self._numbers(), reverse=True)
        for folder in (self._folder / f"{MODEL}{number}" for number in numbers):
            if [source.get("weights") for source in read_card(folder).sources[-1:]] == [given.card.weights]:
                return Recognizer.load(folder, self._device)
        if numbers:
            self._tell(f"models in {self._folder} came from another model than {self._model}, which predicts now")
        return given

    def remember(self, picture: Path, annotation: Mapping[str, Any]) -> None:
        """Remember an annotation; one that was skipped or chose nothing takes the person's earlier answer back.

        Raises MienError for an annotation of another form, and beyond 200,000 pictures.
        """
        choices = [] if annotation.get("was_cancelled") else chosen(annotation, "an annotation")
        with self._lock:
            if str(picture) not in self._answers and len(self._answers) >= MOST:
                raise MienError(f"answers about at most {MOST} pictures", "more", "begin another folder")
            answers = self._answers.setdefault(str(picture), {})
            person = annotator(annotation.get("completed_by"))[:100]
            answers.pop(person, None)
            if len(choices) == 1:
                answers[person] = Given(choices[0], str(annotation.get("id"))[:100])
            self._write()

    def forget(self, annotations: Collection[str]) -> None:
        """Forget the answers of annotations, by their numbers, that were deleted."""
        with self._lock:
            for picture, answers in self._answers.items():
                self._answers[picture] = {who: one for who, one in answers.items() if one.annotation not in annotations}
            self._write()

    def start(self, classes: Sequence[str], find: FindFace, take: Callable[[Recognizer], None]) -> bool:
        """Begin to train in a thread, and hand a recognizer that got better to `take`. Returns False where it trains already.

        `classes`: the choices that people have. `find`: the face in a picture as a recognizer takes it.
        """
        with self._lock:
            if self._thread is not None and self._thread.is_alive():
                return False
            answers = {picture: {who: one.choice for who, one in answers.items()} for picture, answers in self._answers.items()}
            self._thread = Thread(target=self._train, args=(tuple(classes), answers, find, take), daemon=True)
            self._thread.start()
        return True

    def wait(self) -> None:
        """Wait until training has ended."""
        if self._thread is not None:
            self._thread.join()

    def _train(
        self,
        classes: tuple[str, ...],
        answers: Mapping[str, Mapping[str, str]],
        find: FindFace,
        take: Callable[[Recognizer], None],
    ) -> None:
        try:
            from mien.experiments.adaptation.adapt import adapt

            # From the given model each time: one that learned these answers already would judge itself by them.
            faces = agreed_faces(Recognizer.load(self._model, self._device), classes, answers, find)
            out = self._folder / f"{MODEL}{1 + max(self._numbers(), default=0)}"
            found = adapt(self._model, faces, out, device=self._device)
            take(Recognizer.load(out, self._device))
            self._tell(f"learned from {len(faces)} pictures: {out}" + (f"; {found.caution}" if found.caution else ""))
        except MienError as error:
            self._tell(f"not trained, and the model stays: {error}")
        except Exception as error:
            self._tell(f"not trained, and the model stays: {type(error).__name__}: {error}")

    def _numbers(self) -> list[int]:
        """The numbers of the models in the folder."""
        ends = (path.name.removeprefix(MODEL) for path in self._folder.glob(f"{MODEL}*"))
        return [int(end) for end in ends if end.isdecimal()]

    def _write(self) -> None:
        write_atomically(self._folder / FILE, to_json(ANSWERS.dump_python(self._answers), ascii_only=True).encode())


def agreed_faces(
    recognizer: Recognizer, classes: tuple[str, ...], answers: Mapping[str, Mapping[str, str]], find: FindFace
) -> "FaceSet":
    """The faces whose pictures more people gave one class than any other, as the recognizer takes them.

    `answers`: choices by picture and person. `unsure` does not count, and pictures that show no face to most are left out. A
    choice that means one of the model's classes is that class. Raises MienError where fewer than two classes are left.
    """
    from mien.data.faceset import FaceSet

    names = {name: _as_of_model(name, recognizer.card) for name in (*classes, NO_FACE)}
    labeled = dict[str, str]()
    for picture, given in answers.items():
        counts = Counter(names[choice] for choice in given.values() if choice in names)
        del counts[UNSURE]
        (first, count), (_, next_count) = [*counts.most_common(2), (NO_FACE, 0), (NO_FACE, 0)][:2]
        if count > next_count and first != NO_FACE:
            labeled[picture] = first
    found = {picture: face for picture in labeled if (face := find(recognizer, Path(picture))) is not None}
    used = sorted({labeled[picture] for picture in found})
    if len(used) < 2:
        raise MienError("answers of two classes or more", ", ".join(used) or "none", "let people answer more")
    labels = [used.index(labeled[picture]) for picture in found]
    faces = FaceSet.from_arrays(np.stack(list(found.values())), labels, used, {"id": list(found)})
    return replace(faces, info=replace(faces.info, name="answers in Label Studio", alignment=recognizer.card.faces.alignment))


def _as_of_model(name: str, card: ModelCard) -> str:
    """The model's class of this name, or of another for the same expression; the name itself where there is none."""
    alike = (one for one in card.classes if (canonical(one) or one) == (canonical(name) or name))
    return name if name in card.classes else next(alike, name)


def _read(path: Path) -> dict[str, dict[str, Given]]:
    """The answers in an earlier annotations.json. Raises MienError for another file."""
    todo = "remove it, or take another folder"
    try:
        return ANSWERS.validate_python(parse_json(read_bytes(path, todo), str(path), todo))
    except ValidationError as error:
        raise MienError(f"answers by picture and person in {path}", "something else", todo) from error
