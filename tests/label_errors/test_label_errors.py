"""Doubtful labels: heads that never saw what they judge, the order against loops, and what is left out and said."""

import csv
import importlib
import json
import math
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageColor

from conftest import bright_faces, small_recipe
from mien import FaceSet, MienError, Recognizer, TrainingSettings, train
from mien.data.face_grid import RED
from mien.data.format import Info
from mien.evaluation.neighborhood_stability import find_space, score_faces
from mien.label_errors import confident_learning, find, report
from mien.label_errors.confident_learning import deal_folds, judge_labels, predict_held_out
from mien.label_errors.face_features import embed_faces
from mien.label_errors.find import find_label_errors
from mien.label_errors.known_mistakes import count_mistakes
from mien.label_errors.report import require_own_list, write_label_errors
from mien.neighbors.semantic_neighbors import SIGMA
from mien.progress import Silent
from mien.recognize.model_card import ModelCard
from mien.recognize.saved_networks import build_network
from moving import moving_faces, untrained_recognizer
from runs import features

few = settings(max_examples=40, deadline=None, derandomize=True)


def reader(faces: FaceSet, classes: tuple[str, ...] | None = None) -> Recognizer:
    """A recognizer of cached features that nobody trained; its last block gives them as they are."""
    known, network = classes or faces.classes, {"network": "embedding"}
    card = ModelCard(network, known, faces.info, recipe={"precision": "float32"})
    return Recognizer.of(build_network(network, len(known), faces.info).eval(), card, torch.device("cpu"))


def with_columns(faces: FaceSet, **columns: Any) -> FaceSet:
    for name, values in columns.items():
        faces = faces.with_column(name, values)
    return faces


def lines(folder: Path) -> list[dict[str, str]]:
    with (folder / "doubts.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def has_frames(path: Path) -> bool:
    with Image.open(path) as picture:
        return bool((np.asarray(picture) == ImageColor.getrgb(RED)).all(axis=2).any())


def test_flipped_labels_come_first() -> None:
    faces = features(300)
    found = find_label_errors(reader(faces), faces, noise=0.2, seed=1)
    assert found.known is not None
    assert found.known.wrong == 60
    assert found.known.first[50] >= 40, "10 by chance"
    assert found.known.precision[50] == found.known.first[50] / 50
    assert found.known.auroc > 0.85
    assert 0.1 < found.noise_rate < 0.35
    assert (found.given != faces.labels[found.rows]).sum() == 60
    right = found.suggested[:25] == faces.labels[found.rows[:25]]
    assert right.mean() > 0.8
    clean = find_label_errors(reader(faces), faces, seed=1)
    assert clean.known is None
    assert clean.wrong is None
    assert clean.noise_rate < found.noise_rate


def test_flipped_labels_of_faces_come_first(tmp_path: Path) -> None:
    faces = bright_faces(240)
    found = find_label_errors(untrained_recognizer(tmp_path / "run", faces), faces, noise=0.2)
    assert found.known is not None
    assert len(found.ids) == 192, "those of the split train"
    assert found.known.first[25] >= 20
    assert "folds of people" in found.how


def test_the_order_is_that_of_a_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """Probabilities from a table; cleanlab asked directly; python sorts."""
    find_label_issues = importlib.import_module("cleanlab.filter").find_label_issues
    faces, generator = features(80), np.random.default_rng(3)
    table = generator.dirichlet([1, 1, 1], 80).round(1) + 0.01
    table /= table.sum(axis=1, keepdims=True)
    monkeypatch.setattr(confident_learning, "predict_held_out", lambda *_: table)
    found = find_label_errors(reader(faces), faces)
    flagged = find_label_issues(faces.labels, table, n_jobs=1)
    doubt = [1 - float(table[row, label]) for row, label in enumerate(faces.labels)]
    expected = sorted(range(80), key=lambda row: (not flagged[row], -doubt[row], row))
    assert found.rows.tolist() == expected
    assert found.flagged.tolist() == [bool(flagged[row]) for row in expected]
    assert 0 < found.flagged.sum() < 80
    assert found.scores.tolist() == pytest.approx([doubt[row] for row in expected])
    assert found.suggested.tolist() == [int(table[row].argmax()) for row in expected]
    assert found.ids == tuple(faces.column("id").to_pylist()[row] for row in expected)
    assert (found.faces.faces() == faces.faces(expected)).all()
    assert found.likely is not None
    assert found.likely.sum(axis=1) == pytest.approx(np.bincount(faces.labels)), "a row holds the faces of its label"
    assert found.noise_rate == pytest.approx(1 - np.trace(found.likely) / 80)


class Spy:
    """A head that remembers the features it was fitted on, and refuses to be asked about one of them, or of their people."""

    def __init__(self, fitted: npt.NDArray[np.float32], person: dict[bytes, str], seen: list[bytes]) -> None:
        self.fitted, self.person, self.seen = {row.tobytes() for row in fitted}, person, seen
        self.people = {person[row] for row in self.fitted}

    def predict_proba(self, asked: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        rows = [row.tobytes() for row in asked]
        assert not self.fitted & set(rows)
        assert not self.people & {self.person[row] for row in rows}
        self.seen += rows
        return np.full((len(asked), 3), 1 / 3)


@pytest.mark.parametrize("column", [False, True])
def test_no_head_saw_the_face_or_its_person(monkeypatch: pytest.MonkeyPatch, column: bool) -> None:
    faces = features(90)
    subjects = [f"p{row // 5}" for row in range(90)]
    faces = faces.with_column("subject", subjects) if column else faces
    vectors = embed_faces(reader(faces), faces, Silent())
    person = {row.tobytes(): subjects[n] if column else str(n) for n, row in enumerate(vectors)}
    assert len(person) == 90
    seen: list[bytes] = []
    monkeypatch.setattr(confident_learning, "fit_head", lambda fitted, _: Spy(fitted, person, seen))
    found = find_label_errors(reader(faces), faces, folds=4)
    assert sorted(seen) == sorted(person), "every face is asked about once"
    assert len(set(found.rows.tolist())) == 90


def test_every_face_has_the_probabilities_of_its_own_folds_head() -> None:
    """The labels of a fold do not move its own predictions."""
    faces, generator = features(60), np.random.default_rng(0)
    vectors, fold = faces.faces()[:, 0].astype(np.float32), np.arange(60) // 3 % 3
    before = predict_held_out(vectors, faces.labels, fold, Silent())
    labels = faces.labels.copy()
    labels[fold == 1] = generator.permutation(labels[fold == 1])
    after = predict_held_out(vectors, labels, fold, Silent())
    assert (before[fold == 1] == after[fold == 1]).all()
    assert (before[fold != 1] != after[fold != 1]).any()
    assert before.sum(axis=1) == pytest.approx(np.ones(60))


@few
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 5)), min_size=12, max_size=40), st.integers(0, 99))
def test_folds_are_stratified_and_keep_people_together(drawn: list[tuple[int, int]], seed: int) -> None:
    labels, people = np.array(drawn).T
    most = int(np.bincount(labels).max())
    alone = deal_folds(labels, None, min(4, most), seed)
    assert (alone == deal_folds(labels, None, min(4, most), seed)).all()
    for label in set(labels):
        counts = np.bincount(alone[labels == label], minlength=min(4, most))
        assert counts.max() - counts.min() <= 1
    folds = min(3, len(set(people)), most)
    if folds > 1:
        together = deal_folds(labels, people, folds, seed)
        assert all(len(set(together[people == person])) == 1 for person in set(people))
        assert set(together) <= set(range(folds))


def test_folds_that_cannot_be_are_refused() -> None:
    labels, people = np.arange(20) % 2, np.arange(20) // 5
    for folds, who in ((1, None), (11, None), (5, people)):
        with pytest.raises(MienError, match="change `folds`"):
            deal_folds(labels, who, folds, 0)
    with pytest.raises(MienError, match="label more faces"):
        deal_folds(np.arange(4), None, 2, 0)


def test_faces_of_nobody_are_people_of_their_own() -> None:
    faces = features(60)
    some = with_columns(faces, subject=pa.array([f"p{n // 6}" if n < 30 else None for n in range(60)]))
    people = confident_learning.person_numbers(some)
    assert people is not None
    assert people[:30].tolist() == [n // 6 for n in range(30)]
    assert len(set(people[30:])) == 30
    assert not set(people[:30]) & set(people[30:])
    nobody = with_columns(faces, subject=pa.array([None] * 60, pa.string()))
    assert confident_learning.person_numbers(nobody) is None
    assert "of people" not in find_label_errors(reader(nobody), nobody).how


def test_faces_that_cannot_be_judged_are_left_out_and_counted() -> None:
    """No label, a class of one face; one of two faces is judged, and one that the recognizer does not know."""
    faces = features(60, classes=3, dimension=6)
    names = ("class0", "class1", "class2", "rare", "single", "unknown")
    labels = faces.labels.copy()
    labels[:7], labels[7:9], labels[9], labels[10:12] = -1, 3, 4, 5
    other = FaceSet.from_arrays(faces.faces(), labels, info=Info(names, "features", channels=6, views=("clean",)))
    found = find_label_errors(reader(faces, names[:5]), other)
    assert sorted(found.rows.tolist()) == [7, 8, *range(10, 60)]
    assert "left out: 7 faces without label" in found.warnings
    assert "left out: classes whose faces all fell into one fold: single 1" in found.warnings
    assert found.likely is not None
    assert found.likely.shape == (6, 6)
    assert found.likely[4].sum() == found.likely[:, 4].sum() == 0
    moves = find_label_errors(reader(faces, names[:5]), other, by="neighborhood")
    assert "left out: 2 faces of classes that the recognizer does not know" in moves.warnings
    assert not {10, 11} & set(moves.rows.tolist())


def test_a_class_of_one_person_is_left_out() -> None:
    faces = features(60)
    subjects = ["one" if label == 2 else f"p{n % 7}" for n, label in enumerate(faces.labels)]
    found = find_label_errors(reader(faces), faces.with_column("subject", subjects))
    assert set(found.given) == {0, 1}
    assert "one fold: class2 20" in found.warnings[0]


def test_labels_are_matched_by_name() -> None:
    faces = features(90)
    other = reader(faces, ("class2", "class0", "more", "class1"))
    found, same = find_label_errors(other, faces), find_label_errors(reader(faces), faces)
    assert found.rows.tolist() == same.rows.tolist()
    names = np.array(found.classes)
    assert names[found.given].tolist() == [faces.classes[label] for label in same.given]
    assert names[found.suggested].tolist() == [faces.classes[label] for label in same.suggested]


def test_one_class_is_refused() -> None:
    faces = features(60)
    with pytest.raises(MienError, match=r"two classes or more.*found 1"):
        find_label_errors(reader(faces), faces.with_column("label", np.zeros(60, np.int64)))


def test_features_serve_whatever_classes_the_recognizer_has() -> None:
    faces = features(60)
    found, same = find_label_errors(reader(faces, ("pride", "shame")), faces), find_label_errors(reader(faces), faces)
    assert found.classes == faces.classes
    assert found.rows.tolist() == same.rows.tolist()
    with pytest.raises(MienError, match=r"labeled faces of pride, shame in the training split; found none"):
        find_label_errors(reader(faces, ("pride", "shame")), faces, by="neighborhood")


def test_the_features_that_a_set_holds_need_no_model() -> None:
    faces = features(60)
    found, same = find_label_errors(None, faces, noise=0.2), find_label_errors(reader(faces), faces, noise=0.2)
    assert "features of the set" in found.how
    assert found.rows.tolist() == same.rows.tolist()
    for by in ("weights", "neighborhood"):
        with pytest.raises(MienError, match="give `model` mien-s, or a run"):
            find_label_errors(None, faces, by=by)
    with pytest.raises(MienError, match="give `model` mien-s, or a run"):
        find_label_errors(None, bright_faces())


def test_the_model_in_the_box_looks_at_any_faces() -> None:
    """Of other classes, another side, and in color."""
    gray = bright_faces(60, side=24)
    pixels = np.repeat(gray.faces()[..., None], 3, axis=3)
    faces = FaceSet.from_arrays(pixels, gray.labels, ["keen", "bored", "tired"])
    found = find_label_errors("mien-s", faces, noise=0.1, seed=1)
    assert found.classes == ("keen", "bored", "tired")
    assert "faces are converted for the model: 24 pixels, color to 48 pixels, gray" in found.warnings
    assert found.known is not None
    assert (len(found.ids), found.known.wrong) == (60, 6)
    assert (found.faces.faces() == pixels[found.rows]).all(), "the list shows the faces as they are"


def test_faces_of_another_side_or_kind_are_refused(tmp_path: Path) -> None:
    run = untrained_recognizer(tmp_path / "run", bright_faces(side=32))
    with pytest.raises(MienError, match="faces of side 32"):
        find_label_errors(run, bright_faces(side=16), by="neighborhood")
    with pytest.raises(MienError, match="leave `model` out"):
        find_label_errors(run, features(60))
    with pytest.raises(MienError, match="faces of kind faces"):
        find_label_errors(run, features(60), by="neighborhood")


def test_what_is_asked_is_checked() -> None:
    faces = features(60)
    with pytest.raises(MienError, match=r"a method among confident, weights, neighborhood; found 'chance'"):
        find_label_errors(reader(faces), faces, by="chance")
    with pytest.raises(MienError, match="train a run with `noise`"):
        find_label_errors(reader(faces), faces, by="weights", noise=0.1)
    for neighbors, score, told in ((None, "label", "`score`"), ("views", "x", "`neighbors` and `score`")):
        with pytest.raises(MienError, match=f"`by` neighborhood with {told}; found --by confident"):
            find_label_errors(reader(faces), faces, neighbors=neighbors, score=score)
    with pytest.raises(MienError, match="noise that fits"):
        find_label_errors(reader(faces), faces, noise=1.5)
    with pytest.raises(MienError, match="a recognizer in memory"):
        find_label_errors(reader(faces), faces, by="weights")


def test_cleanlab_is_asked_for_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    faces = features(60)
    monkeypatch.setitem(sys.modules, "cleanlab", None)
    monkeypatch.setattr(find, "select_labeled_faces", None)  # Nothing is done before.
    with pytest.raises(MienError, match=r"cleanlab.*pip install 'mien\[doubts\]'"):
        find_label_errors(reader(faces), faces)
    monkeypatch.undo()
    monkeypatch.setitem(sys.modules, "cleanlab", None)
    assert len(find_label_errors(reader(faces), faces, by="neighborhood").ids) == 60


def test_truth_is_taken_where_it_is_known() -> None:
    faces = features(60)
    truth = [int(label) for label in faces.labels]
    truth[0], truth[1], truth[2] = 2, -1, None  # type: ignore[call-overload]
    known = faces.with_column("true_label", pa.array(truth, pa.int16()))
    found = find_label_errors(reader(faces), known)
    assert found.wrong is not None
    assert sorted(found.rows[found.wrong].tolist()) == [0, 1]
    assert found.known is not None
    assert (found.known.wrong, list(found.known.first)) == (2, [25, 50])
    flipped = find_label_errors(reader(faces), known, noise=0.5)
    assert flipped.wrong is not None
    for row, label, wrong in zip(flipped.rows, flipped.given, flipped.wrong, strict=True):
        told = truth[row] if truth[row] is not None else faces.labels[row]
        assert wrong == (label != told)
    with pytest.raises(MienError, match="a column true_label of class numbers"):
        find_label_errors(reader(faces), faces.with_column("true_label", ["class0"] * 60))


@few
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 3), st.booleans()), min_size=1, max_size=60))
def test_figures_of_the_list_are_those_of_loops(faces: list[tuple[bool, int, bool]]) -> None:
    listed = sorted(faces, key=lambda face: (not face[0], -face[1]))
    flagged, scores, wrong = (np.array(values) for values in zip(*listed, strict=True))
    found = count_mistakes(scores.astype(float), flagged, wrong)
    assert found.wrong == sum(face[2] for face in listed)
    assert found.first == {n: sum(face[2] for face in listed[:n]) for n in (25, 50) if n <= len(listed)}
    pairs = [
        1.0 if bad[:2] > good[:2] else 0.5 if bad[:2] == good[:2] else 0.0
        for bad in listed if bad[2] for good in listed if not good[2]
    ]  # fmt: skip
    assert (found.auroc == pytest.approx(sum(pairs) / len(pairs))) if pairs else math.isnan(found.auroc)


def test_cleanlab_judges_few_faces_without_a_warning() -> None:
    """Warnings are errors here: none may come of a class with two faces, nor of predictions that are all alike."""
    generator = np.random.default_rng(0)
    for labels in ([0, 0, 1, 1, 2, 2], [0] * 10 + [1, 1, 2, 2]):
        for table in (generator.dirichlet(np.ones(3), len(labels)), np.full((len(labels), 3), 1 / 3)):
            judged = judge_labels(np.array(labels), table)
            assert judged.joint.sum() == pytest.approx(1)
            assert np.isfinite(judged.scores).all()


@pytest.fixture
def noisy(tmp_path: Path, stored: Path) -> Path:
    """A run on labels of which a quarter is flipped."""
    train(stored, small_recipe(stages=[{"epochs": 1, "lr": 0.05}]), tmp_path / "run", TrainingSettings(noise=0.25, seed=3))
    return tmp_path / "run"


def test_flips_are_those_that_training_made(noisy: Path, stored: Path) -> None:
    found = find_label_errors(noisy, stored, noise=0.25, seed=3)
    taught = {row["id"]: row["label"] for row in pq.read_table(noisy / "budget.parquet").to_pylist()}
    assert dict(zip(found.ids, found.given.tolist(), strict=True)) == taught
    assert found.known is not None
    assert found.known.wrong == 24
    assert [text for text in found.warnings if "96 of these 96 labels taught the run" in text]
    assert not [text for text in found.warnings if "otherwise" in text]
    plain = find_label_errors(noisy, stored)
    assert "the run was taught 24 of them otherwise than they are labeled here, as it was trained" in plain.warnings[-1]
    assert "figures flatter" in find_label_errors(noisy, stored, noise=0.25, seed=4).warnings[-1]
    assert not find_label_errors(noisy, stored, "test").warnings, "the run saw none of these"


def test_a_neighborhood_finds_the_flips_that_training_made(noisy: Path, stored: Path) -> None:
    found = find_label_errors(noisy, stored, by="neighborhood", noise=0.25, seed=3)
    assert found.known is not None
    assert found.known.wrong == 24
    assert not any("taught" in warning and "otherwise" in warning for warning in found.warnings)
    assert "--noise 0.25 --seed 3: give the same" in find_label_errors(noisy, stored, by="neighborhood").warnings[-1]


def test_weights_order_the_faces_that_the_run_trained_on(noisy: Path, stored: Path, tmp_path: Path) -> None:
    table = pq.read_table(noisy / "weights.parquet")
    equal = find_label_errors(noisy, stored, by="weights")
    assert "this run weighed all faces the same: the order says nothing" in equal.warnings
    weights = np.random.default_rng(0).permutation(len(table)) / len(table)
    pq.write_table(table.set_column(2, "weight", pa.array(weights)), noisy / "weights.parquet")
    found = find_label_errors(noisy, stored, by="weights")
    taught = dict(zip(table["id"].to_pylist(), table["label"].to_pylist(), strict=True))
    lowest = np.argsort(weights)
    assert list(found.ids) == [table["id"].to_pylist()[row] for row in lowest]
    assert found.scores == pytest.approx(1 - weights[lowest])
    assert found.given.tolist() == [taught[name] for name in found.ids]
    labels = dict(zip(FaceSet.open(stored).values("id"), FaceSet.open(stored).labels, strict=True))
    assert found.wrong is not None
    assert found.wrong.tolist() == [taught[name] != labels[name] for name in found.ids]
    assert set(found.suggested) == {-1}
    assert not found.flagged.any()
    assert math.isnan(found.noise_rate)
    assert f"left out: {96 - len(table)} labeled faces that the run did not train on" in found.warnings
    with pytest.raises(MienError, match="faces of test that the run trained on"):
        find_label_errors(noisy, stored, "test", by="weights")
    FaceSet.open(stored).with_column("subject", ["x"] * 120).save(tmp_path / "other")
    assert "not the set that the run trained on" in find_label_errors(noisy, tmp_path / "other", by="weights").warnings[-1]
    (noisy / "weights.parquet").unlink()
    with pytest.raises(MienError, match="a run's sample weights"):
        find_label_errors(noisy, stored, by="weights")


def test_a_neighborhood_orders_by_s(tmp_path: Path) -> None:
    faces = moving_faces()
    recognizer = Recognizer.load(untrained_recognizer(tmp_path / "run", faces))
    found = find_label_errors(recognizer, faces, by="neighborhood", seed=5, score="divergence")
    train_rows = np.flatnonzero(faces.values("split") == "train")
    view = faces.select(train_rows)
    moves = score_faces(find_space(recognizer, view, None, SIGMA)[0], view, 8, 5, torch.device("cpu"))
    order = sorted(range(len(view)), key=lambda row: -moves.scores[row])
    assert found.rows.tolist() == train_rows[order].tolist()
    assert found.scores.tolist() == moves.scores[order].tolist()
    assert found.suggested.tolist() == recognizer.logits(view).argmax(axis=1)[order].tolist()
    assert "features of the network's last block" in found.how
    assert found.likely is None


def test_a_neighborhood_orders_by_the_labels_loss_there(tmp_path: Path) -> None:
    """At the face and its mirror image, number by number; of a set with a class of one face."""
    faces = moving_faces(6)
    labels = faces.labels.copy()
    labels[:] = np.arange(len(labels)) % 2
    labels[0] = 2
    faces = faces.with_column("label", labels)
    recognizer = Recognizer.load(untrained_recognizer(tmp_path / "run", faces))
    found = find_label_errors(recognizer, faces, "all", by="neighborhood", neighbors="mirror")
    with torch.no_grad():
        inputs = (torch.from_numpy(faces.faces()[:, :, ::-1].copy()).float()[:, None] / 255 - 0.5) * 4
        likely = recognizer.network(inputs).log_softmax(dim=1).numpy()
    wanted = -likely[np.arange(len(labels)), labels]
    assert sorted(found.scores) == pytest.approx(sorted(wanted), rel=1e-4)
    assert found.rows.tolist() == np.argsort(-wanted, kind="stable").tolist()
    assert "minus log p of the label at a neighbor, by mirror images" in found.how


def test_what_is_left(tmp_path: Path) -> None:
    """Of color faces with ids in any script; the list takes the place of an earlier one."""
    generator = np.random.default_rng(0)
    ids = [f'лицо/{n} "顔", é' for n in range(30)]
    pixels = generator.integers(0, 255, (30, 16, 16, 3), np.uint8)
    faces = FaceSet.from_arrays(pixels, np.arange(30) % 3, ("怒り", "joy", "ärger"), {"id": ids})
    run = untrained_recognizer(tmp_path / "run", faces)
    found = find_label_errors(run, faces, noise=0.3)
    out = tmp_path / "new" / "out"
    assert write_label_errors(found, out, first=12) == ["doubts.csv", "doubts.png", "doubts.json"]
    written = lines(out)
    assert [row["id"] for row in written] == [ids[row] for row in found.rows]
    assert [row["rank"] for row in written] == [str(n + 1) for n in range(30)]
    assert [row["given"] for row in written] == [faces.classes[label] for label in found.given]
    assert [row["suggested"] for row in written] == [faces.classes[label] for label in found.suggested]
    assert [row["flagged"] == "true" for row in written] == found.flagged.tolist()
    assert [float(row["score"]) for row in written] == pytest.approx(found.scores.tolist(), rel=1e-4)
    assert has_frames(out / "doubts.png")
    figures = json.loads((out / "doubts.json").read_text("utf-8"))
    assert figures["made_by"] == "mien doubts"
    assert figures["classes"] == list(faces.classes)
    assert found.wrong is not None
    assert figures["known"]["first"] == {"25": int(found.wrong[:25].sum())}
    before = (out / "doubts.png").read_bytes()
    write_label_errors(find_label_errors(run, faces, by="neighborhood"), out)
    assert (out / "doubts.png").read_bytes() != before
    assert not has_frames(out / "doubts.png")
    assert sorted(path.name for path in out.iterdir()) == ["doubts.csv", "doubts.json", "doubts.png"]
    assert [path.name for path in out.parent.iterdir()] == ["out"], "nothing is left aside"
    with pytest.raises(MienError, match="at least 1 face to show"):
        write_label_errors(found, out, first=0)


def test_features_have_a_table_and_no_picture(tmp_path: Path) -> None:
    faces = features(60)
    found = find_label_errors(reader(faces), faces)
    assert write_label_errors(found, tmp_path / "out") == ["doubts.csv", "doubts.json"]
    assert len(lines(tmp_path / "out")) == 60


def test_what_somebody_else_made_is_not_touched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    faces = features(60)
    found = find_label_errors(reader(faces), faces)
    (tmp_path / "empty").mkdir()
    write_label_errors(found, tmp_path / "empty")
    out = tmp_path / "out"
    write_label_errors(found, out)
    (out / "labels.db").write_text("answers")
    with pytest.raises(MienError, match=r"found labels\.db"):
        write_label_errors(found, out)
    (out / "labels.db").unlink()
    old = (out / "doubts.json").read_text()
    (out / "doubts.json").write_text("{}")
    with pytest.raises(MienError, match=r"found doubts\.json"):
        require_own_list(out)
    (out / "doubts.json").write_text(old)
    (tmp_path / "csv").mkdir()
    (tmp_path / "csv" / "doubts.csv").write_text("mine")
    with pytest.raises(MienError, match=r"found doubts\.csv"):
        write_label_errors(found, tmp_path / "csv")
    (tmp_path / "file").write_text("mine")
    with pytest.raises(MienError, match="found file"):
        write_label_errors(found, tmp_path / "file")

    def fails(*_: object) -> str:
        raise OSError("no space left")

    monkeypatch.setattr(report, "label_error_rows", fails)
    with pytest.raises(OSError, match="no space left"):
        write_label_errors(found, out)
    assert (out / "doubts.json").read_text() == old
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_a_list_that_cannot_be_put_in_place_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    faces = features(60)
    found, out, rename = find_label_errors(reader(faces), faces), tmp_path / "out", os.replace
    write_label_errors(found, out)
    old = (out / "doubts.csv").read_text()

    def fails(source: Path, target: Path) -> None:
        if source.name == "new":
            raise OSError("no such luck")
        rename(source, target)

    monkeypatch.setattr(os, "replace", fails)
    with pytest.raises(OSError, match="no such luck"):
        write_label_errors(find_label_errors(reader(faces), faces, seed=1), out)
    assert (out / "doubts.csv").read_text() == old
