"""How right pseudo-labels and weights are, and whether wrong labels are known by heart: for the history, never to learn from."""

import torch
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


def weights_of_labeled(run: Run, labeled: Tensor | None) -> Tensor:
    """Weights (N,) of all faces: `labeled` (N_l,) for those with a label, 1 for the others; 1 for all where there are none yet.

    Notes the share of the labeled faces that is left out, and how well a low weight finds wrong labels. `weight_auroc`: the
    probability that a face with a wrong label weighs less than one with a right label, ties counting half.
    """
    weights = torch.ones(len(run.labels), device=run.device)
    if labeled is None:
        return weights
    weights[run.labeled] = labeled.float()
    run.notes.add("left_out_share", (labeled == 0).double().mean())
    wrong = wrong_labels(run)
    known = run.labeled[run.data.truth[run.labeled] >= 0] if run.data.truth is not None else run.labeled
    right = weights[known[~torch.isin(known, wrong)]].sort().values
    if len(wrong) and len(right):
        mine = weights[wrong]
        heavier = len(right) - (torch.searchsorted(right, mine) + torch.searchsorted(right, mine, right=True)).double() / 2
        run.notes.add("weight_auroc", heavier.mean() / len(right))
    return weights


def wrong_labels(run: Run) -> Tensor:
    """Rows of the run's labeled faces whose label is known to be wrong, as far as the truth is known."""
    if run.data.truth is None:
        return run.labeled[:0]
    truth, labels = run.data.truth[run.labeled], run.labels[run.labeled]
    return run.labeled[(truth >= 0) & (truth != labels)]


def memorized(run: Run) -> dict[str, float]:
    """`memorized_share`: the share of wrong labels that the network predicts for their faces, which it so knows by heart.

    Of un-augmented faces, by the network that is validated. Empty where no label is known to be wrong.
    """
    rows = wrong_labels(run)
    if not len(rows):
        return {}
    predicted = run.predict(run.pool, rows=rows.cpu()).argmax(dim=1)
    return {"memorized_share": float((predicted == run.labels[rows].cpu()).double().mean())}
