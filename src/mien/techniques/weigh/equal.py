"""Every face counts the same."""

import torch
from pydantic.dataclasses import dataclass
from torch import Tensor
from typing_extensions import override

from mien.settings import STRICT
from mien.training.questions import Weigh
from mien.training.run import Run


@dataclass(frozen=True, config=STRICT)
class Equal(Weigh):
    """w_i = 1."""

    @override
    def __call__(self, run: Run) -> Tensor:
        """A weight of 1 for every face, (N,)."""
        return torch.ones(len(run.labels), device=run.labels.device)
