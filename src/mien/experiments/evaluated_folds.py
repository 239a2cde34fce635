"""Runs of all folds of people, tested again: each on the people that it did not see, and their answers together."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from textwrap import shorten
from typing import Any

from mien.data.faceset import FaceSet
from mien.data.splits import fold_view
from mien.disk import write_atomically
from mien.errors import MienError
from mien.evaluation.evaluate import evaluate
from mien.experiments.folds import judged, pooled
from mien.experiments.run_results import RunResult, read_result, runs_csv
from mien.json_text import plain_values, to_json
from mien.json_toml import read_settings
from mien.progress import Progress, Silent
from mien.recipes.recipe import Recipe
from mien.recipes.recipe_files import recipe_names
from mien.recognize.recognizer import Recognizer
from mien.settings import Count, require_fitting
from mien.training.train import RunFile

TITLE = 32
"""Most letters of the title by which a recipe of nobody's name is called in a table."""

APART = ("fold", "device", "threads", "faces", "unlabeled", "also")
"""Settings in which the runs of one recipe's folds may differ."""


@dataclass(frozen=True)
class EvaluatedFolds:
    """What all folds say together."""

    faces: str
    """Name of the face set."""
    classes: tuple[str, ...]
    folds: int
    flip: bool
    together: tuple[RunResult, ...]
    """A result for each recipe, its settings and seed: the answers of all folds count together."""
    each: tuple[RunResult, ...]
    """The results of the folds."""
    warnings: tuple[str, ...] = ()
    """What to know before these figures are believed, such as test faces that look like training faces."""

    def to_json(self) -> dict[str, Any]:
        """The whole result as plain values for JSON; nan is null."""
        found: dict[str, Any] = plain_values(self)
        return found

    def folds_csv(self) -> str:
        """The content of folds.csv: a row for each recipe and seed, then one for each fold."""
        return runs_csv((*self.together, *self.each))


@dataclass(frozen=True)
class _FoldRun:
    """A run that left out a fold."""

    folder: Path
    written: RunFile

    @property
    def fold(self) -> str:
        return self.written.order.fold or ""

    @property
    def number(self) -> int:
        return int(self.fold.partition("/")[0])

    @property
    def key(self) -> str:
        """All that runs of one recipe's folds share."""
        order = {name: value for name, value in asdict(self.written.order).items() if name not in APART}
        ways = self.fold.partition("/")[2]
        return to_json([order, ways, dict(sorted(self.written.recipe.items()))])

    def blank(self) -> RunResult:
        """A result without figures: as a comparison names it, else as mien calls the recipe of its title."""
        order, recipe, known = self.written.order, self.written.recipe, read_result(self.folder)
        return RunResult(
            recipe=_recipe_name(str(recipe.get("title") or self.folder.name)) if known is None else known.recipe,
            network=str(recipe["model"]["network"]),
            labels_per_class=order.labels_per_class,
            labels=order.labels,
            noise=order.noise,
            seed=order.seed,
            run=self.folder.name,
            varied={} if known is None else known.varied,
            control_of="" if known is None else known.control_of,
            fold=self.fold,
        )


def evaluate_folds(
    folder: Path | str,
    faces: FaceSet | Path | str,
    folds: int,
    out: Path | str | None = None,
    flip: bool = False,
    device: str = "auto",
    progress: Progress | None = None,
) -> EvaluatedFolds:
    """Test all runs of `folds` folds of people in `folder`, each on its own fold of the set `faces`, and count them together.

    `folder`: that of a comparison with `--folds`, or one that holds run folders of `mien train --fold`. For each recipe, its
    settings and seed all folds have to be there, finished. Intervals are by bootstrap over people. `flip` averages with the
    mirror image. `out`: a folder for folds.csv and folds.json. Raises MienError where there are no such runs, where a fold is
    missing or not finished, and where a run learned from another set.
    """
    require_fitting(Count, folds=folds)
    folder, faces, bar = Path(folder), FaceSet.of(faces), progress or Silent()
    groups = _groups(_fold_runs(folder, folds), folds, faces)
    each, together, warnings = list[RunResult](), list[RunResult](), list[str]()
    for runs in groups:
        found = [_tested(run, faces, flip, device, bar, warnings) for run in runs]
        each += found
        together.append(pooled(found))
    name = faces.info.name or "unnamed"
    result = EvaluatedFolds(name, faces.classes, folds, flip, tuple(together), tuple(each), tuple(warnings))
    if out is not None:
        Path(out).mkdir(parents=True, exist_ok=True)
        write_atomically(Path(out) / "folds.csv", result.folds_csv().encode())
        write_atomically(Path(out) / "folds.json", to_json(result.to_json()).encode())
    return result


def _tested(run: _FoldRun, faces: FaceSet, flip: bool, device: str, bar: Progress, warnings: list[str]) -> RunResult:
    """The result of one fold; what it warns of goes to `warnings`."""
    bar.say(f"fold {run.fold} by {run.folder.name}")
    recognizer = Recognizer.load(run.folder, device)
    found = evaluate(recognizer, faces, by="subject", flip=flip, fold=run.fold)
    if "warning" in found.notes:
        warnings.append(f"fold {run.fold} by {run.folder.name}: {found.notes['warning']}")
    return judged(run.blank(), recognizer, found)


@cache
def _recipe_name(title: str) -> str:
    """The name of the recipe of this title that comes with mien; else the title itself, cut short."""
    names = [name for name in recipe_names() if Recipe.load(name).title == title]
    return names[0] if names else shorten(title, TITLE, placeholder=" …")


def _fold_runs(folder: Path, folds: int) -> list[_FoldRun]:
    """The runs in a folder that left out one of so many folds, in the order of their names."""
    inside = folder / "runs" if (folder / "runs").is_dir() else folder
    files = sorted(inside.glob("[!.]*/run.json"))
    found = [_FoldRun(file.parent, read_settings(RunFile, file, "remove that folder, or train again")) for file in files]
    mine = [run for run in found if run.fold.partition("/")[2].partition(" ")[0] == str(folds)]
    if not mine:
        ways = sorted({run.fold.partition("/")[2] for run in found if run.fold})
        told = f"runs of {' and '.join(ways)} folds" if ways else f"{len(found)} runs, none of a fold" if found else "no runs"
        todo = "name a comparison with --folds, or a folder of runs of mien train --fold"
        raise MienError(f"runs of {folds} folds in {folder}", told, todo)
    return mine


def _groups(runs: list[_FoldRun], folds: int, faces: FaceSet) -> list[list[_FoldRun]]:
    """The runs by recipe, settings and seed, folds in order.

    Raises MienError where a fold is missing or there twice, or a run is of another set.
    """
    groups: dict[str, list[_FoldRun]] = {}
    for run in runs:
        fold_view(faces, run.fold)  # refuses a set without people, or with too few
        if run.written.order.checksums[0] != faces.info.checksum:
            wanted = "the set that the folds' runs learned from"
            raise MienError(wanted, "another one, whose people would be dealt otherwise", "name that set")
        groups.setdefault(run.key, []).append(run)
    for group in groups.values():
        _require_whole(group, folds)
        group.sort(key=lambda run: run.number)
    return list(groups.values())


def _require_whole(group: list[_FoldRun], folds: int) -> None:
    """Raises MienError where runs of one recipe do not make up all folds."""
    there: Mapping[int, Path] = {run.number: run.folder for run in group}
    if len(there) < len(group):
        found = ", ".join(run.folder.name for run in group)
        raise MienError(f"one run for each fold, seed and setting in {group[0].folder.parent}", found, "move one of them away")
    ready = {number for number, place in there.items() if (place / "model" / "model.json").is_file()}
    if missing := [f"{number}/{folds}" for number in range(1, folds + 1) if number not in ready]:
        begun = [place.name for number, place in there.items() if number not in ready]
        found = f"not {', '.join(missing)}" + (f" ({', '.join(begun)} is not finished)" if begun else "")
        raise MienError(f"finished runs of all {folds} folds like {group[0].folder}", found, "train or resume those first")
