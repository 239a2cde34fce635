"""Focal loss (Lin et al. 2017), which SNA trains its recognizer with."""

from pydantic.dataclasses import dataclass
from torch import Tensor, log_softmax
from typing_extensions import override

from mien.settings import STRICT, Power
from mien.training.losses import Loss


@dataclass(frozen=True, config=STRICT)
class Focal(Loss):
    """-sum_k q_k (1 - p_k)^gamma log p_k: well-classified faces count less.

    Departures: written for target distributions (for a one-hot q it is Lin et al.'s Eq. 4); no alpha, since classes are
    balanced by `draw` or `weigh`.
    """

    gamma: Power = 2.0
    """0 gives cross-entropy; Lin et al. take 2, SNA does not say."""

    @override
    def __call__(self, output: Tensor, target: Tensor) -> Tensor:
        """Logits (B, K) and targets (B, K) to (B,), in nats."""
        log_p = log_softmax(output, dim=1)
        # Near p = 1 rounding may leave 1 - p a hair below zero, whose power would not be a number.
        miss = (1 - log_p.exp()).clamp(min=0)
        return -(target * miss**self.gamma * log_p).sum(dim=1)
