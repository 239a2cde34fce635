"""Photos become faces or lines in rejected.csv, once each, however often the work is killed."""

import csv
import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from conftest import Command, refused
from mien import FaceSet, MienError
from mien.faces.crop import Crops, CropSpec, crop_faces
from mien.faces.quality import MEASURES
from mien.media.photos import Photo
from mien.preparation import prepare as room
from mien.preparation import retries, shards
from mien.preparation.preparation_settings import PreparationSettings
from mien.preparation.prepare import prepare_faces
from mien.preparation.shards import ShardRecord, ShardTask, make_shard
from photographs import HELD, photo_of, write_folder, write_photo
from processes import ENVIRONMENT, PREPARE, WAIT, started, wait_for_all, wait_until
from runs import Heard


@pytest.fixture
def tasks_of_five(monkeypatch: pytest.MonkeyPatch) -> None:
    """A task has five photos."""
    monkeypatch.setattr(room, "INPUTS", 5)


def asking(*inputs: Path, **changed: object) -> PreparationSettings:
    made = PreparationSettings(tuple(map(str, inputs)), "box margin=0", "photographs:Bright", side=16)
    return replace(made, **changed)  # type: ignore[arg-type]


def rejected(folder: Path) -> dict[str, str]:
    with (folder / "rejected.csv").open(newline="", encoding="utf-8") as file:
        return {row["path"]: row["reason"] for row in csv.DictReader(file)}


def table(faces: FaceSet) -> list[dict[str, object]]:
    return [
        dict(zip(faces.column_names, row, strict=True))
        for row in zip(*(faces.column(name).to_pylist() for name in faces.column_names), strict=True)
    ]


def test_faces_carry_where_they_are_from(tmp_path: Path) -> None:
    write_photo(tmp_path / "in" / "train" / "happy" / "a.png", photo_of((10, 20, 16)))
    write_photo(tmp_path / "in" / "train" / "sad" / "b.png", photo_of((0, 0, 30)))
    write_photo(tmp_path / "in" / "test" / "happy" / "c.png", photo_of((30, 10, 20)))
    write_photo(tmp_path / "in" / "train" / "unlabeled" / "d.png", photo_of((30, 10, 20)))
    heard = Heard()
    done = prepare_faces(asking(tmp_path / "in", labeled=True), tmp_path / "out", progress=heard)
    faces = FaceSet.open(tmp_path / "out", verify=True)
    assert (done.inputs, done.rejected, len(faces)) == (4, 0, 4)
    assert faces.classes == ("happiness", "sadness")
    rows = {str(row["id"]): row for row in table(faces)}
    assert {name: (row["label"], row["split"]) for name, row in rows.items()} == {
        "train/happy/a.png": (0, "train"),
        "train/sad/b.png": (1, "train"),
        "test/happy/c.png": (0, "test"),
        "train/unlabeled/d.png": (-1, "train"),
    }
    first = rows["train/happy/a.png"]
    assert (first["photo"], first["box"], first["size"]) == ("train/happy/a.png", [10, 20, 26, 36], 16)
    assert set(MEASURES) <= set(faces.column_names)
    assert not {"sequence", "frame", "time"} & set(faces.column_names)
    assert (faces.faces() == 250).all(), "the crop is the square and nothing else"
    assert CropSpec.from_text(faces.info.alignment) == CropSpec("box margin=0.0", "photographs:Bright", "largest")
    assert not (tmp_path / ".out.parts").exists()
    assert heard.lines == ["labels: happiness 2, sadness 1, 1 face without"]
    assert (dict(done.labels), done.unlabeled) == ({"happiness": 2, "sadness": 1}, 1)


def test_every_input_ends_as_faces_or_as_a_line(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    write_photo(folder / "one.png", photo_of((10, 20, 16)))
    write_photo(folder / "two.png", photo_of((10, 20, 16), (50, 20, 20)))
    write_photo(folder / "none.png", photo_of())
    write_photo(folder / "small.png", photo_of((10, 20, 4)))
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "text.jpg").write_text("no photo")
    done = prepare_faces(asking(folder, which="all", limits=("size>=10",)), tmp_path / "out")
    assert sorted(done.faces.column("id").to_pylist()) == ["one.png#1", "two.png#1", "two.png#2"]
    lines = rejected(tmp_path / "out")
    assert set(lines) == {"none.png", "small.png", "empty.jpg", "text.jpg"}
    assert lines["none.png"] == "no face found"
    assert lines["small.png"] == "size 4, less than 10"
    assert "empty" in lines["empty.jpg"]
    assert done.rejected == len(lines)


def test_a_video_gives_a_frame_every_so_many_seconds(tmp_path: Path) -> None:
    with av.open(tmp_path / "film.mp4", "w") as film:
        stream = film.add_stream("mpeg4", rate=10)
        stream.width, stream.height = 80, 60
        for _ in range(30):
            film.mux(stream.encode(av.VideoFrame.from_ndarray(photo_of((20, 10, 30)), format="rgb24")))
        film.mux(stream.encode())
    done = prepare_faces(asking(tmp_path / "film.mp4", every=0.5), tmp_path / "out")
    rows = table(done.faces)
    assert [row["frame"] for row in rows] == list(range(6))
    np.testing.assert_allclose([row["time"] for row in rows], np.arange(6) / 2, atol=0.11)  # type: ignore[arg-type]
    assert {row["sequence"] for row in rows} == {row["photo"] for row in rows}
    assert len({row["id"] for row in rows}) == 6


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.usefixtures("tasks_of_five")
def test_processes_give_what_one_gives(tmp_path: Path, count: int) -> None:
    folder = write_folder(tmp_path / "in", 23)
    alone = prepare_faces(asking(folder), tmp_path / "alone")
    several = prepare_faces(asking(folder), tmp_path / "several", workers=count)
    assert several.faces.info.checksum == alone.faces.info.checksum


@pytest.mark.usefixtures("tasks_of_five")
def test_it_goes_on_where_it_was_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, made = write_folder(tmp_path / "in", 23), list[int]()
    (folder / "0007.png").write_text("no photo")
    whole = prepare_faces(asking(folder), tmp_path / "whole")

    def stopping(task: ShardTask) -> ShardRecord:
        if len(made) == 2 and task.number == 2:
            raise OSError(errno.ENOSPC, "No space left on device", "a file")
        made.append(task.number)
        return make_shard(task)

    monkeypatch.setattr(retries, "make_shard", stopping)
    with pytest.raises(OSError, match="No space left") as stopped:
        prepare_faces(asking(folder), tmp_path / "out")
    assert not (tmp_path / "out").exists()
    parts = tmp_path / ".out.parts"
    assert stopped.value.__notes__ == [f"what is done lies in {parts}: give the same command again to go on, or remove it"]
    made.append(-1)
    done = prepare_faces(asking(folder), tmp_path / "out")
    assert made == [0, 1, -1, 2, 3, 4], "what was done is not done again"
    assert done.faces.info.checksum == whole.faces.info.checksum
    assert rejected(tmp_path / "out") == rejected(tmp_path / "whole")
    assert not (tmp_path / ".out.parts").exists()


@pytest.mark.parametrize("processes", [1, 2])
def test_a_full_disk_is_said_and_the_same_command_goes_on(mien: Command, tmp_path: Path, processes: int) -> None:
    """A limit on the size of files stands for it: the set of all faces is beyond it, or a part already."""
    folder, limit = write_folder(tmp_path / "in", 70), 100_000
    words = ["mien", "prepare", str(folder), str(tmp_path / "out"), "--workers", str(processes)]
    words += ["--align", "box margin=0", "--detector", "photographs:Bright"]
    code = f"import sys; sys.argv = {words!r}; from mien.cli import main; main()"
    full = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit})); {code}"
    done = subprocess.run([sys.executable, "-c", full], env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert (done.returncode, "make room" in done.stderr) == (1, True), done.stderr
    assert not (tmp_path / "out").exists()
    parts = tmp_path / ".out.parts"
    assert parts.exists() == (f"what is done lies in {parts}: give the same command again" in done.stderr)
    again = mien(*words[1:])
    assert again.code == 0, again.err
    assert len(FaceSet.open(tmp_path / "out", verify=True)) == 70


@pytest.mark.usefixtures("tasks_of_five")
def test_what_was_begun_otherwise_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_folder(tmp_path / "in", 12)
    monkeypatch.setattr(room, "join_shards", lambda *given: pytest.fail("stopped"))
    with pytest.raises(pytest.fail.Exception):
        prepare_faces(asking(folder), tmp_path / "out")
    with pytest.raises(MienError, match="was begun with, side = 16; found side = 32"):
        prepare_faces(asking(folder, side=32), tmp_path / "out")


@pytest.mark.usefixtures("tasks_of_five")
def test_what_changed_meanwhile_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, listed, made = write_folder(tmp_path / "in", 23), tmp_path / "list.csv", list[int]()
    names = [f"in/{n:04d}.png" for n in range(23)]

    def write_list(labels: list[str]) -> None:
        listed.write_text("path,label\n" + "".join(f"{name},{label}\n" for name, label in zip(names, labels, strict=True)))

    def noting(task: ShardTask) -> ShardRecord:
        made.append(task.number)
        return make_shard(task)

    write_list(["happy"] * 23)
    with monkeypatch.context() as stopped:
        stopped.setattr(room, "join_shards", lambda *given: pytest.fail("stopped"))
        with pytest.raises(pytest.fail.Exception):
            prepare_faces(asking(listed, labeled=True), tmp_path / "out")
    os.utime(write_photo(folder / "0007.png", photo_of((3, 3, 50))), (0, 0))  # in part 1; at another time, however soon
    write_list(["happy"] * 16 + ["sad"] * 2 + ["happy"] * 5)  # in part 3
    monkeypatch.setattr(retries, "make_shard", noting)
    done = prepare_faces(asking(listed, labeled=True), tmp_path / "out")
    assert made == [1, 3]
    fresh = prepare_faces(asking(listed, labeled=True), tmp_path / "fresh")
    assert done.faces.info.checksum == fresh.faces.info.checksum
    assert done.faces.classes == ("happiness", "sadness")


def test_what_a_kill_left_is_cleared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, parts = write_folder(tmp_path / "in", 8), tmp_path / ".out.parts"
    for left in (".whole.abc", "whole"):
        (parts / left).mkdir(parents=True)
        (parts / left / "faces.npy").touch()
    remove = shutil.rmtree

    def killed(path: Path, ignore_errors: bool = False) -> None:
        if not ignore_errors:
            raise KeyboardInterrupt
        remove(path, ignore_errors)

    with monkeypatch.context() as stopped:
        stopped.setattr(shutil, "rmtree", killed)
        with pytest.raises(KeyboardInterrupt):
            prepare_faces(asking(folder), tmp_path / "out")
    assert len(FaceSet.open(tmp_path / "out", verify=True)) == 8
    remove(tmp_path / "out")
    with pytest.raises(MienError, match="was begun with, side"):
        prepare_faces(asking(folder, side=32), tmp_path / "out")
    prepare_faces(asking(folder), tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "out"]


def test_a_photo_that_a_library_fails_on_is_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_folder(tmp_path / "in", 5)
    write_photo(folder / "0002.png", photo_of((3, 3, 20), size=(64, 99)))

    def failing(photos: Sequence[Photo], *given: object) -> Crops:
        if any(photo.shape[1] == 99 for photo in photos):
            raise cv2.error("SHRT_MAX")
        return crop_faces(photos, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(shards, "crop_faces", failing)
    done = prepare_faces(asking(folder), tmp_path / "out")
    assert done.faces.column("id").to_pylist() == ["0000.png", "0001.png", "0003.png", "0004.png"]
    assert rejected(tmp_path / "out") == {"0002.png": "a photo that cannot be looked at (SHRT_MAX)"}


MANY = """
import resource, sys
from mien.preparation import prepare as room
room.INPUTS, room.BLOCK = 1, 7
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
print(len(room.prepare_faces(room.PreparationSettings((sys.argv[1],), "whole", side=16), sys.argv[2]).faces))
"""


def test_parts_are_not_open_at_once(tmp_path: Path) -> None:
    words = [sys.executable, "-c", MANY, str(write_folder(tmp_path / "in", 80)), str(tmp_path / "out")]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.stdout == "80\n", done.stderr


def test_labels_that_are_nowhere_are_missed(tmp_path: Path) -> None:
    write_photo(tmp_path / "in" / "unlabeled" / "a.png", photo_of((3, 3, 20)))
    with pytest.raises(MienError, match="photos in class folders; found none; give"):
        prepare_faces(asking(tmp_path / "in", labeled=True), tmp_path / "out")
    write_photo(tmp_path / "in" / "b.png", photo_of((3, 3, 20)))
    with pytest.raises(MienError, match=r"found none, but 1 in .*/in itself, without a class folder"):
        prepare_faces(asking(tmp_path / "in", labeled=True), tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_nothing_is_left_where_nothing_was_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_photo(tmp_path / "in" / "a.png", photo_of((3, 3, 20)))
    with pytest.raises(MienError, match=r"none in 1 input \(") as refused:
        prepare_faces(asking(tmp_path / "in", limits=("size>=40",)), tmp_path / "out")
    assert not hasattr(refused.value, "__notes__")
    assert len(prepare_faces(asking(tmp_path / "in", limits=("size>=10",)), tmp_path / "first").faces) == 1
    for error in (OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()):

        def failing(task: ShardTask, error: BaseException = error) -> ShardRecord:
            raise error

        monkeypatch.setattr(retries, "make_shard", failing)
        with pytest.raises(type(error)):
            prepare_faces(asking(tmp_path / "in"), tmp_path / "out")
    assert error.__notes__ == ["nothing is done yet: give the same command again to begin anew"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["first", "in"]


@pytest.mark.parametrize(("ends", "code", "said"), [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "ended")])
def test_whoever_ends_it_is_told_how_to_go_on(tmp_path: Path, ends: signal.Signals, code: int, said: str) -> None:
    folder, parts = write_folder(tmp_path / "in", 12), tmp_path / ".out.parts"
    write_photo(folder / "0007.png", photo_of(size=HELD))
    words = ["prepare", str(folder), str(tmp_path / "out"), "--align", "box", "--detector", "photographs:Held", "--workers", "1"]
    with started("-c", PREPARE, *words, "--json") as process:
        wait_until(lambda: list(parts.glob("0*.json")), process)
        process.send_signal(ends)
        out, err = process.communicate(timeout=WAIT)
    assert (process.returncode, out) == (code, ""), err
    todo = f"what is done lies in {parts}: give the same command again to go on, or remove it"
    assert json.loads(err) == {"error": {"expected": "the command to reach its end", "found": said, "todo": todo}}


def test_a_test_split_holds_whole_people_videos_and_photos(mien: Command, tmp_path: Path) -> None:
    for n in range(24):
        write_photo(tmp_path / "in" / f"{n:02d}.png", photo_of((10, 20, 16), (50, 20, 20)))
    lines = [f"in/{n:02d}.png,{'sad' if n % 2 else 'happy'},{f'p{n // 4}' if n < 12 else ''}" for n in range(24)]
    (tmp_path / "list.csv").write_text("\n".join(["path,label,subject", *lines]))
    words = ["--align", "box margin=0", "--detector", "photographs:Bright", "--faces", "all", "--side", 16, "--workers", 1]
    splits = list[list[str]]()
    for seed in (0, 0, 1):
        out = tmp_path / f"out{len(splits)}"
        done = mien("prepare", tmp_path / "list.csv", out, *words, "--test", 0.25, "--seed", seed)
        assert done.code == 0, done.err
        faces = FaceSet.open(out, verify=True)
        where, split, photo, who = (faces.values(name) for name in ("label", "split", "photo", "subject"))
        assert set(photo[split == "test"]).isdisjoint(photo[split == "train"])
        people = set(who[split == "test"]) - {None}
        assert people.isdisjoint(who[split == "train"])
        tested = np.bincount(where[split == "test"])
        assert np.abs(tested - 6).max() <= 2, "a photo has two faces"
        photos = len({name for name, one in zip(photo[split == "test"], who[split == "test"], strict=True) if one is None})
        assert f"test: {len(people)} of 3 people, {photos} of 12 photos, {tested.sum()} of 48 faces" in done.err
        assert f"warning: only {tested.sum()} test faces: with fewer than 30, figures say little" in done.err
        splits.append(split.tolist())
    assert splits[0] == splits[1] != splits[2]


def test_a_test_split_before_anyone_labels_is_said_to_be_drawn_too_early(mien: Command, tmp_path: Path) -> None:
    for n in range(6):
        write_photo(tmp_path / "in" / f"{n}.png", photo_of((10, 20, 16)))
    words = ["--align", "box margin=0", "--detector", "photographs:Bright", "--side", 16, "--workers", 1]
    done = mien("prepare", tmp_path / "in", tmp_path / "out", *words, "--test", 0.5)
    assert done.code == 0, done.err
    assert "warning: no face has a label yet" in done.err
    assert "mien labels apply --test" in done.err
    assert "warning" not in mien("prepare", tmp_path / "in", tmp_path / "plain", *words).err


def test_a_test_split_beside_splits_is_refused(tmp_path: Path) -> None:
    for split in ("train", "test"):
        write_photo(tmp_path / "in" / split / "happy" / "a.png", photo_of((10, 20, 16)))
    write_photo(tmp_path / "photo.png", photo_of((10, 20, 16)))
    (tmp_path / "list.csv").write_text("path,split\nphoto.png,train\n")
    for asked in (asking(tmp_path / "in", labeled=True, test=0.2), asking(tmp_path / "list.csv", test=0.2)):
        with pytest.raises(MienError, match="inputs without splits"):
            prepare_faces(asked, tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "list.csv", "photo.png"]


def test_wrong_values_are_errors_in_python_as_in_the_command_line(mien: Command, tmp_path: Path) -> None:
    for wrong in ({"side": "large"}, {"test": 1.0}, {"which": "some"}, {"colour": True}, {"inputs": ()}):
        with refused("preparation", *wrong):
            PreparationSettings(**{"inputs": ("in",)} | wrong)
    with pytest.raises(MienError, match="preparation to be given inputs"):
        PreparationSettings()  # type: ignore[call-arg]
    with pytest.raises(MienError, match="align = 3"):
        PreparationSettings(("in",), 3)  # type: ignore[arg-type]
    assert PreparationSettings(("in",), "box", side=16) == PreparationSettings(align="box", inputs=("in",), side=16)
    done = mien("prepare", tmp_path, tmp_path / "out", "--test", 1)
    assert (done.code, "'--test'" in done.err) == (2, True), done.err


def test_the_first_classes_are_counted_in_a_line(tmp_path: Path) -> None:
    for n in range(14):
        write_photo(tmp_path / "in" / f"class{n:02d}" / "a.png", photo_of((10, 20, 16)))
    heard = Heard()
    prepare_faces(asking(tmp_path / "in", labeled=True), tmp_path / "out", progress=heard)
    assert heard.lines[0].startswith("labels: class00 1, class01 1, ")
    assert heard.lines[0].endswith("class11 1, 2 more classes, 0 faces without")


def test_a_face_beyond_a_limit_is_told_without_sign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "measure_quality", lambda faces, found: {"turn": np.full(len(found), -1.25, np.float32)})
    write_photo(tmp_path / "in" / "a.png", photo_of((3, 3, 20)))
    with pytest.raises(MienError, match=r"a.png: turn 1.25, more than 0.5"):
        prepare_faces(asking(tmp_path / "in", limits=("turn<=0.5",)), tmp_path / "out")


def test_a_class_without_faces_is_a_class(tmp_path: Path) -> None:
    write_photo(tmp_path / "in" / "happy" / "a.png", photo_of((3, 3, 20)))
    write_photo(tmp_path / "in" / "sad" / "b.png", photo_of())
    done = prepare_faces(asking(tmp_path / "in", labeled=True), tmp_path / "out")
    assert done.faces.classes == ("happiness", "sadness")


def test_names_that_are_no_text_are_written_out(tmp_path: Path) -> None:
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/in\xff"))
    prepare_faces(asking(write_folder(folder, 2)), tmp_path / "out")
    assert FaceSet.open(tmp_path / "out").info.name == r"faces of in\udcff"


def test_what_cannot_be_is_said(mien: Command, tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "in", 2)
    (tmp_path / "there").mkdir()
    (tmp_path / "empty").mkdir()
    write_photo(tmp_path / "dark" / "a.png", photo_of())
    for words, told in (
        ((folder, tmp_path / "there"), "nothing at"),
        ((tmp_path / "none", tmp_path / "out"), "none"),
        ((tmp_path / "empty", tmp_path / "out"), "at least one photo or video; found none"),
        ((folder, tmp_path / "out", "--align", "ears"), "one of box, eyes, outline, whole"),
        ((folder, tmp_path / "out", "--detector", "eagle"), "one of dlib, haar, mtcnn"),
        ((folder, tmp_path / "out", "--keep", "size"), "a limit such as size>=40"),
        ((tmp_path / "dark", tmp_path / "out", "--detector", "photographs:Bright"), "none in 1 input (a.png: no face found)"),
    ):
        done = mien("prepare", *words, "--workers", 1)
        assert (done.code, done.out) == (1, ""), words
        assert told in done.err, done.err
        assert not (tmp_path / "out").exists()
    for option, wrong in (("--every", "0"), ("--faces", "some")):
        done = mien("prepare", folder, tmp_path / "out", option, wrong)
        assert (done.code, f"'{option}'" in done.err) == (2, True), done.err
    done = mien("prepare", folder)
    assert (done.code, "the last word the new set" in " ".join(done.err.replace("│", "").split())) == (2, True), done.err


@pytest.mark.usefixtures("tasks_of_five")
def test_killed_twice_nothing_is_lost_and_nothing_twice(mien: Command, tmp_path: Path) -> None:
    """A real SIGKILL of the command while its processes work; they end as well."""
    folder, parts = write_folder(tmp_path / "in", 23), tmp_path / ".out.parts"
    (folder / "0013.png").write_text("no photo")
    words = ["prepare", str(folder), str(tmp_path / "out"), "--align", "box", "--detector", "photographs:Held", "--workers", "2"]
    for held, done in (("0007.png", 0), ("0021.png", 1)):
        write_photo(folder / held, photo_of(size=HELD))
        with started("-c", PREPARE, *words) as process:
            wait_until((parts / f"{done:08d}.json").exists, process)
            process.kill()
        wait_for_all(process.pid)
        write_photo(folder / held, photo_of((3, 3, 20)))
    done_at_last = mien(*words)
    assert done_at_last.code == 0, done_at_last.err
    faces = FaceSet.open(tmp_path / "out", verify=True)
    names = faces.column("id").to_pylist()
    assert names == [f"{n:04d}.png" for n in range(23) if n != 13]
    assert list(rejected(tmp_path / "out")) == ["0013.png"]


@pytest.mark.usefixtures("tasks_of_five")
def test_a_killed_process_costs_nothing(tmp_path: Path) -> None:
    asked = asking(write_folder(tmp_path / "in", 12), detector=f"photographs:Mortal marker={tmp_path / 'marker'}")
    assert len(prepare_faces(asked, tmp_path / "out", workers=2).faces) == 12
    assert (tmp_path / "marker").exists(), "nobody died"
