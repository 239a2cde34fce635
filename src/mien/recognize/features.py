"""Caches features: a block's output for several views of every face, written as a face set of kind `features`."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np
import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from mien.data.faceset import FaceSet
from mien.data.format import Info
from mien.data.views import Views
from mien.data.writer import FaceSetWriter
from mien.errors import MienError
from mien.models import Network, architecture, published, upscaling
from mien.models.onnx_facenet import OnnxMap
from mien.progress import Progress, Silent
from mien.recognize.bundled import find_model
from mien.recognize.device import autocast, channels_last, choose_device, choose_precision, to_device
from mien.recognize.model_card import read_card, require_alike
from mien.recognize.run_records import note_published, note_source
from mien.recognize.saved_networks import build_network, read_blocks
from mien.registry import component_names
from mien.settings import Count, CountOrZero, NotNegative, Seed, require_fitting
from mien.wording import with_suggestion

BATCH = 256
"""Faces whose features are written at a time."""
PART = 64
"""Faces that go through the network at a time: the maps of large networks at 224 pixels need 50 MB a face."""


@dataclass(frozen=True)
class Tap:
    """Where features are taken: a network in eval mode, one of its blocks, and how the network sees faces."""

    network: Network
    block: str
    """Name of the block whose output is taken."""
    views: Views
    name: str
    """Network, weights and block in words."""
    classes: tuple[str, ...] = ()
    """Names of the network's outputs; none where it was trained for no classes of ours."""


def view_names(count: int) -> tuple[str, ...]:
    """Names of `count` cached views: `clean`, `mirror`, then `weak` and `strong` in turn. Raises MienError for none."""
    if count < 1:
        raise MienError("at least one view", f"{count}", "give `views` 1 or more")
    return (*("clean", "mirror")[:count], *(("weak", "strong")[n % 2] for n in range(count - 2)))


def tap(network: str | Mapping[str, Any], block: str | None, info: Info, seed: int, device: torch.device) -> Tap:
    """The tap at a block of `network`: a run, a model folder, a network's name or its settings; for faces like those of `info`.

    A network by name has its published weights, or those of its file, where there are any, else random ones from `seed`. Without
    a block, the last one is taken. Raises MienError where there is no such network or block.
    """
    settings = {"network": network} if isinstance(network, str) else dict(network)
    made, views, name = _trained(find_model(network), info) if is_run(network) else _built(settings, info, seed)
    classes = read_card(find_model(network)).classes if is_run(network) else ()
    chosen = block or list(made.blocks)[-1]
    if chosen not in made.blocks:
        raise MienError(f"a block among {', '.join(made.blocks)}", with_suggestion(chosen, made.blocks), "choose one of those")
    return Tap(to_device(made, device).eval(), chosen, views, f"{name}, block {chosen}", classes)


def note_tapped(folder: Path, network: str | Mapping[str, Any]) -> None:
    """Write into a run's folder that it began with this `network`, as `tap` takes it: a model, or published weights."""
    if is_run(network):
        note_source(folder, find_model(network))
        return
    settings = {"network": network} if isinstance(network, str) else network
    if origin := architecture(settings).origin():
        note_published(folder, str(settings["network"]), origin.sha256, origin.license)


def is_run(network: str | Mapping[str, Any]) -> TypeGuard[str]:
    """Whether `network` is a run's or a model's folder, not a network's name or settings.

    Where it may be both, it is the folder.
    """
    return isinstance(network, str) and (network not in component_names("mien.models") or Path(network).exists())


def _trained(folder: Path, info: Info) -> tuple[Network, Views, str]:
    card = read_card(folder)
    require_alike(card, info)
    return read_blocks(folder), Views(info, card.normalize), f"{card.network['network']}, weights {card.weights[:12]}"


def _built(network: dict[str, Any], info: Info, seed: int) -> tuple[Network, Views, str]:
    made, weights = build_network(network, 2, info, seed), published(network)
    if weights is None:
        files = [module.file for module in made.modules() if isinstance(module, OnnxMap)]
        return made, Views(info), f"{network['network']}, {files[0] if files else f'random weights, seed {seed}'}"
    made.load_state_dict(made.state_dict() | weights)
    return made, Views(info), f"{network['network']}, published weights"


def write_features(
    address: str,
    faces: FaceSet | Path | str,
    out: Path | str,
    views: int = 2,
    grid: int = 1,
    seed: int = 0,
    device: str = "auto",
    progress: Progress | None = None,
    limit_gb: float = 8.0,
    settings: Mapping[str, Any] | None = None,
    beside: Sequence[str] = (),
) -> FaceSet:
    """Write the features that `address`, `RUN_OR_NETWORK[:BLOCK]`, gives for all faces as a new set at `out`, and open it.

    `settings`: those of a network that is given by name. `beside`: further addresses, whose features of a face follow the first
    one's. The other parameters, and errors, are those of `write_taps`.
    """
    require_fitting(Seed, seed=seed)
    require_fitting(Count, views=views)
    require_fitting(CountOrZero, grid=grid)
    require_fitting(NotNegative, limit_gb=limit_gb)
    faces = FaceSet.of(faces)
    network, _, block = address.partition(":")
    if settings and is_run(network):
        known = ", ".join(component_names("mien.models"))
        raise MienError(f"a network among {known} to change settings of", repr(network), "leave out --set: a model has its own")
    chosen = choose_device(device)
    sources = [tap({"network": network, **settings} if settings else network, block, faces.info, seed, chosen)]
    for other in beside:
        network, _, block = other.partition(":")
        sources.append(tap(network, block, faces.info, seed, chosen))
    return write_taps(sources, faces, Path(out), views, grid, seed, chosen, progress or Silent(), limit_gb)


def write_taps(
    taps: Tap | Sequence[Tap],
    faces: FaceSet,
    out: Path,
    views: int,
    grid: int,
    seed: int,
    device: torch.device,
    progress: Progress,
    limit_gb: float = 8.0,
) -> FaceSet:
    """Write the features of all faces, float16 (N, views, D), as a new set with the same table, and open it.

    Several taps see the same views, and their features of a face stand side by side. A block's maps are averaged to `grid` x
    `grid`, so that D is the channels times grid squared; grid 0 keeps the maps as they are. The set's size is said before.
    Raises MienError where it is above `limit_gb` gigabytes, `out` exists, or faces do not fit.
    """
    sources = [taps] if isinstance(taps, Tap) else taps
    shown = view_names(views)
    dimension = sum(_dimension(source, grid) for source in sources)
    _announce(sources, len(faces), views, dimension, limit_gb, progress)
    progress.begin("features", len(faces))
    names = " + ".join(source.name for source in sources)
    info = replace(faces.info, kind="features", side=0, views=shown, name=f"{faces.info.name}: {names}")
    noise = Generator(device).manual_seed(seed)
    with FaceSetWriter(out, replace(info, channels=dimension)) as writer:
        columns = {name: faces.column(name) for name in faces.column_names}
        for start in range(0, len(faces), BATCH):
            rows = np.arange(start, min(len(faces), start + BATCH))
            pixels = torch.from_numpy(faces.faces(rows)).to(device)
            began, blocks = noise.get_state(), []
            for source in sources:
                noise.set_state(began)
                blocks.append(torch.stack(list(_features(source, pixels, shown, grid, noise)), dim=1))
            block = torch.cat(blocks, dim=2)
            writer.add(_halved(block).cpu().numpy(), {name: values.slice(start, len(rows)) for name, values in columns.items()})
            progress.advance(len(rows))
    return FaceSet.open(out)


def _halved(block: Tensor) -> Tensor:
    """Features in half precision. Raises MienError where a value is too large for that."""
    half = block.half()
    if not half.isfinite().all():
        largest = float(block.abs().max())
        raise MienError("features that half precision can hold, up to 65,504", f"{largest:,.0f}", "take another block")
    return half


def _announce(sources: Sequence[Tap], count: int, views: int, dimension: int, limit_gb: float, progress: Progress) -> None:
    if not count:
        raise MienError("faces to take features of", "an empty set", "choose another set")
    size = count * views * dimension * 2
    amount = f"{size / 1e9:,.1f} GB" if size >= 1e9 else f"{math.ceil(size / 1e6)} MB"
    told = f"{count:,} faces x {views} views x {dimension:,} features in half precision: {amount}"
    if size > limit_gb * 1e9:
        raise MienError(f"at most {limit_gb:g} GB of features", told, "take fewer views, a smaller grid, or a higher `limit_gb`")
    progress.say(told)
    for source in sources:
        if larger := upscaling(source.network, source.name):
            progress.say(larger)


@torch.inference_mode()
def _features(source: Tap, pixels: Tensor, shown: tuple[str, ...], grid: int, noise: Generator) -> Iterator[Tensor]:
    """Features (B, D), float32, of each of the views that are named in `shown`."""
    for name in shown:
        if name in ("weak", "strong"):
            inputs = source.views.view(pixels, "weak" if name == "weak" else "strong", noise)
        else:
            inputs = source.views.clean(pixels) if name == "clean" else source.views.mirror(pixels)
        with autocast(pixels.device, choose_precision("auto", pixels.device)):
            made = [source.network.features(channels_last(part), source.block).float() for part in inputs.split(PART)]
        features = torch.cat(made)
        yield F.adaptive_avg_pool2d(features, grid).flatten(1) if grid and features.ndim == 4 else features.flatten(1)


def _dimension(source: Tap, grid: int) -> int:
    shape = source.network.shapes()[source.block]
    return shape[0] * grid**2 if grid and len(shape) == 3 else math.prod(shape)
