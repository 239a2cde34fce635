"""Figures that papers report, from published.toml, to stand beside ours where faces, labels and recipe are the same."""

import tomllib
from collections.abc import Sequence
from fnmatch import fnmatchcase
from importlib import resources
from typing import Any

from pydantic.dataclasses import dataclass

from mien.data.format import Info
from mien.experiments.grid import Group
from mien.settings import STRICT, settings_from

NETWORKS = {"AlexNet": "alexnet_bn", "VGG-16": "vgg16_bn", "ResNet-18": "resnet18"}
"""Ours of the papers' networks; those that are not here are nobody's of ours."""


@dataclass(frozen=True, config=STRICT)
class Published:
    """One figure of a paper."""

    paper: str
    faces: str
    """Pattern of a face set's name."""
    method: str
    figure: float
    """Accuracy in percent, as published."""
    split: str
    """On which it was measured."""
    labels: int | str
    """Per class, or `all`, or in words what no budget of ours is."""
    network: str = ""
    recipes: tuple[str, ...] = ()
    """Ours that do the same."""
    noise: float = 0.0
    """Share of flipped labels."""
    note: str = ""

    def marks(self, split: str, network: str = "") -> tuple[str, ...]:
        """What has to be said of it beside a figure of ours on `split`, by `network` where that is known."""
        other = bool(network) and NETWORKS.get(self.network, self.network) != network
        said = (self.split != split and "other split", other and "other network", self.note)
        return tuple(mark for mark in said if mark)


def read_published() -> tuple[Published, ...]:
    """All that mien knows of."""
    table = tomllib.loads((resources.files("mien.experiments") / "published.toml").read_text("utf-8"))
    return tuple(_read(group, figure) for group in table["group"] for figure in group["figures"])


def _read(group: dict[str, Any], figure: dict[str, Any]) -> Published:
    return settings_from(Published, {key: value for key, value in group.items() if key != "figures"} | figure)


def published_on(faces: Info) -> tuple[Published, ...]:
    """Those on the faces of this set; none for cached features, whose encoder has learned from other faces."""
    return tuple(entry for entry in read_published() if faces.kind == "faces" and fnmatchcase(faces.name, entry.faces))


def beside(known: Sequence[Published], recipe: str, group: Group) -> tuple[Published, ...]:
    """Those of `known` that are of the same recipe, labels and noise as a place in the grid, where nothing is varied."""
    labels = "all" if group.labels is None else group.labels
    return tuple(
        entry
        for entry in known
        if recipe in entry.recipes and entry.labels == labels and entry.noise == group.noise and not group.varied
    )


def in_words(entry: Published, split: str, network: str = "") -> str:
    """`80.05 % (ALT (Florea et al. 2019), PL, AlexNet; other split)`."""
    source = ", ".join(filter(None, (entry.paper, entry.method, entry.network)))
    return f"{entry.figure:g} % ({'; '.join((source, *entry.marks(split, network)))})"
