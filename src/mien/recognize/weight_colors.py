"""Weights that were learned on gray faces, on faces in color, and the other way round."""

import torch
from torch import Tensor

from mien.data.convert import GRAY_WEIGHTS


def fit_colors(there: Tensor, here: tuple[int, ...]) -> tuple[Tensor | None, str]:
    """A tensor of another network in the shape `here`, None where it cannot have that, and what was done.

    A convolution on colors is summed over them, which gives the same for a gray face in every color. One on gray takes red, green
    and blue as far as they make up gray, which gives the same as for the face in gray.
    """
    if there.shape == here:
        return there, ""
    if there.ndim == 4 and there.shape[1] == 3 and here == there[:, :1].shape:
        return there.sum(dim=1, keepdim=True), "summed over colors"
    if there.ndim == 4 and there.shape[1] == 1 and here == (len(there), 3, *there.shape[2:]):
        return there * torch.tensor(GRAY_WEIGHTS).view(1, 3, 1, 1).to(there.dtype), "spread over colors"
    return None, "another shape"
