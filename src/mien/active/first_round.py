"""The first round where there is no model yet: what is known of faces is their features, and a strategy that asks for no more."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from mien.active.acquire import Acquire, FloatArray, ScoredPool
from mien.active.resolved_settings import build_strategy
from mien.active.rounds_settings import RANDOM
from mien.data.faceset import FaceSet
from mien.data.format import Rows
from mien.data.views import Views
from mien.installed import package_folder
from mien.models.facenet_dlib import PACKAGE
from mien.progress import Progress
from mien.recognize.device import channels_last, choose_device
from mien.recognize.features import Tap, tap

TYPICAL = "typical"
"""The strategy of a first round whose own strategy looks at predictions."""
NETWORK, BLOCK, GRID = {"network": "facenet_dlib", "side": 112}, "block9", 3
"""The face net whose features are taken of pixels, the block, and the side of the grid to which its maps are averaged."""
BATCH = 64
"""Faces that go through the face net at a time."""
LEAST = 1e-3
"""Added to a feature's deviation, so that one that never changes can be divided by it."""


@dataclass(frozen=True, eq=False)
class FirstRound:
    """How faces are chosen before there is a model."""

    faces: FaceSet
    """All N faces of the rounds; their labels are not looked at."""
    device: str
    """Where the face net runs."""
    progress: Progress

    @cached_property
    def features(self) -> FloatArray | None:
        """(N, D) features of zero mean and unit variance: the set's own, or those of a face net; None where none is installed."""
        if self.faces.info.kind == "faces" and package_folder(PACKAGE) is None:
            return None
        device = choose_device(self.device)
        source = tap(NETWORK, BLOCK, self.faces.info, 0, device) if self.faces.info.kind == "faces" else None
        self.progress.begin("features", len(self.faces))
        parts = []
        for start in range(0, len(self.faces), BATCH):
            pixels = torch.from_numpy(self.faces.faces(np.arange(start, min(len(self.faces), start + BATCH)))).to(device)
            parts.append(_seen(source, pixels, Views(self.faces.info)).cpu())
            self.progress.advance(len(pixels))
        found = torch.cat(parts)
        standardized: FloatArray = ((found - found.mean(dim=0)) / (found.std(dim=0, correction=0) + LEAST)).numpy()
        return standardized

    def strategy(self, asked: Acquire) -> Acquire:
        """The strategy that was asked for, where it needs no predictions; else `typical`, or `random` without features."""
        if asked.looks_at == "nothing":
            return asked
        if self.features is None:
            self.progress.say(
                "there is no model yet: faces are drawn at random; to ask about typical ones, pip install 'mien[facenet]'"
            )
            return build_strategy(RANDOM)
        if asked.looks_at == "features":
            return asked
        self.progress.say("there is no model yet: faces are chosen by typical")
        return build_strategy(TYPICAL)

    def pool(self, rows: Rows, known: Rows) -> ScoredPool:
        """The faces in `rows` (n,), each class as probable as the others, with features of these and of the known rows (m,)."""
        count = len(self.faces.classes)
        equal, features = np.full((len(rows), 1, count), 1 / count, np.float32), self.features
        return ScoredPool(equal) if features is None else ScoredPool(equal, features[rows], features[known])


@torch.inference_mode()
def _seen(source: Tap | None, pixels: Tensor, views: Views) -> Tensor:
    """Features (B, D), float32, of stored faces: what a face net gives, or without one what is stored."""
    if source is None:
        return views.clean(pixels)
    maps = source.network.features(channels_last(source.views.clean(pixels)), source.block).float()
    return F.adaptive_avg_pool2d(maps, GRID).flatten(1)
