"""Worthiness (DAL, Eq. 7-12, Algorithm 1): faces that are uncertain, and whose patches are seen differently, are asked about.

The patches of a face share its label, so a model that knows it predicts the same of all. Not all of them show something: the
worth of a face is that of the patches which speak most for the class that all of them together predict.
"""

import math
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field
from pydantic.dataclasses import dataclass
from typing_extensions import override

from mien.active.acquire import LEAST, PATCH_SIDE, Acquire, Floats, Indices, LooksAt, ScoredPool, entropy_of, most_wanted
from mien.settings import STRICT, Count, NotNegative, Share

PatchSide = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]


def dominant(patches: Floats) -> Indices:
    """(N,) Eq. 10: the dominant class of each face, with the highest sum over its patches (N, P, K)."""
    classes: Indices = patches.sum(axis=1).argmax(axis=1)
    return classes


def kept_patches(patches: int, share: float) -> int:
    """How many patches count: alpha * P, rounded up, and at least the two that diversity needs, where there are two."""
    return min(patches, max(2, math.ceil(round(share * patches, 9))))


def most_confident(patches: Floats, share: float) -> Floats:
    """(N, m, K) C^alpha: the patches of each face (N, P, K) most confident of its dominant class, in that order."""
    confidence = np.take_along_axis(patches, dominant(patches)[:, None, None], axis=2).squeeze(2)
    order = np.argsort(-confidence, axis=1, kind="stable")[:, : kept_patches(patches.shape[1], share)]
    return np.take_along_axis(patches, order[:, :, None], axis=1)


def mean_entropy(patches: Floats) -> Floats:
    """(N,) Eq. 7: e, the mean entropy of the patches (N, m, K)."""
    mean: Floats = entropy_of(patches).mean(axis=1)
    return mean


def diversity(patches: Floats) -> Floats:
    """(N,) Eq. 8: d, the sum over all pairs of patches (N, m, K) of sum_k (p_k - q_k) log(p_k / q_k).

    No pair is formed: sum_{j<l} (a_j - a_l)(b_j - b_l) = m sum_j (a_j - mean a)(b_j - mean b). A pair of a patch with itself,
    which Eq. 8 counts as well (l from j on), adds 0.
    """
    logs = np.log(np.maximum(patches, LEAST))
    apart = (patches - patches.mean(axis=1, keepdims=True)) * (logs - logs.mean(axis=1, keepdims=True))
    total: Floats = patches.shape[1] * apart.sum(axis=(1, 2))
    return np.maximum(total, 0)


def patch_pairs(patches: int) -> int:
    """The number of pairs of different patches; 1 where there is none, so that it can divide a diversity of 0."""
    return max(1, patches * (patches - 1) // 2)


def sampling_probabilities(worth: Floats) -> Floats:
    """(w*b,) Eq. 11-12: the probabilities of the top w*b faces, by their W (w*b,) in descending order; 0 for the last one.

    If all W are equal, all faces are equally probable.
    """
    shifted = worth - worth[-1]
    if shifted[0] == 0:
        return np.full(len(worth), 1 / len(worth))
    shifted = shifted / shifted[0]
    probabilities: Floats = shifted / shifted.sum()
    return probabilities


def draw_by_probability(probabilities: Floats, count: int, generator: np.random.Generator) -> Indices:
    """(count,) Q: different indices, drawn one after the other by probabilities (w*b,); in ascending order.

    The draw is a race of exponential clocks. Faces of probability 0 are drawn, at random, only where no other is left.
    """
    clocks, arrivals = generator.exponential(size=len(probabilities)), np.full(len(probabilities), np.inf)
    np.divide(clocks, probabilities, out=arrivals, where=probabilities > 0)
    return np.sort(np.lexsort((clocks, arrivals))[:count]).astype(np.int64)


@dataclass(frozen=True, config=STRICT)
class Worthiness(Acquire):
    """W = lambda_1 e + lambda_2 d (Eq. 9) over the top alpha of a face's patches; b of the top w*b faces are drawn by it.

    Departures, each with an option that follows the letter:
    - Eq. 8 is a sum over all pairs beside Eq. 7, which is a mean. By default it is divided by the number of pairs
      (`normalize = "literal"`). Over all nine patches, 36 pairs, the sum decides alone. At the alpha used here three patches make
      3 pairs, and entropy decides either way: on real faces it is .42 (measured before this project), half the diversity .12, or
      .04 divided.
    What the paper leaves open: how large a patch is (`patch_side`: nine tenths of the face's side; on smaller ones the network is
    wrong where it is right on the face); alpha (a quarter here, 3 of 9 patches: a fraction is rounded up, and two are the least
    that can differ); w (5); logarithms of 0 (of 1e-12 instead); all worths equal (Eq. 11 divides by 0; drawn uniformly). Alg. 1
    sorts the patches before it takes the dominant class, by which they are sorted: the class comes first. The chosen are given
    by descending W. With one patch a face there is no diversity.
    """

    looks_at: ClassVar[LooksAt] = "patches"

    entropy_weight: NotNegative = 1.0
    """lambda_1: the weight of entropy."""
    diversity_weight: NotNegative = 0.5
    """lambda_2: the weight of diversity."""
    share: Share = 0.25
    """alpha: the share of a face's patches that count."""
    extension: Count = 5
    """w: b faces are drawn from the top w*b; 1 takes the top b."""
    normalize: Literal["pairs", "literal"] = "pairs"
    """Whether Eq. 8 is divided by the number of pairs, or taken as written."""
    patch_side: PatchSide = PATCH_SIDE
    """The side of each of the nine patches, as a share of the face's side. Cached features have views in place of patches."""

    @override
    def __call__(self, pool: ScoredPool, count: int, generator: np.random.Generator) -> Indices:
        """(min(count, N),) indices by descending worthiness."""
        wanted, scores = pool.wanted(count), self.scores(pool)
        top = most_wanted(scores, self.extension * wanted)
        return top[draw_by_probability(sampling_probabilities(scores[top]), wanted, generator)]

    @override
    def scores(self, pool: ScoredPool) -> Floats:
        """(N,) Eq. 9: W, the worthiness of each face."""
        kept = most_confident(pool.predictions(), self.share)
        count = patch_pairs(kept.shape[1]) if self.normalize == "pairs" else 1
        return self.entropy_weight * mean_entropy(kept) + self.diversity_weight * diversity(kept) / count
