"""The distribution of the annotators' votes (Barsoum et al. 2016, "probability")."""

from pydantic.dataclasses import dataclass
from torch import Tensor
from typing_extensions import override

from mien.settings import STRICT
from mien.training.questions import Targets
from mien.training.run import Run
from mien.training.vote_shares import vote_shares


@dataclass(frozen=True, config=STRICT)
class Votes(Targets):
    """q_k = v_k / sum_j v_j; a labeled face without votes is taught its label. Smoothing is not applied."""

    @override
    def __call__(self, run: Run) -> Tensor:
        """The shares of votes, (N, K). Raises MienError where the set has no votes."""
        return vote_shares(run)
