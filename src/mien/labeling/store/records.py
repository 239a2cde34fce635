"""Questions, answers and settings of a label store, checked when they are made."""

import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, get_args

from mien.errors import MienError

Kind = Literal["label", "not_a_face", "unsure", "undo"]
"""The kinds of entries in the log: a class; a vote that it is no face; an answer without a vote; an undo of an answer."""

LONGEST_NAME = 80
"""The most letters of an annotator's name and of a key."""
LONGEST_TEXT = 1000
"""The most letters of a face's id, of a model's version and of other texts."""
LARGEST_NUMBER = 2**31 - 1
"""The largest integer that every database can keep."""


@dataclass(frozen=True)
class Question:
    """A face that people are asked about; a store has one question about a face. Raises MienError for impossible values."""

    face: str
    """The face's id in the pool."""
    round: int = 0
    """The round that asks, counted from 0."""
    gold: int | None = None
    """The right answer, an index into the classes, of a gold question. Everybody gets those, to see who is right."""
    model: str | None = None
    """The version of the model that chose the face."""
    guess: int | None = None
    """The class that this model takes the face for."""

    def __post_init__(self) -> None:
        check_text(self.face, "a face's id")
        if self.model is not None:
            check_text(self.model, "a model's version")
        check_round(self.round)


@dataclass(frozen=True)
class NotedGuess:
    """What a model takes a face for, or the label that it had before."""

    label: int
    """An index into the store's classes."""
    model: str
    """The version of the model."""


@dataclass(frozen=True)
class Reply:
    """An annotator's answer as it is sent to a store: `Reply(face, label=3)` or `Reply(face, "unsure")`.

    Raises MienError for impossible values.
    """

    face: str
    """The face's id."""
    kind: Kind = "label"
    """The kind of answer; no undo."""
    label: int | None = None
    """An index into the store's classes for kind `label`; None for the other kinds."""
    key: str = ""
    """Tells the annotator's answers apart: sent again with the same key, it is the same answer and not a second one.

    The store makes a key where it is empty.
    """

    def __post_init__(self) -> None:
        _check_kind(self.kind, self.label, ("label", "not_a_face", "unsure"))
        check_text(self.face, "a face's id")
        if self.key:
            check_text(self.key, "a key", LONGEST_NAME)


@dataclass(frozen=True)
class Answer:
    """An entry of the log: an answer or an undo. Raises MienError for impossible values."""

    face: str
    """The face's id."""
    annotator: str
    """The annotator's name."""
    kind: Kind
    """The kind of answer, or `undo`."""
    label: int | None
    """An index into the store's classes for kind `label`; None for the other kinds."""
    time: datetime
    """When it was given, in UTC."""
    model: str | None
    """The version of the model that chose the face."""
    key: str
    """Tells the annotator's entries apart."""
    undoes: str | None = None
    """The key of the answer that an undo takes back; None for answers."""

    def __post_init__(self) -> None:
        _check_kind(self.kind, self.label, get_args(Kind))
        check_text(self.face, "a face's id")
        check_name(self.annotator)
        check_text(self.key, "a key", LONGEST_NAME)
        if self.model is not None:
            check_text(self.model, "a model's version")
        if (self.undoes is not None) != (self.kind == "undo"):
            raise MienError("the key of another answer with an undo alone", f"{self.undoes!r} with {self.kind}", "mend it")
        if self.undoes is not None:
            check_text(self.undoes, "a key", LONGEST_NAME)
        moment(self.time)


@dataclass(frozen=True)
class StoreInfo:
    """The settings of a whole store. Raises MienError for impossible values."""

    classes: tuple[str, ...]
    """The classes that people choose from; a label is an index into them."""
    pool: str
    """The name of the face set that people are asked about."""
    checksum: str
    """The checksum of that set."""
    per_face: int = 1
    """Answers that a face wanted when the store was made."""
    per_disputed: int | None = None
    """Answers that a disputed face wants by now; None where nobody asked for more."""

    def __post_init__(self) -> None:
        if len(self.classes) < 2 or len(set(self.classes)) < len(self.classes):
            raise MienError("at least two different classes", ", ".join(self.classes) or "none", "name each class once")
        for name in self.classes:
            check_text(name, "a class's name", LONGEST_NAME)
        for text in filter(None, (self.pool, self.checksum)):
            check_text(text, "a pool's name or checksum")
        for wanted in (self.per_face, self.most):
            if not 1 <= wanted <= LARGEST_NUMBER:
                todo = "ask for more" if wanted < 1 else "ask for fewer"
                raise MienError(f"at least 1 answer for a face, and {LARGEST_NUMBER} at most", f"{wanted}", todo)
        if self.most < self.per_face:
            found = f"{self.most} where people disagree"
            raise MienError(f"at least {self.per_face} answers for every face", found, "ask for more")

    @property
    def least(self) -> int:
        """Answers that any face wants. Where one was wanted, nobody could disagree, so that all faces want more."""
        return self.most if self.per_face == 1 else self.per_face

    @property
    def most(self) -> int:
        """Answers that a face wants on which people disagree."""
        return self.per_face if self.per_disputed is None else self.per_disputed


def moment(time: datetime | None) -> datetime:
    """A time in UTC; now for None. Raises MienError for a time without a zone, or of an impossible year."""
    if time is None:
        return datetime.now(UTC)
    if time.utcoffset() is None:
        raise MienError("a time with its zone", time.isoformat(), "give it in UTC: 2026-01-31T12:00:00+00:00")
    if not 1 < time.year < 9999:  # In UTC it may be of the year before or after.
        raise MienError("a time of the years 2 to 9998", time.isoformat(), "mend it")
    return time.astimezone(UTC)


def check_round(number: int) -> None:
    """Raises MienError for an impossible number of a round."""
    if type(number) is not int or not 0 <= number <= LARGEST_NUMBER:
        raise MienError(f"a round from 0 to {LARGEST_NUMBER}", f"{number!r}", "count rounds from 0")


def check_name(name: str) -> None:
    """Raises MienError for a text that cannot be an annotator's name: printable, without spaces around it, 80 letters at most."""
    check_text(name, "a name", LONGEST_NAME)
    if not name.isprintable() or name != name.strip():
        raise MienError("a printable name without spaces around it", repr(name), "choose another name")


def check_text(text: str, what: str, longest: int = LONGEST_TEXT) -> None:
    """Raises MienError, which names `what`, for a text that is empty, too long or holds control characters."""
    if not isinstance(text, str) or not 0 < len(text) <= longest:
        found = f"{len(text)} letters" if isinstance(text, str) else type(text).__name__
        raise MienError(f"{what} of 1 to {longest} letters", found, "give another")
    if not text.isprintable() and any(unicodedata.category(letter) in ("Cc", "Cs") for letter in text):
        raise MienError(f"{what} without control characters", repr(text)[:200], "give another")


def check_label(label: int | None, classes: int, where: str = "") -> None:
    """Raises MienError, which names `where`, for a label that is neither None nor an index into so many classes."""
    if label is not None and (type(label) is not int or not 0 <= label < classes):
        raise MienError(f"a label from 0 to {classes - 1}{where}", repr(label), "give the index of a class")


def _check_kind(kind: str, label: int | None, kinds: tuple[str, ...]) -> None:
    if kind not in kinds:
        raise MienError(f"an answer of kind {', '.join(kinds)}", repr(kind), "choose one of those")
    if (label is not None) != (kind == "label"):
        raise MienError("a label with kind label, and with no other", f"{label!r} with {kind}", "give both or neither")
