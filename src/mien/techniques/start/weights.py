"""The weights of a model that was trained before."""

from pathlib import Path

import torch
from pydantic.dataclasses import dataclass
from torch import Tensor

from mien.errors import MienError
from mien.recognize.box import find_model
from mien.recognize.files import note_source, read_card
from mien.recognize.networks import read_weights
from mien.registry import STRICT
from mien.training.run import Run


def matching(theirs: dict[str, Tensor], mine: dict[str, Tensor]) -> dict[str, Tensor]:
    """Those of `theirs` that `mine` has under the same name and with the same shape."""
    return {name: value for name, value in theirs.items() if name in mine and mine[name].shape == value.shape}


@dataclass(frozen=True, config=STRICT)
class Weights:
    """Copies every weight of the same name and shape; a head for other classes starts afresh."""

    path: Path
    """A run or a model folder, or mien-s, which comes with mien."""

    def __call__(self, run: Run) -> None:
        """Raises MienError where the folder is no model, or a block of the network finds no counterpart in it."""
        source, mine = find_model(self.path), run.network.state_dict()
        copied = matching(read_weights(source), mine)
        if read_card(source).classes != run.class_names:
            # The same number of classes, but others or in another order: the old head would name them wrongly.
            copied = {name: value for name, value in copied.items() if not name.startswith("head.")}
        missing = [name for name in mine if name not in copied and not name.startswith("head.")]
        if missing:
            raise MienError(
                f"weights in {self.path} for every block of the network",
                f"none for {missing[0]} ({len(missing)} in all)",
                "train the same network that the model is, with the same settings",
            )
        note_source(run.folder, source)
        with torch.no_grad():
            run.network.load_state_dict(mine | copied)
