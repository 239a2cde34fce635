"""The weights of a model that was trained before."""

from pathlib import Path

import torch
from pydantic.dataclasses import dataclass
from torch import Tensor
from typing_extensions import override

from mien.data.format import Info
from mien.errors import MienError
from mien.recognize.alignment_note import alignment_note
from mien.recognize.bundled import find_model
from mien.recognize.gray_and_color_weights import match_colors
from mien.recognize.model_card import ModelCard, read_card
from mien.recognize.run_records import note_source
from mien.recognize.saved_networks import read_weights
from mien.settings import STRICT
from mien.training.class_prior import last_bias, without_offset
from mien.training.questions import Start
from mien.training.run import Run


def matching(theirs: dict[str, Tensor], mine: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of `theirs` that `mine` has under the same name, in its shapes: between gray and color they are converted."""
    found = {name: match_colors(value, tuple(mine[name].shape))[0] for name, value in theirs.items() if name in mine}
    return {name: value for name, value in found.items() if value is not None}


@dataclass(frozen=True, config=STRICT)
class Weights(Start):
    """Copies every weight of the same name and shape; a head for other classes starts afresh.

    A first convolution on gray faces is spread over the colors of others, and one on colors summed for gray faces.
    """

    path: Path
    """A run or a model folder, or mien-s or mien-xs, which come with mien."""

    @override
    def __call__(self, run: Run) -> None:
        """Raises MienError where the folder is no model, or a block of the network finds no counterpart in it.

        What of the model stays behind is said, and where it saw other faces than those of the run.
        """
        source, mine = find_model(self.path), run.network.state_dict()
        card, info = read_card(source), run.data.faces.info
        theirs = read_weights(source)
        if "prior" in card.budget:
            theirs = without_offset(theirs, last_bias(run.network), card)  # or it would be moved twice
        copied = matching(theirs, mine)
        if card.classes != run.data.faces.classes:
            # The same number of classes, but others or in another order: the old head would name them wrongly.
            copied = {name: value for name, value in copied.items() if not name.startswith("head.")}
        missing = [name for name in mine if name not in copied and not name.startswith("head.")]
        if missing:
            raise MienError(
                f"weights in {self.path} for every block of the network",
                f"none for {missing[0]} ({len(missing)} in all)",
                _todo(card, info, run),
            )
        note_source(run.folder, source)
        with torch.no_grad():
            run.network.load_state_dict(mine | copied)
        if all(name in copied for name in mine):
            run.progress.say("starts from the model's weights, its last layer too")  # in rounds of many models: said once
        else:
            run.progress.say(f"starts from {self.path}: the last layer begins anew, for {len(run.data.faces.classes)} classes")
        for text in _differences(self.path, card, info, run):
            run.progress.say(text)


def _todo(card: ModelCard, info: Info, run: Run) -> str:
    """What to do where a block finds no weights."""
    other = card.network["network"] != run.architecture["network"]
    if other or card.faces.side == info.side:
        return f"train the same network that the model is, {card.network['network']}, with the same settings: --start does that"
    return f"import faces of {card.faces.side} pixels, as the model has them"


def _differences(path: Path, card: ModelCard, info: Info, run: Run) -> list[str]:
    """How the model saw faces, where the run sees them otherwise."""
    said = []
    if card.faces.side != info.side:
        said += [f"{path} learned from faces of {card.faces.side} pixels, these have {info.side}: faces of its size start better"]
    if card.faces.channels != info.channels:
        there, here = (("gray", "color")[one.channels == 3] for one in (card.faces, info))
        said += [f"{path} learned from faces in {there}: its first layer is converted, as these are in {here}"]
    if card.normalize != run.views.normalization:
        said += [f"{path} saw faces under normalize = {card.normalize}, this run is {run.views.normalization}"]
    other = alignment_note(card.faces, info)
    return [*said, *([f"warning: {other}"] if other else [])]
