"""Which faces of a batch count: those whose score lies below a threshold (SNA, Eq. 11 and 14)."""

from typing import Any

import torch
from torch import Tensor

from mien.errors import MienError
from mien.wording import quantity


def reliable(scores: Tensor, threshold: Tensor) -> Tensor:
    """delta(T - Div) of Eq. 11, (B,) bool: a face counts while its score is below the threshold, one for all or (B,).

    Guard: where that would leave nobody (one face, equal scores, a threshold too low) all are kept.
    """
    below = scores < threshold
    return below | ~below.any()


def require_scores(scores: Tensor) -> Tensor:
    """The scores (B,) themselves. Raises MienError where one is no number: a mask of such scores would leave out anybody."""
    wrong = int((~scores.isfinite()).sum())
    if wrong:
        found = f"{quantity(wrong, 'face')} of {len(scores)} whose score is no number"
        raise MienError("a finite score of every face", found, "take a lower learning rate (stages.0.lr), or less noise (sigma)")
    return scores


def no_scores(classes: int, window: int, device: torch.device) -> Tensor:
    """Room for the last `window` scores of each class, (K, M), where there are none yet."""
    return torch.full((classes, window), torch.nan, device=device)


def remember(recent: Tensor, scores: Tensor, labels: Tensor) -> Tensor:
    """Put the scores of a batch (B,) before the last scores of each class, (K, M), NaN where there were none yet."""
    for label in labels.unique():
        recent[label] = torch.cat([scores[labels == label], recent[label]])[: recent.shape[1]]
    return recent


def class_thresholds(recent: Tensor, quantile: float) -> Tensor:
    """(K,) the quantile of each class's last scores (K, M); a class with one score or none has no threshold: infinity.

    Against its own score alone a face would always be left out. At a quantile of 1 no class has one, as all lie below it.
    """
    few = ((~recent.isnan()).sum(dim=1) < 2) | (quantile >= 1)
    return recent.nanquantile(quantile, dim=1).masked_fill(few, torch.inf)


def calibrated(memory: dict[str, Any], epoch: int, scores: Tensor, quantile: float) -> Tensor:
    """A number for all faces: the quantile of all scores of the first epoch that was scored, in which it is infinity.

    `memory`: what is remembered from batch to batch, changed in place. `epoch`: the number of the epoch of these scores (B,).
    """
    if "calibrated" not in memory:
        if memory.setdefault("calibrated_in", epoch) == epoch:
            memory["first_scores"] = torch.cat([memory.get("first_scores", scores[:0]), scores])
            return torch.full_like(scores, torch.inf)
        memory["calibrated"] = float(memory.pop("first_scores").double().quantile(quantile))
    return torch.full_like(scores, memory["calibrated"])
