"""Inspects what neurons respond to (FN2EN, sections III-C and IV-B): label entropy, top faces, pictures that excite them.

A neuron is a channel of a block's output, or a unit of a vector; its response to a face is the map's maximum. `head` stands for
the last layer: its neurons are the classes, as in the paper's Fig. 1, and their responses the logits. A neuron's top 100 faces
are counted by label; the entropy H = -sum p log p of the shares (in nats) is low where it responds to few expressions.

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

from mien.data.describe import require_pictures
from mien.data.faceset import FaceSet
from mien.data.label_budget import draw_labels
from mien.data.splits import split_rows
from mien.errors import MienError
from mien.evaluation.activation_maximization import HEAD, maximize
from mien.evaluation.neuron_responses import LayerNeurons, label_entropy, scan
from mien.models import upscaling
from mien.progress import Progress, Silent
from mien.recognize.bundled import find_model
from mien.recognize.device import choose_device
from mien.recognize.features import Tap, is_run, tap
from mien.recognize.model_card import read_card
from mien.settings import Count, CountOrZero, Seed, require_fitting
from mien.wording import quantity, with_suggestion

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
NetworkSource = Path | str | Mapping[str, Any]
"""A run or a model folder, or a network by its name or its settings."""


@dataclass(frozen=True, eq=False)
class MaximizedNeurons:
    """Pictures that excite M neurons of a layer."""

    layer: LayerNeurons
    neurons: Integers
    """(M,) the neurons' numbers within the layer."""
    labels: Integers
    """(M,) the class that each neuron was chosen for."""
    pictures: npt.NDArray[np.uint8]
    """(M, S, S) or (M, S, S, 3)."""


@dataclass(frozen=True, eq=False)
class NetworkNeurons:
    """What the neurons of one network respond to, layer by layer."""

    source: str
    """Network and weights in words."""
    layers: tuple[LayerNeurons, ...]
    drawn: tuple[MaximizedNeurons, ...]
    """Pictures that excite neurons, by layer; empty where none were asked for."""


@dataclass(frozen=True, eq=False)
class Neurons:
    """What `inspect_neurons` found of a network, and of the network before fine-tuning where it was named."""

    dataset: str
    split: str
    faces: FaceSet
    """The labeled faces, which `LayerNeurons.top` refers to."""
    top: int
    """Number of top faces of each neuron: as many as were asked for, or all faces."""
    threshold: float
    """Entropy below which a neuron is a low-expressive-score neuron."""
    after: NetworkNeurons
    """The network that was named."""
    before: NetworkNeurons | None
    """The network before fine-tuning; None where it was not named."""
    warning: str = ""
    """What may be wrong with these figures, in words; empty where nothing is known."""

    @property
    def base(self) -> Floats:
        """(K,) share of each class in all labeled faces."""
        found: Floats = np.bincount(self.faces.labels, minlength=len(self.faces.classes)) / len(self.faces)
        return found

    def low(self, layer: LayerNeurons) -> int:
        """Number of low-expressive-score neurons of a layer."""
        return int((layer.entropy < self.threshold).sum())

    def to_json(self) -> dict[str, Any]:
        """Figures of every layer as plain values for JSON."""
        values = {
            "dataset": self.dataset, "split": self.split, "faces": len(self.faces), "top": self.top,
            "classes": dict(zip(self.faces.classes, self.base.tolist(), strict=True)),
            "entropy_of_all_faces": float(label_entropy(self.base[None])[0]), "threshold": self.threshold,
            "after": self._figures(self.after), "before": None if self.before is None else self._figures(self.before),
            "warning": self.warning,
        }  # fmt: skip
        return values

    def _figures(self, found: NetworkNeurons) -> dict[str, Any]:
        layers = {
            layer.name: {
                "neurons": len(layer.entropy), "average_entropy": float(layer.entropy.mean()),
                "lowest_entropy": float(layer.entropy.min()), "low": self.low(layer), "silent": int(layer.silent.sum()),
            }
            for layer in found.layers
        }  # fmt: skip
        return {"source": found.source, "layers": layers}


def inspect_neurons(
    run: NetworkSource,
    faces: FaceSet | Path | str,
    layers: Sequence[str] = (),
    before: NetworkSource | None = None,
    split: str = "all",
    top: int = 100,
    per_class: int | None = None,
    drawn: int = 8,
    seed: int = 0,
    device: str = "auto",
    progress: Progress | None = None,
) -> Neurons:
    """Inspect the neurons of `layers` (all blocks without it) of a run, a model or a network, over a split's labeled faces.

    `before`: the network before fine-tuning; where it is the name of the run's network, it has the run's settings. `top`: faces
    of each neuron. `per_class`: most faces of each class. `drawn`: neurons of each layer that get a picture that excites them;
    the layer `head` gets one for each class of the faces. `seed` draws the order in which faces are visited, so that ties do
    not depend on how they are stored. Raises MienError for features, too few labels, a layer that is not there, and `head`
    where the network has no classes.
    """
    require_fitting(Seed, seed=seed)
    require_fitting(Count, top=top, per_class=per_class)
    require_fitting(CountOrZero, drawn=drawn)
    faces, bar = FaceSet.of(faces), progress or Silent()
    require_pictures(faces)
    labeled = _labeled(faces, split, per_class, seed)
    place = choose_device(device)
    sources = _sources(run, before, labeled, seed, place)
    chosen = list(dict.fromkeys(layers)) or list(sources[0].network.blocks)
    for source in sources:
        _require_layers(source, chosen)
        if drawn and not list(source.network.blocks.parameters()):
            raise MienError("a network that gradients pass through, for pictures", source.name, "give `drawn` 0")
        if larger := upscaling(source.network, source.name):
            bar.say(larger)
    found = []
    for source in sources:
        scanned = scan(source, labeled, chosen, top, seed, bar)
        pictures = tuple(_draw(source, layer, labeled.classes, drawn, seed, bar) for layer in scanned) if drawn else ()
        found.append(NetworkNeurons(source.name.partition(", block ")[0], scanned, pictures))
    threshold = min(float(layer.entropy.mean()) for one in found for layer in one.layers)
    few = f"{quantity(len(labeled), 'labeled face')}: every neuron's top faces are all of them" if len(labeled) <= top else ""
    name, earlier = faces.info.name or "unnamed", found[1] if len(found) > 1 else None
    return Neurons(name, split, labeled, min(top, len(labeled)), threshold, found[0], earlier, few)


def _labeled(faces: FaceSet, split: str, per_class: int | None, seed: int) -> FaceSet:
    """The labeled faces of a split, at most `per_class` of each class. Raises MienError for fewer than two classes."""
    rows = split_rows(faces, split)
    rows = rows[faces.labels[rows] >= 0]
    labeled = faces.select(draw_labels(faces.labels, rows, seed, per_class) if len(rows) else rows)
    if len(labeled) < 2 or len(np.unique(labeled.labels)) < 2:
        found = f"{quantity(len(labeled), 'labeled face')} in {split}"
        raise MienError("labeled faces of two classes or more", found, "choose another split or set")
    return labeled


def _sources(run: NetworkSource, before: NetworkSource | None, faces: FaceSet, seed: int, device: torch.device) -> list[Tap]:
    """The tap of the run, and of `before` if given; where this names the run's own network, both take the same inputs."""
    first = _tap(run, faces, seed, device)
    if before is None:
        return [first]
    own = _own_settings(run, before)
    earlier = _tap(own or before, faces, seed, device)
    return [first, replace(earlier, views=first.views) if own else earlier]


def _own_settings(run: NetworkSource, before: NetworkSource) -> dict[str, Any] | None:
    """Settings of the run's network where `before` is its name; None elsewhere."""
    if isinstance(run, Mapping) or isinstance(before, Mapping) or not is_run(str(run)) or is_run(str(before)):
        return None
    settings = read_card(find_model(str(run))).network
    return settings if settings["network"] == str(before) else None


def _tap(given: NetworkSource, faces: FaceSet, seed: int, device: torch.device) -> Tap:
    return tap(given if isinstance(given, Mapping) else str(given), None, faces.info, seed, device)


def _require_layers(source: Tap, layers: Sequence[str]) -> None:
    """Raises MienError for a layer that the network does not have, and for outputs that stand for no classes."""
    for name in layers:
        if name not in (*source.network.blocks, HEAD):
            known = ", ".join((*source.network.blocks, HEAD))
            raise MienError(
                f"a layer among {known}", with_suggestion(name, (*source.network.blocks, HEAD)), "choose from those with `layers`"
            )
        if name == HEAD and not source.classes:
            todo = "name a run or a model, or leave head out of --layers"
            raise MienError("a trained model, whose head has classes", source.name.partition(", block ")[0], todo)


def _draw(source: Tap, layer: LayerNeurons, faces: Sequence[str], count: int, seed: int, bar: Progress) -> MaximizedNeurons:
    """Pictures that excite up to `count` neurons of a layer: the most selective of each class, then the second, and so on.

    Of the head, one for each class of the faces that the network knows.
    """
    if layer.name == HEAD:
        known = [(label, source.classes.index(name)) for label, name in enumerate(faces) if name in source.classes]
        labels, neurons = (np.array([pair[n] for pair in known], np.int64) for n in (0, 1))
        return MaximizedNeurons(layer, neurons, labels, maximize(source, HEAD, neurons, seed, bar))
    classes = layer.counts.shape[1]
    each = [layer.selective(label, -(-count // classes)).tolist() for label in range(classes)]
    turns = [(label, mine[turn]) for turn in range(-(-count // classes)) for label, mine in enumerate(each) if turn < len(mine)]
    turns = sorted(turns[:count])
    labels, neurons = (np.array([pair[n] for pair in turns], np.int64) for n in (0, 1))
    return MaximizedNeurons(layer, neurons, labels, maximize(source, layer.name, neurons, seed, bar))
