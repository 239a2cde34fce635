"""A few inputs of every kind that fuzzers make: mien reads or refuses them. `python -m fuzzing` reads many."""

import json
import re
from pathlib import Path

import pytest

from fuzzing import KINDS, MEMORY, archives, fuzz, make_input
from fuzzing.__main__ import table

FEW = 5
NUMBER = rb"[0-9][0-9.]*(e-?[0-9]+)?"
GENEROUS = 600.0
"""Seconds: a slow machine is no fault."""


def said(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()}


@pytest.fixture(autouse=True)
def _smaller_bombs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Most of the time would go by while bombs are packed; larger ones than this are read by `python -m fuzzing`."""
    monkeypatch.setattr(archives, "MUCH", 64 << 20)


@pytest.mark.parametrize("kind", KINDS)
def test_a_few_are_read_or_refused(kind: str, tmp_path: Path) -> None:
    report = fuzz(kind, range(FEW), seed=1, seconds=GENEROUS, keep=tmp_path)
    assert report.failed == []
    assert report.endings["read"] + report.endings["refused"] == FEW
    assert report.heaviest is not None
    assert report.heaviest.memory < MEMORY


def lengths(files: dict[str, bytes]) -> dict[str, int]:
    """Of each file; in texts every number counts as one letter, since some say how long something took."""
    texts = (".json", ".csv", ".html", ".svg")
    return {name: len(re.sub(NUMBER, b"0", content) if name.endswith(texts) else content) for name, content in files.items()}


@pytest.mark.parametrize("kind", KINDS)
def test_inputs_are_made_again_the_same(kind: str, tmp_path: Path) -> None:
    for number in range(2):
        make_input(kind, 1, number, tmp_path / f"a{number}")
        make_input(kind, 1, number, tmp_path / f"b{number}")
        first, second = said(tmp_path / f"a{number}"), said(tmp_path / f"b{number}")
        if kind == "states":  # which name the folder they are in, and whose safetensors note things in no order
            assert lengths(first) == lengths(second)
        else:
            assert first == second


KIND = """
import os
import time

from mien.errors import MienError

def make(generator, folder):
    (folder / "what").write_text(generator.choice(["ok"]))

def read(folder):
    what = int(folder.name)
    if what == 1:
        raise MienError("a", "b", "c")
    if what == 2:
        raise ValueError("a fault")
    if what == 3:
        os.write(2, b"last words")
        os._exit(7)
    if what == 4:
        bytes(bytearray(b"x") * 60_000_000)
    if what == 5:
        time.sleep(3600)
"""


def test_what_fails_is_counted_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "trials").mkdir()
    (tmp_path / "trials" / "__init__.py").touch()
    (tmp_path / "trials" / "trial.py").write_text(KIND)
    monkeypatch.syspath_prepend(str(tmp_path))
    report = fuzz("trials.trial", range(5), seconds=GENEROUS, keep=tmp_path / "kept")
    assert {**report.endings} == {"read": 2, "refused": 1, "faults": 1, "crashes": 1}
    assert [one.number for one in report.failed] == [2, 3]
    assert report.heaviest is not None
    assert report.heaviest.number == 4
    assert report.heaviest.memory > 50_000_000
    assert "ValueError: a fault" in (tmp_path / "kept" / "trials.trial-0-000002" / "what-was-said.txt").read_text()
    assert "exit code 7\nlast words" in report.failed[1].said
    assert json.loads(json.dumps(report.to_json()))["crashes"] == 1
    assert "trials.trial 3: crashes" in table([report])
    hanging = fuzz("trials.trial", range(5, 6), seconds=0.5)
    assert {**hanging.endings} == {"hangs": 1}
