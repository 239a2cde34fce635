"""Which labels a run came to doubt: the sample weights it ended with, and the faces with the lowest (ST+SW's Fig. 3)."""

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
"""Faces of a class in the picture."""
NO_CLASS = "no class"
"""The truth of a face whose `true_label` is -1."""


@dataclass(frozen=True, eq=False)
class Weighed:
    """The labeled faces that a run trained on, in the order of its weights.parquet; all arrays have N values."""

    faces: FaceSet
    classes: tuple[str, ...]
    """Of the run."""
    labels: npt.NDArray[np.int64]
    """What the run was taught, from 0 to K - 1."""
    weights: npt.NDArray[np.float64]
    truth: npt.NDArray[np.str_]
    """Name of the class that a face really is: the set's `true_label` where it has that column, else its own label; empty
    where neither says."""

    @property
    def flipped(self) -> npt.NDArray[np.bool_]:
        """(N,) whether a face is known to be something else than what the run was taught."""
        taught = np.array(self.classes)[self.labels]
        found: npt.NDArray[np.bool_] = (self.truth != taught) & (self.truth != "")
        return found

    @property
    def truth_known(self) -> bool:
        """Whether truth and labels are told apart; else a label is called right for want of any other."""
        return "true_label" in self.faces.column_names or bool(self.flipped.any())

    @property
    def equal(self) -> bool:
        """Whether all weights are the same."""
        return bool(np.ptp(self.weights) == 0)


@dataclass(frozen=True)
class ClassWeights:
    """The weights of the faces that were taught one class."""

    name: str
    count: int
    """Number of faces."""
    mean: float
    """nan for a class without faces, as is the next."""
    lowest: float


@dataclass(frozen=True)
class SampleWeights:
    """What `inspect_weights` found."""

    classes: tuple[ClassWeights, ...]
    """Those of the run, in order."""
    equal: bool
    """Whether the run weighed all faces the same."""
    flipped: int
    """Faces known to be something else than what the run was taught."""
    auroc: float
    """How well a low weight finds those, as `flip_auroc` says; nan where none is known."""
    warning: str = ""
    """What may be wrong with these figures."""

    def to_json(self) -> dict[str, Any]:
        """All of it as plain values for JSON, under the names above; nan is null."""
        found: dict[str, Any] = plain_values(self)
        return found


def inspect_weights(
    run: Path | str, faces: FaceSet | Path | str, per_class: int = SHOWN, out: Path | str | None = None
) -> SampleWeights:
    """The sample weights of a run's training faces, which are found by their ids in `faces`.

    Writes weights.png (of each class, in the order of their weight, the `per_class` faces that count least, framed where the
    label is known to be wrong) and weights.csv (id, class, weight, flipped, truth) into `out`, RUN/weights unless said. Raises
    MienError for an unfinished run, one without weights, a face that the set does not have, and a set of features.
    """
    run, faces = Path(run), faces if isinstance(faces, FaceSet) else FaceSet.open(faces, verify=True)
    if per_class < 1:
        raise MienError("at least 1 face per class to show", f"{per_class}", "show more")
    card = read_card(run)
    require_pictures(faces)
    weighed = read_weighed(run, faces)
    folder = run / "weights" if out is None else Path(out)
    write_face_grid(draw_weights(weighed, per_class), folder / "weights.png")
    write_atomically(folder / "weights.csv", weight_rows(weighed).encode())
    return summarize_weights(weighed, _warning(card, faces))


def read_weighed(run: Path | str, faces: FaceSet) -> Weighed:
    """The rows of a finished run's weights.parquet with their faces. Raises MienError where one is not in `faces`."""
    classes, table = read_card(Path(run)).classes, _read_table(Path(run) / "weights.parquet")
    found = faces.select(_rows_of(table.column("id").to_pylist(), faces))
    labels = table.column("label").to_numpy().astype(np.int64)
    weights = table.column("weight").to_numpy().astype(np.float64)
    if not (labels.min() >= 0 and labels.max() < len(classes) and np.isfinite(weights).all()):
        raise MienError(f"labels of {len(classes)} classes and finite weights", "others in weights.parquet", "train again")
    return Weighed(found, classes, labels, weights, _truth(found))


def summarize_weights(weighed: Weighed, warning: str = "") -> SampleWeights:
    """Figures of the weights by class, and how well a low one finds the labels that are known to be wrong."""
    found = []
    for label, name in enumerate(weighed.classes):
        mine = weighed.weights[weighed.labels == label]
        mean, lowest = (float(mine.mean()), float(mine.min())) if len(mine) else (math.nan, math.nan)
        found.append(ClassWeights(name, len(mine), mean, lowest))
    auroc = flip_auroc(weighed.weights, weighed.flipped)
    return SampleWeights(tuple(found), weighed.equal, int(weighed.flipped.sum()), auroc, warning)


def flip_auroc(weights: npt.ArrayLike, flipped: npt.ArrayLike) -> float:
    """The probability that a flipped face has a lower weight than one that is not, ties counting half.

    `weights` (N,) and `flipped` (N,), bool. It is the area under the curve of finding flipped faces by a low weight; nan
    where either kind is missing. Raises MienError where the lengths differ.
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


def draw_weights(weighed: Weighed, per_class: int = SHOWN) -> Image.Image:
    """A row for each class that has faces, those of the lowest weight in ascending order, the weight under each face."""
    flipped, rows = weighed.flipped, []
    order, scale = np.argsort(weighed.weights, kind="stable"), max(1.0, float(weighed.weights.max()))
    chosen = [order[weighed.labels[order] == label] for label in range(len(weighed.classes))]
    marked = any(flipped[mine[:per_class]].any() for mine in chosen)
    for name, mine in zip(weighed.classes, chosen, strict=True):
        if not len(mine):
            continue
        shown, tiles = mine[:per_class], []
        for row, face in zip(shown, weighed.faces.faces(shown), strict=True):
            weight = GridNote(f"{weighed.weights[row]:.3f}", weighed.weights[row] / scale)
            mark = GridNote(str(weighed.truth[row]) if flipped[row] else "", color=RED)
            tiles.append(GridTile(face, (weight, mark) if marked else (weight,), RED if flipped[row] else ""))
        rows.append(GridRow(name, tuple(tiles), f"{quantity(len(mine), 'face')}"))
    title = "All faces counted the same" if weighed.equal else "The faces that counted least, and their weights"
    return draw_face_grid(rows, SIDE, title + ("; framed: what a face really is" if marked else ""))


def weight_rows(weighed: Weighed) -> str:
    """A csv of id, class, weight, flipped and truth, by class and then by weight; the last two empty where nobody knows."""
    file, flipped = io.StringIO(), weighed.flipped
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["id", "class", "weight", "flipped", "truth"])
    ids, truth_known = weighed.faces.column("id").to_pylist(), weighed.truth_known
    for row in np.lexsort((weighed.weights, weighed.labels)).tolist():
        known = truth_known and weighed.truth[row]
        about = [str(flipped[row]).lower(), weighed.truth[row]] if known else ["", ""]
        writer.writerow([ids[row], weighed.classes[weighed.labels[row]], f"{weighed.weights[row]:.6g}", *about])
    return file.getvalue()


def _read_table(path: Path) -> pa.Table:
    if not path.is_file():
        raise MienError(f"a run's sample weights at {path}", "no such file", "give a run's folder, or train it again")
    table = read_table(path, LABEL_COLUMNS | {"weight": pa.float64()}, "train again")
    if not len(table):
        raise MienError(f"labeled faces in {path}", "none", "train again")
    return table


def _rows_of(ids: Sequence[str], faces: FaceSet) -> npt.NDArray[np.int64]:
    """Rows of the faces of these ids, (N,)."""
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
    """Names of what faces really are, (N,)."""
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
    """A set of other faces may use the same ids; cached features and the faces they were made from share theirs rightly."""
    mine, theirs = faces.info.checksum, card.faces.checksum
    if not (mine and theirs) or mine == theirs or faces.info.kind != card.faces.kind:
        return ""
    return f"{_name(faces)} is not the set that the run trained on, or was changed since: check that ids mean the same faces"


def _name(faces: FaceSet) -> str:
    return str(faces.folder or faces.info.name or "the set")
