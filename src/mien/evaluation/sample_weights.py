"""The sample weights that a run ended with: which labels it came to doubt, and the faces that count least (ST+SW, Fig. 3)."""

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from PIL import Image
from scipy.stats import rankdata

from mien.data.describe import require_pictures
from mien.data.face_grid import RED, GridNote, GridRow, GridTile, draw_face_grid, write_face_grid
from mien.data.faceset import FaceSet
from mien.disk import write_atomically
from mien.errors import MienError
from mien.json_text import plain_values
from mien.recognize.model_card import ModelCard, read_card
from mien.tabular.parquet_files import LABEL_COLUMNS, read_table
from mien.wording import quantity

SIDE = 96
"""Side of a face in the picture, in pixels."""
SHOWN = 8
"""Faces of each class in the picture."""
NO_CLASS = "no class"
"""Name of the true class of a face whose `true_label` is -1."""


@dataclass(frozen=True, eq=False)
class WeightedFaces:
    """The N labeled faces that a run trained on, with their sample weights; all arrays have N values."""

    faces: FaceSet
    classes: tuple[str, ...]
    """The run's classes."""
    labels: npt.NDArray[np.int64]
    """The labels that the run was taught, from 0 to K - 1."""
    weights: npt.NDArray[np.float64]
    """The sample weights that the run ended with."""
    truth: npt.NDArray[np.str_]
    """Name of each face's true class: the set's `true_label` where it has that column, else its own label.

    Empty where neither says.
    """

    @property
    def flipped(self) -> npt.NDArray[np.bool_]:
        """(N,) whether each face is known to be of another class than the run was taught."""
        taught = np.array(self.classes)[self.labels]
        found: npt.NDArray[np.bool_] = (self.truth != taught) & (self.truth != "")
        return found

    @property
    def truth_known(self) -> bool:
        """Whether the set tells true classes apart from labels; else a label counts as right for want of any other."""
        return "true_label" in self.faces.column_names or bool(self.flipped.any())

    @property
    def equal(self) -> bool:
        """Whether all faces have the same weight."""
        return bool(np.ptp(self.weights) == 0)


@dataclass(frozen=True)
class ClassWeights:
    """Sample weights of the faces that were taught as one class."""

    name: str
    count: int
    """Number of faces."""
    mean: float
    """Mean weight; nan for a class without faces."""
    lowest: float
    """Lowest weight; nan for a class without faces."""


@dataclass(frozen=True)
class SampleWeights:
    """What `inspect_weights` found: sample weights by class, and how well they find wrong labels."""

    classes: tuple[ClassWeights, ...]
    """Sample weights by class, in the order of the run's classes."""
    equal: bool
    """Whether the run weighed all faces the same."""
    flipped: int
    """Number of faces known to be of another class than the run was taught."""
    auroc: float
    """How well a low weight finds wrong labels, as `flip_auroc` gives it; nan where none is known."""
    warning: str = ""
    """What may be wrong with these figures, in words; empty where nothing is known."""

    def to_json(self) -> dict[str, Any]:
        """The whole result as plain values for JSON; nan is null."""
        found: dict[str, Any] = plain_values(self)
        return found


def inspect_weights(
    run: Path | str, faces: FaceSet | Path | str, per_class: int = SHOWN, out: Path | str | None = None
) -> SampleWeights:
    """Inspect the sample weights of a run's training faces, which are found by their ids in `faces`.

    Writes weights.png (the `per_class` faces of each class that count least, framed where the label is known to be wrong) and
    weights.csv (id, class, weight, flipped, truth) into `out`, or else into RUN/weights. Raises MienError for an unfinished run,
    a run without weights, a face that the set does not have, and a set of features.
    """
    run, faces = Path(run), FaceSet.of(faces)
    if per_class < 1:
        raise MienError("at least 1 face per class to show", f"{per_class}", "give 1 or more")
    card = read_card(run)
    require_pictures(faces)
    weighted = read_weighted_faces(run, faces)
    folder = run / "weights" if out is None else Path(out)
    write_face_grid(draw_weights(weighted, per_class), folder / "weights.png")
    write_atomically(folder / "weights.csv", weight_rows(weighted).encode())
    return summarize_weights(weighted, _warning(card, faces))


def read_weighted_faces(run: Path | str, faces: FaceSet) -> WeightedFaces:
    """The faces and sample weights of a finished run, from its weights.parquet.

    Raises MienError where a face is not in `faces`.
    """
    classes, table = read_card(Path(run)).classes, _read_table(Path(run) / "weights.parquet")
    found = faces.select(_rows_of(table.column("id").to_pylist(), faces))
    labels = table.column("label").to_numpy().astype(np.int64)
    weights = table.column("weight").to_numpy().astype(np.float64)
    if not (labels.min() >= 0 and labels.max() < len(classes) and np.isfinite(weights).all()):
        raise MienError(f"labels of {len(classes)} classes and finite weights", "others in weights.parquet", "train again")
    return WeightedFaces(found, classes, labels, weights, _truth(found))


def summarize_weights(weighted: WeightedFaces, warning: str = "") -> SampleWeights:
    """Sample weights by class, and how well a low weight finds the labels that are known to be wrong."""
    found = []
    for label, name in enumerate(weighted.classes):
        mine = weighted.weights[weighted.labels == label]
        mean, lowest = (float(mine.mean()), float(mine.min())) if len(mine) else (math.nan, math.nan)
        found.append(ClassWeights(name, len(mine), mean, lowest))
    auroc = flip_auroc(weighted.weights, weighted.flipped)
    return SampleWeights(tuple(found), weighted.equal, int(weighted.flipped.sum()), auroc, warning)


def flip_auroc(weights: npt.ArrayLike, flipped: npt.ArrayLike) -> float:
    """The AUROC of finding flipped labels by a low weight; `weights` (N,), and `flipped` (N,), bool.

    This is the probability that a flipped face has a lower weight than another one, ties counting half; nan where either kind
    is missing. Raises MienError where the lengths differ.
    """
    given, wrong = np.asarray(weights, np.float64), np.asarray(flipped, bool)
    if given.shape != wrong.shape:
        raise MienError(f"a weight for each of {len(wrong)} faces", f"{len(given)}", "give both for the same faces")
    count, others = int(wrong.sum()), int((~wrong).sum())
    if not count or not others:
        return math.nan
    # Mann and Whitney's U: the ranks of the flipped faces, the highest weight first, against the least they could have.
    ranks = rankdata(-given)
    return float((ranks[wrong].sum() - count * (count + 1) / 2) / (count * others))


def draw_weights(weighted: WeightedFaces, per_class: int = SHOWN) -> Image.Image:
    """A picture with a row for each class: the faces of lowest weight in ascending order, the weight under each face."""
    flipped, rows = weighted.flipped, []
    order, scale = np.argsort(weighted.weights, kind="stable"), max(1.0, float(weighted.weights.max()))
    chosen = [order[weighted.labels[order] == label] for label in range(len(weighted.classes))]
    marked = any(flipped[mine[:per_class]].any() for mine in chosen)
    for name, mine in zip(weighted.classes, chosen, strict=True):
        if not len(mine):
            continue
        shown, tiles = mine[:per_class], []
        for row, face in zip(shown, weighted.faces.faces(shown), strict=True):
            weight = GridNote(f"{weighted.weights[row]:.3f}", weighted.weights[row] / scale)
            mark = GridNote(str(weighted.truth[row]) if flipped[row] else "", color=RED)
            tiles.append(GridTile(face, (weight, mark) if marked else (weight,), RED if flipped[row] else ""))
        rows.append(GridRow(name, tuple(tiles), f"{quantity(len(mine), 'face')}"))
    title = "All faces counted the same" if weighted.equal else "The faces that counted least, and their weights"
    return draw_face_grid(rows, SIDE, title + ("; framed: what a face really is" if marked else ""))


def weight_rows(weighted: WeightedFaces) -> str:
    """The CSV of id, class, weight, flipped and truth, by class and then by weight; the last two are empty where nobody knows."""
    file, flipped = io.StringIO(), weighted.flipped
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["id", "class", "weight", "flipped", "truth"])
    ids, truth_known = weighted.faces.column("id").to_pylist(), weighted.truth_known
    for row in np.lexsort((weighted.weights, weighted.labels)).tolist():
        known = truth_known and weighted.truth[row]
        about = [str(flipped[row]).lower(), weighted.truth[row]] if known else ["", ""]
        writer.writerow([ids[row], weighted.classes[weighted.labels[row]], f"{weighted.weights[row]:.6g}", *about])
    return file.getvalue()


def _read_table(path: Path) -> pa.Table:
    if not path.is_file():
        raise MienError(f"a run's sample weights at {path}", "no such file", "give a run's folder, or train it again")
    table = read_table(path, LABEL_COLUMNS | {"weight": pa.float64()}, "train again")
    if not len(table):
        raise MienError(f"labeled faces in {path}", "none", "train again")
    return table


def _rows_of(ids: Sequence[str], faces: FaceSet) -> npt.NDArray[np.int64]:
    """Rows of the faces of N ids, (N,). Raises MienError where one is missing or stands for several faces."""
    names = faces.column("id").to_pylist()
    place = {name: row for row, name in enumerate(names)}
    missing = [name for name in ids if name not in place]
    if missing:
        found = f"{len(missing)} of {len(ids)} not in it, {missing[0]!r} among them"
        raise MienError(f"the faces that the run trained on in {_name(faces)}", found, "give the set that it trained on")
    wanted = set(ids)
    if len(place) < len(names) and sum(name in wanted for name in names) > len(wanted):
        raise MienError(f"one face of each id in {_name(faces)}", "ids that several faces share", "import it with other ids")
    return np.array([place[name] for name in ids], np.int64)


def _truth(faces: FaceSet) -> npt.NDArray[np.str_]:
    """Names of the faces' true classes, (N,)."""
    truth: npt.NDArray[np.str_] = np.array([*faces.classes, ""])[faces.labels]  # of label -1 the last
    if "true_label" not in faces.column_names:
        return truth
    given = faces.column("true_label")
    told, values, kinds = given.is_valid().to_numpy(), given.drop_null().to_numpy(), np.array([*faces.classes, NO_CLASS])
    if len(values) and not (pa.types.is_integer(given.type) and values.min() >= -1 and values.max() < len(faces.classes)):
        raise MienError(f"true_label from -1 to {len(faces.classes) - 1}", f"others of {given.type}", "import the set again")
    truth = truth.astype(np.promote_types(truth.dtype, kinds.dtype))
    truth[told] = kinds[values.astype(np.int64)]
    return truth


def _warning(card: ModelCard, faces: FaceSet) -> str:
    """A warning where the set is not the one that the run trained on: other faces may have the same ids.

    Cached features and the faces that they were made from share their ids rightly.
    """
    mine, theirs = faces.info.checksum, card.faces.checksum
    if not (mine and theirs) or mine == theirs or faces.info.kind != card.faces.kind:
        return ""
    return f"{_name(faces)} is not the set that the run trained on, or was changed since: check that ids mean the same faces"


def _name(faces: FaceSet) -> str:
    return str(faces.folder or faces.info.name or "the set")
