"""Peaks of sequences: which frames they are against loops, what a written set keeps, and what cannot be."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien import FaceSet, MienError
from mien.data.importing import import_source, source_from
from mien.data.peaks import find_peaks, find_sequences, write_peaks

Frame = tuple[str | None, str, int | None, int, str]
"""Sequence, subject, frame, label, split."""


def made(frames: list[Frame]) -> FaceSet:
    sequence, subject, frame, labels, split = zip(*frames, strict=True)
    faces = np.arange(len(frames), dtype=np.uint8)[:, None, None].repeat(4, 1).repeat(4, 2)
    columns = {"sequence": sequence, "subject": subject, "frame": pa.array(frame, pa.int32()), "split": split}
    return FaceSet.from_arrays(faces, labels, ("fear", "joy"), columns)


frames = st.lists(
    st.tuples(
        st.sampled_from(["s1", "s2", "s3", "", None]),
        st.sampled_from(["ann", "bob"]),
        st.one_of(st.none(), st.integers(-3, 9)),
        st.integers(-1, 1),
        st.sampled_from(["train", "train", "test"]),
    ),
    min_size=1,
    max_size=40,
)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(frames, st.integers(1, 3), st.booleans(), st.booleans())
def test_peaks_are_those_of_a_loop(given_frames: list[Frame], nearest: int, some: bool, last: bool) -> None:
    faces = made(given_frames)
    among = np.flatnonzero(faces.values("split") == "train") if some else None
    found = find_peaks(faces, nearest, among, last)
    there = set(range(len(faces))) if among is None else set(among.tolist())
    sequences: dict[tuple[str, str], list[int]] = {}
    for row, (sequence, subject, frame, _, _) in enumerate(given_frames):
        if sequence and frame is not None:
            sequences.setdefault((subject, sequence), []).append(row)
    expected, short, unlabeled = {}, 0, 0
    for (_, name), rows in sequences.items():
        rows.sort(key=lambda row: (given_frames[row][2], row))
        needed = rows[-nearest - 1 :] if last else rows[-nearest - 1 : -1]
        if not there & set(rows):
            continue
        if given_frames[rows[-1]][3] < 0:
            unlabeled += 1
        elif len(rows) <= nearest or not set(needed) <= there:
            short += 1
        else:
            expected[rows[-1]] = (name, rows[-nearest - 1 : -1])
    assert dict(zip(found.last.tolist(), zip(found.names, found.near.tolist(), strict=True), strict=True)) == expected
    assert (found.short, found.unlabeled) == (short, unlabeled)


def test_sequences_have_the_names_that_persons_share() -> None:
    faces = made(
        [("1", "ann", 0, 0, "train"), ("1", "bob", 0, 0, "train"), ("", "bob", 0, 0, "train"), ("1", "ann", 1, 0, "train")]
    )
    assert find_sequences(faces)[0] == ["1", "1", ""]
    assert find_sequences(faces)[1].tolist() == [0, 1, 2, 0]


def series(count: int, frames: int, split: str = "train", label: int = 0, subject: str = "ann") -> list[Frame]:
    return [(f"s{n}", subject, frame, label, split) for n in range(count) for frame in range(frames)]


def test_a_written_set_keeps_what_was_known(tmp_path: Path) -> None:
    faces = made(
        [*series(3, 6), *series(2, 6, "test", subject="bob"), *series(1, 3, subject="cy"), *series(1, 6, label=-1, subject="dee")]
    )
    shuffled = faces.select(np.random.default_rng(0).permutation(len(faces)))
    made_set, found = write_peaks(shuffled, tmp_path / "peaks")
    assert (len(found.last), found.short, found.unlabeled) == (3, 1, 1)
    kept = {name: (split, old) for name, split, old in zip(*map(made_set.values, ("id", "split", "source_split")), strict=True)}
    expected = {
        faces.values("id")[6 * n + frame]: ("train" if frame == 5 else "near", "train") for n in range(3) for frame in range(1, 6)
    }
    assert kept == expected
    pixels = dict(zip(faces.values("id"), faces.faces()[:, 0, 0], strict=True))
    assert made_set.faces()[:, 0, 0].tolist() == [pixels[name] for name in made_set.values("id")]
    assert (made_set.labels == 0).all()
    assert FaceSet.open(tmp_path / "peaks", verify=True).info.name == "peaks of no name"


def test_faces_held_out_for_tests_are_left_out_unless_asked(tmp_path: Path) -> None:
    faces = made([*series(1, 6), *series(2, 6, "test", subject="bob")])
    assert set(write_peaks(faces, tmp_path / "some")[0].values("subject")) == {"ann"}
    assert set(write_peaks(faces, tmp_path / "all", split="all")[0].values("subject")) == {"ann", "bob"}
    assert set(write_peaks(faces, tmp_path / "test", split="test")[0].values("subject")) == {"bob"}


def test_a_sequence_whose_peak_is_a_test_face_is_not_cut_short(tmp_path: Path) -> None:
    """Else the last training frame would be taken for the peak."""
    faces = made([*series(1, 8), *series(1, 7, subject="bob"), ("s0", "bob", 7, 0, "test")])
    made_set, found = write_peaks(faces, tmp_path / "peaks", nearest=2)
    assert set(made_set.values("subject")) == {"ann"}
    assert found.short == 1


def test_drawn_sequences(tmp_path: Path) -> None:
    source = source_from("synthetic", {"faces": 48, "people": 4, "sequences": 6, "side": 32, "not_faces": 0.25})
    import_source(source, tmp_path / "set")
    faces = FaceSet.open(tmp_path / "set")
    made_set, found = write_peaks(faces, tmp_path / "peaks", 3, "all")
    assert (len(found.last), len(made_set)) == (6, 24)
    assert set(made_set.where(split="train").values("frame")) == {5}
    assert set(made_set.where(split="near").values("frame")) == {2, 3, 4}
    assert (faces.labels[found.near] == faces.labels[found.last][:, None]).all()


def test_what_cannot_be(tmp_path: Path) -> None:
    faces = made(series(2, 3))
    plain = FaceSet.from_arrays(faces.faces(), faces.labels, faces.classes)
    with pytest.raises(MienError, match="no column sequence and no column frame"):
        write_peaks(plain, tmp_path / "out")
    with pytest.raises(MienError, match="found no column frame"):
        write_peaks(plain.with_column("sequence", ["a"] * 6), tmp_path / "out")
    with pytest.raises(MienError, match="5 frames or more; found 2 labeled ones that are shorter, 0 without"):
        write_peaks(faces, tmp_path / "out")
    with pytest.raises(MienError, match="at least 1 frame"):
        find_peaks(faces, 0)
    with pytest.raises(MienError, match="a split among"):
        write_peaks(faces, tmp_path / "out", split="test")
    assert not (tmp_path / "out").exists()
    with pytest.raises(MienError, match="nothing at"):
        write_peaks(faces, tmp_path, nearest=2)
