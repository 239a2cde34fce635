"""Sample weights: the area under the curve against a loop over pairs, faces found by id, the picture and the table."""

import csv
import json
import math
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageColor

from conftest import bright_faces, small_recipe
from mien import FaceSet, MienError, TrainingSettings, train
from mien.cli import app
from mien.data.face_grid import RED
from mien.data.format import Info
from mien.evaluation.sample_weights import flip_auroc, inspect_weights, read_weighted_faces
from mien.recognize.model_card import ModelCard
from mien.recognize.saved_networks import write_model

few = settings(max_examples=40, deadline=None, derandomize=True)


def make_run(folder: Path, faces: FaceSet, weights: npt.ArrayLike, labels: npt.ArrayLike | None = None) -> Path:
    """What `mien weights` reads of a run on all of `faces`: its card and its weights."""
    taught = faces.labels if labels is None else np.asarray(labels)
    write_model(folder / "model", {}, ModelCard({"network": "none"}, faces.classes, faces.info))
    table = {"id": faces.column("id"), "label": taught, "weight": np.asarray(weights, np.float32)}
    pq.write_table(pa.table(table), folder / "weights.parquet")
    return folder


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "weights.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def has_frames(path: Path) -> bool:
    with Image.open(path) as picture:
        return bool((np.asarray(picture) == ImageColor.getrgb(RED)).all(axis=2).any())


@few
@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=1, max_size=30))
def test_auroc_counts_the_pairs_in_the_right_order(faces: list[tuple[int, bool]]) -> None:
    weights, flipped = zip(*faces, strict=True)
    pairs = [
        1.0 if low < high else 0.5 if low == high else 0.0
        for low, wrong in faces if wrong for high, other in faces if not other
    ]  # fmt: skip
    found = flip_auroc(np.array(weights) / 5, flipped)
    if pairs:
        assert found == pytest.approx(sum(pairs) / len(pairs))
    else:
        assert math.isnan(found)


def test_auroc_at_its_corners() -> None:
    assert flip_auroc([0.1, 0.2, 0.9], [True, True, False]) == 1.0
    assert flip_auroc([0.9, 0.2, 0.1], [True, False, False]) == 0.0
    assert flip_auroc([1, 1, 1], [True, False, False]) == 0.5
    with pytest.raises(MienError, match="a weight for each"):
        flip_auroc([1.0], [True, False])


def test_figures_by_class_are_those_of_a_loop(faces: FaceSet, tmp_path: Path) -> None:
    weights = np.random.default_rng(0).random(len(faces)).astype(np.float32)
    found = inspect_weights(make_run(tmp_path / "run", faces, weights), faces)
    for label, entry in enumerate(found.classes):
        mine = [weight for weight, other in zip(weights.tolist(), faces.labels, strict=True) if other == label]
        assert (entry.name, entry.count) == (faces.classes[label], len(mine))
        assert (entry.mean, entry.lowest) == pytest.approx((sum(mine) / len(mine), min(mine)))
    assert not found.equal
    assert found.flipped == 0
    assert math.isnan(found.auroc)
    assert not has_frames(tmp_path / "run" / "weights" / "weights.png")
    assert {row["flipped"] + row["truth"] for row in rows(tmp_path / "run" / "weights")} == {""}


def test_faces_are_found_by_id_and_classes_by_name(faces: FaceSet, tmp_path: Path) -> None:
    """The set is asked in another order, with its classes in another order, and has faces that the run did not use."""
    run = make_run(tmp_path / "run", faces.select(range(30)), np.linspace(1, 0.1, 30))
    order = [2, 0, 1]
    shuffled = faces.select(np.random.default_rng(1).permutation(len(faces)))
    labels = [order.index(label) for label in shuffled.labels]
    other = FaceSet.from_arrays(shuffled.faces(), labels, [faces.classes[n] for n in order], {"id": shuffled.column("id")})
    weighed = read_weighted_faces(run, other)
    assert weighed.faces.column("id").to_pylist() == faces.column("id").to_pylist()[:30]
    assert (weighed.faces.faces() == faces.faces(range(30))).all()
    assert not weighed.flipped.any()


def test_labels_that_the_run_was_taught_wrong_are_found(faces: FaceSet, tmp_path: Path) -> None:
    taught, weights = faces.labels.copy(), np.ones(len(faces))
    taught[[3, 10, 40]] = (taught[[3, 10, 40]] + 1) % 3
    weights[[3, 10, 7]] = [0.1, 0.2, 0.15]
    found = inspect_weights(make_run(tmp_path / "run", faces, weights, taught), faces, per_class=2, out=tmp_path / "seen")
    assert found.flipped == 3
    assert found.auroc == flip_auroc(weights, taught != faces.labels)
    assert has_frames(tmp_path / "seen" / "weights.png")
    written = rows(tmp_path / "seen")
    assert len(written) == len(faces)
    assert [row["class"] for row in written] == sorted(row["class"] for row in written)
    for name in faces.classes:
        mine = [float(row["weight"]) for row in written if row["class"] == name]
        assert mine == sorted(mine)
    wrong = {row["id"]: row["truth"] for row in written if row["flipped"] == "true"}
    ids = faces.column("id").to_pylist()
    assert wrong == {ids[row]: faces.classes[faces.labels[row]] for row in (3, 10, 40)}


def test_true_label_goes_before_the_sets_own(faces: FaceSet, tmp_path: Path) -> None:
    truth = [int(label) for label in faces.labels]
    truth[0], truth[1], truth[2] = 2, -1, None  # type: ignore[call-overload]
    known = faces.with_column("true_label", pa.array(truth, pa.int16()))
    weighed = read_weighted_faces(make_run(tmp_path / "run", faces, np.ones(len(faces))), known)
    assert np.flatnonzero(weighed.flipped).tolist() == [0, 1]
    assert weighed.truth[:3].tolist() == ["class2", "no class", faces.classes[faces.labels[2]]]
    inspect_weights(tmp_path / "run", known)
    assert {row["flipped"] for row in rows(tmp_path / "run" / "weights")} == {"true", "false"}
    with pytest.raises(MienError, match="true_label from -1"):
        read_weighted_faces(tmp_path / "run", faces.with_column("true_label", np.full(len(faces), 3)))


def test_what_training_wrote_is_read(stored: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train(stored, small_recipe(), tmp_path / "run", TrainingSettings(noise=0.25))
    app(["weights", str(tmp_path / "run"), str(stored)], standalone_mode=False)
    said = capsys.readouterr()
    assert "this run weighed all faces the same" in said.out
    assert not said.err
    assert (tmp_path / "run" / "weights" / "weights.png").is_file()
    app(["weights", str(tmp_path / "run"), str(stored), "--json"], standalone_mode=False)
    found = json.loads(capsys.readouterr().out)
    used = pq.read_table(tmp_path / "run" / "budget.parquet").to_pylist()
    truth = dict(zip(FaceSet.open(stored).column("id").to_pylist(), FaceSet.open(stored).labels, strict=True))
    wrong = [row for row in used if row["role"] == "train" and row["label"] != truth[row["id"]]]
    assert found["flipped"] == len(wrong) > 0
    assert (found["equal"], found["auroc"]) == (True, 0.5)


def test_the_command_says_how_well_weights_find_wrong_labels(
    faces: FaceSet, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    faces.save(tmp_path / "set")
    taught = (faces.labels + (np.arange(len(faces)) < 6)) % 3
    run = make_run(tmp_path / "run", faces, np.linspace(0.5, 1, len(faces)), taught)
    app(["weights", str(run), str(tmp_path / "set"), "--out", str(tmp_path / "out")], standalone_mode=False)
    assert "6 labels are known to be wrong; a low weight finds them with an AUROC of 1.000" in capsys.readouterr().out
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["weights.csv", "weights.png"]


def test_another_set_with_the_same_ids_is_suspected(faces: FaceSet, tmp_path: Path) -> None:
    mine, other = faces.save(tmp_path / "mine"), bright_faces(seed=9).save(tmp_path / "other")
    run = make_run(tmp_path / "run", mine, np.ones(len(mine)))
    assert inspect_weights(run, mine).warning == ""
    assert "not the set that the run trained on" in inspect_weights(run, other).warning


def test_what_has_no_weights_is_refused(faces: FaceSet, tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", faces, np.ones(len(faces)))
    with pytest.raises(MienError, match="60 of 120 not in it"):
        inspect_weights(run, faces.select(range(60)))
    twice = faces.join(faces.select([5]))
    with pytest.raises(MienError, match="several faces share"):
        inspect_weights(run, twice)
    features = FaceSet.from_arrays(
        np.zeros((2, 1, 4), np.float16), [0, 1], info=Info(faces.classes, "features", channels=4, views=("clean",))
    )
    with pytest.raises(MienError, match="the set they were made from"):
        inspect_weights(run, features)
    with pytest.raises(MienError, match="at least 1 face"):
        inspect_weights(run, faces, per_class=0)
    with pytest.raises(MienError, match=r"no model\.json"):
        inspect_weights(tmp_path, faces)
    (run / "weights.parquet").write_bytes(b"nothing")
    with pytest.raises(MienError, match=r"a table in .*weights\.parquet"):
        inspect_weights(run, faces)
    make_run(run, faces, np.full(len(faces), np.nan))
    with pytest.raises(MienError, match="finite weights"):
        inspect_weights(run, faces)
    (run / "weights.parquet").unlink()
    with pytest.raises(MienError, match="no such file"):
        inspect_weights(run, faces)
    assert not (run / "weights").exists()
