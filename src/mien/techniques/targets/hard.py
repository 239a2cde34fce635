"""The given label, as a one-hot vector."""

from pydantic.dataclasses import dataclass
from torch import Tensor
from typing_extensions import override

from mien.settings import STRICT
from mien.training.questions import Targets
from mien.training.run import Run


@dataclass(frozen=True, config=STRICT)
class Hard(Targets):
    """q_k = 1 for the label's class, 0 elsewhere."""

    @override
    def __call__(self, run: Run) -> Tensor:
        """The labels as one-hot vectors, (N, K); zero for faces without label."""
        return run.one_hot()
