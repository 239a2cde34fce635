"""How right pseudo-labels are: figures for the history, never to learn from."""

from torch import Tensor

from mien.training.run import Run


def note_pseudo_labels(run: Run, rows: Tensor, labels: Tensor, counted: Tensor | None = None) -> None:
    """Note how many pseudo-labels (U,) of unlabeled `rows` are right, as far as the truth is known.

    `counted` (U,): which of them teach; their share is noted, too.
    """
    if counted is not None:
        run.notes.add("pseudo_label_share", counted.double().mean())
    if run.data.truth is not None:
        truth = run.data.truth[rows]
        judged = truth >= 0 if counted is None else counted & (truth >= 0)
        run.notes.add_share("pseudo_label_accuracy", (judged & (labels == truth)).sum(), judged.sum())
