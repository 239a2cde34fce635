"""The picture and the CSV of `mien intensity`: sequences in order of intensity, and a line for each face."""

import csv
import io

import numpy as np
import numpy.typing as npt
from PIL import Image

from mien.data.face_grid import GRAY, GridNote, GridRow, GridTile, draw_face_grid, evenly_spaced
from mien.evaluation.intensity_correlation import IntensityFaces
from mien.wording import quantity

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

SIDE, SHOWN, FRAMES = 96, 2, 10
"""Side of a face in the picture in pixels, sequences of each class, and most frames of a sequence."""


def draw_intensity(shown: IntensityFaces, within: Floats) -> Image.Image:
    """A picture of a few sequences of each class, frames in order of intensity; without any, of faces across intensities."""
    rows = []
    for label, name in enumerate(shown.classes):
        mine = np.flatnonzero(shown.expression == label)
        known = np.unique(shown.sequence[mine][np.isfinite(within[shown.sequence[mine]])])
        chosen = np.random.default_rng(label).permutation(known)[:SHOWN]
        parts = [(mine[shown.sequence[mine] == number], f"rank correlation {within[number]:.2f}") for number in chosen]
        if len(mine) and not len(known):
            parts = [(mine, f"{quantity(len(mine), 'face')}")]
        rows += [_row(shown, part, name, about) for part, about in parts]
    return draw_face_grid(rows, SIDE, "Under each face its class's probability (blue) and the true intensity (gray)")


def intensity_rows(shown: IntensityFaces) -> str:
    """The CSV of id, class, sequence, intensity and probability, in order of class, sequence and intensity."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["id", "class", "sequence", "intensity", "probability"])
    ids = shown.faces.column("id").to_pylist()
    for row in np.lexsort((shown.intensity, shown.sequence, shown.expression)).tolist():
        about = [ids[row], shown.classes[shown.expression[row]], shown.names[shown.sequence[row]]]
        writer.writerow([*about, f"{shown.intensity[row]:.6g}", f"{shown.probability[row]:.6g}"])
    return file.getvalue()


def _row(shown: IntensityFaces, rows: Integers, name: str, about: str) -> GridRow:
    """A row of the picture: faces in order of intensity, at most FRAMES of them."""
    rows = rows[np.argsort(shown.intensity[rows], kind="stable")]
    rows = rows[evenly_spaced(len(rows), FRAMES)]
    low, high = min(0.0, float(shown.intensity.min())), float(shown.intensity.max())
    tiles = []
    for face, chance, value in zip(shown.faces.faces(rows), shown.probability[rows], shown.intensity[rows], strict=True):
        share = (value - low) / (high - low)
        tiles.append(
            GridTile(
                face, (GridNote(f"{chance:.2f}", chance), GridNote(f"{value:.3g}" if high > 10 else f"{value:.2f}", share, GRAY))
            )
        )
    return GridRow(name, tuple(tiles), about)
