"""The list of probable label errors: faces in order, with all that is known of their labels."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mien.data.faceset import FaceSet
from mien.data.format import Rows
from mien.json_text import plain_values
from mien.label_errors.known_mistakes import KnownMistakes, count_mistakes
from mien.label_errors.labeled_faces import Judgment, LabeledFaces

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class LabelErrors:
    """The labels of N faces, the most doubtful first: flagged ones before others, then by score. Arrays have N values."""

    dataset: str
    """The name of the face set."""
    split: str
    """The split that was looked through."""
    by: str
    """The method: one of METHODS."""
    how: str
    """How it was done, in words."""
    classes: tuple[str, ...]
    """The classes that labels and suggestions are indices into: the set's for `confident`, else the recognizer's."""
    faces: FaceSet
    """The faces, in the list's order."""
    ids: tuple[str, ...]
    """The ids of the faces."""
    rows: Rows
    """The rows of the faces in the set that was given."""
    given: Integers
    """The labels."""
    suggested: Integers
    """Likelier classes: `confident` by the head that never saw the face, `neighborhood` by the recognizer; else -1."""
    scores: Floats
    """Higher is more doubtful. `confident`: 1 - probability of the label; `weights`: 1 - weight; `neighborhood`: in nats."""
    flagged: Bools
    """Whether cleanlab takes the label for wrong; the other methods order faces and decide nothing."""
    noise: float
    """Share of the labels that were flipped on purpose."""
    seed: int
    """Drew the flips, the folds and the neighbors."""
    noise_rate: float
    """cleanlab's estimate of the share of wrong labels; nan for the other methods."""
    likely: Floats | None
    """(K, K) cleanlab's estimate of how many faces of the label in the row are of the class in the column."""
    known: KnownMistakes | None
    """How many known mistakes the list finds; None where no label is known to be right or wrong."""
    wrong: Bools | None
    """Whether a label is known to be wrong; None where nothing is known."""
    warnings: tuple[str, ...]
    """What may be wrong with this list, and which faces are not in it."""

    def to_json(self) -> dict[str, Any]:
        """The figures as plain values for JSON, by the names of the fields; nan is null."""
        names = ("dataset", "split", "by", "how", "classes", "noise", "seed", "noise_rate", "likely", "known", "warnings")
        values = {name: plain_values(getattr(self, name)) for name in names}
        if self.known is not None:
            values["known"]["precision"] = plain_values(self.known.precision)
        return values | {"faces": len(self.ids), "flagged": int(self.flagged.sum())}


def rank_faces(labeled: LabeledFaces, judgment: Judgment, by: str) -> LabelErrors:
    """The list of probable label errors: flagged faces first, then by score; equal ones in the set's order."""
    order = np.lexsort((-judgment.scores, ~judgment.flagged))
    rows = labeled.rows[judgment.at[order]]
    faces, wrong = labeled.face_set.select(rows), None if judgment.wrong is None else judgment.wrong[order]
    scores, flagged = judgment.scores[order], judgment.flagged[order]
    return LabelErrors(
        dataset=labeled.face_set.info.name or "unnamed",
        split=labeled.split,
        by=by,
        how=judgment.how,
        classes=labeled.classes,
        faces=faces,
        ids=tuple(faces.column("id").to_pylist()),
        rows=rows,
        given=judgment.given[order],
        suggested=judgment.suggested[order],
        scores=scores,
        flagged=flagged,
        noise=labeled.noise,
        seed=labeled.seed,
        noise_rate=judgment.noise_rate,
        likely=judgment.likely,
        known=None if wrong is None else count_mistakes(scores, flagged, wrong),
        wrong=wrong,
        warnings=(*labeled.warnings, *judgment.warnings),
    )
