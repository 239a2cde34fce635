"""AffectNet: faces from the web, labeled by hand, in both editions that its authors gave (Mollahosseini et al. 2017)."""

import io
import os
from collections.abc import Iterator, Mapping
from itertools import chain, islice
from pathlib import Path, PurePosixPath
from typing import ClassVar, Literal

import numpy as np
from pydantic.dataclasses import dataclass
from typing_extensions import override

from mien.data.database import Database, Place, PublishedProtocol, require_places
from mien.data.format import Info
from mien.data.labeled_pictures import LabeledPicture, read_labeled_pictures
from mien.data.source import FaceBlock, Source
from mien.disk import read_bytes
from mien.errors import MienError
from mien.expressions import BASIC
from mien.media.face_pictures import PixelBox, listed_picture
from mien.media.file_limits import LimitSwitch
from mien.media.rejections import reason_of
from mien.settings import STRICT, PictureSide
from mien.tabular.number_files import stream_lines

CODES = ("neutral", "happiness", "sadness", "surprise", "fear", "disgust", "anger", "contempt")
"""What the codes 0 to 7 mean; 8 to 10 are none of these, uncertain, and no face."""
MOST_CODE = 10
TRAIN = (74_874, 134_415, 25_459, 14_090, 6_378, 3_803, 24_882, 3_750)
"""Training faces of each code."""
TEST = 500
"""Validation faces of each code; one of contempt is missing in the later edition."""
COLUMNS = (
    *("subDirectory_filePath", "face_x", "face_y", "face_width", "face_height"),
    *("facial_landmarks", "expression", "valence", "arousal"),
)
LISTS = {"train": "training.csv", "test": "validation.csv"}
FOLDERS = {"train": "train_set", "test": "val_set"}
IMAGES = "Manually_Annotated_Images"
LABEL_BYTES = 1 << 12
"""The most bytes of the file of a label."""
NAMES = 4096
"""How many names are Python's at a time."""
TODO = "take the file as it was published"


@dataclass(frozen=True, config=STRICT)
class Affectnet(Source):
    """The faces that people labeled by hand. Its validation part is the split test, as papers use it; nobody has its test part.

    Faces that show none of the chosen classes are left out. Ids are SPLIT/NUMBER, or the names of the lists, without `.jpg`.
    """

    facts: ClassVar[Database] = Database(
        title="AffectNet (labeled by hand)",
        about="About 290,000 faces from the web with one of eight expressions, each labeled by one of twelve people.",
        citation="Mollahosseini, Hasani and Mahoor 2017, AffectNet: a database for facial expression, valence, and arousal "
        "computing in the wild, IEEE Transactions on Affective Computing",
        terms="for research that is not commercial, by a lab whose head signs an agreement",
        research_only=True,
        may_be_passed_on=False,
        get="the head of a lab or a professor signs the agreement on its authors' page and sends it with the form there",
        places=(
            Place("train_set/images/<0>.jpg", "training faces, 224 x 224"),
            Place("train_set/annotations/<0>_exp.npy", "their labels, a number from 0 to 7 each"),
            Place("val_set/images/<0>.jpg", "validation faces"),
            Place("val_set/annotations/<0>_exp.npy", "their labels"),
            Place("training.csv", "the list of training faces with boxes and codes, for `edition=lists`"),
            Place("validation.csv", "the list of validation faces, with or without a line of names, for `edition=lists`"),
            Place(f"{IMAGES}/<1>/<name>.jpg", "the pictures of both lists, for `edition=lists`"),
        ),
        layout_source="threads and code of EmotiEffLib, and other code that reads it",
        protocols={
            "seven": PublishedProtocol("train on train, test on its 3,500 validation faces", {}, 0, ("ST+SW", "SNA")),
            "eight": PublishedProtocol("as `seven`, with contempt", {"classes": "eight"}),
        },
    )

    input: Path
    """The folder of train_set and val_set; or, with `edition=lists`, of both lists and the pictures."""
    edition: Literal["folders", "lists"] = "folders"
    """folders: as given since 2021, faces cut out; lists: as given before, cut out by the boxes of the lists."""
    classes: Literal["seven", "eight"] = "seven"
    """The six basic expressions and neutral; these and contempt."""
    side: PictureSide = 112
    """Side of the stored faces in pixels."""
    color: bool = False
    """Keep color; gray otherwise."""
    limits: LimitSwitch = "on"
    """Limits of the pictures' files: off, where they are known."""

    def info(self) -> Info:
        """Seven or eight classes."""
        align = "cut out by its authors" if self.edition == "folders" else "a square around the given box"
        return self.facts.info(
            classes=self._names(), side=self.side, color=self.color, name=f"AffectNet, {self.classes}", alignment=align
        )

    def total(self) -> int:
        """The published number of faces."""
        return sum(sum(each.values()) for each in self.published_counts().values())

    @override
    def published_counts(self) -> Mapping[str, Mapping[str, int]]:
        """By split and class."""
        names = self._names()
        train = {name: count for name, count in zip(CODES, TRAIN, strict=True) if name in names}
        missing = {"contempt": 1} if self.edition == "folders" else {}
        return {"train": train, "test": {name: TEST - missing.get(name, 0) for name in train}}

    def blocks(self) -> Iterator[FaceBlock]:
        """Faces with id, label and split. Raises MienError where something is missing."""
        folders = self.edition == "folders"
        if folders and (self.input / "training.csv").is_file() and not (self.input / "train_set").exists():
            found = "training.csv, a list of the edition before 2021"
            raise MienError(f"train_set and val_set in {self.input}", found, "give `edition=lists`")
        require_places(self.input, [place for place in self.facts.places if ("_set/" in place.path) == folders], "affectnet")
        pictures = self._from_folders() if folders else self._from_lists()
        yield from read_labeled_pictures(pictures, ("split",), self.side, self.color, self.limits)

    def _names(self) -> tuple[str, ...]:
        return BASIC if self.classes == "seven" else tuple(sorted({*BASIC, "contempt"}))

    def _from_folders(self) -> Iterator[LabeledPicture]:
        names = self._names()
        for split, folder in FOLDERS.items():
            images, labels = self.input / folder / "images", self.input / folder / "annotations"
            # Both are listed, so that a face without label and a label without face are noticed.
            for stem in _sorted_names(chain(_stems(images, ".jpg"), _stems(labels, "_exp.npy"))):
                code = _code_in(labels / f"{stem}_exp.npy")
                if code < len(CODES) and CODES[code] in names:
                    yield LabeledPicture(images / f"{stem}.jpg", f"{split}/{stem}", names.index(CODES[code]), split=split)

    def _from_lists(self) -> Iterator[LabeledPicture]:
        names = self._names()
        for split, name in LISTS.items():
            path = self.input / name
            for number, row in _rows(path):
                code = _whole(row[COLUMNS.index("expression")])
                if code is None:
                    wanted = f"an expression from 0 to {MOST_CODE} in each row of {path}"
                    raise MienError(wanted, f"{row[COLUMNS.index('expression')][:100]!r} in line {number}", TODO)
                if code < len(CODES) and CODES[code] in names:
                    picture = listed_picture(self.input / IMAGES, row[0])
                    stem = PurePosixPath(row[0]).with_suffix("").as_posix()
                    box = PixelBox(*(_pixels(path, number, text) for text in row[1:5]))
                    yield LabeledPicture(picture, stem, names.index(CODES[code]), split=split, box=box)


def _stems(folder: Path, end: str) -> Iterator[str]:
    """The names in a folder that end so, without that ending."""
    with os.scandir(folder) as found:
        for entry in found:
            if entry.name.endswith(end) and not entry.name.startswith("."):
                yield entry.name.removesuffix(end)


def _sorted_names(names: Iterator[str]) -> Iterator[str]:
    """Different names, sorted; they are kept as an array of letters, since there are hundreds of thousands."""
    parts = [np.zeros(0, np.bytes_)]
    while some := [os.fsencode(name) for name in islice(names, NAMES)]:
        parts.append(np.array(some))
    found = np.unique(np.concatenate(parts))
    for start in range(0, len(found), NAMES):
        yield from map(os.fsdecode, found[start : start + NAMES].tolist())


def _code_in(path: Path) -> int:
    """The code in the file of a label: one number, which its authors wrote as text."""
    wanted = f"an array of one number from 0 to {MOST_CODE} in {path}"
    content = read_bytes(path, TODO, LABEL_BYTES)
    try:
        array = np.load(io.BytesIO(content), allow_pickle=False)
    except Exception as error:  # numpy meets a broken file with exceptions of many kinds.
        raise MienError(wanted, reason_of(error), TODO) from error
    if not isinstance(array, np.ndarray) or array.size != 1 or array.dtype.kind not in "iufUS":
        found = f"{array.dtype} of shape {array.shape}" if isinstance(array, np.ndarray) else "an archive"
        raise MienError(wanted, found, TODO)
    value = array.reshape(-1)[0]
    code = _whole(value.decode("ascii", "replace") if isinstance(value, bytes) else str(value))
    if code is None:
        raise MienError(wanted, f"{str(value)[:100]!r}", TODO)
    return code


def _whole(text: str) -> int | None:
    """A code from 0 to 10; None for anything else."""
    try:
        value = float(text)
    except ValueError:
        return None
    return int(value) if value in range(MOST_CODE + 1) else None


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """The rows of a list and the numbers of their lines. One list came without a line of names."""
    for number, values in stream_lines(path, len(COLUMNS), ","):
        if number > 1 or values != list(COLUMNS):
            yield number, values


def _pixels(path: Path, number: int, text: str) -> float:
    """A number of a box. Where there is none, NaN: the face is rejected, as it cannot be cut out."""
    try:
        return float("nan" if text in ("", "NULL") else text)
    except ValueError as error:
        raise MienError(f"a box of four numbers in each row of {path}", f"{text[:100]!r} in line {number}", TODO) from error
