"""Photos in class folders, given straight to `mien train`, are prepared once."""

from pathlib import Path

import pytest
from photographs import photo_of, write_photo

from conftest import Command
from mien import FaceSet
from mien.faces import straight
from mien.faces.prepare import Preparing
from runs import Heard


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two classes of six, found by a detector that knows them."""
    for n in range(12):
        write_photo(tmp_path / "photos" / ("happy" if n % 2 else "sad") / f"{n}.png", photo_of((n, n, 20 + n % 2 * 20)))

    def preparing(inputs: tuple[str, ...], labeled: bool) -> Preparing:
        return Preparing(inputs, "box", "photographs:Bright", labeled=labeled)

    monkeypatch.setattr(straight, "Preparing", preparing)
    return tmp_path / "photos"


def test_photos_are_prepared_once(mien: Command, photos: Path, tmp_path: Path) -> None:
    words = ["train", photos, "--recipe", "supervised_small", "--epochs", 1, "--threads", 1]
    done = mien(*words, "--out", tmp_path / "run")
    assert done.code == 0, done.err
    assert "12 faces" in done.err
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


@pytest.mark.parametrize(("here", "named"), [(".", "."), ("happy", ".."), ("happy", "../../photos")])
def test_the_folder_where_one_is(photos: Path, monkeypatch: pytest.MonkeyPatch, here: str, named: str) -> None:
    monkeypatch.chdir(photos / here)
    assert straight.faces_of(Path(named), 1, Heard()) == photos.with_name("photos.faces")
    assert len(FaceSet.open(photos.with_name("photos.faces"))) == 12
    assert sorted(path.name for path in photos.iterdir()) == ["happy", "sad"]
