"""How right pseudo-labels are, and whether masks leave out wrong labels: figures for the history, never to learn from."""

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


def note_masked(run: Run, rows: Tensor, masked: Tensor, scores: Tensor) -> None:
    """Note which faces (B,) of a batch are left out, and how often those are whose labels are wrong.

    `divergence_auroc`: the area under the ROC curve of the scores (B,), taken as a detector of wrong labels.
    """
    run.notes.add("masked_share", masked.double().mean())
    run.notes.add("divergence", scores.double().mean())
    if run.data.truth is None:
        return
    known = (run.data.truth[rows] >= 0) & (run.labels[rows] >= 0)
    wrong = known & (run.data.truth[rows] != run.labels[rows])
    right = known & ~wrong
    if bool(wrong.any()) and bool(right.any()):
        run.notes.add("masked_share_wrong", masked[wrong].double().mean())
        run.notes.add("masked_share_right", masked[right].double().mean())
        differences = scores[wrong].unsqueeze(1) - scores[right]
        run.notes.add("divergence_auroc", ((differences > 0).double() + 0.5 * (differences == 0).double()).mean())
