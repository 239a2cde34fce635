"""What a page needs before it opens: the pool as it was, its label store, and questions in it."""

from bisect import bisect
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
from mien.labeling.page.source_photos import SourcePhotos, find_source_photos
from mien.labeling.store.database import Database
from mien.labeling.store.guidelines import read_guidelines_file
from mien.labeling.store.migrations import stored_version
from mien.labeling.store.questions import require_more
from mien.labeling.store.records import NotedGuess, Question
from mien.labeling.store.store import Store
from mien.plain import counted
from mien.progress import Progress, Silent
from mien.registry import meant
from mien.tabular.csv_files import read

if TYPE_CHECKING:
    from mien.recognize.recognizer import Recognizer

GIVEN = "given label"
"""Stands for a model's version where the guess is the label that a face has already."""


@dataclass(frozen=True)
class PageSettings:
    """Which faces people are asked about, and where their answers go."""

    pool: Path | str
    """Folder of a face set."""
    store: str
    """Address of a label store, which is made where there is none."""
    model: Path | str | None = None
    """Run or model whose guesses are noted with the questions."""
    classes: tuple[str, ...] = ()
    """What to choose from; the model's or the pool's unless said."""
    per_face: int | None = None
    """Answers wanted for a face; those of the store, or 1, for None. More than a store wants are for faces on which people
    disagree alone."""
    first: int | None = None
    """Ask about so many faces."""
    split: str | None = None
    """Ask about faces of this split."""
    unlabeled: bool = False
    """Ask about faces without label."""
    doubts: Path | str | None = None
    """A list of `mien doubts`: ask about its faces, in its order."""
    gold: Path | str | None = None
    """A csv file with columns id and label: faces of which the right answer is known, asked of everybody among the others."""
    device: str = "auto"
    definitions: Path | str | None = None
    """A TOML file that says what each class means, and perhaps the question; as the store has it for None."""
    photos: str | None = None
    """Where the photos around the faces are: a folder, archive or list; as `mien prepare` noted for None; "none" shows none."""

    @property
    def chosen(self) -> bool:
        """Whether it says which faces; otherwise a new store asks about all of them, and one that is there about no others."""
        return bool(self.first or self.split or self.unlabeled or self.doubts)


@dataclass(frozen=True)
class PreparedPage:
    """What a page can be served from."""

    store: Store
    pool: FaceSet
    new: int
    """Questions that were not asked before."""
    made: bool = False
    """Whether the store was made for this."""
    strange: tuple[str, ...] = ()
    """Classes of labeled faces of the pool that people cannot choose."""
    photos: SourcePhotos | None = None
    """Those around the faces, where they are known."""
    disputed: int | None = None
    """Faces on which people disagree that want another answer, where `per_face` was given for a store that was there."""


def prepare_page(asking: PageSettings, progress: Progress | None = None) -> PreparedPage:
    """Open the pool, open or make the store, and ask. The same again changes nothing.

    Raises MienError for a pool that was changed since it was written or since the store was made, that holds features or two
    faces of one id; for classes that are not the same in pool, model and store; for a store of a newer version, or one that wants
    more answers; for no face to ask about; for doubts about other faces, or beside other questions; and for gold
    labels of other faces or classes, or of faces that were asked about without.
    """
    pool = _open_pool(asking.pool)
    model = None if asking.model is None else _Model.load(asking.model, asking.device)
    meant, photos = _meant(asking, pool), find_source_photos(pool, asking.photos)
    store, made = _open_store(asking, pool, model)
    try:
        wanted: list[Question] = []
        if asking.doubts:
            wanted = _doubts(asking, pool, store)
        elif made or asking.chosen:
            wanted = _faces(meant, pool, store, model, progress or Silent())
        if asking.gold is not None:
            wanted = _mixed(wanted, _gold(asking, pool, store), store)
        guide = None if asking.definitions is None else read_guidelines_file(Path(asking.definitions), store.info.classes)
        new = store.ask(wanted)
        _guess_gold(store, pool, model, progress or Silent())
        if guide is not None:
            store.set_guidelines(guide)
        disputed = None if made or asking.per_face is None else store.want_more(asking.per_face)
        return PreparedPage(store, pool, new, made, _strange(store, pool), photos, disputed)
    except BaseException:
        store.close()
        raise


@dataclass(frozen=True)
class _Model:
    """What guesses."""

    recognizer: "Recognizer"

    @staticmethod
    def load(path: Path | str, device: str) -> "_Model":
        from mien.recognize.recognizer import Recognizer  # torch comes with it

        return _Model(Recognizer.load(path, device))

    def guesses(self, faces: FaceSet, progress: Progress) -> list[int]:
        """The likeliest class of each face."""
        progress.begin("guesses", len(faces))
        found: list[int] = []
        for start in range(0, len(faces), BLOCK):
            block = faces.select(np.arange(start, min(len(faces), start + BLOCK)))
            found += self.recognizer.logits(block).argmax(axis=1).tolist()
            progress.advance(len(block))
        return found


def _open_pool(folder: Path | str) -> FaceSet:
    pool = FaceSet.open(folder, verify=True)
    if pool.info.kind != "faces":
        raise MienError(f"faces that people can look at in {folder}", pool.info.kind, "give the set that they were made from")
    different = len(pool.column("id").unique())
    if different < len(pool):
        raise MienError("faces with ids of their own", f"{len(pool)} faces with {different} ids", "import them again")
    return pool


def _strange(store: Store, pool: FaceSet) -> tuple[str, ...]:
    """Classes of labeled faces that people cannot choose."""
    used = np.unique(pool.labels[pool.labels >= 0])
    return tuple(pool.classes[label] for label in used if pool.classes[label] not in store.info.classes)


def _open_store(asking: PageSettings, pool: FaceSet, model: _Model | None) -> tuple[Store, bool]:
    """The store, and whether it is new."""
    if not _is_there(asking.store):
        classes = _classes(asking, pool, model)
        _require_files(asking, pool, classes)
        return Store.create(asking.store, classes, pool.info.name, pool.info.checksum, asking.per_face or 1), True
    store = Store.open(asking.store)
    try:
        for classes in (store.info.classes, asking.classes, model.recognizer.classes if model else ()):
            store.require(classes or store.info.classes, pool.info.checksum)
        if asking.per_face is not None:
            require_more(store.info, asking.per_face)
    except BaseException:
        store.close()
        raise
    return store, False


def _require_files(asking: PageSettings, pool: FaceSet, classes: Sequence[str]) -> None:
    """Raises MienError for files that a store cannot be made with, before there is one that asks about faces."""
    for path, column in ((asking.gold, "label"), (asking.doubts, "given")):
        if path is not None:
            _listed(asking, path, column, pool, classes)
    if asking.definitions is not None:
        read_guidelines_file(Path(asking.definitions), classes)


def _is_there(address: str) -> bool:
    database = Database(address)
    with database.opening():
        if database.missing:
            return False
        with database.reading() as connection:
            there = stored_version(connection) > 0
    database.close()
    return there


def _classes(asking: PageSettings, pool: FaceSet, model: _Model | None) -> tuple[str, ...]:
    """Of a new store: those that are said, which need not be the pool's, or those of model and pool, which have to agree."""
    said = {"--classes": asking.classes, "the model": model.recognizer.classes if model else (), "the pool": pool.classes}
    if asking.classes:
        del said["the pool"]
    known = {who: classes for who, classes in said.items() if classes}
    if not known:
        raise MienError("classes to choose from", "none in the pool, and no model", "name them: --classes happiness,sadness")
    (first, classes), *others = known.items()
    for who, found in others:
        if found != classes:
            expected, todo = (
                f"the classes of {first}, {', '.join(classes)}",
                "take another model, or name the classes with --classes",
            )
            raise MienError(expected, f"{', '.join(found)} in {who}", todo)
    return classes


def _meant(asking: PageSettings, pool: FaceSet) -> Rows:
    """Rows of the pool that are asked about, but for doubts."""
    rows = np.arange(len(pool))
    if asking.split is not None:
        rows = split_rows(pool, asking.split)
    if asking.unlabeled:
        rows = rows[pool.labels[rows] < 0]
    if not len(rows):
        none = "every face has a label" if asking.unlabeled else "an empty set"
        raise MienError(f"faces to ask about in {asking.pool}", none, "choose others")
    return rows[: asking.first]


def _faces(meant: Rows, pool: FaceSet, store: Store, model: _Model | None, progress: Progress) -> list[Question]:
    """Questions about faces of the pool, in its order, with the model's guess at those that are new."""
    asked = store.questions()
    if any(question.model == GIVEN for question in asked):
        raise MienError("a label store for questions without a given label", "one for doubts", "name another --store")
    known, names = {question.face for question in asked}, pool.values("id")
    new = np.array([row for row in meant if names[row] not in known], np.int64)
    if model is None:
        return [Question(str(names[row])) for row in new]
    guesses, version = model.guesses(pool.select(new), progress), model.recognizer.card.weights
    return [Question(str(names[row]), model=version, guess=guess) for row, guess in zip(new, guesses, strict=True)]


def _doubts(asking: PageSettings, pool: FaceSet, store: Store) -> list[Question]:
    """Questions about the faces of a list, whose given labels are the guesses."""
    listed = _listed(asking, asking.doubts, "given", pool, store.info.classes)
    asked = {face for face, _ in listed}
    strange = sum(question.face not in asked and question.gold is None for question in store.questions())
    if strange:
        found = f"{counted(strange, 'question')} about other faces"
        raise MienError(f"a label store for the doubts of {asking.doubts} alone", found, "name another --store")
    return [Question(face, model=GIVEN, guess=label) for face, label in listed[: asking.first]]


def _gold(asking: PageSettings, pool: FaceSet, store: Store) -> list[Question]:
    """Questions whose answer is known."""
    listed = _listed(asking, asking.gold, "label", pool, store.info.classes)
    plain = {question.face for question in store.questions() if question.gold is None}
    asked = next((face for face, _ in listed if face in plain), None)
    if asked is not None:
        raise MienError(f"faces in {asking.gold} that nobody was asked about", repr(asked), "leave it out, or make another store")
    if asking.doubts:
        rows = {str(face): row for row, face in enumerate(pool.values("id"))}
        bare = next((face for face, _ in listed if _given(store, pool, rows[face]) is None), None)
        if bare is not None:
            expected = f"faces in {asking.gold} that have a label in {asking.pool}, as the doubtful ones have"
            raise MienError(expected, f"{bare!r} without one", "leave it out: people would know it from the others")
    return [Question(face, gold=label) for face, label in listed]


def _mixed(plain: list[Question], gold: list[Question], store: Store) -> list[Question]:
    """Gold questions among the others, none of which is about the same face: one in each of equal parts, anywhere in it, and
    in any order; for the same store always the same."""
    known = {question.face for question in gold}
    others = [question for question in plain if question.face not in known]
    if not gold:
        return others
    chance = np.random.default_rng(store.seed(f"gold after {len(store.questions())}"))
    places = (np.arange(len(gold)) + chance.random(len(gold))) * (len(others) / len(gold)) - 0.5
    placed = [*enumerate(others), *zip(places.tolist(), (gold[n] for n in chance.permutation(len(gold))), strict=True)]
    return [question for _, question in sorted(placed, key=lambda one: one[0])]


def _guess_gold(store: Store, pool: FaceSet, model: _Model | None, progress: Progress) -> None:
    """Gold questions without a guess where the nearest other one, if possible before them, has one; and its model."""
    beside = _lacking(store.questions())
    names = pool.values("id")
    rows = {str(face): row for row, face in enumerate(names) if str(face) in beside}
    found: dict[str, NotedGuess] = {}
    for face, row in rows.items():
        label = _given(store, pool, row)
        if beside[face] == GIVEN and label is not None:
            found[face] = NotedGuess(label, GIVEN)
    guessed = [face for face in rows if beside[face] != GIVEN]
    if model is not None and guessed:
        labels = model.guesses(pool.select([rows[face] for face in guessed]), progress)
        found |= {face: NotedGuess(label, model.recognizer.card.weights) for face, label in zip(guessed, labels, strict=True)}
    store.add_guesses(found)
    if left := len(beside) - len(found):
        todo = "give --model, too" if guessed else "label them in a new set, or leave them out of a new store"
        told = counted(left, "gold question, which has", "gold questions, which have")
        progress.say(f"warning: people can tell {told} no guess as the others have: {todo}")


def _lacking(questions: Sequence[Question]) -> dict[str, str | None]:
    """Gold questions without a guess where the nearest other one, if possible before them, has one; and that one's model."""
    others = [number for number, question in enumerate(questions) if question.gold is None]
    found: dict[str, str | None] = {}
    for number, question in enumerate(questions):
        if question.gold is not None and question.guess is None and others:
            beside = questions[others[max(bisect(others, number) - 1, 0)]]
            if beside.guess is not None:
                found[question.face] = beside.model
    return found


def _given(store: Store, pool: FaceSet, row: int) -> int | None:
    """The label that a face has in the pool, as the store's; None where it has none that people can choose."""
    name = pool.classes[pool.labels[row]] if pool.labels[row] >= 0 else None
    return store.info.classes.index(name) if name in store.info.classes else None


def _listed(
    asking: PageSettings, path: Path | str | None, column: str, pool: FaceSet, classes: Sequence[str]
) -> list[tuple[str, int]]:
    """Faces and classes that a file names. Raises MienError where the pool or the store have none of that name."""
    assert path is not None
    known = set(pool.column("id").to_pylist())
    table = read(Path(path), {"id": pa.string(), column: pa.string()})
    faces, labels = table["id"].to_pylist(), table[column].to_pylist()
    for row, (face, label) in enumerate(zip(faces, labels, strict=True), 1):
        if face not in known:
            raise MienError(f"faces of {asking.pool} in {path}", f"{face!r} in row {row}", "take the set it was made from")
        if label not in classes:
            raise MienError(
                f"a label among {', '.join(classes)} in {path}", f"{meant(label, classes)} in row {row}", "take that set's labels"
            )
    return [(face, classes.index(label)) for face, label in zip(faces, labels, strict=True)]
