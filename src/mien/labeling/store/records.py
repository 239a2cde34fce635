"""What goes into a label store and comes out of it, checked when it is made."""

import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, get_args

from mien.errors import MienError

Kind = Literal["label", "not_a_face", "unsure", "undo"]
"""A class; no face at all, a vote of its own; an answer without a vote; taking back an answer that was not taken back."""

LONGEST_NAME = 80
LONGEST_TEXT = 1000
"""Letters of an annotator's name or of a key, and of a face's id or of a version."""
LARGEST_NUMBER = 2**31 - 1
"""The largest number that every database keeps."""


@dataclass(frozen=True)
class Question:
    """A face that people are asked about; a store knows a face once. Raises MienError for values that cannot be."""

    face: str
    """Its id in the pool."""
    round: int = 0
    """Of rounds that ask one after another."""
    gold: int | None = None
    """The class it is known to have. Such a question goes to everybody, to see who is right."""
    model: str | None = None
    """Version of the model that chose it."""
    guess: int | None = None
    """What that model takes it for."""

    def __post_init__(self) -> None:
        check_text(self.face, "a face's id")
        if self.model is not None:
            check_text(self.model, "a model's version")
        check_round(self.round)


@dataclass(frozen=True)
class NotedGuess:
    """What a model takes a face for, or what somebody labeled it before."""

    label: int
    model: str
    """Version of the model."""


@dataclass(frozen=True)
class Reply:
    """What an annotator says of a face: `Reply(face, label=3)`, `Reply(face, "unsure")`. Raises MienError where it is neither."""

    face: str
    kind: Kind = "label"
    label: int | None = None
    """Index into the store's classes, of kind `label` alone."""
    key: str = ""
    """Made by who sends it, anew for each reply: what is sent again because no confirmation came is the same answer and not a
    second one. The store makes one where it is empty."""

    def __post_init__(self) -> None:
        _check_kind(self.kind, self.label, ("label", "not_a_face", "unsure"))
        check_text(self.face, "a face's id")
        if self.key:
            check_text(self.key, "a key", LONGEST_NAME)


@dataclass(frozen=True)
class Answer:
    """An entry of the log. Raises MienError for values that cannot be."""

    face: str
    annotator: str
    kind: Kind
    label: int | None
    """Index into the classes, of kind `label` alone."""
    time: datetime
    """In UTC."""
    model: str | None
    """Version of the model that chose the face."""
    key: str
    """Tells the annotator's answers apart."""
    undoes: str | None = None
    """Key of the answer that an undo takes back."""

    def __post_init__(self) -> None:
        _check_kind(self.kind, self.label, get_args(Kind))
        check_text(self.face, "a face's id")
        check_name(self.annotator)
        check_text(self.key, "a key", LONGEST_NAME)
        if self.model is not None:
            check_text(self.model, "a model's version")
        if (self.undoes is not None) != (self.kind == "undo"):
            raise MienError("the key of what is undone with an undo alone", f"{self.undoes!r} with {self.kind}", "mend it")
        if self.undoes is not None:
            check_text(self.undoes, "a key", LONGEST_NAME)
        moment(self.time)


@dataclass(frozen=True)
class StoreInfo:
    """What holds for a whole store. Raises MienError for values that cannot be."""

    classes: tuple[str, ...]
    """What a label is an index into."""
    pool: str
    """Name of the set that the faces are of."""
    checksum: str
    """Of that set."""
    per_face: int = 1
    """Answers wanted for a face when the store was made."""
    per_disputed: int | None = None
    """Answers wanted later for a face on which people disagree; None where nobody wanted more."""

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
        """Answers wanted for any face: where one was, nobody could disagree, and more are wanted for all."""
        return self.most if self.per_face == 1 else self.per_face

    @property
    def most(self) -> int:
        """Answers wanted for a face on which people disagree."""
        return self.per_face if self.per_disputed is None else self.per_disputed


def moment(time: datetime | None) -> datetime:
    """A moment in UTC, now for None. Raises MienError for one without a time zone."""
    if time is None:
        return datetime.now(UTC)
    if time.utcoffset() is None:
        raise MienError("a time with its zone", time.isoformat(), "give it in UTC: 2026-01-31T12:00:00+00:00")
    if not 1 < time.year < 9999:  # In UTC it may be of the year before or after.
        raise MienError("a time of the years 2 to 9998", time.isoformat(), "mend it")
    return time.astimezone(UTC)


def check_round(number: int) -> None:
    """Raises MienError for what cannot be the number of a round."""
    if type(number) is not int or not 0 <= number <= LARGEST_NUMBER:
        raise MienError(f"a round from 0 to {LARGEST_NUMBER}", f"{number!r}", "count rounds from 0")


def check_name(name: str) -> None:
    """Raises MienError for what is no annotator's name: printable, without spaces around it, not too long."""
    check_text(name, "a name", LONGEST_NAME)
    if not name.isprintable() or name != name.strip():
        raise MienError("a printable name without spaces around it", repr(name), "choose another name")


def check_text(text: str, what: str, longest: int = LONGEST_TEXT) -> None:
    """Raises MienError for a text that is empty, too long, or that not every database and file keeps as it is."""
    if not isinstance(text, str) or not 0 < len(text) <= longest:
        found = f"{len(text)} letters" if isinstance(text, str) else type(text).__name__
        raise MienError(f"{what} of 1 to {longest} letters", found, "give another")
    if not text.isprintable() and any(unicodedata.category(letter) in ("Cc", "Cs") for letter in text):
        raise MienError(f"{what} without control characters", repr(text)[:200], "give another")


def check_label(label: int | None, classes: int, where: str = "") -> None:
    """Raises MienError, which says where, for what is neither None nor an index into so many classes."""
    if label is not None and (type(label) is not int or not 0 <= label < classes):
        raise MienError(f"a label from 0 to {classes - 1}{where}", repr(label), "give the index of a class")


def _check_kind(kind: str, label: int | None, kinds: tuple[str, ...]) -> None:
    if kind not in kinds:
        raise MienError(f"an answer of kind {', '.join(kinds)}", repr(kind), "choose one of those")
    if (label is not None) != (kind == "label"):
        raise MienError("a label with kind label, and with no other", f"{label!r} with {kind}", "give both or neither")
