"""Every labeled face once an epoch, in random order."""

from pydantic.dataclasses import dataclass
from torch import Tensor
from typing_extensions import override

from mien.settings import STRICT, BatchCount
from mien.training.face_loader import shuffled_batches
from mien.training.questions import Draw
from mien.training.run import Run


@dataclass(frozen=True, config=STRICT)
class Shuffled(Draw):
    """Batches of equal size from a fresh permutation; faces left over at the end wait for the next epoch's."""

    at_least: BatchCount = 1
    """Batches in an epoch at least: with few labels, permutations follow one another until there are as many."""

    @override
    def __call__(self, run: Run) -> list[Tensor]:
        """Rows of each batch, (B,); one smaller batch where there are fewer faces than that."""
        faces = run.labeled.cpu()
        size = min(run.batch, len(faces))
        count = max(self.at_least, len(faces) // size)
        return shuffled_batches(faces, count, size, run.generator)
