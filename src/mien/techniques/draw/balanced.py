"""Every class the same share of each batch: selective learning, the batch balancing of SNA (its "Training Details").

Source: Hand, Castillo and Chellappa 2018, "Doing the best we can with what we have". SNA takes batches of 63, a multiple
of its 7 classes; here a batch is rounded down to a multiple of the classes that have faces, or has one of
each where that is more.
"""

import torch
from pydantic.dataclasses import dataclass
from torch import Tensor
from typing_extensions import override

from mien.settings import STRICT, BatchCount
from mien.training.face_loader import shuffled_batches
from mien.training.questions import Draw
from mien.training.run import Run


@dataclass(frozen=True, config=STRICT)
class Balanced(Draw):
    """An epoch has as many batches as the shuffled draw; frequent classes show a part of their faces, rare ones repeat theirs."""

    at_least: BatchCount = 1
    """Batches in an epoch at least."""

    @property
    @override
    def balances(self) -> bool:
        """True: every class has as many places in a batch."""
        return True

    @override
    def __call__(self, run: Run) -> list[Tensor]:
        """Rows of each batch, (B,), the same number of every class."""
        labeled = run.labeled.cpu()
        labels = run.labels.cpu()[labeled]
        present = [labeled[labels == label] for label in labels.unique()]
        share = max(1, min(run.batch, len(labeled)) // len(present))
        count = max(self.at_least, len(labeled) // (share * len(present)))
        columns = [shuffled_batches(faces, count, share, run.generator) for faces in present]
        return [torch.cat(shares) for shares in zip(*columns, strict=True)]
