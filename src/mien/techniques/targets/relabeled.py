"""Relabeling (SCN; Wang et al. 2020, CVPR, Eq. 5): unimportant faces get the label that the network is surer of."""

import torch
import torch.nn.functional as F
from pydantic.dataclasses import dataclass
from torch import Tensor
from typing_extensions import override

from mien.settings import STRICT, Share
from mien.training.label_quality import note_pseudo_labels
from mien.training.questions import Targets
from mien.training.run import Run


def relabeled(probabilities: Tensor, labels: Tensor, threshold: float) -> Tensor:
    """Eq. 5: the likeliest class where its probability is more than `threshold` above the label's, else the label, (N,)."""
    largest, likeliest = probabilities.max(dim=1)
    given = probabilities.gather(1, labels.unsqueeze(1)).squeeze(1)
    return torch.where(largest - given > threshold, likeliest, labels)


def unimportant(weights: Tensor, share: float) -> Tensor:
    """(N,) bool: the `share` of lowest weight, and all of equal weight; where all weigh the same, everyone."""
    count = round(share * len(weights))
    return weights <= weights.sort().values[count - 1] if count else torch.zeros_like(weights, dtype=torch.bool)


@dataclass(frozen=True, config=STRICT)
class Relabeled(Targets):
    """One-hot vectors of labels that Eq. 5 may change, once an epoch; a changed label stays until it is changed again.

    A face's importance is its weight in the epoch, by whatever `weigh` answers; in SCN that is self_cure. Departures: predictions
    are of un-augmented faces, not of each batch as it passes; the lowest weights are those of all labeled faces, not of a batch.
    (The authors' code relabels faces of high importance, too: `share = 1`.)
    """

    threshold: Share = 0.2
    """delta_2, by which another class has to be likelier than the label."""
    share: Share = 0.3
    """Share of the labeled faces, those of lowest weight, that may be relabeled: 1 - beta of self_cure."""
    after: Share = 0.15
    """Share of the run's epochs that pass before the first face is relabeled; SCN begins with the tenth of 70."""

    @override
    def __call__(self, run: Run) -> Tensor:
        """The targets (N, K) of the coming epoch; zero for faces without label."""
        taught = run.state["targets"].get("relabeled", Tensor, lambda: run.labels.clone())
        if run.history and len(run.history) >= self.after * run.epochs:
            rows = run.labeled[unimportant(run.weights[run.labeled], self.share)]
            taught[rows] = relabeled(run.predictions().probabilities[rows], taught[rows], self.threshold)
            mine = taught[run.labeled]
            note_pseudo_labels(run, run.labeled, mine, mine != run.labels[run.labeled])
        return F.one_hot(taught.clamp(min=0), run.classes).float() * (taught >= 0).unsqueeze(1)
