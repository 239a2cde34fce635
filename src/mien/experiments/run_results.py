"""The result of one run of a comparison: result.json in its folder, and a row of runs.csv."""

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
from mien.experiments.grid import GridPoint
from mien.json_text import to_json
from mien.json_toml import read_settings
from mien.settings import STRICT

FILE = "result.json"
"""Name of the file in the run's folder."""
Measured = Annotated[float | None, BeforeValidator(lambda value: None if value != value else value)]
"""A figure, or None where there is nothing to measure; old files have nan for that."""


@dataclass(frozen=True, config=STRICT)
class RunResult:
    """Figures of one run; None for those that it does not have. Shares are from 0 to 1."""

    recipe: str
    """The recipe's name."""
    network: str
    """The network's name."""
    labels_per_class: int | None
    """Label budget; None for all labels."""
    noise: float
    """Share of the given labels that are flipped."""
    seed: int
    run: str
    """Name of the run's folder."""
    varied: dict[str, str] = field(default_factory=dict)
    """Varied values by key."""
    failed: str = ""
    """Why the run failed, in words; empty where it did not."""
    train_labels: int | None = None
    """Number of labels that were trained on."""
    validation_labels: int | None = None
    """Number of labels that chose the model and the temperature."""
    unlabeled_faces: int | None = None
    """Number of faces that were used without their labels."""
    accuracy: Measured = None
    """Accuracy on the test faces."""
    average_accuracy: Measured = None
    """Average accuracy on the test faces."""
    macro_f1: Measured = None
    """Macro F1 on the test faces."""
    ece_after: Measured = None
    """Calibration error on the test faces at the fitted temperature."""
    tested: int | None = None
    """Number of test faces."""
    validation_accuracy: Measured = None
    """Accuracy on validation of the model that was kept."""
    weight_auroc: Measured = None
    """AUROC of finding flipped labels by a low sample weight; None where nothing is flipped or all weights are equal."""
    transductive: bool = False
    """Whether faces of the test split were learned from without their labels."""
    seconds: Measured = None
    """Seconds of training and testing."""
    machine: str = ""
    """The machine that measured, in words."""
    control_of: str = ""
    """The recipe whose control this is; empty for a recipe."""
    labels: int | None = None
    """Label budget in all; None for none, or one per class."""
    tested_on: str = ""
    """Name of the face set that was tested on; empty in old results: the set that was trained on."""
    tested_split: str = ""
    """The split that was tested on; empty in such results."""
    left_out: int | None = None
    """Number of labeled test faces that were left out, as they are of a class that was not trained."""
    tested_checksum: str = ""
    """Checksum of the face set that was tested on; empty where it is the set that was trained on."""
    fold: str = ""
    """The fold of people that was tested on, such as 1/10; empty where a split was, and for all folds together."""
    folds: int = 0
    """Number of folds that this result is of; 0 where a split was tested on."""
    fold_mean: Measured = None
    """Mean of the folds' accuracies."""
    fold_average_mean: Measured = None
    """Mean of the folds' average accuracies."""
    accuracy_low: Measured = None
    """Lower end of the 95 % interval of accuracy over folds, by bootstrap over people."""
    accuracy_high: Measured = None
    """Upper end of that interval."""
    confusion: tuple[tuple[int, ...], ...] = ()
    """A row for each true class, a column for each predicted class; empty in old results."""
    subjects: dict[str, tuple[int, int]] = field(default_factory=dict)
    """For each person of a fold, or of all folds: how many faces were named right, and how many there are."""

    @property
    def point(self) -> GridPoint:
        """The grid point where the run stands."""
        return GridPoint(self.labels_per_class, self.noise, tuple(self.varied.items()), self.labels)


APART = ("varied", "tested_checksum", "confusion", "subjects")
COLUMNS = tuple(name for name in RunResult.__dataclass_fields__ if name not in APART)
"""Columns of runs.csv; the varied keys come after them."""


def write_result(folder: Path, result: RunResult) -> None:
    """Write the result into the run's folder."""
    write_atomically(folder / FILE, to_json(result).encode())


def read_result(folder: Path) -> RunResult | None:
    """The result in a run's folder; None where there is none yet. Raises MienError where the file is damaged."""
    if not (folder / FILE).is_file():
        return None
    return read_settings(RunResult, folder / FILE, "remove it, and the run is done again")


def runs_csv(results: Sequence[RunResult]) -> str:
    """The content of runs.csv: a row for each recipe, grid point and seed."""
    return to_csv([{**{name: getattr(row, name) for name in COLUMNS}, **row.varied} for row in results])


def to_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """The CSV of rows with the same keys; None and nan are empty, other numbers have six digits."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(rows[0] if rows else ())
    writer.writerows([[_cell(value) for value in row.values()] for row in rows])
    return file.getvalue()


def _cell(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)
