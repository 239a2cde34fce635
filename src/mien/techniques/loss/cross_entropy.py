"""Cross-entropy to a target distribution."""

from pydantic.dataclasses import dataclass
from torch import Tensor, log_softmax
from typing_extensions import override

from mien.settings import STRICT
from mien.training.losses import Loss


@dataclass(frozen=True, config=STRICT)
class CrossEntropy(Loss):
    """-sum_k q_k log p_k."""

    @override
    def __call__(self, output: Tensor, target: Tensor) -> Tensor:
        """Logits (B, K) and targets (B, K) to (B,), in nats."""
        return -(target * log_softmax(output, dim=1)).sum(dim=1)
