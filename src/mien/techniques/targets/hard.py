"""The given label, as a one-hot vector."""

from pydantic.dataclasses import dataclass
from torch import Tensor

from mien.settings import STRICT
from mien.training.run import Run


@dataclass(frozen=True, config=STRICT)
class Hard:
    """q_k = 1 for the label's class, 0 elsewhere."""

    def __call__(self, run: Run) -> Tensor:
        """(N, K); zero for faces without label."""
        return run.one_hot()
