"""FER+: ten annotators' votes on the faces of FER2013 (Barsoum et al. 2016, arXiv:1608.01041)."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass as plain
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic.dataclasses import dataclass
from typing_extensions import override

from mien.data.database import Database, Place
from mien.data.format import Info
from mien.data.source import FaceBlock, Source
from mien.data.sources import fer2013
from mien.errors import MienError
from mien.expressions import FERPLUS
from mien.media.face_pictures import picture_path, read_picture_blocks
from mien.settings import STRICT
from mien.tabular.csv_files import read_csv
from mien.tabular.csv_header import csv_columns
from mien.wording import quantity

Rule = Literal["majority", "probability", "argmax"]
Counts = npt.NDArray[np.float32]

VOTES = (*FERPLUS, "unknown", "NF")
"""The ten columns of votes; NF: not a face."""

FOLDERS = {"FER2013Train": "Training", "FER2013Valid": "PublicTest", "FER2013Test": "PrivateTest"}
"""The split of each folder that the scripts of FER+'s authors write."""

CITATION = "Barsoum et al. 2016, Training deep networks for facial expression recognition with crowd-sourced labels"
NAMED = {"Training": 28_561, "PublicTest": 3_579}
"""Rows of the published votes that name a picture, by split; of PrivateTest we do not know how many do."""


@plain(frozen=True)
class VoteTable:
    """The names of pictures (N,), "" where FER+ has none, of their splits (N,), and the votes (N, 10)."""

    names: npt.NDArray[np.object_]
    usage: npt.NDArray[np.object_]
    votes: Counts

    @cached_property
    def ids(self) -> npt.NDArray[np.object_]:
        """The names without ending, (N,). FER+ gives a few pictures one name; the second becomes `name-2`."""
        seen = Counter[str]()
        stems = [Path(name).stem for name in self.names]
        for place, stem in enumerate(stems):
            seen[stem] += 1
            if stem and seen[stem] > 1:
                stems[place] = f"{stem}-{seen[stem]}"
        return np.array(stems, np.object_)


@dataclass(frozen=True, config=STRICT)
class FerPlus(Source):
    """FER+ in eight classes, its labels by one of three rules; faces that the rule leaves without label have -1.

    Column `raw_votes` holds the ten counts, `votes` what the rule keeps of the first eight (`kept_votes`). Rows of
    fer2013new.csv without a picture's name, in which FER+ found no face, are left out.
    """

    facts: ClassVar[Database] = Database(
        title="FER+ (FERPlus)",
        about="the faces of FER2013 with the votes of ten people each, for eight classes, unknown, and no face.",
        citation=f"{CITATION}; {fer2013.CITATION}",
        terms=f"the votes: MIT license; the faces: {fer2013.LICENSE}",
        research_only=True,
        may_be_passed_on=False,
        get="download fer2013new.csv from Microsoft's repository FERPlus, and fer2013.csv as `mien databases fer2013` says",
        places=(
            Place("fer2013new.csv", "the votes, a row for each row of fer2013.csv"),
            Place("fer2013.csv", "the faces"),
            Place(
                "<FER2013Train>/label.csv",
                "instead of both: the votes as the authors' scripts write them; FER2013Valid, FER2013Test",
            ),
            Place("<FER2013Train>/<fer0000000.png>", "and the faces beside them"),
        ),
        layout_source="the read-me and the scripts of its authors",
        protocols=fer2013.PROTOCOLS | {"standard": replace(fer2013.PROTOCOLS["standard"], papers=("ALT",))},
    )

    input: Path
    """Folder with fer2013.csv and fer2013new.csv, or with FER2013Train, FER2013Valid and FER2013Test."""
    rule: Rule = "majority"
    """majority: more than half of the votes; probability: the classes that make up 75 %; argmax: the most votes."""

    def info(self) -> Info:
        """Eight classes, 48 x 48 gray."""
        return Info(
            classes=FERPLUS,
            side=fer2013.SIDE,
            name=f"ferplus, {self.rule} rule",
            alignment=fer2013.ALIGNMENT,
            license=f"votes MIT; {fer2013.LICENSE}",
            citation=CITATION,
        )

    def total(self) -> int:
        """The number of rows that name a picture."""
        if (self.input / "fer2013new.csv").is_file():
            return int((_read_votes(self.input / "fer2013new.csv").names != "").sum())
        return sum(len(_read_labels(self.input / name, split).names) for name, split in self._folders().items())

    @override
    def published_counts(self) -> Mapping[str, Mapping[str, int]]:
        """All faces of a split, whatever the rule labels."""
        return {split: {"": count} for split, count in NAMED.items()}

    def blocks(self) -> Iterator[FaceBlock]:
        """Faces with id, label, split, votes and raw_votes. Raises MienError where the files do not fit one another."""
        if (self.input / "fer2013new.csv").is_file():
            yield from self._from_tables()
        else:
            for name, split in self._folders().items():
                yield from self._from_folder(self.input / name, split)

    def _folders(self) -> dict[str, str]:
        found = {name: split for name, split in FOLDERS.items() if (self.input / name).is_dir()}
        if not found:
            wanted = f"{self.input / 'fer2013new.csv'} and fer2013.csv, or {self.input / 'FER2013Train'} and its like"
            raise MienError(wanted, "neither", "give the folder that holds them")
        return found

    def _from_tables(self) -> Iterator[FaceBlock]:
        path, table, count = fer2013.csv_file(self.input), _read_votes(self.input / "fer2013new.csv"), 0
        for rows in fer2013.read_rows(path):
            here = slice(count, count + len(rows.faces))
            if not np.array_equal(rows.usage, table.usage[here]):
                raise _unlike(path, f"other splits from row {here.start} on, or no votes")
            named = set(np.flatnonzero(table.names[here] != "").tolist())
            faults = {place: fault for place, fault in rows.faults.items() if place in named}
            keep = np.array(sorted(named - set(faults)), np.int64)
            block = self._block(rows.faces[keep], table, count + keep)
            yield FaceBlock(block.faces, block.columns, fer2013.rejections(path, rows.first, faults))
            count = here.stop
        if count != len(table.names):
            raise _unlike(path, f"{quantity(count, 'row')} and {quantity(len(table.names), 'row')} of votes")

    def _from_folder(self, folder: Path, split: str) -> Iterator[FaceBlock]:
        table = _read_labels(folder, split)
        paths = [picture_path(folder, name) for name in table.names]
        for pictures in read_picture_blocks(paths, fer2013.SIDE, color=False):
            block = self._block(pictures.faces, table, pictures.index)
            yield FaceBlock(block.faces, block.columns, pictures.rejected, pictures.notes)

    def _block(self, faces: npt.NDArray[np.uint8], table: VoteTable, rows: npt.NDArray[np.int64]) -> FaceBlock:
        votes = table.votes[rows]
        columns = {
            "id": table.ids[rows].tolist(),
            "label": label_by(self.rule, votes),
            "split": table.usage[rows],
            "votes": kept_votes(self.rule, votes),
            "raw_votes": votes,
        }
        return FaceBlock(faces, columns)


def label_by(rule: Rule, votes: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Labels (N,) from votes (N, 10) by a rule; -1 where it gives none."""
    kept = _kept(rule, np.asarray(votes, np.float32))
    best = kept.argmax(axis=1)
    return np.where((kept.sum(axis=1) > 0) & (best < len(FERPLUS)), best, -1)


def kept_votes(rule: Rule, votes: npt.ArrayLike) -> Counts:
    """The votes (N, 8) for the eight classes that a rule keeps of votes (N, 10); zeros where it gives no label.

    majority: the winner's votes alone; probability: the votes whose shares are the target; argmax: all of them.
    """
    kept = _kept(rule, np.asarray(votes, np.float32))[:, : len(FERPLUS)]
    return np.where(label_by(rule, votes)[:, None] >= 0, kept, np.float32(0))


def _kept(rule: Rule, votes: Counts) -> Counts:
    """The votes (N, 10) that a rule keeps; a row of zeros where it gives no label."""
    if rule == "argmax":
        return votes
    counted = np.where(votes > 1, votes, np.float32(0))
    return _majority(counted) if rule == "majority" else _probability(counted)


def _majority(votes: Counts) -> Counts:
    """The most votes where they are more than half, the others zero."""
    first = np.arange(votes.shape[1]) == votes.argmax(axis=1)[:, None]
    return np.where(first & (votes > 0.5 * votes.sum(axis=1, keepdims=True)), votes, np.float32(0))


def _probability(votes: Counts) -> Counts:
    """The highest counts, taken until they are 75 % of the votes or three classes; unknown and NF end the taking.

    As in the authors' code: equal counts are taken together, in order of the columns; unknown or NF is dropped again
    where anything was taken before it; more than three classes, or no more than half of the votes, are no answer.
    """
    left, kept = votes.copy(), np.zeros_like(votes)
    total, covered = votes.sum(axis=1), np.zeros(len(votes), np.float32)
    classes, ended = np.zeros(len(votes), np.int64), np.zeros(len(votes), bool)
    for _ in range(3):
        top = left.max(axis=1)
        taking = ~ended & (covered < 0.75 * total) & (classes < 3)
        for column in range(votes.shape[1]):
            hit = taking & (left[:, column] == top)
            kept[hit, column], left[hit, column] = top[hit], 0
            covered[hit] += top[hit]
            classes[hit] += 1
            if column >= len(FERPLUS):
                late = hit & (kept.sum(axis=1) > top)
                kept[late, column] = 0
                classes[late] -= 1
                ended |= hit
                taking &= ~hit
    answered = (kept.sum(axis=1) > 0.5 * total) & (classes <= 3)
    return np.where(answered[:, None], kept, np.float32(0))


def _unlike(path: Path, found: str) -> MienError:
    return MienError(f"{path} to go with fer2013new.csv row by row", found, "take both files as published")


def _read_votes(path: Path) -> VoteTable:
    """The rows of fer2013new.csv, which follow the order of fer2013.csv."""
    texts = {"Usage": pa.string(), "Image name": pa.string()}
    table = read_csv(path, {**texts, **dict.fromkeys(VOTES, pa.float32())})
    return _to_table(path, table, pc.utf8_trim_whitespace(table["Usage"].fill_null("")).to_numpy())


def _read_labels(folder: Path, split: str) -> VoteTable:
    """The rows of a folder's label.csv: a picture's name, its box (which some editions leave out), ten votes."""
    path = folder / "label.csv"
    boxes = ("box",) if len(csv_columns(path)) == len(VOTES) + 2 else ()
    names = {"Image name": pa.string(), **dict.fromkeys(boxes, pa.string())}
    columns = {**names, **dict.fromkeys(VOTES, pa.float32())}
    table = read_csv(path, columns, headless=tuple(columns))
    found = _to_table(path, table, np.full(len(table), split, object))
    if (found.names == "").any():
        raise MienError(f"a picture's name in every row of {path}", "a row without", "mend that row")
    return found


def _to_table(path: Path, table: pa.Table, usage: npt.NDArray[np.object_]) -> VoteTable:
    votes = np.stack([table[name].to_numpy() for name in VOTES], axis=1)
    bad = np.flatnonzero(~(np.isfinite(votes) & (votes >= 0)).all(axis=1))
    if len(bad):
        raise MienError(f"ten counts of votes in every row of {path}", f"others in row {bad[0]}", "mend that row")
    names = np.array([name.strip() for name in table["Image name"].fill_null("").to_pylist()], object)
    return VoteTable(names, usage, votes)
