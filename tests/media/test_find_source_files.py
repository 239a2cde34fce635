"""Finding photos and videos: in folders, patterns, lists and archives; in one order, under unique names, without growing."""

import glob
import gzip
import hashlib
import io
import os
import pickle
import random
import socket
import subprocess
import tarfile
import tempfile
import tracemalloc
import unicodedata
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from memory import peak
from mien.errors import MienError
from mien.media.archives import archive_entries
from mien.media.decoding.strip_other_formats import HEIC
from mien.media.file_limits import FileLimits
from mien.media.file_names import escaped_name
from mien.media.find_source_files import find_source_files
from mien.media.photos import read_photo
from mien.media.source_files import SourceFile, open_source_file
from mien.media.video_frames import read_frames
from mien.preparation.preparation_settings import PreparationSettings
from mien.preparation.prepare import prepare_faces
from mien.preparation.shards import state_of

OTHERS = ("notes.md", ".hidden.png", "Thumbs.db", "labels.csv", "list.txt")


def photo(tone: int) -> bytes:
    """A small gray photo of one tone."""
    file = io.BytesIO()
    Image.fromarray(np.full((4, 6), tone % 256, np.uint8)).save(file, "PNG")
    return file.getvalue()


def put(folder: Path, *names: str) -> Path:
    """A folder with these files, photos whose tone is their place."""
    for tone, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(photo(tone))
    return folder


def zipped(path: Path, *names: str, method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for tone, name in enumerate(names):
            archive.writestr(name, photo(tone))
    return path


def taped(path: Path, *names: str) -> Path:
    with tarfile.open(path, "w" if path.suffix == ".tar" else "w:gz") as archive:
        for tone, name in enumerate(names):
            info = tarfile.TarInfo(name)
            info.size = len(photo(tone))
            archive.addfile(info, io.BytesIO(photo(tone)))
    return path


def names(*inputs: str | Path, labeled: bool = False) -> list[str]:
    return [found.name for found in find_source_files(inputs, labeled)]


def places(*inputs: str | Path) -> dict[str, tuple[str, str]]:
    """Label and split by name."""
    return {found.name: (found.label, found.split) for found in find_source_files(inputs, labeled=True)}


def tones(*inputs: str | Path) -> list[int]:
    return [int(read_photo(found)[0, 0, 0]) for found in find_source_files(inputs)]


def faults(*inputs: str | Path) -> dict[str, str]:
    return {found.name: found.fault for found in find_source_files(inputs) if found.fault}


def test_a_folder_is_read_at_any_depth_by_name_without_other_files(tmp_path: Path) -> None:
    put(tmp_path, "b.PNG", "a/z.jpg", "a/b/c.tiff", "c.webp", ".cache/x.png", "film.mp4", *OTHERS)
    assert names(tmp_path) == ["a/b/c.tiff", "a/z.jpg", "b.PNG", "c.webp", "film.mp4"]
    assert [found.name for found in find_source_files([tmp_path]) if found.video] == ["film.mp4"]
    assert tones(tmp_path / "a") == [2, 1]


def test_known_kinds_that_are_not_read_are_said(tmp_path: Path) -> None:
    unread = ("b.HEIC", "c.tar.xz", "d.tar.bz2", "e.rar", "f.7z", "g.mpg", "h.mpeg", "i.mts", "j.ts", "k.jxl")
    put(tmp_path, "a.png", *unread)
    assert names(tmp_path) == ["a.png", *unread]
    ends = {name: name[1:].lower() for name in unread if name != "b.HEIC"}
    assert faults(tmp_path) == {name: f"{end} files are not read" for name, end in ends.items()} | {"b.HEIC": HEIC}


@pytest.mark.parametrize(("make", "ending"), [(zipped, ".zip"), (taped, ".tar"), (taped, ".tgz")])
def test_archives_in_archives_are_said_and_not_held(tmp_path: Path, make: Callable[..., Path], ending: str) -> None:
    path = make(tmp_path / f"a{ending}", "1.png", "in/more.zip", "in/more.tar.gz", "old.rar", "b.heic")
    nested = "an archive in an archive; such files are not read"
    rest = {"old.rar": ".rar files are not read", "b.heic": HEIC}
    assert faults(path) == {"in/more.zip": nested, "in/more.tar.gz": nested} | rest
    assert [found.name for found in find_source_files([path]) if found.content] == (["1.png"] if ending == ".tgz" else [])


def test_photos_and_videos_of_rarer_names_are_read(tmp_path: Path) -> None:
    put(tmp_path, "a.jpe", "b.mpo", "c.apng", "d.pbm")
    videos = {"e.m4v": "mp4", "f.3gp": "3gp", "g.3g2": "3g2"}
    for name, form in videos.items():
        with av.open(str(tmp_path / name), "w", format=form) as film:
            stream = film.add_stream("mpeg4", rate=10)
            assert isinstance(stream, av.VideoStream)
            stream.width, stream.height, stream.pix_fmt, stream.codec_context.thread_count = 64, 48, "yuv420p", 1
            for _ in range(3):
                film.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8))))
            film.mux(stream.encode(None))
    found = list(find_source_files([tmp_path]))
    assert [one.name for one in found] == ["a.jpe", "b.mpo", "c.apng", "d.pbm", *videos]
    assert [one.name for one in found if one.video] == list(videos)
    assert [read_photo(one).shape for one in found[:4]] == [(4, 6, 3)] * 4
    assert [len(list(read_frames(one, 0.1))) for one in found[4:]] == [3, 3, 3]


def test_links_are_followed_but_not_in_circles(tmp_path: Path) -> None:
    put(tmp_path / "else", "1.png")
    put(tmp_path / "in", "a/2.png")
    (tmp_path / "in" / "a" / "up").symlink_to(tmp_path / "in")
    (tmp_path / "in" / "far").symlink_to(tmp_path / "else")
    (tmp_path / "in" / "self").symlink_to("self")
    (tmp_path / "in" / "gone.png").symlink_to("nowhere")
    found = {each.name: each for each in find_source_files([tmp_path / "in"])}
    assert list(found) == ["a/2.png", "far/1.png", "gone.png"]
    with pytest.raises(MienError, match=r"photo at gone.png; found No such file or directory; replace or remove it$"):
        read_photo(found["gone.png"])


@pytest.mark.parametrize("count", [4, 7])
def test_folders_that_link_each_other_are_read_once(tmp_path: Path, count: int) -> None:
    put(tmp_path, *(f"{each}/1.png" for each in range(count)))
    for each in range(count):
        for other in range(count):
            if other != each:
                (tmp_path / str(each) / f"to{other}").symlink_to(tmp_path / str(other))
    found = names(tmp_path)
    assert sorted(tones(tmp_path)) == list(range(count))
    # The first path by name wins: 0, what it leads to, and so on.
    assert found[:3] == ["0/1.png", "0/to1/1.png", "0/to1/to2/1.png"]
    assert len(names(f"{tmp_path}/**/*.png")) == count


def test_a_folder_counts_under_the_first_path_by_name(tmp_path: Path) -> None:
    put(tmp_path, "middle/1.png")
    (tmp_path / "after").symlink_to("middle")
    (tmp_path / "zulu").symlink_to("middle")
    assert names(tmp_path) == ["after/1.png"]
    assert names(f"{tmp_path}/*") == ["after/1.png"]
    # Each input is read for itself.
    assert names(tmp_path / "middle", tmp_path / "zulu") == ["middle/1.png", "zulu/1.png"]


def test_patterns_end_and_count_a_file_once_where_links_lead_in_circles(tmp_path: Path) -> None:
    put(tmp_path, "a/b/1.png", "2.png")
    for name in ("here", "self"):  # with two, glob itself would find 2 ** 40 paths
        (tmp_path / name).symlink_to(".")
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    (tmp_path / "3.png").symlink_to("2.png")
    for pattern in ("**/*.png", "**/**/*.png", "**/b/../../**/*.png"):
        assert sorted(names(f"{tmp_path}/{pattern}")) == ["2.png", "a/b/1.png"]
    assert names(f"{tmp_path}/*.png") == ["2.png"]
    assert names(f"{tmp_path}/**/b/**/*.png") == ["a/b/1.png"]


@pytest.mark.parametrize("pattern", ["**", "**/*", "a/**", "*/**", "**/b/**/*.png", "a/**/**/*.png", "**/[ab]/*", "a**/*.png"])
def test_patterns_without_links_find_what_glob_finds(tmp_path: Path, pattern: str) -> None:
    put(tmp_path, "1.png", "a/2.png", "a/b/3.png", "a/b/c/4.png", "b/[x]/5.png", "b/b/6.png", ".no/7.png", "a/.no/8.png")
    found = {os.path.realpath(text) for text in glob.glob(f"{tmp_path}/{pattern}", recursive=True)}
    files = {text for text in found if os.path.isfile(text)}
    files |= {str(path) for text in found if os.path.isdir(text) for path in Path(text).rglob("*.png") if ".no" not in path.parts}
    assert {str(one.path) for one in find_source_files([f"{tmp_path}/{pattern}"])} == files


def test_names_begin_at_the_one_input_or_above_all(tmp_path: Path) -> None:
    put(tmp_path, "a/1.png", "b/1.png", "c/d/1.png")
    assert names(tmp_path / "a") == ["1.png"]
    assert names(tmp_path / "a" / "1.png") == ["1.png"]
    assert names(tmp_path / "b", tmp_path / "a", tmp_path / "c" / "d" / "1.png") == ["b/1.png", "a/1.png", "c/d/1.png"]
    assert names(f"{tmp_path}/a", f"{tmp_path}/b/../a/") == ["1.png"]
    # What lies within a folder that was named as well is found once.
    assert names(tmp_path / "c" / "d", tmp_path / "c", tmp_path / "c" / "d" / "1.png") == ["c/d/1.png"]


def test_relative_inputs_have_the_same_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, "a/1.png", "b/1.png")
    monkeypatch.chdir(tmp_path)
    assert names("a", "b") == names(tmp_path / "a", tmp_path / "b")
    assert names(".") == names(tmp_path)


def test_patterns(tmp_path: Path) -> None:
    put(tmp_path, "a/1.png", "a/2.jpg", "b/1.png", "b/deep/3.png", "x[1].png", *OTHERS)
    assert names(f"{tmp_path}/*/1.png") == ["a/1.png", "b/1.png"]
    assert names(f"{tmp_path}/**/*.png") == ["a/1.png", "b/1.png", "b/deep/3.png", "x[1].png"]
    assert names(f"{tmp_path}/b*") == ["b/1.png", "b/deep/3.png"]
    assert names(f"{tmp_path}/x[1].png") == ["x[1].png"]
    assert names(tmp_path / "b", f"{tmp_path}/a/[12].*") == ["b/1.png", "b/deep/3.png", "a/1.png", "a/2.jpg"]
    with pytest.raises(MienError, match=r"pattern at .*\.md; found only other files, .*notes.md among them"):
        find_source_files([f"{tmp_path}/*.md"])


@pytest.mark.parametrize("missing", ["nowhere", "no*.png", "nul\0.png"])
def test_an_input_that_is_not_there_is_said_at_once(tmp_path: Path, missing: str) -> None:
    with pytest.raises(MienError, match="found nothing; check the path"):
        find_source_files([tmp_path / missing])


def test_a_text_list(tmp_path: Path) -> None:
    put(tmp_path, "a/1.png", "2.png", "odd\udcff.png")
    other = put(tmp_path / "other", "3.png") / "3.png"
    content = f"\ufeffa/1.png\r\n\n./2.png\na/../2.png\n{other}\n../up.png\ngone.png\n".encode() + b"odd\xff.png\nlist.txt\n"
    (tmp_path / "list.txt").write_bytes(content)
    expected = ["a/1.png", "2.png", "2.png (row 4)", str(other), "../up.png", "gone.png", "odd\\udcff.png"]
    assert names(tmp_path / "list.txt") == expected
    assert faults(tmp_path / "list.txt")["2.png (row 4)"] == "the same file as in row 3, which counts"
    found = {each.name: each for each in find_source_files([tmp_path / "list.txt"])}
    assert read_photo(found["odd\\udcff.png"])[0, 0, 0] == 2
    assert read_photo(found[str(other)]).shape == (4, 6, 3)
    with pytest.raises(MienError, match="leaves the list's folder"):
        read_photo(found["../up.png"])
    with pytest.raises(MienError, match="No such file"):
        read_photo(found["gone.png"])
    both = names(tmp_path / "list.txt", tmp_path / "a")
    assert both[0] == "list.txt/a/1.png"
    assert both[-1] == "a/1.png"
    assert len(set(both)) == len(both)


def test_a_file_that_is_not_there_is_said_with_the_list_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("\nhello\n")
    said = "No such file or directory; line 2 of notes.txt, which was taken for a list of paths, names it"
    assert faults(tmp_path / "notes.txt") == {"hello": said}
    (tmp_path / "list.csv").write_text("path,label\ngone.png,happy\n")
    assert "row 2 of list.csv" in faults(tmp_path / "list.csv")["gone.png"]


@pytest.mark.parametrize("path", ["good.jpg", Path("good.jpg")])
def test_a_path_in_place_of_a_list_is_said(path: Any) -> None:
    with pytest.raises(MienError, match=r"a list of paths .*; found a single path, good.jpg; put it into a list"):
        find_source_files(path)


def test_a_csv_list_with_labels(tmp_path: Path) -> None:
    put(tmp_path, "a/1.png", "test/sad/2.png", "a, b.png")
    path = tmp_path / "list.csv"
    path.write_text('label,path\nhappy,a/1.png\n,test/sad/2.png\nhappy,a/1.png\nsad,"a, b.png"\n')
    assert names(path) == ["a/1.png", "test/sad/2.png", "a/1.png (row 4)", "a, b.png"]
    expected = {"a/1.png": ("happy", ""), "test/sad/2.png": ("", "test"), "a/1.png (row 4)": ("", ""), "a, b.png": ("sad", "")}
    assert places(path) == expected
    assert faults(path) == {"a/1.png (row 4)": "the same file as in row 2, which counts"}
    path.write_text("path,split\na/1.png,train\n")
    assert places(path) == {"a/1.png": ("a", "train")}


def test_a_csv_list_says_split_subject_and_label_whether_folders_are_labels_or_not(tmp_path: Path) -> None:
    rows = [
        "path,split,subject,label",
        "a.png,val,p1,sad",
        "b.png,Testing,,",
        "c.png,training,p\u200b,x",
        "d.png,,,",
        "e.png, TEST ,2,",
    ]
    (tmp_path / "list.csv").write_text("\n".join(rows))
    for labeled in (False, True):
        said = [(one.split, one.subject, one.label) for one in find_source_files([tmp_path / "list.csv"], labeled)]
        assert said == [
            ("validation", "p1", "sad"),
            ("test", "", ""),
            ("train", "p\\u200b", "x"),
            ("", "", ""),
            ("test", "2", ""),
        ]


def test_a_list_says_nothing_in_many_ways(tmp_path: Path) -> None:
    rows = ["path,split,subject,label", "a.png,NaN,nan,None", "b.png,None,NA,nan", "c.png,PublicTest,?, Sad ", "d.png,,,none"]
    (tmp_path / "list.csv").write_text("\n".join(rows))
    said = [(one.split, one.subject, one.label) for one in find_source_files([tmp_path / "list.csv"], True, mapped=["none"])]
    assert said == [("", "", ""), ("", "", ""), ("PublicTest", "", "Sad"), ("", "", "none")]


MEMBERS = ("in/happy/1.png", "in/sad/2.png", "in/none/3.png", "__MACOSX/in/happy/._1.png")


@pytest.mark.parametrize("kind", ["mine.zip", "mine.tar", "mine.tgz", "folder", "zip in a folder", "in.zip"])
@pytest.mark.parametrize("before", ["", "deeper/", "deeper/and deeper/"])
def test_folders_above_the_classes_are_passed_through(tmp_path: Path, kind: str, before: str) -> None:
    names = [f"{before}{name}" for name in MEMBERS]
    place = tmp_path / "given"
    place.mkdir()
    if kind == "folder":
        put(place, *names)
    elif kind == "zip in a folder":
        zipped(place / "train.zip", *names)
    else:
        place = (zipped if kind.endswith("zip") else taped)(place / kind, *names)
    found = {name.rpartition("/")[2]: where for name, where in places(place).items()}
    assert found == {"1.png": ("happy", ""), "2.png": ("sad", ""), "3.png": ("", "")}


def test_splits_below_a_folder_of_their_own_are_found(tmp_path: Path) -> None:
    path = zipped(tmp_path / "mine.zip", "data/Train/calm/1.png", "data/TEST/tense/2.png", "data/unlabeled/3.png")
    assert [*places(path).values()] == [("calm", "train"), ("tense", "test"), ("", "")]
    zipfile.ZipFile(path).extractall(tmp_path / "out")
    assert sorted(places(tmp_path / "out").values()) == [("", "train"), ("calm", "train"), ("tense", "test")]


@pytest.mark.parametrize("archive", [True, False])
def test_folders_that_may_be_the_classes_or_above_them_are_refused(tmp_path: Path, archive: bool) -> None:
    def place(*names: str) -> Path:
        folder = Path(tempfile.mkdtemp(dir=tmp_path))
        return zipped(folder / "mine.zip", *names) if archive else put(folder, *names)

    own = ("mine here/eager/1.png", "mine here/tense/2.png")
    todo = r"unpack mine.zip and give the folder 'mine here'" if archive else r"give '/.*/mine here'"
    with pytest.raises(MienError, match=rf"one folder, mine here, with eager, tense in it; {todo} if these are the classes"):
        places(place(*own))
    assert {one.label for one in find_source_files([place(*own)], True, mapped=["mine here"])} == {"mine here"}
    for photo in ("cover.jpg", "mine here/cover.jpg"):
        with pytest.raises(MienError, match=rf"one folder, mine here, with eager, tense in it; {todo} if these are the classes"):
            places(place(*own, photo))
    below = ("train/all/eager/1.png", "train/all/tense/2.png", "test/all/eager/3.png")
    with pytest.raises(MienError, match=r"in .*train; found one folder, all, with eager, tense in it; put the class folders"):
        places(place(*below))
    assert {one.label for one in find_source_files([place(*below)], True, mapped=["all"])} == {"all"}
    with pytest.raises(MienError, match=r"found happy in .*alice; give the folder above the classes"):
        places(place("alice/happy/1.png", "bob/happy/1.png"))
    with pytest.raises(MienError, match=r"splits above the class folders in .*; found test, train in .*sad; put"):
        places(place("sad/train/1.png", "sad/test/1.png"))


def test_a_split_that_is_none_is_said_at_once(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text("path,split\na.png,train\nb.png,holdout\n")
    with pytest.raises(
        MienError, match=r"list.csv; found the split 'holdout' in row 3 \('b.png'\), none of train, validation, test"
    ):
        find_source_files([tmp_path / "list.csv"])
    # A broken row is said when its turn comes.
    (tmp_path / "list.csv").write_text("path,split\na.png,train\nc.png\n")
    assert "Expected 2 columns" in faults(tmp_path / "list.csv")["list.csv"]


@pytest.mark.parametrize(
    ("column", "first", "second"), [("label", "happy", "sad"), ("split", "train", "test"), ("subject", "a", "")]
)
@pytest.mark.parametrize("labeled", [False, True])
def test_a_file_of_which_a_list_says_different_things_is_refused(
    tmp_path: Path, column: str, first: str, second: str, labeled: bool
) -> None:
    path = tmp_path / "list.csv"
    path.write_text(f"{column},path\n{first},a/1.png\n{first},b.png\n\n{second},{tmp_path}/c/../a/1.png\n")
    said = f"the {column} {first!r} in row 2 and {second!r} in row 4; mend it"
    with pytest.raises(MienError, match=f"list.csv; found '.*c/../a/1.png' with {said}"):
        find_source_files([path], labeled)
    # What is said of it in another list is another's word.
    path.write_text(f"{column},path\n{first},1.png\n")
    (tmp_path / "other.csv").write_text(f"{column},path\n{second},1.png\n")
    assert names(path, tmp_path / "other.csv") == ["list.csv/1.png", "other.csv/1.png"]


def test_a_repeated_file_is_a_line_among_the_rejected(tmp_path: Path) -> None:
    put(tmp_path, "1.png", "2.png")
    (tmp_path / "list.csv").write_text("path,label\n1.png,happy\n./1.png,happy\n2.png,sad\nlist.csv,sad\n")
    done = prepare_faces(PreparationSettings((str(tmp_path / "list.csv"),), "whole", side=16), tmp_path / "out")
    assert (done.faces.column("id").to_pylist(), done.inputs, done.rejected) == (["1.png", "2.png"], 3, 1)
    lines = (tmp_path / "out" / "rejected.csv").read_text().splitlines()
    assert lines[1:] == ['1.png (row 3),"the same file as in row 2, which counts"']


def test_lists_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text("file\na.png\n")
    with pytest.raises(MienError, match="columns path in"):
        find_source_files([tmp_path / "list.csv"])
    os.mkfifo(tmp_path / "list.txt")
    with pytest.raises(MienError, match=r"list of paths in .*; found a pipe"):
        find_source_files([tmp_path / "list.txt"])
    (tmp_path / "long.txt").write_bytes(b"a.png\n" + b"\xff" * (1 << 17))
    assert names(tmp_path / "long.txt") == ["a.png", "long.txt"]
    assert "line 2 of 65,536 bytes" in faults(tmp_path / "long.txt")["long.txt"]
    (tmp_path / "broken.csv").write_text("path,label\na.png,x\nb.png\n")
    assert "Expected 2 columns" in faults(tmp_path / "broken.csv")["broken.csv"]


@pytest.mark.parametrize(("make", "ending"), [(zipped, ".zip"), (taped, ".tar"), (taped, ".tar.gz"), (taped, ".tgz")])
def test_members_of_archives_are_read_in_place(tmp_path: Path, make: Callable[..., Path], ending: str) -> None:
    inside = ["a/1.png", "../up.png", "/etc/2.png", "a/.hidden.png", "__MACOSX/._1.png", "readme.txt", "a/3.jpg"]
    path = make(tmp_path / f"set{ending}", *inside)
    assert names(path) == ["a/1.png", "../up.png", "/etc/2.png", "a/3.jpg"]
    assert tones(path) == [0, 1, 2, 6]
    assert names(tmp_path) == [f"set{ending}/{name}" for name in names(path)]
    assert tones(tmp_path) == [0, 1, 2, 6]
    # Nothing was written anywhere.
    assert [each.name for each in tmp_path.iterdir()] == [path.name]
    assert not (tmp_path.parent / "up.png").exists()


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_all_that_a_zip_may_be_packed_with(tmp_path: Path, method: int) -> None:
    path = zipped(tmp_path / "a.zip", "1.png", "2.png", method=method)
    before = path.read_bytes()
    path.write_bytes(b"#!/bin/sh\nexit\n" + before)  # one that unpacks itself
    assert tones(path) == [0, 1]


def test_names_that_an_archive_repeats_are_numbered(tmp_path: Path) -> None:
    path = taped(tmp_path / "a.tar", "x/1.png", "x/1~2.png", "x/1.png", "x/1.png")
    assert names(path) == ["x/1.png", "x/1~2.png", "x/1~3.png", "x/1~4.png"]
    assert tones(path) == [0, 1, 2, 3]


def test_numbers_for_many_equal_names_are_not_all_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, count, hashed = taped(tmp_path / "a.tar", *["1.png"] * 300), 0, hashlib.blake2b

    def counting(content: bytes, digest_size: int) -> object:
        nonlocal count
        count += 1
        return hashed(content, digest_size=digest_size)

    monkeypatch.setattr("mien.media.photo_lists.hashlib.blake2b", counting)
    assert names(path) == ["1.png", *(f"1~{number}.png" for number in range(2, 301))]
    assert count <= 3 * 300


def test_members_that_are_no_files(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for name, kind in (("link.png", tarfile.SYMTYPE), ("hard.png", tarfile.LNKTYPE), ("pipe.png", tarfile.FIFOTYPE)):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "/etc/passwd"
            archive.addfile(info)
        folder = tarfile.TarInfo("folder.png")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as zipping:
        link = zipfile.ZipInfo("link.png")
        link.external_attr = 0o120777 << 16
        zipping.writestr(link, "/etc/passwd")
    assert [name.split("/")[-1] for name in faults(tmp_path)] == ["link.png", "hard.png", "pipe.png", "link.png"]
    for found in find_source_files([tmp_path]):
        with pytest.raises(MienError, match=r"a link, which is not followed|no plain file"):
            read_photo(found)


def test_an_encrypted_entry(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", "1.png")
    content = bytearray(path.read_bytes())
    content[content.find(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(content)
    assert faults(path) == {"1.png": "encrypted in the zip"}


@pytest.mark.parametrize("ending", [".zip", ".tar", ".tgz"])
def test_a_truncated_archive_gives_what_comes_before(tmp_path: Path, ending: str) -> None:
    path = (zipped if ending == ".zip" else taped)(tmp_path / f"a{ending}", *(f"{each}.png" for each in range(20)))
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    found = names(path)
    assert found[-1] == f"a{ending}"
    assert faults(path)[f"a{ending}"]
    assert found[:-1] == [f"{each}.png" for each in range(len(found) - 1)]
    # A zip's directory is at its end.
    assert (len(found) > 1) == (ending != ".zip")


def test_a_tar_damaged_in_the_middle_does_not_just_end(tmp_path: Path) -> None:
    path = taped(tmp_path / "a.tar", "1.png", "2.png", "3.png")
    content = bytearray(path.read_bytes())
    content[1024:1060] = b"\xee" * 36
    path.write_bytes(content)
    assert names(path) == ["1.png", "a.tar"]
    assert "damaged header at byte 1,024" in faults(path)["a.tar"]


def test_what_to_do_about_a_damaged_archive(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(b"no zip")
    with pytest.raises(MienError, match=r"make or download it again, or remove it$"):
        list(archive_entries(tmp_path / "a.zip", bool, bool))


def test_a_packed_header_that_claims_much_is_refused(tmp_path: Path) -> None:
    info = tarfile.TarInfo("long")
    info.type, info.size = tarfile.XHDTYPE, 300 << 20
    path = tmp_path / "a.tgz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(info.tobuf())
        file.write(bytes(4 << 20))
    assert "header of 314,572,800 bytes" in faults(path)["a.tgz"]
    assert peak(lambda: faults(path)) < 8 << 20


def test_a_zip_bomb_is_refused_by_what_it_states(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("1.png", bytes(32 << 20))
    (found,) = find_source_files([tmp_path / "a.zip"])

    def refused() -> None:
        with pytest.raises(MienError, match="more than 1,048,576 bytes"):
            read_photo(found, FileLimits(bytes=1 << 20))

    assert peak(refused) < 8 << 20


def test_members_can_be_sought_and_fill_their_part_alone(tmp_path: Path) -> None:
    for path in (taped(tmp_path / "a.tar", "1.png", "2.png"), taped(tmp_path / "b.tgz", "1.mp4", "2.mp4")):
        for tone, found in enumerate(find_source_files([path])):
            assert found.content is None
            with open_source_file(found) as file:
                assert file.read() == photo(tone)
                assert file.seek(-8, os.SEEK_END) == len(photo(tone)) - 8
                assert file.read(100) == photo(tone)[-8:]
                file.seek(1)
                assert file.read(3) == b"PNG"


def test_labels_are_the_class_folders_below_splits(tmp_path: Path) -> None:
    inside = ("Train/happy/1.png", "Train/happy/deep/2.png", "VALID/sad/3.png", "test/sad/4.png", "unlabeled/5.png", "6.png")
    put(tmp_path / "set", *inside)
    expected = {
        "6.png": ("", ""),
        "Train/happy/1.png": ("happy", "train"),
        "Train/happy/deep/2.png": ("happy", "train"),
        "VALID/sad/3.png": ("sad", "validation"),
        "test/sad/4.png": ("sad", "test"),
        "unlabeled/5.png": ("", "train"),
    }
    assert places(tmp_path / "set") == expected
    assert {(found.label, found.split) for found in find_source_files([tmp_path / "set"])} == {("", "")}
    put(tmp_path / "set", "angry/7.png")
    with pytest.raises(MienError, match=r"either classes or splits in .*; found Train, VALID, test beside angry"):
        find_source_files([tmp_path / "set"], labeled=True)


def test_labels_without_splits(tmp_path: Path) -> None:
    # A class may be called test: a split holds class folders.
    put(tmp_path, "test/1.png", "happy/a/2.png", "unlabeled/3.png", "new\nline/4.png")
    expected = {"test/1.png": ("test", ""), "happy/a/2.png": ("happy", ""), "unlabeled/3.png": ("", "")}
    assert places(tmp_path) == expected | {"new\\nline/4.png": ("new\\nline", "")}


def test_folders_that_are_named_themselves_are_classes_or_splits(tmp_path: Path) -> None:
    put(tmp_path / "in", "happy/1.png", "happy/deep/2.png", "sad/3.png", "unlabeled/x/4.png", "stray.png")
    expected = {
        "happy/1.png": ("happy", ""),
        "happy/deep/2.png": ("happy", ""),
        "sad/3.png": ("sad", ""),
        "unlabeled/x/4.png": ("", ""),
    }
    assert places(f"{tmp_path}/in/*") == expected | {"stray.png": ("", "")} == places(tmp_path / "in")
    assert places(*(tmp_path / "in" / name for name in ("happy", "sad", "unlabeled"))) == expected
    # One that is no expression's is the class of its own photos alone; one that holds classes is none.
    put(tmp_path / "of", "joy/sad/1.png", "joy/2.png", "bored/3.png", "bored/deep/4.png", "all/train/sad/5.png", "all/6.png")
    classes = {"all/train/sad/5.png": "sad", "all/6.png": "", "bored/3.png": "bored", "bored/deep/4.png": "deep"}
    classes |= {"joy/sad/1.png": "sad", "joy/2.png": ""}
    assert {name: label for name, (label, _) in places(f"{tmp_path}/of/*").items()} == classes
    put(tmp_path / "set", "train/happy/1.png", "TEST/sad/2.png", "TEST/3.png")
    split = {"train/happy/1.png": ("happy", "train"), "TEST/sad/2.png": ("sad", "test"), "TEST/3.png": ("", "test")}
    assert places(tmp_path / "set" / "train", tmp_path / "set" / "TEST") == split
    # One folder alone is what holds the classes.
    assert places(tmp_path / "in" / "happy") == {"1.png": ("", ""), "deep/2.png": ("deep", "")}
    assert {found.label for found in find_source_files([f"{tmp_path}/in/*"])} == {""}


def test_an_archive_in_a_folder_that_is_named_itself(tmp_path: Path) -> None:
    for name in ("happy/a.zip", "sets/b.zip"):
        (tmp_path / name).parent.mkdir()
        zipped(tmp_path / name, "x/1.png")
    assert list(places(f"{tmp_path}/*").values()) == [("happy", ""), ("x", "")]


def test_a_class_is_one_however_its_name_is_composed(tmp_path: Path) -> None:
    composed, apart = (unicodedata.normalize(form, "müde") for form in ("NFC", "NFD"))
    put(tmp_path, f"{composed}/1.png", f"{apart}/2.png")
    (tmp_path / "list.csv").write_text(f"path,label\n1.png,{apart}\n")
    assert [label for label, _ in places(tmp_path).values()] == [composed] * 2
    assert places(tmp_path / "list.csv") == {"1.png": (composed, "")}


def test_labels_in_archives(tmp_path: Path) -> None:
    inside = ("set/train/happy/1.png", "set/unlabeled/2.png", "./set/3.png")
    (tmp_path / "own").mkdir()
    taped(tmp_path / "own" / "set.tar", *inside)
    assert list(places(tmp_path / "own" / "set.tar").values()) == [("happy", "train"), ("", ""), ("", "")]
    (tmp_path / "classes" / "sad").mkdir(parents=True)
    zipped(tmp_path / "classes" / "sad" / "many.zip", "x/1.png")
    zipped(tmp_path / "classes" / "few.zip", "angry/1.png")
    assert places(tmp_path / "classes") == {"few.zip/angry/1.png": ("angry", ""), "sad/many.zip/x/1.png": ("sad", "")}


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.sets(st.binary(min_size=1, max_size=6).map(os.fsdecode), min_size=1, max_size=8))
def test_printable_names_are_unique_and_can_be_turned_back(texts: set[str]) -> None:
    shown = [escaped_name(text) for text in texts]
    assert len(set(shown)) == len(texts)
    assert all(name.isprintable() and name.encode() for name in shown)
    back = [name.encode("latin-1", "backslashreplace").decode("unicode_escape") for name in shown]
    assert back == list(texts)


def test_odd_file_names_are_read_and_shown(tmp_path: Path) -> None:
    odd = [b"new\nline.png", b"latin-\xe9.png", "höhe.png".encode(), b"back\\n.png", b"tab\t.png", b" .png"]
    for tone, name in enumerate(sorted(odd)):
        (tmp_path / os.fsdecode(name)).write_bytes(photo(tone))
    shown = {" .png", "back\\\\n.png", "höhe.png", "latin-\\udce9.png", "new\\nline.png", "tab\\t.png"}
    assert set(names(tmp_path)) == shown
    assert sorted(tones(tmp_path)) == list(range(6))


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.integers(0, 2**32 - 1))
def test_the_order_is_the_same_and_names_are_unique(seed: int) -> None:
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        made = [f"{'/'.join(chance.choices('abAé', k=chance.randint(1, 3)))}x/{chance.randint(0, 4)}.png" for _ in range(12)]
        chance.shuffle(made)
        put(folder, *made)
        zipped(folder / "z.zip", *dict.fromkeys(made))
        taped(folder / "a.tgz", *made)
        (folder / "list.txt").write_text("\n".join(made))
        several: list[str | Path] = [
            folder,
            folder / "list.txt",
            folder / "z.zip",
            *folder.iterdir(),
            f"{folder}/**/*.png",
            folder / "list.txt",
        ]
        found = names(*several)
        assert found == names(*several)
        assert len(set(found)) == len(found)
        assert set(made) <= {name.split("/", 1)[1] for name in found}
        alone = names(folder)
        assert alone == names(folder)
        assert len(set(alone)) == len(alone) == len(set(made)) * 2 + 12
        assert [name for name in alone if name in set(made)] == sorted(set(made), key=lambda name: name.split("/"))


def test_inputs_go_to_other_processes(tmp_path: Path) -> None:
    put(tmp_path, "odd\udcff.png")
    zipped(tmp_path / "a.zip", "1.png")
    taped(tmp_path / "b.tgz", "1.png")
    found = list(find_source_files([tmp_path]))
    copies: list[SourceFile] = pickle.loads(pickle.dumps(found))
    assert copies == found
    assert len(pickle.dumps(found[0])) < 500
    assert [read_photo(copy).tolist() for copy in copies] == [read_photo(each).tolist() for each in found]


def test_special_files_in_folders_are_found_and_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    os.mkfifo(tmp_path / "pipe.zip")
    os.mkfifo(tmp_path / "pipe.tgz")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s.png"))
        for found in find_source_files([tmp_path]):
            with pytest.raises(MienError, match="a pipe, a socket or a device"):
                read_photo(found)
    assert names(tmp_path) == ["pipe.png", "pipe.tgz", "pipe.zip", "s.png"]


def test_a_folder_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, "a/1.png", "b/2.png")
    scan = os.scandir

    def refused(path: Path) -> object:
        if Path(path).name == "a":
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr("mien.media.find_source_files.os.scandir", refused)
    assert names(tmp_path) == ["a", "b/2.png"]
    assert faults(tmp_path) == {"a": "Permission denied"}


def test_a_deep_folder_is_no_problem(tmp_path: Path) -> None:
    here = os.open(tmp_path, os.O_RDONLY)
    for _ in range(1050):
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(os.open("1.png", os.O_CREAT, dir_fd=here))
    os.close(here)
    try:
        assert names(tmp_path) == ["/".join(["d"] * 1050) + "/1.png"]
    finally:  # pytest's own way of removing it goes as deep as Python does
        subprocess.run(["rm", "-r", tmp_path / "d"], check=True)


@pytest.mark.parametrize("kind", ["folders", "tar", "tgz"])
def test_memory_does_not_grow_with_the_inputs(tmp_path: Path, kind: str) -> None:
    def measured(count: int) -> int:
        made = [f"{each // 100:04}/{each}.png" for each in range(count)]
        path = tmp_path / f"{count}.{kind}"
        if kind == "folders":
            for name in made:
                (path / name).parent.mkdir(parents=True, exist_ok=True)
                (path / name).touch()
        else:
            taped(path, *made)
        assert sum(1 for _ in find_source_files([path])) == count
        return peak(lambda: sum(1 for _ in find_source_files([path])))

    few, many = measured(200), measured(1200)
    # A hash for each member's name; nothing for files in folders.
    assert many - few < (100_000 if kind == "folders" else 1000 * 150)


FORMS = {".zip": zipped, ".tar": taped, ".tgz": taped}


@settings(max_examples=120, deadline=None, derandomize=True)
@given(st.sampled_from(sorted(FORMS)), st.integers(0, 2**32 - 1), st.sampled_from(["flip", "cut", "noise", "flip many"]))
def test_any_archive_gives_photos_or_reasons(ending: str, seed: int, harm: str) -> None:
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory() as text:
        path = FORMS[ending](Path(text) / f"a{ending}", "a/1.png", "b/" + "n" * 120 + ".png", "3.mp4")
        content = bytearray(path.read_bytes())
        for _ in range({"flip": 1, "flip many": 40}.get(harm, 0)):
            content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
        content = content[: chance.randrange(len(content))] if harm == "cut" else content
        content = bytearray(chance.randbytes(2000)) if harm == "noise" else content
        path.write_bytes(content)
        tracemalloc.start()
        for found in find_source_files([path], labeled=True):
            with suppress(MienError):
                assert read_photo(found).shape[2] == 3
        assert tracemalloc.get_traced_memory()[1] < 64 << 20
        tracemalloc.stop()


def test_the_files_of_a_list_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.txt").write_text("".join(f"{n}.png\n" for n in range(5)))
    assert len(list(find_source_files([tmp_path / "a.txt"]))) == 5
    monkeypatch.setattr("mien.media.photo_lists.FILES", 3)
    *some, last = find_source_files([tmp_path / "a.txt"])
    assert [one.name for one in some] == ["0.png", "1.png", "2.png"]
    assert last.fault == "more than 3 files in a list; make several of it"


def test_a_name_with_a_null_byte_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"a\0b.png\n")
    (one,) = find_source_files([tmp_path / "a.txt"])
    assert len(state_of([one])) == 64
    with pytest.raises(MienError, match=r"null (byte|character)"):  # the latter from Python 3.13 on
        read_photo(one)
