"""IMDB-WIKI: faces of people known from films or from Wikipedia, whose ages follow from dates (Rothe et al. 2015)."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
from pydantic.dataclasses import dataclass

from mien.data.database import Database, Place, PublishedProtocol, require_places
from mien.data.format import Info
from mien.data.labeled_pictures import LabeledPicture, read_labeled_pictures
from mien.data.source import FaceBlock, Source
from mien.disk import require_regular
from mien.errors import MienError
from mien.media.file_limits import LimitSwitch
from mien.settings import STRICT, CountOrZero, Finite, PictureSide

DAY_ZERO = 719_529
"""MATLAB's number of the first of January 1970."""
DAYS = (367, 1_000_000)
"""The least and the largest of its numbers that are days of the years 1 to 2737."""
AS_PUBLISHED = "take the file as it was published"
NUMBERS = ("dob", "photo_taken", "face_score", "second_face_score")


@dataclass(frozen=True, config=STRICT)
class ImdbWiki(Source):
    """The crops of people of some ages, by default children of 1 to 10 years, without expression labels.

    A photo counts as taken on the first of July of its year. Left out are photos without a face by its authors' detector, and
    people whose date of birth is no day. Ids are the crops' paths, such as imdb/01/nm0000001_rm1_1899-5-10_1968.
    """

    facts: ClassVar[Database] = Database(
        title="IMDB-WIKI",
        about="523,051 faces of people known from films or Wikipedia, with dates of birth and photo; no expression labels.",
        citation="Rothe, Timofte and Van Gool 2015, DEX: deep expectation of apparent age from a single image, ICCV Workshops",
        terms="for academic research; the photos belong to their owners",
        research_only=True,
        may_be_passed_on=False,
        get="download imdb_crop.tar and wiki_crop.tar from its authors' page (ETH Zurich), and unpack them side by side",
        places=(
            Place("imdb_crop/imdb.mat", "dates, paths and scores of the faces from IMDb"),
            Place("imdb_crop/<01>/<nm0000001_rm124825600_1899-5-10_1968.jpg>", "their crops, with 40 % around the face"),
            Place("wiki_crop/wiki.mat", "dates, paths and scores of the faces from Wikipedia"),
            Place("wiki_crop/<17>/<10000217_1981-05-05_2009.jpg>", "their crops"),
        ),
        layout_source="its authors' page, and code that reads it",
        protocols={
            "children": PublishedProtocol(
                "about 3,000 children of 1 to 10 years, 1,154 after a look at all, without labels, beside CAFE",
                papers=("ALT",),
                measured=False,
            ),
        },
    )

    input: Path
    """The folder that holds imdb_crop and wiki_crop."""
    part: Literal["both", "imdb", "wiki"] = "both"
    """Faces from IMDb, from Wikipedia, or both."""
    youngest: CountOrZero = 1
    """The least age in whole years."""
    oldest: CountOrZero = 10
    """The largest age in whole years."""
    least_score: Finite = 1.0
    """The least score of the face by its authors' detector."""
    alone: bool = True
    """Leave out photos with a second face, where it is unsure whose age it is."""
    side: PictureSide = 100
    """Side of the stored faces in pixels."""
    color: bool = False
    """Keep color; gray otherwise."""
    limits: LimitSwitch = "on"
    """Limits of the pictures' files: off, where they are known."""

    def info(self) -> Info:
        """No classes."""
        name = f"IMDB-WIKI, {self.part}, {self.youngest} to {self.oldest} years"
        align = "the detector's box and 40 % around it, by its authors"
        return self.facts.info(classes=(), side=self.side, color=self.color, name=name, alignment=align)

    def total(self) -> int:
        """Unknown until the dates are read."""
        return 0

    def blocks(self) -> Iterator[FaceBlock]:
        """Faces with id, label (-1) and subject, a number on IMDb or Wikipedia. Raises MienError where something is missing."""
        parts = [name for name in ("imdb", "wiki") if self.part in ("both", name)]
        require_places(self.input, [place for place in self.facts.places if place.path[:4] in parts], "imdb_wiki")
        pictures = (picture for part in parts for picture in self._pictures(part))
        yield from read_labeled_pictures(pictures, ("subject",), self.side, self.color, self.limits)

    def _pictures(self, part: str) -> Iterator[LabeledPicture]:
        folder = self.input / f"{part}_crop"
        for path in self._chosen(folder / f"{part}.mat", part):
            if not re.fullmatch(r"[0-9]{2}/[^/\\\0]+\.jpg", path):
                raise MienError(f"paths such as 01/name.jpg in {folder / part}.mat", repr(path[:100]), AS_PUBLISHED)
            subject = f"{part}/{path[3:].partition('_')[0]}"
            yield LabeledPicture(folder / path, f"{part}/{path.removesuffix('.jpg')}", -1, subject=subject)

    def _chosen(self, file: Path, part: str) -> list[str]:
        """The paths of the faces that are taken."""
        numbers, paths = _read(file, part)
        born, taken, score, second = (numbers[name] for name in NUMBERS)
        ages = ages_in_july(born, taken)
        kept = (ages >= self.youngest) & (ages <= self.oldest) & np.isfinite(score) & (score >= self.least_score)
        if self.alone:
            kept &= np.isnan(second)
        chosen = [np.ravel(paths[place]) for place in np.flatnonzero(kept)]
        odd = next((cell for cell in chosen if cell.size != 1 or not isinstance(cell[0], str)), None)
        if odd is not None:
            raise MienError(f"texts in full_path of {file}", repr(odd)[:100], AS_PUBLISHED)
        return [str(cell[0]) for cell in chosen]


def ages_in_july(born: npt.NDArray[np.float64], taken: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Ages (N,) in whole years on the first of July of the years `taken` (N,), -1 where unknown.

    `born`: days as MATLAB numbers them, (N,).
    """
    known = (born >= DAYS[0]) & (born <= DAYS[1]) & (taken >= 1) & (taken <= 9999)  # false for nan
    days = (np.where(known, born, DAY_ZERO).astype(np.int64) - DAY_ZERO).astype("datetime64[D]")
    years = days.astype("datetime64[Y]")
    later = days > (years.astype("datetime64[M]") + 6).astype("datetime64[D]")
    ages = np.where(known, taken, 0).astype(np.int64) - (years.astype(np.int64) + 1970) - later
    return np.where(known, ages, -1)


def _read(file: Path, part: str) -> tuple[dict[str, npt.NDArray[np.float64]], npt.NDArray[Any]]:
    """The numbers (N,) of each face by name, and its path (N,), in a cell. Raises MienError for another file."""
    from scipy.io import loadmat

    require_regular(file, AS_PUBLISHED)
    wanted = f"a table {part} of {', '.join(NUMBERS)} and full_path in {file}"
    try:
        table = loadmat(file, variable_names=[part])[part][0, 0]
        numbers = {name: np.ravel(table[name]).astype(np.float64) for name in NUMBERS}
        paths = np.ravel(table["full_path"])
    except Exception as error:  # scipy meets a broken file with exceptions of many kinds
        raise MienError(wanted, f"something else ({error!r})"[:300], AS_PUBLISHED) from error
    counts = {len(values) for values in (*numbers.values(), paths)}
    if len(counts) != 1:
        raise MienError(wanted, f"columns of {', '.join(map(str, sorted(counts)))} values", AS_PUBLISHED)
    return numbers, paths
