"""Which labels of a run train and which validate: those of a split that the set has for it, or some of its training split."""

import numpy as np
import numpy.typing as npt

from mien.data.face_groups import FaceGroups, validation_groups
from mien.data.faceset import FaceSet
from mien.data.format import Rows
from mien.data.label_budget import LabelBudget, carve_validation
from mien.data.splits import validation_rows
from mien.progress import Progress
from mien.recipes.recipe import Recipe
from mien.training.components import looks_at_unlabeled
from mien.training.settings import TrainingSettings
from mien.wording import quantity


def has_validation_split(faces: FaceSet, recipe: Recipe, settings: TrainingSettings) -> bool:
    """Whether faces of the set's own split `validation` validate a run, in place of some that are taken from its training split.

    They do where the set has labeled ones, and the run has all labels, no other split and no fold. A label budget is all that one
    has, validation included; and a recipe without validation has none.
    """
    drawn = settings.labels is not None or settings.labels_per_class is not None
    if drawn or settings.split is not None or settings.fold is not None or not recipe.validation:
        return False
    return bool((faces.labels[validation_rows(faces)] >= 0).any())


def part_labels(
    faces: FaceSet,
    known: npt.NDArray[np.int64],
    given: Rows,
    rows: Rows,
    recipe: Recipe,
    settings: TrainingSettings,
    progress: Progress,
) -> tuple[LabelBudget, Rows]:
    """Which labels train and which validate, and the rows that are no unlabeled faces, as they are of who validates."""
    groups = validation_groups(faces)
    if settings.validation_split:
        budget = _with_own_split(faces, known, given, recipe, settings, groups, progress)
        mates = budget.validation if groups is None else groups.mates(budget.validation, rows)
        return budget, np.setdiff1d(mates, budget.train)
    budget = carve_validation(known, given, recipe.validation, settings.seed, None if groups is None else groups.of)
    if groups is None:
        return budget, budget.validation
    return budget, _kept_apart(groups, budget, given, rows, recipe, settings, progress)


def _with_own_split(
    faces: FaceSet,
    known: npt.NDArray[np.int64],
    given: Rows,
    recipe: Recipe,
    settings: TrainingSettings,
    groups: FaceGroups | None,
    progress: Progress,
) -> LabelBudget:
    """The set's split `validation` validates; of classes that have no face there, some of the training split do, too."""
    own = validation_rows(faces)
    own = own[known[own] >= 0]
    lacking = given[~np.isin(known[given], known[own])]
    drawn = np.zeros(0, np.int64)
    if len(lacking):
        drawn = carve_validation(
            known, lacking, recipe.validation, settings.seed, None if groups is None else groups.of
        ).validation
        drawn = drawn if groups is None else groups.mates(drawn, given)  # whole people
    more = f", and {len(drawn)} of classes that it lacks" if len(drawn) else ""
    progress.say(f"validation: the set's split validation, {quantity(len(own), 'face')}{more}")
    return LabelBudget(np.setdiff1d(given, drawn), np.sort(np.concatenate([own, drawn])))


def _kept_apart(
    groups: FaceGroups,
    budget: LabelBudget,
    given: Rows,
    rows: Rows,
    recipe: Recipe,
    settings: TrainingSettings,
    progress: Progress,
) -> Rows:
    """All rows of a person or sequence that validates. What was kept together is said."""
    apart, told = groups.mates(budget.validation, rows), groups.tell(budget.validation, given)
    others = len(apart) - len(budget.validation)
    if told:
        seen = others and settings.own_unlabeled and looks_at_unlabeled(recipe)
        more = f"; {quantity(others, 'other of theirs is', 'others of theirs are')} left out" if seen else ""
        found = f"{told}, {quantity(len(budget.validation), 'face')}{more}" if len(budget.validation) else "none"
        progress.say(f"validation: {found}")
    return apart
