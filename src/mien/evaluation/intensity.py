"""Do predictions grow with the intensity of the expression (ST+SW's Fig. 2a)? Rank correlations with a column that knows it."""

import csv
import io
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from PIL import Image
from scipy.stats import spearmanr

from mien.data.face_grid import GRAY, GridNote, GridRow, GridTile, draw_face_grid, evenly_spaced, write_face_grid
from mien.data.faceset import FaceSet
from mien.data.peaks import find_sequences
from mien.data.splits import test_split
from mien.disk import write_atomically
from mien.errors import MienError
from mien.evaluation.evaluate import count_known, tested_faces
from mien.evaluation.metrics import RESAMPLES, Interval, block_sizes, percentiles
from mien.json_text import plain_values
from mien.recognize.calibration import apply_temperature
from mien.recognize.recognizer import Recognizer
from mien.wording import quantity

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

NEUTRAL = "neutral"
LEAST = 3
"""A sequence of fewer different intensities has no rank correlation worth the name."""
SIDE, SHOWN, FRAMES = 96, 2, 10
"""The picture: side of a face in pixels, sequences of a class, and most frames of each."""


@dataclass(frozen=True)
class Correlation:
    """Spearman's rank correlation of probability and intensity over the faces of one expression, or all."""

    name: str
    count: int
    """Number of faces."""
    value: float
    """From -1 to 1; nan where either never changes."""
    interval: Interval


@dataclass(frozen=True)
class Sequences:
    """The rank correlations within sequences of LEAST different intensities or more; nan where there is none."""

    count: int
    median: float
    """Where the probability stays the same all along, a sequence counts as 0."""
    median_interval: Interval
    above: float
    """Share of sequences whose correlation is above 0."""
    above_interval: Interval


@dataclass(frozen=True)
class Growth:
    """What `inspect_intensity` found. Intervals are 95 % percentile bootstrap."""

    dataset: str
    split: str
    column: str
    overall: Correlation
    classes: tuple[Correlation, ...]
    """By expression, those that have faces."""
    sequences: Sequences
    over: Literal["sequences", "faces"]
    """What the bootstrap drew: whole sequences where there are any."""
    warning: str = ""
    """What may be wrong with these figures."""

    def to_json(self) -> dict[str, Any]:
        """All of it as plain values for JSON, under the names above; nan is null."""
        found: dict[str, Any] = plain_values(self)
        return found


@dataclass(frozen=True, eq=False)
class Shown:
    """Faces whose expression has an intensity; all arrays have N values."""

    faces: FaceSet
    classes: tuple[str, ...]
    """Of the recognizer."""
    expression: Integers
    """The class whose probability counts: the face's label, in a sequence that of its peak frame."""
    intensity: Floats
    probability: Floats
    """Calibrated."""
    sequence: Integers
    """A number for each sequence, from 0; a face that is of none has a number of its own."""
    names: tuple[str, ...]
    """Of the sequences by number; empty for a face that is of none."""


def inspect_intensity(
    recognizer: Recognizer | Path | str,
    faces: FaceSet | Path | str,
    split: str | None = None,
    column: str = "intensity",
    out: Path | str | None = None,
    device: str = "auto",
) -> Growth:
    """Spearman's rank correlation of the labeled class's probability with the intensity in `column`, over a split's faces.

    Faces without a number there are left out, and so is neutral, which has no intensity. All frames of a sequence are
    asked for the class of its peak frame. Writes intensity.csv and, unless `faces` are features, intensity.png (a few
    sequences of each class, frames in order of intensity) into `out`, the run's folder `intensity` unless said. Raises
    MienError without the column, or where no intensities differ.
    """
    if not isinstance(recognizer, Recognizer):
        recognizer = Recognizer.load(recognizer, device)
    if not isinstance(faces, FaceSet):
        faces = FaceSet.open(faces, verify=True)
    if out is None and recognizer.folder is None:
        raise MienError("a folder for the picture", "a recognizer in memory and no `out`", "give one")
    split = split or test_split(faces)
    shown = show_faces(recognizer, faces, split, column)
    known = count_known(recognizer, shown.faces, faces)
    folder = Path(out) if out is not None else Path(recognizer.folder or "") / "intensity"
    folder.mkdir(parents=True, exist_ok=True)
    within = sequence_correlations(shown)
    write_atomically(folder / "intensity.csv", intensity_rows(shown).encode())
    if faces.info.kind == "faces":
        write_face_grid(draw_intensity(shown, within), folder / "intensity.png")
    warning = f"{known} of these faces gave the run their labels: this is no test of it" if known else ""
    return summarize_intensity(shown, within, faces.info.name or "unnamed", split, column, warning)


def show_faces(recognizer: Recognizer, faces: FaceSet, split: str, column: str) -> Shown:
    """The labeled faces of the split that have an intensity, what they show, and its calibrated probability."""
    tested = tested_faces(recognizer.classes, faces, split)
    intensity = _intensities(tested.faces, column)
    there = np.flatnonzero(np.isfinite(intensity))
    view, intensity = tested.faces.select(there), intensity[there]
    names, sequence = find_sequences(view)
    expression = peak_labels(tested.labels[there], intensity, sequence)
    neutral = recognizer.classes.index(NEUTRAL) if NEUTRAL in recognizer.classes else -1
    kept = np.flatnonzero(expression != neutral)
    view, expression, intensity = view.select(kept), expression[kept], intensity[kept]
    if len(kept) < 2 or np.ptp(intensity) == 0:
        raise MienError(
            f"faces of different {column} in {split}, neutral left out",
            f"{quantity(len(kept), 'face')} of one",
            "take another split or column",
        )
    used, sequence = np.unique(sequence[kept], return_inverse=True)
    chances = apply_temperature(recognizer.logits(view), recognizer.card.temperature)
    probability = chances[np.arange(len(kept)), expression]
    return Shown(view, recognizer.classes, expression, intensity, probability, sequence, tuple(names[number] for number in used))


def summarize_intensity(
    shown: Shown,
    within: Floats,
    dataset: str,
    split: str,
    column: str,
    warning: str = "",
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Growth:
    """Correlations overall, by expression and `within` sequences (S,), with intervals by a bootstrap that `seed` draws.

    Whole sequences are drawn where there are any, for their frames are alike; persons are taken as independent.
    """
    groups = [("all", np.arange(len(shown.intensity)))]
    groups += [(name, np.flatnonzero(shown.expression == label)) for label, name in enumerate(shown.classes)]
    groups = [(name, rows) for name, rows in groups if len(rows)]
    drawn = _resampled(shown, [rows for _, rows in groups], seed, resamples)
    found = [
        Correlation(name, len(rows), _spearman(shown.probability[rows], shown.intensity[rows]), percentiles(values))
        for (name, rows), values in zip(groups, drawn, strict=True)
    ]
    sequences = summarize_sequences(within[np.isfinite(within)], seed, resamples)
    over: Literal["sequences", "faces"] = "sequences" if any(shown.names) else "faces"
    return Growth(dataset, split, column, found[0], tuple(found[1:]), sequences, over, warning)


def summarize_sequences(within: Floats, seed: int = 0, resamples: int = RESAMPLES) -> Sequences:
    """Median and share above 0 of the sequences' correlations (S,), with bootstrap intervals over sequences."""
    if not len(within):
        nowhere = Interval(math.nan, math.nan)
        return Sequences(0, math.nan, nowhere, math.nan, nowhere)
    generator, medians, shares = np.random.default_rng(seed), [], []
    for size in block_sizes(resamples, len(within)):
        drawn = within[generator.integers(len(within), size=(size, len(within)))]
        medians.append(np.median(drawn, axis=1))
        shares.append((drawn > 0).mean(axis=1))
    found = percentiles(np.concatenate(medians)), percentiles(np.concatenate(shares))
    return Sequences(len(within), float(np.median(within)), found[0], float((within > 0).mean()), found[1])


def sequence_correlations(shown: Shown) -> Floats:
    """The rank correlation within each sequence, (S,); nan for one of fewer than LEAST different intensities."""
    order = np.argsort(shown.sequence, kind="stable")
    parts = np.split(order, np.cumsum(np.bincount(shown.sequence, minlength=len(shown.names)))[:-1])
    within = np.full(len(shown.names), math.nan)
    for number, rows in enumerate(parts):
        if shown.names[number] and len(np.unique(shown.intensity[rows])) >= LEAST:
            found = _spearman(shown.probability[rows], shown.intensity[rows])
            within[number] = 0.0 if math.isnan(found) else found
    return within


def peak_labels(labels: Integers, intensity: Floats, sequence: Integers) -> Integers:
    """For each face (N,) the label of the face of highest intensity in its sequence; of equals the first."""
    order = np.lexsort((-np.arange(len(labels)), intensity, sequence))
    ordered, last = sequence[order], np.ones(len(order), bool)
    last[:-1] = ordered[1:] > ordered[:-1]
    peaks = labels[order[last]]
    return peaks[np.unique(sequence, return_inverse=True)[1]]


def weighted_spearman(first: Floats, second: Floats, counts: npt.NDArray[Any]) -> Floats:
    """Spearman's correlation, (R,), of pairs (N,) of which the n-th is there counts[r, n] times; nan where one is constant."""
    weights = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    centered = [_ranks(values, counts) for values in (first, second)]
    centered = [ranks - (weights * ranks).sum(axis=1, keepdims=True) for ranks in centered]
    together, one, other = (np.einsum("rn,rn,rn->r", weights, centered[a], centered[b]) for a, b in ((0, 1), (0, 0), (1, 1)))
    spread = np.sqrt(one * other)
    found: Floats = np.divide(together, spread, out=np.full(len(spread), math.nan), where=spread > 1e-9)
    return found


def draw_intensity(shown: Shown, within: Floats) -> Image.Image:
    """A few sequences of each class, frames in order of intensity; where there are none, faces across the intensities."""
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


def intensity_rows(shown: Shown) -> str:
    """A csv of id, class, sequence, intensity and probability, in order of class, sequence and intensity."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["id", "class", "sequence", "intensity", "probability"])
    ids = shown.faces.column("id").to_pylist()
    for row in np.lexsort((shown.intensity, shown.sequence, shown.expression)).tolist():
        about = [ids[row], shown.classes[shown.expression[row]], shown.names[shown.sequence[row]]]
        writer.writerow([*about, f"{shown.intensity[row]:.6g}", f"{shown.probability[row]:.6g}"])
    return file.getvalue()


def _row(shown: Shown, rows: Integers, name: str, about: str) -> GridRow:
    """These faces in order of intensity, FRAMES at most."""
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


def _intensities(faces: FaceSet, column: str) -> Floats:
    """Column `column` as numbers (N,), nan where there is none."""
    if column not in faces.column_names:
        raise MienError(
            f"a column of intensities, {column!r}",
            f"columns {', '.join(faces.column_names)}",
            "name it with --column, or take a set that has one (mien import synthetic OUT --set sequences=8)",
        )
    given = faces.column(column)
    if not (pa.types.is_floating(given.type) or pa.types.is_integer(given.type)):
        raise MienError(f"numbers in column {column}", str(given.type), "name another column with --column")
    return np.asarray(given.cast(pa.float64()).to_numpy(), np.float64)


def _spearman(probability: Floats, intensity: Floats) -> float:
    if np.ptp(probability) == 0 or np.ptp(intensity) == 0:
        return math.nan
    return float(spearmanr(probability, intensity).statistic)


def _resampled(shown: Shown, groups: list[Integers], seed: int, resamples: int) -> list[Floats]:
    """For each group of rows, the correlation (R,) of each bootstrap resample of sequences."""
    generator, clusters = np.random.default_rng(seed), len(shown.names)
    found: list[list[Floats]] = [[] for _ in groups]
    for size in block_sizes(resamples, max(clusters, len(shown.intensity))):
        drawn = generator.integers(clusters, size=(size, clusters)) + clusters * np.arange(size)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=size * clusters).reshape(size, clusters)
        for kept, rows in zip(found, groups, strict=True):
            kept.append(weighted_spearman(shown.probability[rows], shown.intensity[rows], counts[:, shown.sequence[rows]]))
    return [np.concatenate(kept) for kept in found]


def _ranks(values: Floats, counts: npt.NDArray[Any]) -> Floats:
    """Ranks (R, N) of values (N,) that are there `counts` (R, N) times; equal values share their mean rank."""
    _, place = np.unique(values, return_inverse=True)
    order = np.argsort(place, kind="stable")
    starts = np.searchsorted(place[order], np.arange(place.max() + 1))
    totals = np.add.reduceat(counts[:, order], starts, axis=1)
    ranks: Floats = (totals.cumsum(axis=1) - (totals - 1) / 2)[:, place]
    return ranks
