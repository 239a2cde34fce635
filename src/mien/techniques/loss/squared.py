"""The regression loss of FaceNet2ExpNet's first stage (FN2EN, Eq. 4)."""

from typing import Annotated

from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor
from typing_extensions import override

from mien.settings import STRICT
from mien.training.losses import Loss


@dataclass(frozen=True, config=STRICT)
class Squared(Loss):
    """The mean of |output - target|^p over everything but the batch: squared error of maps, vectors, or raw class scores.

    Departures: a mean where Eq. 4 has a sum, so that learning rates do not depend on the size of what is regressed.
    """

    p: Annotated[float, Field(ge=1, le=100, allow_inf_nan=False)] = 2.0
    """Power of the difference; 1 is the absolute error."""

    @override
    def __call__(self, output: Tensor, target: Tensor) -> Tensor:
        """Two tensors (B, ...) of one shape to (B,)."""
        return (output - target).abs().pow(self.p).flatten(1).mean(dim=1)
