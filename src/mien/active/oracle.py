"""An oracle for experiments: it answers at once with the labels that are known, some of them wrong."""

from dataclasses import dataclass

import numpy as np

from mien.active.annotators import RoundQuestions
from mien.active.pool import AllFaces
from mien.data.format import Rows
from mien.data.label_noise import flip_uniform
from mien.progress import Progress


@dataclass(frozen=True, eq=False)
class Oracle:
    """Annotators who answer at once with given labels."""

    labels: Rows
    """(N,) the answer about each of all faces."""

    @staticmethod
    def of(all_faces: AllFaces, noise: float, seed: int) -> "Oracle":
        """An oracle that knows the labels of the candidates, a share of them flipped to another class by `seed`."""
        truth = np.full(len(all_faces.faces), -1)
        truth[all_faces.candidates] = all_faces.faces.labels[all_faces.candidates]
        return Oracle(flip_uniform(truth, noise, len(all_faces.faces.classes), seed))

    def __call__(self, asked: RoundQuestions, progress: Progress) -> Rows:
        """The labels of the faces that are asked about."""
        return self.labels[asked.rows]
