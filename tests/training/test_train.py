"""What a run may see, what it leaves behind, and that it learns."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from conftest import bright_faces, small_recipe
from mien import FaceSet, MienError, Recognizer, TrainingSettings, evaluate, resume, train
from mien.data.splits import fold_view
from mien.recognize.calibration import are_sure
from mien.recognize.model_card import ModelCard
from mien.recognize.run_records import read_history
from mien.training.face_loader import FaceLoader
from runs import Heard


def same_weights(first: Recognizer, second: Recognizer) -> bool:
    pairs = zip(first.network.state_dict().values(), second.network.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def with_labels(faces: FaceSet, labels: np.ndarray) -> FaceSet:
    """The same faces with other labels, and with other votes where the label is another."""
    votes = faces.votes
    assert votes is not None
    votes[labels != faces.labels] = votes[labels != faces.labels][:, ::-1]
    return faces.with_column("label", labels).with_column("votes", list(votes))


def test_learns_what_can_be_learned(tmp_path: Path) -> None:
    faces = bright_faces(300)
    recognizer = train(faces, small_recipe(stages=[{"epochs": 8, "lr": 0.05, "schedule": "one_cycle"}]), tmp_path / "run")
    assert evaluate(recognizer, faces).accuracy > 0.95
    loss = [epoch["loss"] for epoch in read_history(tmp_path / "run")]
    assert loss[-1] < 0.5 * loss[0]


def test_test_labels_are_never_seen(tmp_path: Path, faces: FaceSet) -> None:
    labels = faces.labels
    test = faces.values("split") == "test"
    labels[test] = (labels[test] + 1) % 3
    for transductive in (False, True):
        recipe = small_recipe(transductive=transductive, unlabeled="conftest:Agree", targets="votes")
        first = train(faces, recipe, tmp_path / f"a{transductive}")
        second = train(with_labels(faces, labels), recipe, tmp_path / f"b{transductive}")
        assert same_weights(first, second)


def test_labels_beyond_the_budget_are_never_seen(tmp_path: Path, faces: FaceSet) -> None:
    """A run on 30 of 96 labels is the run on a set that has no other labels."""
    first = train(faces, small_recipe(), tmp_path / "a", TrainingSettings(labels=30))
    used = pq.read_table(tmp_path / "a" / "budget.parquet").column("id").to_pylist()
    assert len(set(used)) == 30
    labels = np.where(np.isin(faces.values("id").astype(str), used), faces.labels, -1)
    assert same_weights(first, train(with_labels(faces, labels), small_recipe(), tmp_path / "b"))


def test_budget_says_what_each_label_was_used_for(tmp_path: Path, faces: FaceSet) -> None:
    train(faces, small_recipe(), tmp_path / "run", TrainingSettings(labels_per_class=10, noise=0.2, seed=4))
    used = pq.read_table(tmp_path / "run" / "budget.parquet").to_pydict()
    assert len(used["role"]) == 30
    assert 5 <= used["role"].count("validation") <= 7, "a fifth, rounded class by class"
    truth = dict(zip(faces.values("id"), faces.labels, strict=True))
    wrong = [truth[name] != label for name, label in zip(used["id"], used["label"], strict=True)]
    assert sum(wrong) == 6, "a fifth of 30 labels is flipped, validation included"
    split = dict(zip(faces.values("id"), faces.values("split"), strict=True))
    assert {split[name] for name in used["id"]} == {"train"}


def test_votes_do_not_give_flipped_labels_away(tmp_path: Path, faces: FaceSet) -> None:
    hard, votes = (
        train(faces, small_recipe(targets=targets), tmp_path / targets, TrainingSettings(noise=0.3))
        for targets in ("hard", "votes")
    )
    assert same_weights(hard, votes)


def test_seeds_decide(tmp_path: Path, faces: FaceSet) -> None:
    runs = [train(faces, small_recipe(), tmp_path / f"{n}", TrainingSettings(seed=seed)) for n, seed in enumerate((1, 1, 2))]
    assert same_weights(runs[0], runs[1])
    assert not same_weights(runs[0], runs[2])


def test_the_callers_generator_is_left_alone(tmp_path: Path, faces: FaceSet) -> None:
    torch.manual_seed(7)
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    train(faces, small_recipe(), tmp_path / "run", TrainingSettings(threads=1))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.get_num_threads() == threads


def test_stages_keep_their_best_and_frozen_blocks_stay(tmp_path: Path, faces: FaceSet) -> None:
    frozen = ["stem", "stage1_1"]
    stages = [{"epochs": 2, "lr": 0.05}, {"epochs": 2, "lr": 0.05, "frozen": frozen, "answers": {"loss": "focal"}}]
    recipe = small_recipe(stages=stages, average=0.0, choose="last")
    last = train(faces, recipe, tmp_path / "run")
    first = Recognizer.load(tmp_path / "run" / "stages" / "1")
    before, after = first.network.state_dict(), last.network.state_dict()
    changed = {name.split(".")[1] for name in after if not torch.equal(before[name], after[name])}
    assert changed.isdisjoint(frozen)
    assert "stage2_1" in changed
    assert first.card.metrics["stage"] == 0
    assert last.card.metrics["stage"] == 1


@pytest.mark.parametrize("choose", ["accuracy", "average_accuracy", "loss", "last"])
def test_the_kept_model_is_the_best(tmp_path: Path, faces: FaceSet, choose: str) -> None:
    recipe = small_recipe(choose=choose, stages=[{"epochs": 6, "lr": 0.3}], average=0.0)
    kept = train(faces, recipe, tmp_path / "run").card.metrics
    history = read_history(tmp_path / "run")
    if choose == "last":
        assert kept["epoch"] == 5
    else:
        values = [epoch[f"validation_{choose}"] for epoch in history]
        assert kept[f"validation_{choose}"] == (min(values) if choose == "loss" else max(values))


def test_the_card_says_what_was_measured_on_validation(tmp_path: Path, faces: FaceSet) -> None:
    recognizer = train(faces, small_recipe(), tmp_path / "run")
    used = pq.read_table(tmp_path / "run" / "budget.parquet").to_pydict()
    names = [name for name, role in zip(used["id"], used["role"], strict=True) if role == "validation"]
    validation = faces.select(np.isin(faces.values("id").astype(str), names))
    hits = recognizer.logits(validation).argmax(1) == validation.labels
    assert recognizer.card.metrics["validation_accuracy"] == pytest.approx(hits.mean(), abs=0.02)


def test_the_card_says_from_where_on_answers_are_sure(tmp_path: Path) -> None:
    faces = bright_faces(300)
    recognizer = train(faces, small_recipe(validation=0.4), tmp_path / "run", TrainingSettings(threads=1))
    used = pq.read_table(tmp_path / "run" / "budget.parquet").to_pydict()
    names = [name for name, role in zip(used["id"], used["role"], strict=True) if role == "validation"]
    validation = faces.select(np.isin(faces.values("id").astype(str), names))
    card, scores = recognizer.card, recognizer.probabilities(validation)
    assert card.confidence_threshold < 1
    certain = are_sure(scores, card.conformal_threshold, card.confidence_threshold - 1e-4)
    assert (scores.argmax(1) == validation.labels)[certain].mean() >= 0.95
    assert Recognizer.load(tmp_path / "run").card.confidence_threshold == card.confidence_threshold


def test_what_a_model_is_not_good_for_is_said(tmp_path: Path) -> None:
    """Faces that are all the same get one answer."""
    heard, gray = Heard(), np.full((60, 16, 16), 90, np.uint8)
    faces = FaceSet.from_arrays(gray, np.arange(60) % 3, ["class0", "class1", "class2"])
    recipe = small_recipe(stages=[{"epochs": 1, "lr": 0.01}], validation=0.5)
    train(faces, recipe, tmp_path / "run", TrainingSettings(threads=1), progress=heard)
    said = [line for line in heard.lines if line.startswith("warning: the model takes every validation face for class")]
    assert len(said) == 1
    assert said[0].endswith("its average accuracy is 1 of 3 classes")
    assert any(line.startswith("no answer of this model is sure: 30 validation faces are too few") for line in heard.lines)


@pytest.mark.parametrize("order", [TrainingSettings(), TrainingSettings(labels=1), TrainingSettings(labels_per_class=5)])
def test_one_class_is_nothing_to_learn(tmp_path: Path, order: TrainingSettings) -> None:
    """It gave a run with 100 % accuracy that can say one thing."""
    faces = bright_faces(40)
    labels = np.ones(40, np.int64) if order.labels is None else faces.labels
    alone = FaceSet.from_arrays(faces.faces(), labels, faces.classes)
    with pytest.raises(MienError, match=r"labels of two classes or more to train on; found \d+ of class\d alone"):
        train(alone, small_recipe(), tmp_path / "run", order)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("transductive", [False, True])
def test_unlabeled_faces_are_the_training_splits_others(tmp_path: Path, faces: FaceSet, transductive: bool) -> None:
    recipe = small_recipe(unlabeled={"technique": "conftest:Agree", "log": str(tmp_path / "rows")}, transductive=transductive)
    recognizer = train(faces, recipe, tmp_path / "run", TrainingSettings(labels=30))
    seen = {int(row) for row in (tmp_path / "rows").read_text().split()}
    used = pq.read_table(tmp_path / "run" / "budget.parquet").column("id").to_pylist()
    roles = pq.read_table(tmp_path / "run" / "budget.parquet").column("role").to_pylist()
    validate = [name for name, role in zip(used, roles, strict=True) if role == "validation"]
    subject, names = faces.values("subject"), faces.values("id").astype(str)
    apart = np.isin(subject, subject[np.isin(names, validate)])
    beyond = ~np.isin(names, used) & (faces.values("split") == "train") & ~apart
    assert (apart & ~np.isin(names, used)).sum() > 0
    expected = int(beyond.sum()) + (24 if transductive else 0)
    assert recognizer.card.budget["unlabeled"] == expected == len(seen)


def test_strangers_come_without_labels_and_without_their_test_split(tmp_path: Path, stored: Path, faces: FaceSet) -> None:
    other = bright_faces(60, classes=2, seed=5).save(tmp_path / "other")
    recipe = small_recipe(unlabeled="conftest:Agree")
    recognizer = train(stored, recipe, tmp_path / "run", unlabeled=other)
    assert recognizer.card.budget["unlabeled"] == 48
    assert other.info.checksum[:12] in str(recognizer.card.budget["unlabeled_from"])
    wrong = with_labels(other, 1 - other.labels).save(tmp_path / "wrong")
    assert same_weights(recognizer, train(stored, recipe, tmp_path / "again", unlabeled=wrong))
    for order in (TrainingSettings(), TrainingSettings(fold="1/3")):
        with pytest.raises(MienError, match="the training set"):
            train(stored, recipe, tmp_path / "same", order, unlabeled=stored)
    with pytest.raises(MienError, match="learns from unlabeled"):
        train(stored, small_recipe(), tmp_path / "none", unlabeled=other)


def test_held_or_read_ahead_unlabeled_batches_are_the_same(tmp_path: Path, stored: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = small_recipe(unlabeled="conftest:Agree", unlabeled_batch=7)
    held = train(stored, recipe, tmp_path / "held", TrainingSettings(labels=40))
    monkeypatch.setattr("mien.training.face_loader._free", lambda device: 0)
    assert same_weights(held, train(stored, recipe, tmp_path / "read", TrainingSettings(labels=40)))


def test_a_start_is_seen_by_the_average_and_by_predictions(tmp_path: Path, stored: Path) -> None:
    before = train(stored, small_recipe(), tmp_path / "before")
    start = {"technique": "weights", "path": str(tmp_path / "before")}
    recipe = small_recipe(start=start, average=0.99, stages=[{"epochs": 1, "lr": 0.0}], choose="last")
    after = train(stored, recipe, tmp_path / "after")
    faces = FaceSet.open(stored)
    parameters = zip(before.network.parameters(), after.network.parameters(), strict=True)
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in parameters)
    assert after.logits(faces).shape == before.logits(faces).shape


def test_the_head_of_other_classes_starts_afresh(tmp_path: Path, faces: FaceSet) -> None:
    train(faces, small_recipe(), tmp_path / "before")
    start = {"technique": "weights", "path": str(tmp_path / "before")}
    recipe = small_recipe(start=start, average=0.0, stages=[{"epochs": 1, "lr": 0.0}], choose="last")
    renamed = FaceSet.from_arrays(faces.faces(), faces.labels, ["class1", "class0", "class2"], {"split": faces.column("split")})
    heads = []
    for number, given in enumerate((faces, renamed)):
        weights = train(given, recipe, tmp_path / f"{number}").network.head.state_dict()
        heads.append(next(value for name, value in weights.items() if name.endswith("weight")))
    assert not torch.equal(heads[0], heads[1])


def test_a_run_on_a_view_cannot_be_resumed_as_if_it_were_the_set(tmp_path: Path, stored: Path) -> None:
    view = FaceSet.open(stored).where(label=[0, 1])
    recognizer = train(view, small_recipe(), tmp_path / "run")
    assert recognizer.card.faces.count < 120
    (tmp_path / "run" / "model" / "model.json").unlink()
    with pytest.raises(MienError, match="faces in memory"):
        resume(tmp_path / "run")


def test_folds_leave_subjects_out(tmp_path: Path, stored: Path) -> None:
    faces = FaceSet.open(stored)
    tested = 0
    for fold in ("1/3", "2/3", "3/3"):
        recognizer = train(stored, small_recipe(), tmp_path / fold[0], TrainingSettings(fold=fold))
        used = pq.read_table(tmp_path / fold[0] / "budget.parquet").column("id").to_pylist()
        people = set(faces.values("subject")[np.isin(faces.values("id").astype(str), used)])
        held_out = fold_view(faces, fold).where(split="test")
        assert people.isdisjoint(held_out.values("subject"))
        tested += evaluate(recognizer, stored, fold=fold).count
    assert tested == len(faces)
    with pytest.raises(MienError, match="a fold such as"):
        train(stored, small_recipe(), tmp_path / "bad", TrainingSettings(fold="4/3"))


def test_noise_by_a_matrix(tmp_path: Path, stored: Path) -> None:
    matrix = ((0.0, 1.0, 0.0), (0.0, 0.0, 1.0), (1.0, 0.0, 0.0))
    train(stored, small_recipe(), tmp_path / "run", TrainingSettings(noise_matrix=matrix))
    used = pq.read_table(tmp_path / "run" / "budget.parquet").to_pydict()
    truth = dict(zip(FaceSet.open(stored).values("id"), FaceSet.open(stored).labels, strict=True))
    assert all(label == (truth[name] + 1) % 3 for name, label in zip(used["id"], used["label"], strict=True))


def test_a_diverging_run_says_so(tmp_path: Path, faces: FaceSet) -> None:
    recipe = small_recipe(stages=[{"epochs": 3, "lr": 1e30}])
    with pytest.raises(MienError, match="lower learning rate"):
        train(faces, recipe, tmp_path / "run")


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"stages": [{"epochs": 1, "lr": 0.1, "frozen": ["steam"]}]}, "frozen blocks among stem"),
        ({"model": "embedding"}, "features for embedding"),
    ],
)
def test_networks_that_do_not_fit_are_refused(tmp_path: Path, faces: FaceSet, table: dict[str, object], words: str) -> None:
    with pytest.raises(MienError, match=words):
        train(faces, small_recipe(**table), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_refused_run_leaves_nothing(tmp_path: Path, stored: Path) -> None:
    recipe = small_recipe(start={"technique": "weights", "path": str(tmp_path)})
    with pytest.raises(MienError, match="a run or a model"):
        train(stored, recipe, tmp_path / "run")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["set"]


def test_faces_that_do_not_fit_are_read_ahead(faces: FaceSet, stored: Path) -> None:
    batches = [torch.tensor(rows) for rows in ([3, 1], [50, 0, 119], [7])]
    for source in (faces, FaceSet.open(stored), FaceSet.open(stored).join(faces)):
        for hold in (True, False):
            found = list(FaceLoader(source, torch.device("cpu"), hold).stream(batches))
            assert [batch.rows.tolist() for batch in found] == [rows.tolist() for rows in batches]
            assert all(
                (batch.faces.numpy() == source.faces(rows.numpy())).all() for batch, rows in zip(found, batches, strict=True)
            )


@pytest.mark.parametrize("precision", ["bfloat16", "float32"])
def test_reading_ahead_changes_no_weight(tmp_path: Path, stored: Path, monkeypatch: pytest.MonkeyPatch, precision: str) -> None:
    held = train(stored, small_recipe(precision=precision), tmp_path / "held")
    monkeypatch.setattr("mien.training.face_loader._free", lambda device: 0)
    read = train(stored, small_recipe(precision=precision), tmp_path / "read")
    assert same_weights(held, read)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore:Guards may run slower on Python 3.13.0")  # mended in Python 3.13.1, as torch says
def test_a_compiled_network_learns_the_same(tmp_path: Path, faces: FaceSet) -> None:
    pytest.importorskip("torch._inductor")
    import shutil

    if shutil.which("g++") is None:
        pytest.skip("torch.compile needs a C++ compiler, and there is none")
    recipe = {"compile": True, "model": "embedding"}
    values = np.random.default_rng(0).normal(size=(120, 1, 12)).astype(np.float16)
    from mien.data.format import Info

    info = Info(classes=faces.classes, kind="features", channels=12, views=("clean",))
    features = FaceSet.from_arrays(values, faces.labels, columns={"split": faces.column("split")}, info=info)
    plain = train(features, small_recipe(model="embedding"), tmp_path / "plain")
    fused = train(features, small_recipe(**recipe), tmp_path / "fused")
    for key, value in plain.network.state_dict().items():
        assert torch.allclose(value.float(), fused.network.state_dict()[key].float(), atol=1e-4), key


@pytest.mark.parametrize("normalize", ["fixed", "face"])
def test_without_validation_faces_the_last_model_is_kept(tmp_path: Path, faces: FaceSet, normalize: str) -> None:
    recipe = small_recipe(validation=0.0, normalize=normalize)
    card = train(faces, recipe, tmp_path / "run", TrainingSettings(threads=1)).card
    assert (card.temperature, card.conformal_threshold, card.budget["validation"]) == (1.0, ModelCard.conformal_threshold, 0)
