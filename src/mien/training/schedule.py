"""Learning rates over a stage."""

import math

from mien.recipes.recipe import Stage


def rate(stage: Stage, progress: float) -> float:
    """The learning rate at `progress` through the stage, from 0 to 1."""
    return stage.lr * FACTORS[stage.schedule](stage, progress)


def _constant(stage: Stage, progress: float) -> float:
    return 1.0


def _cosine(stage: Stage, progress: float) -> float:
    return 0.5 * (1 + math.cos(math.pi * progress))


def _step(stage: Stage, progress: float) -> float:
    return float(0.1 ** sum(progress >= drop for drop in stage.drops))


def _one_cycle(stage: Stage, progress: float) -> float:
    """Linear from 1/25 to 1 over the warm-up, then a cosine to 0 (after Smith and Topin 2018)."""
    if progress < stage.warmup:
        return 0.04 + 0.96 * progress / stage.warmup
    return 0.5 * (1 + math.cos(math.pi * (progress - stage.warmup) / (1 - stage.warmup)))


FACTORS = {"constant": _constant, "cosine": _cosine, "step": _step, "one_cycle": _one_cycle}
