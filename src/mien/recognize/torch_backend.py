"""Runs a network by torch: on a GPU, or where the model was not exported."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from mien.data.info import Faces
from mien.data.views import Views
from mien.models import Network
from mien.recognize.device import choose_device, choose_precision, machine, predict_logits, to_device
from mien.recognize.model_card import ModelCard
from mien.recognize.saved_networks import read_network

BATCH = 512
"""Faces in a batch."""


@dataclass(frozen=True)
class TorchBackend:
    """Computes logits by torch on `device`, where the network is."""

    network: Network
    device: torch.device

    def logits(self, card: ModelCard, faces: Faces, flip: bool) -> npt.NDArray[np.float32]:
        """Logits (N, K) of at least one face of the card's kind; `flip` averages with the mirror images'."""
        views = Views(faces.info, card.normalize)
        # A model that was trained in float32 on purpose stays so; others take what this device does best.
        asked = card.recipe.get("precision")
        precision = choose_precision("float32" if asked == "float32" else "auto", self.device)
        logits: npt.NDArray[np.float32] = predict_logits(self.network, self._batches(faces), views, precision, flip).numpy()
        return logits

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
