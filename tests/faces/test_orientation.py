"""Photos that lie on their side or upside down: which way is up is found by the faces, and places stay those of the photo."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typing_extensions import override

from conftest import Command
from mien import MienError
from mien.data.faceset import FaceSet
from mien.faces import crop
from mien.faces.crop import CropSpec, crop_faces
from mien.faces.detect import Detector
from mien.faces.face import Face
from mien.faces.orientation import in_all_directions
from mien.faces.which_faces import Turns
from mien.media.photos import Photo
from mien.preparation.preparation_settings import PreparationSettings
from mien.preparation.prepare import prepare_faces

WIDE, HIGH = 60, 40
LANDMARKS = np.array([[20.0, 10], [30, 10], [25, 15], [21, 20], [29, 20]])


def photo() -> Photo:
    """With a bright face of 20 x 20 pixels at (15, 5), the top half of which is brighter."""
    made = np.zeros((HIGH, WIDE, 3), np.uint8)
    made[5:25, 15:35] = 100
    made[5:15, 15:35] = 200
    return made


class Upright(Detector):
    """Finds the face where its brighter half is above; surely, unless said."""

    @override
    def __call__(self, photos: Sequence[Photo]) -> list[tuple[Face, ...]]:
        return [self._in(each) for each in photos]

    def _in(self, photo: Photo) -> tuple[Face, ...]:
        rows, columns = np.nonzero(photo[..., 0] > 150)
        dim = np.nonzero(photo[..., 0] == 100)[0]
        if not len(rows) or rows.max() > dim.min() or columns.max() - columns.min() != 19:
            return ()
        left, top = float(columns.min()), float(rows.min())
        return (Face((left, top, left + 20, top + 20), LANDMARKS - [15, 5] + [left, top], 0.9),)


@pytest.fixture(autouse=True)
def _detector(monkeypatch: pytest.MonkeyPatch) -> None:
    made = crop._made
    monkeypatch.setattr(crop, "_made", lambda crop_spec: (made(crop_spec)[0], Upright()))


@pytest.mark.parametrize("quarters", range(4))
def test_the_same_crop_whichever_way_a_photo_lies(quarters: int) -> None:
    given, how = photo(), CropSpec("box", "haar", "largest")
    expected = crop_faces([given], how, 16, color=True)
    lying = np.ascontiguousarray(np.rot90(given, -quarters))
    found = crop_faces([lying], how, 16, color=True, turn="all")
    quick = crop_faces([lying, photo()], how, 16, color=True, turn="auto")
    assert (quick.faces == expected.faces).all()
    assert quick.turned == found.turned
    assert (found.faces == expected.faces).all()
    assert found.turned == ({0: quarters} if quarters else {})
    assert (not crop_faces([lying], how, 16, color=True).found) == bool(quarters)
    # The place is that of the photo as it lies: there the brighter half is within the box, at the eyes.
    (face,) = found.lying([lying])
    left, top, right, bottom = map(int, face.box)
    assert (lying[top:bottom, left:right] > 0).all()
    assert (right - left, bottom - top) == (20, 20)
    assert face.landmarks is not None
    for x, y in face.landmarks[:2]:
        assert lying[int(y - 0.5), int(x - 0.5), 0] == 200


def test_prepare_turns_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    Image.fromarray(np.rot90(photo())).save(tmp_path / "in" / "side.png")
    Image.fromarray(photo()).save(tmp_path / "in" / "up.png")
    done = prepare_faces(PreparationSettings((str(tmp_path / "in"),), "box", "haar", side=16, turn="auto"), tmp_path / "out")
    assert done.faces.column("id").to_pylist() == ["side.png", "up.png"]
    assert (done.faces.faces()[0] == done.faces.faces()[1]).all()
    assert (tmp_path / "out" / "notes.csv").read_text().splitlines() == [
        "path,note",
        "side.png,turned to the left by 270 degrees",
    ]
    box = FaceSet.open(tmp_path / "out").column("box").to_pylist()
    assert box == [[5.0, 25.0, 25.0, 45.0], [15.0, 5.0, 35.0, 25.0]]


def test_commands_say_what_to_do_where_no_face_is_found(mien: Command, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    Image.fromarray(np.rot90(photo())).save(tmp_path / "in" / "side.png")
    Image.fromarray(photo()).save(tmp_path / "in" / "up.png")
    done = mien("prepare", tmp_path / "in", tmp_path / "out", "--align", "box", "--detector", "haar", "--workers", 1)
    hint = "--turn auto looks for faces in photos that lie on their side or upside down, too"
    assert f"no face found in 1 of the inputs; {hint}" in done.err
    done = mien("predict", tmp_path / "in", "--align", "box", "--detector", "haar")
    assert f"mien: no face in 1 of 2 photos; {hint}" in done.err
    assert "side.png: no face" in done.out
    done = mien("predict", tmp_path / "in", "--align", "box", "--detector", "haar", "--turn", "auto")
    assert "no face" not in done.out + done.err


def test_what_is_not_read_of_a_file_is_said_by_every_command(mien: Command, tmp_path: Path) -> None:
    folder = tmp_path / "in" / "happy"
    folder.mkdir(parents=True)
    first, second = Image.fromarray(photo()), Image.fromarray(photo() // 2)
    first.save(folder / "moving.gif", save_all=True, append_images=[second])
    note = "an animation, of which the first frame is read"
    options = ("--align", "box", "--detector", "haar")
    assert f"moving.gif: {note}" in mien("predict", folder, *options).err
    assert f'"notes": ["{note}"]' in mien("predict", folder, *options, "--json").out
    assert f"moving.gif: {note}" in mien("prepare", folder, tmp_path / "a", *options, "--workers", 1).err
    assert f"moving.gif: {note}" in mien("import", "folder", tmp_path / "in", tmp_path / "b", "--side", 8).err
    assert (tmp_path / "a" / "notes.csv").read_text() == f'path,note\nmoving.gif,"{note}"\n'
    assert note in (tmp_path / "b" / "notes.csv").read_text()


class Doubtful(Upright):
    """Takes the face for one upside down, too, but is not as sure of it."""

    @property
    @override
    def upright_score(self) -> float:
        return 0.85

    @override
    def _in(self, photo: Photo) -> tuple[Face, ...]:
        found = super()._in(photo)
        return found or tuple(replace(face, score=0.8) for face in super()._in(np.ascontiguousarray(np.rot90(photo, 2))))


@pytest.mark.parametrize("quarters", range(4))
def test_a_doubtful_face_does_not_end_the_search(quarters: int) -> None:
    lying = np.ascontiguousarray(np.rot90(photo(), -quarters))
    ((times, faces),) = in_all_directions([lying], Doubtful(), lost=True)
    assert (times, [face.score for face in faces]) == (quarters, [0.9])


@pytest.mark.parametrize("turn", ["auto", "all"])
def test_frames_that_lie_on_their_side_are_turned_as_the_last_one_searched_whole(turn: Turns) -> None:
    looked = list[tuple[int, ...]]()

    class Noting(Upright):
        @override
        def _in(self, photo: Photo) -> tuple[Face, ...]:
            looked.append(photo.shape[:2])
            return super()._in(photo)

    with pytest.MonkeyPatch.context() as patch:
        made = crop._made(CropSpec("box", "haar", "all"))
        patch.setattr(crop, "_made", lambda crop_spec: (made[0], Noting()))
        lying = [np.ascontiguousarray(np.rot90(photo()))] * 3 + [photo()] * 3
        found = crop_faces(lying, CropSpec("box", "haar", "all"), 16, True, turn, [0, 3])
    assert found.turned == {0: 3, 1: 3, 2: 3}
    assert found.photo.tolist() == list(range(6))
    assert all((face == found.faces[0]).all() for face in found.faces)
    directions = 5 if turn == "auto" else 8
    assert len(looked) == directions + 4, "only the frames that are searched whole are looked at in all directions"


@pytest.mark.parametrize("turn", ["sideways", "", "ALL"])
def test_other_words_for_turning_are_refused(turn: Turns) -> None:
    with pytest.raises(MienError, match="`turn` among off, auto, all"):
        crop_faces([photo()], CropSpec("box", "haar", "all"), 16, True, turn)
