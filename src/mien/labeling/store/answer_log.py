"""The log of answers in the database: reading it, and adding to it what is not there yet."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import BindParameter, Connection, Row, Select, bindparam, distinct, func, insert, select, update

from mien.errors import MienError
from mien.labeling.store import assignment
from mien.labeling.store.consensus import disputed, votes_of
from mien.labeling.store.records import Answer, check_label
from mien.labeling.store.schema import ANNOTATORS, ANSWERS, KEPT, QUESTIONS

BLOCK = 1000
"""Answers added at a time."""

_said = (ANSWERS.c.kind, ANSWERS.c.label, ANSWERS.c.time, ANSWERS.c.model, ANSWERS.c.key, ANSWERS.c.undoes)
ENTRIES: Select[Any] = (
    select(QUESTIONS.c.face, ANNOTATORS.c.name, *_said)
    .select_from(ANSWERS.join(QUESTIONS, ANSWERS.c.question == QUESTIONS.c.place).join(ANNOTATORS))
    .order_by(ANSWERS.c.id)
)
"""The log, with names."""
NEWEST = ENTRIES.where(ANSWERS.c.annotator == bindparam("me"), KEPT).order_by(None).order_by(ANSWERS.c.id.desc()).limit(1)
"""An annotator's newest answer that was not taken back."""
_people: BindParameter[Any] = bindparam("people", expanding=True)
_keys: BindParameter[Any] = bindparam("keys", expanding=True)
NAMED = ENTRIES.where(ANSWERS.c.annotator.in_(_people), ANSWERS.c.key.in_(_keys))
"""What has one of these keys."""
UNDOING = ENTRIES.where(ANSWERS.c.annotator.in_(_people), ANSWERS.c.undoes.in_(_keys))
"""What takes back one of these keys. Both in one statement, with `or`, would read all answers."""
ASKED = select(QUESTIONS.c.face, QUESTIONS.c.place, QUESTIONS.c.model).where(
    QUESTIONS.c.face.in_(bindparam("faces", expanding=True))
)
STANDING = select(func.count(distinct(ANSWERS.c.annotator))).where(ANSWERS.c.question == QUESTIONS.c.place, KEPT)
"""Of a question, how many annotators have an answer that was not taken back."""
_places: BindParameter[Any] = bindparam("places", expanding=True)
_newest = (
    select(func.max(ANSWERS.c.id)).where(KEPT, ANSWERS.c.question.in_(_places)).group_by(ANSWERS.c.question, ANSWERS.c.annotator)
)
_voted = (ANSWERS.c.question, ANSWERS.c.label)
VOTES = select(*_voted, func.count()).where(ANSWERS.c.id.in_(_newest), ANSWERS.c.kind != "unsure").group_by(*_voted)
"""Votes on questions that were not taken back: a question, a label or null, how many."""
COUNT_AGAIN = (
    update(QUESTIONS)
    .where(QUESTIONS.c.place.in_(_places))
    .values(
        answered=STANDING.correlate(QUESTIONS).scalar_subquery(),
        disputed=QUESTIONS.c.place.in_(bindparam("open", expanding=True)),
    )
)
"""Notes with questions how many annotators have an answer that was not taken back, and on which they disagree."""


@dataclass(frozen=True)
class Added:
    """What became of answers that were to be added."""

    answers: tuple[Answer, ...]
    """As they stand in the log, in the order given: of one whose key was there already, what was there."""
    new: int
    """How many were not there."""


def read(connection: Connection, classes: int) -> tuple[Answer, ...]:
    """All of the log, in its order. Raises MienError for a label that is none of so many classes."""
    entries = tuple(_answer(row) for row in connection.execute(ENTRIES))
    for entry in entries:
        check_label(entry.label, classes, f" in the log, of {entry.face!r}")
    return entries


def newest(connection: Connection, annotator: int) -> Answer | None:
    """The annotator's newest answer that was not taken back."""
    row = connection.execute(NEWEST, {"me": annotator}).first()
    return None if row is None else _answer(row)


def find(connection: Connection, annotator: int, key: str) -> Answer | None:
    """The annotator's entry of that key, an undo or another."""
    row = connection.execute(NAMED, {"people": [annotator], "keys": [key]}).first()
    return None if row is None else _answer(row)


def add(
    connection: Connection, classes: Sequence[str], people: Mapping[str, int], entries: Sequence[Answer], source: str = ""
) -> Added:
    """Append to the log those whose annotator has no answer of that key yet, count the answers of their faces again, and keep
    the faces no longer for who answered.

    An answer's model is its question's where it names none. `people`: ids of the annotators in it. `source`: where answers come
    from, for messages that name a row. Raises MienError for a face that nobody is asked about, a label that is no class, a
    key that the annotator used for another answer, and an undo of what was not answered or was taken back already.
    """
    found, new = [], 0
    for start in range(0, len(entries), BLOCK):
        block = entries[start : start + BLOCK]
        there = _There(connection, people, block)
        rows = []
        for number, entry in enumerate(block, start + 1):
            where = f" in row {number} of {source}" if source else ""
            stored = there.find(entry, where)
            if stored is None:
                stored = there.accept(entry, classes, where)
                rows.append(there.row(stored))
            found.append(stored)
        if rows:
            connection.execute(insert(ANSWERS), rows)
            count_again(connection, list({row["question"] for row in rows}))
            assignment.release(connection, [row for row in rows if row["kind"] != "undo"])
        new += len(rows)
    return Added(tuple(found), new)


def count_again(connection: Connection, places: Sequence[int]) -> None:
    """Note with these questions how many answers they have, and whether people disagree."""
    for block in _blocks(places):
        connection.execute(COUNT_AGAIN, {"places": block, "open": disputed_among(connection, block)})


def disputed_among(connection: Connection, places: Sequence[int]) -> list[int]:
    """Those of these questions on which people disagree, by the log."""
    found: list[int] = []
    for block in _blocks(places):
        faces, votes = votes_of([tuple(row) for row in connection.execute(VOTES, {"places": block})])
        found.extend(faces[disputed(votes)].tolist())
    return found


def _blocks(places: Sequence[int]) -> Iterator[list[int]]:
    return (list(places[start : start + BLOCK]) for start in range(0, len(places), BLOCK))


class _There:
    """What the database knows of a block of answers, and what of them was accepted since."""

    def __init__(self, connection: Connection, people: Mapping[str, int], block: Sequence[Answer]) -> None:
        faces = {entry.face for entry in block}
        self._people = {entry.annotator: people[entry.annotator] for entry in block}
        self._asked = {row.face: row for row in connection.execute(ASKED, {"faces": list(faces)})}
        undone = [entry.undoes for entry in block if entry.undoes is not None]
        ids, keys = list(self._people.values()), [*(entry.key for entry in block), *undone]
        self._answers: dict[tuple[str, str], Answer] = {}
        self._undone: set[tuple[str, str]] = set()
        rows = [*connection.execute(NAMED, {"people": ids, "keys": keys})]
        if undone:
            rows += connection.execute(UNDOING, {"people": ids, "keys": undone})
        for row in rows:
            self._remember(_answer(row))

    def find(self, entry: Answer, where: str) -> Answer | None:
        """The answer of that key, None where there is none. Raises MienError where it says something else."""
        known = self._answers.get((entry.annotator, entry.key))
        if known is not None and _content(known) != _content(entry):
            found = f"another answer of key {entry.key!r} by {entry.annotator!r}"
            raise MienError(f"an answer of a new key{where}", found, "make a new key for each answer")
        return known

    def accept(self, entry: Answer, classes: Sequence[str], where: str) -> Answer:
        """The answer as it will stand in the log. Raises MienError where it cannot."""
        if entry.face not in self._asked:
            raise MienError(f"a face that people are asked about{where}", repr(entry.face), "ask about it first")
        check_label(entry.label, len(classes), where)
        if entry.undoes is not None:
            undone = self._answers.get((entry.annotator, entry.undoes))
            if undone is None or undone.kind == "undo" or undone.face != entry.face:
                found = f"none of key {entry.undoes!r}"
                raise MienError(f"an answer to take back{where}, of that face and annotator", found, "mend that key")
            if (entry.annotator, entry.undoes) in self._undone:
                raise MienError(f"an answer to take back{where}", "one that was taken back already", "leave it out")
        model = self._asked[entry.face].model if entry.model is None else entry.model
        stored = replace(entry, model=model)
        self._remember(stored)
        return stored

    def row(self, entry: Answer) -> dict[str, Any]:
        """An accepted answer as a row of the table."""
        place, person = self._asked[entry.face].place, self._people[entry.annotator]
        row = {"question": place, "annotator": person, "kind": entry.kind, "label": entry.label, "time": entry.time}
        return row | {"model": entry.model, "key": entry.key, "undoes": entry.undoes}

    def _remember(self, entry: Answer) -> None:
        self._answers[entry.annotator, entry.key] = entry
        if entry.undoes is not None:
            self._undone.add((entry.annotator, entry.undoes))


def _content(entry: Answer) -> tuple[object, ...]:
    return entry.face, entry.kind, entry.label, entry.undoes


def _answer(row: Row[Any]) -> Answer:
    return Answer(row.face, row.name, row.kind, row.label, row.time, row.model, row.key, row.undoes)
