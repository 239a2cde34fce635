"""FER2013: 35,887 faces found by web search, 48 x 48 gray, one label each (Goodfellow et al. 2013)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass as plain
from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic.dataclasses import dataclass
from typing_extensions import override

from mien.data.database import Database, Place, PublishedProtocol
from mien.data.format import Info
from mien.data.source import FaceBlock, Source
from mien.expressions import BASIC
from mien.media.rejections import Rejected
from mien.settings import STRICT
from mien.tabular.csv_files import stream_csv
from mien.tabular.csv_header import require_columns

SIDE = 48
COLUMNS = ("emotion", "pixels", "Usage")
EMOTIONS = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")
"""What the codes 0 to 6 of the file mean."""

CODES = pa.array([str(code) for code in range(len(EMOTIONS))])
LABELS = np.array([BASIC.index(name) for name in EMOTIONS])
"""Our label for each code."""
TRAINING = (3995, 436, 4097, 7215, 4830, 3171, 4965)
"""Training faces by code (DAL, Table 2)."""
PROTOCOLS = {
    "standard": PublishedProtocol(
        "train on Training, validate on PublicTest, test on PrivateTest",
        papers=("ALT", "DAL"),
        test="PrivateTest",
        validation="PublicTest",
    ),
    "public": PublishedProtocol(
        "for copies without PrivateTest: train on Training, a part of which validates, and test on PublicTest", test="PublicTest"
    ),
}
"""How is measured on its faces; on FER+ too."""
TESTS = {"PublicTest": 3589, "PrivateTest": 3589}
"""Faces of the other splits; their classes are published for no split alone."""

ALIGNMENT = "faces roughly centered and of one size, not rotated upright"
LICENSE = "images found by web search, whose rights are not cleared"
CITATION = "Goodfellow et al. 2013, Challenges in representation learning: a report on three machine learning contests"


@plain(frozen=True)
class PixelRows:
    """Consecutive rows of the file, from number `first` (0 is the row after the header).

    `faces`: uint8 (n, 48, 48), zeros in faulty rows; `emotion`, (n,): code 0 to 6, -1 for anything else; `usage`: (n,)
    names of splits; `faults`: what is wrong with the pixels, by place in this block.
    """

    first: int
    faces: npt.NDArray[np.uint8]
    emotion: npt.NDArray[np.int64]
    usage: npt.NDArray[np.object_]
    faults: dict[int, str]


@dataclass(frozen=True, config=STRICT)
class Fer2013(Source):
    """fer2013.csv as published: emotion (0 to 6), pixels (2,304 gray values), Usage (the split's name, kept as it is).

    Ids are fer0000000 and on, by row. Rows with another number of pixels or another emotion are rejected.
    """

    facts: ClassVar[Database] = Database(
        title="FER2013",
        about="35,887 faces found by web search, 48 x 48 gray, with one label each of which many are doubtful.",
        citation=CITATION,
        terms=f"made for a contest on Kaggle; {LICENSE}",
        research_only=True,
        may_be_passed_on=False,
        get="download the data of Kaggle's contest on facial expressions (2013)",
        places=(Place("fer2013.csv", "a row for each face: emotion (0 to 6), pixels (2,304 gray values) and Usage"),),
        layout_source="the file that its authors publish",
        protocols=PROTOCOLS,
    )

    input: Path
    """fer2013.csv, or the folder that holds it."""

    def info(self) -> Info:
        """Seven classes, 48 x 48 gray."""
        return Info(classes=BASIC, side=SIDE, name="fer2013", alignment=ALIGNMENT, license=LICENSE, citation=CITATION)

    def total(self) -> int:
        """The number of rows in the file."""
        return count_rows(csv_file(self.input))

    @override
    def published_counts(self) -> Mapping[str, Mapping[str, int]]:
        """By split; for Training by class."""
        return {"Training": dict(zip(EMOTIONS, TRAINING, strict=True))} | {split: {"": count} for split, count in TESTS.items()}

    def blocks(self) -> Iterator[FaceBlock]:
        """Faces with id, label and split. Raises MienError where a column is missing or the file is no CSV."""
        path = csv_file(self.input)
        for rows in read_rows(path):
            wrong = np.flatnonzero(rows.emotion < 0).tolist()
            faults = dict.fromkeys(wrong, "an emotion that is not 0 to 6") | rows.faults
            keep = np.setdiff1d(np.arange(len(rows.faces)), list(faults))
            columns = {
                "id": [f"fer{rows.first + place:07d}" for place in keep],
                "label": LABELS[rows.emotion[keep]],
                "split": rows.usage[keep],
            }
            yield FaceBlock(rows.faces[keep], columns, rejections(path, rows.first, faults))


def csv_file(path: Path) -> Path:
    """The file fer2013.csv, given that file or its folder."""
    return path / "fer2013.csv" if path.is_dir() else path


def count_rows(path: Path) -> int:
    """The number of lines after the header. Raises MienError where a column is missing."""
    require_columns(path, COLUMNS)
    with path.open("rb") as file:
        lines, last = 0, b"\n"
        while block := file.read(1 << 20):
            lines, last = lines + block.count(b"\n"), block[-1:]
    return lines - 1 + (last != b"\n")


def read_rows(path: Path) -> Iterator[PixelRows]:
    """The rows of fer2013.csv, in blocks of some thousands."""
    first = 0
    for batch in stream_csv(path, COLUMNS):
        faces, faults = parse_pixels(batch["pixels"])
        codes = pc.index_in(pc.utf8_trim_whitespace(batch["emotion"]), value_set=CODES)
        usage = pc.utf8_trim_whitespace(batch["Usage"].fill_null("")).to_numpy(zero_copy_only=False)
        yield PixelRows(first, faces, codes.fill_null(-1).to_numpy().astype(np.int64), usage, faults)
        first += len(batch)


def rejections(path: Path, first: int, faults: dict[int, str]) -> tuple[Rejected, ...]:
    """A rejection for each faulty row, in order, named by the number of the row."""
    return tuple(Rejected(f"{path.name} row {first + place}", faults[place]) for place in sorted(faults))


def parse_pixels(texts: pa.Array) -> tuple[npt.NDArray[np.uint8], dict[int, str]]:
    """Texts of 2,304 gray values as uint8 (n, 48, 48), and what is wrong with those that are not."""
    words = pc.ascii_split_whitespace(pc.utf8_trim_whitespace(texts.fill_null("")))
    counts = pc.list_value_length(words).to_numpy()
    faults = {
        int(place): f"{counts[place] if texts[place].is_valid else 0} pixels instead of {SIDE * SIDE}"
        for place in np.flatnonzero((counts != SIDE * SIDE) | ~texts.is_valid().to_numpy(zero_copy_only=False))
    }
    good = np.setdiff1d(np.arange(len(texts)), list(faults))
    values, bad = _to_bytes(words.take(pa.array(good)) if faults else words)
    faces = np.zeros((len(texts), SIDE, SIDE), np.uint8)
    faces[good] = values.reshape(-1, SIDE, SIDE)
    return faces, faults | {int(good[place]): "pixel values that are not 0 to 255" for place in bad}


def _to_bytes(words: pa.Array) -> tuple[npt.NDArray[np.uint8], list[int]]:
    """Pixels (n, 2304) from n lists of words, and the rows whose words are not numbers from 0 to 255."""
    try:
        return words.flatten().cast(pa.uint8()).to_numpy().reshape(len(words), SIDE * SIDE), []
    except pa.ArrowInvalid:
        if len(words) == 1:
            return np.zeros((1, SIDE * SIDE), np.uint8), [0]
    # Somewhere among these rows: halving finds the bad ones at the cost of a few rows each.
    half = len(words) // 2
    (low, bad_low), (high, bad_high) = _to_bytes(words[:half]), _to_bytes(words[half:])
    return np.concatenate([low, high]), bad_low + [half + place for place in bad_high]
