"""RAF-DB with anxiety as its eighth class, as the paper on Annealed Label Transfer (ALT) adds it (Florea et al. 2019)."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar, Literal

from pydantic.dataclasses import dataclass
from typing_extensions import override

from mien.data.database import Database, Place, PublishedProtocol, require_places
from mien.data.format import Info
from mien.data.labeled_pictures import LabeledPicture, read_labeled_pictures
from mien.data.source import FaceBlock, Source
from mien.data.sources.rafdb import Rafdb
from mien.errors import MienError
from mien.expressions import ANXIETY
from mien.media.face_pictures import SUFFIXES
from mien.media.file_limits import LimitSwitch
from mien.settings import STRICT, PictureSide

SPLITS = {"train": 120, "validation": 20, "test": 36 + 42}
"""Anxious faces that the paper has in each split; the last 42 of test are people with posttraumatic stress disorder."""


@dataclass(frozen=True, config=STRICT)
class Anxiety(Source):
    """All faces of RAF-DB, as `rafdb` reads them, and then the anxious ones of a folder of one's own.

    Ids of the latter are `anxious/`, the split and the picture's name; their central square is taken.
    """

    facts: ClassVar[Database] = Database(
        title="RAF-DB and anxious faces",
        about="RAF-DB (basic), and about 218 anxious faces from the web as an eighth class, which ALT's authors did not publish.",
        citation=f"{Rafdb.facts.citation}; Florea et al. 2019, Annealed label transfer for face expression recognition, BMVC",
        terms=f"RAF-DB: {Rafdb.facts.terms}; for the anxious faces, what those who made the pictures allow",
        research_only=True,
        may_be_passed_on=False,
        get=f"RAF-DB: {Rafdb.facts.get}. Anxious faces: search the web as the paper does (stress, anxiety, worry, in many "
        "languages), keep what several people agree on, cut the faces out, and sort them into the three folders",
        places=(
            *(Place(f"basic/{place.path}", place.holds) for place in Rafdb.facts.places),
            *(Place(f"anxious/{split}/<name>.jpg", f"anxious faces, {count} in the paper") for split, count in SPLITS.items()),
        ),
        layout_source=f"RAF-DB: {Rafdb.facts.layout_source}; the folder of anxious faces is mien's own idea",
        protocols={
            "eight": PublishedProtocol(
                "train on train, validate on validation, test on test; anxiety's recall beside accuracy", {}, 0, ("ALT",)
            )
        },
    )

    input: Path
    """The folder of RAF-DB's `basic` and of `anxious`; both may be links."""
    crops: Literal["aligned", "original"] = "aligned"
    """RAF-DB's aligned faces, or the squares around the boxes in its photos."""
    side: PictureSide = 100
    """Side of the stored faces in pixels."""
    color: bool = False
    """Keep color; gray otherwise."""
    limits: LimitSwitch = "on"
    """Limits of the pictures' files: off, where they are known."""

    def info(self) -> Info:
        """Eight classes."""
        align = f"{self._rafdb().info().alignment}; anxious faces as they were cut out"
        return self.facts.info(
            classes=ANXIETY, side=self.side, color=self.color, name=f"RAF-DB and anxiety, {self.crops}", alignment=align
        )

    def total(self) -> int:
        """The published number of faces."""
        return self._rafdb().total() + sum(SPLITS.values())

    @override
    def published_counts(self) -> Mapping[str, Mapping[str, int]]:
        """By split and class."""
        basic = self._rafdb().published_counts()
        return {split: {**basic.get(split, {}), "anxiety": count} for split, count in SPLITS.items()}

    def blocks(self) -> Iterator[FaceBlock]:
        """Faces with id, label and split. Raises MienError where something is missing."""
        own = [place for place in self.facts.places if place.path.startswith("anxious/")]
        require_places(self.input, [Place("basic", "the folder of RAF-DB"), *own], "anxiety")
        yield from self._rafdb().blocks()  # its classes are the first seven of ours
        yield from read_labeled_pictures(self._anxious(), ("split",), self.side, self.color, self.limits)

    def _rafdb(self) -> Rafdb:
        return Rafdb(self.input / "basic", crops=self.crops, side=self.side, color=self.color, limits=self.limits)

    def _anxious(self) -> Iterator[LabeledPicture]:
        label = ANXIETY.index("anxiety")
        for split in SPLITS:
            folder = self.input / "anxious" / split
            files = [file for file in sorted(folder.iterdir()) if file.suffix.lower() in SUFFIXES and file.name[0] != "."]
            if not files:
                raise MienError(f"pictures of anxious faces in {folder}", "none", "put some there: mien databases anxiety")
            for file in files:
                yield LabeledPicture(file, f"anxious/{split}/{file.stem}", label, split=split)
