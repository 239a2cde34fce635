"""Figures that papers report, from published.toml, which stand beside ours where faces, labels and recipe are the same."""

import tomllib
from collections.abc import Sequence
from fnmatch import fnmatchcase
from importlib import resources
from typing import Any

from pydantic.dataclasses import dataclass

from mien.data.format import Info
from mien.experiments.grid import GridPoint
from mien.settings import STRICT, settings_from

NETWORKS = {"AlexNet": "alexnet_bn", "VGG-16": "vgg16_bn", "ResNet-18": "resnet18"}
"""Names of our networks by the papers' names; a paper's network that is not listed has no counterpart here."""


@dataclass(frozen=True, config=STRICT)
class PublishedFigure:
    """One figure that a paper reports."""

    paper: str
    """The paper, by its short name, authors and year."""
    faces: str
    """Pattern of the face set's name."""
    method: str
    """The method's name in the paper."""
    figure: float
    """Accuracy in percent, as published."""
    split: str
    """The split on which it was measured."""
    labels: int | str
    """Labels per class, or `all`, or in words a budget that a grid cannot have."""
    network: str = ""
    """The network's name in the paper; empty where it is not said."""
    recipes: tuple[str, ...] = ()
    """Names of the recipes that do the same."""
    noise: float = 0.0
    """Share of flipped labels."""
    note: str = ""
    """What else is different, in words."""

    def marks(self, split: str, network: str = "") -> tuple[str, ...]:
        """How the figure differs from one of ours on `split`, by `network` where that is known, in words."""
        other = bool(network) and NETWORKS.get(self.network, self.network) != network
        said = (self.split != split and "other split", other and "other network", self.note)
        return tuple(mark for mark in said if mark)


def read_published() -> tuple[PublishedFigure, ...]:
    """All published figures that mien knows of."""
    table = tomllib.loads((resources.files("mien.experiments") / "published.toml").read_text("utf-8"))
    return tuple(_read(group, figure) for group in table["group"] for figure in group["figures"])


def _read(group: dict[str, Any], figure: dict[str, Any]) -> PublishedFigure:
    return settings_from(PublishedFigure, {key: value for key, value in group.items() if key != "figures"} | figure)


def published_on(faces: Info) -> tuple[PublishedFigure, ...]:
    """The published figures on the faces of this set; none for cached features, whose encoder learned from other faces."""
    return tuple(entry for entry in read_published() if faces.kind == "faces" and fnmatchcase(faces.name, entry.faces))


def published_beside(known: Sequence[PublishedFigure], recipe: str, point: GridPoint) -> tuple[PublishedFigure, ...]:
    """The figures among `known` of the same recipe, labels and noise as a grid point; none where values are varied."""
    labels = "all" if point.labels is None else point.labels
    return tuple(
        entry
        for entry in known
        if recipe in entry.recipes
        and entry.labels == labels
        and entry.noise == point.noise
        and not point.varied
        and point.total is None
    )


def published_in_words(entry: PublishedFigure, split: str, network: str = "") -> str:
    """A published figure in words: `80.05 % (ALT (Florea et al. 2019), PL, AlexNet; other split)`."""
    source = ", ".join(filter(None, (entry.paper, entry.method, entry.network)))
    return f"{entry.figure:g} % ({'; '.join((source, *entry.marks(split, network)))})"
