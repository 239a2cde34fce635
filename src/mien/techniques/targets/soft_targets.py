"""Distillation (Hinton, Vinyals and Dean 2015): labeled faces are taught their label and what the teacher says of them."""

from typing import Literal

from pydantic.dataclasses import dataclass
from torch import Tensor
from typing_extensions import override

from mien.pretraining.soft_targets import read_logits, softened
from mien.settings import STRICT, Positive, Share
from mien.training.questions import Targets
from mien.training.run import Run
from mien.training.vote_shares import vote_shares


@dataclass(frozen=True, config=STRICT)
class SoftTargets(Targets):
    """(1 - share) y + share softmax(z / T): what the labels say, y, and the teacher's logits z; section 2.

    Needs start = teachers, or distill with keep_logits. Departures: the student's own temperature is 1, where the paper has T in
    the soft part, too; at the default T = 1 both are the same.
    """

    share: Share = 0.5
    """What the teacher's word counts beside the label."""
    temperature: Positive = 1.0
    """T of the teacher."""
    labels: Literal["hard", "votes"] = "hard"
    """What y is: the label's one-hot vector, or the shares of the annotators' votes, as targets = votes has them."""

    @override
    def __call__(self, run: Run) -> Tensor:
        """(N, K); zero for faces without a label. Raises MienError where the run kept no logits, or the set has no votes."""
        known = (run.labels >= 0).unsqueeze(1)
        said = vote_shares(run) if self.labels == "votes" else run.one_hot()
        return (1 - self.share) * said + self.share * known * softened(read_logits(run), self.temperature)
