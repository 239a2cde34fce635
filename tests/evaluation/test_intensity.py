"""Intensity: rank correlations against scipy and loops, the right faces and classes, the picture and the table."""

import csv
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr

from conftest import small_recipe
from mien import FaceSet, MienError, Recognizer, train
from mien.cli import app
from mien.data.format import Info
from mien.evaluation.intensity import inspect_intensity
from mien.evaluation.intensity_correlation import (
    IntensityFaces,
    find_intensity_faces,
    peak_labels,
    sequence_correlations,
    summarize_intensity,
    summarize_sequences,
    weighted_spearman,
)

Floats = npt.NDArray[np.float64]
CLASSES = ("happiness", "neutral", "sadness")
FRAMES = 5
few = settings(max_examples=40, deadline=None, derandomize=True)


def growing_faces(sequences: int = 30) -> FaceSet:
    """Sequences of FRAMES faces in which a bright row, another for each class, grows with the intensity; a third is `test`.

    The first frame of each is labeled neutral; every third sequence is neutral throughout.
    """
    generator = np.random.default_rng(0)
    count = sequences * FRAMES
    kind = np.array([0, 2, 1])[np.arange(sequences) % 3].repeat(FRAMES)
    rise = np.tile(np.linspace(0, 1, FRAMES), sequences)
    intensity = np.where(kind == 1, 0.0, rise * generator.uniform(0.7, 1, sequences).repeat(FRAMES))
    faces = generator.integers(0, 60, (count, 16, 16), dtype=np.uint8)
    for face, label, value in zip(faces, kind, intensity, strict=True):
        face[2 + 5 * label : 5 + 5 * label] += np.uint8(180 * value)
    columns = {
        "split": ["test" if n // FRAMES % 9 < 3 else "train" for n in range(count)],
        "intensity": intensity.astype(np.float32),
        "sequence": [f"s{n // FRAMES % 10}" for n in range(count)],  # Persons share the names of their sequences.
        "subject": [f"p{n // FRAMES // 10}" for n in range(count)],
        "source": ["drawn"] * count,
    }
    return FaceSet.from_arrays(faces, np.where(rise == 0, 1, kind), CLASSES, columns)


@pytest.fixture(scope="module")
def moving() -> FaceSet:
    return growing_faces()


@pytest.fixture(scope="module")
def run(moving: FaceSet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("intensity") / "run"
    train(moving, small_recipe(stages=[{"epochs": 8, "lr": 0.05, "schedule": "one_cycle"}]), folder)
    return folder


def made(sequences: int = 12, frames: int = 4, seed: int = 0) -> IntensityFaces:
    """Faces of two classes whose probability follows the intensity, but not always."""
    generator = np.random.default_rng(seed)
    sequence = np.arange(sequences).repeat(frames)
    intensity = generator.integers(0, 6, len(sequence)) / 5
    probability = (intensity + generator.normal(0, 0.4, len(sequence))).clip(0, 1)
    faces = FaceSet.from_arrays(np.zeros((len(sequence), 4, 4), np.uint8))
    names = tuple(f"s{number}" for number in range(sequences))
    return IntensityFaces(faces, ("fear", "joy", "nobody"), sequence % 2, intensity, probability, sequence, names)


@few
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(0, 3)), min_size=1, max_size=12))
def test_weighted_correlation_is_that_of_repeated_pairs(pairs: list[tuple[int, int, int]]) -> None:
    first, second, counts = (np.array(values) for values in zip(*pairs, strict=True))
    found = float(weighted_spearman(first / 4, second / 4, np.stack([counts, counts]))[1])
    one, other = first.repeat(counts), second.repeat(counts)
    if len(one) and np.ptp(one) and np.ptp(other):
        assert found == pytest.approx(spearmanr(one, other).statistic)
    else:
        assert math.isnan(found)


@few
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 2)), min_size=1, max_size=20))
def test_peak_labels_are_a_loops(frames: list[tuple[int, int, int]]) -> None:
    sequence, intensity, labels = (np.array(values) for values in zip(*frames, strict=True))
    expected = []
    for number in sequence:
        mine = [frame for frame in frames if frame[0] == number]
        expected.append(max(mine, key=lambda frame: frame[1])[2])  # max takes the first of equals
    assert peak_labels(labels, intensity.astype(float), sequence).tolist() == expected


def test_correlations_are_scipys() -> None:
    shown = made()
    found = summarize_intensity(shown, sequence_correlations(shown), "set", "test", "intensity", resamples=50)
    assert (found.overall.name, found.overall.count, found.over) == ("all", 48, "sequences")
    assert found.overall.value == pytest.approx(spearmanr(shown.probability, shown.intensity).statistic)
    assert [entry.name for entry in found.classes] == ["fear", "joy"]
    for label, entry in enumerate(found.classes):
        rows = shown.expression == label
        assert entry.value == pytest.approx(spearmanr(shown.probability[rows], shown.intensity[rows]).statistic)


def test_intervals_are_those_of_a_bootstrap_over_sequences() -> None:
    shown = made()
    found = summarize_intensity(shown, sequence_correlations(shown), "set", "test", "intensity", seed=3, resamples=40)
    drawn = np.random.default_rng(3).integers(12, size=(40, 12))
    for label, interval in ((None, found.overall.interval), (1, found.classes[1].interval)):
        values = []
        for chosen in drawn:
            rows = np.concatenate([np.flatnonzero(shown.sequence == number) for number in chosen])
            rows = rows if label is None else rows[shown.expression[rows] == label]
            values.append(spearmanr(shown.probability[rows], shown.intensity[rows]).statistic)
        assert (interval.low, interval.high) == pytest.approx(tuple(np.quantile(values, [0.025, 0.975])))


def test_faces_without_sequences_are_drawn_one_by_one() -> None:
    shown = replace(made(sequences=30, frames=1), names=("",) * 30)
    found = summarize_intensity(shown, sequence_correlations(shown), "set", "test", "intensity", resamples=100)
    assert found.over == "faces"
    assert found.sequences.count == 0
    assert math.isnan(found.sequences.median)
    assert found.to_json()["sequences"]["median_interval"] == {"low": None, "high": None}
    assert found.overall.interval.low < found.overall.value < found.overall.interval.high


def test_sequences_are_correlated_one_by_one() -> None:
    shown = made(sequences=4)
    intensity = np.array([0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 0, 1, 0, 1, 2, 3], float)
    probability = np.array([0.1, 0.2, 0.4, 0.3, 0.5, 0.5, 0.5, 0.5, 0.1, 0.2, 0.1, 0.2, 0.4, 0.3, 0.2, 0.1])
    within = sequence_correlations(replace(shown, intensity=intensity, probability=probability))
    assert within[[0, 1, 3]] == pytest.approx([0.8, 0, -1]), "0 where the probability never changes"
    assert math.isnan(within[2]), "two intensities are too few"
    found = summarize_sequences(within[np.isfinite(within)])
    assert (found.count, found.median) == (3, 0)
    assert found.above == pytest.approx(1 / 3)
    assert found.median_interval.low == -1 <= found.above_interval.low <= found.above_interval.high


def test_the_right_faces_are_asked_for_the_right_class(run: Path, moving: FaceSet) -> None:
    test = moving.where(split="test")
    missing = np.where(np.arange(len(moving)) % 7 == 3, np.nan, moving.values("intensity"))
    shown = find_intensity_faces(Recognizer.load(run), moving.with_column("intensity", missing), "test", "intensity")
    kept = np.isfinite(missing[moving.values("split") == "test"])
    expected = []
    for row in np.flatnonzero(kept):
        of = (test.values("subject") == test.values("subject")[row]) & (test.values("sequence") == test.values("sequence")[row])
        peak = max(np.flatnonzero(of & kept), key=lambda frame: test.values("intensity")[frame])
        if test.labels[peak] != 1:
            expected.append((test.column("id")[int(row)].as_py(), int(test.labels[peak])))
    assert list(zip(shown.faces.column("id").to_pylist(), shown.expression.tolist(), strict=True)) == expected
    assert (shown.faces.labels == 1).any(), "a neutral frame of another expression's sequence counts"
    assert len(shown.names) == len({(row["subject"], row["sequence"]) for row in _table(shown.faces)})
    chances = Recognizer.load(run).probabilities(shown.faces)
    assert shown.probability == pytest.approx(chances[np.arange(len(chances)), shown.expression], abs=1e-5)


def _table(faces: FaceSet) -> list[dict[str, str]]:
    pairs = zip(faces.column("subject").to_pylist(), faces.column("sequence").to_pylist(), strict=True)
    return [{"subject": subject, "sequence": sequence} for subject, sequence in pairs]


def test_a_recognizer_of_growing_faces_grows(run: Path, moving: FaceSet) -> None:
    found = inspect_intensity(run, moving)
    assert found.overall.value > 0.5
    assert found.sequences.median > 0.5
    assert found.sequences.above > 0.8
    assert sorted(path.name for path in (run / "intensity").iterdir()) == ["intensity.csv", "intensity.png"]
    with (run / "intensity" / "intensity.csv").open(newline="", encoding="utf-8") as file:
        written = list(csv.DictReader(file))
    assert len(written) == found.overall.count
    assert {row["class"] for row in written} == {"happiness", "sadness"}
    assert all(0 <= float(row["probability"]) <= 1 for row in written)
    assert found.overall.value == pytest.approx(
        spearmanr(*([float(row[name]) for row in written] for name in ("probability", "intensity"))).statistic, abs=1e-2
    )


def test_the_command_prints_and_leaves_it(run: Path, moving: FaceSet, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    moving.save(tmp_path / "set")
    words = ["intensity", str(run), str(tmp_path / "set"), "--out", str(tmp_path / "out")]
    app(words, standalone_mode=False)
    said = capsys.readouterr().out
    assert "bootstrap over sequences" in said
    assert "above 0" in said
    app([*words, "--split", "train", "--json"], standalone_mode=False)
    found = json.loads(capsys.readouterr().out)
    assert (found["split"], found["over"]) == ("train", "sequences")
    assert set(found["overall"]) == {"name", "count", "value", "interval"}


def test_measuring_faces_that_were_trained_on_is_said(moving: FaceSet, tmp_path: Path) -> None:
    stored = moving.save(tmp_path / "set")
    train(stored, small_recipe(stages=[{"epochs": 1, "lr": 0.05}]), tmp_path / "run")
    assert inspect_intensity(tmp_path / "run", stored).warning == ""
    assert "this is no test" in inspect_intensity(tmp_path / "run", stored, "train").warning


def test_faces_without_sequences_have_a_picture_too(run: Path, moving: FaceSet, tmp_path: Path) -> None:
    plain = FaceSet.from_arrays(
        moving.faces(), moving.labels, CLASSES, {"split": moving.column("split"), "felt": moving.values("intensity") * 100}
    )
    found = inspect_intensity(run, plain, column="felt", out=tmp_path)
    assert (found.over, found.sequences.count, found.column) == ("faces", 0, "felt")
    assert (tmp_path / "intensity.png").stat().st_size > 1000


def test_features_have_figures_and_no_picture(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    labels = np.arange(60) % 2
    values = generator.normal(size=(60, 1, 4)).astype(np.float16) + labels[:, None, None].astype(np.float16) * 3
    columns = {"split": ["test" if n % 3 == 0 else "train" for n in range(60)], "intensity": generator.random(60)}
    features = FaceSet.from_arrays(
        values, labels, columns=columns, info=Info(("a", "b"), "features", channels=4, views=("clean",))
    )
    recipe = small_recipe(model={"network": "embedding"}, stages=[{"epochs": 1, "lr": 0.05}])
    train(features, recipe, tmp_path / "run")
    assert inspect_intensity(tmp_path / "run", features).overall.count == 20
    assert [path.name for path in (tmp_path / "run" / "intensity").iterdir()] == ["intensity.csv"]


def test_what_has_no_intensity_is_refused(run: Path, moving: FaceSet, tmp_path: Path) -> None:
    recognizer = replace(Recognizer.load(run), folder=None)
    with pytest.raises(MienError, match=r"'strength'.*--column"):
        inspect_intensity(recognizer, moving, column="strength", out=tmp_path / "out")
    with pytest.raises(MienError, match="numbers in column source"):
        inspect_intensity(recognizer, moving, column="source", out=tmp_path / "out")
    with pytest.raises(MienError, match="faces of different intensity"):
        inspect_intensity(recognizer, moving.with_column("intensity", np.ones(len(moving))), out=tmp_path / "out")
    with pytest.raises(MienError, match="faces of different intensity"):
        inspect_intensity(recognizer, moving.with_column("intensity", np.full(len(moving), np.nan)), out=tmp_path / "out")
    with pytest.raises(MienError, match="a folder for the results"):
        inspect_intensity(recognizer, moving)
    assert not (tmp_path / "out").exists()
