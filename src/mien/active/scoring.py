"""What a recognizer says of the faces of a pool: probabilities and features for strategies, computed in one streaming pass.

A face's nine patches (DAL, 3.3 and Fig. 6) are a 3 x 3 grid of overlapping crops, as large as the strategy says: the paper leaves
it open. Each is enlarged to the face's side, which is what a network takes, and normalized on its own where faces are.
"""

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from mien.active.acquire import Acquire, FloatArray, ScoredPool
from mien.data.augment import normalize, to_unit
from mien.data.faceset import FaceSet
from mien.data.format import Info
from mien.errors import MienError
from mien.evaluation.neighborhood_stability import RecognizerInputs
from mien.progress import Progress, Silent
from mien.recognize.device import channels_last
from mien.recognize.recognizer import Recognizer

GRID = 3
"""Patches in a row of the grid, and rows of the grid."""
VALUES = 1 << 22
"""The most numbers in the network's largest map for the faces that it gets at a time, at least one face: in mien_s 227 faces of
48 pixels, or the patches of 25. (A large network at 224 pixels makes 3 million of one face.)"""


def score_pool(
    recognizer: Recognizer,
    faces: FaceSet,
    strategy: Acquire,
    known: FaceSet | None = None,
    progress: Progress | None = None,
) -> ScoredPool:
    """Score the pool `faces` for a strategy, as far as its `looks_at` says.

    `nothing`: the number of faces. `face`: calibrated probabilities (N, 1, K). `patches`: probabilities of nine crops, or of all
    V views of cached features, (N, 9 or V, K). `features`: probabilities of the face, and the output of the last block, averaged
    where that is a map, (N, D) float32, for the labeled faces `known`, too. Raises MienError for an empty pool, and for faces of
    another kind, side or color than the recognizer was trained on.
    """
    if not len(faces):
        raise MienError("faces to choose from", "an empty pool", "choose another set or split, or stop asking")
    told, near = progress or Silent(), None
    if strategy.looks_at == "features" and known is not None and len(known):
        near = _score(recognizer, known, strategy, None, told).features
    return _score(recognizer, faces, strategy, near, told)


def patch_crops(faces: Tensor, share: float) -> Tensor:
    """(B, GRID^2, C, S, S) the patches of faces (B, C, S, S): GRID x GRID overlapping parts, row by row, enlarged.

    `share`: the side of a part, as a share of the face's side.
    """
    side = faces.shape[-1]
    length = max(1, round(share * side))
    starts = [round(n * (side - length) / (GRID - 1)) for n in range(GRID)]
    cut = [faces[:, :, down : down + length, across : across + length] for down in starts for across in starts]
    enlarged = F.interpolate(torch.stack(cut, dim=1).flatten(0, 1), (side, side), mode="bilinear")
    return enlarged.reshape(len(faces), GRID**2, *enlarged.shape[1:])


@torch.inference_mode()
def _score(recognizer: Recognizer, faces: FaceSet, strategy: Acquire, known: FloatArray | None, progress: Progress) -> ScoredPool:
    network_inputs, network = RecognizerInputs.of(recognizer, faces.info), recognizer.network
    looks_at = strategy.looks_at
    if looks_at == "nothing":
        return ScoredPool(np.empty((len(faces), 0, len(recognizer.classes)), np.float32))
    count = _patches(faces.info) if looks_at == "patches" else 1
    patches = np.empty((len(faces), count, len(recognizer.classes)), np.float32)
    shapes = [network.shape, *network.shapes().values()]
    features = np.empty((len(faces), shapes[-1][0]), np.float32) if looks_at == "features" else None
    size = max(1, VALUES // (count * max(map(math.prod, shapes))))
    progress.begin("scoring", len(faces))
    for start in range(0, len(faces), size):
        rows = np.arange(start, min(len(faces), start + size))
        pixels = torch.from_numpy(faces.faces(rows)).to(recognizer.device)
        inputs = (
            _patch_inputs(network_inputs, pixels, strategy.patch_side)
            if looks_at == "patches"
            else network_inputs.of_faces(pixels)
        )
        with network_inputs.precision():
            found = network.last_features(inputs)
            logits = network.decide(found)
        probabilities = torch.softmax(logits / recognizer.card.temperature, dim=1)
        patches[rows] = probabilities.view(len(rows), count, -1).cpu().numpy()
        if features is not None:
            features[rows] = _averaged(found).cpu().numpy()
        progress.advance(len(rows))
    return ScoredPool(patches, features, known)


def _patches(info: Info) -> int:
    """How many patches a face has."""
    return len(info.views) if info.kind == "features" else GRID**2


def _patch_inputs(network_inputs: RecognizerInputs, pixels: Tensor, share: float) -> Tensor:
    """The network's inputs for all patches of stored faces, face by face: (B * P, C, S, S) or (B * V, D)."""
    if network_inputs.views.info.kind == "features":
        return pixels.flatten(0, 1).float()
    return channels_last(normalize(patch_crops(to_unit(pixels), share).flatten(0, 1), network_inputs.views.normalization))


def _averaged(features: Tensor) -> Tensor:
    """Features (B, C', S', S') averaged over each map, or (B, D') as they are, in float32."""
    return features.float().mean(dim=(2, 3)) if features.ndim == 4 else features.float()
