"""The faces that each neuron responds to most, and the label entropy of these faces (FN2EN, section III-C)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mien.data.faceset import FaceSet
from mien.errors import MienError
from mien.evaluation.activation_maximization import HEAD, responses
from mien.models import leading
from mien.progress import Progress
from mien.recognize.device import autocast, channels_last, choose_precision
from mien.recognize.features import Tap

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

BATCH = 512
"""Faces whose responses are merged at a time."""


VALUES = 1 << 24
"""Most values of the largest map that go through the network at a time."""


@dataclass(frozen=True, eq=False)
class LayerNeurons:
    """The C neurons of a layer, and which of the faces of K classes they respond to most."""

    name: str
    """The block's name, or `head`."""
    top: Integers
    """(C, T) rows of each neuron's top faces, those that it responds to most, the strongest first."""
    counts: Integers
    """(C, K) how many of each neuron's top faces have each label."""
    entropy: Floats
    """(C,) label entropy of each neuron's top faces, in nats."""
    silent: npt.NDArray[np.bool_]
    """(C,) whether a neuron responds to all faces the same: its top faces are then a matter of chance."""

    @property
    def shares(self) -> Floats:
        """(C, K) share of each class in each neuron's top faces."""
        found: Floats = self.counts / self.counts.sum(axis=1, keepdims=True)
        return found

    def selective(self, label: int, count: int) -> Integers:
        """Up to `count` neurons with the most faces of a class among their top faces; of equals, those of lower entropy."""
        order = np.lexsort((self.entropy, -self.counts[:, label]))
        found: Integers = order[~self.silent[order] & (self.counts[order, label] > 0)][:count]
        return found


@dataclass(frozen=True)
class StrongestResponses:
    """The strongest responses of C neurons so far, and the faces that they respond to."""

    values: Tensor
    """(C, T) responses, the strongest first."""
    rows: Tensor
    """(C, T) rows of the faces that give these responses."""
    weakest: Tensor
    """(C,) the weakest response of each neuron to any face."""

    def merge(self, responses: Tensor, rows: Tensor, top: int) -> "StrongestResponses":
        """The strongest responses when those to further faces are added: `responses` (B, C) to the faces `rows` (B,)."""
        values = torch.cat([self.values, responses.t()], dim=1)
        known = torch.cat([self.rows, rows.expand(len(values), -1)], dim=1)
        values, place = values.topk(min(top, values.shape[1]), dim=1)
        return StrongestResponses(values, known.gather(1, place), torch.minimum(self.weakest, responses.amin(dim=0)))


@torch.inference_mode()
def scan(source: Tap, faces: FaceSet, layers: Sequence[str], top: int, seed: int, bar: Progress) -> tuple[LayerNeurons, ...]:
    """Which of the labeled faces the neurons of these layers respond to most, in one pass; `seed` draws the faces' order."""
    device = next(source.network.parameters()).device
    order = np.random.default_rng(seed).permutation(len(faces))
    largest = max(int(np.prod(shape)) for shape in source.network.shapes().values())
    part = max(1, min(BATCH, VALUES // largest))
    best: dict[str, StrongestResponses] = {}
    bar.begin("neurons", len(faces))
    for start in range(0, len(order), BATCH):
        rows = order[start : start + BATCH]
        pixels = torch.from_numpy(faces.faces(rows)).to(device)
        parts = [_responses(source, piece, layers) for piece in pixels.split(part)]
        index = torch.from_numpy(rows).to(device)
        for name in parts[0]:
            responses = torch.cat([piece[name] for piece in parts])
            empty = StrongestResponses(
                responses.new_empty(responses.shape[1], 0), index.new_empty(responses.shape[1], 0), responses[0]
            )
            best[name] = best.get(name, empty).merge(responses, index, top)
        bar.advance(len(rows))
    return tuple(_layer(name, best[name], faces) for name in layers)


def label_entropy(counts: npt.ArrayLike) -> Floats:
    """Label entropy -sum p log p in nats, (C,), of label counts (C, K)."""
    weights = np.asarray(counts, np.float64)
    shares = torch.from_numpy(weights / weights.sum(axis=1, keepdims=True))
    entropy: Floats = torch.special.entr(shares).sum(dim=1).numpy()
    return entropy


def mean_faces(faces: FaceSet, layer: LayerNeurons, neurons: npt.ArrayLike) -> npt.NDArray[np.uint8]:
    """The mean of the top faces of each of M neurons of a layer, uint8 (M, S, S) or (M, S, S, 3)."""
    chosen = layer.top[np.asarray(neurons, np.int64)]
    side = (faces.info.side,) * 2 if faces.info.channels == 1 else (faces.info.side, faces.info.side, faces.info.channels)
    means = np.zeros((len(chosen), *side), np.uint8)
    for mean, rows in zip(means, chosen, strict=True):  # no more than one neuron's faces at a time
        mean[...] = faces.faces(rows).mean(axis=0).round()
    return means


def _responses(source: Tap, pixels: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
    """Responses (B, C), float32, of all neurons of these layers to B faces, by the layer's name."""
    found, x, names = {}, channels_last(source.views.clean(pixels)), [*source.network.blocks, HEAD]
    with autocast(pixels.device, choose_precision("auto", pixels.device)):
        for name in names[: max(map(names.index, layers)) + 1]:
            x = source.network.decide(leading(x)) if name == HEAD else source.network.blocks[name](x)
            if name in layers:
                found[name] = responses(leading(x)).clone().float()  # the next block may change it in place
    return found


def _layer(name: str, best: StrongestResponses, faces: FaceSet) -> LayerNeurons:
    if not bool(best.values.isfinite().all()):
        raise MienError(f"finite responses in {name}", "nan or infinite ones", "train the model again: it has diverged")
    rows: Integers = best.rows.cpu().numpy()
    labels = torch.from_numpy(faces.labels[rows])
    counts = torch.zeros(len(rows), len(faces.classes), dtype=torch.int64)
    counts.scatter_add_(1, labels, torch.ones_like(labels))
    silent: npt.NDArray[np.bool_] = (best.values[:, 0] == best.weakest).cpu().numpy()
    return LayerNeurons(name, rows, counts.numpy(), label_entropy(counts.numpy()), silent)
