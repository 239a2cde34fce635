"""Every update is kept."""

from pydantic.dataclasses import dataclass

from mien.settings import STRICT
from mien.training.losses import Unevaluated, UnlabeledLoss
from mien.training.run import Run


@dataclass(frozen=True, config=STRICT)
class Descend:
    """One optimizer step down the gradient of L_labeled + L_unlabeled."""

    def __call__(self, run: Run, labeled: Unevaluated, unlabeled: UnlabeledLoss | None) -> None:
        """Evaluates both losses at the same weights and updates."""
        loss = labeled()
        run.descend(loss if unlabeled is None else loss + unlabeled())
