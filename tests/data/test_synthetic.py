"""The drawn faces: what is stated about them holds, and the expression is in the pixels."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr

from mien.data.importing import import_source, source_from
from mien.data.sources.synthetic import Synthetic
from mien.data.synthetic_faces.population import PROTOTYPES
from mien.data.synthetic_faces.render import draw_scenes
from mien.data.synthetic_faces.scenes import ACTIONS, SCENE_COLUMNS, Scenes
from mien.errors import MienError
from mien.expressions import BASIC

Faces = npt.NDArray[np.uint8]

SMALL = Synthetic(people=12, faces=280, side=32)
NEUTRAL = BASIC.index("neutral")


def drawn(source: Synthetic, size: int = 512) -> tuple[Faces, dict[str, npt.NDArray[Any]]]:
    """All pixels and all columns (as arrays; None where a row has no value) of a source."""
    blocks = list(source.blocks(size))
    names = blocks[0].columns
    columns = {name: np.concatenate([np.array(block.columns[name].tolist()) for block in blocks]) for name in names}
    return np.concatenate([block.faces for block in blocks]), columns


def calm(scenes: Scenes) -> Scenes:
    """The same people before a plain background: upright, sharp, evenly lit, unhidden, without noise."""
    still = (
        "roll",
        "yaw",
        "pitch",
        "shift_x",
        "shift_y",
        "light_x",
        "light_y",
        "blur",
        "noise",
        "grain",
        "cover",
        "curve",
    )
    return scenes.having(**dict.fromkeys(still, 0.0), scale=1.0, exposure=1.0, contrast=1.0)


def distance(faces: Faces, others: Faces) -> npt.NDArray[np.float64]:
    """Mean absolute difference of each picture, in gray levels."""
    gone: npt.NDArray[np.float64] = np.abs(faces.astype(float) - others.astype(float)).mean((1, 2))
    return gone


def test_the_same_settings_draw_the_same_faces() -> None:
    first, one = drawn(SMALL)
    second, two = drawn(Synthetic(people=12, faces=280, side=32))
    assert np.array_equal(first, second)
    assert all(np.array_equal(one[name], two[name]) for name in one)
    other, columns = drawn(replace(SMALL, seed=1))
    assert distance(first, other).min() > 1
    assert not set(columns["subject"]) & set(one["subject"])


@settings(deadline=None, max_examples=6, derandomize=True)
@given(size=st.integers(1, 300), threads=st.sampled_from([1, 2]), side=st.sampled_from([33, 48]))
def test_the_size_of_a_block_and_the_threads_change_no_bit(size: int, threads: int, side: int) -> None:
    source = Synthetic(people=5, faces=150, side=side, seed=3)
    before = torch.get_num_threads()
    whole, columns = drawn(source)
    torch.set_num_threads(threads)
    try:
        faces, other = drawn(source, size)
    finally:
        torch.set_num_threads(before)
    assert np.array_equal(faces, whole)
    assert all(np.array_equal(columns[name], other[name]) for name in columns)


def test_a_face_is_drawn_alike_alone_and_among_others() -> None:
    scenes = SMALL.plan().scenes
    assert np.array_equal(draw_scenes(Scenes(scenes.values[77:78]), 40)[0], draw_scenes(scenes, 40)[77])


def test_nobody_is_in_both_splits() -> None:
    _, columns = drawn(Synthetic(people=41, faces=700, side=32))
    test = columns["split"] == "test"
    people = [set(columns["subject"][rows]) for rows in (test, ~test)]
    assert not people[0] & people[1]
    assert [len(group) for group in people] == [10, 31]
    assert 0.2 < test.mean() < 0.3


@settings(deadline=None, max_examples=20, derandomize=True)
@given(
    rate=st.floats(0, 1),
    unlabeled=st.floats(0, 1),
    not_faces=st.floats(0, 0.5),
    faces=st.integers(30, 400),
    seed=st.integers(0, 9),
)
def test_noise_and_missing_labels_are_exact_in_rate_and_spare_the_test_faces(
    rate: float, unlabeled: float, not_faces: float, faces: int, seed: int
) -> None:
    plan = Synthetic(people=10, faces=faces, label_noise=rate, unlabeled=unlabeled, not_faces=not_faces, seed=seed).plan()
    face = plan.true_label >= 0
    train = face & ~plan.test
    labeled = train & (plan.label >= 0)
    assert (~face).sum() == round(not_faces * faces)
    assert (plan.label[~face] == -1).all()
    assert (train & ~labeled).sum() == round(unlabeled * train.sum())
    assert (plan.label != plan.true_label)[labeled].sum() == round(rate * labeled.sum())
    assert np.array_equal(plan.label[plan.test & face], plan.true_label[plan.test & face])


def test_wrong_labels_are_spread_over_the_other_classes() -> None:
    plan = Synthetic(faces=7000, label_noise=1).plan()
    train = ~plan.test
    shift = (plan.label - plan.true_label)[train] % 7
    counts = np.bincount(shift, minlength=7)
    assert counts[0] == 0
    assert counts[1:].min() > 0.85 * counts[1:].mean()


def test_settings_of_labels_leave_the_pictures_as_they_are() -> None:
    plain, noisy = SMALL.plan(), replace(SMALL, label_noise=0.4, unlabeled=0.3).plan()
    assert np.array_equal(plain.scenes.values, noisy.scenes.values)
    assert np.array_equal(plain.test, noisy.test)


def test_classes_and_people_are_balanced() -> None:
    plan = Synthetic(people=20, faces=703).plan()
    for values, count in ((plan.true_label, 7), (plan.person, 20)):
        counts = np.bincount(values, minlength=count)
        assert counts.max() - counts.min() <= 1
    assert (plan.intensity[plan.true_label == NEUTRAL] == 0).all()
    assert (plan.intensity[plan.true_label != NEUTRAL] > 0.2).all()


def test_intensity_rises_from_nothing_to_the_peak_in_sequences() -> None:
    source = Synthetic(people=6, faces=100, side=32, sequences=9, not_faces=0.08)
    faces, columns = drawn(source)
    assert len(faces) == source.total() == 10 * 9 + 8
    shown = columns["face"].astype(bool)
    assert (columns["sequence"][~shown] == None).all()  # noqa: E711 (elementwise)
    for name in set(columns["sequence"][shown]):
        rows = np.flatnonzero(columns["sequence"] == name)
        assert columns["frame"][rows].tolist() == list(range(9))
        assert columns["intensity"][rows][0] == 0
        assert (np.diff(columns["intensity"][rows]) > 0).all()
        assert columns["intensity"][rows][-1] >= 0.7
        assert len(set(columns["true_label"][rows])) == len(set(columns["subject"][rows])) == 1
    assert NEUTRAL not in columns["label"]


@pytest.mark.parametrize("frames", [1, 50])
def test_sequences_that_cannot_be_are_refused(frames: int) -> None:
    with pytest.raises(MienError, match="sequences of 2 frames or more"):
        Synthetic(people=3, faces=40, sequences=frames).total()


def test_pixels_follow_the_intensity_where_nothing_else_changes() -> None:
    plan = Synthetic(people=8, faces=120, sequences=10).plan()
    scenes = calm(plan.scenes).having(**dict.fromkeys(("backdrop", "blob_tone"), 0.3))
    # The drift of a sequence's picture is undone too: every frame gets its first frame's conditions, but not its actions.
    values = scenes.values.copy()
    first = np.arange(len(values)) // 10 * 10
    still = [SCENE_COLUMNS.index(name) for name in SCENE_COLUMNS if name not in ACTIONS]
    values[:, still] = values[first][:, still]
    faces = draw_scenes(Scenes(values))
    for start in range(0, len(values), 10):
        rows = slice(start, start + 10)
        gone = distance(faces[rows], faces[start : start + 1])
        assert spearmanr(gone, plan.intensity[rows]).statistic > 0.8
        assert gone[-1] > 1


def test_every_expression_moves_the_pixels_of_the_same_person_in_its_own_way() -> None:
    calmed = calm(Scenes(np.repeat(SMALL.plan().scenes.values[:20], len(BASIC), axis=0)))
    wanted = {
        action: np.tile(np.array([PROTOTYPES[name].get(action, 0) for name in BASIC], np.float32), 20) for action in ACTIONS
    }
    faces = draw_scenes(calmed.having(**wanted)).reshape(20, len(BASIC), 48, 48)
    for one in range(len(BASIC)):
        for other in range(one):
            assert distance(faces[:, one], faces[:, other]).min() > 0.5, (BASIC[one], BASIC[other])


def test_a_smile_lifts_the_corners_of_the_mouth_and_surprise_opens_it() -> None:
    """Read from the pixels: below the mouth's middle a dropped jaw is far darker than a closed mouth."""
    bare = {"beard": 0.0, "mustache": 0.0, "glasses": 0.0, "thing": 0.0, "skin": 0.7}
    scenes = calm(Scenes(SMALL.plan().scenes.values[:40])).having(**bare, **dict.fromkeys(ACTIONS, 0.0))
    rest, gape = (draw_scenes(scenes.having(jaw=jaw), 96) for jaw in (0.0, 1.0))
    below = (slice(None), slice(72, 76), slice(46, 50))
    assert (rest[below].mean((1, 2)) - gape[below].mean((1, 2))).min() > 40


def test_mirrored_conditions_draw_the_mirrored_face() -> None:
    """So a mirrored face may keep its label: nothing in the drawing prefers a side."""
    scenes = SMALL.plan().scenes.having(noise=0.0, cover=0.0)
    turned = ("roll", "yaw", "shift_x", "mouth_tilt", "brow_tilt", "light_x", "slope_x", "blob_x", "hair_part")
    mirrored = scenes.having(**{name: -scenes.of(name) for name in turned})
    gaze = scenes.of("gaze")
    mirrored = mirrored.having(gaze=-gaze)
    assert np.abs(draw_scenes(scenes)[:, :, ::-1].astype(int) - draw_scenes(mirrored)).max() <= 1


def test_the_other_domain_has_other_pixels() -> None:
    a, _ = drawn(SMALL)
    b, columns = drawn(replace(SMALL, domain="b"))
    assert set(columns["domain"]) == {"b"}
    deviation = [faces.std((1, 2)).mean() for faces in (a, b)]
    detail = [np.abs(np.diff(np.diff(faces.astype(float), axis=2), axis=2)).mean((1, 2)) for faces in (a, b)]
    assert abs(deviation[0] - deviation[1]) > 4 or abs(a.mean() - b.mean()) > 10
    assert abs(detail[0].mean() - detail[1].mean()) > 1


@pytest.mark.parametrize("side", [32, 57, 128])
def test_the_side_is_honored_and_draws_the_same_face(side: int) -> None:
    source = Synthetic(people=4, faces=20, side=side)
    faces, _ = drawn(source)
    assert faces.shape == (20, side, side)
    assert faces.dtype == np.uint8
    assert source.info().side == side
    # The top left quarter, half and so on are as bright whatever the side.
    reference, _ = drawn(replace(source, side=48))
    quarters = [f[:, : f.shape[1] // 2, : f.shape[1] // 2].mean((1, 2)) for f in (faces, reference)]
    assert np.abs(quarters[0] - quarters[1]).max() < 12


def test_pictures_that_are_no_face_have_no_person_and_look_like_none() -> None:
    source = Synthetic(people=6, faces=200, side=32, not_faces=0.25)
    faces, columns = drawn(source)
    nothing = ~columns["face"].astype(bool)
    assert nothing.sum() == 50
    assert (columns["label"][nothing] == -1).all()
    assert (columns["subject"][nothing] == None).all()  # noqa: E711 (elementwise)
    assert not columns["occluded"][nothing].any()
    mean = faces[~nothing].mean(0)
    alike = [[np.corrcoef(face.ravel(), mean.ravel())[0, 1] for face in faces[rows]] for rows in (~nothing, nothing)]
    assert np.mean(alike[0]) > np.mean(alike[1]) + 0.1


def test_no_face_shows_in_pictures_that_are_none() -> None:
    plan = Synthetic(people=6, faces=60, not_faces=1).plan()
    assert set(plan.scenes.of("thing")) == {1, 2, 3}
    # The jaw and the chin are left alone: they move the head's outline, which is there from behind too.
    moved = dict.fromkeys(set(ACTIONS) - {"jaw", "chin"}, 1.0)
    other = plan.scenes.having(**moved, eye_y=0.0, brow_y=-0.2, mouth_y=0.4, nose_width=0.2)
    assert np.array_equal(draw_scenes(plan.scenes), draw_scenes(other.having(glasses=1.0)))


def test_what_is_hidden_is_marked() -> None:
    plan = Synthetic(people=30, faces=2000).plan()
    hidden = plan.scenes.of("cover") > 0
    assert 0.05 < hidden.mean() < 0.2
    sample = Scenes(plan.scenes.values[hidden][:60])
    assert distance(draw_scenes(sample), draw_scenes(sample.having(cover=0.0))).min() > 0.3


def test_it_is_imported_like_any_database(tmp_path: Path) -> None:
    source = source_from("synthetic", {"people": 6, "faces": 60, "side": 32, "not_faces": 0.1, "sequences": 6})
    made = import_source(source, tmp_path / "faces")
    assert len(made.faces) == source.total() == 60
    assert made.faces.classes == BASIC
    truth = (
        "id",
        "label",
        "subject",
        "split",
        "sequence",
        "frame",
        "true_label",
        "intensity",
        "domain",
        "pose",
        "occluded",
        "face",
    )
    assert set(made.faces.column_names) == set(truth)
    made.faces.verify()


@pytest.mark.parametrize(
    ("key", "value"), [("people", 1), ("side", 16), ("side", 129), ("domain", "c"), ("label_noise", 1.5), ("faces", 0)]
)
def test_settings_out_of_bounds_are_refused(key: str, value: float | str) -> None:
    with pytest.raises(MienError, match=key):
        source_from("synthetic", {key: value})
