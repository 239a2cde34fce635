"""Strategies against loops over faces, patches and classes, what they promise of every pool, and how often faces are drawn."""

import itertools
import math
import warnings
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax
from scipy.stats import entropy as scipy_entropy

from mien import MienError
from mien.active.acquire import Acquire, Floats, ScoredPool, entropy_of, most_wanted
from mien.active.acquire.diverse import CENTERS, Diverse
from mien.active.acquire.entropy import Entropy
from mien.active.acquire.margin import Margin
from mien.active.acquire.random import Random
from mien.active.acquire.typical import Typical, first_centers, k_means, typicality
from mien.active.acquire.worthiness import (
    Worthiness,
    diversity,
    dominant,
    draw_by_probability,
    kept_patches,
    mean_entropy,
    most_confident,
    patch_pairs,
    sampling_probabilities,
)
from mien.registry import build_component, component_names, find_component
from mien.settings import setting_docs

ROOM = "mien.active.acquire"
STRATEGIES = component_names(ROOM)

shapes = st.tuples(st.integers(1, 12), st.integers(1, 9), st.integers(2, 5), st.integers(0, 1000))
"""Faces, patches, classes and a seed."""


def disagreeing(faces: int, patches: int = 9, classes: int = 7, spread: float = 2.0, seed: int = 0) -> Floats:
    """Predictions of patches that have nothing to do with each other."""
    predictions: Floats = softmax(spread * np.random.default_rng(seed).normal(size=(faces, patches, classes)), axis=2)
    return predictions


def some_pool(faces: int = 30, patches: int = 9, known: int = 4, seed: int = 0) -> ScoredPool:
    generator = np.random.default_rng(seed + 100)
    probabilities = disagreeing(faces, patches, seed=seed).astype(np.float32)
    features = generator.normal(size=(faces + known, 5)).astype(np.float32)
    return ScoredPool(probabilities, features[known:], features[:known])


def strategy_of(name: str, **changed: Any) -> Acquire:
    made: Acquire = build_component(ROOM, {"strategy": name, **changed}, "strategy")
    return made


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def log(value: float) -> float:
    return math.log(max(value, 1e-12))


def worth_by_loops(patches: Floats, alpha: float, normalize: str, weights: tuple[float, float] = (1.0, 0.5)) -> list[float]:
    """Eq. 7-10 and Algorithm 1's selection, number by number."""
    found = []
    for face in patches:
        sums = [sum(patch[k] for patch in face) for k in range(len(face[0]))]
        best = max(range(len(sums)), key=lambda k: sums[k])
        order = sorted(range(len(face)), key=lambda j: -face[j][best])
        kept = [face[j] for j in order[: min(len(face), max(2, math.ceil(alpha * len(face))))]]
        e = -sum(p * log(p) for patch in kept for p in patch) / len(kept)
        d = 0.0
        for j in range(len(kept)):
            for other in kept[j:]:
                d += sum((p - q) * (log(p) - log(q)) for p, q in zip(kept[j], other, strict=True))
        if normalize == "pairs" and len(kept) > 1:
            d /= len(kept) * (len(kept) - 1) / 2
        found.append(weights[0] * e + weights[1] * d)
    return found


def chances_by_loops(chances: Floats, count: int) -> Floats:
    """The probability that each face is among `count` drawn one after the other, over all orders."""
    found = np.zeros(len(chances))
    for order in itertools.permutations(range(len(chances)), count):
        likely, left = 1.0, 1.0
        for face in order:
            likely *= chances[face] / left if left > 1e-9 else 0.0
            left -= chances[face]
        found[list(order)] += likely
    return found


@settings(max_examples=60, deadline=None, derandomize=True)
@given(shapes, st.sampled_from([0.0, 0.25, 0.5, 1.0]), st.sampled_from(["pairs", "literal"]))
def test_worthiness_is_that_of_loops(shape: tuple[int, ...], alpha: float, normalize: Any) -> None:
    patches = disagreeing(shape[0], shape[1], shape[2], seed=shape[3])
    found = Worthiness(share=alpha, normalize=normalize).scores(ScoredPool(patches))
    assert np.allclose(found, worth_by_loops(patches, alpha, normalize), rtol=1e-9, atol=1e-12)
    weighed = Worthiness(share=alpha, normalize=normalize, entropy_weight=0.3, diversity_weight=2.0)
    expected = worth_by_loops(patches, alpha, normalize, (0.3, 2.0))
    assert np.allclose(weighed.scores(ScoredPool(patches)), expected, rtol=1e-9, atol=1e-12)


def test_each_equation_is_scipys() -> None:
    patches = disagreeing(4, 5, 6)
    assert np.allclose(mean_entropy(patches), scipy_entropy(patches, axis=2).mean(axis=1))
    both = [
        sum(scipy_entropy(p, q) + scipy_entropy(q, p) for p, q in itertools.combinations_with_replacement(face, 2))
        for face in patches
    ]
    assert np.allclose(diversity(patches), both)


def test_a_quarter_of_nine_patches_is_three_and_two_are_the_least() -> None:
    assert [kept_patches(9, share) for share in (0.0, 0.1, 0.25, 1 / 3, 0.34, 1.0)] == [2, 2, 3, 3, 4, 9]
    assert [kept_patches(count, 0.25) for count in (1, 2, 3, 8, 16, 17)] == [1, 2, 2, 2, 4, 5]
    assert [patch_pairs(count) for count in (1, 2, 3, 9)] == [1, 1, 3, 36]


def test_patches_are_kept_by_their_confidence_of_the_dominant_class() -> None:
    # The surest patch is sure of class 1, but all of them together say class 0.
    face = np.array([[0.1, 0.9], [0.6, 0.4], [0.8, 0.2], [0.7, 0.3], [0.6, 0.4]])[None]
    assert dominant(face).tolist() == [0]
    assert np.array_equal(most_confident(face, 0.6)[0], face[0][[2, 3, 1]])


def test_as_written_diversity_decides_alone_where_all_patches_count() -> None:
    # Nine disagreeing patches of seven classes have 36 pairs: an entropy of 1.1 stands against a diversity of 158.
    patches = disagreeing(2000)
    e, d = mean_entropy(patches), diversity(patches)
    assert e.mean() == pytest.approx(1.1, abs=0.05)
    assert d.mean() == pytest.approx(158, rel=0.05)
    assert (d / patch_pairs(9)).mean() < 5 * e.mean()
    literal = Worthiness(share=1, normalize="literal").scores(ScoredPool(patches))
    assert np.corrcoef(literal, d)[0, 1] > 0.9999
    # Of the second face every patch says the same, some of them more firmly; of the first they say nothing.
    pool = ScoredPool(np.array([[[0.5, 0.5]] * 9, [[0.97, 0.03]] * 5 + [[0.8, 0.2]] * 4]))
    assert Worthiness(share=1).scores(pool).argmax() == 0
    assert Worthiness(share=1, normalize="literal").scores(pool).argmax() == 1


def test_by_the_default_share_entropy_decides() -> None:
    """Three patches of nine make 3 pairs. They agree here as those of real faces do: half the diversity is .12, divided .04."""
    generator = rng()
    face = generator.normal(size=(3000, 1, 8)) * generator.uniform(1, 6, size=(3000, 1, 1))
    patches = softmax(face + 0.45 * generator.normal(size=(3000, 9, 8)), axis=2)
    kept = most_confident(patches, Worthiness().share)
    e, d = mean_entropy(kept), diversity(kept)
    assert kept.shape[1] == patch_pairs(3) == 3
    assert (d.mean() / 2, d.mean() / 6) == (pytest.approx(0.116, abs=0.02), pytest.approx(0.039, abs=0.01))
    assert e.mean() > 3 * d.mean() / 2
    pool = ScoredPool(patches)
    literal = Worthiness(normalize="literal").scores(pool)
    assert np.allclose(literal, e + d / 2)
    assert np.allclose(Worthiness().scores(pool), e + d / 6)
    assert np.corrcoef(literal, e)[0, 1] > 0.97 > 0.9 > np.corrcoef(literal, d)[0, 1]
    assert np.corrcoef(Worthiness().scores(pool), e)[0, 1] > 0.99


def test_certain_patches_that_contradict_each_other_are_finite() -> None:
    patches = np.eye(2)[[0, 1]][None]
    assert Worthiness().scores(ScoredPool(patches)).tolist() == pytest.approx([0.5 * 2 * -math.log(1e-12)])
    assert Worthiness().scores(ScoredPool(patches[:, :1])).tolist() == [0]


@settings(max_examples=40, deadline=None, derandomize=True)
@given(shapes)
def test_neither_the_order_of_patches_nor_that_of_classes_matters(shape: tuple[int, ...]) -> None:
    patches = disagreeing(shape[0], shape[1], shape[2], seed=shape[3])
    mixed = patches[:, rng(shape[3]).permutation(shape[1])]
    turned = mixed[:, :, rng(1).permutation(shape[2])]
    found = [Worthiness().scores(ScoredPool(each)) for each in (patches, mixed, turned)]
    assert np.allclose(found[0], found[1])
    assert np.allclose(found[0], found[2])
    assert (diversity(patches) >= 0).all()
    assert np.allclose(diversity(np.repeat(patches[:, :1], 4, axis=1)), 0, atol=1e-12)


def test_sampling_is_that_of_the_equations() -> None:
    worth = [5.0, 3.0, 2.0, 1.0]
    shifted = [(w - worth[-1]) / (worth[0] - worth[-1]) for w in worth]
    assert sampling_probabilities(np.array(worth)).tolist() == pytest.approx([w / sum(shifted) for w in shifted])
    assert sampling_probabilities(np.array([7.0])).tolist() == [1]


def test_equal_worth_is_drawn_uniformly() -> None:
    assert sampling_probabilities(np.full(5, 2.5)).tolist() == [0.2] * 5
    pool = ScoredPool(np.full((20, 9, 7), 1 / 7))
    generator, times = rng(), np.zeros(20)
    for _ in range(2000):
        times[Worthiness()(pool, 2, generator)] += 1
    # Ten of the twenty may be drawn, each in a fifth of the rounds: 400 times, give or take 18.
    assert (times[10:] == 0).all()
    assert np.abs(times[:10] - 400).max() < 80


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.lists(st.floats(-10, 10), min_size=2, max_size=12))
def test_sampling_sums_to_one_and_leaves_out_the_last(values: list[float]) -> None:
    worth = np.array(sorted(values, reverse=True))
    found = sampling_probabilities(worth)
    assert found.sum() == pytest.approx(1)
    assert (np.diff(found) <= 0).all()
    assert found[-1] == (0 if worth[0] > worth[-1] else 1 / len(worth))


@pytest.mark.parametrize("count", [1, 2, 3])
def test_faces_are_drawn_as_often_as_one_after_the_other(count: int) -> None:
    chances, generator, rounds = sampling_probabilities(np.array([6.0, 4.0, 3.5, 2.0, 1.0])), rng(count), 4000
    times = np.zeros(5)
    for _ in range(rounds):
        chosen = draw_by_probability(chances, count, generator)
        assert len(set(chosen.tolist())) == count
        times[chosen] += 1
    expected = chances_by_loops(chances, count)
    assert expected.sum() == pytest.approx(count)
    deviation = np.sqrt(rounds * expected * (1 - expected))
    assert (np.abs(times - rounds * expected) <= 4 * deviation).all()
    assert times[-1] == 0


def test_probability_zero_is_drawn_where_no_other_is_left() -> None:
    chances, last = np.array([0.75, 0.25, 0.0, 0.0, 0.0]), np.zeros(5)
    for seed in range(600):
        chosen = draw_by_probability(chances, 3, rng(seed)).tolist()
        assert chosen[:2] == [0, 1]
        last[chosen[2]] += 1
    assert (np.abs(last[2:] - 200) < 50).all()


def test_only_the_top_w_b_are_drawn_and_w_1_takes_the_top_b() -> None:
    pool = some_pool(40)
    order = np.argsort(-Worthiness().scores(pool))
    for seed in range(50):
        assert Worthiness(extension=1)(pool, 6, rng(seed)).tolist() == order[:6].tolist()
        found = Worthiness(extension=2)(pool, 6, rng(seed))
        places = [order.tolist().index(place) for place in found]
        assert max(places) < 11, "the twelfth has probability 0"
        assert places == sorted(places), "the most wanted first"
    assert len({tuple(Worthiness()(pool, 6, rng(seed))) for seed in range(20)}) > 10


@settings(max_examples=50, deadline=None, derandomize=True)
@given(shapes)
def test_margin_and_entropy_are_those_of_loops(shape: tuple[int, ...]) -> None:
    patches = disagreeing(shape[0], shape[1], shape[2], seed=shape[3])
    margins, entropies = [], []
    for face in patches:
        mean = [sum(float(patch[k]) for patch in face) / len(face) for k in range(shape[2])]
        highest = sorted(mean, reverse=True)
        margins.append(highest[1] - highest[0])
        entropies.append(-sum(p * log(p) for p in mean))
    pool = ScoredPool(patches)
    assert np.allclose(Margin().scores(pool), margins)
    assert np.allclose(Entropy().scores(pool), entropies)
    assert Margin()(pool, 3, rng()).tolist() == sorted(range(shape[0]), key=lambda n: -Margin().scores(pool)[n])[:3]
    assert Entropy()(pool, 3, rng()).tolist() == sorted(range(shape[0]), key=lambda n: -Entropy().scores(pool)[n])[:3]


def test_margin_and_entropy_differ() -> None:
    # Two classes level beside one that is out of the question; three classes, none of which is.
    pool = ScoredPool(np.array([[[0.5, 0.5, 0.0]], [[0.4, 0.35, 0.25]], [[1.0, 0.0, 0.0]]]))
    assert Margin()(pool, 3, rng()).tolist() == [0, 1, 2]
    assert Entropy()(pool, 3, rng()).tolist() == [1, 0, 2]
    assert Margin().scores(pool).tolist() == pytest.approx([0, -0.05, -1])
    assert entropy_of(np.array([1.0, 0.0])) == 0


def test_of_equal_faces_the_first_are_taken() -> None:
    assert most_wanted(np.array([1.0, 2.0, 1.0, 2.0, 1.0]), 4).tolist() == [1, 3, 0, 2]
    pool = ScoredPool(np.tile([[[0.6, 0.3, 0.1]], [[0.4, 0.3, 0.3]]], (500, 1, 1)))
    expected = [*range(1, 1000, 2), *range(0, 1000, 2)]
    assert Margin()(pool, 1000, rng()).tolist() == Entropy()(pool, 1000, rng()).tolist() == expected


def greedy_by_loops(features: npt.NDArray[Any], known: npt.NDArray[Any], count: int, first: int | None) -> list[int]:
    """Of all faces, the one whose nearest center is farthest, every distance computed anew."""
    chosen = [] if first is None else [first]
    while len(chosen) < count:
        centers = [*known, *features[chosen]]
        distances = [min(float(((face - center) ** 2).sum()) for center in centers) for face in features]
        chosen.append(max((n for n in range(len(features)) if n not in chosen), key=lambda n: distances[n]))
    return chosen


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.integers(1, 25), st.integers(0, 2 * CENTERS + 1), st.integers(1, 8), st.integers(1, 30), st.integers(0, 1000))
def test_diverse_is_greedy(faces: int, known: int, dimension: int, count: int, seed: int) -> None:
    values = rng(seed).normal(size=(faces + known, dimension)) + 3
    pool = ScoredPool(np.full((faces, 1, 2), 0.5), values[known:], values[:known])
    found = Diverse()(pool, count, rng(seed)).tolist()
    first = None if known else found[0]
    assert found == greedy_by_loops(values[known:], values[:known], min(count, faces), first)


def test_the_first_is_random_where_nothing_is_known() -> None:
    features = rng().normal(size=(5, 3))
    for known in (None, features[:0]):
        pool = ScoredPool(np.full((5, 1, 2), 0.5), features, known)
        firsts = [int(Diverse()(pool, 1, rng(seed))[0]) for seed in range(60)]
        assert set(firsts) == set(range(5))


def test_every_cluster_is_asked_about_once_before_any_is_twice() -> None:
    centers = 10 * np.eye(6)
    features = (np.repeat(centers, 20, axis=0) + 0.1 * rng().normal(size=(120, 6)))[rng(1).permutation(120)]
    found = Diverse()(ScoredPool(np.full((120, 1, 2), 0.5), features, centers[:2]), 4, rng())
    assert set(features[found].argmax(axis=1)) == {2, 3, 4, 5}


def test_faces_that_are_the_same_are_all_chosen_once() -> None:
    features = np.repeat(rng().normal(size=(3, 4)), 4, axis=0).astype(np.float32)
    found = Diverse()(ScoredPool(np.full((12, 1, 2), 0.5), features, features[:1]), 12, rng())
    assert sorted(found) == list(range(12))
    assert {n // 4 for n in found[:2].tolist()} == {1, 2}


def test_only_the_most_uncertain_are_candidates() -> None:
    pool = some_pool(40, patches=1)
    uncertain = np.argsort(-entropy_of(pool.mean_prediction()))[:10]
    found = Diverse(candidates=0.25)(pool, 6, rng())
    assert pool.features is not None
    assert pool.known is not None
    assert found.tolist() == [uncertain[n] for n in greedy_by_loops(pool.features[uncertain], pool.known, 6, None)]
    assert found.tolist() != Diverse()(pool, 6, rng()).tolist()
    assert len(Diverse(candidates=0.0)(pool, 12, rng())) == 12


def blobs(sizes: list[int], seed: int = 0) -> npt.NDArray[np.float32]:
    """Clusters of these sizes, each around another direction."""
    noise = 0.2 * rng(seed).normal(size=(sum(sizes), len(sizes)))
    return (5 * np.repeat(np.eye(len(sizes)), sizes, axis=0) + noise).astype(np.float32)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.integers(2, 60), st.integers(1, 6), st.integers(1, 8), st.integers(0, 1000))
def test_k_means_is_scipys(faces: int, dimension: int, clusters: int, seed: int) -> None:
    from scipy.cluster.vq import kmeans2  # here, as it takes long to load

    values = rng(seed).normal(size=(faces, dimension)).astype(np.float32)
    centers = first_centers(values, min(clusters, faces), rng(seed))
    assert len(np.unique(centers, axis=0)) == len(centers), "k-means++ draws no face twice where all are different"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of clusters that are empty: they stay, as here
        _, expected = kmeans2(values.astype(np.float64), centers.astype(np.float64), iter=100, minit="matrix")
    assert k_means(values, centers, 100).tolist() == expected.tolist()


def test_typicality_is_that_of_loops() -> None:
    values = rng().normal(size=(12, 3)).astype(np.float32)
    for neighbors in (1, 4, 30):
        expected = []
        for face in values:
            distances = sorted(float(np.linalg.norm(face - other)) for other in values)[1 : 1 + neighbors]
            expected.append(len(distances) / sum(distances))
        assert np.allclose(typicality(values, neighbors), expected, rtol=1e-3)
    assert typicality(values[:1], 5).tolist() == [0]
    assert typicality(np.repeat(values[:1], 3, axis=0), 2).min() > 1e3, "faces that are the same are as typical as can be"


def test_typical_faces_stand_for_the_largest_clusters_first() -> None:
    features = blobs([40, 20, 30, 10])
    pool = ScoredPool(np.full((100, 1, 2), 0.5), features)
    expected = []
    for start, size in ((0, 40), (60, 30), (40, 20), (90, 10)):
        mine = features[start : start + size] / np.linalg.norm(features[start : start + size], axis=1, keepdims=True)
        expected.append(start + int(typicality(mine, min(20, size // 2)).argmax()))
    assert Typical()(pool, 4, rng()).tolist() == expected, "one of each, by size"


def test_typical_asks_where_no_label_is() -> None:
    features = blobs([40, 20, 30, 10])
    pool = ScoredPool(np.full((98, 1, 2), 0.5), np.delete(features, [5, 65], axis=0), features[[5, 65]])
    found = Typical()(pool, 2, rng()).tolist()
    owner = np.repeat([0, 1, 2, 3], [39, 20, 29, 10])
    assert owner[found].tolist() == [1, 3], "the clusters without a label, the larger one first"


def test_what_is_no_pool_is_refused() -> None:
    fine = np.full((3, 1, 2), 0.5)
    with pytest.raises(MienError, match="at least one face and two classes; found float64 of shape"):
        ScoredPool(fine[:0])
    wrong: Any
    for wrong in (fine[0], fine[:, :, :1] * 2, fine.astype(np.int64)):
        with pytest.raises(MienError, match="at least one face and two classes"):
            ScoredPool(wrong)
    for value in (np.nan, -0.5, 0.6):
        wrong = fine.copy()
        wrong[1, 0, 0] = value
        with pytest.raises(MienError, match="add up to 1; found 1 faces"):
            ScoredPool(wrong)
    with pytest.raises(MienError, match=r"features of shape \(3, 4\)"):
        ScoredPool(fine, np.zeros((2, 4)))
    with pytest.raises(MienError, match="finite features"):
        ScoredPool(fine, np.full((3, 4), np.inf))
    with pytest.raises(MienError, match=r"features of shape \(2, 4\)"):
        ScoredPool(fine, np.zeros((3, 4)), np.zeros((2, 5)))
    with pytest.raises(MienError, match="beside those of the known"):
        ScoredPool(fine, None, np.zeros((2, 5)))


def test_strategies_say_what_they_lack() -> None:
    nobody_looked = ScoredPool(np.zeros((4, 0, 3)))
    assert sorted(Random()(nobody_looked, 9, rng())) == [0, 1, 2, 3]
    for name in ("margin", "entropy", "worthiness"):
        with pytest.raises(MienError, match="a pool without them"):
            strategy_of(name)(nobody_looked, 1, rng())
    for name in ("diverse", "typical"):
        with pytest.raises(MienError, match="features of each face"):
            strategy_of(name)(nobody_looked, 1, rng())


def test_random_is_random() -> None:
    pool, times = ScoredPool(np.zeros((6, 0, 3))), np.zeros(6)
    for seed in range(1200):
        times[Random()(pool, 2, rng(seed))] += 1
    assert np.abs(times - 400).max() < 80


def test_settings_are_checked() -> None:
    with pytest.raises(MienError, match="diverse, entropy, margin, random, typical, worthiness"):
        strategy_of("hardest")
    with pytest.raises(MienError, match="to be given entropy_weight, diversity_weight"):
        strategy_of("worthiness", alpha=0.5)
    for wrong in ({"share": 1.5}, {"extension": 0}, {"normalize": "mean"}, {"diversity_weight": -1}, {"patch_side": 0}):
        with pytest.raises(MienError, match=next(iter(wrong))):
            strategy_of("worthiness", **wrong)


def test_all_strategies_are_here() -> None:
    assert STRATEGIES == ["diverse", "entropy", "margin", "random", "typical", "worthiness"]


@pytest.mark.parametrize("name", STRATEGIES)
def test_every_strategy_is_documented(name: str) -> None:
    kind = find_component(ROOM, name)
    assert kind.__doc__
    assert kind.__call__.__doc__
    assert all(setting_docs(kind).values()), "every setting has a line of documentation"
    assert kind.looks_at in ("nothing", "face", "patches", "features")


@pytest.mark.parametrize("name", STRATEGIES)
@pytest.mark.parametrize(("faces", "patches", "known"), [(30, 9, 4), (30, 1, 0), (1, 1, 1), (1, 9, 0), (7, 2, 3)])
def test_every_strategy_gives_different_places(name: str, faces: int, patches: int, known: int) -> None:
    pool, strategy = some_pool(faces, patches, known), strategy_of(name)
    for count in (1, 5, faces, faces + 10):
        found = strategy(pool, count, rng(3))
        assert found.dtype == np.int64
        assert found.shape == (min(count, faces),)
        assert len(set(found.tolist())) == len(found)
        assert set(found.tolist()) <= set(range(faces))
        assert found.tolist() == strategy_of(name)(pool, count, rng(3)).tolist(), "the same draws, the same faces"


@pytest.mark.parametrize("name", STRATEGIES)
def test_every_strategy_changes_nothing(name: str) -> None:
    pool, before = some_pool(), some_pool()
    strategy_of(name)(pool, 8, rng())
    for key in ("patches", "features", "known"):
        assert np.array_equal(getattr(pool, key), getattr(before, key))


@pytest.mark.parametrize("name", STRATEGIES)
def test_every_strategy_asks_about_one_face_at_least(name: str) -> None:
    for count in (0, -3):
        with pytest.raises(MienError, match="at least 1 face to ask about"):
            strategy_of(name)(some_pool(), count, rng())


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    st.sampled_from(
        [Margin(), Entropy(), Worthiness(extension=1), Worthiness(extension=1, share=1, normalize="literal"), Diverse()]
    ),
    st.integers(1, 20),
    st.integers(1, 9),
    st.integers(0, 1000),
)
def test_the_order_of_the_pool_does_not_matter(strategy: Acquire, faces: int, patches: int, seed: int) -> None:
    pool, order = some_pool(faces, patches, seed=seed), rng(seed).permutation(faces)
    assert pool.features is not None
    moved = ScoredPool(pool.patches[order], pool.features[order], pool.known)
    found = strategy(moved, faces // 2 + 1, rng())
    assert order[found].tolist() == strategy(pool, faces // 2 + 1, rng()).tolist()


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.sampled_from(STRATEGIES), shapes, st.integers(1, 15))
def test_places_are_always_different(name: str, shape: tuple[int, ...], count: int) -> None:
    faces, patches, classes, seed = shape
    features = rng(seed).integers(0, 2, size=(faces, 2)).astype(np.float32)  # many faces alike
    pool = ScoredPool(disagreeing(faces, patches, classes, seed=seed), features)
    found = strategy_of(name)(pool, count, rng(seed))
    assert len(set(found.tolist())) == len(found) == min(count, faces)
