"""Statistics of a comparison, against naive references."""

import csv
import io
import math
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from mien.active.learning_curve import read_round_result
from mien.data.format import Info
from mien.experiments.grid import GridPoint
from mien.experiments.published import published_beside, published_in_words, published_on, read_published
from mien.experiments.run_results import RunResult, read_result, runs_csv, to_csv, write_result
from mien.experiments.seed_statistics import TableLine, mean_with_interval, paired_difference, summarize_seeds, table_csv_row

README = Path(__file__).parents[3] / "shared" / "papers" / "README.md"

# Shares with four digits, as of some thousand test faces: their differences are 0 or well above rounding.
SHARES = st.integers(0, 9999).map(lambda number: number / 9999)
SEVERAL = st.lists(SHARES, min_size=3, max_size=8)


def result(recipe: str = "a", seed: int = 0, accuracy: float | None = 0.5, **changed: Any) -> RunResult:
    made = RunResult(recipe, "mien_s", 10, 0.0, seed, f"{recipe}-{seed}", accuracy=accuracy, average_accuracy=accuracy)
    return replace(made, **changed)


def line_of(lines: tuple[TableLine, ...], recipe: str, **values: object) -> TableLine:
    (found,) = [line for line in lines if line.recipe == recipe and all(getattr(line.point, k) == v for k, v in values.items())]
    return found


@settings(deadline=None, max_examples=40, derandomize=True)
@given(SEVERAL)
def test_the_spread_is_that_of_the_textbook(values: list[float]) -> None:
    found = mean_with_interval(values)
    assert found.count == len(values)
    assert found.mean == pytest.approx(mean(values))
    assert found.sd == pytest.approx(stdev(values), abs=1e-12)
    half = stats.t.ppf(0.975, len(values) - 1) * stdev(values) / math.sqrt(len(values))
    assert (found.low, found.high) == pytest.approx((mean(values) - half, mean(values) + half), abs=1e-9)


@settings(deadline=None, max_examples=40, derandomize=True)
@given(st.lists(st.tuples(SHARES, SHARES), min_size=3, max_size=8))
def test_differences_are_those_of_the_paired_t_test(pairs: list[tuple[float, float]]) -> None:
    mine, theirs = dict(enumerate(pair[0] for pair in pairs)), dict(enumerate(pair[1] for pair in pairs))
    found, differences = paired_difference(mine, theirs), [a - b for a, b in pairs]
    assert found.pairs == len(pairs)
    assert found.mean == pytest.approx(mean(differences), abs=1e-12)
    if stdev(differences) < 1e-9:
        return
    expected = stats.ttest_rel([a for a, _ in pairs], [b for _, b in pairs])
    assert found.p == pytest.approx(expected.pvalue, abs=1e-9)
    between = expected.confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((between.low, between.high), abs=1e-9)
    assert (found.p < 0.05) == (found.low > 0 or found.high < 0)
    other = paired_difference(theirs, mine)
    assert (other.mean, other.low, other.high) == pytest.approx((-found.mean, -found.high, -found.low), abs=1e-12)


def test_seeds_are_paired_and_what_one_lacks_is_left_out() -> None:
    found = paired_difference({0: 0.5, 1: 0.7, 3: 0.9}, {1: 0.6, 3: 0.7, 4: 0.1, 0: math.nan})
    assert found.pairs == 2
    assert found.mean == pytest.approx(0.15)


@pytest.mark.parametrize("values", [{}, {0: 0.5}, {0: 0.5, 1: 0.7}])
def test_fewer_than_three_seeds_have_no_interval(values: Mapping[int, float]) -> None:
    """Of two seeds 20 points apart a t-interval is 254 points wide, which says nothing of an accuracy."""
    found, difference = mean_with_interval(values.values()), paired_difference(values, dict.fromkeys(values, 0.1))
    assert found.count == difference.pairs == len(values)
    assert all(map(math.isnan, (found.low, found.high, difference.low, difference.high, difference.p)))
    assert math.isnan(found.sd) == (len(values) < 2)
    assert math.isnan(found.mean) == (not values)


def test_an_interval_of_shares_ends_at_0_and_100_percent() -> None:
    plain, bounded = mean_with_interval([0.9, 0.99, 0.999]), mean_with_interval([0.9, 0.99, 0.999], (0.0, 1.0))
    assert plain.high > 1 == bounded.high
    assert bounded.low == plain.low
    assert (
        line_of(summarize_seeds([result(seed=seed, accuracy=0.9 + seed / 25) for seed in range(3)], "a"), "a").accuracy.high == 1
    )
    assert not mean_with_interval([0.9, 0.99], (0.0, 1.0)).high <= 1, "and none has none"


def test_equal_differences_need_no_test() -> None:
    same = {0: 0.5, 1: 0.25, 2: 0.125}
    assert math.isnan(paired_difference(same, same).p)
    assert paired_difference({0: 0.75, 1: 0.5, 2: 0.375}, same).p == 0.0
    rounded = paired_difference({0: 0.1 + 0.2, 1: 0.7, 2: 0.6}, {0: 0.3, 1: 0.1 + 0.6, 2: 0.6})
    assert math.isnan(rounded.p), "no test of rounding errors"
    assert rounded.low == rounded.high == 0


def test_a_line_for_every_recipe_and_place() -> None:
    generator = np.random.default_rng(0)
    accuracy = {(r, lpc, n, s): generator.random() for r in "abc" for lpc in (5, None) for n in (0.0, 0.2) for s in range(3)}
    results = [
        result(recipe, seed, value, labels_per_class=labels, noise=noise, macro_f1=value / 2, seconds=1.0)
        for (recipe, labels, noise, seed), value in accuracy.items()
    ]
    lines = summarize_seeds(results, "b")
    assert len(lines) == 12
    assert [line.recipe for line in lines[:3]] == ["b", "a", "c"], "the first recipe comes first"
    found = line_of(lines, "c", labels=None, noise=0.2)
    mine, theirs = ([accuracy[recipe, None, 0.2, seed] for seed in range(3)] for recipe in "cb")
    clean, their_clean = ([accuracy[recipe, None, 0.0, seed] for seed in range(3)] for recipe in "cb")
    assert found.accuracy.mean == pytest.approx(mean(mine))
    assert found.macro_f1.mean == pytest.approx(mean(mine) / 2)
    assert found.difference.mean == pytest.approx(mean(mine) - mean(theirs))
    assert found.best_seed_on_test == max(mine)
    assert found.lost_to_noise.mean == pytest.approx(mean(clean) - mean(mine))
    assert found.lost_to_noise.sd == pytest.approx(stdev(a - b for a, b in zip(clean, mine, strict=True)))
    lost = [a - b for a, b in zip(clean, mine, strict=True)]
    their_lost = [a - b for a, b in zip(their_clean, theirs, strict=True)]
    assert found.lost_difference.p == pytest.approx(stats.ttest_rel(lost, their_lost).pvalue)
    first = line_of(lines, "b", labels=None, noise=0.2)
    assert first.first
    assert first.difference.pairs == 0
    assert math.isnan(line_of(lines, "c", labels=None, noise=0.0).lost_to_noise.mean)


def test_failed_runs_count_for_nothing_but_are_seen() -> None:
    results = [result("a", 0, 0.5), result("a", 1, 0.7), result("b", 0, None, failed="why"), result("b", 1, 0.6)]
    found = line_of(summarize_seeds(results, "a"), "b")
    assert (found.accuracy.count, found.accuracy.mean, found.difference.pairs) == (1, 0.6, 1)
    alone = line_of(summarize_seeds(results[:3], "a"), "b")
    assert alone.accuracy.count == 0
    assert math.isnan(alone.best_seed_on_test)


def test_csv_files_are_read_back() -> None:
    varied = {"unlabeled": "pseudo_label", "step.temperature": "0.1"}
    results = [result("a", seed, 0.1 + seed / 7, varied=varied) for seed in range(2)]
    rows = list(csv.DictReader(io.StringIO(runs_csv(results))))
    assert [float(row["accuracy"]) for row in rows] == pytest.approx([0.1, 0.1 + 1 / 7], abs=1e-6)
    assert rows[0]["step.temperature"] == "0.1"
    assert rows[0]["weight_auroc"] == ""
    (row,) = csv.DictReader(io.StringIO(to_csv([table_csv_row(line) for line in summarize_seeds(results, "a")])))
    assert float(row["accuracy"]) == pytest.approx(0.1 + 1 / 14, abs=1e-6)
    assert row["difference"] == row["lost_to_noise"] == ""
    assert row["unlabeled"] == "pseudo_label", "no column of ours takes the place of a varied key"


def faces(name: str) -> Info:
    """Of a set of this name."""
    return Info(classes=("a", "b"), side=48, name=name)


def test_published_figures_stand_beside_the_same_faces_labels_and_recipe() -> None:
    known = published_on(faces("ferplus, majority rule"))
    (alexnet, vgg) = published_beside(known, "alt", GridPoint(None, 0.0))
    assert (alexnet.figure, vgg.figure) == (82.38, 85.2)
    assert "other split" in published_in_words(alexnet, "PublicTest")
    assert "other split" not in published_in_words(alexnet, "PrivateTest")
    assert not published_beside(known, "alt", GridPoint(100, 0.0))
    assert not published_beside(known, "alt", GridPoint(None, 0.1))
    assert not published_beside(known, "alt", GridPoint(None, 0.0, (("draw", "balanced"),)))
    assert not published_beside(known, "supervised", GridPoint(None, 0.2)), "nobody has checked what is reported of noise in FER+"
    (noisy,) = published_beside(published_on(faces("RAF-DB, basic")), "supervised", GridPoint(None, 0.3))
    assert (noisy.figure, noisy.split) == (71.67, "test")
    (few,) = published_beside(published_on(faces("fer2013")), "fixmatch", GridPoint(25, 0.0))
    assert few.figure == 49.90
    assert not published_on(faces("synthetic, domain a, seed 0"))
    assert not published_on(
        Info(classes=("a", "b"), side=0, kind="features", channels=8, views=("clean",), name="ferplus, features")
    )
    assert "other network" in published_in_words(alexnet, "PrivateTest", "mien_s")
    assert "other network" not in published_in_words(alexnet, "PrivateTest", "alexnet_bn")


def test_no_published_figure_is_from_memory() -> None:
    assert not [entry for entry in read_published() if "memory" in entry.note or "unverified" in entry.note]


@pytest.mark.skipif(not README.is_file(), reason="the papers are not beside the repository")
def test_every_published_figure_is_in_the_papers_notes() -> None:
    text = README.read_text("utf-8")
    written = set(map(float, re.findall(r"\d+\.\d+", text[text.index("## Published figures") :])))
    assert {entry.figure for entry in read_published()} <= written


@pytest.mark.parametrize("written", ["null", "NaN"])
def test_results_without_figures_are_read_as_null_and_as_nan(tmp_path: Path, written: str) -> None:
    named = '"recipe": "a", "network": "b", "labels_per_class": null, "noise": 0.0, "seed": 1, "run": "c"'
    (tmp_path / "result.json").write_text(f'{{{named}, "accuracy": {written}}}')
    found = read_result(tmp_path)
    assert found is not None
    assert found.accuracy is None
    write_result(tmp_path, replace(found, macro_f1=0.5))
    assert '"accuracy": null' in (tmp_path / "result.json").read_text()
    assert read_result(tmp_path) == replace(found, macro_f1=0.5)
    (tmp_path / "point.json").write_text(f'{{"strategy": "a", "seed": 1, "round": 0, "gain": {written}}}')
    point = read_round_result(tmp_path)
    assert point is not None
    assert point.gain is None
