"""The distribution of the annotators' votes, for targets."""

from torch import Tensor, where

from mien.errors import MienError
from mien.training.run import Run


def distribution(votes: Tensor) -> Tensor:
    """Votes (N, K) to shares (N, K); rows without votes stay zero."""
    return votes / votes.sum(dim=1, keepdim=True).clamp(min=1e-12)


def vote_shares(run: Run) -> Tensor:
    """The shares of each labeled face's votes, (N, K), zero for others; one without votes has its label's one-hot vector.

    Raises MienError where the set has no votes.
    """
    if run.data.votes is None:
        raise MienError("a face set with votes", "none", "import one that has them, or teach hard labels")
    shares = distribution(run.data.votes) * (run.labels >= 0).unsqueeze(1)
    return where(run.data.votes.sum(dim=1, keepdim=True) > 0, shares, run.one_hot())
