"""What is in a face set: faces per split and class, and what they look like."""

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from mien.data.faceset import FaceSet
from mien.disk import write_aside
from mien.errors import MienError

NO_LABEL = "(no label)"


@dataclass(frozen=True)
class Description:
    """Counts (splits, classes), the classes followed by the faces without label where there are any."""

    splits: tuple[str, ...]
    classes: tuple[str, ...]
    counts: npt.NDArray[np.int64]


def describe(faces: FaceSet) -> Description:
    """Faces per split and class; a set without splits is one named `(no splits)`."""
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
    """A picture of up to `per_class` random faces of each class, a class a row, the name before it.

    Raises MienError for a set of features, which has no pictures.
    """
    if faces.info.kind != "faces":
        raise MienError("a set of faces, to draw them", "features", "describe the set they were made from")
    generator = np.random.default_rng(seed)
    labels, margin = faces.labels, 110
    kinds = [(name, label) for label, name in enumerate(faces.classes)] + [(NO_LABEL, -1)]
    rows = [(name, np.flatnonzero(labels == label)) for name, label in kinds]
    rows = [(name, generator.permutation(found)[:per_class]) for name, found in rows if len(found)]
    sheet = Image.new("RGB", (margin + per_class * (side + 2), len(rows) * (side + 2)), "white")
    draw = ImageDraw.Draw(sheet)
    for line, (name, chosen) in enumerate(rows):
        draw.text((6, line * (side + 2) + side // 2 - 6), name, fill="black")
        for place, pixels in enumerate(faces.faces(chosen)):
            face = Image.fromarray(pixels).resize((side, side), Image.Resampling.BICUBIC)
            sheet.paste(face, (margin + place * (side + 2), line * (side + 2)))
    return sheet


def write_examples(faces: FaceSet, path: Path) -> None:
    """Write `examples` as a PNG, aside and renamed. Raises MienError where `path` does not end in .png."""
    if path.suffix.lower() != ".png":
        raise MienError("a picture named *.png", str(path), "give it that ending")
    content = io.BytesIO()
    examples(faces).save(content, "PNG")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_aside(path, content.getvalue())
