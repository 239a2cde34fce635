"""The runs in a folder, each with what it was asked and what came of it, as its files say."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydantic.dataclasses import dataclass

from mien.errors import MienError
from mien.experiments.run_results import FILE
from mien.json_text import plain_values
from mien.json_toml import read_settings
from mien.recipes.recipe_files import read_recipe_alone, recipe_names
from mien.recognize.model_card import read_card
from mien.recognize.run_records import read_history, read_used_ids
from mien.settings import STRICT
from mien.training.settings import TrainingSettings

TODO = "train again"
WITHIN = ("model", "parts", "stages")
"""Folders in a run that hold no runs of their own."""


@dataclass(frozen=True, config=STRICT)
class ListedRun:
    """A run as a list shows it; None for what is not known of it (yet)."""

    run: str
    """The run's folder."""
    recipe: str
    """The recipe's name where it is one of mien's, else its title."""
    seed: int | None
    labels: int | None
    """Number of labels that it trains on and validates with."""
    epochs: int
    """Number of epochs that its files tell of; the last few of an interrupted run may be missing."""
    of_epochs: int | None
    """Number of epochs that it was asked for, over all stages."""
    finished: bool
    """Whether there is a model."""
    validation_accuracy: float | None
    """Share from 0 to 1: of the model that was kept, or of the last epoch so far."""
    tests: dict[str, float]
    """Accuracy by split, from 0 to 1, of the reports in its folder and of the comparison that it belongs to."""
    fault: str = ""
    """What cannot be read of it, in a sentence."""

    def to_json(self) -> dict[str, Any]:
        """The run as plain values for JSON."""
        values: dict[str, Any] = plain_values(asdict(self))
        return values


@dataclass(frozen=True)
class _Asked:
    """What is needed of run.json."""

    order: TrainingSettings
    recipe: dict[str, Any]


@dataclass(frozen=True)
class _Tested:
    """What is needed of metrics.json, and of a comparison's result.json."""

    accuracy: float | None = None
    split: str = ""
    tested_split: str = ""


def list_runs(folder: Path | str) -> tuple[ListedRun, ...]:
    """The runs in a folder and below it, in order of their paths; nothing of them is loaded but their figures.

    Raises MienError where there is none.
    """
    place = Path(folder)
    titles = {str(read_recipe_alone(name).get("title", "")): name for name in recipe_names()}
    found = tuple(_listed(run, titles) for run in _run_folders(place))
    if not found:
        raise MienError(f"runs in {place}", "no run.json there or below", "name a folder of runs; mien train begins one")
    return found


def _run_folders(place: Path) -> Iterator[Path]:
    """Folders with a run.json, in order; nothing is looked for within them, nor behind links."""
    for above, folders, files in os.walk(place):
        folders.sort()
        if "run.json" in files:
            folders.clear()
            yield Path(above)
        folders[:] = [name for name in folders if name not in WITHIN and not name.startswith(".")]


def _listed(folder: Path, titles: Mapping[str, str]) -> ListedRun:
    try:
        return _read(folder, titles)
    except MienError as error:
        return ListedRun(str(folder), "", None, None, 0, None, False, None, {}, str(error))


def _read(folder: Path, titles: Mapping[str, str]) -> ListedRun:
    asked, history = read_settings(_Asked, folder / "run.json", TODO), read_history(folder)
    title, stages = str(asked.recipe.get("title", "")), asked.recipe.get("stages", [])
    finished = (folder / "model" / "model.json").is_file()
    figures = read_card(folder).metrics if finished else (history[-1] if history else {})
    accuracy = figures.get("validation_accuracy")
    return ListedRun(
        run=str(folder),
        recipe=titles.get(title, title),
        seed=asked.order.seed,
        labels=len(read_used_ids(folder)),
        epochs=len(history),
        of_epochs=sum(int(stage.get("epochs", 0)) for stage in stages),
        finished=finished,
        validation_accuracy=None if accuracy is None else float(accuracy),
        tests=_tests(folder),
    )


def _tests(folder: Path) -> dict[str, float]:
    """Accuracy by split of all reports in a run's folder, and of the comparison's test."""
    found = [read_settings(_Tested, file, "evaluate again") for file in sorted(folder.glob("*/metrics.json"))]
    if (folder / FILE).is_file():
        found.append(read_settings(_Tested, folder / FILE, TODO))
    return {one.split or one.tested_split or "test": one.accuracy for one in found if one.accuracy is not None}
