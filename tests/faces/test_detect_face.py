"""Faces, and which of them are meant."""

import numpy as np
import pytest

from mien import MienError
from mien.faces.face import Face
from mien.faces.which_faces import choose_faces

MARKS = np.array([[10.0, 10], [13, 14], [12, 16], [10, 20], [14, 20]])


def test_a_face_knows_its_measures() -> None:
    face = Face((0.0, 10.0, 20.0, 40.0), MARKS, 0.9)
    assert (face.area, face.center, face.eye_distance) == (600, (10, 25), 5)
    with pytest.raises(MienError, match="take a detector that finds them"):
        _ = Face((0.0, 0.0, 1.0, 1.0), None, 0.9).eye_distance


@pytest.mark.parametrize(
    "box", [(3.0, 0.0, 2.0, 1.0), (0.0, 5.0, 1.0, 4.0), (0.0, 0.0, float("nan"), 1.0), (0.0, 0.0, float("inf"), 1.0)]
)
def test_what_is_no_box_is_refused(box: tuple[float, float, float, float]) -> None:
    with pytest.raises(MienError, match="a box x0 <= x1"):
        Face(box, None, 1.0)


def test_landmarks_are_five_finite_points() -> None:
    wrong = MARKS.copy()
    wrong[2, 1] = np.nan
    for marks in (MARKS[:4], MARKS.T, wrong):
        with pytest.raises(MienError, match=r"finite landmarks \(5, 2\)"):
            Face((0.0, 0.0, 1.0, 1.0), marks, 1.0)


def test_one_of_a_photos_faces_is_chosen() -> None:
    small, large = Face((45.0, 20.0, 55.0, 30.0), None, 0.8), Face((0.0, 0.0, 30.0, 30.0), None, 0.9)
    faces = [small, large, Face((70.0, 0.0, 100.0, 30.0), None, 0.7)]
    assert choose_faces(faces, "all", (100, 50)) == tuple(faces)
    assert choose_faces(faces, "largest", (100, 50)) == (large,), "of equal ones the first"
    assert choose_faces(faces, "central", (100, 50)) == (small,)
    assert choose_faces(faces, "central", (30, 30)) == (large,)
    for which in ("all", "largest", "central"):
        assert choose_faces([], which, (100, 50)) == ()
