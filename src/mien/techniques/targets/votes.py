"""The distribution of the annotators' votes (Barsoum et al. 2016, "probability")."""

from pydantic.dataclasses import dataclass
from torch import Tensor, where

from mien.errors import MienError
from mien.settings import STRICT
from mien.training.run import Run


def distribution(votes: Tensor) -> Tensor:
    """(N, K) votes to (N, K) shares; rows without votes stay zero."""
    return votes / votes.sum(dim=1, keepdim=True).clamp(min=1e-12)


@dataclass(frozen=True, config=STRICT)
class Votes:
    """q_k = v_k / sum_j v_j; a labeled face without votes is taught its label. Smoothing is not applied."""

    def __call__(self, run: Run) -> Tensor:
        """(N, K). Raises MienError where the set has no votes."""
        if run.votes is None:
            raise MienError("a face set with votes", "none", "import one that has them, or take targets = hard")
        shares = distribution(run.votes) * (run.labels >= 0).unsqueeze(1)
        return where(run.votes.sum(dim=1, keepdim=True) > 0, shares, run.one_hot())
