"""Gold questions, whose answers are known: which they are, where they stand among the others, and the guesses they need."""

from bisect import bisect
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mien.data.faceset import FaceSet
from mien.errors import MienError
from mien.labeling.page.new_questions import GIVEN, Guesser, given_label, read_listed_faces
from mien.labeling.store.records import NotedGuess, Question
from mien.labeling.store.store import Store
from mien.progress import Progress
from mien.wording import quantity


def gold_questions(path: Path, pool: FaceSet, store: Store, with_given_labels: bool) -> list[Question]:
    """The gold questions of a csv file with columns id and label.

    `with_given_labels`: the other questions show the label that the set gives, so that these need one, too. Raises MienError
    for a face that people were asked about already, that the pool lacks, or that lacks a label it needs.
    """
    listed = read_listed_faces(path, "label", pool, store.info.classes)
    plain = {question.face for question in store.questions() if question.gold is None}
    asked = next((face for face, _ in listed if face in plain), None)
    if asked is not None:
        raise MienError(f"faces in {path} that nobody was asked about", repr(asked), "leave it out, or make another store")
    if with_given_labels:
        rows = {str(face): row for row, face in enumerate(pool.values("id"))}
        bare = next((face for face, _ in listed if given_label(store, pool, rows[face]) is None), None)
        if bare is not None:
            expected = f"faces in {path} that have a label in {pool.folder}, as the doubtful ones have"
            raise MienError(expected, f"{bare!r} without one", "leave it out: people would know it from the others")
    return [Question(face, gold=label) for face, label in listed]


def mix_in_gold(others: list[Question], gold: list[Question], store: Store) -> list[Question]:
    """All questions in one list, with gold ones at places that nobody can guess. Others about the same faces are left out.

    The others are parted equally; each part has one gold question, anywhere. The order is always the same for the same store.
    """
    known = {question.face for question in gold}
    others = [question for question in others if question.face not in known]
    if not gold:
        return others
    chance = np.random.default_rng(store.seed(f"gold after {len(store.questions())}"))
    places = (np.arange(len(gold)) + chance.random(len(gold))) * (len(others) / len(gold)) - 0.5
    placed = [*enumerate(others), *zip(places.tolist(), (gold[n] for n in chance.permutation(len(gold))), strict=True)]
    return [question for _, question in sorted(placed, key=lambda one: one[0])]


def guess_gold(store: Store, pool: FaceSet, model: Guesser | None, progress: Progress) -> None:
    """Note guesses with gold questions whose neighbors have some, or people could tell them. Warns where none can be made."""
    beside = _lacking(store.questions())
    rows = {str(face): row for row, face in enumerate(pool.values("id")) if str(face) in beside}
    found: dict[str, NotedGuess] = {}
    for face, row in rows.items():
        label = given_label(store, pool, row)
        if beside[face] == GIVEN and label is not None:
            found[face] = NotedGuess(label, GIVEN)
    guessed = [face for face in rows if beside[face] != GIVEN]
    if model is not None and guessed:
        labels = model.guesses(pool.select([rows[face] for face in guessed]), progress)
        found |= {face: NotedGuess(label, model.version) for face, label in zip(guessed, labels, strict=True)}
    store.add_guesses(found)
    if left := len(beside) - len(found):
        todo = "give --model, too" if guessed else "label them in a new set, or leave them out of a new store"
        told = quantity(left, "gold question, which has", "gold questions, which have")
        progress.say(f"warning: people can tell {told} no guess as the others have: {todo}")


def _lacking(questions: Sequence[Question]) -> dict[str, str | None]:
    """The faces of gold questions without a guess whose neighbor has one, and the model of that neighbor's guess.

    The neighbor is the nearest other question, one before if there is any.
    """
    others = [number for number, question in enumerate(questions) if question.gold is None]
    found: dict[str, str | None] = {}
    for number, question in enumerate(questions):
        if question.gold is not None and question.guess is None and others:
            neighbor = questions[others[max(bisect(others, number) - 1, 0)]]
            if neighbor.guess is not None:
                found[question.face] = neighbor.model
    return found
