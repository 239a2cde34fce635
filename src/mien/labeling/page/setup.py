"""What a page needs before it opens: its settings, the pool, and a label store with questions."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mien.data.faceset import FaceSet
from mien.errors import MienError
from mien.labeling.page.gold_questions import gold_questions, guess_gold, mix_in_gold
from mien.labeling.page.new_questions import (
    Guesser,
    questions_about_faces,
    questions_about_label_errors,
    read_listed_faces,
    rows_to_ask,
)
from mien.labeling.page.settings import PageSettings
from mien.labeling.page.source_photos import SourcePhotos, find_source_photos
from mien.labeling.store.database import Database
from mien.labeling.store.guidelines import Guidelines, read_guidelines_file
from mien.labeling.store.migrations import stored_version
from mien.labeling.store.questions import require_more
from mien.labeling.store.records import Question
from mien.labeling.store.store import Store
from mien.progress import Progress, Silent


@dataclass(frozen=True)
class PreparedPage:
    """A pool and a label store that a page can be served from."""

    store: Store
    pool: FaceSet
    new: int
    """Questions that were added."""
    made: bool = False
    """Whether the store was made for this page."""
    unknown_classes: tuple[str, ...] = ()
    """Classes of labeled faces in the pool that people cannot choose."""
    photos: SourcePhotos | None = None
    """The photos around the faces, where they are known."""
    disputed: int | None = None
    """Disputed faces that want another answer; None where `per_face` was not given, or the store is new."""


def prepare_page(settings: PageSettings, progress: Progress | None = None) -> PreparedPage:
    """Open the pool, open or make the label store, and add the questions. Done again, nothing changes.

    Raises MienError for a pool that has changed, holds features, or has two faces of one id; for classes that differ between
    pool, model and store; for a store of a newer version, or one that wants more answers; for no face to ask about; for a list of
    probable label errors in other faces, or beside other questions; and for gold labels of other faces or classes.
    """
    pool, progress = _open_pool(settings.pool), progress or Silent()
    model = None if settings.model is None else Guesser.load(settings.model, settings.device)
    rows = rows_to_ask(pool, settings.split, settings.unlabeled, settings.first)
    photos = find_source_photos(pool, settings.photos)
    store, made = _open_store(settings, pool, model)
    try:
        wanted: list[Question] = []
        if settings.doubts:
            wanted = questions_about_label_errors(Path(settings.doubts), settings.first, pool, store)
        elif made or settings.chosen:
            wanted = questions_about_faces(rows, pool, store, model, progress)
        if settings.gold is not None:
            gold = gold_questions(Path(settings.gold), pool, store, bool(settings.doubts))
            wanted = mix_in_gold(wanted, gold, store)
        guidelines = _guidelines(settings, store.info.classes)
        new = store.ask(wanted)
        guess_gold(store, pool, model, progress)
        if guidelines is not None:
            store.set_guidelines(guidelines)
        disputed = None if made or settings.per_face is None else store.want_more(settings.per_face)
        return PreparedPage(store, pool, new, made, _unknown_classes(store, pool), photos, disputed)
    except BaseException:
        store.close()
        raise


def _guidelines(settings: PageSettings, classes: Sequence[str]) -> Guidelines | None:
    return None if settings.definitions is None else read_guidelines_file(Path(settings.definitions), classes)


def _open_pool(folder: Path | str) -> FaceSet:
    pool = FaceSet.open(folder, verify=True)
    if pool.info.kind != "faces":
        raise MienError(f"faces that people can look at in {folder}", pool.info.kind, "give the set that they were made from")
    different = len(pool.column("id").unique())
    if different < len(pool):
        raise MienError("faces with ids of their own", f"{len(pool)} faces with {different} ids", "import them again")
    return pool


def _unknown_classes(store: Store, pool: FaceSet) -> tuple[str, ...]:
    """Classes of labeled faces in the pool that people cannot choose."""
    used = np.unique(pool.labels[pool.labels >= 0])
    return tuple(pool.classes[label] for label in used if pool.classes[label] not in store.info.classes)


def _open_store(settings: PageSettings, pool: FaceSet, model: Guesser | None) -> tuple[Store, bool]:
    """The label store, and whether it was made now."""
    if not _is_there(settings.store):
        classes = _classes(settings, pool, model)
        _require_files(settings, pool, classes)
        return Store.create(settings.store, classes, pool.info.name, pool.info.checksum, settings.per_face or 1), True
    store = Store.open(settings.store)
    try:
        for classes in (store.info.classes, settings.classes, model.recognizer.classes if model else ()):
            store.require(classes or store.info.classes, pool.info.checksum)
        if settings.per_face is not None:
            require_more(store.info, settings.per_face)
    except BaseException:
        store.close()
        raise
    return store, False


def _require_files(settings: PageSettings, pool: FaceSet, classes: Sequence[str]) -> None:
    """Raises MienError for files that cannot be used, before a store is made with them."""
    for path, column in ((settings.gold, "label"), (settings.doubts, "given")):
        if path is not None:
            read_listed_faces(Path(path), column, pool, classes)
    _guidelines(settings, classes)


def _is_there(address: str) -> bool:
    database = Database(address)
    with database.opening():
        if database.missing:
            return False
        with database.reading() as connection:
            there = stored_version(connection) > 0
    database.close()
    return there


def _classes(settings: PageSettings, pool: FaceSet, model: Guesser | None) -> tuple[str, ...]:
    """The classes of a new store: those that are named, or else those of model and pool, which have to agree."""
    said = {"--classes": settings.classes, "the model": model.recognizer.classes if model else (), "the pool": pool.classes}
    if settings.classes:
        del said["the pool"]
    known = {who: classes for who, classes in said.items() if classes}
    if not known:
        raise MienError("classes to choose from", "none in the pool, and no model", "name them: `classes` happiness,sadness")
    (first, classes), *others = known.items()
    for who, found in others:
        if found != classes:
            expected, todo = (
                f"the classes of {first}, {', '.join(classes)}",
                "take another model, or name the classes with --classes",
            )
            raise MienError(expected, f"{', '.join(found)} in {who}", todo)
    return classes
