"""Every face counts the same."""

import torch
from pydantic.dataclasses import dataclass
from torch import Tensor

from mien.settings import STRICT
from mien.training.run import Run


@dataclass(frozen=True, config=STRICT)
class Equal:
    """w_i = 1."""

    def __call__(self, run: Run) -> Tensor:
        """(N,) ones."""
        return torch.ones(len(run.labels), device=run.labels.device)
