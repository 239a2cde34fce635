"""Near-duplicates as files for people: a table of all pairs, and a picture of the groups."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from mien.data.face_grid import GridNote, GridRow, GridTile, draw_face_grid, evenly_spaced, write_face_grid
from mien.data.near_duplicate_pairs import NearDuplicates
from mien.disk import write_atomically
from mien.folders import require_new
from mien.wording import quantity

SHOWN, ACROSS, SIDE = 12, 10, 72
"""Groups in the picture, faces of each, and their side in pixels."""


def write_near_duplicates(found: NearDuplicates, out: Path | str) -> tuple[str, ...]:
    """Write duplicates.csv and, where there are pairs, duplicates.png into the new folder `out`; returns their names.

    Raises MienError where something lies there.
    """
    out = Path(out)
    require_new(out)
    out.mkdir(parents=True, exist_ok=True)
    write_atomically(out / "duplicates.csv", near_duplicate_rows(found).encode())
    if not len(found.sizes):
        return ("duplicates.csv",)
    write_face_grid(draw_near_duplicates(found), out / "duplicates.png")
    return ("duplicates.csv", "duplicates.png")


def near_duplicate_rows(found: NearDuplicates) -> str:
    """A CSV table with a row for each pair, those that look most alike first."""
    file, of = io.StringIO(), found.pairs
    writer = csv.writer(file, lineterminator="\n")
    columns = ("id", "twin", "distance", "correlation", "mirrored", "group", "split", "twin_split", "label", "twin_label")
    writer.writerow(columns)
    ids = np.concatenate([one.values("id") for one in (found.faces, found.other) if one is not None])
    for place in np.argsort(-of.correlation, kind="stable"):
        left, right = of.rows[place]
        about = (of.distance[place], f"{of.correlation[place]:.3f}", str(of.mirrored[place]).lower(), found.group[left])
        named = (found.splits[left], found.splits[right], found.labels[left], found.labels[right])
        writer.writerow([ids[left], ids[right], *about, *named])
    return file.getvalue()


def draw_near_duplicates(found: NearDuplicates) -> Image.Image:
    """A picture of the largest groups and some others, each a row; under each face its label and its split."""
    return draw_face_grid(list(_drawn(found)), SIDE, f"{quantity(len(found.sizes), 'group')} of near-duplicates, by size")


def _drawn(found: NearDuplicates) -> Iterator[GridRow]:
    count, few = len(found.faces), SHOWN // 2
    for number in sorted({*range(min(few, len(found.sizes))), *evenly_spaced(len(found.sizes), few).tolist()}):
        members = np.flatnonzero(found.group == number)
        tiles = []
        for row in members[:ACROSS].tolist():
            source = found.faces if row < count else found.other
            assert source is not None
            face = source.faces([row if row < count else row - count])[0]
            tiles.append(GridTile(face, (GridNote(found.labels[row] or "-"), GridNote(found.splits[row]))))
        yield GridRow(f"{quantity(len(members), 'face')}", tuple(tiles))
