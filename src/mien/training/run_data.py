"""The faces of a run, and all that is known of them."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from mien.data.faceset import FaceSet


@dataclass(frozen=True)
class RunData:
    """The faces of a run. N is the number of those that are trained on, labeled or not, V that of the validation faces."""

    faces: FaceSet
    """The faces that are trained on."""
    labels: Tensor
    """The labels of `faces` as they may be known, (N,), -1 for none."""
    validation: FaceSet
    """The validation faces."""
    validation_labels: Tensor
    """The labels of the validation faces, (V,), on the CPU."""
    votes: Tensor | None = None
    """The annotators' votes, (N, K), zero where they may not be known."""
    truth: Tensor | None = None
    """The true labels of `faces`, (N,), -1 where nobody knows: to report how good pseudo-labels are, never to learn from."""
    split: FaceSet | None = None
    """All faces of the training split, also those of it that validate: pixels to learn from, no labels to look at."""
    further: int = 0
    """How many of `faces`, the last ones, are of other sets than `split`: an id of theirs may be that of another face there."""

    def to(self, device: torch.device) -> "RunData":
        """The faces with labels, votes and truth, on `device`."""
        votes = None if self.votes is None else self.votes.to(device)
        truth = None if self.truth is None else self.truth.to(device)
        return replace(self, labels=self.labels.to(device), votes=votes, truth=truth)
