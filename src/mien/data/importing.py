"""Turns a database into a face set."""

import csv
import hashlib
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from mien.data.database import Counts, Database, count_differences
from mien.data.faceset import FaceSet
from mien.data.source import Source
from mien.data.writer import FaceSetWriter
from mien.errors import MienError
from mien.folders import require_absent
from mien.media.rejections import Rejected
from mien.protocols import require_subclass
from mien.registry import component_names, find_component
from mien.settings import CountOrZero, Share, require_fitting, settings_from

ROOM = "mien.data.sources"
"""The package whose files are the databases."""


NOTES = "notes.csv"
"""The file of notes in a set: about inputs that gave faces."""
NAMED = 3
"""The most inputs that a line of notes names."""


@dataclass(frozen=True)
class Imported:
    """The new face set, and the inputs that gave no face, which are also in its `rejected.csv`."""

    faces: FaceSet
    """The new face set."""
    rejected: tuple[Rejected, ...]
    """The inputs that gave no face, and why."""
    notes: tuple[Rejected, ...] = ()
    """Notes about pictures that were read: that their files hold more pictures, or how deep their values are."""
    differences: tuple[str, ...] = ()
    """Where numbers of faces are not those that the database's authors publish, a sentence for each."""


def source_from(name: str, settings: Mapping[str, Any]) -> Source:
    """The database `name` (a file in data/sources) with these settings. Raises MienError for an unknown name or key."""
    made: Source = settings_from(find_component(ROOM, name), settings, named=True)
    require_subclass(made, Source, "mien.data.source", "source")
    return made


def known_databases() -> dict[str, Database]:
    """The facts about each published database that mien reads, by its name."""
    found = {name: getattr(find_component(ROOM, name), "facts", None) for name in component_names(ROOM)}
    return {name: facts for name, facts in found.items() if isinstance(facts, Database)}


@dataclass(frozen=True)
class Contents:
    """What a database holds as mien reads it unless told otherwise."""

    classes: tuple[str, ...]
    """Its classes; none where its faces have no labels of expressions."""
    counts: Counts
    """The numbers of faces that are published, by split and class; empty where none are."""

    @property
    def by_split(self) -> dict[str, int]:
        """The published number of faces of each split; the split "" is the whole set."""
        return {split: counts.get("", sum(counts.values())) for split, counts in self.counts.items()}


def database_contents(name: str) -> Contents:
    """What the published database of this name holds; nothing of it needs to be there."""
    source = source_from(name, {"input": Path()})
    facts = known_databases()[name]
    unlabeled = bool(facts.protocols) and not facts.measured
    return Contents(() if unlabeled else source.info().classes, source.published_counts())


def import_source(
    source: Source,
    out: Path,
    skip: int = 0,
    progress: Callable[[int, int], None] | None = None,
    test: float = 0.0,
    splits: Mapping[str, str] | None = None,
) -> Imported:
    """Write all faces of `source` as a new face set at `out`, and open it.

    `skip`: how many unreadable inputs may be left out. `progress(done, total)` is called after every block; total is 0
    where the source does not know. Raises MienError where `out` exists (before anything is read), where more inputs are
    rejected than `skip`, or where there are no faces; nothing is left behind then.

    `test`: about this share becomes the split `test`, the rest `train`, in a source without splits. Whole subjects go (or
    sequences, or single faces, where there are no subjects), by a hash of their names: the same wherever they turn up.
    `splits`: new names of splits, by the names that the source gives.
    """
    require_fitting(Share, test=test)
    require_fitting(CountOrZero, skip=skip)
    if not 0 <= test < 1:
        raise MienError("a test share from 0 to below 1", f"{test}", "give another")
    require_absent(out)
    rejected, notes = list[Rejected](), list[Rejected]()
    total, count, renamed = source.total(), 0, splits or {}
    with _new_folders_removed(out), FaceSetWriter(out, source.info()) as writer:
        for block in source.blocks():
            rejected += block.rejected
            notes += block.notes
            if len(block.faces):
                columns = _with_splits(block.columns, test) if test else dict(block.columns)
                if renamed and "split" in columns:
                    columns["split"] = [renamed.get(name, name) for name in _texts(columns["split"])]
                writer.add(block.faces, columns)
            count += len(block.faces)
            if progress is not None:
                progress(count + len(rejected), total)
        _check(count, rejected, skip, getattr(source, "input", None))
        attach_rejected(writer, rejected)
        attach_rejected(writer, notes, NOTES)
    faces = FaceSet.open(out)
    published = {renamed.get(split, split): counts for split, counts in source.published_counts().items()}
    return Imported(faces, tuple(rejected), tuple(notes), tuple(count_differences(faces, published)))


def _with_splits(columns: Mapping[str, Any], test: float) -> dict[str, Any]:
    """Columns with `split` added: test or train by a hash of the subject's name, else the sequence's or the face's."""
    if "split" in columns:
        raise MienError("a source without splits, to make a test split", "one with splits", "leave `test` out")
    by = next(name for name in ("subject", "sequence", "id") if name in columns)
    known = [name or key for name, key in zip(_texts(columns[by]), _texts(columns["id"]), strict=True)]
    shares = [int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") / 2**64 for name in known]
    return {**columns, "split": ["test" if share < test else "train" for share in shares]}


def _texts(values: Any) -> list[str]:
    listed = values.to_pylist() if hasattr(values, "to_pylist") else list(values)
    return ["" if value is None else str(value) for value in listed]


def _check(count: int, rejected: Sequence[Rejected], skip: int, read: Path | None) -> None:
    listed = "; ".join(f"{one.path}: {one.reason}" for one in rejected[:3]) + ("; …" if len(rejected) > 3 else "")
    if not count:
        found = f"none, {len(rejected)} rejected ({listed})" if rejected else "none"
        raise MienError("at least one face" + (f" in {read}" if read else ""), found, "check the input and the settings")
    if len(rejected) > skip:
        found = f"{len(rejected)} of {count + len(rejected)} without one ({listed})"
        todo = f"mend them, or give --skip {len(rejected)} to leave them out"
        raise MienError("a face in every input" + (f" but {skip}" if skip else ""), found, todo)


@contextmanager
def _new_folders_removed(out: Path) -> Iterator[None]:
    """A context that removes folders above `out` again, where it was made to make them and the import fails."""
    missing = [folder for folder in out.parents if not folder.exists()]
    try:
        yield
    except BaseException:
        for folder in missing:
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()
        raise


def attach_rejected(writer: FaceSetWriter, rejected: Iterable[Rejected], name: str = "rejected.csv") -> None:
    """Write rejected inputs, where there are any, into the new set as rejected.csv, or under another name."""
    left = iter(rejected)
    first = next(left, None)
    if first:
        rows = chain([("path", "note" if name == NOTES else "reason")], ((one.path, one.reason) for one in chain([first], left)))
        writer.attach(name, map(_line, rows))


def told_notes(notes: Sequence[Rejected]) -> str:
    """The first of some notes, in a line."""
    listed = "; ".join(f"{one.path}: {one.reason}" for one in notes[:NAMED])
    return f"{listed}; and {len(notes) - NAMED} more ({NOTES})" if len(notes) > NAMED else listed


def _line(row: tuple[str, str]) -> bytes:
    """A line of a CSV table."""
    file = io.StringIO()
    csv.writer(file).writerow(row)
    return file.getvalue().encode("utf-8", "backslashreplace")
