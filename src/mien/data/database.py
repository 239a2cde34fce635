"""What is known about a published database: its paper, its terms, where its files have to lie, its counts, its protocols."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mien.data.faceset import FaceSet
from mien.data.format import Info
from mien.errors import MienError

Counts = Mapping[str, Mapping[str, int]]
"""Published numbers of faces, by split and class; the split "" is the whole set, the class "" all of a split."""


@dataclass(frozen=True)
class Place:
    """A file or folder that has to lie in a database's folder."""

    path: str
    """Where, from that folder; a part in angle brackets stands for many names."""
    holds: str
    """What is there."""


@dataclass(frozen=True)
class PublishedProtocol:
    """A way in which papers measure on a database."""

    about: str
    """How it measures, in a sentence."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """What the source is told, beside its input."""
    folds: int = 0
    """Number of subject-independent folds; 0: the faces' own test split."""
    papers: tuple[str, ...] = ()
    """Which of the five papers measure so."""
    ascending: bool = False
    """Whether folds are groups of people in the order of their names; else they are of about equal size."""
    test: str = ""
    """The database's name of the split to test on; empty where it is called test, or where folds are tested on."""
    validation: str = ""
    """The database's name of the split that validates; empty where it is called validation, or where there is none."""
    measured: bool = True
    """Whether recipes can be compared so; False for faces without labels of expressions, which others learn from."""


@dataclass(frozen=True)
class Database:
    """The facts about a published database. Nothing of it is shipped with mien."""

    title: str
    about: str
    """What it shows, in a sentence or two."""
    citation: str
    terms: str
    """On what terms its authors give it."""
    research_only: bool
    may_be_passed_on: bool
    get: str
    """How to get it."""
    places: tuple[Place, ...]
    """What has to lie in its folder."""
    layout_source: str = ""
    """Where the layout is known from; empty: from no source that can be named."""
    protocols: Mapping[str, PublishedProtocol] = field(default_factory=dict)
    """By name."""

    @property
    def measured(self) -> dict[str, PublishedProtocol]:
        """The protocols by which recipes can be compared."""
        return {name: one for name, one in self.protocols.items() if one.measured}

    def info(self, *, classes: tuple[str, ...], side: int, name: str, alignment: str, color: bool = False) -> Info:
        """What holds for a face set of this database, under its terms."""
        return Info(
            classes=classes, side=side, channels=3 if color else 1, name=name, alignment=alignment, license=self.terms,
            citation=self.citation,
        )  # fmt: skip


def require_places(folder: Path, places: Sequence[Place], name: str) -> None:
    """Raises MienError for the first of the places, without a part in angle brackets, that is not in `folder`.

    `name`: the database's, as `mien databases` has it.
    """
    if not folder.is_dir():
        raise MienError(f"the folder of {name} at {folder}", "no folder", f"see what it must hold: mien databases {name}")
    for place in places:
        whole = place.path.partition("<")[0]
        known = whole if whole == place.path else whole.rpartition("/")[0]
        if known and not (folder / known).exists():
            raise MienError(
                f"{place.holds} at {folder / known}", "nothing there", f"see what must lie where: mien databases {name}"
            )


def holds_some(folder: Path, places: Sequence[Place]) -> bool:
    """Whether there is anything at one of these places in `folder`. Hidden files are passed over."""
    patterns = ("/".join("[!.]*" if "<" in part else part for part in place.path.split("/")) for place in places)
    return any(next(folder.glob(pattern), None) is not None for pattern in patterns)


def count_differences(faces: FaceSet, published: Counts) -> list[str]:
    """Where a face set's numbers of faces are not the published ones, a sentence for each."""
    labels, classes = faces.labels, faces.classes
    splits = np.array(faces.values("split"), object) if "split" in faces.column_names else np.full(len(faces), "", object)
    told = list[str]()
    for split, counts in published.items():
        inside = splits == split if split else np.ones(len(faces), bool)
        for name, count in counts.items():
            label = classes.index(name) if name in classes else -1
            found = int((inside & (labels == label)).sum()) if name else int(inside.sum())
            if found != count:
                told.append(f"{' '.join(filter(None, (split, name))) or 'all faces'}: {found:,}, published {count:,}")
    return told
