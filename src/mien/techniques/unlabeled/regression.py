"""FN2EN's regression kept while the labels are learned: the expression net stays near the face net (FN2EN, Eq. 4)."""

import torch
from pydantic.dataclasses import dataclass
from torch import Tensor
from typing_extensions import override

from mien.pretraining.distillation import pair_with_maps, read_imitation
from mien.recognize.device import channels_last
from mien.settings import STRICT, Positive
from mien.training.face_loader import Batch
from mien.training.losses import Perturb, UnlabeledLoss
from mien.training.questions import Unlabeled
from mien.training.run import Run


def decay(epoch: int, epochs: int) -> float:
    """From 1 in the first epoch of the run linearly towards 0 after its last."""
    return 1 - epoch / epochs


@dataclass(frozen=True, config=STRICT)
class Regression(Unlabeled):
    """weight (1 - t/T) || g(I) - G(I) ||_p^p / (C H W) on unlabeled faces and their mirror images; t counts epochs of all T.

    Needs start = distill with keep_maps, whose p it takes. Departures: the paper drops the term in its second stage; here it
    decays, on unlabeled faces alone, and what matches the student's map to the teacher's stays as stage 1 left it.
    """

    weight: Positive = 1.0
    """What the term counts in the first epoch."""

    @override
    def __call__(self, run: Run, batch: Batch) -> UnlabeledLoss | None:
        """The unevaluated loss of the batch. Raises MienError where the run kept no maps."""
        known = read_imitation(run)
        pairs = pair_with_maps(run, batch, torch.from_numpy(known.maps.faces(batch.rows.cpu().numpy())).to(run.device))
        goal = pairs.maps.float().view(-1, *known.goal)
        share = self.weight * decay(len(run.history), run.epochs)

        def evaluate(perturb: Perturb | None = None) -> Tensor:
            with run.autocast():
                made = known.matching(run.network.features(channels_last(pairs.inputs), known.block)).float()
            difference: Tensor = (made - goal).abs().pow(known.p).mean()
            run.notes.add("regression", difference.detach())
            return share * difference

        return evaluate
