"""Face verification: whether two photos show one person, measured as in Labeled Faces in the Wild, on any set with people.

Huang et al. 2007, "Labeled Faces in the Wild: A Database for Studying Face Recognition in Unconstrained Environments", View 2:
equally many pairs of one person and of two, in ten folds without a person in common. Each fold's threshold is the best one on
the other nine. Departures: pairs are drawn from the set at hand instead of published; every person (and every two persons) has
as many pairs as any other, or all it can have; a fold with too few pairs has fewer of both kinds.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional as F

from mien.data.faceset import FaceSet
from mien.data.format import Rows
from mien.data.identities import find_people
from mien.data.splits import split_rows, test_split
from mien.errors import MienError
from mien.evaluation.sample_weights import flip_auroc
from mien.models import upscaling
from mien.progress import Progress, Silent
from mien.recognize.bundled import find_model
from mien.recognize.device import autocast, channels_last, choose_device, choose_precision
from mien.recognize.features import PART, Tap, is_run, tap
from mien.recognize.run_records import ids_that_taught
from mien.settings import Count, Seed, require_fitting

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

MOST_MET = 1000
"""Most people of a fold, at random, among whom pairs of two people are drawn: they make half a million twosomes."""


@dataclass(frozen=True)
class FacePairs:
    """P pairs of faces for verification; all arrays are (P,)."""

    first: Rows
    """Rows of the first faces."""
    second: Rows
    """Rows of the second faces."""
    same: Bools
    """Whether both faces show one person."""
    fold: Integers
    """The fold that each pair is in."""


@dataclass(frozen=True)
class Verification:
    """What `verify` found: how well features tell whether two faces show one person."""

    source: str
    """Network, weights and block of the features, in words."""
    dataset: str
    split: str
    accuracy: float
    """Mean accuracy over folds."""
    error: float
    """Standard error of the accuracy: the deviation over folds divided by the root of their number."""
    auc: float
    """Area under the ROC curve over all pairs."""
    folds: tuple[float, ...]
    """Accuracy of each fold."""
    thresholds: tuple[float, ...]
    """Threshold of each fold: the cosine above which a pair counts as one person."""
    pairs: int
    """Number of pairs."""
    people: int
    """Number of people in the pairs."""
    faces: int
    """Number of faces in the pairs."""
    flip: bool
    """Whether the mirror images' features were added."""
    trained_on: int
    """How many of the split's faces gave the run their labels, or a model that it began with, as far as its folder tells."""

    def to_json(self) -> dict[str, Any]:
        """The whole result as plain values for JSON."""
        return asdict(self)


def deal_people(person: Integers, folds: int, generator: np.random.Generator) -> Integers:
    """Deal people into folds: the fold of each person 0 to n - 1, (n,), by the person of each face, `person` (N,).

    Every fold gets as many people, and as many with two faces or more. Raises MienError where a fold would have fewer than two
    people, or none with two faces.
    """
    counts = np.bincount(person)
    several = int((counts >= 2).sum())
    if folds < 2 or len(counts) < 2 * folds or several < folds:
        raise MienError(
            f"at least 2 people in each of {folds} folds (2 or more), one of them with 2 faces",
            f"{len(counts)} people, {several} with 2 faces",
            "hold out more people (mien identities --test 0.5), or take fewer --folds or --split all",
        )
    order = generator.permutation(len(counts))
    order = order[np.argsort(counts[order] < 2, kind="stable")]
    fold = np.empty(len(counts), np.int64)
    fold[order] = np.arange(len(counts)) % folds
    return fold


def draw_pairs(person: Integers, count: int = 6000, folds: int = 10, seed: int = 0) -> FacePairs:
    """Draw about `count` different pairs of faces; half of each fold's pairs show one person.

    `person` (N,): whom each face shows, -1 where nobody knows. Raises MienError for too few people, and for fewer than a pair of
    both kinds in each fold.
    """
    if count < 2 * folds:
        raise MienError(f"at least {2 * folds} pairs for {folds} folds", f"{count}", "give more `pairs`")
    generator = np.random.default_rng(seed)
    rows = np.flatnonzero(person >= 0)
    if not len(rows):
        raise MienError("faces of known people", "none", "choose another split or set")
    index = np.unique(person[rows], return_inverse=True)[1]
    fold_of = deal_people(index, folds, generator)
    rows = rows[np.argsort(index, kind="stable")]
    sizes = np.bincount(index)
    starts = np.cumsum(sizes) - sizes
    drawn = []
    for fold in range(folds):
        mine = generator.permutation(np.flatnonzero(fold_of == fold))
        alike, others = _alike(sizes[mine]), mine[:MOST_MET]
        met = np.triu_indices(len(others), 1)
        unlike = sizes[others[met[0]]] * sizes[others[met[1]]]
        wanted = min(count // (2 * folds), int(alike.sum()), int(unlike.sum()))
        who, place = _deal(alike, wanted, generator)
        second, first = _corner(place)
        same = (starts[mine[who]] + first, starts[mine[who]] + second)
        who, place = _deal(unlike, wanted, generator)
        left, right = others[met[0][who]], others[met[1][who]]
        two = (starts[left] + place // sizes[right], starts[right] + place % sizes[right])
        drawn.append((np.concatenate([same[0], two[0]]), np.concatenate([same[1], two[1]]), np.arange(2 * wanted) < wanted))
    first, second, one = (np.concatenate(part) for part in zip(*drawn, strict=True))
    return FacePairs(rows[first], rows[second], one, np.repeat(np.arange(folds), [len(part[2]) for part in drawn]))


def _alike(sizes: Integers) -> Integers:
    """How many pairs n faces make, for each n."""
    return sizes * (sizes - 1) // 2


def _corner(place: Integers) -> tuple[Integers, Integers]:
    """The pairs i > j at these places (n,) in the order 1 > 0, 2 > 0, 2 > 1, 3 > 0, ...: i and j, (n,) each."""
    larger = ((1 + np.sqrt(1 + 8 * place)) / 2).astype(np.int64)
    return larger, place - _alike(larger)


def _deal(room: Integers, count: int, generator: np.random.Generator) -> tuple[Integers, Integers]:
    """Draw `count` different places from groups that have `room` (G,) places: the groups and the places, (count,) each.

    Every group gives as many as any other, or all it has; which groups give one more is drawn.
    """
    ascending = np.sort(room)
    # Were every group to give at most its k-th smallest room, so many would be given in all.
    given = np.cumsum(ascending) + ascending * np.arange(len(room) - 1, -1, -1)
    full = int(np.searchsorted(given, count, side="right"))
    level = int(ascending[-1]) if full == len(room) else (count - int(ascending[:full].sum())) // (len(room) - full)
    counts = np.minimum(room, level)
    more = generator.permutation(np.flatnonzero(room > level))[: count - int(counts.sum())]
    counts[more] += 1
    groups = np.flatnonzero(counts)
    places = [generator.choice(room[group], counts[group], replace=False) for group in groups]
    return np.repeat(groups, counts[groups]), np.concatenate([np.zeros(0, np.int64), *places])


def best_threshold(scores: Floats, same: Bools) -> float:
    """The threshold of `scores` (P,) that judges most pairs right, where those above it count as one person's.

    `same` (P,): which pairs show one person. Of thresholds that are equally good, the lowest.
    """
    order = np.argsort(scores, kind="stable")
    ranked, truth = scores[order], same[order]
    # With the k lowest judged as two persons: right are those of them that are, and the one-person pairs above.
    right = np.concatenate([[0], np.cumsum(~truth)]) + np.concatenate([np.cumsum(truth[::-1])[::-1], [0]])
    edge = np.concatenate([[True], ranked[1:] > ranked[:-1], [True]])
    cut = int(np.argmax(np.where(edge, right, -1)))
    below, above = ranked[max(cut - 1, 0)], ranked[min(cut, len(ranked) - 1)]
    if cut == 0:
        return float(np.nextafter(above, -np.inf))
    return float(below if cut == len(ranked) else below / 2 + above / 2)


def accuracy_by_fold(scores: Floats, pairs: FacePairs) -> tuple[Floats, Floats]:
    """Accuracy and threshold of each fold, (folds,) each; a fold's threshold is the best one on the other folds."""
    accuracies, thresholds = [], []
    for fold in range(int(pairs.fold.max()) + 1):
        tested = pairs.fold == fold
        thresholds.append(best_threshold(scores[~tested], pairs.same[~tested]))
        accuracies.append(np.mean((scores[tested] > thresholds[-1]) == pairs.same[tested]))
    return np.array(accuracies), np.array(thresholds)


def verify(
    run: Path | str,
    faces: FaceSet | Path | str,
    split: str | None = None,
    block: str | None = None,
    pairs: int = 6000,
    folds: int = 10,
    flip: bool = False,
    seed: int = 0,
    device: str = "auto",
    progress: Progress | None = None,
) -> Verification:
    """Measure how well the cosine of a block's features tells whether two faces of `split` show one person.

    `run`: a run, a model or a network's name, as for `mien features`. `block`: the last one without it; its maps are averaged.
    `flip` adds the mirror image's features. Raises MienError where split, people, block or face shape do not fit.
    """
    require_fitting(Seed, seed=seed)
    require_fitting(Count, pairs=pairs, folds=folds)
    faces = FaceSet.of(faces)
    source = tap(str(run), block, faces.info, seed, choose_device(device))
    split = split or test_split(faces)
    tested = faces.select(split_rows(faces, split))
    person, _ = find_people(tested)
    drawn = draw_pairs(person, pairs, folds, seed)
    used, place = np.unique(np.concatenate([drawn.first, drawn.second]), return_inverse=True)
    vectors = unit_features(source, tested.select(used), flip, progress or Silent())
    first, second = place.reshape(2, -1)
    scores = np.einsum("pd,pd->p", vectors[first], vectors[second])
    accuracies, thresholds = accuracy_by_fold(scores, drawn)
    return Verification(
        source=source.name,
        dataset=faces.info.name or "unnamed",
        split=split,
        accuracy=float(accuracies.mean()),
        error=float(accuracies.std(ddof=1) / np.sqrt(len(accuracies))),
        auc=flip_auroc(-scores, drawn.same),
        folds=tuple(map(float, accuracies)),
        thresholds=tuple(map(float, thresholds)),
        pairs=len(scores),
        people=len(np.unique(person[used])),
        faces=len(used),
        flip=flip,
        trained_on=_trained_on(str(run), faces, tested),
    )


@torch.inference_mode()
def unit_features(source: Tap, faces: FaceSet, flip: bool, progress: Progress) -> Floats:
    """Features (N, D) of N faces, scaled to length 1; a block's maps are averaged, and `flip` adds the mirror image's."""
    device = next(source.network.parameters()).device
    out = []
    larger = upscaling(source.network, source.name)
    if larger:
        progress.say(larger)
    progress.begin("features", len(faces))
    for rows in np.array_split(np.arange(len(faces)), -(-len(faces) // PART) or 1):
        pixels = torch.from_numpy(faces.faces(rows)).to(device)
        shown = [source.views.clean(pixels), *([source.views.mirror(pixels)] if flip else [])]
        with autocast(device, choose_precision("auto", device)):
            found = [source.network.features(channels_last(inputs), source.block).float() for inputs in shown]
        pooled = torch.stack([maps.mean(dim=(2, 3)) if maps.ndim == 4 else maps for maps in found]).sum(dim=0)
        out.append(F.normalize(pooled.double(), dim=1).cpu())
        progress.advance(len(rows))
    vectors: Floats = torch.cat(out).numpy()
    return vectors


def _trained_on(run: str, faces: FaceSet, tested: FaceSet) -> int:
    """How many of the tested faces, which are of the set `faces`, gave the run their labels, or a model that it began with."""
    used = ids_that_taught(find_model(run), faces.info.checksum) if is_run(run) else set()
    return int(np.isin(tested.values("id").astype(str), list(used)).sum())
