"""Faces judged by their neighbors, which need no folds: by the label's loss there, or by S, which reads no label (SNA)."""

from pathlib import Path

import numpy as np

from mien.errors import MienError
from mien.evaluation.consistency import FEW
from mien.evaluation.neighborhood_stability import find_space, score_faces
from mien.label_errors.labeled_faces import Judgment, LabeledFaces, training_notes
from mien.progress import Progress
from mien.wording import percent, with_suggestion

DRAWS = 8
"""Neighbors drawn of each face, as in `mien consistency`."""
SCORES = {"label": "minus log p of the label at", "divergence": "S of"}
"""What neighbors are asked, by name, and how it is told."""


def by_neighborhood(labeled: LabeledFaces, neighbors: Path | str | None, score: str, bar: Progress) -> Judgment:
    """Judge labels by the neighbors of their faces.

    `score`: `label` is minus log p of the label, mean over the neighbors: high where the recognizer denies a label however the
    face is moved a little. `divergence` is S, which reads no label: high where small changes move the prediction. `neighbors`: a
    kind or a folder; None: for `label` small moves, or features of a set that holds them; for `divergence` the run's own
    autoencoder, or features.
    """
    if score not in SCORES:
        raise MienError(f"a score among {', '.join(SCORES)}", with_suggestion(score, SCORES), "choose one of those")
    recognizer, faces = labeled.model, labeled.faces
    if neighbors is None and score == "label":
        neighbors = "views" if faces.info.kind == "faces" else "features"
    space, told = find_space(recognizer, faces, neighbors, None, bar, labeled.face_set)
    moves = score_faces(space, faces, DRAWS, labeled.seed, recognizer.device, bar, labeled.given)
    kept = float(moves.kept.mean())
    warning = f"only {percent(kept, 0)} of the neighbors are predicted as their face is: S may say more of them"
    few = (warning,) if kept < FEW and score == "divergence" else ()
    drawn = f"{DRAWS} neighbors" if space.fitted.varies else "a neighbor"
    noise = "" if space.sigma is None else f", sigma {space.sigma:g}"
    return Judgment(
        how=f"{SCORES[score]} {drawn}{noise}, by {told}",
        at=np.arange(len(labeled.rows)),
        given=labeled.given,
        suggested=moves.predicted,
        scores=moves.scores if score == "divergence" or moves.label_losses is None else moves.label_losses,
        flagged=np.zeros(len(labeled.rows), bool),
        wrong=labeled.wrong,
        warnings=(*few, *training_notes(labeled)),
    )
