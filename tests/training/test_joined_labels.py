"""Labels of a second set join a run's: by class name, in the run's shape, and never from its test split."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

import mien.training.train as training
from conftest import Command, bright_faces, small_recipe
from mien import FaceSet, MienError, TrainingSettings, resume, train
from mien.data.splits import fold_view
from mien.evaluation.evaluate import count_known, evaluate
from mien.evaluation.train_test_overlap import find_training_faces
from mien.experiments.compare import compare
from mien.experiments.settings import Grid
from mien.experiments.tested_set import choose_tested_set
from mien.progress import Silent
from mien.recognize.run_records import JOINED, ids_that_taught
from mien.training.joined_labels import joined_labels
from mien.training.prepare_run import prepare_run
from mien.training.unfit_to_join import unfit_to_join
from runs import Heard, features

RECIPE = small_recipe(validation=0.2)


@pytest.fixture
def also(tmp_path: Path) -> FaceSet:
    """Larger faces; its classes are in another order, and one is its own. Its ids are those of the other set."""
    made = bright_faces(80, classes=4, side=20, seed=3)
    other = FaceSet.from_arrays(made.faces(), made.labels, ("strange", "class1", "class0", "class2"), _columns(made))
    return replace(other, info=replace(other.info, name="Second")).save(tmp_path / "also")


def _columns(faces: FaceSet) -> dict[str, list[str]]:
    return {name: faces.column(name).to_pylist() for name in ("id", "split", "subject")}


def test_labels_are_matched_by_name_and_tests_are_left_alone(faces: FaceSet, also: FaceSet) -> None:
    heard = Heard()
    found = joined_labels(also, faces, TrainingSettings(), heard)
    names = dict(zip(also.values("id"), np.array(also.classes)[also.labels], strict=True))
    ids = [name.removeprefix(JOINED) for name in found.faces.values("id")]
    kept = [id_ for id_, split in zip(also.values("id"), also.values("split"), strict=True) if split == "train"]
    assert ids == [name for name in kept if names[name] != "strange"]
    assert [faces.classes[label] for label in found.labels] == [names[name] for name in ids]
    assert found.faces.labels.tolist() == found.labels.tolist()
    assert (found.faces.info.side, found.faces.classes) == (faces.info.side, faces.classes)
    told = "\n".join(heard.lines)
    assert "16 labels of strange" in told
    assert "20 pixels, gray to 16 pixels, gray" in told
    assert "48 labels of Second join the training" in told


def test_a_run_learns_from_both_and_is_validated_on_its_own_set(faces: FaceSet, also: FaceSet) -> None:
    alone = prepare_run(faces, None, RECIPE, TrainingSettings(labels_per_class=10, noise=0.2), Silent())
    both = prepare_run(
        faces, None, RECIPE, TrainingSettings(labels_per_class=10, noise=0.2, also_labels=12), Silent(), None, also
    )
    own = int((alone.data.labels >= 0).sum())
    assert both.data.labels[:own].tolist() == alone.data.labels.tolist()
    assert both.data.labels[own:].bincount().tolist() == [4, 4, 4]
    assert both.data.validation.values("id").tolist() == alone.data.validation.values("id").tolist()
    assert both.facts["train"] == alone.facts["train"] + 12
    assert (both.facts["also_labels"], both.own) == (12, own)
    assert both.data.votes is not None
    assert not both.data.votes[own:].any()
    assert both.data.truth is not None
    assert (both.data.truth[own:] == -1).all()


def larger(faces: FaceSet, name: str = "") -> FaceSet:
    """The same faces at another side, all of them in the split `train`."""
    blown = faces.faces().repeat(2, axis=1).repeat(2, axis=2)
    columns = {**_columns(faces), "split": ["train"] * len(faces)}
    made = FaceSet.from_arrays(blown, faces.labels, faces.classes, columns)
    return replace(made, info=replace(made.info, name=name))


@pytest.mark.parametrize("fold", [None, "2/5"])
@pytest.mark.parametrize("renamed", [True, False])
def test_nobody_who_tests_or_validates_teaches_from_the_second_set(faces: FaceSet, fold: str | None, renamed: bool) -> None:
    second, heard = larger(faces, "Second"), Heard()
    if renamed:  # other ids, and people whose numbers are others' in the first set
        second = second.with_column("id", [f"x{n}" for n in range(len(faces))])
        second = second.with_column("subject", [f"p{(n // 6 + 7) % 20}" for n in range(len(faces))])
    faces = faces if fold else faces.with_column("subject", [f"p{n % 5}" for n in range(len(faces))])
    made = prepare_run(faces, None, RECIPE, TrainingSettings(fold=fold), heard, None, second)
    view = faces if fold is None else fold_view(faces, fold)
    apart = {*view.where(split="test").values("id"), *made.data.validation.values("id")}
    assert made.joined is not None
    ids = [name.removeprefix(JOINED) for name in made.joined.faces.values("id")]
    names = [faces.values("id")[int(one[1:])] for one in ids] if renamed else ids
    assert names
    assert not apart & set(names)
    if renamed or fold:  # else all of the people who validate are left out, though they are not all of them validating
        assert len(names) == len(faces) - len(apart)
    assert made.facts["also_left_out"] == len(faces) - len(names)
    assert f"test or validate the run: {len(faces) - len(names)} labels" in "\n".join(heard.lines)


def test_people_of_other_databases_are_others_though_their_names_are_equal(faces: FaceSet, also: FaceSet) -> None:
    assert not unfit_to_join(also, faces, faces).any()
    named = replace(also, info=replace(also.info, name="same"))
    whole = replace(faces, info=replace(faces.info, name="same"))
    some = whole.select([0])
    found = unfit_to_join(named, some, whole)
    assert set(named.select(found).values("subject")) == {"p0"}
    assert found.sum() == (named.values("subject") == "p0").sum()
    values = features()
    assert unfit_to_join(values, values.select([3]), values).nonzero()[0].tolist() == [3]
    with pytest.raises(MienError, match="only faces of photos or people"):
        joined_labels(larger(faces), faces, TrainingSettings(), Silent(), faces)


def test_a_run_says_it_and_goes_on(stored: Path, also: FaceSet, tmp_path: Path) -> None:
    made = train(stored, RECIPE, tmp_path / "run", TrainingSettings(also_labels=12, threads=1), also=also)
    assert made.card.budget["also"] == f"Second, checksum {also.info.checksum[:12]}"
    written = json.loads((tmp_path / "run/run.json").read_text())["order"]
    assert json.loads((tmp_path / "run/run.json").read_text())["also_left_out"] == 0
    assert (written["also"], written["also_checksum"]) == (str(also.folder), also.info.checksum)
    rows = pq.read_table(tmp_path / "run/budget.parquet").to_pylist()
    assert sum(row["id"].startswith(JOINED) and row["role"] == "train" for row in rows) == 12
    assert not any(row["id"].startswith(JOINED) for row in pq.read_table(tmp_path / "run/weights.parquet").to_pylist())
    assert count_known(made, also, also) == 12
    assert count_known(made, also.where(split="test"), also) == 0
    before = (tmp_path / "run/model/model.safetensors").read_bytes()
    for name in ("model", "checkpoint.safetensors"):
        (tmp_path / "run" / name).rename(tmp_path / name)
    resume(tmp_path / "run")
    assert (tmp_path / "run/model/model.safetensors").read_bytes() == before


def test_joined_labels_of_a_model_that_a_run_began_with_count_for_it(stored: Path, also: FaceSet, tmp_path: Path) -> None:
    first = train(stored, RECIPE, tmp_path / "first", TrainingSettings(labels=30, also_labels=12, threads=1), also=also)
    begun_with = small_recipe(start={"technique": "weights", "path": str(tmp_path / "first")})
    later = train(bright_faces(60, seed=5), begun_with, tmp_path / "later", TrainingSettings(threads=1))
    checksum = also.info.checksum
    taught = ids_that_taught(tmp_path / "first", checksum)
    assert len(taught) == 12
    assert ids_that_taught(tmp_path / "later", checksum) == taught
    assert count_known(later, also, also) == 12
    tested = also.select(np.isin(also.values("id"), list(taught))).save(tmp_path / "tested")
    assert count_known(later, tested, tested) == 0, "of another checksum"
    (seen,) = find_training_faces(later, also)
    assert set(seen.values("id")) == taught
    own, joined = find_training_faces(first, also)
    assert (len(own), set(joined.values("id"))) == (30, taught)
    notes = evaluate(later, also, "train").notes
    assert notes["warning"].startswith("12 of these faces gave the run their labels")
    assert notes["began with"].endswith(": 30 more labels and 12 of this set")
    notes = evaluate(later, stored).notes
    assert notes["began with"].endswith(": 30 more labels of this set and 12 of Second")
    assert evaluate(first, also).notes["label budget"].endswith("= 42 labels, of which 12 are of this set")
    assert evaluate(first, stored).notes["label budget"].endswith("= 42 labels, of which 12 are of Second")


def test_what_cannot_join(faces: FaceSet, also: FaceSet, stored: Path) -> None:
    opened = FaceSet.open(stored)
    with pytest.raises(MienError, match="another set for `also`"):
        joined_labels(opened, opened, TrainingSettings(checksums=(opened.info.checksum, "")), Silent())
    strange = replace(also, info=replace(also.info, classes=("a", "b", "c", "d")))
    with pytest.raises(MienError, match="labels of class0, class1, class2 in Second"):
        joined_labels(strange, faces, TrainingSettings(), Silent())
    with pytest.raises(MienError, match="leave `also` out"):
        choose_tested_set(opened, None, also, "train", also)
    assert choose_tested_set(opened, None, also, "test", also).counts["class0"] == 4
    with pytest.raises(MienError, match="give `also`, too"):
        Grid(("supervised_small",), also_labels=5)
    with pytest.raises(MienError, match="give `also`, too"):
        train(opened, RECIPE, stored / "run", TrainingSettings(also_labels=5))


def test_a_comparison_with_and_without(mien: Command, stored: Path, also: FaceSet, tmp_path: Path) -> None:
    words = ["compare", stored, "--recipes", "supervised_small", "--epochs", 1, "--seeds", 1, "--out", tmp_path / "out"]
    for more in ([], ["--also", also.folder, "--also-labels", 12]):
        done = mien(*words, *more, "--json")
        assert done.code == 0, done.err
        (found,) = json.loads(done.out)["results"]
        assert found["train_labels"] == 77 + 12 * bool(more)
    assert len(list((tmp_path / "out/runs").iterdir())) == 2


def with_validation(faces: FaceSet) -> FaceSet:
    """Whole people of the training split, who are those that validate."""
    people = [("val" if who in ("p1", "p4") else split) for who, split in _who(faces)]
    return faces.with_column("split", people)


def _who(faces: FaceSet) -> list[tuple[str, str]]:
    return list(zip(faces.column("subject").to_pylist(), faces.column("split").to_pylist(), strict=True))


def test_the_split_validation_validates_where_all_labels_are_given(faces: FaceSet, tmp_path: Path) -> None:
    stored = with_validation(faces).save(tmp_path / "set")
    own = set(stored.where(split="val").values("id"))
    made = train(stored, RECIPE, tmp_path / "run", TrainingSettings(threads=1))
    rows = pq.read_table(tmp_path / "run/budget.parquet").to_pylist()
    assert {row["id"] for row in rows if row["role"] == "validation"} == own
    assert {row["id"] for row in rows if row["role"] == "train"} == set(stored.where(split="train").values("id"))
    assert (made.card.budget["validation"], made.card.budget["validation_split"]) == (12, "validation")
    drawn = train(stored, RECIPE, tmp_path / "drawn", TrainingSettings(labels_per_class=10, threads=1))
    assert "validation_split" not in drawn.card.budget
    assert not own & {row["id"] for row in pq.read_table(tmp_path / "drawn/budget.parquet").to_pylist()}


@pytest.mark.parametrize("named", [True, False])
def test_classes_that_the_split_lacks_are_drawn(named: bool, faces: FaceSet) -> None:
    """As in a set that adds a class with splits of its own to a database without a validation split."""
    faces = with_validation(faces)
    faces = faces.select((faces.values("split") != "val") | (faces.labels == 1))
    faces = faces if named else faces.with_column("subject", [None] * len(faces))
    made = prepare_run(faces, None, RECIPE, TrainingSettings(validation_split=True), Silent())
    splits = faces.select(made.budget.validation).values("split")
    counts = np.bincount(faces.labels[made.budget.validation][splits == "train"], minlength=3)
    assert (splits == "val").sum() == 4
    assert counts[[0, 2]].min() >= 4
    assert (counts[1] == 0) is not named
    if named:
        assert not set(made.data.validation.values("subject")) & set(made.data.faces.values("subject"))


@pytest.mark.parametrize("old", [True, False])
def test_a_run_from_before_goes_on_as_it_began(
    old: bool, faces: FaceSet, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Its record does not say that a split validates; a new run whose record says otherwise is refused."""
    stored = with_validation(faces).save(tmp_path / "set")
    if old:
        monkeypatch.setattr(training, "has_validation_split", lambda *_: False)
    train(stored, RECIPE, tmp_path / "run", TrainingSettings(threads=1))
    before, written = (tmp_path / "run/model/model.safetensors").read_bytes(), (tmp_path / "run/run.json").read_text()
    order = json.loads(written)
    for name in ("validation_split", "also", "also_labels", "also_checksum"):
        del order["order"][name]
    (tmp_path / "run/run.json").write_text(json.dumps(order))
    for name in ("model", "checkpoint.safetensors"):
        (tmp_path / "run" / name).rename(tmp_path / name)
    monkeypatch.undo()
    if old:
        assert "validation_split" not in resume(tmp_path / "run").card.budget
        assert (tmp_path / "run/model/model.safetensors").read_bytes() == before
        return
    with pytest.raises(MienError, match=r"the labels that .* began with"):
        resume(tmp_path / "run")


def test_a_comparison_trains_anew_where_the_split_validates(faces: FaceSet, tmp_path: Path) -> None:
    (tmp_path / "plain.toml").write_text('base = "supervised_small"')
    grid = Grid((str(tmp_path / "plain.toml"),), labels_per_class=(None, 8), seeds=1, epochs=1)
    found = compare(with_validation(faces).save(tmp_path / "set"), grid, tmp_path / "out")
    assert [one.validation_labels for one in found.results] == [12, 6]
