"""How far two predictions are apart (SNA, Eq. 12-13), and neighbors among features.

Training uses both to leave unreliable faces out, evaluation to score them.
"""

import torch
from torch import Generator, Tensor

from mien.recognize.device import sum_dtype


def kl(p: Tensor, q: Tensor) -> Tensor:
    """The Kullback-Leibler divergence KL(P||Q), (B,), of log probabilities `p` and `q` (B, K) (Eq. 12)."""
    return (p.exp() * (p - q)).sum(dim=1)


def divergence(one: Tensor, other: Tensor) -> Tensor:
    """The symmetric divergence, (B,), of two predictions by their logits (B, K): the mean of both KLs (Eq. 13)."""
    p, q = (each.to(sum_dtype(each.device)).log_softmax(dim=1) for each in (one, other))
    return (0.5 * (kl(p, q) + kl(q, p))).float().clamp(min=0)


def moved(features: Tensor, deviation: Tensor, sigma: float, generator: Generator) -> Tensor:
    """Features (B, ...) plus normal noise, whose deviation is `sigma` times that of each number over faces, `deviation` (...)."""
    noise = torch.randn(features.shape, generator=generator, device=features.device)
    return features + sigma * deviation * noise
