"""benchmarks/photos.py and benchmarks/web_people.py: who is measured is nobody that anything is fitted to; lists with faults."""

import csv
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))
import photos
import sure
from mien import FaceSet, Recognizer
from web_people import LARGER, is_measured, part_of

PEOPLE = [f"person {number}" for number in range(400)]


def write_list(file: Path, rows: list[tuple[str, str, str]]) -> Path:
    """A list of photos: path, label and subject."""
    with file.open("w", newline="") as opened:
        csv.writer(opened).writerows([("path", "label", "subject"), *rows])
    return file


def test_nothing_is_fitted_to_people_that_are_measured(tmp_path: Path) -> None:
    parts = {name: part_of(name) for name in PEOPLE}
    assert [round(list(parts.values()).count(part) / 100) for part in ("train", "validation", "test")] == [1, 1, 2]
    measured = {name for name in PEOPLE if is_measured(name)}
    assert measured == {name for name in PEOPLE if parts[name] == "test"}
    listed = write_list(tmp_path / "list.csv", [("a.png", "happy", name) for name in PEOPLE])
    assert {one.subject for one in photos.read_list(listed, {}, (), "even")} == measured
    recognizer = Recognizer.load("mien-s", "cpu")
    pixels, labels = np.zeros((len(PEOPLE), 48, 48), np.uint8), np.zeros(len(PEOPLE), np.int64)
    FaceSet.from_arrays(pixels, labels, recognizer.classes, {"subject": PEOPLE}).save(tmp_path / "web")
    for also, fitted in ((0, len(PEOPLE) - len(measured)), (1, list(parts.values()).count("validation"))):
        recognizer.card.budget["also_labels"] = also
        fit, even = sure.other_domain(tmp_path / "web", recognizer, False)
        assert (len(fit.labels), len(even.labels)) == (fitted, len(measured))
    # The first split validated by the same people, and trained on half of those that others measure on.
    first = {name: part_of(name, LARGER) for name in PEOPLE}
    assert {name for name in PEOPLE if first[name] == "validation"} == {n for n in PEOPLE if parts[n] == "validation"}
    assert {name for name in PEOPLE if first[name] == "train"} & measured


def run(words: list[str | Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """The benchmark with these words on its command line."""
    monkeypatch.setattr(sys, "argv", ["photos.py", *map(str, words)])
    photos.main()


def test_missing_photos_and_missing_neutral_ones_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.new("RGB", (64, 64)).save(tmp_path / "blank.png")
    rows = [("blank.png", "happiness", "a"), ("gone.png", "neutral", "b"), ("blank.png", "sadness", "b")]
    run([write_list(tmp_path / "list.csv", rows), "--baseline"], monkeypatch)
    told = capsys.readouterr()
    lines = [json.loads(line) for line in told.out.splitlines()]
    assert [(line["photos"], line.get("accuracy", [0])[0]) for line in lines] == [(3, 0), (0, 0), (0, 0)]
    assert "gone.png counts as a face that was not found" in told.err


@pytest.mark.parametrize(
    ("rows", "words", "said"),
    [
        ([("a.png", "", "a")], [], "found none"),
        ([("a.png", "anger", "a")], ["--groups", "age"], "the columns age in .*: --columns renames"),
        ([("a.png", "anger", "a")], ["--columns", "label=mood"], "the columns mood in .*, found path, label, subject"),
    ],
)
def test_lists_that_cannot_be_measured_end_with_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: list[tuple[str, str, str]], words: list[str], said: str
) -> None:
    with pytest.raises(SystemExit, match=said):
        run([write_list(tmp_path / "list.csv", rows), *words], monkeypatch)
