"""Neighbors of a run's faces, and notes of who was left out, for techniques that ask for them."""

from functools import partial
from typing import cast

import torch
from torch import Tensor

from mien.data.face_grid import write_face_grid
from mien.data.writer import write_table
from mien.models import by_own_statistics
from mien.neighbors.kinds import Fitted, Ground, Kind
from mien.neighbors.kinds.autoencoder import Autoencoder
from mien.neighbors.look import Drawn, draw_neighbors, look
from mien.neighbors.mask_notes import NAMES, PICTURE, TABLE, MaskedFaces, count_masked, mask_figures
from mien.pretraining.autoencoder.of_run import require_autoencoder, run_neighbors
from mien.training.face_loader import Batch
from mien.training.memory import Memory
from mien.training.run import Run

COUNTS, LEARNED = "mask_counts", "has_learned"
"""What a mask remembers: how often faces were left out, and whether the network has learned enough for that."""


def require_neighbors(run: Run, kind: Kind) -> None:
    """Raises MienError where the run's faces have no neighbors of this kind; trains no autoencoder."""
    if isinstance(kind, Autoencoder):
        require_autoencoder(run, kind.source)
    else:
        fit_neighbors(run, kind)


def fit_neighbors(run: Run, kind: Kind) -> Fitted:
    """Neighbors of this kind for the run's faces, fitted once. Trains an autoencoder where one is needed and there is none.

    Raises MienError where the run's faces have none of this kind.
    """

    def fit() -> Fitted:
        data, by = run.data, partial(run_neighbors, run)
        around = data.split or data.faces
        return kind.fit(Ground(data.faces, around, run.views, run.device, by, strangers=data.further))

    return cast(Fitted, run.cache.get(f"neighbors, {kind!r}", object, fit))


def draw_in_run(run: Run, kind: Kind, batch: Batch, draws: int) -> Drawn:
    """The faces of a batch and `draws` neighbors of each, drawn now."""
    return draw_neighbors(fit_neighbors(run, kind), run.views, batch.rows, batch.faces, draws, run.view_rng)


def look_in_run(run: Run, drawn: Drawn, scoring: str) -> tuple[Tensor, Tensor]:
    """Logits of faces (B, K) and of their D neighbors (D, B, K) by the run's network, without a gradient.

    `scoring`: `eval` as it predicts now; `average` by its averaged weights, where the recipe averages; `batch` normalized by the
    statistics of the faces, and of the neighbors, alone; `train` as it is trained, with dropout and a trace in the statistics.
    """
    if scoring == "train":
        with torch.no_grad():
            return look(run.network, drawn, lambda inputs: run.heads(inputs)[-1])
    with run.evaluating(run.eval_network if scoring == "average" else run.network) as network, run.autocast():
        if scoring != "batch":
            return look(network, drawn)
        with by_own_statistics(network, len(drawn.inputs)):
            return look(network, drawn, apart=True)


def ask_whether_learned(run: Run, memory: Memory, share: float) -> None:
    """Before an epoch: remember whether the network predicts this share of the training labels by now; 0 asks nothing."""
    if share and run.history and not has_learned(memory, share):
        found = run.predictions().probabilities.argmax(dim=1)
        predicted = float((found == run.labels)[run.labeled].double().mean())
        run.notes.add("labels_predicted", predicted)
        memory.put(LEARNED, int(predicted >= share))


def has_learned(memory: Memory, share: float) -> bool:
    """Whether the network has predicted this share of the training labels before an epoch."""
    return not share or bool(memory.get(LEARNED, int, int))


def labels_or_taught(run: Run, rows: Tensor) -> Tensor:
    """The labels (B,) of rows; of unlabeled ones, which a draw may show, the class that they are taught."""
    given = run.labels[rows]
    return torch.where(given >= 0, given, run.targets[rows].argmax(dim=1))


def note_masked(run: Run, memory: Memory, score: str, rows: Tensor, masked: Tensor, scores: Tensor, by_lot: bool = False) -> None:
    """Note which faces (B,) of a batch a mask leaves out by a `score`, and how often those with wrong labels.

    `by_lot`: whether the score decides nothing, which is noted.
    """
    if by_lot:
        run.notes.add("by_lot", 1.0)
    truth = None if run.data.truth is None else run.data.truth[rows]
    for figure, value in mask_figures(NAMES[score], masked, scores, run.labels[rows], truth).items():
        run.notes.add(figure, value)
    shape = (run.epochs, 2, len(run.labels))
    counts = memory.get(COUNTS, Tensor, lambda: torch.zeros(shape, dtype=torch.uint8, device=run.device))
    count_masked(counts[len(run.history)], rows, masked)


def write_masked(run: Run, memory: Memory, number: int) -> None:
    """Write the table and the picture of whom a mask left out so far, where it looked at anybody, into the run's folder.

    `number`: which mask of the run it is, from 1; from the second on, it stands in the files' names.
    """
    if COUNTS not in memory:
        return
    counts = memory.get(COUNTS, Tensor, lambda: torch.zeros(0))
    found = MaskedFaces.of(run.data.faces, run.labels, run.data.truth, counts)
    table, picture = (run.folder / (name if number == 1 else f"-{number}.".join(name.split("."))) for name in (TABLE, PICTURE))
    write_table(table, found.table())
    if run.data.faces.info.kind == "faces":
        write_face_grid(found.picture(), picture)
