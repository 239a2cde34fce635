"""How frequent a model takes its classes to be, and how frequent they are among the faces that it is adapted to."""

import numpy as np
import torch
from torch import Tensor

from mien.data.format import Rows
from mien.recognize.model_card import ModelCard


def class_frequencies(card: ModelCard) -> dict[str, float]:
    """How frequent the model takes each class to be, as counts of faces by name; empty where its card does not say."""
    found: dict[str, float] = card.budget.get("frequencies") or card.budget.get("classes") or {}
    return found


def class_shares(card: ModelCard) -> Tensor:
    """The share of each class in the faces that the model was trained on, (K,); equal shares where its card does not say."""
    counts, frequencies = torch.ones(len(card.classes)).double(), class_frequencies(card)
    if sum(frequencies.get(name, 0) for name in card.classes) > 0:
        counts = torch.tensor([frequencies.get(name, 0) for name in card.classes]).double()
    return counts / counts.sum()


def class_prior(labels: Rows, card: ModelCard) -> Tensor:
    """Logarithm of how much more frequent each known class is among these labels than among the training faces, (K,).

    `labels`: indices of known and new classes. All 0 where the card does not say how frequent classes were in training.
    """
    known, frequencies = len(card.classes), class_frequencies(card)
    here = torch.from_numpy(np.bincount(labels, minlength=known)[:known]).double() + 1
    there = torch.tensor([frequencies.get(name, 0) for name in card.classes]).double() + 1
    return (here / here.sum()).log() - (there / there.sum()).log() if float(there.sum()) > known else 0 * here
