"""Notes of who was left out: figures of a batch, and how often each face was, epoch by epoch, in a table and a picture."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch
from PIL import Image
from torch import Tensor

from mien.data.face_grid import RED, GridNote, GridRow, GridTile, draw_face_grid
from mien.data.faceset import FaceSet
from mien.wording import quantity

TABLE, PICTURE = "masked.parquet", "masked.png"
"""In the folder of a run with a mask: how often each face was left out, and a picture of those that were most often."""
NAMES = {"divergence": "divergence", "label": "neighbor_label_loss", "own_label": "label_loss"}
"""What the mean of each score is called in the history."""
SIDE = 96
"""Side of a face in the picture, in pixels."""
SHOWN = 8
"""Faces of each class in the picture at most."""
MOST_TIMES = 255
"""Times in an epoch that are counted at most."""

Integers = npt.NDArray[np.int64]


def mask_figures(name: str, masked: Tensor, scores: Tensor, labels: Tensor, truth: Tensor | None) -> dict[str, Tensor]:
    """Figures of a batch: how many faces (B,) are left out, the mean score, and how either tells wrong labels from right ones.

    `labels`, `truth`: (B,), -1 where nobody knows. NAME_auroc: the area under the ROC curve of the scores (B,), taken as a
    detector of wrong labels; missing, like the shares of wrong and right ones, where the batch has not both.
    """
    found = {"masked_share": masked.double().mean(), name: scores.double().mean()}
    if truth is None:
        return found
    known = (truth >= 0) & (labels >= 0)
    wrong = known & (truth != labels)
    right = known & ~wrong
    if bool(wrong.any()) and bool(right.any()):
        found["masked_share_wrong"] = masked[wrong].double().mean()
        found["masked_share_right"] = masked[right].double().mean()
        differences = scores[wrong].unsqueeze(1) - scores[right]
        found[f"{name}_auroc"] = ((differences > 0).double() + 0.5 * (differences == 0).double()).mean()
    return found


def count_masked(counts: Tensor, rows: Tensor, masked: Tensor) -> None:
    """Add a batch of an epoch to that epoch's counts, uint8 (2, N): how often each face was looked at, and left out."""
    for place, seen in enumerate((rows, rows[masked])):
        times = torch.bincount(seen, minlength=counts.shape[1])
        counts[place] = (counts[place].long() + times).clamp(max=MOST_TIMES).to(torch.uint8)


@dataclass(frozen=True, eq=False)
class MaskedFaces:
    """How often each of N faces was looked at and left out; arrays have N values."""

    faces: FaceSet
    labels: Integers
    """Labels as a run was taught them, -1 for none."""
    truth: Integers | None
    """True classes, -1 where nobody knows; None where nothing is known."""
    seen: Integers
    """How often each face was looked at."""
    masked: Integers
    """How often each face was left out."""
    epochs: Sequence[Sequence[int]]
    """The epochs, counted from 1, in which each face was left out."""

    @staticmethod
    def of(faces: FaceSet, labels: Tensor, truth: Tensor | None, counts: Tensor) -> "MaskedFaces":
        """By counts of every epoch, uint8 (E, 2, N)."""
        per_epoch, told = counts.cpu().numpy().astype(np.int64), labels.cpu().numpy()
        epochs = [(np.flatnonzero(times) + 1).tolist() for times in per_epoch[:, 1].T]
        known = None if truth is None else truth.cpu().numpy()
        return MaskedFaces(faces, told, known, per_epoch[:, 0].sum(axis=0), per_epoch[:, 1].sum(axis=0), epochs)

    def table(self) -> pa.Table:
        """A row for each face that was looked at: id, label, how often it was looked at and left out, and in which epochs."""
        rows = np.flatnonzero(self.seen)
        epochs = pa.array([self.epochs[row] for row in rows.tolist()], pa.list_(pa.int32()))
        values = {"label": self.labels[rows], "seen": self.seen[rows], "masked": self.masked[rows], "epochs": epochs}
        return pa.table({"id": self.faces.select(rows).column("id"), **values})

    def picture(self) -> Image.Image:
        """A row for each class: the faces that were left out most often, in descending order; red where a label is wrong."""
        order = np.lexsort((self.seen, -self.masked))
        rows: list[GridRow] = []
        for label, name in enumerate(self.faces.classes):
            mine = order[(self.labels[order] == label) & (self.masked[order] > 0)]
            if len(mine):
                shown = zip(mine[:SHOWN].tolist(), self.faces.faces(mine[:SHOWN]), strict=True)
                tiles = tuple(self._tile(row, face) for row, face in shown)
                rows.append(GridRow(name, tiles, f"{quantity(len(mine), 'face')}"))
        title = "The faces of each class that were left out most often" if rows else "No face was left out"
        framed = any(tile.frame for row in rows for tile in row.tiles)
        return draw_face_grid(rows, SIDE, title + ("; framed: what a face really is" if framed else ""))

    def _tile(self, row: int, face: npt.NDArray[np.uint8]) -> GridTile:
        times = GridNote(f"{self.masked[row]} of {self.seen[row]}", self.masked[row] / max(1, self.seen[row]))
        true = -1 if self.truth is None else int(self.truth[row])
        wrong = true >= 0 and true != self.labels[row]
        mark = (GridNote(self.faces.classes[true], color=RED),) if wrong else ()
        return GridTile(face, (times, *mark), RED if wrong else "")
