"""The grid of a comparison: recipes, the axes along which they are compared, and the runs that this takes."""

import hashlib
import itertools
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mien.data.faceset import FaceSet
from mien.errors import MienError
from mien.experiments.settings import Axis, Grid
from mien.recipes.overrides import recipe_with_changes
from mien.recipes.recipe import Recipe
from mien.training.components import Components, looks_at_unlabeled
from mien.training.settings import TrainingSettings
from mien.training.validating_faces import has_validation_split
from mien.wording import percent, quantity


@dataclass(frozen=True)
class GridPoint:
    """A point of the grid, all seeds together: labels, noise and varied values."""

    labels: int | None
    """Label budget per class; None for all."""
    noise: float
    """Share of the given labels that are flipped."""
    varied: tuple[tuple[str, str], ...] = ()
    """The varied keys and their values, as text."""
    total: int | None = None
    """Label budget in all; None where there is none."""

    @property
    def budget(self) -> str:
        """The label budget in words."""
        if self.total is not None:
            return f"{quantity(self.total, 'label')} in all"
        return "all labels" if self.labels is None else f"{quantity(self.labels, 'label')} per class"

    def __str__(self) -> str:
        parts = [self.budget]
        parts += [f"{percent(self.noise, None, ' %')} of them flipped"] if self.noise else []
        return ", ".join([*parts, *(f"{key} = {value}" for key, value in self.varied)])


@dataclass(frozen=True)
class Job:
    """A run of the grid. Cells share one where a recipe does not have the varied key."""

    recipe: str
    """The recipe's name."""
    made: Recipe
    """The recipe with all changes."""
    settings: TrainingSettings
    """Settings of the run."""
    point: GridPoint
    """The grid point, with only those varied values that the recipe has."""
    folder: str
    """Name of the run's folder: readable, with a hash of all that decides its result."""
    control_of: str = ""
    """The recipe whose control this is; empty for a recipe."""

    def __str__(self) -> str:
        fold = f", fold {self.settings.fold}" if self.settings.fold else ""
        return f"{self.recipe}, {self.point}, seed {self.settings.seed}{fold}"


@dataclass(frozen=True)
class GridCell:
    """A cell of the grid, a recipe at a grid point with a seed, and the runs that fill it."""

    recipe: str
    point: GridPoint
    seed: int
    jobs: tuple[Job, ...]
    """One, or one for each fold."""


@dataclass(frozen=True)
class ComparisonPlan:
    """The plan of a comparison: its cells in the order in which they are run, and notes."""

    cells: tuple[GridCell, ...]
    """The cells, seeds outermost, so that each seed completes a comparison."""
    notes: tuple[str, ...]
    """What somebody may want to know before the comparison begins, in sentences."""

    @property
    def arms(self) -> tuple[str, ...]:
        """Names of what is compared: every recipe, and its control after it where it has one."""
        return tuple(dict.fromkeys(cell.recipe for cell in self.cells))

    @property
    def jobs(self) -> tuple[Job, ...]:
        """The different runs, in order."""
        return tuple({job.folder: job for cell in self.cells for job in cell.jobs}.values())


@dataclass(frozen=True)
class _Variant:
    """A recipe at one combination of varied values, and those of them whose keys it has."""

    recipe: str
    made: Recipe
    wanted: tuple[tuple[str, str], ...]
    has: tuple[tuple[str, str], ...]
    control_of: str


def make_plan(grid: Grid, faces: FaceSet, others: FaceSet | None, also: FaceSet | None = None) -> ComparisonPlan:
    """The plan of a grid on the set `faces`, on `others` without labels, and on labels of `also` beside those of `faces`.

    Raises MienError where a recipe is unknown, or a setting does not fit it.
    """
    notes = list[str]()
    made, applies = _recipes_and_axes(grid, notes)
    if others is not None and not any(map(looks_at_unlabeled, made.values())):
        raise MienError("a recipe that learns from unlabeled faces", "none", "name one, or leave `unlabeled` out")
    if others is not None and others.info.checksum and others.info.checksum == faces.info.checksum:
        raise MienError("another set for `unlabeled`", "the set that is compared on", "leave it out: its faces are used anyway")
    variants = [
        variant
        for values in itertools.product(*(axis.values for axis in grid.vary))
        for name in grid.names
        for variant in _with_control(grid, _variant(name, made[name], grid.vary, values, applies))
    ]
    if not grid.control and any(map(looks_at_unlabeled, made.values())):
        notes.append("no controls: with --control, a recipe is compared with itself when its unlabeled faces teach nothing")
    in_all: list[tuple[int | None, int | None]] = [(None, total) for total in grid.labels]
    budgets = in_all or [(labels, None) for labels in grid.labels_per_class]
    cells = [
        _cell(grid, variant, GridPoint(labels, noise, variant.wanted, total), seed, faces, others, also)
        for seed in range(grid.seeds)
        for labels, total in dict.fromkeys(budgets)
        for noise in dict.fromkeys(grid.noise)
        for variant in variants
    ]
    return ComparisonPlan(tuple(cells), tuple(notes))


def require_recipes(grid: Grid) -> None:
    """Raises MienError where a recipe of a grid is unknown, or a setting does not fit it: before there are faces to try it on."""
    made, _ = _recipes_and_axes(grid, [])
    for recipe in made.values():
        looks_at_unlabeled(recipe)


def _recipes_and_axes(grid: Grid, notes: list[str]) -> tuple[dict[str, Recipe], dict[str, set[str]]]:
    """The recipes by name, and for each varied key the names of those that have it."""
    made = _recipes(grid, notes)
    return made, {axis.key: _applies(axis, made, notes) for axis in grid.vary}


def control_name(recipe: str) -> str:
    """The name of a recipe's control in tables."""
    return f"{recipe} control"


def _with_control(grid: Grid, variant: _Variant) -> list[_Variant]:
    """A variant, and its control where one is asked for and the recipe learns from unlabeled faces.

    Raises MienError where a technique has no control, or a recipe bears its name.
    """
    name, recipe = control_name(variant.recipe), variant.made
    if not grid.control or recipe.control or not looks_at_unlabeled(recipe):
        return [variant]
    if name in grid.names:
        raise MienError(f"no recipe named {name}, which is the control of {variant.recipe}", "one", "rename its file")
    control = recipe.with_settings({"control": True, "title": f"control of: {recipe.title}"})
    for stage in control.stages:
        Components.of(control, stage)
    return [variant, replace(variant, recipe=name, made=control, control_of=variant.recipe)]


def _recipes(grid: Grid, notes: list[str]) -> dict[str, Recipe]:
    """The recipes by name, with the changes that the grid makes to all; what these replace is noted."""
    return {
        name: recipe_with_changes(source, notes.append, grid.model, grid.epochs, grid.start, grid.settings)
        for name, source in zip(grid.names, grid.recipes, strict=True)
    }


def _applies(axis: Axis, made: Mapping[str, Recipe], notes: list[str]) -> set[str]:
    """Names of the recipes that have the axis's key.

    Raises MienError where none has it, or a value does not fit a recipe that has it.
    """
    refused: dict[str, list[MienError]] = {name: [] for name in made}
    for name, recipe in made.items():
        for value in axis.values:
            try:
                recipe.set(axis.key, value)
            except MienError as error:
                refused[name].append(error)
    # One that refuses every value, while another takes them, does not have the key.
    without = {name for name, errors in refused.items() if len(errors) == len(axis.values)}
    partly = [errors[0] for name, errors in refused.items() if errors and name not in without]
    if partly or len(without) == len(made):
        raise (partly or next(iter(refused.values())))[0]
    if without:
        same = [name for name in made if name in without]
        notes.append(f"the same at every {axis.key}, as they do not have it: {', '.join(same)}")
    return set(made) - without


def _variant(name: str, recipe: Recipe, axes: Sequence[Axis], values: Sequence[Any], applies: Mapping[str, set[str]]) -> _Variant:
    chosen = {axis.key: value for axis, value in zip(axes, values, strict=True)}
    mine = {key: value for key, value in chosen.items() if name in applies[key]}
    return _Variant(name, recipe.with_settings(mine), _texts(chosen), _texts(mine), "")


def _texts(values: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple((key, value if isinstance(value, str) else json.dumps(value)) for key, value in values.items())


def _cell(
    grid: Grid, variant: _Variant, point: GridPoint, seed: int, faces: FaceSet, others: FaceSet | None, also: FaceSet | None
) -> GridCell:
    asks = looks_at_unlabeled(variant.made)
    settings = TrainingSettings(
        seed=seed,
        labels_per_class=point.labels,
        labels=point.total,
        noise=point.noise,
        proportional_noise=grid.proportional_noise and point.noise > 0,
        device=grid.device,
        threads=grid.threads,
        own_unlabeled=grid.own_unlabeled or not asks,
        unlabeled_faces=grid.unlabeled_faces if asks else None,
        checksums=(faces.info.checksum, others.info.checksum if asks and others is not None else ""),
        also_labels=grid.also_labels,
        also_checksum="" if also is None else also.info.checksum,
    )
    mine, order = replace(point, varied=variant.has), " ascending" * (grid.fold_order == "ascending")
    folds = [None] if grid.folds is None else [f"{number}/{grid.folds}{order}" for number in range(1, grid.folds + 1)]
    each = [replace(settings, fold=fold) for fold in folds]
    asked = [replace(one, validation_split=has_validation_split(faces, variant.made, one)) for one in each]
    jobs = [Job(variant.recipe, variant.made, one, mine, _folder(variant, one, mine), variant.control_of) for one in asked]
    return GridCell(variant.recipe, point, seed, tuple(jobs))


def _folder(variant: _Variant, settings: TrainingSettings, point: GridPoint) -> str:
    """A readable name for a run's folder, with a hash of recipe, settings and sets; title, device and threads decide nothing."""
    # So a control differs from its recipe by one word.
    table = {key: value for key, value in variant.made.table().items() if key != "title" and (key != "control" or value)}
    asked: list[Any] = [settings.seed, settings.labels_per_class, settings.noise, settings.unlabeled_faces, settings.checksums]
    asked += [] if settings.own_unlabeled else ["no own"]
    asked += ["proportional noise"] if settings.proportional_noise else []
    asked += [] if settings.labels is None else [f"{settings.labels} in all"]
    asked += [] if settings.fold is None else [f"fold {settings.fold}"]
    asked += [f"also {settings.also_labels} of {settings.also_checksum}"] if settings.also_checksum else []
    asked += ["split validation"] if settings.validation_split else []
    digest = hashlib.sha256(json.dumps([table, asked], sort_keys=True).encode()).hexdigest()[:8]
    labels = "all" if point.labels is None else f"{point.labels}pc"
    labels = labels if point.total is None else f"{point.total}"
    parts = [variant.recipe, labels, *([f"noise{point.noise:g}"] if point.noise else [])]
    parts += [f"{key}={value}"[:40] for key, value in point.varied]
    parts += [] if settings.fold is None else [f"fold{settings.fold.replace('/', 'of').partition(' ')[0]}"]
    return "-".join([re.sub(r"[^A-Za-z0-9_.=]+", "_", part)[:60] for part in parts] + [f"seed{settings.seed}", digest])
