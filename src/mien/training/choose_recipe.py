"""Chooses the recipe of a run where nobody names one, and estimates how long a run takes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from mien.data.faceset import FaceSet
from mien.data.label_budget import LabelBudget
from mien.data.splits import held_out_rows
from mien.errors import MienError
from mien.models.facenet_dlib import weights_file
from mien.preparation.photo_folder import open_or_prepare
from mien.progress import Progress, Silent, duration
from mien.recipes.automatic import AUTO, CANDIDATES, SMALLER, RecipeChoice, RunFacts, choose, choose_by_changes
from mien.recipes.overrides import recipe_with_changes, recipes_that_take
from mien.recipes.recipe import Recipe
from mien.recipes.recipe_files import recipe_names
from mien.training.joined_labels import count_joined
from mien.training.prepare_run import prepare_run
from mien.training.run_time import estimate_seconds
from mien.training.settings import TrainingSettings

LEARNS_FROM_UNLABELED = "fixmatch_small"
"""A recipe that learns from unlabeled faces: what a run with it would look at is counted."""


@dataclass(frozen=True)
class ChosenRecipe:
    """The recipe of a run, and where it was chosen, why."""

    recipe: Recipe
    """The whole recipe."""
    choice: RecipeChoice | None = None
    """The recipe's name, and why it was chosen; None where somebody named it."""
    seconds: float | None = None
    """About how long the run takes on its device; None where that was not estimated."""

    def tell(self, progress: Progress) -> None:
        """Say which was chosen, why, about how long it takes, and what else could be done; nothing where somebody named it."""
        if self.choice is None:
            return
        first, *others = self.choice.reasons
        progress.say(f"recipe {self.choice.name}: {first}")
        for reason in others:
            progress.say(reason)
        if self.seconds is not None:
            progress.say(f"training takes about {duration(self.seconds)} here")
        for offer in self.choice.offers:
            progress.say(offer)

    def to_json(self) -> dict[str, Any] | None:
        """The recipe's name, the reasons, about how many seconds the run takes, and what else could be done.

        None where somebody named the recipe.
        """
        made = self.choice
        if made is None:
            return None
        return {"recipe": made.name, "reasons": made.reasons, "seconds": self.seconds, "offers": made.offers}


@dataclass(frozen=True)
class AskedRecipes:
    """What somebody asked to train, before the faces are known: one recipe, or those to choose among."""

    one: ChosenRecipe | None
    """The recipe that was named, or that the changes of it decide."""
    among: Mapping[str, Recipe]
    """Else those to choose among, by name: all that take the changes."""

    @staticmethod
    def of(
        name: str,
        say: Callable[[str], None],
        network: str | None = None,
        epochs: int | None = None,
        start: str | None = None,
        settings: Mapping[str, Any] | None = None,
    ) -> "AskedRecipes":
        """The recipe of this `name`, changed as `recipe_with_changes` does it; of `auto`, the candidates so changed.

        Raises MienError as `recipe_with_changes` does, of `auto` where no candidate takes the changes.
        """
        choice = choose_by_changes(network, start, settings or {}) if name == AUTO else None
        if name == AUTO and choice is None:
            return AskedRecipes(None, recipes_that_take(candidate_names(), epochs, settings or {}))
        recipe = recipe_with_changes(choice.name if choice else name, say, network, epochs, start, settings)
        return AskedRecipes(ChosenRecipe(recipe, choice), {})

    def choose(
        self,
        faces: FaceSet,
        settings: TrainingSettings,
        unlabeled: FaceSet | Path | None,
        progress: Progress,
        also: FaceSet | Path | None = None,
    ) -> ChosenRecipe:
        """The recipe for these faces; `progress` is told why. Raises MienError as `choose_recipe` does."""
        if self.one is None:
            return choose_recipe(faces, settings, unlabeled, progress, recipes=self.among, also=also)
        self.one.tell(progress)
        return self.one


def choose_recipe(
    faces: FaceSet | Path | str,
    settings: TrainingSettings | None = None,
    unlabeled: FaceSet | Path | str | None = None,
    progress: Progress | None = None,
    budget: LabelBudget | None = None,
    recipes: Mapping[str, Recipe] | None = None,
    also: FaceSet | Path | str | None = None,
) -> ChosenRecipe:
    """The recipe that `train` takes for `"auto"`: by the labels, the faces without, their size, and what is installed.

    `faces`, `settings`, `unlabeled`, `budget` and `also` are those of `train`; labels of `also` count for the time alone.
    `recipes`: by name, the recipes to choose among; those that come with mien unless said. `progress` is told which was
    chosen, why, and about how long it takes. Raises MienError where none fits, and where labels, split or device are not there.
    """
    settings, progress = settings or TrainingSettings(), progress or Silent()
    faces = open_or_prepare(faces, progress, least=2, workers=settings.threads, verify=False)
    others = None if unlabeled is None else FaceSet.of(unlabeled, verify=False)
    facts = run_facts(faces, others, settings, budget)
    known = candidate_names() if recipes is None else list(recipes)
    choice, best = choose(facts, known), choose(facts, candidate_names())
    if best.name != choice.name:
        reasons = (*choice.reasons, f"{best.name} would fit, but not with the settings that are changed")
        choice = replace(choice, reasons=reasons)
    recipe = Recipe.load(choice.name) if recipes is None else recipes[choice.name]
    joined = 0 if also is None else count_joined(FaceSet.of(also, verify=False), faces.info, settings)
    seconds = estimate_seconds(recipe, faces.info, facts.labels, facts.unlabeled, settings.device, settings.threads, joined)
    chosen = ChosenRecipe(recipe, choice, seconds)
    chosen.tell(progress)
    return chosen


def candidate_names() -> list[str]:
    """Names of the recipes that may be chosen, the best first, and of those that may be offered in their place."""
    there = recipe_names()
    return [name for name in (*(one.name for one in CANDIDATES), *SMALLER.values()) if name in there]


def run_facts(faces: FaceSet, others: FaceSet | None, settings: TrainingSettings, budget: LabelBudget | None = None) -> RunFacts:
    """What a choice of the recipe looks at. Raises MienError as `prepare_run` does."""
    # What a run would get. The further set's pixels may have to be converted for that, so that its faces are counted alone.
    prepared = prepare_run(faces, None, Recipe.load(LEARNS_FROM_UNLABELED), settings, Silent(), budget)
    counts = [count for count in prepared.facts["classes"].values() if count]
    unlabeled = int(prepared.facts["unlabeled"])
    if others is not None:
        unlabeled += len(others) - len(held_out_rows(others))
    if settings.unlabeled_faces is not None:
        unlabeled = min(unlabeled, settings.unlabeled_faces)
    return RunFacts(
        labels=sum(counts),
        classes=len(counts),
        unlabeled=unlabeled,
        further=others is not None,
        side=faces.info.side,
        votes="votes" in faces.column_names and bool(np.any(faces.select(prepared.budget.train).votes)),
        face_net=face_net_is_installed(),
    )


def face_net_is_installed() -> bool:
    """Whether the weights of dlib's face net are there (extra facenet)."""
    try:
        return weights_file().is_file()
    except MienError:
        return False
