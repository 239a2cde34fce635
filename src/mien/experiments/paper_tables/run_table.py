"""Makes a table of a paper: gives its commands in order, and writes what was measured beside what is printed."""

import contextlib
import io
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from mien.data.faceset import FaceSet
from mien.data.splits import split_rows
from mien.disk import write_atomically
from mien.errors import MienError
from mien.experiments.paper_tables.commands import (
    PAPERS_SPLIT,
    TableCommand,
    TableRequest,
    commands_of,
    tests_on_papers_split,
)
from mien.experiments.paper_tables.entries import PaperTable
from mien.experiments.paper_tables.made_table import MadeTable
from mien.experiments.paper_tables.measured import measure_figures
from mien.experiments.paper_tables.report import table_html
from mien.experiments.run_results import to_csv
from mien.folders import claim, exclusive
from mien.settings import Count, require_fitting

INTERRUPTED = (130, 143)
"""Exit codes of a command that Ctrl-C or a polite end has ended."""
TESTED = {"compare": 1, "rounds": 1, "evaluate": 2}
"""Which word of a command is the face set that it tests on."""
RunCommand = Callable[[Sequence[str]], int]
"""Gives a mien command, of the words after `mien`; gives its exit code."""


def make_table(table: PaperTable, asked: TableRequest, run: RunCommand, say: Callable[[str], None]) -> MadeTable:
    """Give a table's commands that are not done yet, by `run`, and write table.csv and report.html into the folder `asked.out`.

    `say` is told each command. The same request, or one for more seeds, goes on in the same folder. Raises MienError where a
    database cannot be read or is missing, where the folder holds other things, and where a command ends without what it is for.
    """
    require_fitting(Count, seeds=asked.seeds, jobs=asked.jobs)
    data, out = Path(asked.data), Path(asked.out)
    _require_databases(table, data)
    if asked.split is not None and not tests_on_papers_split(table):
        raise MienError(f"a table that tests on {PAPERS_SPLIT}, to test on another", table.id, "leave `split` out")
    asked = replace(asked, there=table.there(data))
    written = {"table": table.id, "asked": asdict(asked)}
    claim(out / "asked.json", written, _decides, "an earlier run of this table")
    failed = list[str]()
    with exclusive(out):
        for command in commands_of(table, asked):
            if command.leaves is not None and command.leaves.exists():
                say(f"done already: {command}")
                continue
            _require_split(command)
            say(str(command))
            if _give(command, run):
                failed.append(str(command))
        made = MadeTable(table, asked, tuple(measure_figures(table, asked)), tuple(failed))
        write_atomically(out / "table.csv", to_csv(made.rows()).encode())
        write_atomically(out / "report.html", table_html(made).encode())
    return made


def _decides(written: Any) -> dict[str, Any]:
    """What has to be the same for the work to go on."""
    asked = written.get("asked", {})
    return {
        "table": written.get("table"),
        "small": asked.get("small"),
        "split": asked.get("split"),
        "databases": asked.get("there"),
    }


def _require_databases(table: PaperTable, data: Path) -> None:
    """Raises MienError where mien cannot read a database of the table, or where it does not lie in the folder `data`."""
    unread = [name for name in table.databases if name in table.unreadable]
    if unread:
        todo = "choose another table: mien tables list says which can be made"
        raise MienError(f"databases that mien reads, for {table.id}", f"{', '.join(unread)}, of which it reads none", todo)
    if missing := table.missing(data):
        name = missing[0]
        raise MienError(
            f"{name} at {data / name}", "nothing of it there", f"put it there: mien databases {name} says how to get it"
        )
    if table.further and not table.there(data):
        raise MienError(f"one of {', '.join(table.further)} in {data}", "none that mien reads", "see mien databases")


def _require_split(command: TableCommand) -> None:
    """Raises MienError where a command would test on the split of the papers, and its face set does not have it."""
    words = command.words
    if PAPERS_SPLIT not in words or words[0] not in TESTED:
        return
    faces = Path(words[TESTED[words[0]]])
    try:
        split_rows(FaceSet.open(faces), PAPERS_SPLIT)
    except MienError as error:
        found = f"{error.expected.removeprefix('a split among ')} in {faces}"
        raise MienError(f"{PAPERS_SPLIT}, on which the paper tests", found, "name another `split`: PublicTest") from error


def _give(command: TableCommand, run: RunCommand) -> int:
    """Give a command; gives its exit code. Raises MienError where it did not leave what it is for, KeyboardInterrupt where it was
    interrupted.
    """
    words = command.words
    if words[0] == "train" and command.leaves is not None and command.leaves.parent.exists():
        # It was interrupted, and the folder of its run is there.
        words = ("resume", str(command.leaves.parent))
    printed = io.StringIO()
    with contextlib.redirect_stdout(sys.stderr if command.prints is None else printed):
        code = run(words)
    if code in INTERRUPTED:
        raise KeyboardInterrupt
    if command.prints is not None and not code:
        write_atomically(command.prints, printed.getvalue().encode())
    if command.leaves is not None and not command.leaves.exists():
        raise MienError(f"{command.leaves} after {command}", "nothing there", "see what it said above, and give the same again")
    return code
