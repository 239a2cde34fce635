"""Estimates how long a run will take on this machine: the steps of its recipe, times what a few faces take."""

import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from mien.data.format import Info
from mien.data.views import Views
from mien.models import Network
from mien.recipes.recipe import Recipe, Stage, build_techniques
from mien.recognize.device import autocast, channels_last, choose_device, choose_precision, to_device
from mien.recognize.saved_networks import build_network
from mien.training.loop import own_threads
from mien.training.questions import Draw

SAMPLE = 16
"""Faces that are timed at once."""

QUICK_STARTS = ("scratch", "transfer", "weights")
"""Starts that train nothing."""


def estimate_seconds(
    recipe: Recipe,
    info: Info,
    labels: int,
    unlabeled: int,
    device: str = "auto",
    threads: int | None = None,
    joined: int = 0,
) -> float | None:
    """About how many seconds a run of `recipe` takes on a device; None where its start trains networks of its own.

    `info`: what holds for the faces. `labels`: with those that validate. `unlabeled`: faces without labels. `joined`: labels
    of a further set, of which none validates. A few random faces are timed: this is an estimate. torch's random state is left
    as it was. Raises MienError where device and network do not fit.
    """
    where = choose_device(device)
    if recipe.start["technique"] not in QUICK_STARTS:
        return None
    with own_threads(threads), torch.random.fork_rng([where] if where.type == "cuda" else []):
        network = to_device(build_network(recipe.model, max(2, len(info.classes)), info), where)
        timing = _Timing(network, Views(info, recipe.normalize, recipe.augment), recipe, where)
        return sum(_stage_seconds(recipe, stage, timing, labels, unlabeled, joined) for stage in recipe.stages)


def _stage_seconds(recipe: Recipe, stage: Stage, timing: "_Timing", labels: int, unlabeled: int, joined: int) -> float:
    validation = round(recipe.validation * labels)
    train = max(1, labels - validation + joined)
    size = min(recipe.batch, train)
    techniques = build_techniques(recipe, stage)
    draw: Draw = techniques["draw"][0]
    batches = max(draw.at_least, train // size)
    (technique,) = techniques["unlabeled"]
    looked_at = min(recipe.unlabeled_batch, unlabeled) if technique.needs_unlabeled else 0
    forward = timing.forward()
    # Of an unlabeled face one view gives the pseudo-label, and another one learns it.
    step = (size + looked_at) * timing.backward(stage) + looked_at * forward
    return stage.epochs * (batches * step + validation * forward)


class _Timing:
    """Seconds a face that a network takes, of random faces."""

    def __init__(self, network: Network, views: Views, recipe: Recipe, device: torch.device) -> None:
        self.network = network
        self.views = views
        self.device = device
        self.precision = choose_precision(recipe.precision, device)
        self.faces = _random_faces(views.info).to(device)
        self.generator = Generator(device).manual_seed(0)

    def forward(self) -> float:
        """Seconds a face to predict."""
        self.network.eval()
        with torch.no_grad():
            return self._seconds(lambda: self._logits())

    def backward(self, stage: Stage) -> float:
        """Seconds a face to learn from, in a stage with its frozen blocks."""
        for name, block in self.network.blocks.items():
            block.requires_grad_(name not in stage.frozen)
        self.network.train()

        def learn() -> None:
            logits = self._logits()
            F.cross_entropy(logits, torch.zeros(len(logits), dtype=torch.int64, device=self.device)).backward()

        return self._seconds(learn)

    def _logits(self) -> Tensor:
        shown = channels_last(self.views.view(self.faces, "weak", self.generator))
        with autocast(self.device, self.precision):
            logits: Tensor = self.network(shown).float()
        return logits

    def _seconds(self, work: Callable[[], object]) -> float:
        """Seconds that the work takes for one face: the shorter of two times, after one that only warms up."""
        taken = []
        for _ in range(3):
            started = time.perf_counter()
            work()
            if self.device.type == "cuda":
                torch.cuda.synchronize(self.device)
            taken.append(time.perf_counter() - started)
        return min(taken[1:]) / len(self.faces)


def _random_faces(info: Info) -> Tensor:
    """A few faces, or features, like those of a set."""
    generator = np.random.default_rng(0)
    if info.kind == "features":
        return torch.from_numpy(generator.normal(size=(SAMPLE, len(info.views), info.channels)).astype(np.float16))
    shape = (SAMPLE, info.side, info.side, *([info.channels] if info.channels > 1 else []))
    return torch.from_numpy(generator.integers(0, 256, shape, np.uint8))
