"""Faces judged by S, how much the prediction depends on small changes of the face (SNA)."""

from pathlib import Path

import numpy as np

from mien.evaluation.consistency import FEW
from mien.evaluation.neighborhood_stability import find_space, score_faces
from mien.label_errors.labeled_faces import Judgment, LabeledFaces, training_notes
from mien.progress import Progress
from mien.recognize.semantic_neighbors import SIGMA
from mien.wording import percent

DRAWS = 8
"""Neighbors drawn of each face, as in `mien consistency`."""


def by_neighborhood(labeled: LabeledFaces, neighbors: Path | str | None, bar: Progress) -> Judgment:
    """Judge faces by S of SNA, without reading labels: a high S, a prediction that small changes move, is doubtful."""
    recognizer, faces = labeled.model, labeled.faces
    space, told = find_space(recognizer, faces, neighbors, SIGMA, bar)
    moves = score_faces(space, faces, DRAWS, labeled.seed, recognizer.device, bar)
    kept = float(moves.kept.mean())
    warning = f"only {percent(kept, 0)} of the neighbors are predicted as their face is: S may say more of them"
    few = (warning,) if kept < FEW else ()
    return Judgment(
        how=f"S of {DRAWS} neighbors, sigma {SIGMA:g}, by {told}",
        at=np.arange(len(labeled.rows)),
        given=labeled.given,
        suggested=moves.predicted,
        scores=moves.scores,
        flagged=np.zeros(len(labeled.rows), bool),
        wrong=labeled.wrong,
        warnings=(*few, *training_notes(labeled)),
    )
