"""Faces without labels are not looked at."""

from typing import ClassVar

from pydantic.dataclasses import dataclass
from typing_extensions import override

from mien.settings import STRICT
from mien.training.face_loader import Batch
from mien.training.losses import UnlabeledLoss
from mien.training.questions import Unlabeled
from mien.training.run import Run


@dataclass(frozen=True, config=STRICT)
class Nothing(Unlabeled):
    """No loss."""

    needs_unlabeled: ClassVar[bool] = False

    @override
    def __call__(self, run: Run, batch: Batch) -> UnlabeledLoss | None:
        """Return None: there is nothing to learn."""
        return None
