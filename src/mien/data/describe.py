"""What is in a face set: the numbers of faces by split and class, and a picture of examples."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from mien.data.face_grid import GridRow, GridTile, draw_face_grid, write_face_grid
from mien.data.faceset import FaceSet
from mien.errors import MienError

NO_LABEL = "(no label)"


@dataclass(frozen=True)
class Description:
    """The numbers of faces, (splits, classes); faces without label, if any, are the last class."""

    splits: tuple[str, ...]
    classes: tuple[str, ...]
    counts: npt.NDArray[np.int64]
    """The numbers of faces, (splits, classes)."""


def describe(faces: FaceSet) -> Description:
    """The numbers of faces by split and class; a set without splits has one, named `(no splits)`."""
    has_splits = "split" in faces.column_names
    splits = faces.values("split").astype(str) if has_splits else np.full(len(faces), "(no splits)")
    names, index = np.unique(splits, return_inverse=True)
    labels, columns = faces.labels, len(faces.classes) + 1
    cells = index * columns + np.where(labels < 0, columns - 1, labels)
    counts = np.bincount(cells, minlength=len(names) * columns).reshape(len(names), columns)
    if not counts[:, -1].any():
        return Description(tuple(map(str, names)), faces.classes, counts[:, :-1])
    return Description(tuple(map(str, names)), (*faces.classes, NO_LABEL), counts)


def examples(faces: FaceSet, per_class: int = 10, side: int = 64, seed: int = 0) -> Image.Image:
    """A picture of random faces, up to `per_class` of each class, in a row behind its name.

    Raises MienError for a set of features, which has no pictures.
    """
    require_pictures(faces)
    generator, labels = np.random.default_rng(seed), faces.labels
    kinds = [(name, label) for label, name in enumerate(faces.classes)] + [(NO_LABEL, -1)]
    found = [(name, np.flatnonzero(labels == label)) for name, label in kinds]
    chosen = [(name, generator.permutation(rows)[:per_class]) for name, rows in found if len(rows)]
    return draw_face_grid([GridRow(name, tuple(map(GridTile, faces.faces(rows)))) for name, rows in chosen], side)


def require_pictures(faces: FaceSet) -> None:
    """Raises MienError for a set of features, which has no pictures."""
    if faces.info.kind != "faces":
        raise MienError("a set of faces, to draw them", "features", "give the set they were made from")


def write_examples(faces: FaceSet, path: Path) -> None:
    """Write a picture of examples as a PNG. Raises MienError where `path` does not end in .png."""
    write_face_grid(examples(faces), path)
