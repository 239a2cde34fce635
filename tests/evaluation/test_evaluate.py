"""Evaluation of a recognizer: the right faces, matched by name, measured as a loop would."""

from pathlib import Path

import numpy as np
import pytest

from conftest import Command, bright_faces, small_recipe
from mien import FaceSet, MienError, Recognizer, TrainingSettings, evaluate, train
from mien.recognize.calibration import apply_temperature


@pytest.fixture
def recognizer(tmp_path: Path, faces: FaceSet) -> Recognizer:
    return train(faces, small_recipe(), tmp_path / "run")


def test_figures_are_those_of_a_loop(recognizer: Recognizer, faces: FaceSet) -> None:
    test = faces.where(split="test")
    found = evaluate(recognizer, faces)
    predicted = [int(row.argmax()) for row in recognizer.logits(test)]
    assert found.count == len(test)
    assert found.accuracy == pytest.approx(sum(a == b for a, b in zip(predicted, test.labels, strict=True)) / len(test))


def test_classes_are_matched_by_name_and_strangers_left_out(recognizer: Recognizer, faces: FaceSet) -> None:
    order = [2, 0, 1]
    names = [faces.classes[n] for n in order] + ["boredom"]
    labels = np.array([order.index(label) for label in faces.labels])
    test = np.flatnonzero(faces.values("split") == "test")
    labels[test[:4]] = 3
    labels[test[4:6]] = -1
    renamed = FaceSet.from_arrays(faces.faces(), labels, names, {"split": faces.column("split")})
    found = evaluate(recognizer, renamed)
    assert found.count == len(test) - 6
    assert "4 faces" in found.notes["left out"]
    kept = faces.select(test[6:])
    assert found.accuracy == pytest.approx((recognizer.logits(kept).argmax(1) == kept.labels).mean())


def test_faces_of_another_shape_are_converted_and_answers_of_classes_that_the_set_lacks_are_counted(
    recognizer: Recognizer, faces: FaceSet
) -> None:
    test = faces.where(split="test")
    large = test.faces().repeat(2, axis=1).repeat(2, axis=2)[..., None].repeat(3, axis=3)
    kept = np.flatnonzero(test.labels > 0)
    fewer = FaceSet.from_arrays(large[kept], 2 - test.labels[kept], ["class2", "class1"])
    found = evaluate(recognizer, fewer, "all")
    assert found.notes["converted"] == "32 pixels, color to 16 pixels, gray"
    assert (found.count, found.confusion[0].sum()) == (len(kept), 0)
    beyond = int(found.confusion[:, 0].sum())
    assert found.notes.get("other classes", "0").startswith(str(beyond))


def test_flip_averages_with_the_mirror_image(recognizer: Recognizer, faces: FaceSet) -> None:
    plain, mirrored = recognizer.logits(faces), recognizer.logits(faces.faces()[:, :, ::-1].copy())
    assert recognizer.logits(faces, flip=True) == pytest.approx((plain + mirrored) / 2, abs=1e-4)
    assert evaluate(recognizer, faces, flip=True).flip


def test_probabilities_are_calibrated_logits(recognizer: Recognizer, faces: FaceSet) -> None:
    probabilities = recognizer.probabilities(faces)
    assert probabilities.sum(1) == pytest.approx(1, abs=1e-5)
    assert probabilities == pytest.approx(apply_temperature(recognizer.logits(faces), recognizer.card.temperature), abs=1e-5)


def test_a_report_is_written(recognizer: Recognizer, faces: FaceSet, tmp_path: Path) -> None:
    evaluate(tmp_path / "run", faces, by="subject", out=tmp_path / "report")
    assert {path.name for path in (tmp_path / "report").iterdir()} == {"report.html", "metrics.json"}
    assert "data:image/png" in (tmp_path / "report" / "report.html").read_text()


def test_what_cannot_be_measured_is_refused(recognizer: Recognizer, faces: FaceSet) -> None:
    with pytest.raises(MienError, match="a split among"):
        evaluate(recognizer, faces, "PrivateTest")
    with pytest.raises(MienError, match="a column among"):
        evaluate(recognizer, faces, by="age")
    with pytest.raises(MienError, match="labeled faces of class0"):
        evaluate(recognizer, FaceSet.from_arrays(faces.faces(), columns={"split": faces.column("split")}, classes=faces.classes))
    with pytest.raises(MienError, match="faces of side 16"):
        recognizer.logits(bright_faces(side=20))
    with pytest.raises(MienError, match="faces of channels 1"):
        recognizer.logits(np.zeros((2, 16, 16, 3), np.uint8))


def test_measuring_faces_that_were_trained_on_is_said(stored: Path, tmp_path: Path) -> None:
    train(stored, small_recipe(), tmp_path / "run", TrainingSettings(fold="1/3"))
    assert "warning" not in evaluate(tmp_path / "run", stored, fold="1/3").notes
    for found in (evaluate(tmp_path / "run", stored, fold="2/3"), evaluate(tmp_path / "run", stored, "all")):
        assert "this is no test" in found.notes["warning"]
    assert evaluate(tmp_path / "run", stored, fold="1/3").split == "fold 1/3"


def test_a_report_is_not_put_among_other_things(recognizer: Recognizer, stored: Path) -> None:
    before = sorted(stored.iterdir())
    with pytest.raises(MienError, match="an earlier report"):
        evaluate(recognizer, FaceSet.open(stored), out=stored)
    assert sorted(stored.iterdir()) == before


def test_every_face_of_a_set_without_splits_can_be_measured(recognizer: Recognizer, faces: FaceSet) -> None:
    plain = FaceSet.from_arrays(faces.faces(), faces.labels, faces.classes)
    assert evaluate(recognizer, plain, "all").count == len(faces)
    with pytest.raises(MienError, match="or take all by `split`"):
        evaluate(recognizer, plain)


@pytest.mark.parametrize("name", ["PublicTest", "Test", "privatetest"])
def test_the_split_is_the_sets_own(mien: Command, stored: Path, faces: FaceSet, tmp_path: Path, name: str) -> None:
    """In Python, and on the command line, where the report's folder is named by it."""
    train(stored, small_recipe(), tmp_path / "run")
    split = np.where(faces.values("split") == "test", name, "Training")
    other = faces.with_column("split", split)
    other.save(tmp_path / "other")
    assert (evaluate(tmp_path / "run", other).split, evaluate(tmp_path / "run", other).count) == (name, 24)
    done = mien("evaluate", tmp_path / "run", tmp_path / "other")
    assert done.code == 0, done.err
    assert (tmp_path / "run" / f"evaluation-{name}" / "report.html").is_file()
    faces.with_column("split", np.where(split == name, "dev", split)).save(tmp_path / "dev")
    for command in ("evaluate", "consistency"):
        done = mien(command, tmp_path / "run", tmp_path / "dev")
        assert (done.code, "expected a split to test on, such as test or PublicTest; found Training, dev" in done.err) == (
            1,
            True,
        )
    assert mien("consistency", tmp_path / "run", tmp_path / "other").code == 0
    assert (tmp_path / "run" / f"consistency-{name}").is_dir()
