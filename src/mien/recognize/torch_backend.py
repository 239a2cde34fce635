"""Runs a network by torch: on a GPU, or where the model was not exported."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mien.data.info import Faces
from mien.data.views import Views
from mien.errors import MienError
from mien.models import Network
from mien.recognize.device import choose_device, choose_precision, machine, predict_logits, to_device
from mien.recognize.last_layer import last_layer, logits_beside_features
from mien.recognize.model_card import ModelCard
from mien.recognize.saved_networks import read_network

Array = npt.NDArray[np.float32]
BATCH = 512
"""Faces in a batch."""


@dataclass(frozen=True)
class TorchBackend:
    """Computes logits by torch on `device`, where the network is."""

    network: Network
    device: torch.device

    def logits(self, card: ModelCard, faces: Faces, flip: bool) -> Array:
        """Logits (N, K) of at least one face of the card's kind; `flip` averages with the mirror images'."""
        return self._passed(card, faces, flip)

    def logits_and_features(self, card: ModelCard, faces: Faces, flip: bool) -> tuple[Array, Array]:
        """Logits (N, K) and features (N, D) of at least one face; features are the last layer's inputs.

        Raises MienError for a network that does not end in a linear layer.
        """
        last = last_layer(self.network)
        if last is None:
            raise MienError("a network that ends in a linear layer", "another", "take another model")
        both = self._passed(card, faces, flip, logits_beside_features(self.network, last))
        return both[:, : last.out_features], both[:, last.out_features :]

    def _passed(self, card: ModelCard, faces: Faces, flip: bool, forward: Callable[[Tensor], Tensor] | None = None) -> Array:
        views = Views(faces.info, card.normalize)
        # A model that was trained in float32 on purpose stays so; others take what this device does best.
        asked = card.recipe.get("precision")
        precision = choose_precision("float32" if asked == "float32" else "auto", self.device)
        made: Array = predict_logits(self.network, self._batches(faces), views, precision, flip, forward).numpy()
        return made

    def machine(self) -> str:
        """The machine that measures, in words: processor or GPU, threads, precision, version of torch."""
        return machine(self.device)

    def _batches(self, faces: Faces) -> Iterable[torch.Tensor]:
        for rows in np.array_split(np.arange(len(faces)), -(-len(faces) // BATCH)):
            yield torch.from_numpy(faces.faces(rows)).to(self.device)


def load_torch_backend(folder: Path, device: str) -> TorchBackend:
    """The backend of the model or run at `folder`, on a device of `choose_device`."""
    chosen = choose_device(device, trains=False)
    return TorchBackend(to_device(read_network(folder), chosen), chosen)
