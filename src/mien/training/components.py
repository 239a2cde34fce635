"""The techniques of a stage, each held to the protocol of its question."""

from dataclasses import dataclass
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
        """The techniques of the recipe, and those by which the stage answers otherwise.

        Raises MienError where one is unknown, or does not subclass its question's protocol.
        """
        made = build_techniques(recipe, stage)
        for question, techniques in made.items():
            for technique in techniques:
                require_subclass(technique, PROTOCOLS[question], "mien.techniques", question)
        one = {question: techniques[0] for question, techniques in made.items() if question != "weigh"}
        return Components(weigh=made["weigh"], **one)


def looks_at_unlabeled(recipe: Recipe) -> bool:
    """Whether any stage of the recipe learns from faces without labels, or normalizes by them."""
    if recipe.statistics == "unlabeled":
        return True
    stages = [Components.of(recipe, stage) for stage in recipe.stages]
    return any(stage.start.draws_unlabeled or stage.draw.draws_unlabeled or stage.unlabeled.needs_unlabeled for stage in stages)
