"""What neurons respond to (FN2EN, section III-C and IV-B): label entropy, the faces that excite them, pictures that would.

A neuron is a channel of a block's output, or a unit of a vector; its response to a face is the map's maximum. `head` stands for
the last layer, whose neurons are the classes, as the paper's Fig. 1 draws them, and their responses the logits. Its top 100
faces are counted by label, and H = -sum p log p of the shares (in nats) is low where it answers to few expressions.

Departures: the counts of the paper's Table I (7,763 of pool4, which has 512 channels) are of single places of a map, ours of
channels. "Lower than the minimum average entropy score among the four selected layers" leaves open of which network; here it
is one threshold for both, the lowest average of any selected layer of either: no layer of the paper's first network has more
than a twelfth of its neurons below, which an average of its own could hardly leave.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mien.data.describe import require_pictures
from mien.data.faceset import FaceSet
from mien.data.label_budget import draw_labels
from mien.data.splits import split_rows
from mien.errors import MienError
from mien.evaluation.maximize import HEAD, maximize, responses
from mien.models import leading, upscaling
from mien.progress import Progress, Silent
from mien.recognize.bundled import find_model
from mien.recognize.device import autocast, channels_last, choose_device, choose_precision
from mien.recognize.divergence import decide
from mien.recognize.features import Tap, is_run, tap
from mien.recognize.model_card import read_card
from mien.settings import Count, CountOrZero, Seed, require_fitting
from mien.wording import quantity, with_suggestion

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Source = Path | str | Mapping[str, Any]
"""A run, a model folder, or a network: its name or its settings."""

BATCH = 512
"""Faces whose responses are merged at a time."""
VALUES = 1 << 24
"""Values of the largest map that go through the network at a time."""


@dataclass(frozen=True, eq=False)
class Layer:
    """The C neurons of a layer over faces of K classes."""

    name: str
    top: Integers
    """(C, T) rows of the faces that each responds to most, the strongest first."""
    counts: Integers
    """(C, K) how many of those have each label."""
    entropy: Floats
    """(C,) of the labels of its top faces, in nats."""
    silent: npt.NDArray[np.bool_]
    """(C,) whether it responds to all faces the same: its top faces are then as chance has it."""

    @property
    def shares(self) -> Floats:
        """(C, K) share of each class in the top faces."""
        found: Floats = self.counts / self.counts.sum(axis=1, keepdims=True)
        return found

    def selective(self, label: int, count: int) -> Integers:
        """Up to `count` neurons with most faces of a class among their top faces; of equal ones those of lower entropy."""
        order = np.lexsort((self.entropy, -self.counts[:, label]))
        found: Integers = order[~self.silent[order] & (self.counts[order, label] > 0)][:count]
        return found


@dataclass(frozen=True, eq=False)
class Drawn:
    """Pictures that excite neurons of a layer, uint8 (M, S, S) or (M, S, S, 3), and which class each neuron was chosen for."""

    layer: Layer
    neurons: Integers
    labels: Integers
    pictures: npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Found:
    """What the neurons of one network respond to."""

    source: str
    layers: tuple[Layer, ...]
    drawn: tuple[Drawn, ...]


@dataclass(frozen=True, eq=False)
class Neurons:
    """What `inspect_neurons` found, of a network and of the one that it was before."""

    dataset: str
    split: str
    faces: FaceSet
    """The labeled faces, which `Layer.top` counts."""
    top: int
    """Faces of each neuron: as many as were asked for, or all there are."""
    threshold: float
    """Neurons of a lower entropy are low-expressive-score neurons."""
    after: Found
    before: Found | None
    warning: str = ""

    @property
    def base(self) -> Floats:
        """(K,) share of each class in all faces."""
        found: Floats = np.bincount(self.faces.labels, minlength=len(self.faces.classes)) / len(self.faces)
        return found

    def low(self, layer: Layer) -> int:
        """Low-expressive-score neurons of a layer."""
        return int((layer.entropy < self.threshold).sum())

    def to_json(self) -> dict[str, Any]:
        """Figures of every layer as plain values."""
        values = {
            "dataset": self.dataset, "split": self.split, "faces": len(self.faces), "top": self.top,
            "classes": dict(zip(self.faces.classes, self.base.tolist(), strict=True)),
            "entropy_of_all_faces": float(label_entropy(self.base[None])[0]), "threshold": self.threshold,
            "after": self._figures(self.after), "before": None if self.before is None else self._figures(self.before),
            "warning": self.warning,
        }  # fmt: skip
        return values

    def _figures(self, found: Found) -> dict[str, Any]:
        layers = {
            layer.name: {
                "neurons": len(layer.entropy), "average_entropy": float(layer.entropy.mean()),
                "lowest_entropy": float(layer.entropy.min()), "low": self.low(layer), "silent": int(layer.silent.sum()),
            }
            for layer in found.layers
        }  # fmt: skip
        return {"source": found.source, "layers": layers}


@dataclass(frozen=True)
class Best:
    """The strongest responses so far, (C, T) descending, the rows of their faces, and the weakest response of all, (C,)."""

    values: Tensor
    rows: Tensor
    weakest: Tensor

    def merge(self, responses: Tensor, rows: Tensor, top: int) -> "Best":
        """With those of further faces: `responses` (B, C) to the faces `rows` (B,)."""
        values = torch.cat([self.values, responses.t()], dim=1)
        known = torch.cat([self.rows, rows.expand(len(values), -1)], dim=1)
        values, place = values.topk(min(top, values.shape[1]), dim=1)
        return Best(values, known.gather(1, place), torch.minimum(self.weakest, responses.amin(dim=0)))


def inspect_neurons(
    run: Source,
    faces: FaceSet | Path | str,
    layers: Sequence[str] = (),
    before: Source | None = None,
    split: str = "all",
    top: int = 100,
    per_class: int | None = None,
    drawn: int = 8,
    seed: int = 0,
    device: str = "auto",
    progress: Progress | None = None,
) -> Neurons:
    """The neurons of a run's (a model's, a network's) `layers`, all blocks unless said, over the labeled faces of a split.

    The layer `head` is that of the class outputs; each class that the faces have gets a picture, however many are `drawn`.
    `before` is what the network was before fine-tuning; where it names the run's network, it has the run's settings.
    `per_class` draws so many faces of each class at most. Of each layer, `drawn` neurons get a picture that excites them.
    The faces are visited in an order drawn by `seed`, so that ties say nothing of the order they are stored in. Raises
    MienError for features, too few labels, a layer that is not there, or the class outputs of a network that has no classes.
    """
    require_fitting(Seed, seed=seed)
    require_fitting(Count, top=top, per_class=per_class)
    require_fitting(CountOrZero, drawn=drawn)
    faces, bar = faces if isinstance(faces, FaceSet) else FaceSet.open(faces, verify=True), progress or Silent()
    require_pictures(faces)
    labeled = _labeled(faces, split, per_class, seed)
    place = choose_device(device)
    sources = _sources(run, before, labeled, seed, place)
    chosen = list(dict.fromkeys(layers)) or list(sources[0].network.blocks)
    for source in sources:
        _require_layers(source, chosen)
        if drawn and not list(source.network.blocks.parameters()):
            raise MienError("a network that gradients pass through, for pictures", source.name, "give --drawn 0")
        if larger := upscaling(source.network, source.name):
            bar.say(larger)
    found = []
    for source in sources:
        scanned = scan(source, labeled, chosen, top, seed, bar)
        pictures = tuple(_draw(source, layer, labeled.classes, drawn, seed, bar) for layer in scanned) if drawn else ()
        found.append(Found(source.name.partition(", block ")[0], scanned, pictures))
    threshold = min(float(layer.entropy.mean()) for one in found for layer in one.layers)
    few = f"{quantity(len(labeled), 'labeled face')}: every neuron's top faces are all of them" if len(labeled) <= top else ""
    name, earlier = faces.info.name or "unnamed", found[1] if len(found) > 1 else None
    return Neurons(name, split, labeled, min(top, len(labeled)), threshold, found[0], earlier, few)


@torch.inference_mode()
def scan(source: Tap, faces: FaceSet, layers: Sequence[str], top: int, seed: int, bar: Progress) -> tuple[Layer, ...]:
    """What the neurons of these layers respond to, in one pass over labeled faces."""
    device = next(source.network.parameters()).device
    order = np.random.default_rng(seed).permutation(len(faces))
    largest = max(int(np.prod(shape)) for shape in source.network.shapes().values())
    part = max(1, min(BATCH, VALUES // largest))
    best: dict[str, Best] = {}
    bar.begin("neurons", len(faces))
    for start in range(0, len(order), BATCH):
        rows = order[start : start + BATCH]
        pixels = torch.from_numpy(faces.faces(rows)).to(device)
        parts = [_responses(source, piece, layers) for piece in pixels.split(part)]
        index = torch.from_numpy(rows).to(device)
        for name in parts[0]:
            responses = torch.cat([piece[name] for piece in parts])
            empty = Best(responses.new_empty(responses.shape[1], 0), index.new_empty(responses.shape[1], 0), responses[0])
            best[name] = best.get(name, empty).merge(responses, index, top)
        bar.advance(len(rows))
    return tuple(_layer(name, best[name], faces) for name in layers)


def label_entropy(counts: npt.ArrayLike) -> Floats:
    """-sum p log p in nats, (C,), of label counts (C, K)."""
    weights = np.asarray(counts, np.float64)
    shares = torch.from_numpy(weights / weights.sum(axis=1, keepdims=True))
    entropy: Floats = torch.special.entr(shares).sum(dim=1).numpy()
    return entropy


def mean_faces(faces: FaceSet, layer: Layer, neurons: npt.ArrayLike) -> npt.NDArray[np.uint8]:
    """The mean of the top faces of each of these neurons, uint8 (M, S, S) or (M, S, S, 3)."""
    chosen = layer.top[np.asarray(neurons, np.int64)]
    side = (faces.info.side,) * 2 if faces.info.channels == 1 else (faces.info.side, faces.info.side, faces.info.channels)
    means = np.zeros((len(chosen), *side), np.uint8)
    for mean, rows in zip(means, chosen, strict=True):  # no more than one neuron's faces at a time
        mean[...] = faces.faces(rows).mean(axis=0).round()
    return means


def _labeled(faces: FaceSet, split: str, per_class: int | None, seed: int) -> FaceSet:
    rows = split_rows(faces, split)
    rows = rows[faces.labels[rows] >= 0]
    labeled = faces.select(draw_labels(faces.labels, rows, seed, per_class) if len(rows) else rows)
    if len(labeled) < 2 or len(np.unique(labeled.labels)) < 2:
        found = f"{quantity(len(labeled), 'labeled face')} in {split}"
        raise MienError("labeled faces of two classes or more", found, "choose another split or set")
    return labeled


def _sources(run: Source, before: Source | None, faces: FaceSet, seed: int, device: torch.device) -> list[Tap]:
    """The run's tap, and that of `before`; where this names the run's own network, both see the same inputs."""
    first = _tap(run, faces, seed, device)
    if before is None:
        return [first]
    own = _own_settings(run, before)
    earlier = _tap(own or before, faces, seed, device)
    return [first, replace(earlier, views=first.views) if own else earlier]


def _own_settings(run: Source, before: Source) -> dict[str, Any] | None:
    """Settings of the run's network, where `before` is its name."""
    if isinstance(run, Mapping) or isinstance(before, Mapping) or not is_run(str(run)) or is_run(str(before)):
        return None
    settings = read_card(find_model(str(run))).network
    return settings if settings["network"] == str(before) else None


def _tap(given: Source, faces: FaceSet, seed: int, device: torch.device) -> Tap:
    return tap(given if isinstance(given, Mapping) else str(given), None, faces.info, seed, device)


def _require_layers(source: Tap, layers: Sequence[str]) -> None:
    """Raises MienError for a layer that the network does not have, and for outputs that stand for no classes."""
    for name in layers:
        if name not in (*source.network.blocks, HEAD):
            known = ", ".join((*source.network.blocks, HEAD))
            raise MienError(
                f"a layer among {known}", with_suggestion(name, (*source.network.blocks, HEAD)), "choose from those with --layers"
            )
        if name == HEAD and not source.classes:
            todo = "name a run or a model, or leave head out of --layers"
            raise MienError("a trained model, whose head has classes", source.name.partition(", block ")[0], todo)


def _responses(source: Tap, pixels: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
    """The response (B, C) float32 of every neuron of these layers to every face."""
    found, x, names = {}, channels_last(source.views.clean(pixels)), [*source.network.blocks, HEAD]
    with autocast(pixels.device, choose_precision("auto", pixels.device)):
        for name in names[: max(map(names.index, layers)) + 1]:
            x = decide(source.network, leading(x)) if name == HEAD else source.network.blocks[name](x)
            if name in layers:
                found[name] = responses(leading(x)).clone().float()  # the next block may change it in place
    return found


def _layer(name: str, best: Best, faces: FaceSet) -> Layer:
    if not bool(best.values.isfinite().all()):
        raise MienError(f"finite responses in {name}", "others", "train the model again: it has diverged")
    rows: Integers = best.rows.cpu().numpy()
    labels = torch.from_numpy(faces.labels[rows])
    counts = torch.zeros(len(rows), len(faces.classes), dtype=torch.int64)
    counts.scatter_add_(1, labels, torch.ones_like(labels))
    silent: npt.NDArray[np.bool_] = (best.values[:, 0] == best.weakest).cpu().numpy()
    return Layer(name, rows, counts.numpy(), label_entropy(counts.numpy()), silent)


def _draw(source: Tap, layer: Layer, faces: Sequence[str], count: int, seed: int, bar: Progress) -> Drawn:
    """Pictures that excite up to `count` neurons: the most selective of each class, then the second of each, and so on; of the
    head, one for each class of the faces that it knows."""
    if layer.name == HEAD:
        known = [(label, source.classes.index(name)) for label, name in enumerate(faces) if name in source.classes]
        labels, neurons = (np.array([pair[n] for pair in known], np.int64) for n in (0, 1))
        return Drawn(layer, neurons, labels, maximize(source, HEAD, neurons, seed, bar))
    classes = layer.counts.shape[1]
    each = [layer.selective(label, -(-count // classes)).tolist() for label in range(classes)]
    turns = [(label, mine[turn]) for turn in range(-(-count // classes)) for label, mine in enumerate(each) if turn < len(mine)]
    turns = sorted(turns[:count])
    labels, neurons = (np.array([pair[n] for pair in turns], np.int64) for n in (0, 1))
    return Drawn(layer, neurons, labels, maximize(source, layer.name, neurons, seed, bar))
