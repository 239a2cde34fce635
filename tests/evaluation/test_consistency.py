"""Failure cases against loops, figures of S by hand, tables and pictures, and what is said about how they were measured."""

import csv
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageColor

from conftest import small_recipe
from mien import FaceSet, MienError, Recognizer, train
from mien.data.face_grid import RED
from mien.data.format import Info
from mien.data.peaks import write_peaks
from mien.evaluation.consistency import measure_consistency
from mien.evaluation.failure_cases import failure_cases
from mien.evaluation.flip_rates import measure_flip_rates
from mien.evaluation.report.consistency import write_consistency
from mien.evaluation.risk_coverage import doubt_of_both, risk_coverage
from mien.evaluation.stability_summary import ScoredFaces, summarize_stability
from moving import CLASSES, moving_faces, told, untrained_autoencoder, untrained_recognizer


def lines(folder: Path) -> list[dict[str, str]]:
    with (folder / "consistency.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def has_frames(path: Path) -> bool:
    with Image.open(path) as picture:
        return bool((np.asarray(picture) == ImageColor.getrgb(RED)).all(axis=2).any())


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.integers(0, 2), *[st.integers(0, 2)] * 3), min_size=1, max_size=12))
def test_failure_cases_are_those_of_a_loop(groups: list[tuple[int, int, int, int]]) -> None:
    failed, consistent = failure_cases(np.array([group[1:] for group in groups]), np.array([group[0] for group in groups]))
    for number, (label, *predicted) in enumerate(groups):
        assert failed[number] == any(one != label for one in predicted)
        assert consistent[number] == (len(set(predicted)) == 1 and predicted[0] != label)


def test_sequences_are_checked_before_their_last_frame() -> None:
    """Four frames each; the first is too far away, what is predicted of the last does not count, and rows are in disorder."""
    predicted = [
        [1, 0, 0, 1],  # right
        [0, 0, 1, 0],  # a failure
        [0, 2, 2, 0],  # a consistent one
        [0, 1, 2, 0],  # all wrong, not alike
        [1, 1, 1, 1],  # of another class: right
    ]
    columns = {
        "label": [0] * 16 + [1] * 4,
        "sequence": [f"s{n}" for n in range(5) for _ in range(4)],
        "frame": list(range(4)) * 5,
    }
    order = np.random.default_rng(0).permutation(20)
    mixed = {name: list(np.array(values)[order]) for name, values in columns.items()}
    recognizer, faces = told(list(np.array(predicted).ravel()[order]), CLASSES, **mixed)
    found = measure_consistency(recognizer, faces, "all", nearest=2)
    assert found.failures is not None
    assert found.checked is not None
    assert (found.failures.sequences, found.failures.failed, found.failures.consistent) == (5, 3, 1)
    assert (found.failures.failed_share, found.failures.consistent_share) == (0.6, 0.2)
    assert found.failures.failed_interval.low < 0.6 < found.failures.failed_interval.high
    failed = dict(zip(found.checked.names, found.checked.failed.tolist(), strict=True))
    assert failed == {"s0": False, "s1": True, "s2": True, "s3": True, "s4": False}
    assert dict(zip(found.checked.names, found.checked.peaks_predicted.tolist(), strict=True))["s0"] == 1
    assert found.failures.peaks_used == 0


def test_the_last_frame_may_be_in_another_split(tmp_path: Path) -> None:
    recognizer, faces = told(
        [0, 1, 2, 2, 2, 0],
        label=[0, 0, 0, 2, 2, 2],
        sequence=["a"] * 3 + ["b"] * 3,
        frame=[0, 1, 2] * 2,
        split=["near", "near", "train"] * 2,
    )
    found = measure_consistency(recognizer, faces, "near", nearest=2)
    assert found.failures is not None
    assert (found.failures.sequences, found.failures.failed, found.failures.consistent) == (2, 1, 0)
    assert found.stability.count == 4
    cut = measure_consistency(recognizer, faces, "train", nearest=2)
    assert cut.failures is None
    assert "none has a label and 2 frames before its last one in train (2 have too few, 0 no label" in cut.unchecked


def test_sequences_without_a_label_that_is_known_are_counted() -> None:
    recognizer, _ = told([0])
    _, faces = told(
        [0] * 12,
        classes=("joy", "pride", "anger"),
        label=[0, 0, 0, 1, 1, 1, -1, -1, -1, 2, 2, -1],
        sequence=list("aaabbbcccdde"),
        frame=[0, 1, 2] * 4,
    )
    found = measure_consistency(recognizer, faces, "all", nearest=2)
    assert found.failures is not None
    assert (found.failures.sequences, found.failures.unlabeled, found.failures.short) == (1, 3, 1)
    assert found.checked is not None
    assert found.checked.labels.tolist() == [CLASSES.index("joy")]
    assert found.failures.failed == 1, "predictions of 0 are anger, not joy"
    assert (found.stability.right, found.stability.wrong) == (2, 3), "pride is neither"


def test_sets_without_sequences_are_scored_alone() -> None:
    recognizer, faces = told([0, 1, 2, 1], label=[0, 1, 2, 2])
    found = measure_consistency(recognizer, faces, "all")
    assert found.failures is None
    assert found.checked is None
    assert found.unchecked == "no sequences to check: no column sequence and no column frame"
    assert (found.stability.right, found.stability.wrong) == (3, 1)
    assert found.flips is None, "features do not move"
    _, named = told([0, 1], label=[0, 1], sequence=["a", "a"])
    assert measure_consistency(recognizer, named, "all").unchecked == "no sequences to check: no column frame"


def test_faces_without_sequences_are_moved(moving: FaceSet, run: Path) -> None:
    still = FaceSet.from_arrays(moving.faces(np.arange(12)), moving.labels[:12], classes=moving.classes)
    found = measure_consistency(run, still, "all", draws=2, seed=1)
    assert found.to_json()["flips"] == measure_flip_rates(run, still, "all", draws=2, seed=1).to_json(), "as --moves does"
    assert measure_consistency(run, moving, "all", draws=2).flips is None


def test_figures_of_scores_are_those_of_loops() -> None:
    generator = np.random.default_rng(0)
    labels, predicted = generator.integers(-1, 3, 60), generator.integers(0, 3, 60)
    scores = generator.integers(0, 9, 60) / 4
    faces = FaceSet.from_arrays(np.zeros((60, 4, 4), np.uint8))
    found = summarize_stability(ScoredFaces(faces, CLASSES, labels, predicted, scores, np.full(60, 0.75), np.full(60, 0.5)))
    rows = list(zip(labels.tolist(), predicted.tolist(), scores.tolist(), strict=True))
    right = [score for label, said, score in rows if label == said]
    wrong = [score for label, said, score in rows if label not in (-1, said)]
    assert (found.count, found.right, found.wrong) == (60, len(right), len(wrong))
    assert found.mean == pytest.approx(scores.mean())
    assert (found.right_mean, found.wrong_mean) == pytest.approx((sum(right) / len(right), sum(wrong) / len(wrong)))
    pairs = [1.0 if high > low else 0.5 if high == low else 0.0 for high in wrong for low in right]
    assert found.auroc == pytest.approx(sum(pairs) / len(pairs))
    assert found.kept == 0.75


def test_figures_that_do_not_exist_are_nan() -> None:
    recognizer, faces = told([0, 1, 1], label=[-1, -1, -1])
    found = measure_consistency(recognizer, faces, "all")
    assert math.isnan(found.stability.right_mean)
    assert math.isnan(found.stability.auroc)
    assert found.to_json()["reliability"]["auroc"] is None
    assert [example.name for example in found.examples] == [""]


@pytest.fixture
def moving(tmp_path: Path) -> FaceSet:
    return moving_faces().save(tmp_path / "set")


@pytest.fixture
def run(tmp_path: Path, moving: FaceSet) -> Path:
    return untrained_recognizer(tmp_path / "run", moving)


def test_table_and_pictures(tmp_path: Path, moving: FaceSet, run: Path) -> None:
    found = measure_consistency(run, moving, neighbors=untrained_autoencoder(tmp_path / "nb", moving.info), draws=2, sigma=0.5)
    assert write_consistency(found, tmp_path / "out") == [
        "consistency.csv", "risk-coverage.svg", "unreliable.png", "failures.png",
    ]  # fmt: skip
    written, test = lines(tmp_path / "out"), moving.where(split="test")
    assert list(written[0]) == ["id", "label", "predicted", "score", "sequence"]
    assert sorted(row["id"] for row in written) == sorted(test.values("id"))
    scores = [float(row["score"]) for row in written]
    assert scores == sorted(scores, reverse=True)
    assert np.mean(scores) == pytest.approx(found.stability.mean, rel=1e-4)
    place = {name: row for row, name in enumerate(test.values("id"))}
    probable = Recognizer.load(run).logits(test).argmax(axis=1)
    for row in written:
        at = place[row["id"]]
        assert (row["label"], row["predicted"]) == (CLASSES[test.labels[at]], CLASSES[probable[at]])
        assert row["sequence"] == test.values("sequence")[at]
    assert found.checked is not None
    assert found.checked.failed.any()
    assert has_frames(tmp_path / "out" / "failures.png")
    assert has_frames(tmp_path / "out" / "unreliable.png")


def test_examples_are_the_highest_of_their_class_and_of_a_sequence_each(tmp_path: Path, moving: FaceSet, run: Path) -> None:
    found = measure_consistency(run, moving, neighbors=untrained_autoencoder(tmp_path / "nb", moving.info), draws=1)
    assert [example.name for example in found.examples] == list(CLASSES)
    scored = found.scored
    for label, example in enumerate(found.examples):
        best: dict[tuple[str, str], int] = {}
        for row in np.flatnonzero(scored.faces.labels == label):
            key = (scored.faces.values("subject")[row], scored.faces.values("sequence")[row])
            best[key] = max((best.get(key, int(row)), int(row)), key=lambda one: scored.scores[one])
        assert example.rows.tolist() == sorted(best.values(), key=lambda row: -scored.scores[row])[:5]
        assert example.count == (scored.faces.labels == label).sum()
        assert example.neighbors is not None
        assert example.neighbors.shape == (len(example.rows), 16, 16)
        assert (example.scores >= 0).all()


def test_color_faces_have_neighbors_in_color(tmp_path: Path) -> None:
    faces = FaceSet.from_arrays(np.random.default_rng(0).integers(0, 255, (9, 16, 16, 3), np.uint8), np.arange(9) % 3, CLASSES)
    run = untrained_recognizer(tmp_path / "run", faces)
    found = measure_consistency(run, faces, "all", untrained_autoencoder(tmp_path / "nb", faces.info), draws=1)
    neighbors = found.examples[0].neighbors
    assert neighbors is not None
    assert neighbors.shape == (3, 16, 16, 3)
    assert write_consistency(found, tmp_path / "out") == ["consistency.csv", "risk-coverage.svg", "unreliable.png"]
    assert list(lines(tmp_path / "out")[0]) == ["id", "label", "predicted", "score"]


def test_features_have_a_table_and_no_picture(tmp_path: Path) -> None:
    recognizer, faces = told([0, 1, 2, 1], label=[0, 1, -1, 2])
    found = measure_consistency(recognizer, faces, "all")
    assert write_consistency(found, tmp_path / "out") == ["consistency.csv", "risk-coverage.svg"]
    assert sorted(row["label"] for row in lines(tmp_path / "out")) == ["", "anger", "fear", "joy"]


def test_risk_by_coverage_of_labeled_faces(tmp_path: Path, moving: FaceSet, run: Path) -> None:
    """By S, by confidence and by both; of faces without labels nothing is known, and an older diagram goes."""
    labels = [-1 if row % 4 == 0 else label for row, label in enumerate(moving.labels)]
    found = measure_consistency(run, moving.with_column("label", labels), "all", draws=2)
    judged, wrong = found.scored.labels >= 0, found.scored.wrong
    sure = Recognizer.load(run).probabilities(moving).max(axis=1)
    assert found.scored.confidence == pytest.approx(sure, abs=1e-5)
    unstable, unsure = found.scored.scores[judged], 1 - found.scored.confidence[judged]
    for name, doubt in (("S", unstable), ("confidence", unsure), ("both", doubt_of_both(unstable, unsure))):
        assert found.risks[name].risk.tolist() == risk_coverage(doubt, wrong[judged]).risk.tolist()
    assert {name: told["aurc"] for name, told in found.to_json()["risk_coverage"].items()} == {
        name: risk.aurc for name, risk in found.risks.items()
    }
    assert found.risks["S"].at(1.0) == pytest.approx(wrong[judged].mean())
    assert "risk-coverage.svg" in write_consistency(found, tmp_path / "out")
    assert b"<svg" in (tmp_path / "out" / "risk-coverage.svg").read_bytes()
    nobody = measure_consistency(run, moving.with_column("label", [-1] * len(moving)), "all", draws=1)
    assert (nobody.risks, nobody.to_json()["risk_coverage"]) == ({}, {})
    assert "risk-coverage.svg" not in write_consistency(nobody, tmp_path / "out")
    assert not (tmp_path / "out" / "risk-coverage.svg").exists()


def test_no_failure_is_a_picture_too(tmp_path: Path) -> None:
    faces = moving_faces()
    run = untrained_recognizer(tmp_path / "run", faces)
    predicted = Recognizer.load(run).logits(faces).argmax(axis=1)
    alike = faces.select(np.flatnonzero(predicted == 1)[:10])
    columns = {"sequence": ["a"] * 5 + ["b"] * 5, "frame": [*range(5), *range(5)]}
    found = measure_consistency(run, FaceSet.from_arrays(alike.faces(), [1] * 10, CLASSES, columns), "all")
    assert found.failures is not None
    assert (found.failures.sequences, found.failures.failed, found.stability.wrong) == (2, 0, 0)
    write_consistency(found, tmp_path / "out")
    assert not has_frames(tmp_path / "out" / "failures.png")


def test_what_the_run_knew_is_said(tmp_path: Path, moving: FaceSet) -> None:
    peaks, found = write_peaks(moving, tmp_path / "peaks", split="all")
    train(peaks, small_recipe(stages=[{"epochs": 1, "lr": 0.05}]), tmp_path / "trained")
    near = measure_consistency(tmp_path / "trained", peaks, "near")
    assert near.failures is not None
    assert near.failures.peaks_used == near.failures.sequences == len(found.last) == 18
    assert "gave the run" not in near.warning
    assert "18 of these faces gave the run their labels" in measure_consistency(tmp_path / "trained", peaks, "all").warning
    whole = measure_consistency(tmp_path / "trained", moving, "test")
    assert whole.failures is not None
    assert whole.failures.peaks_used == whole.failures.sequences == 6, "by id, in the set that the peaks came from"


def test_neighbors_that_are_no_faces_are_said(tmp_path: Path, moving: FaceSet, run: Path) -> None:
    folder = untrained_autoencoder(tmp_path / "nb", moving.info)
    every = measure_consistency(run, moving, "all", folder, sigma=1.0)
    assert 0 < every.stability.kept < 1
    far = measure_consistency(run, moving.select(every.scored.kept < 0.5), "all", folder, sigma=1.0)
    assert far.stability.kept < 0.5
    assert f"only {far.stability.kept:.0%} of the neighbors are predicted as their face is" in far.warning
    close = measure_consistency(run, moving, sigma=1e-6)
    assert (close.stability.kept, close.warning) == (1, "")


def test_what_cannot_be(tmp_path: Path, moving: FaceSet, run: Path) -> None:
    for draws, sigma in ((0, 0.2), (4, 0.0), (4, math.nan), (4, math.inf)):
        with pytest.raises(MienError, match=r"(draws|sigma) that fits"):
            measure_consistency(run, moving, draws=draws, sigma=sigma)
    with pytest.raises(MienError, match="nearest that fits"):
        measure_consistency(run, moving, nearest=0)
    with pytest.raises(MienError, match="a split among test, train; found 'near'"):
        measure_consistency(run, moving, "near")
    other = untrained_autoencoder(tmp_path / "other", Info((), side=32))
    with pytest.raises(MienError, match="faces of side 32"):
        measure_consistency(run, moving, neighbors=other)


@pytest.mark.parametrize(
    "kind", ["views", "views shift=0.2", "mirror", "pca", "pca sigma=0.5 components=3", "frames", "features"]
)
def test_any_kind_of_neighbor_will_do(kind: str, tmp_path: Path, moving: FaceSet, run: Path) -> None:
    found = measure_consistency(run, moving, neighbors=kind, draws=3)
    assert found.space == kind.split()[0]
    assert found.draws == (1 if kind == "mirror" else 3)
    assert found.sigma == {"pca": 0.22, "pca sigma=0.5 components=3": 0.5, "features": 0.22}.get(kind)
    assert 0 < found.stability.mean < math.inf
    assert found.to_json()["sigma"] == found.sigma
    assert found.passes == {"mirror": 1, "features": 0}.get(kind, 3)
    write_consistency(found, tmp_path / "out")
    pictured = [example.neighbors is not None for example in found.examples]
    assert pictured == [kind != "features"] * 3


def test_frames_may_be_in_another_split(tmp_path: Path) -> None:
    """The frame beside the only face of its split."""
    moving = moving_faces(6)
    split = ["near" if frame == 4 else "train" for frame in moving.values("frame")]
    faces = moving.with_column("split", split)
    run = untrained_recognizer(tmp_path / "run", faces)
    found = measure_consistency(run, faces, "near", neighbors="frames")
    assert "frames beside them (6 of 6 faces have one)" in found.neighbors
    assert found.stability.mean > 0


def test_neighbors_that_cannot_be(tmp_path: Path, moving: FaceSet, run: Path) -> None:
    for neighbors, reason in (
        ("views shfit=1", "shfit"),
        ("autoencoder", "a run with an autoencoder of its own"),
        ("twins", "faces that have near-duplicates"),
        (str(tmp_path / "nowhere"), "or an autoencoder.s folder"),
    ):
        with pytest.raises(MienError, match=reason):
            measure_consistency(run, moving, neighbors=neighbors)
    with pytest.raises(MienError, match="made by noise, for sigma; found mirror"):
        measure_consistency(run, moving, neighbors="mirror", sigma=0.3)
    untrained_autoencoder(run / "parts" / "neighbors", moving.info)
    assert "of the run" in measure_consistency(run, moving, neighbors="autoencoder residual=true").neighbors
