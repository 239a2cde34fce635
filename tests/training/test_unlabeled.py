"""Faces without labels: which ones a run sees, how they are made to fit, what is never seen of them, and what is reported."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor

import conftest
from conftest import small_recipe
from mien import FaceSet, MienError, Recipe, TrainingSettings, resume, train
from mien.data.convert import in_shape_of
from mien.data.format import Info
from mien.progress import Silent
from mien.recognize.run_records import read_history
from mien.techniques.draw import replace
from mien.techniques.unlabeled import fixmatch, pseudo_label
from mien.training import label_quality
from mien.training.components import looks_at_unlabeled
from mien.training.notes import Notes
from mien.training.prepare_run import PreparedRun, prepare_run
from mien.training.run import Run
from runs import Heard, changed, features

AGREE = small_recipe(unlabeled="conftest:Agree")
few = settings(max_examples=40, deadline=None, derandomize=True)


class Said(Silent):
    """Progress that remembers what it was told."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        """Remember."""
        self.lines.append(text)

    def about(self, word: str) -> list[str]:
        return [line for line in self.lines if word in line]


def bright_faces(count: int = 120, classes: int = 3, side: int = 16, seed: int = 0) -> FaceSet:
    """As everywhere, but of people whom nobody names: each face is on a side by itself."""
    return conftest.bright_faces(count, classes, side, seed).with_column("subject", [None] * count)


def prepared(faces: FaceSet, others: FaceSet | None = None, recipe: Recipe = AGREE, **order: Any) -> PreparedRun:
    return prepare_run(faces, others, recipe, TrainingSettings(**order), Silent())


def ids(made: PreparedRun, unlabeled: bool) -> list[str]:
    """Ids of the run's labeled or unlabeled training faces."""
    keep = (made.data.labels < 0).numpy() == unlabeled
    return [str(name) for name in made.data.faces.values("id")[keep]]


def another(count: int = 60, classes: int = 2) -> FaceSet:
    """A set of other faces with other classes and ids; a fifth is its test split."""
    made = bright_faces(count, classes, seed=5)
    return made.with_column("id", [f"other{n}" for n in range(count)])


# Which faces.


@given(st.integers(1, 160), st.integers(0, 50), st.booleans(), st.booleans())
@few
def test_unlabeled_faces_are_drawn_from_all_there_are(most: int, seed: int, own: bool, joined: bool) -> None:
    faces, others = bright_faces(), another() if joined else None
    made = prepared(faces, others, labels=30, seed=seed, unlabeled_faces=most, own_unlabeled=own)
    everything = prepared(faces, others, labels=30, seed=seed, own_unlabeled=own)
    there = (66 if own else 0) + (48 if joined else 0)
    assert len(ids(everything, True)) == there
    assert len(ids(made, True)) == made.facts["unlabeled"] == min(most, there)
    assert set(ids(made, True)) <= set(ids(everything, True))
    assert ids(made, False) == ids(everything, False), "the labels stay the same"
    assert (made.data.validation_labels == everything.data.validation_labels).all()
    assert not set(ids(made, True)) & set(made.data.validation.values("id"))


def test_which_unlabeled_faces_is_the_seeds_choice() -> None:
    faces, others = bright_faces(), another()
    drawn = [prepared(faces, others, labels=30, seed=seed, unlabeled_faces=40) for seed in (0, 0, 1)]
    first, again, other = (ids(made, True) for made in drawn)
    assert first == again
    assert first != other
    from_other = sum(name.startswith("other") for name in first)
    assert 8 <= from_other <= 26, "of 66 and 48 faces each as likely as any"
    foreign = [
        ids(prepared(faces, others, labels=30, seed=seed, unlabeled_faces=9, own_unlabeled=False), True) for seed in (0, 1)
    ]
    assert foreign[0] != foreign[1], "not for the labels' sake alone"


def test_only_the_other_set_where_the_own_faces_are_left_out(tmp_path: Path, stored: Path) -> None:
    others = another().save(tmp_path / "other")
    log = tmp_path / "rows"
    recipe = small_recipe(unlabeled={"technique": "conftest:Agree", "log": str(log)})
    made = train(stored, recipe, tmp_path / "run", TrainingSettings(labels=30, own_unlabeled=False, threads=1), unlabeled=others)
    assert made.card.budget["unlabeled"] == 48
    train_faces = int(made.card.budget["train"])
    assert {int(row) for row in log.read_text().split()} == set(range(train_faces, train_faces + 48))
    left_out = prepared(FaceSet.open(stored), labels=30, own_unlabeled=False)
    assert left_out.facts["unlabeled"] == 0


@pytest.mark.parametrize("recipe", [AGREE, small_recipe(draw="replace")])
def test_where_the_own_faces_are_left_out_their_test_faces_are_too(recipe: Recipe) -> None:
    """Transductive or not: those of the other set are what is learned from."""
    made = prepared(bright_faces(), another(), recipe.set("transductive", True), labels=30, own_unlabeled=False)
    assert len(ids(made, True)) == 60
    assert all(name.startswith("other") for name in ids(made, True))
    assert (
        prepared(bright_faces(), None, recipe.set("transductive", True), labels=30, own_unlabeled=False).facts["unlabeled"] == 0
    )


def test_an_order_with_all_that_is_resumed(tmp_path: Path, stored: Path) -> None:
    another().save(tmp_path / "other")
    order = TrainingSettings(labels=30, own_unlabeled=False, unlabeled_faces=20, threads=1)
    made = train(stored, AGREE, tmp_path / "run", order, unlabeled=tmp_path / "other")
    for name in ("model/model.json", "checkpoint.safetensors"):
        (tmp_path / "run" / name).unlink()
    again = resume(tmp_path / "run")
    assert again.card.budget == made.card.budget
    assert again.card.budget["unlabeled"] == 20
    assert changed(made.network.state_dict(), again.network.state_dict()) == set()


def test_a_draw_that_takes_unlabeled_faces_brings_them_in(tmp_path: Path) -> None:
    """Where the recipe's answer to what unlabeled faces teach is nothing; in any stage."""
    replace = {"technique": "replace", "share": 0.5, "threshold": 0.0}
    stage = {"epochs": 1, "lr": 0.05}
    plain, drawing = small_recipe(), small_recipe(draw=replace)
    later = small_recipe(stages=[stage, {**stage, "answers": {"draw": replace}}])
    assert [looks_at_unlabeled(recipe) for recipe in (plain, drawing, later, AGREE)] == [False, True, True, True]
    assert [prepared(bright_faces(), None, recipe, labels=30).facts["unlabeled"] for recipe in (plain, drawing)] == [0, 66]
    train(bright_faces(), later, tmp_path / "run", TrainingSettings(labels=60, threads=1))
    first, second = read_history(tmp_path / "run")
    assert "replaced" not in first
    assert 0 < second["replaced"] <= 24
    others = prepared(bright_faces(), another(), drawing, labels=30, own_unlabeled=False)
    assert others.facts["unlabeled"] == 48


def test_unlabeled_batches_are_those_of_a_fair_turn(tmp_path: Path) -> None:
    """Nobody comes twice before everybody came once within an epoch."""
    log = tmp_path / "rows"
    recipe = small_recipe(unlabeled={"technique": "conftest:Agree", "log": str(log)}, unlabeled_batch=10)
    recipe = recipe.with_epochs(1).set("draw.at_least", 12)
    train(bright_faces(), recipe, tmp_path / "run", TrainingSettings(labels=30, threads=1))
    lines = [line.split() for line in log.read_text().splitlines()]
    assert [len(line) for line in lines] == [10] * 12
    counts = np.unique([row for line in lines for row in line], return_counts=True)[1]
    assert len(counts) == 66
    assert set(counts) == {1, 2}


# Faces of another shape.


def constant(tone: Any, side: int, count: int = 5) -> FaceSet:
    """Faces of one tone, (r, g, b) or gray."""
    shape = (count, side, side, 3) if isinstance(tone, tuple) else (count, side, side)
    return FaceSet.from_arrays(np.full(shape, tone, np.uint8), [0] * count, ["any"])


@pytest.mark.parametrize(
    ("tone", "gray"), [((255, 0, 0), 76), ((0, 255, 0), 150), ((0, 0, 255), 29), ((10, 200, 90), 131), (77, 77)]
)
@pytest.mark.parametrize("side", [8, 16, 24])
def test_one_tone_stays_one_tone(tone: Any, gray: int, side: int) -> None:
    """Gray values are Pillow's, whatever the side."""
    found = in_shape_of(constant(tone, side), Info(classes=("any",), side=16)).faces()
    assert found.shape == (5, 16, 16)
    assert found.dtype == np.uint8
    assert np.unique(found).tolist() == [gray]
    in_color = in_shape_of(constant(tone, side), Info(classes=("any",), side=16, channels=3)).faces()
    assert (in_color == np.full((5, 16, 16, 3), tone if isinstance(tone, tuple) else (tone,) * 3)).all()


@pytest.mark.parametrize("side", [12, 40, 48])
def test_another_side_is_pillows_bilinear_one(side: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (3, side, side), np.uint8)
    found = in_shape_of(FaceSet.from_arrays(pixels, [0] * 3, ["any"]), Info(classes=("any",), side=16)).faces()
    for given_face, made in zip(pixels, found, strict=True):
        expected = np.asarray(Image.fromarray(given_face).resize((16, 16), Image.Resampling.BILINEAR), np.int64)
        assert np.abs(made - expected).max() <= 1


def test_columns_and_order_stay_over_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mien.data.convert.CHUNK", 7)
    faces = bright_faces(30, side=24)
    found = in_shape_of(faces, Info(classes=faces.classes, side=16))
    assert found.values("id").tolist() == faces.values("id").tolist()
    assert (found.labels == faces.labels).all()
    monkeypatch.setattr("mien.data.convert.CHUNK", 4096)
    assert (in_shape_of(faces, Info(classes=faces.classes, side=16)).faces() == found.faces()).all()


def colored(count: int = 30, side: int = 20) -> FaceSet:
    return FaceSet.from_arrays(np.random.default_rng(1).integers(0, 256, (count, side, side, 3), np.uint8))


def test_faces_of_another_side_and_color_are_converted_and_that_is_said_once(tmp_path: Path) -> None:
    said = Said()
    made = train(bright_faces(), AGREE, tmp_path / "run", TrainingSettings(labels=30, threads=1), colored(), said)
    assert said.about("converted") == ["unlabeled faces are converted: 20 pixels, color to 16 pixels, gray"]
    assert made.card.budget["unlabeled"] == 66 + 30
    assert (made.card.faces.side, made.card.faces.channels) == (16, 1)


def test_faces_of_the_same_shape_are_not_spoken_of(tmp_path: Path) -> None:
    said = Said()
    prepare_run(bright_faces(), another(), AGREE, TrainingSettings(labels=30), said)
    assert said.about("converted") == []


def test_gray_faces_become_colored_ones() -> None:
    labels = np.arange(30) % 3
    faces = FaceSet.from_arrays(colored().faces(), labels, ["a", "b", "c"])
    made = prepared(faces, another(), labels=12)
    pixels = made.data.faces.faces()
    assert pixels.shape == (len(made.data.labels), 20, 20, 3)
    strangers = pixels[-48:]
    assert (strangers == strangers[..., :1]).all()


@pytest.mark.parametrize("features_first", [True, False])
def test_features_and_faces_do_not_go_together(features_first: bool) -> None:
    sets: list[FaceSet] = [features(), bright_faces()]
    faces, others = sets if features_first else sets[::-1]
    with pytest.raises(MienError, match="the same mien features"):
        prepared(faces, others, labels=12)


def test_features_of_another_dimension_or_other_views_are_refused() -> None:
    with pytest.raises(MienError, match="the same mien features"):
        prepared(features(), features(dimension=7), labels=12)
    info = Info(classes=("any",), kind="features", channels=6, views=("clean", "strong"))
    two_views = FaceSet.from_arrays(np.zeros((9, 2, 6), np.float16), [0] * 9, info=info)
    with pytest.raises(MienError, match="one views"):
        prepared(features(), two_views, labels=12)


def test_features_join_features() -> None:
    made = prepared(features(), features(count=30), labels=12)
    assert made.facts["unlabeled"] == 78 + 30


@pytest.mark.parametrize("classes", [1, 2, 5])
def test_classes_of_the_other_set_do_not_matter(classes: int) -> None:
    """More, fewer or others: of a further set only pixels are used."""
    side = max(16, 6 + 4 * classes)
    renamed = FaceSet.from_arrays(
        bright_faces(60, classes, side).faces(), np.arange(60) % classes, [f"mood{n}" for n in range(classes)]
    )
    made = prepared(bright_faces(), renamed, labels=30)
    assert made.data.faces.classes == ("class0", "class1", "class2")
    assert made.facts["unlabeled"] == 66 + 60
    assert (made.data.labels[-60:] == -1).all()
    assert made.data.truth is not None
    assert (made.data.truth[-60:] == -1).all(), "its labels are nothing that a class of ours could be compared with"


def test_a_set_without_any_label_will_do() -> None:
    unlabeled = FaceSet.from_arrays(bright_faces(40, seed=8).faces())
    assert prepared(bright_faces(), unlabeled, labels=30).facts["unlabeled"] == 66 + 40


# Budgets.


@given(st.integers(1, 40), st.floats(0, 0.9), st.integers(0, 100))
@few
def test_a_class_has_as_many_labels_as_asked_for_validation_included(per_class: int, share: float, seed: int) -> None:
    faces = bright_faces(120).where(split="train")
    sizes = {0: 32, 1: 32, 2: 6}
    keep = np.sort(np.concatenate([np.flatnonzero(faces.labels == label)[:size] for label, size in sizes.items()]))
    made = prepared(faces.select(keep), None, AGREE.set("validation", share), labels_per_class=per_class, seed=seed)
    trained, validated = made.data.labels.tolist(), made.data.validation_labels.tolist()
    for label, size in sizes.items():
        assert trained.count(label) + validated.count(label) == min(per_class, size)
    assert made.facts["train"] + made.facts["validation"] == len(trained) - trained.count(-1) + len(validated)
    assert trained.count(-1) == made.facts["unlabeled"] == sum(sizes.values()) - sum(min(per_class, n) for n in sizes.values())


def test_fewer_labels_than_asked_for_are_said_once_and_recorded(tmp_path: Path) -> None:
    said = Said()
    made = train(bright_faces(), AGREE, tmp_path / "run", TrainingSettings(labels_per_class=40, threads=1), progress=said)
    assert said.about("fewer labels") == ["fewer labels than 40: class0 32, class1 32, class2 32"]
    assert made.card.budget["classes"] == {"class0": 32, "class1": 32, "class2": 32}
    assert made.card.budget["labels_per_class"] == 40
    assert len(pq.read_table(tmp_path / "run" / "budget.parquet")) == 96


# What is true of them is reported and nothing else.

TECHNIQUES: dict[str, dict[str, Any]] = {
    "pseudo_label": {"unlabeled": {"technique": "pseudo_label", "threshold": 0.4}},
    "fixmatch": {"unlabeled": {"technique": "fixmatch", "threshold": 0.34}},
    "adaptive": {"unlabeled": {"technique": "fixmatch", "adaptive": True}},
    "annealed": {"unlabeled": "pseudo_label", "step": "annealed"},
    "labels": {"unlabeled": "pseudo_label", "step": {"technique": "annealed", "noise": "labels"}},
    "replace": {"draw": {"technique": "replace", "share": 0.5, "threshold": 0.3}, "targets": "successive", "weigh": "importance"},
}


@pytest.mark.parametrize("name", TECHNIQUES)
def test_hidden_labels_change_no_weight(tmp_path: Path, name: str) -> None:
    """The set's labels beyond the budget are scrambled: what is reported is another, what is learned is the same."""
    faces, recipe = bright_faces(), small_recipe(**TECHNIQUES[name])
    first = train(faces, recipe, tmp_path / "a", TrainingSettings(labels=30, threads=1))
    used = pq.read_table(tmp_path / "a" / "budget.parquet").column("id").to_pylist()
    hidden = ~np.isin(faces.values("id").astype(str), used)
    assert hidden.sum() == 90
    scrambled = faces.with_column("true_label", np.where(hidden, 0, faces.labels))
    dropped = faces.with_column("label", np.where(hidden, -1, faces.labels))
    for number, (other, order) in enumerate(
        ((scrambled, TrainingSettings(labels=30, threads=1)), (dropped, TrainingSettings(threads=1)))
    ):
        again = train(other, recipe, tmp_path / f"b{number}", order)
        assert changed(first.network.state_dict(), again.network.state_dict()) == set()
    histories = [read_history(tmp_path / folder) for folder in ("a", "b0", "b1")]
    told = [[epoch.get("pseudo_label_accuracy", math.nan) for epoch in history] for history in histories]
    assert told[0] != told[1]
    assert all(map(math.isnan, told[2])), "where nobody knows the truth nothing is claimed"


def spied(run_folder: Path, faces: FaceSet, recipe: Recipe, order: TrainingSettings) -> list[list[tuple[Tensor, Tensor, Tensor]]]:
    """Rows, pseudo-labels and who counted, of every batch of every epoch."""
    epochs: list[list[tuple[Tensor, Tensor, Tensor]]] = [[]]
    note, take = label_quality.note_pseudo_labels, Notes.take
    with pytest.MonkeyPatch.context() as patch:

        def watched(run: Run, rows: Tensor, labels: Tensor, counted: Tensor | None = None) -> None:
            taught = torch.ones_like(rows, dtype=torch.bool) if counted is None else counted.clone()
            epochs[-1].append((rows.clone(), labels.clone(), taught))
            note(run, rows, labels, counted)

        def taken(notes: Notes) -> dict[str, float]:
            epochs.append([])
            return take(notes)

        for module in (replace, fixmatch, pseudo_label):
            patch.setattr(module, "note_pseudo_labels", watched)
        patch.setattr(Notes, "take", taken)
        train(faces, recipe, run_folder, order)
    return epochs[:-1]


@pytest.mark.parametrize("name", TECHNIQUES)
@pytest.mark.parametrize("transductive", [False, True])
def test_pseudo_label_accuracy_is_a_count_by_hand(tmp_path: Path, name: str, transductive: bool) -> None:
    """Over the pseudo-labels that taught, of faces whose truth may be known: test faces, transductive or not, are not."""
    faces, order = bright_faces(), TrainingSettings(labels=30, seed=2, threads=1)
    wrong = faces.with_column("true_label", np.where(faces.values("split") == "test", (faces.labels + 1) % 3, faces.labels))
    recipe = small_recipe(**TECHNIQUES[name], transductive=transductive)
    epochs = spied(tmp_path / "run", wrong, recipe, order)
    data = prepared(wrong, None, recipe, labels=30, seed=2).data
    split, true = data.faces.values("split"), data.faces.values("true_label")
    history = read_history(tmp_path / "run")
    assert len(history) == len(epochs) == 3
    for figures, batches in zip(history, epochs, strict=True):
        right = judged = taught = 0
        for rows, labels, counted in batches:
            for row, label, counts in zip(rows.tolist(), labels.tolist(), counted.tolist(), strict=True):
                assert data.labels[row] == -1
                taught += counts
                if counts and split[row] == "train":
                    judged += 1
                    right += label == true[row]
        shares = [float(counted.double().mean()) for _, _, counted in batches]
        if name != "replace":
            assert figures["pseudo_label_share"] == pytest.approx(sum(shares) / len(shares))
        assert figures.get("pseudo_label_accuracy", 0.0) == pytest.approx(right / judged if judged else 0.0)
        assert taught >= judged
    assert any("pseudo_label_accuracy" in figures for figures in history)


def test_transductive_faces_have_no_truth() -> None:
    faces = bright_faces()
    for given_faces in (faces, faces.with_column("true_label", faces.labels)):
        data = prepared(given_faces, None, AGREE.set("transductive", True), labels=30).data
        test = data.faces.values("split") == "test"
        assert test.sum() == 24
        assert data.truth is not None
        truth = data.truth.numpy()
        assert (truth[test] == -1).all()
        assert (truth[~test] == data.faces.labels[~test]).all()


def test_the_truth_of_a_flipped_label_is_the_sets_own() -> None:
    made = prepared(bright_faces(), labels=60, noise=0.5).data
    assert made.truth is not None
    labeled = made.labels >= 0
    assert (made.truth == torch.from_numpy(made.faces.labels)).all()
    assert 10 < int((made.labels[labeled] != made.truth[labeled]).sum()) < 40


def test_one_unlabeled_face_without_statistics_is_refused(tmp_path: Path) -> None:
    """Batch normalization of features, as in grid heads, has none of a single face."""
    model = {"network": "facenet_mobile", "until": "stem", "side": 64}
    recipe = small_recipe(model=model, normalize="fixed", unlabeled="fixmatch", unlabeled_batch=1)
    two = recipe.with_settings(
        {"stages": [{"epochs": 1, "lr": 0.05, "answers": {"unlabeled": "nothing"}}, {"epochs": 1, "lr": 0.05}]}
    )
    for made in (recipe, two):
        heard = Heard()
        with pytest.raises(MienError, match=r"has statistics of; found 1 face without a label; raise unlabeled_batch, or take"):
            train(bright_faces(30), made, tmp_path / "run", TrainingSettings(labels=20, threads=1), progress=heard)
        assert not any("epoch" in line for line in heard.lines), "before anything is trained"
        assert not (tmp_path / "run").exists()
