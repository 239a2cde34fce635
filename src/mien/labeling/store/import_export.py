"""Writes a store's log or consensus into a csv or parquet file, and reads the log of a file into a store.

In the files classes stand by name, times in ISO 8601 and UTC; what is missing is empty. Rows of a log are oldest first.
"""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from mien.disk import write_atomically
from mien.errors import MienError
from mien.labeling.store.answer_log import AddedAnswers
from mien.labeling.store.records import Answer, Kind
from mien.labeling.store.store import Store
from mien.tabular.csv_files import read_csv
from mien.tabular.csv_header import csv_columns
from mien.wording import with_suggestion

LOG_COLUMNS = ("face", "annotator", "kind", "label", "time", "model", "key", "undoes")
"""The columns of a log, all of them texts."""
SUFFIXES = (".csv", ".parquet")
"""The endings of file names that say what kind of file is written or read."""


def export_log(store: Store, path: Path | str) -> int:
    """Write the log, all answers and undos, to a file with LOG_COLUMNS. Returns the number of rows.

    An earlier log at `path` is replaced once the new one is whole. Raises MienError for a name that ends neither in .csv nor in
    .parquet, where another kind of file is at `path`, and where it cannot be written.
    """
    path = _named(path)
    rows, classes = store.log(), store.info.classes
    columns = {name: [getattr(row, name) for row in rows] for name in LOG_COLUMNS}
    columns["label"] = [None if row.label is None else classes[row.label] for row in rows]
    columns["time"] = [row.time.isoformat(timespec="microseconds") for row in rows]
    _write(pa.table({name: pa.array(values, pa.string()) for name, values in columns.items()}), path)
    return len(rows)


def export_consensus(store: Store, path: Path | str, minimum_agreement: float = 0.5, minimum_answers: int = 1) -> int:
    """Write the consensus, a row for each face asked about, to a file. Returns the number of faces.

    Columns: face, round, gold, label, state, agreement, `votes_CLASS` for each class, not_a_face, unsure. Replaces an earlier
    export, and raises MienError, as `export_log` does, and for an impossible minimum.
    """
    path, classes = _named(path), store.info.classes
    found = store.consensus(minimum_agreement, minimum_answers)
    asked = {question.face: question for question in store.questions()}
    gold = [asked[face].gold for face in found.faces]
    columns: dict[str, Any] = {
        "face": pa.array(found.faces, pa.string()),
        "round": pa.array([asked[face].round for face in found.faces], pa.int32()),
        "gold": pa.array([None if label is None else classes[label] for label in gold], pa.string()),
        "label": pa.array([None if label < 0 else classes[label] for label in found.labels], pa.string()),
        "state": pa.array(found.states.tolist(), pa.string()),
        "agreement": pa.array(found.agreement, from_pandas=True),
        **{f"votes_{name}": found.votes[:, label] for label, name in enumerate(classes)},
        "not_a_face": found.not_a_face,
        "unsure": found.unsure,
    }
    _write(pa.table(columns), path)
    return len(found.faces)


def import_log(store: Store, path: Path | str) -> AddedAnswers:
    """Append the log in a file, as `export_log` writes it, to a store that asked about the same faces.

    Missing annotators are added, without a token. Entries that are there already, by annotator and key, are passed over, so that
    importing again adds nothing. Raises MienError for a missing column, and for an impossible class, face, time or undo, with the
    number of the row (from 1, the header aside); then nothing was added.
    """
    path = _named(path)
    table = _read(path)
    entries = []
    for number, row in enumerate(table.to_pylist(), 1):
        try:
            entries.append(_answer(row, store.info.classes))
        except MienError as error:
            raise MienError(f"{error.expected} in row {number} of {path}", error.found, error.todo) from error
    return store.merge(entries, str(path))


def _answer(row: dict[str, str | None], classes: Sequence[str]) -> Answer:
    label = row["label"]
    if label is not None and label not in classes:
        raise MienError(
            f"a label among {', '.join(classes)}", with_suggestion(label, classes), "take the log of a store of those classes"
        )
    try:
        time = datetime.fromisoformat(row["time"] or "")
    except ValueError as error:
        raise MienError("a time like 2026-01-31T12:00:00+00:00", repr(row["time"]), "mend it") from error
    # Whatever is no text, kind or key is said by Answer itself.
    face, annotator, key, kind = (cast(str, row[name]) for name in ("face", "annotator", "key", "kind"))
    index = None if label is None else classes.index(label)
    return Answer(face, annotator, cast(Kind, kind), index, time, row["model"], key, row["undoes"])


def _named(path: Path | str) -> Path:
    if Path(path).suffix not in SUFFIXES:
        raise MienError(f"a file named {' or '.join(SUFFIXES)}", f"{path}", "choose one by its ending")
    return Path(path)


def _read(path: Path) -> pa.Table:
    """The columns of a log in a file, as texts."""
    if path.suffix == ".csv":
        return read_csv(path, dict.fromkeys(LOG_COLUMNS, pa.string()))
    if not path.is_file():
        raise MienError(f"a log at {path}", "no file there", "check the path")
    try:
        table = pq.read_table(path)
        missing = [name for name in LOG_COLUMNS if name not in table.column_names]
        if missing:
            found = f"only {', '.join(table.column_names)}"
            raise MienError(f"columns {', '.join(missing)} in {path}", found, "check the file or the column names")
        return pa.table({name: table[name].cast(pa.string()) for name in LOG_COLUMNS})
    except (pa.ArrowException, OSError) as error:
        raise MienError(f"a log in {path}", str(error)[:300], "check that this is the right file") from error


def _require_own(path: Path, columns: Sequence[str]) -> None:
    """Raises MienError where a file with other columns is at `path`: it is no earlier export."""
    if not path.exists():
        return
    try:
        found = list(csv_columns(path) if path.suffix == ".csv" else pq.read_schema(path).names)
    except (MienError, pa.ArrowException, OSError):
        found = []
    if found != list(columns):
        raise MienError(f"nothing at {path}, or an earlier export", "something else", "choose another name")


def _write(table: pa.Table, path: Path) -> None:
    _require_own(path, table.column_names)
    sink = pa.BufferOutputStream()
    if path.suffix == ".csv":
        pacsv.write_csv(table, sink)
    else:
        pq.write_table(table, sink, compression="zstd")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, sink.getvalue().to_pybytes())
    except OSError as error:
        todo = "free space there, or choose another place; what was there is as it was"
        raise MienError(f"{path} to be written", str(error), todo) from error
