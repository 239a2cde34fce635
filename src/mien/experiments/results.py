"""What a run of the grid gave: result.json in its folder, and a row of runs.csv."""

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import field
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator
from pydantic.dataclasses import dataclass

from mien.disk import write_atomically
from mien.experiments.grid import Group
from mien.json_text import to_json
from mien.json_toml import read_settings
from mien.settings import STRICT

FILE = "result.json"
Measured = Annotated[float | None, BeforeValidator(lambda value: None if value != value else value)]
"""None where there is nothing to measure; old files have nan for that."""


@dataclass(frozen=True, config=STRICT)
class RunResult:
    """Figures of one run, None for what it does not have. Shares are from 0 to 1."""

    recipe: str
    network: str
    labels_per_class: int | None
    """Label budget; None for all labels."""
    noise: float
    seed: int
    run: str
    """Name of its folder."""
    varied: dict[str, str] = field(default_factory=dict)
    """Varied values by key."""
    failed: str = ""
    """Why there are no figures; empty where there are."""
    train_labels: int | None = None
    """Labels trained on."""
    validation_labels: int | None = None
    """Labels that chose the model and the temperature."""
    unlabeled_faces: int | None = None
    """Faces used without label."""
    accuracy: Measured = None
    """On the test faces, as the next three."""
    average_accuracy: Measured = None
    macro_f1: Measured = None
    ece_after: Measured = None
    """Calibration error at the fitted temperature."""
    tested: int | None = None
    """Test faces."""
    validation_accuracy: Measured = None
    weight_auroc: Measured = None
    """Probability that a flipped label has the lower sample weight; None where nothing is flipped or all weigh the same."""
    transductive: bool = False
    """Whether faces of the test split were learned from without their labels."""
    seconds: Measured = None
    """Training and testing."""
    machine: str = ""

    @property
    def group(self) -> Group:
        """Where in the grid it stands."""
        return Group(self.labels_per_class, self.noise, tuple(self.varied.items()))


COLUMNS = tuple(name for name in RunResult.__dataclass_fields__ if name != "varied")
"""Columns of runs.csv, to which the varied keys are added."""


def write_result(folder: Path, result: RunResult) -> None:
    """Leave the result in the run's folder."""
    write_atomically(folder / FILE, to_json(result).encode())


def read_result(folder: Path) -> RunResult | None:
    """The result in a run's folder, None where there is none yet. Raises MienError where it is damaged."""
    if not (folder / FILE).is_file():
        return None
    return read_settings(RunResult, folder / FILE, "remove it, and the run is done again")


def runs_csv(results: Sequence[RunResult]) -> str:
    """A row per recipe, place in the grid and seed. A run that stands at several varied values has a row for each."""
    return to_csv([{**{name: getattr(row, name) for name in COLUMNS}, **row.varied} for row in results])


def to_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """A csv of rows of the same keys; None and nan are empty, numbers have six digits."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(rows[0] if rows else ())
    writer.writerows([[_cell(value) for value in row.values()] for row in rows])
    return file.getvalue()


def _cell(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)
