"""Weights learned on gray faces for a network that sees color, and the other way round."""

import torch
from torch import Tensor

from mien.data.convert import GRAY_WEIGHTS


def match_colors(weights: Tensor, shape: tuple[int, ...]) -> tuple[Tensor | None, str]:
    """Bring a tensor of weights to `shape`; gives it, or None where it does not fit, and in words what was done.

    A convolution on color is summed over the colors: a gray face then gives what it gave in every color. A convolution on gray
    is spread over red, green and blue by their shares in gray: a color face then gives what it gave in gray.
    """
    if weights.shape == shape:
        return weights, ""
    if weights.ndim == 4 and weights.shape[1] == 3 and shape == weights[:, :1].shape:
        return weights.sum(dim=1, keepdim=True), "summed over colors"
    if weights.ndim == 4 and weights.shape[1] == 1 and shape == (len(weights), 3, *weights.shape[2:]):
        return weights * torch.tensor(GRAY_WEIGHTS).view(1, 3, 1, 1).to(weights.dtype), "spread over colors"
    return None, "another shape"
