"""In frames that follow each other closely, faces are looked for around their last places."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pytest
from typing_extensions import override

from mien import MienError
from mien.faces.between_frames import find_in_frames, whole_searches
from mien.faces.detect import Detector
from mien.faces.face import Face
from mien.media.photos import Photo
from mien.media.video_cuts import CutDetector


@dataclass(frozen=True)
class Spots(Detector):
    """Bright squares of 10 pixels are faces; notes what it was shown."""

    least_face: float = 2.0
    shown: list[tuple[float, tuple[int, ...]]] = field(default_factory=list)

    @override
    def __call__(self, photos: Sequence[Photo]) -> list[tuple[Face, ...]]:
        self.shown.extend((self.least_face, photo.shape[:2]) for photo in photos)
        return [self._in(photo[..., 0]) for photo in photos]

    def _in(self, gray: npt.NDArray[np.uint8]) -> tuple[Face, ...]:
        found = list[Face]()
        for value in sorted(set(gray[gray > 0].tolist())):
            rows, columns = np.nonzero(gray == value)
            left, top = float(columns.min()), float(rows.min())
            found.append(Face((left, top, columns.max() + 1.0, rows.max() + 1.0), np.full((5, 2), [left, top]), value / 255))
        return tuple(found)


def frames_of(*paths: Sequence[tuple[int, int] | None]) -> list[Photo]:
    """Frames with a face of each path, which has its place (x, y) in every frame."""
    made = []
    for spots in zip(*paths, strict=True):
        frame = np.zeros((100, 120, 3), np.uint8)
        for number, spot in enumerate(spots):
            if spot is not None:
                frame[spot[1] : spot[1] + 10, spot[0] : spot[0] + 10] = 100 + number
        made.append(frame)
    return made


def test_the_same_faces_are_found_by_looking_at_less() -> None:
    frames = frames_of([(20 + step, 30) for step in range(6)], [(90, 60 - step) for step in range(6)])
    whole, quick = Spots(), Spots()
    expected, found = find_in_frames(frames, whole, range(6)), find_in_frames(frames, quick, (0, 4))
    assert whole.shown == [(2.0, (100, 120))] * 6
    assert [[face.box for face in faces] for faces in found] == [[face.box for face in faces] for faces in expected]
    for mine, theirs in zip(found, expected, strict=True):
        for one, other in zip(mine, theirs, strict=True):
            np.testing.assert_array_equal(np.asarray(one.landmarks), np.asarray(other.landmarks))
    assert quick.shown == [(2.0, (100, 120))] * 2 + [(6.0, (20, 20))] * 8
    assert [faces[0].score for faces in found] == [101 / 255] * 6, "the surest first"


def test_a_face_that_leaves_its_place_is_looked_for_everywhere() -> None:
    """And one that comes is seen at the next whole search, or where nobody was there before."""
    jumps, comes = [(20, 30), (20, 30), (80, 70), None, None], [None, (90, 10), (90, 10), None, (90, 10)]
    quick = Spots()
    found = find_in_frames(frames_of(jumps, comes), quick, (0, 4))
    assert [[face.box[:2] for face in faces] for faces in found] == [[(20, 30)], [(20, 30)], [(90, 10), (80, 70)], [], [(90, 10)]]
    assert find_in_frames(frames_of([None, (5, 5)]), quick, (0,))[1][0].box == (5, 5, 15, 15)
    assert find_in_frames([], quick, ()) == []


def test_one_of_two_faces_that_leaves_its_place_is_not_lost() -> None:
    """One that moves on is found near its place in the frame before; where it is not, the whole frame is searched."""
    stays = [(90, 70)] * 8
    quick = Spots()
    walks = [(10 + 4 * step, 20) for step in range(8)]
    found = find_in_frames(frames_of(walks, stays), quick, (0,))
    assert [faces[1].box[:2] for faces in found] == walks
    assert [shape for _, shape in quick.shown].count((100, 120)) == 1, "the first frame alone is searched whole"
    quick = Spots()
    leaps = [(10, 20)] * 3 + [(60, 20)] * 2 + [None] * 3
    found = find_in_frames(frames_of(leaps, stays), quick, (0,))
    assert [[face.box[:2] for face in faces] for faces in found] == [
        *[[(90, 70), (10, 20)]] * 3, *[[(90, 70), (60, 20)]] * 2, *[[(90, 70)]] * 3
    ]  # fmt: skip
    assert [shape for _, shape in quick.shown].count((100, 120)) == 3, "the first, where one leaps, and where one goes"


def test_a_face_that_a_place_shows_in_part_is_not_taken_for_whole() -> None:
    found = find_in_frames(frames_of([(20, 30), (28, 30)]), Spots(), (0,))
    assert [faces[0].box for faces in found] == [(20, 30, 30, 40), (28, 30, 38, 40)]


@pytest.mark.parametrize("keys", [[], [1], [0, 2, 1], [0, 0], [0, 9], [0.0]])
def test_keys_that_are_none_are_refused(keys: list[int]) -> None:
    with pytest.raises(MienError, match="numbers of frames below 2, ascending, 0 among them"):
        find_in_frames(frames_of([(20, 30)] * 2), Spots(), keys)


@pytest.mark.parametrize("whole_every", [0, -1, 2.5])
def test_frames_from_one_whole_search_to_the_next_are_counted_from_one_on(whole_every: int) -> None:
    with pytest.raises(MienError, match="whole_every"):
        whole_searches([0.0], [False], whole_every)


def test_near_faces_are_one_place_and_large_ones_a_whole_frame() -> None:
    quick = Spots()
    assert [len(faces) for faces in find_in_frames(frames_of([(20, 30)] * 2, [(32, 30)] * 2), quick, (0,))] == [2, 2]
    assert quick.shown[1:] == [(6.0, (20, 32))], "nobody is found twice"
    large = np.zeros((12, 12, 3), np.uint8)
    large[1:11, 1:11] = 90
    quick = Spots()
    assert [len(faces) for faces in find_in_frames([large] * 2, quick, (0,))] == [1, 1]
    assert {shape for _, shape in quick.shown} == {(12, 12)}


@pytest.mark.parametrize(
    ("rate", "keys"),
    [(60, [0, 8]), (25, [0, 8]), (24, [0, 8]), (12.5, [0, 4, 8, 12]), (8, [0, 2, 4, 6, 8, 10, 12, 14]), (6, range(16))],
)
def test_a_third_of_a_second_is_the_longest_between_whole_searches(rate: float, keys: Sequence[int]) -> None:
    assert whole_searches([round(number / rate, 3) for number in range(16)], [False] * 16) == list(keys)
    assert whole_searches([0.0] * 16, [False] * 16, 1) == list(range(16))
    assert whole_searches([], []) == []


def test_after_a_gap_and_after_a_cut_frames_are_searched_whole() -> None:
    times = [0.0, 0.04, 0.5, 0.54]
    assert whole_searches(times, [False] * 4) == [0, 2]
    cut = frames_of([(20, 30)] * 5 + [(22, 32)] * 3, [None] * 5 + [(90, 60)] * 3)
    for frame in cut[5:]:
        frame[:50, 60:] = 40
    cuts = CutDetector()
    keys = whole_searches([number / 25 for number in range(8)], [cuts.at(frame) is not None for frame in cut])
    assert keys == [0, 5]
    assert [len(faces) for faces in find_in_frames(cut[:5], Spots(), [0])] == [1] * 5
