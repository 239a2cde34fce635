"""Every update is kept."""

from pydantic.dataclasses import dataclass
from typing_extensions import override

from mien.settings import STRICT
from mien.training.losses import LabeledLoss, UnlabeledLoss
from mien.training.questions import Step
from mien.training.run import Run


@dataclass(frozen=True, config=STRICT)
class Descend(Step):
    """One optimizer step down the gradient of L_labeled + L_unlabeled."""

    @override
    def __call__(self, run: Run, labeled: LabeledLoss, unlabeled: UnlabeledLoss | None) -> None:
        """Evaluate both losses at the same weights, and update."""
        loss = labeled()
        run.descend(loss if unlabeled is None else loss + unlabeled())
