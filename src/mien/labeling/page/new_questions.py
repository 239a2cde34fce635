"""Questions that a page adds to its store: about which faces of the pool, and with which guesses."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from mien.data.faceset import BLOCK, FaceSet
from mien.data.format import Rows
from mien.data.splits import split_rows
from mien.errors import MienError
from mien.labeling.store.records import Question
from mien.labeling.store.store import Store
from mien.progress import Progress
from mien.tabular.csv_files import read_csv
from mien.wording import quantity, with_suggestion

if TYPE_CHECKING:
    from mien.recognize.recognizer import Recognizer

GIVEN = "given label"
"""Stands in place of a model's version where the guess is the label that the face has already."""


@dataclass(frozen=True)
class Guesser:
    """A recognizer that guesses what faces show."""

    recognizer: "Recognizer"

    @staticmethod
    def load(path: Path | str, device: str) -> "Guesser":
        """Load a run or a model. Raises MienError where it cannot be read."""
        from mien.recognize.recognizer import Recognizer  # torch comes with it

        return Guesser(Recognizer.load(path, device))

    @property
    def version(self) -> str:
        """The version that is noted with guesses: a hash of the weights."""
        return self.recognizer.card.weights

    def guesses(self, faces: FaceSet, progress: Progress) -> list[int]:
        """The likeliest class of each face, as an index into the recognizer's classes."""
        progress.begin("guesses", len(faces))
        found: list[int] = []
        for start in range(0, len(faces), BLOCK):
            block = faces.select(np.arange(start, min(len(faces), start + BLOCK)))
            found += self.recognizer.logits(block).argmax(axis=1).tolist()
            progress.advance(len(block))
        return found


def rows_to_ask(pool: FaceSet, split: str | None, unlabeled: bool, first: int | None) -> Rows:
    """The rows of the pool to ask about: of a split, without label, the first ones. Raises MienError where none are left."""
    rows = np.arange(len(pool)) if split is None else split_rows(pool, split)
    if unlabeled:
        rows = rows[pool.labels[rows] < 0]
    if not len(rows):
        none = "every face has a label" if unlabeled else "an empty set"
        raise MienError(f"faces to ask about in {pool.folder}", none, "choose others")
    return rows[:first]


def questions_about_faces(rows: Rows, pool: FaceSet, store: Store, model: Guesser | None, progress: Progress) -> list[Question]:
    """Questions about those faces in these rows that are new to the store, with the model's guesses.

    Raises MienError for a store whose guesses are given labels.
    """
    asked = store.questions()
    if any(question.model == GIVEN for question in asked):
        raise MienError(
            "a label store for questions without a given label", "one for a list of label errors", "name another `store`"
        )
    known, names = {question.face for question in asked}, pool.values("id")
    new = np.array([row for row in rows if names[row] not in known], np.int64)
    if model is None:
        return [Question(str(names[row])) for row in new]
    guesses = model.guesses(pool.select(new), progress)
    return [Question(str(names[row]), model=model.version, guess=guess) for row, guess in zip(new, guesses, strict=True)]


def questions_about_label_errors(path: Path, first: int | None, pool: FaceSet, store: Store) -> list[Question]:
    """Questions about the first faces in a list of probable label errors, with the given labels as guesses.

    Raises MienError for a store that asks about other faces, too.
    """
    listed = read_listed_faces(path, "given", pool, store.info.classes)
    asked = {face for face, _ in listed}
    strange = sum(question.face not in asked and question.gold is None for question in store.questions())
    if strange:
        found = f"{quantity(strange, 'question')} about other faces"
        raise MienError(f"a label store for the faces of {path} alone", found, "name another `store`")
    return [Question(face, model=GIVEN, guess=label) for face, label in listed[:first]]


def given_label(store: Store, pool: FaceSet, row: int) -> int | None:
    """The label of a face in the pool, as an index into the store's classes; None where it has none that people can choose."""
    name = pool.classes[pool.labels[row]] if pool.labels[row] >= 0 else None
    return store.info.classes.index(name) if name in store.info.classes else None


def read_listed_faces(path: Path, column: str, pool: FaceSet, classes: Sequence[str]) -> list[tuple[str, int]]:
    """The faces of a csv file by `id`, and the labels in a column as indices into `classes`.

    Raises MienError for a face that the pool lacks, and for a label that is no class.
    """
    known = set(pool.column("id").to_pylist())
    table = read_csv(path, {"id": pa.string(), column: pa.string()})
    faces, labels = table["id"].to_pylist(), table[column].to_pylist()
    for row, (face, label) in enumerate(zip(faces, labels, strict=True), 1):
        if face not in known:
            raise MienError(f"faces of {pool.folder} in {path}", f"{face!r} in row {row}", "take the set it was made from")
        if label not in classes:
            found = f"{with_suggestion(label, classes)} in row {row}"
            raise MienError(f"a label among {', '.join(classes)} in {path}", found, "take that set's labels")
    return [(face, classes.index(label)) for face, label in zip(faces, labels, strict=True)]
