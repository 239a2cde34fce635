"""DAL's loss: the squared error of the expected class number, trained by the gradient of cross-entropy (DAL, Eq. 3-6)."""

from typing import Literal

import torch
from pydantic.dataclasses import dataclass
from torch import Tensor
from typing_extensions import override

from mien.errors import MienError
from mien.settings import STRICT, NotNegative
from mien.training.losses import Loss


@dataclass(frozen=True, config=STRICT)
class SoftmaxMse(Loss):
    """Reports (yhat - y)^2 with yhat = sum_k k p_k (Eq. 4-5) and learns by p - q (Eq. 6), which is cross-entropy's gradient.

    The published loss so is cross-entropy, to whoever trains or asks how large a face's loss is; only the curve of a run shows
    Eq. 5. That needs classes that are numbers in an order, which expressions are not: the options take it by its word, or charge
    each mistake what it costs.

    Departures: written for target distributions q (y is then the expected class number). Option `cost`:
    cross-entropy + weight * sum_ij q_i cost_ij p_j, a cost for each mistake, is what the text means by "cost-sensitive".
    """

    gradient: Literal["paper", "true", "cost"] = "paper"
    """`paper`: Eq. 6; `true`: the gradient that Eq. 5 has, 2 (yhat - y) p_i (i - yhat); `cost`: see above."""
    weight: NotNegative = 1.0
    """Weight of the expected cost, where `gradient = "cost"`."""
    costs: tuple[tuple[NotNegative, ...], ...] = ()
    """cost_ij of taking class i for class j, a row for each class; empty: 1 for every mistake."""

    def __post_init__(self) -> None:
        if any(len(row) != len(self.costs) for row in self.costs):
            lengths = ", ".join(str(len(row)) for row in self.costs)
            raise MienError(f"loss.costs of {len(self.costs)} rows of as many costs", f"rows of {lengths}", "complete the matrix")

    @override
    def __call__(self, output: Tensor, target: Tensor) -> Tensor:
        """Logits (B, K) and targets (B, K) to (B,), what each face trains by: cross-entropy (and cost) in nats, or Eq. 5."""
        if self.gradient == "true":
            return self._squared(output, target)
        log_p = torch.log_softmax(output, dim=1)
        cross_entropy = -(target * log_p).sum(dim=1)
        if self.gradient == "paper":
            return cross_entropy
        return cross_entropy + self.weight * (target @ self._costs(output) * log_p.exp()).sum(dim=1)

    @override
    def displayed(self, output: Tensor, target: Tensor) -> Tensor:
        """Logits (B, K) and targets (B, K) to (B,): what a run's curve shows, Eq. 5 of each face; with a cost what trains."""
        return self(output, target) if self.gradient == "cost" else self._squared(output, target)

    def _squared(self, output: Tensor, target: Tensor) -> Tensor:
        """(B,) of Eq. 5."""
        numbers = torch.arange(output.shape[1], dtype=output.dtype, device=output.device)
        return ((output.softmax(dim=1) - target) @ numbers).square()

    def _costs(self, output: Tensor) -> Tensor:
        """(K, K)."""
        classes = output.shape[1]
        if not self.costs:
            return 1 - torch.eye(classes, dtype=output.dtype, device=output.device)
        if len(self.costs) != classes:
            raise MienError(
                f"loss.costs for {classes} classes", f"for {len(self.costs)}", "give a row and a column for each class"
            )
        return torch.tensor(self.costs, dtype=output.dtype, device=output.device)
