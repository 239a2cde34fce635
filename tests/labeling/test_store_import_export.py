"""Logs and consensus as files: read back they are the same, read twice they add nothing, and a wrong row adds nothing either."""

import csv
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

from conftest import write_csv
from mien import MienError
from mien.labeling.store import answer_log
from mien.labeling.store.import_export import LOG_COLUMNS, export_consensus, export_log, import_log
from mien.labeling.store.records import Question, Reply
from mien.labeling.store.store import Store
from stores import CHECKSUM, CLASSES, Fresh

pytest_plugins = ("databases",)

NOON = datetime(2026, 1, 31, 12, 0, 0, 125, tzinfo=UTC)
FACES = ("f0", "f1", 'a, "quoted" é.png', "none", "g")
SUFFIXES = ("csv", "parquet")


def asked(address: str, per_face: int = 2) -> Store:
    store = Store.create(address, CLASSES, "faces", CHECKSUM, per_face)
    store.ask([*(Question(face, 1, model="m 1") for face in FACES[:-1]), Question("g", 2, gold=2)])
    return store


def answered(address: str) -> Store:
    """Answers of all kinds, a correction and an undo."""
    store = asked(address)
    for name in ("ann", "bob; the second"):
        store.accounts.add(name)
    replies = [
        Reply("f0", label=1),
        Reply("f1", "unsure"),
        Reply(FACES[2], "not_a_face"),
        Reply("g", label=2),
        Reply("f0", label=0),
    ]
    for number, reply in enumerate(replies):
        store.answer("ann", reply, NOON + timedelta(seconds=number))
        store.answer("bob; the second", reply, NOON + timedelta(seconds=2 * number))
    store.undo("bob; the second", now=NOON + timedelta(minutes=1))
    return store


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_log_is_read_back_as_it_was(fresh: Fresh, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / "out" / f"log.{suffix}"
    with answered(fresh()) as store, asked(fresh()) as other:
        assert export_log(store, path) == 11
        added = import_log(other, path)
        assert (added.new, added.answers) == (11, store.log())
        assert other.log() == store.log()
        for mine, theirs in ((store.consensus(), other.consensus()), (store.consensus(0.9, 2), other.consensus(0.9, 2))):
            assert mine.states.tolist() == theirs.states.tolist()
            assert mine.labels.tolist() == theirs.labels.tolist()
            assert mine.votes.tolist() == theirs.votes.tolist()
        assert other.accounts.names() == ("ann", "bob; the second")
        assert other.progress() == store.progress()
        assert import_log(other, path).new == import_log(store, path).new == 0
        assert other.log() == store.log()
        # What was answered since is added, what was there is not.
        store.answer("ann", Reply("none", label=2), NOON)
        export_log(store, path)
        assert import_log(other, path).new == 1
        assert other.log() == store.log()
        assert other.accounts.signed_in(other.accounts.renew_token("ann")) == "ann"
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_files_say_names_and_times_in_utc(tmp_path: Path, suffix: str) -> None:
    log, made = tmp_path / f"log.{suffix}", tmp_path / f"consensus.{suffix}"
    with answered(str(tmp_path / "labels.db")) as store:
        export_log(store, log)
        assert export_consensus(store, made, 0.6, 2) == 5
        entries = store.log()
    rows = read(log)
    assert list(rows[0]) == list(LOG_COLUMNS)
    assert [row["label"] for row in rows] == [None if one.label is None else CLASSES[one.label] for one in entries]
    assert rows[0]["time"] == "2026-01-31T12:00:00.000125+00:00"
    assert [(row["kind"], row["undoes"]) for row in rows[-2:]] == [("label", None), ("undo", rows[-2]["key"])]
    rows = read(made)
    assert list(rows[0]) == [
        "face", "round", "gold", "label", "state", "agreement", "votes_calm", "votes_glad", "votes_sad", "not_a_face", "unsure"
    ]  # fmt: skip
    expected = [
        ("f0", 1, None, None, "disputed", 0.5, 1, 1, 0, 0, 0),
        ("f1", 1, None, None, "unsure", None, 0, 0, 0, 0, 2),
        (FACES[2], 1, None, None, "not_a_face", 1.0, 0, 0, 0, 2, 0),
        ("none", 1, None, None, "open", None, 0, 0, 0, 0, 0),
        ("g", 2, "sad", "sad", "agreed", 1.0, 0, 0, 2, 0, 0),
    ]
    assert [tuple(row.values()) for row in rows] == expected


def read(path: Path) -> list[dict[str, object]]:
    if path.suffix == ".parquet":
        return list(pq.read_table(path).to_pylist())
    options = pacsv.ConvertOptions(strings_can_be_null=True, timestamp_parsers=[" "])
    return list(pacsv.read_csv(path, convert_options=options).to_pylist())


def row(**changed: object) -> list[object]:
    usual = {"face": "f0", "annotator": "ann", "kind": "label", "label": "sad", "time": NOON.isoformat(), "key": "new"}
    return [({"model": None, "undoes": None} | usual | changed)[name] for name in LOG_COLUMNS]


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"label": "bored"}, "a label among calm, glad, sad in row 2 of .*; found 'bored'"),
        ({"label": None}, "a label with kind label, and with no other in row 2"),
        ({"kind": "guess"}, "an answer of kind label, not_a_face, unsure, undo in row 2 of .*; found 'guess'"),
        ({"kind": "unsure"}, "a label with kind label, and with no other in row 2"),
        ({"face": "f9"}, "a face that people are asked about in row 2 of .*; found 'f9'"),
        ({"face": None}, "a face's id of 1 to 1000 letters in row 2 of"),
        ({"annotator": " eve"}, "a printable name without spaces around it in row 2 of"),
        ({"annotator": None}, "a name of 1 to 80 letters in row 2"),
        ({"key": None}, "a key of 1 to 80 letters in row 2"),
        ({"key": "first"}, "an answer of a new key in row 2 of .*; found another answer of key 'first' by 'ann'"),
        ({"time": "yesterday"}, "a time like .* in row 2 of .*; found 'yesterday'"),
        ({"time": None}, "a time like .* in row 2"),
        ({"time": "2026-01-31T12:00:00"}, "a time with its zone in row 2"),
        ({"kind": "undo", "label": None}, "the key of another answer with an undo alone in row 2"),
        ({"kind": "undo", "label": None, "undoes": "never"}, "an answer to take back in row 2 of .*; found none of key 'never'"),
        ({"kind": "undo", "label": None, "undoes": "new"}, "an answer to take back in row 2"),
        ({"kind": "undo", "label": None, "undoes": "first", "face": "f0"}, "an answer to take back in row 2"),
        ({"kind": "undo", "label": None, "undoes": "there", "annotator": "bob"}, "an answer to take back in row 2"),
        (
            {"kind": "undo", "label": None, "undoes": "gone"},
            "an answer to take back in row 2 of .*; found one that was taken back",
        ),
        ({"kind": "undo", "label": None, "undoes": "took"}, "an answer to take back in row 2 of"),
    ],
)
def test_a_wrong_row_is_named_and_nothing_is_added(tmp_path: Path, suffix: str, changed: dict[str, object], said: str) -> None:
    with asked(str(tmp_path / "labels.db")) as store:
        for name in ("ann", "bob"):
            store.accounts.add(name)
        store.answer("ann", Reply("f0", label=0, key="there"))
        store.answer("ann", Reply("f0", label=0, key="gone"))
        store.undo("ann", "took")
        before, people = store.log(), store.accounts.names()
        rows = [row(face="f1", annotator="ann", key="first"), row(**changed), row(annotator="max")]
        path = write_log(tmp_path / f"log.{suffix}", rows)
        with pytest.raises(MienError, match=said):
            import_log(store, path)
        assert (store.log(), store.accounts.names()) == (before, people)
        rows[1] = row()
        assert import_log(store, write_log(path, rows)).new == 3
        assert store.accounts.names() == ("ann", "bob", "max")


def write_log(path: Path, rows: Sequence[Sequence[object]], columns: Sequence[str] = LOG_COLUMNS) -> Path:
    if path.suffix == ".csv":
        return write_csv(path, [columns, *rows])
    values = zip(*rows, strict=True)
    pq.write_table(pa.table({name: pa.array(column, pa.string()) for name, column in zip(columns, values, strict=True)}), path)
    return path


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_files_of_other_content_are_refused(tmp_path: Path, suffix: str) -> None:
    with asked(str(tmp_path / "labels.db")) as store:
        path = write_log(tmp_path / f"log.{suffix}", [row()[:-2]], LOG_COLUMNS[:-2])
        with pytest.raises(MienError, match=r"columns key, undoes in .* only face, annotator"):
            import_log(store, path)
        path.write_bytes(b'"\xff\xfe')
        with pytest.raises(MienError, match=r"CSV text|a log in|columns"):
            import_log(store, path)
        with pytest.raises(MienError, match="no file there"):
            import_log(store, tmp_path / f"missing.{suffix}")
        assert store.log() == ()
        store.accounts.add("ann")
        store.answer("ann", Reply("f0", label=0))
        (tmp_path / f"folder.{suffix}").mkdir()
        for export in (export_log, export_consensus):
            with pytest.raises(MienError, match="or an earlier export; found something else"):
                export(store, tmp_path / f"folder.{suffix}")
            notes = tmp_path / f"notes.{suffix}"
            notes.write_text("face,thoughts\nf0,odd\n")
            with pytest.raises(MienError, match="or an earlier export; found something else"):
                export(store, notes)
            assert notes.read_text().startswith("face,thoughts")
            assert export(store, tmp_path / f"{export.__name__}.{suffix}") == export(
                store, tmp_path / f"{export.__name__}.{suffix}"
            )
    with pytest.raises(MienError, match=r"a file named \.csv or \.parquet; found log.txt"):
        export_log(store, "log.txt")


def test_an_undo_may_come_blocks_after_what_it_takes_back(fresh: Fresh, monkeypatch: pytest.MonkeyPatch) -> None:
    with answered(fresh()) as store, asked(fresh()) as other:
        monkeypatch.setattr(answer_log, "BLOCK", 3)
        assert other.merge(store.log()).new == 11
        assert other.log() == store.log()
        assert other.progress() == store.progress()
        later = other.log()[:4] + other.log()[6:]
        assert other.merge(later).new == 0


def test_a_file_that_another_program_wrote_may_have_more_columns(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    with answered(str(tmp_path / "a.db")) as store, asked(str(tmp_path / "b.db")) as other:
        export_log(store, path)
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.reader(file))
        mixed = [[f"note {number}", *reversed(cells)] for number, cells in enumerate(rows)]
        assert import_log(other, write_csv(path, mixed)).new == 11
        assert other.log() == store.log()
