"""Numbers and names on the command line: out of bounds, no number, no text; and what a terminal cannot write."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import Command
from mien import cli

HUGE = 10**20


@pytest.mark.parametrize(
    ("words", "option"),
    [
        (["train", "x", "--out", "y", "--seed", HUGE], "--seed"),
        (["train", "x", "--out", "y", "--seed", -1], "--seed"),
        (["train", "x", "--out", "y", "--epochs", HUGE], "--epochs"),
        (["train", "x", "--out", "y", "--labels-per-class", HUGE], "--labels-per-class"),
        (["train", "x", "--out", "y", "--labels-per-class", 0], "--labels-per-class"),
        (["train", "x", "--out", "y", "--labels", -1], "--labels"),
        (["train", "x", "--out", "y", "--unlabeled-faces", HUGE], "--unlabeled-faces"),
        (["train", "x", "--out", "y", "--noise", "nan"], "--noise"),
        (["train", "x", "--out", "y", "--noise", "1e308"], "--noise"),
        (["train", "x", "--out", "y", "--threads", 10**6], "--threads"),
        (["demo", "--seed", HUGE], "--seed"),
        (["predict", "x", "--every", "1e-300"], "--every"),
        (["predict", "x", "--every", "nan"], "--every"),
        (["predict", "x", "--every", "inf"], "--every"),
        (["predict", "x", "--least-face", "nan"], "--least-face"),
        (["watch", 0, "--seconds", "nan"], "--seconds"),
        (["watch", HUGE], "CAMERA"),
        (["prepare", "x", "y", "--every", "1e-300"], "--every"),
        (["prepare", "x", "y", "--side", 10**9], "--side"),
        (["prepare", "x", "y", "--workers", 10**6], "--workers"),
        (["prepare", "x", "y", "--test", "nan"], "--test"),
        (["prepare", "x", "y", "--seed", HUGE], "--seed"),
        (["import", "synthetic", "x", "--side", HUGE], "--side"),
        (["import", "synthetic", "x", "--skip", -1], "--skip"),
        (["import", "synthetic", "x", "--test", "inf"], "--test"),
        (["features", "x", "y", "z", "--views", HUGE], "--views"),
        (["features", "x", "y", "z", "--grid", HUGE], "--grid"),
        (["features", "x", "y", "z", "--limit-gb", "nan"], "--limit-gb"),
        (["convert", "x", "y", "--side", HUGE], "--side"),
        (["compare", "x", "--recipes", "a", "--out", "y", "--seeds", HUGE], "--seeds"),
        (["compare", "x", "--recipes", "a", "--out", "y", "--epochs", HUGE], "--epochs"),
        (["rounds", "x", "--recipe", "a", "--out", "y", "--per-round", HUGE], "--per-round"),
        (["rounds", "x", "--recipe", "a", "--out", "y", "--per-round", 1, "--min-gain", "nan"], "--min-gain"),
        (["rounds", "x", "--recipe", "a", "--out", "y", "--per-round", 1, "--rounds", HUGE], "--rounds"),
        (["autoencoder", "train", "x", "--out", "y", "--epochs", HUGE], "--epochs"),
        (["annotate", "x", "--store", "y", "--per-face", HUGE], "--per-face"),
        (["annotate", "x", "--store", "y", "--first", HUGE], "--first"),
        (["labels", "export", "x", "y", "--min-answers", HUGE], "--min-answers"),
        (["labels", "export", "x", "y", "--min-agreement", "nan"], "--min-agreement"),
        (["peaks", "x", "y", "--nearest", HUGE], "--nearest"),
        (["consistency", "x", "y", "--draws", HUGE], "--draws"),
        (["consistency", "x", "y", "--sigma", "1e308"], "--sigma"),
        (["consistency", "x", "y", "--sigma", "nan"], "--sigma"),
        (["label-errors", "x", "--model", "y", "--folds", HUGE], "--folds"),
        (["label-errors", "x", "--model", "y", "--first", HUGE], "--first"),
        (["label-errors", "x", "--model", "y", "--noise", "nan"], "--noise"),
        (["identities", "x", "y", "--least", HUGE], "--least"),
        (["identities", "x", "y", "--test", "nan"], "--test"),
        (["verify", "x", "y", "--pairs", HUGE], "--pairs"),
        (["verify", "x", "y", "--folds", HUGE], "--folds"),
        (["neurons", "x", "y", "--out", "z", "--top", HUGE], "--top"),
        (["neurons", "x", "y", "--out", "z", "--drawn", HUGE], "--drawn"),
        (["weights", "x", "y", "--per-class", HUGE], "--per-class"),
        (["duplicates", "x", "--distance", HUGE], "--distance"),
        (["adapt", "mien-s", "x", "--out", "y", "--seed", HUGE], "--seed"),
    ],
)
def test_options_say_where_they_end(
    mien: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[object], option: str
) -> None:
    monkeypatch.chdir(tmp_path)
    done = mien(*words)
    assert (done.code, done.out) == (2, "")
    assert f"Invalid value for '{option}" in " ".join(done.err.replace("│", " ").split())
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("setting", "found"),
    [
        ("stages.0.lr=1e308", "lr = 1e+308"),
        ("stages.0.lr=NaN", "lr = nan"),
        ("batch=1e20", "batch = 1e+20"),
        ("batch=99999999999999999999", "a larger one"),
        (f"batch={'9' * 5000}", "batch = '9999"),
        (f"batch={'[' * 200_000}", "a deeper one"),
        ("model.width=10000000000000", "width = 10000000000000"),
        ("model.copies=0", "copies"),
        ("stages.²=1", "'²'"),
    ],
)
def test_settings_say_where_they_end(mien: Command, stored: Path, tmp_path: Path, setting: str, found: str) -> None:
    done = mien("train", stored, "--out", tmp_path / "run", "--set", setting)
    assert done.code == 1
    assert found in done.err
    assert len(done.err) < 600
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--vary", "batch=" + "[" * 200_000], 1, "mien: expected"),
        (["--labels-per-class", "9" * 5000], 2, "Invalid value for '--labels-per-class'"),
        (["--labels-per-class", "10,few"], 2, "Invalid value for '--labels-per-class'"),
        (["--noise", "NaN"], 2, "Invalid value for '--noise'"),
        (["--noise", "0,1"], 2, "Invalid value for '--noise'"),
    ],
)
def test_what_a_grid_is_given_is_read_with_care(
    mien: Command, stored: Path, tmp_path: Path, words: list[str], code: int, said: str
) -> None:
    done = mien("compare", stored, "--recipes", "supervised_small", "--out", tmp_path / "out", *words)
    assert (done.code, said in done.err, len(done.err) < 800) == (code, True, True), done.err
    assert not (tmp_path / "out").exists()


NO_TEXT = os.fsdecode(b"r\xff")


@pytest.mark.parametrize(
    "words",
    [
        ["train", "{set}", "--out", "{bad}", "--recipe", "supervised_small", "--epochs", "1"],
        ["train", "{bad}", "--out", "{new}"],
        ["compare", "{set}", "--recipes", "supervised_small", "--out", "{bad}"],
        ["rounds", "{set}", "--recipe", "supervised_small", "--per-round", "3", "--oracle", "labels", "--out", "{bad}"],
        ["autoencoder", "train", "{set}", "--out", "{bad}"],
        ["describe", "{bad}"],
        ["evaluate", "{bad}", "{set}"],
        ["import", "synthetic", "{bad}"],
        ["duplicates", "{set}", "--write", "{bad}"],
    ],
)
def test_a_name_that_is_no_text_is_refused_before_any_work(mien: Command, stored: Path, tmp_path: Path, words: list[str]) -> None:
    places = {"set": str(stored), "bad": f"{tmp_path}/{NO_TEXT}", "new": f"{tmp_path}/new"}
    done = mien(*(word.format(**places) for word in words))
    assert done.code == 1
    assert "a path in UTF-8" in done.err
    assert not any(NO_TEXT in path.name for path in tmp_path.iterdir())


SEVERAL = """
import sys
from mien.cli import main
left = sys.argv[1:]
while left:
    end = left.index("next")
    sys.argv, left = ["mien", *left[:end]], left[end + 1 :]
    try:
        main()
    except SystemExit as end:
        print(end.code)
"""
"""Commands one after the other, "next" behind each, which say their exit codes."""


def test_what_a_terminal_cannot_write_is_written_otherwise(stored: Path, tmp_path: Path) -> None:
    """A name that is no text, a class in another script, on a terminal that knows ASCII alone."""
    environment = os.environ | {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "LC_ALL": "C"}
    words = ["resume", f"{tmp_path}/{NO_TEXT}", "next", "recipes", "é\udcff", "next", "describe", f"{tmp_path}/é", "next"]
    done = subprocess.run([sys.executable, "-c", SEVERAL, *words], capture_output=True, env=environment, check=False)
    assert done.stdout.split() == [b"1"] * 3, done.stderr
    assert [line[:14] for line in done.stderr.splitlines()] == [b"mien: expected"] * 3


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (MemoryError(), True),
        (RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory: you tried to"), True),
        (RuntimeError("something else"), False),
    ],
)
def test_too_little_memory_is_a_sentence(mien: Command, monkeypatch: pytest.MonkeyPatch, error: Exception, told: bool) -> None:
    def fail(**how: object) -> None:
        raise error

    monkeypatch.setattr(cli, "app", fail)
    if not told:
        with pytest.raises(RuntimeError, match="something else"):
            mien("recipes")
        return
    done = mien("recipes")
    assert (done.code, "mien: expected enough memory" in done.err) == (1, True)


def test_what_is_no_file_is_not_waited_for(mien: Command, stored: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    for name, found in (
        ("pipe", "a pipe or a device"),
        ("loop", "symbolic links"),
        ("none", "No such file"),
        ("set", "a folder"),
    ):
        done = mien("train", stored, "--out", tmp_path / "run", "--noise-matrix", tmp_path / name)
        assert (done.code, found in done.err) == (1, True), done.err
    assert not (tmp_path / "run").exists()


def test_links_in_a_circle_and_names_that_are_empty_are_said(
    mien: Command, stored: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "loop").symlink_to("loop")
    mien("train", stored, "--out", "run", "--recipe", "supervised_small", "--epochs", 1, "--set", "model.width=8")
    for words in (["label-errors", stored, "--model", "run", "--by", "weights", "--out", "loop"], ["explain", "run", ""]):
        done = mien(*words)
        assert (done.code, done.err.splitlines()[-1].startswith("mien: expected")) == (1, True), done.err
