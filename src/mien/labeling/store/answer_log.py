"""The log of answers in the database: reading it, and appending what is not there yet."""

import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import BindParameter, Connection, Row, Select, bindparam, distinct, func, insert, select, update

from mien.errors import MienError
from mien.labeling.store import assignment
from mien.labeling.store.consensus import disputed, votes_table
from mien.labeling.store.records import Answer, check_label
from mien.labeling.store.schema import ANNOTATORS, ANSWERS, NOT_UNDONE, QUESTIONS

BLOCK = 1000
"""Answers appended at a time."""

_said = (ANSWERS.c.kind, ANSWERS.c.label, ANSWERS.c.time, ANSWERS.c.model, ANSWERS.c.key, ANSWERS.c.undoes)
ENTRIES: Select[Any] = (
    select(QUESTIONS.c.face, ANNOTATORS.c.name, *_said)
    .select_from(ANSWERS.join(QUESTIONS, ANSWERS.c.question == QUESTIONS.c.place).join(ANNOTATORS))
    .order_by(ANSWERS.c.id)
)
"""Selects the log, with the names of annotators."""
NEWEST = ENTRIES.where(ANSWERS.c.annotator == bindparam("me"), NOT_UNDONE).order_by(None).order_by(ANSWERS.c.id.desc()).limit(1)
"""Selects an annotator's newest answer that was not taken back."""
_annotators: BindParameter[Any] = bindparam("annotators", expanding=True)
_keys: BindParameter[Any] = bindparam("keys", expanding=True)
OF_KEYS = ENTRIES.where(ANSWERS.c.annotator.in_(_annotators), ANSWERS.c.key.in_(_keys))
"""Selects the entries of these annotators with these keys."""
UNDOING = ENTRIES.where(ANSWERS.c.annotator.in_(_annotators), ANSWERS.c.undoes.in_(_keys))
"""Selects the undos that take back these keys. One statement for both selections, with `or`, would read all answers."""
ASKED = select(QUESTIONS.c.face, QUESTIONS.c.place, QUESTIONS.c.model).where(
    QUESTIONS.c.face.in_(bindparam("faces", expanding=True))
)
STANDING = select(func.count(distinct(ANSWERS.c.annotator))).where(ANSWERS.c.question == QUESTIONS.c.place, NOT_UNDONE)
"""Counts the annotators who have an answer to a question that was not taken back."""
_places: BindParameter[Any] = bindparam("places", expanding=True)
_newest = (
    select(func.max(ANSWERS.c.id))
    .where(NOT_UNDONE, ANSWERS.c.question.in_(_places))
    .group_by(ANSWERS.c.question, ANSWERS.c.annotator)
)
_voted = (ANSWERS.c.question, ANSWERS.c.label)
VOTES = select(*_voted, func.count()).where(ANSWERS.c.id.in_(_newest), ANSWERS.c.kind != "unsure").group_by(*_voted)
"""Counts the standing votes on questions: rows of question, label or null, and number of votes."""
COUNT_AGAIN = (
    update(QUESTIONS)
    .where(QUESTIONS.c.place.in_(_places))
    .values(
        answered=STANDING.correlate(QUESTIONS).scalar_subquery(),
        disputed=QUESTIONS.c.place.in_(bindparam("open", expanding=True)),
    )
)
"""Updates with questions how many annotators have a standing answer, and whether they disagree."""


@dataclass(frozen=True)
class AddedAnswers:
    """What became of answers that were to be appended to a log."""

    answers: tuple[Answer, ...]
    """The answers as the log has them, in the order given; where a key was used before, the entry that was there."""
    new: int
    """How many answers the log did not have before."""


def read_log(connection: Connection, classes: int) -> tuple[Answer, ...]:
    """The whole log, oldest first. Raises MienError for a label that is none of so many classes."""
    entries = tuple(_answer(row) for row in connection.execute(ENTRIES))
    for entry in entries:
        check_label(entry.label, classes, f" in the log, of {entry.face!r}")
    return entries


def newest_answer(connection: Connection, annotator: int) -> Answer | None:
    """An annotator's newest answer that was not taken back; None where there is none."""
    row = connection.execute(NEWEST, {"me": annotator}).first()
    return None if row is None else _answer(row)


def entry_of_key(connection: Connection, annotator: int, key: str) -> Answer | None:
    """An annotator's entry with this key, an answer or an undo; None where there is none."""
    row = connection.execute(OF_KEYS, {"annotators": [annotator], "keys": [key]}).first()
    return None if row is None else _answer(row)


def append_answers(
    connection: Connection, classes: Sequence[str], ids: Mapping[str, int], entries: Sequence[Answer], source: str = ""
) -> AddedAnswers:
    """Append the entries whose annotator has none with that key yet, and count the answers to their faces again.

    These faces are no longer kept for who answered. An answer without a model gets its question's. `ids`: the ids of all
    annotators, by name. `source`: the file that the entries come from, for messages that name a row. Raises MienError for a face
    that nobody is asked about, a label that is no class, a key that the annotator used for another answer, and an undo of what
    was not answered or was taken back already.
    """
    found, new = [], 0
    for start in range(0, len(entries), BLOCK):
        block = entries[start : start + BLOCK]
        there = _Block(connection, ids, block)
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
    return AddedAnswers(tuple(found), new)


def append_undo(
    connection: Connection, classes: Sequence[str], annotator: Mapping[str, int], key: str, undoes: str, now: datetime
) -> Answer:
    """Append an undo of the answer with the key `undoes`, or of the newest one for "", and keep its face for the annotator.

    `annotator`: the annotator's id by name. `key`: the undo's own; one is made for "". Returns the undo, which is there already
    if its key was used before. Raises MienError where there is no such answer, and for a key that stands for something else.
    """
    ((_, id),) = annotator.items()
    done = entry_of_key(connection, id, key) if key else None
    if done is not None:
        if done.kind != "undo" or undoes not in ("", done.undoes):
            found = f"{'another undo' if done.kind == 'undo' else 'an answer'} of key {key!r}"
            raise MienError("an undo of a new key", found, "make a new key for each")
        return done
    meant = entry_of_key(connection, id, undoes) if undoes else newest_answer(connection, id)
    if meant is None:
        raise MienError("an answer to take back", f"none of key {undoes!r}" if undoes else "none", "answer first")
    entry = replace(meant, kind="undo", label=None, time=now, key=key or secrets.token_hex(16), undoes=meant.key)
    added = append_answers(connection, classes, annotator, [entry])
    assignment.hold_again(connection, id, meant.face, now)
    return added.answers[0]


def count_again(connection: Connection, places: Sequence[int]) -> None:
    """Update how many answers these questions have, and whether people disagree on them, from the log."""
    for block in _blocks(places):
        connection.execute(COUNT_AGAIN, {"places": block, "open": disputed_among(connection, block)})


def disputed_among(connection: Connection, places: Sequence[int]) -> list[int]:
    """The questions among these on which people disagree, by the log."""
    found: list[int] = []
    for block in _blocks(places):
        faces, votes = votes_table([tuple(row) for row in connection.execute(VOTES, {"places": block})])
        found.extend(faces[disputed(votes)].tolist())
    return found


def _blocks(places: Sequence[int]) -> Iterator[list[int]]:
    return (list(places[start : start + BLOCK]) for start in range(0, len(places), BLOCK))


class _Block:
    """A block of answers beside what the database has of their faces and keys."""

    def __init__(self, connection: Connection, ids: Mapping[str, int], block: Sequence[Answer]) -> None:
        faces = {entry.face for entry in block}
        self._ids = {entry.annotator: ids[entry.annotator] for entry in block}
        self._asked = {row.face: row for row in connection.execute(ASKED, {"faces": list(faces)})}
        undone = [entry.undoes for entry in block if entry.undoes is not None]
        numbers, keys = list(self._ids.values()), [*(entry.key for entry in block), *undone]
        self._answers: dict[tuple[str, str], Answer] = {}
        self._undone: set[tuple[str, str]] = set()
        rows = [*connection.execute(OF_KEYS, {"annotators": numbers, "keys": keys})]
        if undone:
            rows += connection.execute(UNDOING, {"annotators": numbers, "keys": undone})
        for row in rows:
            self._remember(_answer(row))

    def find(self, entry: Answer, where: str) -> Answer | None:
        """The entry in the log with this key; None where there is none. Raises MienError where it says something else."""
        known = self._answers.get((entry.annotator, entry.key))
        if known is not None and _content(known) != _content(entry):
            found = f"another answer of key {entry.key!r} by {entry.annotator!r}"
            raise MienError(f"an answer of a new key{where}", found, "make a new key for each answer")
        return known

    def accept(self, entry: Answer, classes: Sequence[str], where: str) -> Answer:
        """The answer as the log will have it. Raises MienError for one that cannot be appended."""
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
        place, id = self._asked[entry.face].place, self._ids[entry.annotator]
        row = {"question": place, "annotator": id, "kind": entry.kind, "label": entry.label, "time": entry.time}
        return row | {"model": entry.model, "key": entry.key, "undoes": entry.undoes}

    def _remember(self, entry: Answer) -> None:
        self._answers[entry.annotator, entry.key] = entry
        if entry.undoes is not None:
            self._undone.add((entry.annotator, entry.undoes))


def _content(entry: Answer) -> tuple[object, ...]:
    return entry.face, entry.kind, entry.label, entry.undoes


def _answer(row: Row[Any]) -> Answer:
    return Answer(row.face, row.name, row.kind, row.label, row.time, row.model, row.key, row.undoes)
