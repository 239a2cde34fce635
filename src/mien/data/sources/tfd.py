"""TFD, the Toronto Face Database: many databases' faces in one file, gray, with five given folds (Susskind et al. 2010)."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
from pydantic.dataclasses import dataclass
from typing_extensions import override

from mien.data.database import Database, Place, PublishedProtocol, require_places
from mien.data.format import Info
from mien.data.source import FaceBlock, Source
from mien.disk import require_regular
from mien.errors import MienError
from mien.expressions import BASIC
from mien.media.face_pictures import BLOCK_FACES
from mien.media.rejections import reason_of
from mien.settings import STRICT

CODES = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")
"""What the codes 1 to 7 mean; -1 is no label."""
LABELS = np.array([-1, *(BASIC.index(name) for name in CODES)])
"""Our label for each code; for 0, none."""
COUNTS = (437, 457, 424, 758, 441, 459, 1202)
"""Faces of each code."""
UNLABELED = 98_058
"""Faces without label."""
PARTS = np.array(["train", "train", "validation", "test"], object)
"""The splits that the numbers 0 to 3 of a fold mean; faces of 0 have no label."""
FOLDS = 5
MOST_FACES = 1 << 17
"""The most faces of a file."""
TODO = "take the file as it was published"
Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True, config=STRICT)
class Tfd(Source):
    """The labeled faces with the splits of one of its five folds, and those without label.

    No person is in two splits: faces without label are where the labeled ones of their person are, and others in train. Ids are
    tfd000000 and on, by row. The file is held in memory while it is read.
    """

    facts: ClassVar[Database] = Database(
        title="TFD, the Toronto Face Database",
        about="102,236 gray faces of many databases, cropped alike; 4,178 have one of seven expressions.",
        citation="Susskind, Anderson and Hinton 2010, The Toronto face database, technical report, University of Toronto",
        terms="its authors give it to who asks; its faces come from other databases, whose own terms hold",
        research_only=True,
        may_be_passed_on=False,
        get="ask its authors at the University of Toronto",
        places=(
            Place("TFD_48x48.mat", "MATLAB's file of images, labs_ex, labs_id and folds"),
            Place("TFD_96x96.mat", "the same in 96 x 96, for `side=96`"),
        ),
        layout_source="the loaders of pylearn2, Fuel and lisa_emotiw",
        protocols={
            f"fold{number}": PublishedProtocol(
                "train on train, validate on validation, test on test; papers tell the mean of the five folds",
                {"fold": number},
                0,
                ("FN2EN",),
            )
            for number in range(1, FOLDS + 1)
        },
    )

    input: Path
    """The folder of the file."""
    fold: Literal[1, 2, 3, 4, 5] = 1
    """Which of its five folds gives the splits."""
    unlabeled: bool = True
    """Keep the faces without label."""
    side: Literal[48, 96] = 48
    """Side of the faces in pixels: which of its two files is read."""

    def info(self) -> Info:
        """Seven classes, gray."""
        return self.facts.info(
            classes=BASIC, side=self.side, name=f"TFD, fold {self.fold}", alignment="by its authors, cropped around the face"
        )

    def total(self) -> int:
        """The published number of faces."""
        return sum(COUNTS) + (UNLABELED if self.unlabeled else 0)

    @override
    def published_counts(self) -> Mapping[str, Mapping[str, int]]:
        """By class."""
        return {"": {"": self.total(), **dict(zip(CODES, COUNTS, strict=True))}}

    def blocks(self) -> Iterator[FaceBlock]:
        """Faces with id, label, subject and split. Raises MienError where the file is missing or holds anything else."""
        name = f"TFD_{self.side}x{self.side}.mat"
        require_places(self.input, [place for place in self.facts.places if place.path == name], "tfd")
        path = self.input / name
        content = _read(path, self.side)
        parts = _whole(path, "folds", content["folds"][:, self.fold - 1], 0, len(PARTS) - 1)
        codes = _whole(path, "labs_ex", content["labs_ex"].reshape(-1), -1, len(CODES))
        people = _whole(path, "labs_id", content["labs_id"].reshape(-1), -1, 1 << 31)
        labeled = parts > 0
        lost = np.flatnonzero(labeled & (codes < 1))
        if len(lost):
            raise MienError(f"a label for every face of a fold in {path}", f"none for face {lost[0]}", TODO)
        parts = _with_their_people(path, parts, people)
        rows = np.arange(len(parts)) if self.unlabeled else np.flatnonzero(labeled)
        for first in range(0, len(rows), BLOCK_FACES):
            some = rows[first : first + BLOCK_FACES]
            columns = {
                "id": [f"tfd{row:06d}" for row in some],
                "label": LABELS[np.where(labeled[some], codes[some], 0)],
                "subject": [str(person) if person >= 0 else None for person in people[some].tolist()],
                "split": PARTS[parts[some]],
            }
            yield FaceBlock(content["images"][some], columns)


def _with_their_people(path: Path, parts: Numbers, people: Numbers) -> Numbers:
    """The parts of a fold, in which unlabeled faces are where the labeled ones of their person are.

    Raises MienError where labeled faces of a person are in two parts.
    """
    known = np.flatnonzero((parts > 0) & (people >= 0))
    names, first = np.unique(people[known], return_index=True)
    if not len(names):
        return parts
    theirs = parts[known[first]]
    place = np.searchsorted(names, people).clip(max=len(names) - 1)
    mates = names[place] == people
    apart = np.flatnonzero(mates & (parts > 0) & (parts != theirs[place]))
    if len(apart):
        person, other = people[apart[0]], known[first[place[apart[0]]]]
        found = f"person {person} in {PARTS[parts[other]]} (face {other}) and {PARTS[parts[apart[0]]]} (face {apart[0]})"
        raise MienError(f"each person of {path} in one split of a fold", found, TODO)
    return np.where((parts == 0) & mates, theirs[place], parts)


def _read(path: Path, side: int) -> dict[str, npt.NDArray[Any]]:
    """The four arrays of the file; what it says of their sizes is looked at before they are read."""
    from scipy.io import loadmat, whosmat

    require_regular(path, TODO)
    try:
        shapes = {name: (tuple(shape), kind) for name, shape, kind in whosmat(str(path))}
        count = shapes["images"][0][0] if "images" in shapes else 0
        line = [(count, 1), (1, count)]
        wanted: dict[str, list[tuple[int, ...]]] = {
            "images": [(count, side, side)], "labs_ex": [*line], "labs_id": [*line], "folds": [(count, FOLDS)],
        }  # fmt: skip
        for name, possible in wanted.items():
            _require(path, name, shapes.get(name), possible)
        content: dict[str, npt.NDArray[Any]] = loadmat(str(path), variable_names=list(wanted))
        for name in wanted:  # a file may hold a name twice
            if content[name].shape != shapes[name][0]:
                raise ValueError(f"two arrays {name}")
    except MienError:
        raise
    except Exception as error:  # scipy meets a broken file with exceptions of many kinds.
        raise MienError(f"MATLAB's file of faces at {path}, older than version 7.3", reason_of(error), TODO) from error
    return content


def _require(path: Path, name: str, found: tuple[tuple[int, ...], str] | None, possible: list[tuple[int, ...]]) -> None:
    """Raises MienError where an array is missing, or of another shape or kind."""
    numbers = ("uint8",) if name == "images" else ("int", "uint", "double", "single")
    sizes, kind = found or ((0,), "")
    fits = sizes in possible and min(sizes) > 0 and max(sizes) <= MOST_FACES and kind.startswith(numbers)
    if not fits:
        shape = " x ".join(map(str, possible[0]))
        wanted = f"an array {name} of {shape} {'bytes' if name == 'images' else 'numbers'} in {path}"
        raise MienError(wanted, "none" if found is None else f"{' x '.join(map(str, found[0]))}, {found[1]}", TODO)


def _whole(path: Path, name: str, values: npt.NDArray[Any], least: int, most: int) -> Numbers:
    """Whole numbers in these bounds. Raises MienError where there are others."""
    bad = np.flatnonzero(~((values >= least) & (values <= most) & (values % 1 == 0)))
    if len(bad):
        wanted = f"whole numbers from {least} to {most} as {name} in {path}"
        raise MienError(wanted, f"{values[bad[0]]} for face {bad[0]}", TODO)
    return values.astype(np.int64)
