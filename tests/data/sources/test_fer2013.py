"""What is published about FER2013 and FER+. How they are read is tested in test_sources.py."""

from pathlib import Path

import pytest
from published import each_missing, facts_are_whole, write_picture, write_text

from mien.data.importing import import_source, source_from
from mien.data.sources.fer2013 import Fer2013
from mien.data.sources.ferplus import VOTES, FerPlus

VOTED = "0,9,0,0,0,0,0,0,0,1"
PIXELS = " ".join(["7"] * 48 * 48)


@pytest.mark.parametrize("name", ["fer2013", "ferplus"])
def test_facts(name: str) -> None:
    facts_are_whole(name)


def test_published_numbers() -> None:
    """Its authors' three splits; ALT counts them so, and DAL's Table 2 has the first by class."""
    counts = Fer2013(Path()).published_counts()
    assert {split: sum(each.values()) for split, each in counts.items()} == {
        "Training": 28_709,
        "PublicTest": 3_589,
        "PrivateTest": 3_589,
    }
    assert dict(counts["Training"]) == {
        "anger": 3995,
        "disgust": 436,
        "fear": 4097,
        "happiness": 7215,
        "neutral": 4965,
        "sadness": 4830,
        "surprise": 3171,
    }
    named = FerPlus(Path()).published_counts()
    assert named == {"Training": {"": 28_561}, "PublicTest": {"": 3_579}}


def _write_tables(folder: Path) -> None:
    """A face with its label, and the votes on it."""
    write_text(folder / "fer2013.csv", f"emotion,pixels,Usage\n3,{PIXELS},Training\n")
    write_text(folder / "fer2013new.csv", f"Usage,Image name,{','.join(VOTES)}\nTraining,fer0000000.png,{VOTED}\n")


def _write_folder(folder: Path) -> None:
    """The same as the scripts of FER+'s authors write it."""
    write_picture(folder / "FER2013Train/fer0000000.png", (48, 48))
    write_text(folder / "FER2013Train/label.csv", f'fer0000000.png,"(0, 0, 48, 48)",{VOTED}\n')


def test_each_missing_thing_is_named(tmp_path: Path) -> None:
    each_missing("fer2013", _write_tables, tmp_path / "a", ("fer2013new.csv",), side=None)
    each_missing("ferplus", _write_tables, tmp_path / "b", side=None)
    each_missing("ferplus", _write_folder, tmp_path / "c", side=None)


def test_a_file_without_some_rows_is_read_and_said(tmp_path: Path) -> None:
    write_text(tmp_path / "fer2013.csv", f"emotion,pixels,Usage\n3,{PIXELS},Training\n0,{PIXELS},PublicTest\n")
    done = import_source(source_from("fer2013", {"input": tmp_path}), tmp_path / "set")
    assert len(done.faces) == 2
    assert "Training happiness: 1, published 7,215" in done.differences
    assert "PrivateTest: 0, published 3,589" in done.differences
