"""Optimizers, learning rates over a stage, and the moving average of the weights."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW, Optimizer, RMSprop
from torch.optim.swa_utils import AveragedModel

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


def make_optimizer(network: nn.Module, stage: Stage) -> Optimizer:
    """The stage's optimizer over the parameters that are not frozen; only matrices and kernels decay."""
    learned = [parameter for parameter in network.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in learned if p.ndim > 1], "weight_decay": stage.weight_decay},
        {"params": [p for p in learned if p.ndim <= 1], "weight_decay": 0.0},
    ]
    if stage.optimizer == "sgd":
        return SGD(groups, stage.lr, momentum=0.9, nesterov=True)
    if stage.optimizer == "rmsprop":
        return RMSprop(groups, stage.lr)
    return (Adam if stage.optimizer == "adam" else AdamW)(groups, stage.lr)


def make_average(network: nn.Module, decay: float) -> AveragedModel:
    """The moving average of weights and buffers; early on it forgets faster, or it would remember the random start."""

    @torch.no_grad()
    def update(averaged: Sequence[Tensor], current: Sequence[Tensor], count: Tensor | int) -> None:
        kept = min(decay, (1 + int(count)) / (10 + int(count)))
        # torch hands over tensors of one type at a time; counters are copied.
        if averaged[0].is_floating_point():
            torch._foreach_lerp_(list(averaged), list(current), 1 - kept)
        else:
            torch._foreach_copy_(list(averaged), list(current))

    return AveragedModel(network, multi_avg_fn=update, use_buffers=True)
