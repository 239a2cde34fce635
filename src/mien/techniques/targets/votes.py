"""The distribution of the annotators' votes (Barsoum et al. 2016, "probability")."""

from pydantic.dataclasses import dataclass
from torch import Tensor, where
from typing_extensions import override

from mien.errors import MienError
from mien.settings import STRICT
from mien.training.questions import Targets
from mien.training.run import Run


def distribution(votes: Tensor) -> Tensor:
    """Votes (N, K) to shares (N, K); rows without votes stay zero."""
    return votes / votes.sum(dim=1, keepdim=True).clamp(min=1e-12)


@dataclass(frozen=True, config=STRICT)
class Votes(Targets):
    """q_k = v_k / sum_j v_j; a labeled face without votes is taught its label. Smoothing is not applied."""

    @override
    def __call__(self, run: Run) -> Tensor:
        """The shares of votes, (N, K). Raises MienError where the set has no votes."""
        if run.data.votes is None:
            raise MienError("a face set with votes", "none", "import one that has them, or take targets = hard")
        shares = distribution(run.data.votes) * (run.labels >= 0).unsqueeze(1)
        return where(run.data.votes.sum(dim=1, keepdim=True) > 0, shares, run.one_hot())
