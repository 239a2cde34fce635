"""A fixed part of the validation faces, and the loss of the moment on it: by which a step may be judged."""

import math

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from mien.recognize.device import channels_last
from mien.training.run import EVALUATION_BATCH, Run


def stratified(labels: Tensor, count: int, generator: Generator) -> Tensor:
    """Indices of up to `count` random faces of labels (V,), the classes in their proportions, at least one face of each."""
    shuffled = torch.randperm(len(labels), generator=generator)
    # Each face's place within its class, as a share of it: the lowest places are every class's first faces.
    place = torch.empty(len(labels), dtype=torch.float64)
    for label in labels.unique():
        mine = shuffled[labels[shuffled] == label]
        place[mine] = torch.arange(len(mine), dtype=torch.float64) / len(mine)
    return place.argsort(stable=True)[:count].sort().values


def validation_losses(run: Run, rows: Tensor) -> Tensor:
    """Cross-entropy (V,) of these validation faces, un-augmented, at the present (not the averaged) weights, in float32.

    In half precision the difference that a small step makes is lost in rounding.
    """
    found = []
    with run.evaluating() as network:
        for part in rows.cpu().split(EVALUATION_BATCH):
            logits = network(channels_last(run.views.clean(run.validation.fetch(part).faces)))
            found.append(F.cross_entropy(logits, run.data.validation_labels[part].to(run.device), reduction="none"))
    return torch.cat(found)


def gain(before: Tensor, after: Tensor) -> float:
    """L_v - L_v2, from losses (V,) of the same validation faces."""
    return float((before - after).double().mean())


def significance(before: Tensor, after: Tensor) -> float:
    """z of the paired differences of losses (V,); their mean's sign times infinity where they do not vary."""
    difference = (before - after).double()
    error = float(difference.std()) / math.sqrt(len(difference)) if len(difference) > 1 else 0.0
    mean = float(difference.mean())
    return mean / error if error > 0 else math.copysign(math.inf, mean) if mean else 0.0
