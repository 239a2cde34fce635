"""The techniques of a stage, each held to the protocol of its question."""

from dataclasses import dataclass, replace
from typing import Any

from mien.protocols import require_subclass
from mien.recipes.recipe import Recipe, Stage, build_techniques
from mien.training.losses import Loss
from mien.training.questions import Draw, Start, Step, Targets, Unlabeled, Weigh

PROTOCOLS: dict[str, type[Any]] = {
    "start": Start,
    "draw": Draw,
    "targets": Targets,
    "weigh": Weigh,
    "loss": Loss,
    "unlabeled": Unlabeled,
    "step": Step,
}
"""What a technique has to be a subclass of, by question."""


@dataclass(frozen=True)
class Components:
    """The techniques that answer the seven questions in one stage."""

    start: Start
    draw: Draw
    targets: Targets
    weigh: tuple[Weigh, ...]
    loss: Loss
    unlabeled: Unlabeled
    step: Step

    def all(self) -> tuple[Any, ...]:
        """The techniques in the order of the questions."""
        return self.start, self.draw, self.targets, *self.weigh, self.loss, self.unlabeled, self.step

    @staticmethod
    def of(recipe: Recipe, stage: Stage) -> "Components":
        """The techniques of the recipe, and those by which the stage answers otherwise; in a control, those of a control.

        Raises MienError where one is unknown, does not subclass its question's protocol, or has no control.
        """
        made = _answers(recipe, stage)
        if not recipe.control:
            return made
        start, draw = made.start.without_unlabeled(), made.draw.without_unlabeled()
        unlabeled, step = made.unlabeled.without_unlabeled(), made.step.without_unlabeled()
        return replace(made, start=start, draw=draw, unlabeled=unlabeled, step=step)


def looks_at_unlabeled(recipe: Recipe) -> bool:
    """Whether the recipe learns from faces without labels, or adapts to them; a control holds those that its recipe would."""
    if recipe.prior or recipe.statistics == "unlabeled":
        return True
    stages = [_answers(recipe, stage) for stage in recipe.stages]
    return any(stage.start.draws_unlabeled or stage.draw.draws_unlabeled or stage.unlabeled.needs_unlabeled for stage in stages)


def start_draws_unlabeled(recipe: Recipe) -> bool:
    """Whether the recipe's start learns from faces without labels, unless the recipe is a control."""
    return _answers(recipe, recipe.stages[0]).start.draws_unlabeled


def _answers(recipe: Recipe, stage: Stage) -> Components:
    """The techniques of a stage as the recipe names them, be it a control or not."""
    made = build_techniques(recipe, stage)
    for question, techniques in made.items():
        for technique in techniques:
            require_subclass(technique, PROTOCOLS[question], "mien.techniques", question)
    one = {question: techniques[0] for question, techniques in made.items() if question != "weigh"}
    return Components(weigh=made["weigh"], **one)
