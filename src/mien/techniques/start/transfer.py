"""What another network knows, as far as it fits: a face net's weights, or those of any model (DAL, section 3.2)."""

from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic.dataclasses import dataclass
from torch import Tensor
from typing_extensions import override

from mien.disk import write_atomically
from mien.errors import MienError
from mien.json_text import to_json
from mien.models import architecture, published
from mien.pretraining.linear_probe import fit_last_layer
from mien.recognize.bundled import find_model
from mien.recognize.gray_and_color_weights import match_colors
from mien.recognize.model_card import read_card
from mien.recognize.run_records import note_published, note_source
from mien.recognize.saved_networks import read_weights
from mien.registry import component_names
from mien.settings import STRICT, NotNegative
from mien.training.questions import Start
from mien.training.run import Run
from mien.wording import quantity, with_suggestions

NAMED = 4
"""How many of the tensors that were not copied are named in the log; transfer.json has them all."""


@dataclass(frozen=True, config=STRICT)
class TransferEntry:
    """What transfer.json says of one tensor."""

    name: str
    there: tuple[int, ...] | None
    """The tensor's shape in the source; None where the source has none."""
    here: tuple[int, ...] | None
    """The tensor's shape in the network that is trained; None where that has none."""
    copied: bool
    note: str
    """Why not, or how."""


@dataclass(frozen=True, config=STRICT)
class Transfer(Start):
    """Copies every tensor of the same name and shape, leaves the others as they began, and lists both in transfer.json.

    A convolution on colors is summed over them for gray faces, and one on gray is spread over them for faces in color. Layers
    are frozen by the recipe's stages (`frozen`): DAL's two-stage transfer is a stage with its lowest k frozen, then all at a
    tenth of the learning rate.
    """

    source: str
    """A run, a model folder, mien-s, or a network with published weights (`facenet_dlib`)."""
    blocks: tuple[str, ...] = ()
    """Blocks of the network that are copied; empty: all, and the head where its classes are the same."""
    head: Literal["fresh", "fitted"] = "fresh"
    """`fitted` makes a last layer that was not copied the best linear one over what the blocks make of the labeled faces."""
    decay: NotNegative = 2e-4
    """What the squared norm of a fitted last layer costs."""

    @override
    def __call__(self, run: Run) -> None:
        """Raises MienError where the source has no weights, a block is not there, or nothing fits."""
        unknown = set(self.blocks) - set(run.network.blocks)
        if unknown:
            known = ", ".join(run.network.blocks)
            raise MienError(
                f"start.blocks among {known}",
                with_suggestions(unknown, run.network.blocks),
                "choose some of those",
            )
        mine = run.network.state_dict()
        theirs, classes = self._weights(run)
        entries, fitting = [], {}
        for name in [*mine, *(name for name in theirs if name not in mine)]:
            there, here = theirs.get(name), mine.get(name)
            value, note = self._fit(name, there, here, classes == run.data.faces.classes)
            entries.append(TransferEntry(name, _shape(there), _shape(here), value is not None, note))
            if value is not None:
                fitting[name] = value
        if not fitting:
            first = min(theirs, default="nothing")
            raise MienError(
                f"weights in {self.source} that fit this network", f"none ({first} and others)", "train the same network"
            )
        with torch.no_grad():
            run.network.load_state_dict(mine | fitting)
        self._tell(run, entries)
        if self.head == "fitted" and not any(name.startswith("head.") for name in fitting):
            fit_last_layer(run, self.decay)

    def _weights(self, run: Run) -> tuple[dict[str, Tensor], tuple[str, ...] | None]:
        """The source's state dict, and its classes where it is a model with some."""
        if self.source not in component_names("mien.models") or Path(self.source).exists():
            source = find_model(self.source)
            card = read_card(source)
            note_source(run.folder, source)
            if card.normalize != run.views.normalization:
                run.progress.say(
                    f"{self.source} saw faces under normalize = {card.normalize}, this run is {run.views.normalization}"
                )
            return read_weights(source), card.classes
        # The same network may have settings that say which weights it wants.
        same = run.architecture["network"] == self.source
        settings = run.architecture if same else {"network": self.source}
        found, origin = published(settings), architecture(settings).origin()
        if found is None:
            raise MienError("a run, a model folder, or a network with published weights", self.source, "give the path of a run")
        if origin:
            note_published(run.folder, self.source, origin.sha256, origin.license)
        return found, None

    def _fit(self, name: str, there: Tensor | None, here: Tensor | None, same_classes: bool) -> tuple[Tensor | None, str]:
        """What is copied, or None, and a note."""
        if there is None:
            return None, "not in the source"
        if here is None:
            return None, "not in this network"
        if self.blocks and name.split(".")[1] not in self.blocks:
            return None, "not among the blocks"
        if name.startswith("head.") and not same_classes:
            return None, "other classes"
        return match_colors(there, tuple(here.shape))

    def _tell(self, run: Run, entries: list[TransferEntry]) -> None:
        here = [entry for entry in entries if entry.here is not None]
        left = [entry.name for entry in here if not entry.copied]
        more = f" and {len(left) - NAMED} more" if len(left) > NAMED else ""
        text = f"; not copied: {', '.join(left[:NAMED])}{more}" if left else ""
        run.progress.say(f"copied {len(here) - len(left)} of {quantity(len(here), 'tensor')} from {self.source}{text}")
        table: dict[str, Any] = {"source": self.source, "tensors": [asdict(entry) for entry in entries]}
        write_atomically(run.folder / "transfer.json", to_json(table).encode())


def _shape(tensor: Tensor | None) -> tuple[int, ...] | None:
    return None if tensor is None else tuple(tensor.shape)
