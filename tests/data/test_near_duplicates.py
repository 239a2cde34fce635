"""Near-duplicates: hashes that stay, pairs as a loop over all finds them, groups, the command, and the warning of a test."""

import csv
import json
import shlex
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from conftest import Command, bright_faces, small_recipe
from mien import FaceSet, MienError, Recognizer, TrainingSettings, evaluate, train
from mien.data import perceptual_hash
from mien.data.format import Info
from mien.data.importing import import_source, source_from
from mien.data.near_duplicates import find_near_duplicates, have_near_duplicates, with_groups
from mien.data.near_duplicates_report import draw_near_duplicates, near_duplicate_rows, write_near_duplicates
from mien.data.splits import fold_view
from mien.media.find_source_files import require_face_set
from mien.recognize.run_records import read_used_ids

Faces = npt.NDArray[np.uint8]


def smooth_faces(count: int, side: int = 48, seed: int = 0) -> Faces:
    """Pictures of soft random spots that have nothing in common, (count, side, side)."""
    rough = np.random.default_rng(seed).integers(20, 200, (count, 9, 9), dtype=np.uint8)
    return np.stack([np.asarray(Image.fromarray(one).resize((side, side), Image.Resampling.BICUBIC)) for one in rough])


def distances(left: perceptual_hash.Hashes, right: perceptual_hash.Hashes) -> list[int]:
    """Bits that differ, counted one by one."""
    return [bin(int(a) ^ int(b)).count("1") for a, b in zip(left, right, strict=True)]


def copies(faces: Faces) -> dict[str, Faces]:
    """The same faces, a little otherwise."""
    wide = np.pad(faces, ((0, 0), (1, 1), (1, 1)), mode="edge")
    noise = np.random.default_rng(9).integers(0, 6, faces.shape, dtype=np.uint8)
    return {
        "as it is": faces,
        "brighter": faces + 30,
        "flatter": (faces * 0.7 + 30).astype(np.uint8),
        "noisy": faces + noise,
        "moved by a pixel": wide[:, 2:, 1:-1],
        "mirrored": faces[:, :, ::-1],
    }


def with_copies(count: int = 30) -> FaceSet:
    """Five training faces have a copy of each kind in `test`, under the same label but for the brighter ones."""
    faces = smooth_faces(count)
    made = [copy[:5] for copy in copies(faces).values()]
    labels = np.arange(count) % 3
    splits = ["train"] * (count - 8) + ["test"] * 8 + ["test"] * 5 * len(made)
    taught = [(labels[:5] + (name == "brighter")) % 3 for name in copies(faces)]
    names = ("anger", "fear", "sadness")
    return FaceSet.from_arrays(np.concatenate([faces, *made]), np.concatenate([labels, *taught]), names, {"split": splits})


def test_hashes_stay_where_light_changes() -> None:
    faces = smooth_faces(40)
    own = perceptual_hash.hash_pictures(faces)
    assert own.shape == (40, 2)
    assert own.dtype == np.uint64
    assert len(set(own[:, 0].tolist())) == 40
    for name, most in {"as it is": 0, "brighter": 2, "flatter": 6, "noisy": 6, "moved by a pixel": 20}.items():
        assert max(distances(own[:, 0], perceptual_hash.hash_pictures(copies(faces)[name])[:, 0])) <= most, name
    assert min(distances(own[:-1, 0], own[1:, 0])) > 10
    assert all(bin(int(value)).count("1") == 32 for value in own.ravel())


def test_a_hash_is_that_of_the_mirror_image() -> None:
    faces = smooth_faces(20)
    assert (
        max(distances(perceptual_hash.hash_pictures(faces)[:, 1], perceptual_hash.hash_pictures(copies(faces)["mirrored"])[:, 0]))
        <= 2
    )


def test_a_hash_is_the_dct_of_a_gray_picture() -> None:
    """By the definition, a sum of cosines, for a picture of 32 pixels."""
    face = smooth_faces(1, 32)[0].astype(float)
    places = np.cos(np.pi * (2 * np.arange(32) + 1)[None] * np.arange(1, 9)[:, None] / 64)
    low = np.array([[(face * np.outer(down, across)).sum() for across in places] for down in places]).ravel()
    bits = (low > np.median(low)).reshape(16, 4).T.ravel()
    assert perceptual_hash.hash_pictures(face[None].astype(np.uint8))[0, 0] == sum(
        1 << n for n, bit in enumerate(bits.tolist()) if bit
    )


@pytest.mark.parametrize("side", [8, 16, 32, 50, 100])
def test_hashes_do_not_depend_on_blocks_side_or_color(side: int, monkeypatch: pytest.MonkeyPatch) -> None:
    faces = smooth_faces(7, side)
    whole = perceptual_hash.hash_pictures(faces)
    assert max(distances(whole[:, 0], perceptual_hash.hash_pictures(np.repeat(faces[..., None], 3, axis=3))[:, 0])) <= 2
    monkeypatch.setattr(perceptual_hash, "BLOCK", 3)
    assert (perceptual_hash.hash_pictures(faces) == whole).all()
    assert perceptual_hash.hash_pictures(faces[:0]).shape == (0, 2)


def test_faces_of_one_gray_have_no_hash_and_no_twin() -> None:
    gray = np.full((5, 16, 16), 1, np.uint8) * np.arange(40, 240, 40, dtype=np.uint8)[:, None, None]
    assert not perceptual_hash.hash_pictures(gray).any()
    assert not len(find_near_duplicates(FaceSet.from_arrays(gray)).pairs.rows)


near = st.integers(0, 2**64 - 1).flatmap(
    lambda value: st.lists(st.sets(st.integers(0, 63), max_size=9), max_size=12).map(
        lambda flips: [value ^ sum(1 << bit for bit in bits) for bits in flips]
    )
)


@settings(derandomize=True, deadline=None, max_examples=25)
@given(near, near, st.integers(0, 16))
def test_pairs_are_those_of_a_loop(left: list[int], right: list[int], distance: int) -> None:
    mine, theirs = np.array(left + right[:3], np.uint64), np.array(right + left[:3], np.uint64)
    wanted = [
        [n, m] for n, a in enumerate(mine.tolist()) for m, b in enumerate(theirs.tolist()) if bin(a ^ b).count("1") <= distance
    ]
    assert perceptual_hash.close_pairs(mine, theirs, distance).tolist() == wanted
    every = mine.tolist()
    wanted = [[n, m] for n, a in enumerate(every) for m, b in enumerate(every) if n < m and bin(a ^ b).count("1") <= distance]
    assert perceptual_hash.close_pairs(mine, None, distance).tolist() == wanted


def test_candidates_come_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    given = np.random.default_rng(0).integers(0, 1 << 20, 300, dtype=np.uint64)
    whole = perceptual_hash.close_pairs(given, None, 4)
    monkeypatch.setattr(perceptual_hash, "CANDIDATES", 7)
    assert (perceptual_hash.close_pairs(given, None, 4) == whole).all()
    assert len(whole) > 100


@settings(derandomize=True, deadline=None, max_examples=25)
@given(near, near, st.integers(0, 16), st.integers(1, 4), st.sampled_from([3, 1 << 20]))
def test_any_close_is_a_loop_over_all(left: list[int], right: list[int], distance: int, divisor: int, block: int) -> None:
    mine, theirs = np.array(left + right[:3], np.uint64), np.array(right + left[:3], np.uint64)
    asked = list[tuple[int, int]]()

    def alike(rows: perceptual_hash.Integers) -> perceptual_hash.Bools:
        asked.extend((n, m) for n, m in rows.tolist())
        return np.array([(n + m) % divisor == 0 for n, m in rows.tolist()], bool)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(perceptual_hash, "CANDIDATES", block)
        found = perceptual_hash.any_close(mine, theirs, distance, alike)
    every = perceptual_hash.close_pairs(mine, theirs, distance).tolist()
    assert found.tolist() == [any(n == row and (n + m) % divisor == 0 for n, m in every) for row in range(len(mine))]
    assert len(set(asked)) == len(asked), "a pair is asked about once"
    assert set(asked) <= {(n, m) for n, m in every}
    if not found.any():
        assert len(asked) == len(every)


def test_what_is_answered_is_not_looked_at_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four million pairs, of which each row's first is enough; where none is, they come in blocks."""
    generator = np.random.default_rng(0)
    frames = np.uint64(5) ^ (np.uint64(1) << generator.integers(0, 64, (2000, 4), dtype=np.uint64)).sum(axis=1, dtype=np.uint64)
    asked = list[int]()

    def answers(yes: bool, rows: perceptual_hash.Integers) -> perceptual_hash.Bools:
        asked.append(len(rows))
        return np.full(len(rows), yes)

    monkeypatch.setattr(perceptual_hash, "CANDIDATES", 1 << 14)
    assert perceptual_hash.any_close(frames, frames, 10, partial(answers, True)).all()
    assert sum(asked) == 2000
    asked.clear()
    few = frames[:50]
    close = len(perceptual_hash.close_pairs(few, frames, 10))
    assert not perceptual_hash.any_close(few, frames, 10, partial(answers, False)).any()
    assert sum(asked) == close > 50_000
    assert max(asked) <= (1 << 14) + 2000


def test_of_equal_hashes_so_many_are_compared() -> None:
    equal = np.full(1000, 5, np.uint64)
    seen = np.zeros(1000, int)

    def never(rows: perceptual_hash.Integers) -> perceptual_hash.Bools:
        np.add.at(seen, rows[:, 1], 1)
        return np.zeros(len(rows), bool)

    assert not perceptual_hash.any_close(equal[:10], equal, 10, never).any()
    assert seen.tolist() == [10] * perceptual_hash.EQUAL + [0] * (1000 - perceptual_hash.EQUAL)
    with pytest.raises(MienError, match="a distance from 0 to 16"):
        perceptual_hash.any_close(equal, equal, 17, never)
    assert not len(perceptual_hash.any_close(equal[:0], equal, 10, never))
    assert perceptual_hash.any_close(equal[:2], equal[:0], 10, never).tolist() == [False, False]


def test_a_hundred_thousand_equal_hashes_are_a_star() -> None:
    equal = np.full(100_000, 5, np.uint64)
    found = perceptual_hash.close_pairs(equal, None, 10)
    assert len(found) == 99_999
    assert (found[:, 0] == 0).all()
    assert len(set(perceptual_hash.connected_groups(found, len(equal)).tolist())) == 1
    across = perceptual_hash.close_pairs(equal, equal[:1000] ^ np.uint64(1), 10)
    assert (np.unique(across[:, 0]) == np.arange(100_000)).all()
    assert (np.unique(across[:, 1]) == np.arange(1000)).all()
    assert len(across) == 100_999


def test_distances_and_counts_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    given = np.arange(100, dtype=np.uint64)
    for distance in (-1, 17):
        with pytest.raises(MienError, match="a distance from 0 to 16"):
            perceptual_hash.close_pairs(given, None, distance)
    monkeypatch.setattr(perceptual_hash, "MOST_PAIRS", 50)
    with pytest.raises(MienError, match="give a smaller `distance`"):
        perceptual_hash.close_pairs(given, None, 6)


@settings(derandomize=True, deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 11), st.integers(0, 11)).filter(lambda ends: ends[0] != ends[1]), max_size=10))
def test_groups_are_what_pairs_connect(edges: list[tuple[int, int]]) -> None:
    found = perceptual_hash.connected_groups(np.array(edges, np.int64).reshape(-1, 2), 12)
    reach = {n: {n} for n in range(12)}
    for _ in range(12):
        for a, b in edges:
            reach[a] = reach[b] = reach[a] | reach[b] | set().union(*(reach[n] for n in reach[a] | reach[b]))
    for n in range(12):
        assert set(np.flatnonzero(found == found[n])) == reach[n] if found[n] >= 0 else reach[n] == {n}
    firsts = [int(np.flatnonzero(found == group)[0]) for group in range(found.max() + 1)]
    assert firsts == sorted(firsts)


def test_correlation_is_that_of_lines_at_the_best_shift() -> None:
    faces = smooth_faces(6, 32)
    moved = np.roll(faces, (1, -2), axis=(1, 2))
    rows = np.stack([np.arange(6), np.arange(6)], axis=1)
    alike = perceptual_hash.correlations(faces.__getitem__, moved.__getitem__, rows)
    assert alike == pytest.approx(1, abs=0.05)
    assert perceptual_hash.correlations(faces.__getitem__, (255 - faces).__getitem__, rows).max() < 0.9
    one = perceptual_hash._lines(faces[:1])[0], perceptual_hash._lines(moved[1:2])[0]
    loop = [
        np.corrcoef(one[0][2:-2, 2:-2].ravel(), one[1][down : down + 28, across : across + 28].ravel())[0, 1]
        for down in range(5)
        for across in range(5)
    ]
    assert perceptual_hash.correlations(faces.__getitem__, moved.__getitem__, np.array([[0, 1]]))[0] == pytest.approx(
        max(loop), abs=1e-4
    )


def test_copies_are_found_within_and_across_splits() -> None:
    faces = with_copies()
    found = find_near_duplicates(faces)
    group = found.group
    for original in range(5):
        members = [original, *range(30 + original, 60, 5)]
        assert len(set(group[members].tolist())) == 1
        assert group[original] >= 0
    assert (group[5:30] == -1).all()
    assert found.sizes.tolist() == [7] * 5
    share = {(line.split, line.among): line for line in found.shares}
    assert (share["train", "train"].duplicates, share["train", "test"].duplicates, share["test", "train"].duplicates) == (
        0,
        5,
        30,
    )
    assert (share["test", "test"].faces, share["test", "test"].duplicates) == (38, 30)
    assert (share["train", "test"].disagreeing, share["test", "train"].disagreeing) == (5, 5)
    values = found.to_json()
    assert (values["twins"], values["groups"], values["pairs"]) == (35, 5, len(found.pairs.rows))
    assert values["disagreeing_pairs"] == int(
        (faces.labels[found.pairs.rows[:, 0]] != faces.labels[found.pairs.rows[:, 1]]).sum()
    )
    mirrored = {tuple(row) for row in found.pairs.rows[found.pairs.mirrored].tolist()}
    assert {(n, 55 + n) for n in range(5)} <= mirrored
    assert (found.pairs.rows[:, 0] < found.pairs.rows[:, 1]).all()
    assert found.pairs.distance.max() <= 10
    assert draw_near_duplicates(found).width > 7 * 72


def test_column_and_table() -> None:
    found = find_near_duplicates(with_copies())
    marked = with_groups(found)
    assert marked.values("twin").dtype == np.int64
    assert (marked.values("twin") == found.group).all()
    rows = list(csv.DictReader(near_duplicate_rows(found).splitlines()))
    assert len(rows) == len(found.pairs.rows)
    wanted = {"distance": "0", "correlation": "1.000", "mirrored": "false", "group": "0", "split": "train", "twin_split": "test"}
    wanted |= {"label": "anger", "twin_label": "anger"}
    assert {"id": "0000000", "twin": "0000030"} | wanted in rows
    assert [float(row["correlation"]) for row in rows] == sorted((float(row["correlation"]) for row in rows), reverse=True)


def test_faces_with_twins_are_those_of_all_pairs() -> None:
    """Copies of each kind, mirrored ones too, and faces that have none."""
    faces = with_copies()
    test, training = (faces.where(split=name) for name in ("test", "train"))
    found = find_near_duplicates(test, training)
    across = found.pairs.rows[(found.pairs.rows >= len(test)).any(axis=1)]
    assert np.flatnonzero(have_near_duplicates(test, training)).tolist() == np.unique(across[:, 0]).tolist()
    assert have_near_duplicates(test, training).sum() == 30
    assert have_near_duplicates(training, training).all(), "a face that is there itself counts"


def test_another_set_may_have_another_side_and_color() -> None:
    faces = smooth_faces(12, 64)
    small = np.stack([np.asarray(Image.fromarray(face).resize((40, 40), Image.Resampling.BOX)) for face in faces[:4]])
    ours = FaceSet.from_arrays(faces, np.zeros(12), ["joy"])
    theirs = FaceSet.from_arrays(np.repeat(small[..., None], 3, axis=3), np.arange(4) % 2, ["fear", "joy"])
    found = find_near_duplicates(ours, theirs)
    assert found.pairs.rows.tolist() == [[n, 12 + n] for n in range(4)]
    assert [(line.split, line.among, line.duplicates, line.disagreeing) for line in found.shares] == [
        ("(no splits)", "(no splits)", 0, 0),
        ("(no splits)", "other: (no splits)", 4, 2),
    ]
    assert found.have_duplicates(across=True).tolist() == [True] * 4 + [False] * 8
    assert not found.have_duplicates(across=False).any()
    assert (with_groups(found).values("twin")[:4] >= 0).all()
    assert have_near_duplicates(ours, theirs).tolist() == [True] * 4 + [False] * 8
    assert draw_near_duplicates(found).height > 4 * 72


def test_a_set_of_equal_faces_is_one_group(tmp_path: Path) -> None:
    found = find_near_duplicates(FaceSet.from_arrays(np.repeat(smooth_faces(1), 500, axis=0)))
    assert found.sizes.tolist() == [500]
    assert len(found.pairs.rows) == 499
    assert write_near_duplicates(found, tmp_path / "out") == ("duplicates.csv", "duplicates.png")


def test_a_set_without_twins_or_faces(tmp_path: Path) -> None:
    for faces in (smooth_faces(9), smooth_faces(1)[:0]):
        found = find_near_duplicates(FaceSet.from_arrays(faces))
        assert found.to_json()["largest"] == []
        assert write_near_duplicates(found, tmp_path / str(len(faces))) == ("duplicates.csv",)


def test_what_cannot_be_compared_is_refused(tmp_path: Path) -> None:
    features = FaceSet.from_arrays(np.zeros((3, 1, 4), np.float16), info=Info((), "features", channels=4, views=("clean",)))
    for refused in (lambda: find_near_duplicates(features), lambda: have_near_duplicates(features, features)):
        with pytest.raises(MienError, match="a set of faces, to find near-duplicates"):
            refused()
    stored = bright_faces(12).save(tmp_path / "set")
    with pytest.raises(MienError, match="another set to compare with"):
        find_near_duplicates(stored, stored)


def test_drawn_faces_are_few_twins(tmp_path: Path) -> None:
    faces = import_source(source_from("synthetic", {"faces": 400, "people": 40}), tmp_path / "faces", 0, None).faces
    assert find_near_duplicates(faces).to_json()["twins"] <= 4


def test_the_command(mien: Command, tmp_path: Path) -> None:
    with_copies().save(tmp_path / "faces")
    done = mien("duplicates", tmp_path / "faces", "--out", tmp_path / "out", "--write", tmp_path / "new")
    assert done.code == 0, done.err
    assert "unnamed: 35 of 60 faces (58.3%) have a near-duplicate" in done.out
    assert "in 5 groups; the largest have 7, 7, 7, 7, 7 faces" in done.out
    assert "have different ones" in done.out
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"duplicates.csv", "duplicates.png"}
    made = FaceSet.open(tmp_path / "new", verify=True)
    assert (made.values("twin") >= 0).sum() == 35
    assert (made.faces() == with_copies().faces()).all()
    values = json.loads(mien("duplicates", tmp_path / "new", "--distance", 0, "--json").out)
    assert values["distance"] == 0
    assert values["pairs"] < json.loads(mien("duplicates", tmp_path / "faces", "--json").out)["pairs"]
    FaceSet.from_arrays(smooth_faces(3), [0, 0, 0], ["anger"]).save(tmp_path / "others")
    done = mien("duplicates", tmp_path / "faces", tmp_path / "others")
    assert done.code == 0, done.err
    assert "other: (no splits)" in done.out
    assert mien("duplicates", tmp_path / "others").out == "unnamed: 0 of 3 faces (0.0%) have a near-duplicate\n"
    refused = mien("duplicates", tmp_path / "faces", "--write", tmp_path / "new")
    assert refused.code == 1
    assert "expected nothing at" in refused.err


def test_the_command_tells_twins_within_a_set_from_those_across(mien: Command, tmp_path: Path) -> None:
    """Two faces are there twice, of which one is in the other set, too, as is a third one, twice."""
    drawn, theirs = smooth_faces(6), Info(("joy", "fear"), side=48, name="theirs")
    FaceSet.from_arrays(np.concatenate([drawn, drawn[:2]]), np.zeros(8), ["joy"]).save(tmp_path / "ours")
    FaceSet.from_arrays(drawn[[1, 2, 2]], np.ones(3), info=theirs).save(tmp_path / "theirs")
    done = mien("duplicates", tmp_path / "ours", tmp_path / "theirs")
    assert done.code == 0, done.err
    told = "unnamed: 4 of 8 faces (50.0%) have a near-duplicate in the set itself, 3 (37.5%) in theirs\n"
    assert done.out.startswith(told)
    assert "6 pairs (2 within the set, 4 across), 0 of them mirrored, in 3 groups; the largest have 3, 3, 2 faces" in done.out
    values = json.loads(mien("duplicates", tmp_path / "ours", tmp_path / "theirs", "--json").out)
    assert {name: values[name] for name in ("twins", "twins_within", "twins_across", "pairs", "pairs_across")} == {
        "twins": 5, "twins_within": 4, "twins_across": 3, "pairs": 6, "pairs_across": 4
    }  # fmt: skip


def test_nothing_that_is_there_is_overwritten(mien: Command, tmp_path: Path) -> None:
    with_copies().save(tmp_path / "faces")
    assert mien("duplicates", tmp_path / "faces", "--out", tmp_path / "out").code == 0
    before = (tmp_path / "out" / "duplicates.csv").read_bytes()
    refused = mien("duplicates", tmp_path / "faces", "--out", tmp_path / "out", "--distance", 0)
    assert (refused.code, refused.out) == (1, "")
    assert f"expected a new or an empty folder at {tmp_path / 'out'}; found something else; choose another" in refused.err
    with pytest.raises(MienError, match="a new or an empty folder"):
        write_near_duplicates(find_near_duplicates(with_copies(), distance=0), tmp_path / "out")
    assert (tmp_path / "out" / "duplicates.csv").read_bytes() == before
    (tmp_path / "empty").mkdir()
    assert mien("duplicates", tmp_path / "faces", "--out", tmp_path / "empty").code == 0


@pytest.mark.parametrize(
    ("name", "kind"), [("my list.CSV", "a list"), ("a.tar.gz", "an archive"), ("a.jpg", "a photo"), ("a.mp4", "a video")]
)
def test_photos_are_to_be_prepared_first(mien: Command, tmp_path: Path, name: str, kind: str) -> None:
    path = tmp_path / name
    path.touch()
    bright_faces(12).save(tmp_path / "set")
    for words in ((path,), (tmp_path / "set", path)):
        done = mien("duplicates", *words)
        assert done.code == 1
        todo = f"mien prepare {shlex.quote(str(path))} OUT"
        assert done.err == f"mien: expected a face set at {path}; found {kind}; make one of it first: {todo}\n"
    with pytest.raises(MienError, match=r"OUT --labeled$"):
        require_face_set(path, labeled=True)
    (tmp_path / "set").rename(tmp_path / "set.zip")
    assert mien("duplicates", tmp_path / "set.zip").code == 0
    assert "no faceset.json" in mien("duplicates", tmp_path / "nowhere.csv").err


def leaky(tmp_path: Path) -> tuple[FaceSet, Path]:
    """A stored set, of whose 24 test faces 6 are brighter training faces, and a run on it."""
    plain = bright_faces()
    pixels, test = plain.faces(), np.flatnonzero(plain.values("split") == "test")
    pixels[test[:6]] = pixels[np.flatnonzero(plain.values("split") == "train")[:6]] + 9
    columns = {name: plain.column(name) for name in plain.column_names if name != "label"}
    faces = FaceSet.from_arrays(pixels, plain.labels, plain.classes, columns).save(tmp_path / "set")
    train(faces, small_recipe(stages=[{"epochs": 1, "lr": 0.05}]), tmp_path / "run")
    return faces, tmp_path / "run"


def test_a_test_on_twins_of_training_faces_is_said(tmp_path: Path, mien: Command) -> None:
    faces, run = leaky(tmp_path)
    found = evaluate(run, faces)
    test = faces.where(split="test")
    kept = test.select(np.arange(6, 24))
    right = (Recognizer.load(run).logits(kept).argmax(axis=1) == kept.labels).mean()
    said = "6 of 24 test faces (25.0%) have a near-duplicate among the training faces: figures flatter; without them accuracy is"
    assert found.notes["warning"] == f"{said} {right:.1%}"
    assert found.count == 24
    done = mien("evaluate", run, tmp_path / "set")
    assert f"warning: {said}" in done.err
    # Of another set too, while the run's own is where it was.
    other = FaceSet.from_arrays(test.faces(), test.labels, test.classes, {"split": ["test"] * 24})
    assert found.notes["warning"] == evaluate(run, other).notes["warning"]
    twins = other.select(np.arange(6))
    assert evaluate(run, twins).notes["warning"].endswith("figures flatter; no face is without one")
    (tmp_path / "set").rename(tmp_path / "moved")
    assert "warning" not in evaluate(run, other).notes
    assert "warning" not in evaluate(run / "model", other).notes


def test_a_test_on_twins_of_faces_that_joined_is_said(tmp_path: Path) -> None:
    """Of a set at another side: its labels taught, and six of its faces are in the set that is tested on."""
    faces = bright_faces().save(tmp_path / "set")
    further = bright_faces(60, seed=5)
    more = further.faces().repeat(2, axis=1).repeat(2, axis=2)
    columns = {"id": [f"other{n}" for n in range(60)], "split": ["train"] * 60}
    second = FaceSet.from_arrays(more, further.labels, further.classes, columns).save(tmp_path / "second")
    train(faces, small_recipe(stages=[{"epochs": 1, "lr": 0.05}]), tmp_path / "run", also=second)
    ours = bright_faces(24, seed=9)
    tested = FaceSet.from_arrays(ours.faces(), ours.labels, ours.classes, {"split": ["test"] * 24})
    assert "warning" not in evaluate(tmp_path / "run", tested).notes
    pixels = ours.faces()
    pixels[:6] = further.faces()[:6]
    twins = FaceSet.from_arrays(pixels, ours.labels, ours.classes, {"split": ["test"] * 24})
    assert evaluate(tmp_path / "run", twins).notes["warning"].startswith("6 of 24 test faces (25.0%) have a near-duplicate")
    (tmp_path / "second").rename(tmp_path / "moved")
    assert "warning" not in evaluate(tmp_path / "run", twins).notes


def test_a_few_twins_are_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    faces, run = leaky(tmp_path)
    monkeypatch.setattr("mien.evaluation.train_test_overlap.LEAST", 0.3)
    notes = evaluate(run, faces).notes
    assert "warning" not in notes
    assert notes["near-duplicates"].startswith(
        "6 of 24 test faces (25.0%) have a near-duplicate among the training faces; without"
    )


def test_many_training_faces_are_not_looked_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    faces, run = leaky(tmp_path)
    monkeypatch.setattr("mien.evaluation.train_test_overlap.MOST_BYTES", 96 * 256 - 1)
    notes = evaluate(run, faces).notes
    assert "warning" not in notes
    assert notes["near-duplicates"] == "not looked for among 96 training faces: mien duplicates does"


def test_frames_of_a_video_are_no_reason_to_refuse_a_test(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mien: Command) -> None:
    """More pairs of close faces than are ever kept: `mien evaluate` has no --distance that would make them fewer."""
    faces, run = leaky(tmp_path)
    monkeypatch.setattr(perceptual_hash, "MOST_PAIRS", 3)
    with pytest.raises(MienError, match="give a smaller `distance`"):
        find_near_duplicates(faces)
    assert evaluate(run, faces).notes["warning"].startswith("6 of 24 test faces (25.0%) have a near-duplicate")
    assert mien("evaluate", run, tmp_path / "set").code == 0


def without_labels(
    tmp_path: Path, name: str, further: bool = False, transductive: bool = False, **order: object
) -> dict[str, str]:
    """The notes on a run that had three labels per class of the leaky set."""
    faces = FaceSet.open(tmp_path / "set") if (tmp_path / "set").exists() else leaky(tmp_path)[0]
    stages = [{"epochs": 1, "lr": 0.05}]
    recipe = small_recipe(unlabeled="pseudo_label", stages=stages, validation=0.0, transductive=transductive)
    others = bright_faces(30, seed=5).save(tmp_path / name / "others") if further else None
    asked = TrainingSettings(labels_per_class=3, threads=1, **order)  # type: ignore[arg-type]
    train(faces, recipe, tmp_path / name / "run", asked, unlabeled=others)
    return evaluate(tmp_path / name / "run", faces).notes


def test_twins_that_taught_without_labels_are_noted(tmp_path: Path) -> None:
    notes = without_labels(tmp_path, "plain")
    faces = FaceSet.open(tmp_path / "set")
    training, test = faces.where(split="train"), faces.where(split="test")
    used = read_used_ids(tmp_path / "plain" / "run")
    labeled = np.array([name in used for name in training.values("id")])
    assert labeled.sum() == 9
    wanted = have_near_duplicates(test, training.select(~labeled))
    assert wanted.sum() == 6 - labeled[:6].sum() > 0
    right = Recognizer.load(tmp_path / "plain" / "run").logits(test).argmax(axis=1) == test.labels
    assert notes["near-duplicates without labels"] == (
        f"{wanted.sum()} of 24 test faces ({wanted.mean():.1%}) have a near-duplicate among 87 faces of the run's own "
        f"training split that it learned from without labels; without them accuracy is {right[~wanted].mean():.1%}"
    )
    assert ("warning" in notes) == bool(labeled[:6].any())
    # Tested on another set, it is still the run's own that is looked through.
    other = FaceSet.from_arrays(test.faces(), test.labels, test.classes, {"split": ["test"] * 24})
    found = evaluate(tmp_path / "plain" / "run", other).notes
    assert found["near-duplicates without labels"] == notes["near-duplicates without labels"]
    (tmp_path / "set").rename(tmp_path / "moved")
    found = evaluate(tmp_path / "plain" / "run", other).notes
    whole = "not looked for among 87 faces that the run learned from without labels"
    assert found["near-duplicates without labels"] == whole
    assert evaluate(tmp_path / "plain" / "run" / "model", other).notes["near-duplicates without labels"] == whole


def test_it_is_said_where_faces_without_labels_were_not_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key, whole = "near-duplicates without labels", "faces that the run learned from without labels"
    notes = without_labels(tmp_path, "further", further=True)
    assert "among 87 faces of the run's own training split" in notes[key]
    assert notes[key].endswith("; not looked for among 24 others"), "the further set, without its test split"
    notes = without_labels(tmp_path, "transductive", transductive=True)
    assert notes[key].endswith("; not looked for among 24 others"), "the test faces themselves"
    assert without_labels(tmp_path, "drawn", unlabeled_faces=40)[key] == f"not looked for among 40 {whole}"
    notes = without_labels(tmp_path, "apart", further=True, own_unlabeled=False)
    assert notes[key] == f"not looked for among 24 {whole}"
    assert key not in evaluate(tmp_path / "run", tmp_path / "set").notes, "a run on labels alone"
    recipe = small_recipe(
        start={"technique": "weights", "path": str(tmp_path / "drawn" / "run")}, stages=[{"epochs": 1, "lr": 0.05}]
    )
    train(tmp_path / "set", recipe, tmp_path / "second")
    notes = evaluate(tmp_path / "second", tmp_path / "set").notes
    assert notes[key] == "not looked for among 40 faces without labels of models that it began with"
    monkeypatch.setattr("mien.evaluation.train_test_overlap.MOST_BYTES", 87 * 256 - 1)
    assert evaluate(tmp_path / "transductive" / "run", tmp_path / "set").notes[key] == f"not looked for among 111 {whole}"


def test_of_a_run_on_a_fold_all_other_folds_are_looked_through(tmp_path: Path) -> None:
    faces, _ = leaky(tmp_path)
    recipe = small_recipe(unlabeled="pseudo_label", stages=[{"epochs": 1, "lr": 0.05}], validation=0.0)
    train(faces, recipe, tmp_path / "folds", TrainingSettings(labels_per_class=3, fold="1/4", threads=1))
    notes = evaluate(tmp_path / "folds", faces, fold="1/4").notes
    view = fold_view(faces, "1/4")
    count = int((view.values("split") == "train").sum()) - 9
    assert f"among {count} faces of the run's own training split" in notes["near-duplicates without labels"]


def test_a_twin_of_another_person_is_said_of_a_test_by_folds(tmp_path: Path, mien: Command) -> None:
    """Photos that are there twice, under two names: folds of people do not keep them together."""
    plain = bright_faces()
    mine = fold_view(plain, "1/4").values("split") == "test"
    test, training = np.flatnonzero(mine), np.flatnonzero(~mine)
    pixels = plain.faces()
    pixels[test[:6]] = pixels[training[:6]] + 9
    columns = {name: plain.column(name) for name in plain.column_names if name != "label"}
    faces = FaceSet.from_arrays(pixels, plain.labels, plain.classes, columns).save(tmp_path / "set")
    train(
        faces,
        small_recipe(stages=[{"epochs": 1, "lr": 0.05}], validation=0.0),
        tmp_path / "run",
        TrainingSettings(fold="1/4", threads=1),
    )
    said = f"6 of {len(test)} test faces ({6 / len(test):.1%}) have a near-duplicate among the training faces: figures flatter"
    assert evaluate(tmp_path / "run", faces, fold="1/4").notes["warning"].startswith(said)
    assert f"warning: {said}" in mien("evaluate", tmp_path / "run", tmp_path / "set", "--fold", "1/4").err
