"""Pictures of what an autoencoder makes of faces, drawn while it is trained (SNA, Fig. 3)."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Generator, Tensor

from mien.data.face_grid import GridNote, GridRow, GridTile, draw_face_grid, evenly_spaced, write_face_grid
from mien.data.faceset import FaceSet
from mien.models import Network
from mien.neighbors.semantic_neighbors import decode, encode, to_unit_range
from mien.recognize.device import channels_last
from mien.training.run import EVALUATION_BATCH, Run

NEIGHBORS = 4
"""Neighbors that are drawn of each face."""
MOST = 10
"""Faces in a picture at most."""
TIMES = 8
"""Pictures of one training at most."""


@dataclass(frozen=True)
class NeighborPictures:
    """Pictures of a few faces, their reconstructions and neighbors, after some of the epochs."""

    folder: Path
    """Where they are written."""
    name: str
    """What stands before the epoch's number in the files' names."""
    faces: Tensor
    """The faces that are shown, uint8 (M, S, S[, 3])."""
    titles: Sequence[str]
    """What stands beside each face."""
    sigma: float
    """Noise of the neighbors, in deviations of the code."""

    def draw(self, run: Run) -> None:
        """Write a sheet after some of the epochs, the last among them: faces, reconstructions and neighbors in rows."""
        epoch = len(run.history)
        if epoch not in evenly_spaced(run.epochs, TIMES):
            return
        inputs = run.views.clean(self.faces.to(run.device))
        with run.evaluating(run.eval_network) as network:
            codes = encode(network, inputs)
            deviation = code_deviation(network, run)
            noise = torch.randn(NEIGHBORS, *codes.shape, generator=Generator().manual_seed(0)).to(run.device)
            shown = [inputs, *(decode(network, z) for z in (codes, *(codes + self.sigma * deviation * noise)))]
        columns = [to_pixels(to_unit_range(faces.float())) for faces in shown]
        under = ("face", "reconstruction", *["neighbor"] * NEIGHBORS)
        rows = [
            GridRow(title, tuple(GridTile(column[n], (GridNote(text),)) for column, text in zip(columns, under, strict=True)))
            for n, title in enumerate(self.titles)
        ]
        sheet = draw_face_grid(rows, 96, f"{self.name}, epoch {epoch + 1}: neighbors at {self.sigma:g} deviations of the code")
        write_face_grid(sheet, self.folder / f"{self.name}-{epoch + 1:03d}.png")


def one_of_each(faces: FaceSet, folder: Path, name: str, sigma: float) -> NeighborPictures:
    """Pictures of the first face of every class, or of the first faces where nothing is labeled."""
    labels = faces.labels
    present = [label for label in np.unique(labels) if label >= 0][:MOST]
    rows = [int(np.flatnonzero(labels == label)[0]) for label in present] or list(range(min(MOST, len(faces))))
    titles = [faces.classes[label] for label in present] or [f"face {row + 1}" for row in rows]
    return NeighborPictures(folder, name, torch.from_numpy(faces.faces(rows)), titles, sigma)


@torch.no_grad()
def code_deviation(network: Network, run: Run) -> Tensor:
    """The standard deviation (D,) of the codes of the run's held-out faces."""
    batches = torch.arange(len(run.validation)).split(EVALUATION_BATCH)
    codes = [encode(network, channels_last(run.views.clean(run.validation.fetch(rows).faces))) for rows in batches]
    return torch.cat(codes).std(dim=0, correction=0)


def to_pixels(faces: Tensor) -> npt.NDArray[Any]:
    """Faces (M, C, S, S) in [0, 1] as uint8 (M, S, S) or (M, S, S, 3)."""
    made = faces.clamp(0, 1).mul(255).round().to(torch.uint8).cpu()
    pixels: npt.NDArray[Any] = (made[:, 0] if made.shape[1] == 1 else made.permute(0, 2, 3, 1)).numpy()
    return pixels
