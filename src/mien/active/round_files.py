"""What is on disk of a round of labeling: the faces that it asks about, the answers to them, and its figures."""

from pathlib import Path

import numpy as np
import pyarrow as pa

from mien.active.annotators import RoundQuestions
from mien.active.learning_curve import RoundResult, read_round_result
from mien.active.pool import DISPUTED, UNDECIDED, AllFaces, KnownLabels
from mien.data.format import Rows
from mien.data.writer import write_table
from mien.errors import MienError
from mien.tabular.parquet_files import read_table

NO_MODEL = "none"
"""Stands for the model's hash in asked.parquet where there was no model yet."""
AGAIN = "remove the folder of this round and of those after it, and they are done again"


def write_questions(file: Path, asked: RoundQuestions, all_faces: AllFaces, scores: pa.Array | None) -> None:
    """Write asked.parquet: the faces in the order in which they were wanted, with guesses and, if there are any, scores."""
    found = {"id": all_faces.faces.select(asked.rows).column("id"), "row": asked.rows, "guess": asked.guesses}
    found |= {} if scores is None else {"score": scores}
    write_table(file, pa.table(found).replace_schema_metadata({"model": asked.model or NO_MODEL}))


def read_questions(file: Path, number: int, run: Path | None, known: KnownLabels, all_faces: AllFaces) -> RoundQuestions:
    """The questions of round `number`, chosen by the model of `run`, if there was one.

    Raises MienError for a damaged file, or another round's.
    """
    table = read_table(file, {"id": pa.string(), "row": pa.int64(), "guess": pa.int64()}, AGAIN)
    rows, guesses = (table.column(name).to_numpy() for name in ("row", "guess"))
    model = (table.schema.metadata or {}).get(b"model", b"").decode("ascii", "replace")
    if not model or len(np.unique(rows)) < len(rows) or not np.isin(rows, all_faces.open(known)).all():
        raise MienError(f"faces that this round may ask about in {file}", "others", AGAIN)
    guessed = guesses == UNDECIDED if run is None else (guesses >= 0) & (guesses < len(all_faces.faces.classes))
    if not guessed.all() or (model == NO_MODEL) != (run is None):
        raise MienError(f"guesses that are classes in {file}", "others", AGAIN)
    _require_ids(all_faces, rows, table, file)
    return RoundQuestions(number, rows, guesses, "" if run is None else model, run)


def write_answers(file: Path, answers: Rows, rows: Rows, all_faces: AllFaces) -> None:
    """Write answers.parquet: what annotators said of the faces in these rows."""
    write_table(file, pa.table({"id": all_faces.faces.select(rows).column("id"), "answer": answers}))


def read_answers(file: Path, rows: Rows, all_faces: AllFaces) -> Rows:
    """(n,) the answers about the faces in these rows. Raises MienError for a damaged file, or another round's."""
    table = read_table(file, {"id": pa.string(), "answer": pa.int64()}, AGAIN)
    answers: Rows = table.column("answer").to_numpy()
    if not ((answers >= DISPUTED) & (answers < len(all_faces.faces.classes))).all():
        raise MienError(f"answers that are classes in {file}", "others", AGAIN)
    _require_ids(all_faces, rows, table, file)
    return answers


def read_own_result(folder: Path, strategy: str, seed: int, number: int) -> RoundResult | None:
    """The figures in a round's folder; None where the round is not over. Raises MienError for those of another round."""
    result = read_round_result(folder)
    if result is not None and (result.strategy, result.seed, result.round) != (strategy, seed, number):
        found = f"those of round {result.round} of {result.strategy!r}"
        raise MienError(f"the figures of this round in {folder}", found, AGAIN)
    return result


def _require_ids(all_faces: AllFaces, rows: Rows, table: pa.Table, file: Path) -> None:
    """Raises MienError where a table is not about the faces in these rows, in their order."""
    if table.column("id").to_pylist() != all_faces.faces.select(rows).column("id").to_pylist():
        raise MienError(f"the faces of this round in {file}", "others", AGAIN)
