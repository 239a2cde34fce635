"""A model fitted to few faces, and to classes that it does not know."""

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import Command, small_recipe
from mien import FaceSet, MienError, Recognizer, TrainingSettings, train
from mien.experiments.adaptation.adapt import adapt
from mien.experiments.adaptation.adaptation_faces import FOLDS, AdaptationFaces, deal_parts
from mien.experiments.adaptation.fitted_rows import fit_new_classes, refit_known_classes
from mien.experiments.adaptation.judgment import Adapted, ClassChange
from mien.experiments.adaptation.last_layer import SHRINK, discriminant, fit_scale, refit, with_one
from mien.recognize.model_folder import CARD, GRAPH
from mien.recognize.run_records import note_sources, read_sources
from runs import dim_faces, features

CLASSES = [f"class{number}" for number in range(4)]


def part(faces: FaceSet, classes: list[str]) -> FaceSet:
    """The faces with classes by name, in another order."""
    names = [faces.classes[label] for label in faces.labels]
    return FaceSet.from_arrays(faces.faces(), np.array([classes.index(name) for name in names]), classes)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Knows three of four classes."""
    whole = dim_faces(480, 4, lift=70)
    known = whole.select(np.flatnonzero(whole.labels < 3))
    faces = FaceSet.from_arrays(known.faces(), known.labels, CLASSES[:3])
    folder = tmp_path_factory.mktemp("adapt") / "run"
    train(faces, small_recipe(stages=[{"epochs": 6, "lr": 0.05, "schedule": "one_cycle"}]), folder, TrainingSettings(seed=0))
    return folder


def test_a_new_class_is_learned_and_known_ones_stay(model: Path, tmp_path: Path) -> None:
    tested = dim_faces(400, 4, lift=70)
    given = part(dim_faces(1000, 4, lift=70).select(np.arange(500, 580)), ["class3", "class1", "class0", "class2"])
    found = adapt(model, given, tmp_path / "model")
    assert found.new == ("class3",)
    assert {line.name: line.faces for line in found.lines} == dict.fromkeys(CLASSES, 20)
    before, after = Recognizer.load(model), Recognizer.load(tmp_path / "model")
    assert after.classes == tuple(CLASSES)
    logits, known = after.logits(tested), before.logits(tested)
    np.testing.assert_allclose(logits[:, :3], known, atol=0.01 * np.abs(known).max())
    right, was = logits.argmax(1) == tested.labels, known.argmax(1) == tested.labels
    new = tested.labels == 3
    assert right[new].mean() > 0.5
    assert right[~new].mean() > was[~new].mean() - 0.03
    assert abs(next(line.after for line in found.lines if line.name == "class3") - right[new].mean()) < 0.3
    card = after.card
    assert card.sources[-1]["weights"] == before.card.weights
    assert (card.budget["train"], card.faces.classes) == (80, tuple(CLASSES))
    assert 0 <= card.conformal_threshold <= 1
    assert card.conformal_threshold <= card.confidence_threshold <= 1


def test_known_classes_are_fitted_to_other_faces(model: Path, tmp_path: Path) -> None:
    """All rows of pixels moved down: the model is mostly wrong, and learns it from 30 faces of each class."""
    whole = dim_faces(360, 3, lift=70)
    moved = FaceSet.from_arrays(np.roll(whole.faces(), 2, axis=1), whole.labels, CLASSES[:3])
    found = adapt(model, moved.select(np.arange(90)), tmp_path / "model")
    rest = moved.select(np.arange(90, 360))
    before, after = (Recognizer.load(path).logits(rest).argmax(1) == rest.labels for path in (model, tmp_path / "model"))
    assert found.average_after > found.average_before
    assert after.mean() > before.mean()


def faces_of(faces: FaceSet, **counts: int) -> FaceSet:
    """So many faces of each of these classes, in the set's order."""
    rows = [np.flatnonzero(faces.labels == faces.classes.index(name))[:count] for name, count in counts.items()]
    return faces.select(np.sort(np.concatenate(rows)))


@pytest.mark.parametrize("counts", [{"class1": 40}, {"class1": 40, "class0": 4}, {"class1": 40, "class0": 4, "class2": 3}])
def test_faces_of_one_known_class_teach_nothing(model: Path, tmp_path: Path, counts: dict[str, int]) -> None:
    """They taught that everything is of that class, and the judgment saw that class alone."""
    moved = FaceSet.from_arrays(np.roll(dim_faces(360, 3, lift=70).faces(), 1, axis=1), np.arange(360) % 3, CLASSES[:3])
    with pytest.raises(MienError, match=r"5 faces or more of each of two known classes; found those of class1 alone"):
        adapt(model, faces_of(moved, **counts), tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_known_classes_without_faces_stay_as_they_are(model: Path, tmp_path: Path) -> None:
    """Faces of two classes that the model mostly mistakes, of which one is taken for the third."""
    whole = dim_faces(900, 3, lift=70)
    moved = FaceSet.from_arrays(np.roll(whole.faces(), 2, axis=1), whole.labels, CLASSES[:3])
    found = adapt(model, faces_of(moved, class0=40, class1=40), tmp_path / "model")
    assert found.average_after > found.average_before
    assert found.unseen == ("class2",)
    assert found.unseen_share == pytest.approx(1 / 3, abs=0.01)
    assert found.caution.endswith("were not judged: class2; their rows stay as they are")
    before, after = Recognizer.load(model), Recognizer.load(tmp_path / "model")
    third = whole.select(np.flatnonzero(whole.labels == 2))
    was, now = before.logits(third), after.logits(third)
    np.testing.assert_allclose(now[:, 2], was[:, 2], atol=0.01 * np.abs(was).max())
    lost = (was.argmax(1) == 2).mean() - (now.argmax(1) == 2).mean()
    assert lost <= 0.05
    assert adapt(model, faces_of(moved, class0=40, class1=40, class2=40), tmp_path / "all").caution == ""


@pytest.mark.parametrize(("faces", "held"), [(60, 1.0), (300, 5.0)])
def test_rows_without_faces_do_not_move_and_the_others_are_held(faces: int, held: float) -> None:
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(faces) % 2 * 2  # of four known classes the first and the third
    views = torch.randn(2, faces, 6, generator=generator).double() + torch.eye(4, 6)[labels]
    rows, some = torch.randn(4, 7, generator=generator).double(), torch.ones(faces, dtype=torch.bool)
    prior = torch.randn(4, generator=generator).double()
    seen = AdaptationFaces(views, labels, tuple(CLASSES), torch.arange(faces), torch.arange(faces) // 2 % FOLDS, rows, prior)
    made = refit_known_classes(seen, some)
    assert torch.equal(made[[1, 3]], rows[[1, 3]])
    assert not torch.equal(made[[0, 2]], rows[[0, 2]])
    fits = [refit(rows[[0, 2]], views.flatten(0, 1), (labels // 2).repeat(2), prior[[0, 2]], 2 * held * s) for s in (10, 100)]
    assert any(torch.allclose(made[[0, 2]], fit) for fit in fits)
    # What pushes one up pushes the other down by as much, so that together they take nothing from the rest.
    torch.testing.assert_close((made - rows).sum(0), torch.zeros(7).double(), atol=1e-4, rtol=0)


def test_new_classes_are_judged_beside_most_of_what_the_model_knows(model: Path, tmp_path: Path) -> None:
    """Beside one known class a new one may take all others: nobody sees it."""
    whole = dim_faces(400, 4, lift=70)
    for counts in ({"class0": 60}, {"class0": 60, "class1": 60, "class2": 4}):
        with pytest.raises(
            MienError, match=r"known classes that are 90% of what the model learned from, .* without .*class2 33%"
        ):
            adapt(model, faces_of(whole, class3=40, **counts), tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_rare_classes_alone_are_refused(tmp_path: Path) -> None:
    """Faces of two that are together less than half of what the model learned from: what they take from the rest is not seen."""
    whole = dim_faces(600, 3, lift=70)
    learned = np.concatenate([np.flatnonzero(whole.labels == label)[:count] for label, count in enumerate((150, 20, 20))])
    taught = FaceSet.from_arrays(whole.faces(np.sort(learned)), whole.labels[np.sort(learned)], CLASSES[:3])
    train(taught, small_recipe(stages=[{"epochs": 2, "lr": 0.05}]), tmp_path / "run", TrainingSettings(seed=0))
    wanted = r"known classes that are 50% of what the model learned from; found 21%, without class0 79%; add faces of those"
    with pytest.raises(MienError, match=wanted):
        adapt(tmp_path / "run", faces_of(whole, class1=30, class2=30), tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_a_rare_known_class_without_faces_is_named(tmp_path: Path) -> None:
    """Without it nine tenths of what the model learned from are judged."""
    whole = dim_faces(480, 4, lift=70)
    known = np.flatnonzero(whole.labels < 3)
    rare = np.flatnonzero(whole.labels == 2)[:10]
    learned = np.sort(np.concatenate([known[whole.labels[known] < 2], rare]))
    taught = FaceSet.from_arrays(whole.faces(learned), whole.labels[learned], CLASSES[:3])
    recipe = small_recipe(stages=[{"epochs": 6, "lr": 0.05, "schedule": "one_cycle"}])
    train(taught, recipe, tmp_path / "run", TrainingSettings(seed=0))
    found = adapt(tmp_path / "run", faces_of(dim_faces(1000, 4, lift=70), class0=30, class1=30, class3=30), tmp_path / "model")
    assert found.unseen == ("class2",)
    assert found.caution == (
        f"known classes with fewer than 5 faces here, {10 / 250:.1%} of what the model learned from, were not judged: class2; "
        "what the new classes take from them is not known"
    )


def test_known_classes_do_not_pay_for_the_mean_over_classes() -> None:
    """Without new classes too: as frequent as they are, known ones lose three points at the most."""
    lines = (ClassChange("often", 40, 0.9, 0.8), ClassChange("seldom", 40, 0.2, 0.5))
    assert "known classes 85.0% before and 80.0% after" in Adapted(lines, (), 0.85, 0.80, 0.55, 0.65).worse
    assert Adapted(lines, (), 0.85, 0.83, 0.55, 0.65).worse == ""


def test_own_classes_alone_are_trained_from_the_model(model: Path, tmp_path: Path) -> None:
    """What is said where no known class has faces can be done as it is said."""
    own = FaceSet.from_arrays(dim_faces(60, 2, lift=70).faces(), np.arange(60) % 2, ["calm", "keen"])
    with pytest.raises(MienError, match="classes that the model knows; found none") as refused:
        adapt(model, own, tmp_path / "model")
    said = str(refused.value)
    assert said.endswith("--recipe supervised_small --start MODEL")
    table = {"start": {"technique": "weights", "path": str(model)}, "stages": [{"epochs": 1, "lr": 0.0}]}
    recognizer = train(own, small_recipe(**table), tmp_path / "run", TrainingSettings(threads=1))
    theirs, mine = Recognizer.load(model).network.state_dict(), recognizer.network.state_dict()
    blocks = [name for name in mine if name.startswith("blocks.") and name.endswith("weight")]
    assert blocks
    assert all(torch.equal(mine[name], theirs[name]) for name in blocks)


def test_an_adapted_model_knows_how_frequent_its_classes_were(model: Path, tmp_path: Path) -> None:
    """Whatever its user's few faces are: adapted again, known classes count as they did at first, the new one as their mean."""
    given = part(dim_faces(80, 4, lift=70), CLASSES).save(tmp_path / "faces")
    adapt(model, tmp_path / "faces", tmp_path / "first")
    trained = Recognizer.load(model).card.budget["classes"]
    adapted = Recognizer.load(tmp_path / "first").card
    assert adapted.budget["classes"] == dict.fromkeys(CLASSES, 20)
    assert adapted.budget["frequencies"] == trained | {"class3": np.mean(list(trained.values()))}
    assert (adapted.faces.count, adapted.faces.license) == (80, given.info.license)
    note_sources(tmp_path, [tmp_path / "first"])
    own, before = read_sources(tmp_path)  # what a run would say that begins with it
    assert (own["faces"], own["budget"]["train"]) == (adapted.faces.checksum, 80)
    assert (before["weights"], before["budget"]["classes"]) == (Recognizer.load(model).card.weights, trained)


@pytest.mark.parametrize("fit", [fit_new_classes, refit_known_classes])
def test_nothing_is_fitted_to_faces_that_are_left_out(fit: Callable[[AdaptationFaces, torch.Tensor], torch.Tensor]) -> None:
    generator, known = torch.Generator().manual_seed(0), 3
    labels = torch.arange(120) % (4 if fit is fit_new_classes else 3)
    views = torch.randn(2, 120, 6, generator=generator).double() + 2 * torch.eye(4, 6)[labels]
    folds, rows = torch.arange(120) // 4 % FOLDS, torch.randn(known, 7, generator=generator).double()
    some = folds != 2
    fits = []
    for shift in (0, 5):
        seen = torch.where(some[:, None], views, views + shift * torch.randn(6, generator=generator))
        classes = tuple(CLASSES[: int(labels.max()) + 1])
        fits.append(fit(AdaptationFaces(seen, labels, classes, torch.arange(120), folds, rows, torch.zeros(known)), some))
    torch.testing.assert_close(*fits, rtol=0, atol=0)


def adapted(*lines: tuple[str, float, float]) -> Adapted:
    """Of twenty faces a class, the last one new."""
    told = tuple(ClassChange(name, 20, before, after) for name, before, after in lines)
    before, after = (float(np.mean([getattr(line, when) for line in told])) for when in ("before", "after"))
    return Adapted(told, (lines[-1][0],), 0.8, 0.79, before, after)


def test_a_rare_class_is_not_given_up_for_a_new_one() -> None:
    many = [(f"class{number}", 0.9, 0.9) for number in range(9)]
    assert adapted(*many, ("rare", 0.4, 0.4), ("new", 0.0, 0.6)).worse == ""
    assert "rare 40.0% before and 10.0% after" in adapted(*many, ("rare", 0.4, 0.1), ("new", 0.0, 0.6)).worse
    assert "on average" in adapted(*(("a", 0.9, 0.84), ("b", 0.9, 0.84), ("new", 0.0, 0.6))).worse
    assert "found on 15.0%" in adapted(*many, ("new", 0.0, 0.15)).worse


def test_what_gets_worse_is_refused_and_not_written(model: Path, tmp_path: Path) -> None:
    whole = dim_faces(200, 4, lift=70)
    chance = np.random.default_rng(0).integers(0, 4, 200)
    with pytest.raises(MienError, match="gets better by these faces"):
        adapt(model, FaceSet.from_arrays(whole.faces(), chance, CLASSES), tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_bad_faces_are_refused(model: Path, tmp_path: Path) -> None:
    whole, out = dim_faces(240, 4, lift=70), tmp_path / "model"
    new = np.flatnonzero(whole.labels == 3)
    with pytest.raises(MienError, match="classes that the model knows; found none"):
        adapt(model, whole.select(new), out)
    few = np.sort(np.concatenate([np.flatnonzero(whole.labels < 3), new[:4]]))
    with pytest.raises(MienError, match=r"5 faces or more of the new class class3.*found 4"):
        adapt(model, whole.select(few), out)
    with pytest.raises(MienError, match="10 labeled faces or more"):
        adapt(model, whole.select(np.flatnonzero(whole.labels < 3)[:6]), out)
    with pytest.raises(MienError, match="side"):
        adapt(model, dim_faces(80, 4, side=24), out)
    one_person = whole.with_column("subject", np.where(whole.labels == 3, "anna", [f"p{n}" for n in range(240)]))
    with pytest.raises(MienError, match="people"):
        adapt(model, one_person, out)
    out.mkdir()
    (out / "mine.txt").write_text("mine")
    with pytest.raises(MienError, match="empty folder"):
        adapt(model, whole, out)
    assert [file.name for file in out.iterdir()] == ["mine.txt"]


def test_a_model_of_features_is_refused(tmp_path: Path) -> None:
    train(features(), small_recipe(model={"network": "embedding"}), tmp_path / "run", TrainingSettings())
    with pytest.raises(MienError):
        adapt(tmp_path / "run", features(), tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_adapt_on_the_command_line(model: Path, tmp_path: Path, mien: Command) -> None:
    part(dim_faces(80, 4, lift=70), CLASSES).save(tmp_path / "faces")
    said = mien("adapt", model, tmp_path / "faces", "--out", tmp_path / "model")
    assert said.code == 0
    assert "class3" in said.out
    assert "new" in said.out
    assert {CARD, GRAPH} < {file.name for file in (tmp_path / "model").iterdir()}
    told = mien("adapt", model, tmp_path / "faces", "--out", tmp_path / "other", "--json")
    assert json.loads(told.out)["new"] == ["class3"]
    assert json.loads(told.out)["caution"] == ""
    whole = dim_faces(360, 3, lift=70)
    moved = FaceSet.from_arrays(np.roll(whole.faces(), 2, axis=1), whole.labels, CLASSES[:3])
    faces_of(moved, class0=40, class1=40).save(tmp_path / "two")
    said = mien("adapt", model, tmp_path / "two", "--out", tmp_path / "third")
    assert said.code == 0, said.err
    assert "warning: known classes with fewer than 5 faces here, 33.3% of what the model learned from" in said.err


@settings(derandomize=True, deadline=None, max_examples=20)
@given(st.integers(2, 30), st.integers(3, 40), st.integers(1, 6), st.integers(0, 99))
def test_a_discriminant_is_the_textbook_one(new: int, others: int, dimension: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    a, b = generator.normal(1, 1, (new, dimension)), generator.normal(0, 2, (others, dimension))
    scatter = sum(np.outer(x - a.mean(0), x - a.mean(0)) for x in a) + sum(np.outer(x - b.mean(0), x - b.mean(0)) for x in b)
    covariance = scatter / (new + others)
    covariance = covariance + np.eye(dimension) * (SHRINK * np.diag(covariance).mean() + 1e-6)
    weight = np.linalg.inv(covariance) @ (a.mean(0) - b.mean(0))
    row = discriminant(torch.from_numpy(a), torch.from_numpy(b))
    np.testing.assert_allclose(row.weight.numpy(), weight, rtol=1e-6, atol=1e-9)
    middle = torch.from_numpy((a.mean(0) + b.mean(0)) / 2)
    assert abs(float(row(middle))) < 1e-6


def test_features_that_are_all_alike_tell_nothing_apart() -> None:
    row = discriminant(torch.ones(3, 4).double(), torch.ones(5, 4).double())
    assert float(row(torch.ones(1, 4).double())) == pytest.approx(0)


@settings(derandomize=True, deadline=None, max_examples=30)
@given(st.integers(0, 999), st.sampled_from([0.0, 0.02, 0.1, 0.5]))
def test_no_more_known_faces_are_lost_than_allowed(seed: int, lose: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, 4, (120,), generator=generator)
    labels[:2] = torch.tensor([3, 0])
    logits = torch.randn(120, 3, generator=generator).double() + 2 * torch.eye(4)[labels][:, :3].double()
    scores = torch.randn(120, generator=generator).double() + 2.0 * (labels == 3)
    weights = torch.rand(2, 120, generator=generator).double() + 0.1
    scale = fit_scale(scores, logits, labels, weights, (lose, 2 * lose))
    assert scale.factor > 0
    assert math.isfinite(scale.shift)
    right = (logits.argmax(1) == labels) & (labels < 3)
    lost = right & (scale(scores) > logits.max(1).values)
    for each, share in zip(weights, (lose, 2 * lose), strict=True):
        assert float(each[lost].sum()) <= share * float(each[right].sum()) + 1e-9


def test_rows_stay_near_and_leave_their_prior_out() -> None:
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(90) % 3
    inputs = torch.randn(90, 5, generator=generator).double() + 3 * torch.eye(3, 5)[labels]
    rows = torch.zeros(3, 6).double()
    held, free = (refit(rows, inputs, labels, torch.zeros(3).double(), strength) for strength in (1e9, 1e-3))
    assert held.abs().max() < 1e-6
    assert ((with_one(inputs) @ free.T).argmax(1) == labels).double().mean() > 0.95
    # Faces that say nothing, of class 0 ten times as often: only who is not told that learns it.
    many, nothing = torch.tensor([0] * 100 + [1] * 10 + [2] * 10), torch.zeros(120, 5).double()
    prior = torch.tensor([10.0, 1.0, 1.0]).double().log()
    told, untold = (refit(rows, nothing, many, each, 1e-3)[:, -1] for each in (prior, torch.zeros(3).double()))
    assert told.max() - told.min() < 0.01
    assert float(untold[0] - untold[1]) == pytest.approx(math.log(10), abs=0.1)


@settings(derandomize=True, deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 12)), min_size=1, max_size=60), st.integers(0, 99))
def testdeal_parts_keep_groups_whole_and_deal_classes_out(faces: list[tuple[int, int]], seed: int) -> None:
    labels, groups = (np.array(values) for values in zip(*faces, strict=True))
    folds = deal_parts(labels, groups, seed)
    for group in np.unique(groups):
        assert len(np.unique(folds[groups == group])) == 1
    assert set(folds.tolist()) <= set(range(FOLDS))
    alone = deal_parts(labels, np.arange(len(labels)), seed)
    for label in np.unique(labels):
        counts = np.bincount(alone[labels == label], minlength=FOLDS)
        assert counts.max() - counts.min() <= 1
    assert np.array_equal(folds, deal_parts(labels, groups, seed))


def test_few_people_who_show_a_rare_class_are_in_all_parts() -> None:
    """Everybody shows the common one, eight of fifty the rare one."""
    people = np.repeat(np.arange(50), 4)
    labels = np.where((people < 8) & (np.arange(200) % 4 == 0), 1, 0)
    for seed in range(20):
        assert len(np.unique(deal_parts(labels, people, seed)[labels == 1])) == FOLDS


def testdeal_parts_are_drawn_by_seed() -> None:
    labels = np.arange(100) % 4
    first, second = (deal_parts(labels, np.arange(100), seed) for seed in (0, 1))
    assert not np.array_equal(first, second)
