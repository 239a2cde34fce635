"""Faces without labels are not looked at."""

from pydantic.dataclasses import dataclass

from mien.settings import STRICT
from mien.training.face_loader import Batch
from mien.training.losses import UnlabeledLoss
from mien.training.run import Run


@dataclass(frozen=True, config=STRICT)
class Nothing:
    """No loss."""

    def __call__(self, run: Run, batch: Batch) -> UnlabeledLoss | None:
        """None."""
        return None
