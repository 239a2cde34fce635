"""Cached features: what a block of a network makes of every face, in several views, as a face set of kind `features`."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from mien.data.faceset import FaceSet
from mien.data.views import Views
from mien.data.writer import FaceSetWriter
from mien.errors import MienError
from mien.models import Network
from mien.progress import Progress, Silent
from mien.recognize.device import autocast, channels_last, choose_device, choose_precision
from mien.recognize.files import build_network, read_card, read_network, require_alike
from mien.registry import names

BATCH = 256


@dataclass(frozen=True)
class Tap:
    """Where features are taken: a network in eval mode, one of its blocks, and how the network sees faces."""

    network: Network
    block: str
    views: Views
    name: str


def view_names(count: int) -> tuple[str, ...]:
    """What `count` cached views show: the face, its mirror image, then weak and strong views in turn."""
    if count < 1:
        raise MienError("at least one view", f"{count}", "give --views 1 or more")
    return (*("clean", "mirror")[:count], *(("weak", "strong")[n % 2] for n in range(count - 2)))


def tap(address: str, faces: FaceSet, seed: int, device: torch.device) -> Tap:
    """The tap at `RUN_OR_NETWORK[:BLOCK]`: a run, a model folder, or a file of models/ with random weights from `seed`.

    Without a block it is the last one. Raises MienError where there is no such network or block.
    """
    place, _, block = address.partition(":")
    if place in names("mien.models") and not Path(place).exists():
        network, views = build_network({"network": place}, 2, faces.info, seed), Views(faces.info)
        name = f"{place}, random weights, seed {seed}"
    else:
        card = read_card(Path(place))
        require_alike(card, faces.info)
        network, views = read_network(Path(place)), Views(faces.info, card.normalize)
        name = f"{card.network['network']}, weights {card.weights[:12]}"
    chosen = block or list(network.blocks)[-1]
    if chosen not in network.blocks:
        raise MienError(f"a block among {', '.join(network.blocks)}", repr(chosen), "choose one of those")
    return Tap(network.to(device).eval(), chosen, views, f"{name}, block {chosen}")


def write_features(
    address: str,
    faces: FaceSet,
    out: Path | str,
    views: int = 2,
    grid: int = 1,
    seed: int = 0,
    device: str = "auto",
    progress: Progress | None = None,
) -> FaceSet:
    """Write the features of all faces, float16 (N, views, D), as a new set with the same table, and open it.

    A block's maps are averaged to `grid` x `grid`, so D is its channels times grid squared. Raises MienError where `out`
    exists, or network, block and faces do not fit.
    """
    source = tap(address, faces, seed, choose_device(device))
    shown, bar = view_names(views), progress or Silent()
    bar.begin("features", len(faces))
    info = replace(faces.info, kind="features", side=0, views=shown, name=f"{faces.info.name}: {source.name}")
    noise = Generator(choose_device(device)).manual_seed(seed)
    with FaceSetWriter(Path(out), replace(info, channels=_dimension(source, faces, grid))) as writer:
        columns = {name: faces.column(name) for name in faces.column_names}
        for start in range(0, len(faces), BATCH):
            rows = np.arange(start, min(len(faces), start + BATCH))
            pixels = torch.from_numpy(faces.faces(rows)).to(choose_device(device))
            block = torch.stack(list(_features(source, pixels, shown, grid, noise)), dim=1)
            writer.add(block.half().cpu().numpy(), {name: values.slice(start, len(rows)) for name, values in columns.items()})
            bar.advance(len(rows))
    return FaceSet.open(out)


@torch.inference_mode()
def _features(source: Tap, pixels: Tensor, shown: tuple[str, ...], grid: int, noise: Generator) -> Iterator[Tensor]:
    """(B, D) float32 of each view."""
    for name in shown:
        if name in ("weak", "strong"):
            inputs = source.views.view(pixels, "weak" if name == "weak" else "strong", noise)
        else:
            inputs = source.views.clean(pixels) if name == "clean" else source.views.mirror(pixels)
        with autocast(pixels.device, choose_precision("auto", pixels.device)):
            features = source.network.features(channels_last(inputs), source.block).float()
        yield F.adaptive_avg_pool2d(features, grid).flatten(1) if features.ndim == 4 else features


def _dimension(source: Tap, faces: FaceSet, grid: int) -> int:
    if not len(faces):
        raise MienError("faces to take features of", "an empty set", "choose another set")
    pixels = torch.from_numpy(faces.faces([0])).to(next(source.network.parameters()).device)
    return int(next(_features(source, pixels, ("clean",), grid, Generator())).shape[1])
