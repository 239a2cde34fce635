"""Labels judged by the sample weights of a run (ST+SW)."""

import numpy as np

from mien.errors import MienError
from mien.evaluation.sample_weights import read_weighted_faces
from mien.label_errors.labeled_faces import Judgment, LabeledFaces
from mien.wording import quantity

ROW = "_row"
"""A column that is added for a moment: the row of each face in the whole set."""


def by_sample_weights(labeled: LabeledFaces) -> Judgment:
    """Judge labels by the sample weights with which a run of ST+SW ended: a low weight is doubtful.

    Labels are those that the run was taught. Raises MienError where the run has no weights, or none for this split.
    """
    recognizer = labeled.model
    if recognizer.folder is None:
        raise MienError("a run's folder, which has its sample weights", "a recognizer in memory", "give the folder")
    weighed = read_weighted_faces(recognizer.folder, labeled.face_set.with_column(ROW, np.arange(len(labeled.face_set))))
    rows = weighed.faces.values(ROW)
    mine = np.flatnonzero(np.isin(rows, labeled.rows))
    mine = mine[np.argsort(rows[mine])]
    if not len(mine):
        raise MienError(f"faces of {labeled.split} that the run trained on", "none", "choose the split that it trained on")
    left_out, weights = len(labeled.rows) - len(mine), weighed.weights[mine]
    said = [f"left out: {quantity(left_out, 'labeled face')} that the run did not train on"] if left_out else []
    said += ["this run weighed all faces the same: the order says nothing"] if np.ptp(weights) == 0 else []
    here, there = labeled.face_set.info, recognizer.card.faces
    strange = here.checksum and there.checksum and here.checksum != there.checksum and here.kind == there.kind
    said += ["this is not the set that the run trained on: check that ids mean the same faces"] if strange else []
    return Judgment(
        how="sample weights of the run's last epoch",
        at=np.searchsorted(labeled.rows, rows[mine]),
        given=weighed.labels[mine],
        suggested=np.full(len(mine), -1),
        scores=1 - weights,
        flagged=np.zeros(len(mine), bool),
        wrong=weighed.flipped[mine] if weighed.truth_known else None,
        warnings=tuple(said),
    )
