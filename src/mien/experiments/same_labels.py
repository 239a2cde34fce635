"""Checks that all recipes in a cell of a comparison used the same labels."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mien.errors import MienError
from mien.experiments.grid import Job
from mien.tabular.parquet_files import LABEL_COLUMNS, read_table
from mien.wording import quantity


@dataclass(frozen=True)
class LabelsOfCell:
    """The first run of a cell, and the labels that it used."""

    folder: Path
    """The run's folder."""
    digest: str
    """A hash of ids and labels."""


def require_same_labels(runs: Path, job: Job, seen: dict[Any, LabelsOfCell]) -> None:
    """Raises MienError where this job's run used other labels than an earlier run of its cell; both splits count together.

    `runs`: the folder of all runs. `seen`: the first run of each cell, to which new cells are added.
    """
    folder = runs / job.folder
    labels = labels_used(folder)
    digest = hashlib.sha256(repr(labels).encode()).hexdigest()
    other = seen.setdefault(_cell(job), LabelsOfCell(folder, digest))
    if digest != other.digest:
        count = len(set(labels) - set(labels_used(other.folder)))
        found = f"{count} of {quantity(len(labels), 'label')} of {folder} not in {other.folder}"
        raise MienError("the same labels for every recipe of a cell", found, "remove both folders: they are done again")


def labels_used(folder: Path) -> list[tuple[str, int]]:
    """Ids and labels of the faces that a run trained on or validated with, sorted. Raises MienError where it did not say."""
    file = folder / "budget.parquet"
    if not file.is_file():
        raise MienError(f"the labels that a run used in {file}", "no such file", f"remove {folder}: it is done again")
    table = read_table(file, LABEL_COLUMNS, f"remove {folder}: it is done again")
    return sorted(zip(table.column("id").to_pylist(), table.column("label").to_pylist(), strict=True))


def _cell(job: Job) -> tuple[Any, ...]:
    """What decides which labels a run gets."""
    return job.point.labels, job.point.total, job.point.noise, job.settings.seed, job.settings.fold
