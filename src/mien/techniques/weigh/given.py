"""How much each label counts, as somebody said beforehand: a column of the face set."""

import torch
from pydantic.dataclasses import dataclass
from torch import Tensor
from typing_extensions import override

from mien.errors import MienError
from mien.settings import STRICT
from mien.training.questions import Weigh
from mien.training.run import Run


@dataclass(frozen=True, config=STRICT)
class Given(Weigh):
    """A labeled face's value in a column, over the mean of all labeled faces' values; faces without a label count 1."""

    column: str = "sample_weight"
    """The column of the face set with numbers from 0 up."""

    @override
    def __call__(self, run: Run) -> Tensor:
        """The weights (N,). Raises MienError for a missing column, for other values, and where all labels count 0."""
        values = torch.tensor(run.data.faces.values(self.column).astype(float), dtype=torch.float32, device=run.device)
        given = values[run.labeled]
        if not (given.isfinite().all() and (given >= 0).all() and given.any()):
            todo = "give a number from 0 up for each label, and one above 0"
            raise MienError(f"weights in column {self.column}", "others, or zeros alone", todo)
        return torch.where(run.labels >= 0, values / given.mean(), torch.ones_like(values))
