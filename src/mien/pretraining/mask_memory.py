"""What each mask of a run remembers: masks of other settings have other thresholds, counts and beginnings."""

from typing import Any

from mien.errors import MienError
from mien.registry import component_name
from mien.training.components import Components
from mien.training.memory import Memory
from mien.training.questions import Weigh
from mien.training.run import Run

SHARED = ("neighborhood", "calibrated", "calibrated_in", "first_scores", "mask_counts", "has_learned")
"""Names under which earlier versions kept what all masks of a run remembered together."""


def memory_of(run: Run, mask: Weigh) -> Memory:
    """What a mask remembers, from batch to batch and over all stages that have it; a checkpoint holds it.

    Raises MienError where a stage has the mask twice, and for a checkpoint of an earlier version in which masks shared a memory.
    """
    values = run.state["weigh"].values
    name = f"{component_name(type(mask))} {mask_number(run, mask)}"
    if name not in values:
        values[name] = _taken_over(run, mask, values)
    return Memory(values[name])


def mask_number(run: Run, mask: Weigh) -> int:
    """Which mask of the run it is, from 1: masks of one kind are counted in the order of stages, equal settings once."""
    found = _masks(run, mask, len(run.recipe.stages))
    return found.index(mask) + 1 if mask in found else len(found) + 1


def _masks(run: Run, mask: Weigh, stages: int) -> list[Weigh]:
    """The different masks of this kind in the first stages of a run. Raises MienError where a stage has one twice."""

    def find() -> list[Weigh]:
        found: list[Weigh] = []
        for stage in run.recipe.stages[:stages]:
            mine = [one for one in Components.of(run.recipe, stage).weigh if type(one) is type(mask)]
            if any(one in mine[:place] for place, one in enumerate(mine)):
                todo = "leave one of them out; `draws` looks at more neighbors"
                raise MienError("masks of different settings in a stage", "two that are alike", todo)
            found += [one for one in mine if one not in found]
        return found

    return run.cache.get(f"masks, {type(mask).__qualname__}, {stages}", list, find)


def _taken_over(run: Run, mask: Weigh, values: dict[str, Any]) -> dict[str, Any]:
    """What a mask begins with: nothing, or what a checkpoint of an earlier version holds of it."""
    old = [name for name in SHARED if name in values]
    if old and _masks(run, mask, run.stage + 1) != [mask]:
        raise MienError("a checkpoint in which each mask has a memory of its own", "one of an earlier version", "train again")
    return {name: values.pop(name) for name in old}
