"""Photos in class folders, given straight to `mien train`, are prepared once."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from conftest import Command
from mien import FaceSet, MienError, Recipe, TrainingSettings, evaluate, resume, train
from mien.data.format import Info
from mien.experiments.adaptation.adapt import adapt
from mien.media.file_limits import FILE_LIMITS
from mien.preparation import photo_folder
from mien.preparation.photo_folder import open_or_prepare
from mien.preparation.preparation_settings import PreparationSettings
from photographs import photo_of, write_photo
from runs import Heard

SHORT = ("--recipe", "supervised_small", "--epochs", 1, "--threads", 1, "--set", "model.width=8", "--set", "draw.at_least=1")
"""Trains for a moment."""


def short() -> Recipe:
    """The same."""
    return Recipe.load("supervised_small").with_settings({"model.width": 8, "draw.at_least": 1}).with_epochs(1)


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two classes of six, found by a detector that knows them."""
    for n in range(12):
        write_photo(tmp_path / "photos" / ("happy" if n % 2 else "sad") / f"{n}.png", photo_of((n, n, 20 + n % 2 * 20)))

    def preparing(inputs: tuple[str, ...], labeled: bool) -> PreparationSettings:
        return PreparationSettings(inputs, "box", "photographs:Bright", labeled=labeled)

    monkeypatch.setattr(photo_folder, "PreparationSettings", preparing)
    return tmp_path / "photos"


def test_photos_are_prepared_once(mien: Command, photos: Path, tmp_path: Path) -> None:
    words = ["train", photos, *SHORT]
    done = mien(*words, "--out", tmp_path / "run")
    assert done.code == 0, done.err
    assert "12 faces" in done.err
    assert "labels: happiness 6, sadness 6, 0 faces without" in done.err
    faces = FaceSet.open(tmp_path / "photos.faces", verify=True)
    assert faces.classes == ("happiness", "sadness")
    assert sorted(faces.labels.tolist()) == [0] * 6 + [1] * 6
    done = mien(*words, "--out", tmp_path / "again")
    assert done.code == 0, done.err
    assert "photos" not in done.err
    assert FaceSet.open(tmp_path / "photos.faces").info == faces.info
    write_photo(photos / "happy" / "new.png", photo_of((5, 5, 40)))
    done = mien(*words, "--out", tmp_path / "third")
    assert (done.code, "photos that have changed since" in done.err) == (1, True)
    assert not (tmp_path / "third").exists()


def test_photos_are_evaluated_as_they_are_trained_on(mien: Command, photos: Path, tmp_path: Path) -> None:
    words = [*SHORT, "--out", tmp_path / "run"]
    assert mien("train", photos, *words).code == 0
    done = mien("evaluate", tmp_path / "run", photos)
    assert (done.code, "import or prepare it with --test 0.2" in done.err) == (1, True), done.err
    done = mien("evaluate", tmp_path / "run", photos, "--split", "all", "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out)["count"] == 12
    for n in range(3):
        write_photo(tmp_path / "new" / "happy" / f"{n}.png", photo_of((n, n, 40)))
    done = mien("evaluate", tmp_path / "nowhere", tmp_path / "new", "--split", "all")
    assert (done.code, "a run or a model" in done.err) == (1, True), done.err
    assert not (tmp_path / "new.faces").exists()
    done = mien("evaluate", tmp_path / "run", tmp_path / "new", "--split", "all", "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out)["count"] == 3
    assert len(FaceSet.open(tmp_path / "new.faces")) == 3


def test_fewer_than_two_classes_are_refused_before_anything_is_done(mien: Command, photos: Path, tmp_path: Path) -> None:
    words = ["--out", tmp_path / "run", "--threads", 1]
    shutil.rmtree(photos / "sad")
    (photos / "happy").rename(photos / "happiness")
    write_photo(photos / "joy" / "a.png", photo_of((3, 3, 20)))
    write_photo(photos / "unlabeled" / "b.png", photo_of((3, 3, 20)))
    for n in range(2):
        write_photo(photos / f"{n}.png", photo_of((n, n, 20)))
    done = mien("train", photos, *words)
    assert (done.code, done.out) == (1, "")
    assert f"photos in at least 2 class folders, such as {photos / 'happiness'}; found 6 in happiness, 1 in joy, 2 in" in done.err
    for name in ("happiness", "joy"):
        shutil.rmtree(photos / name)
    done = mien("train", photos, *words)
    assert f"found 2 in {photos} itself, without a class folder" in done.err
    shutil.rmtree(photos / "unlabeled")
    assert f"found 2 in {photos} itself, without a class folder" in mien("train", photos, *words).err, "no folders at all"
    assert [path.name for path in tmp_path.iterdir()] == ["photos"]
    with pytest.raises(MienError, match=r"photos in a class folder, such as .*; found 2 in"):
        photo_folder.open_or_prepare(photos, Heard())


@pytest.mark.parametrize(("here", "named"), [(".", "."), ("happy", ".."), ("happy", "../../photos")])
def test_the_folder_where_one_is(photos: Path, monkeypatch: pytest.MonkeyPatch, here: str, named: str) -> None:
    monkeypatch.chdir(photos / here)
    assert photo_folder.open_or_prepare(named, Heard()).folder == photos.with_name("photos.faces")
    assert len(FaceSet.open(photos.with_name("photos.faces"))) == 12
    assert sorted(path.name for path in photos.iterdir()) == ["happy", "sad"]


def test_limits_hold_for_photos_that_are_trained_on(
    mien: Command, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mien.media.file_limits.FILE_LIMITS", replace(FILE_LIMITS, pixels=10))
    words = ["train", photos, *SHORT, "--out", tmp_path / "run"]
    done = mien(*words)
    assert done.code
    assert "pixels, more than 10" in done.err
    assert not (tmp_path / "photos.faces").exists()
    done = mien(*words, "--limits", "off")
    assert done.code == 0, done.err
    shutil.rmtree(tmp_path / "photos.faces")
    measured = ["evaluate", tmp_path / "run", photos, "--split", "all"]
    assert "pixels, more than 10" in mien(*measured).err
    assert mien(*measured, "--limits", "off").code == 0


def test_python_takes_photos_where_the_commands_do(photos: Path, tmp_path: Path) -> None:
    heard = Heard()
    recognizer = train(photos, short(), tmp_path / "run", TrainingSettings(threads=1), progress=heard)
    assert heard.lines[0].startswith(f"{photos} holds photos: their faces are cut out into {tmp_path / 'photos.faces'}, once")
    heard.lines.clear()
    assert evaluate(recognizer, str(photos), "all", progress=heard).count == 12
    assert not heard.lines, "they are cut out already"
    assert resume(tmp_path / "run").card.faces.checksum == FaceSet.open(tmp_path / "photos.faces").info.checksum


def test_class_folders_without_photos_are_named(tmp_path: Path) -> None:
    for name in ("happy", "sad"):
        (tmp_path / "photos" / name).mkdir(parents=True)
    with pytest.raises(MienError, match=r"photos in class folders, or a face set, at .*; found folders without a photo"):
        open_or_prepare(tmp_path / "photos", least=2)


def test_a_wrong_recipe_is_refused_before_photos_are_prepared(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(MienError, match="no_such"):
        train(photos, "no_such", tmp_path / "run")
    assert not (tmp_path / "photos.faces").exists()


def test_photos_for_a_model_are_cut_out_as_its_faces_were(mien: Command, photos: Path, tmp_path: Path) -> None:
    write_photo(tmp_path / "others" / "happy" / "0.png", photo_of((3, 3, 40)))
    made = [
        photo_folder.open_or_prepare(folder, like=Info(classes=(), side=32, channels=3, alignment=alignment))
        for folder, alignment in ((photos, "whole"), (tmp_path / "others", ""))
    ]
    assert [(one.info.side, one.info.channels, one.info.alignment.split()[0].strip(";")) for one in made] == [
        (32, 3, "whole"),
        (48, 1, "box"),
    ]
    done = mien("adapt", "mien-s", photos, "--out", tmp_path / "fitted")
    assert (done.code, "48" in done.err) == (1, True), "what was made for another model is no use"


def test_faces_that_training_cut_out_are_not_taken_for_a_model_of_others(photos: Path, tmp_path: Path) -> None:
    train(photos, short(), tmp_path / "run", TrainingSettings(threads=1))
    found = "photos.faces to be cut out by eyes [^,]*, side 48, gray; found box [^,]*, side 48, gray; remove .*photos.faces, and"
    with pytest.raises(MienError, match=found):
        adapt("mien-s", photos, tmp_path / "adapted")
    assert evaluate(tmp_path / "run", photos, "all").count == 12, "what was trained on is measured as it is"


def test_faces_that_adapting_cut_out_are_not_trained_on(photos: Path, tmp_path: Path) -> None:
    like = Info(classes=(), side=32, channels=3, alignment="whole")
    faces = photo_folder.open_or_prepare(photos, like=like)
    found = "photos.faces to be cut out by box [^,]*, side 48, gray; found whole, side 32, color; remove .*photos.faces, and"
    with pytest.raises(MienError, match=found):
        train(photos, "supervised_small", tmp_path / "run")
    assert not (tmp_path / "run").exists()
    for taken in (
        photo_folder.open_or_prepare(photos, like=like),
        photo_folder.open_or_prepare(photos, like=replace(like, alignment="unknown")),
        photo_folder.open_or_prepare(photos, as_found=True),
    ):
        assert taken.info == faces.info
    shutil.rmtree(tmp_path / "photos.faces")
    assert photo_folder.open_or_prepare(photos).info.side == 48
