"""What the command line says to whoever mistypes, asks for help or for a version, or writes to a stream of few letters."""

import csv
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from PIL import Image

import mien as package
from conftest import Command, Done
from mien.cli import app, main
from mien.wording import with_suggestion
from processes import WAIT

GROUP = typer.main.get_group(app)
WHOLE = ("--align", "whole")
"""A photo is a face."""


def _photo(path: Path) -> None:
    Image.fromarray(np.arange(48 * 48, dtype=np.uint8).reshape(48, 48)).save(path)


def _commands() -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = [()]
    for name, command in GROUP.commands.items():
        found += [(name,), *((name, below) for below in getattr(command, "commands", {}))]
    return found


@pytest.mark.parametrize("words", _commands(), ids=" ".join)
@pytest.mark.parametrize("columns", [60, 80])
def test_help_has_every_option_whole(
    mien: Command, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], columns: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    done = mien(*words, "--help")
    assert done.code == 0
    assert max(map(len, done.out.splitlines())) <= columns
    assert "…" not in done.out
    assert not re.search(r"[a-z,]\.\.\.$", done.out, re.MULTILINE), "a line that is cut"
    command: Any = GROUP
    for word in words:
        command = command.commands[word]
    options = [name for one in command.params if one.param_type_name == "option" for name in (*one.opts, *one.secondary_opts)]
    assert [name for name in options if not re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", done.out)] == []
    assert all(name in done.out for name in getattr(command, "commands", {}))


def test_which_mien_this_is(mien: Command) -> None:
    from importlib.metadata import version

    assert mien("--version").out == f"mien {version('mien')}\n"
    assert package.__version__ == version("mien")
    done = subprocess.run([sys.executable, "-m", "mien", "--version"], capture_output=True, text=True, timeout=WAIT)
    assert (done.returncode, done.stdout) == (0, f"mien {version('mien')}\n")


@pytest.mark.parametrize(
    ("words", "like"),
    [
        (["trian"], "train"),
        (["labels", "exprt"], "export"),
        (["recipes", "fixmach"], "fixmatch"),
        (["recipes", "Fix_Match"], "fixmatch"),
        (["train", "faces", "--out", "run", "--recpie", "x"], "--recipe"),
        (["train", "faces", "--out", "run", "--set", "bacth=3"], "batch"),
        (["train", "faces", "--out", "run", "--set", "step.technique=decsend"], "descend"),
        (["train", "faces", "--out", "run", "--set", "stages.0.optimizer=admw"], "adamw"),
        (["train", "faces", "--out", "run", "--set", "agument.weak=1"], "augment"),
        (["train", "faces", "--out", "run", "--model", "exprnetsmall"], "exprnet_small"),
        (["predict", "photo.jpg", "--model", "mien_s"], "mien-s"),
        (["predict", "photo.jpg", "--align", "eys"], "eyes"),
        (["predict", "photo.jpg", "--align", "box", "--detector", "mtcn"], "mtcnn"),
        (["prepare", "photo.jpg", "faces", "--keep", "sharpnes>=3"], "sharpness"),
        (["import", "fodler", "a", "b"], "folder"),
        (["labels", "export", "store", "out.csv", "--what", "consnsus"], "consensus"),
    ],
)
def test_what_was_meant(mien: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], like: str) -> None:
    monkeypatch.chdir(tmp_path)
    _photo(tmp_path / "photo.jpg")
    done = mien(*words)
    assert done.code
    assert re.search(rf"([Dd]id you mean|Possible options:) .*{re.escape(like)}", done.err), done.err


def test_nothing_is_meant_by_what_is_like_nothing() -> None:
    assert with_suggestion("happy", ["cpu", "cuda"]) == "'happy'"
    assert with_suggestion("Hapiness", ["happiness", "sadness"]) == "'Hapiness' (did you mean happiness?)"
    assert len(with_suggestion("happiness" * 10**6, ["happiness"])) < 300


def _run(folder: Path, coding: str, *words: str) -> subprocess.CompletedProcess[bytes]:
    environment = os.environ | {"PYTHONIOENCODING": coding}
    return subprocess.run([sys.executable, "-m", "mien", *words], cwd=folder, env=environment, capture_output=True, timeout=WAIT)


@pytest.mark.parametrize("coding", ["cp1252", "ascii", "cp437", "utf-16"])
def test_names_that_a_stream_cannot_write_end_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, coding: str) -> None:
    for name in ("a", "b-漢字", "c-é😮"):
        _photo(tmp_path / f"{name}.jpg")
    (tmp_path / "d-漢.jpg").write_bytes(b"none")
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> Done:
        """What Python writes to streams of this coding."""
        out, err = (io.TextIOWrapper(io.BytesIO(), coding, "strict", write_through=True) for _ in range(2))
        with monkeypatch.context() as patched:
            for name, stream in (("stdout", out), ("stderr", err)):
                patched.setattr(sys, name, stream)
            patched.setattr(sys, "argv", ["mien", "predict", ".", *WHOLE, *words])
            with pytest.raises(SystemExit) as end:
                main()
        return Done(int(end.value.code or 0), *(one.buffer.getvalue().decode(coding) for one in (out, err)))

    done = run()
    assert (done.code, len(done.out.splitlines())) == (0, 3), done.err
    assert re.search(r"b-(漢字|\\u6f22\\u5b57)\.jpg: \w+", done.out)
    assert "Traceback" not in done.err
    assert "d-" in done.err
    names = [json.loads(line)["photo"] for line in run("--json").out.splitlines()]
    assert names == ["a.jpg", "b-漢字.jpg", "c-é😮.jpg", "d-漢.jpg"]
    assert len(list(csv.reader(io.StringIO(run("--csv").out)))) == 4


def test_a_table_has_classes_in_any_letters(tmp_path: Path) -> None:
    faces = package.FaceSet.from_arrays(np.zeros((4, 8, 8), np.uint8), np.arange(4) % 2, classes=["喜び", "😮"])
    faces.save(tmp_path / "faces")
    for words in (["describe", "faces"], ["describe", "faces", "--json"]):
        done = _run(tmp_path, "cp1252", *words)  # a real process
        assert (done.returncode, b"\\u559c\\u3073" in done.stdout, done.stderr) == (0, True, b"")


def test_a_new_file_after_an_option_that_prints(mien: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    _photo(tmp_path / "photo.jpg")
    for words in (["predict", "photo.jpg", *WHOLE, "--csv", "out.csv"], ["import", "synthetic", "--json", "out.json"]):
        done = mien(*words)
        assert (done.code, f"{words[-2]} > {words[-1]}" in done.err) == (1, True)
    assert [path.name for path in tmp_path.iterdir()] == ["photo.jpg"]
    Path("out.csv").write_text(mien("predict", "photo.jpg", *WHOLE, "--csv").out, "utf-8")
    done = mien("predict", "photo.jpg", *WHOLE, "--csv", "out.csv")
    assert (done.code, "which mien predict --csv wrote" in done.err) == (1, True)
    Path("list.csv").write_text("path\nphoto.jpg\n")
    assert len(mien("predict", *WHOLE, "--csv", "list.csv").out.splitlines()) == 2


def test_what_is_drawn_is_not_read(mien: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    _photo(tmp_path / "photos" / "a.jpg")
    done = mien("predict", "photos", *WHOLE, "--draw", "photos/../photos/drawn")
    assert (done.code, len(done.out.splitlines())) == (0, 1)
    assert len(list((tmp_path / "photos" / "drawn").iterdir())) == 1


def test_a_class_without_test_face_is_named(mien: Command, tmp_path: Path) -> None:
    for name, count in (("happy", 40), ("sad", 1), ("angry", 1)):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(count):
            _photo(tmp_path / "photos" / name / f"{number}.png")
    done = mien("import", "folder", tmp_path / "photos", tmp_path / "faces", "--test", 0.25)
    splits = package.FaceSet.open(tmp_path / "faces")
    tested = {splits.classes[label] for label in splits.labels[splits.values("split") == "test"]}
    left = [name for name in splits.classes if name not in tested]
    assert left
    assert f"warning: no test face of {', '.join(left)}: figures" in done.err


def test_the_demo_leaves_what_is_there_alone(mien: Command, tmp_path: Path) -> None:
    mine = tmp_path / "mine" / "mine.txt"
    mine.parent.mkdir()
    mine.touch()
    done = mien("demo", "--out", mine.parent)
    assert done.code == 1
    assert "expected a new or an empty folder" in done.err
    assert [*mine.parent.iterdir()] == [mine]
