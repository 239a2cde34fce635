"""How far two predictions are apart (SNA, Eq. 12-13), and neighbors among features.

One place for training, which leaves unreliable faces out, and for evaluation, which scores them.
"""

import torch
from torch import Generator, Tensor

from mien.recognize.device import wide


def kl(p: Tensor, q: Tensor) -> Tensor:
    """Eq. 12: KL(P||Q) of log probabilities (B, K), (B,)."""
    return (p.exp() * (p - q)).sum(dim=1)


def divergence(one: Tensor, other: Tensor) -> Tensor:
    """Eq. 13: half the sum of both KLs of the softmax of logits (B, K), (B,)."""
    p, q = (each.to(wide(each.device)).log_softmax(dim=1) for each in (one, other))
    return (0.5 * (kl(p, q) + kl(q, p))).float().clamp(min=0)


def moved(features: Tensor, deviation: Tensor, sigma: float, generator: Generator) -> Tensor:
    """Neighbors of features (B, ...): normal noise of `sigma` times the `deviation` (...) of each number is added."""
    noise = torch.randn(features.shape, generator=generator, device=features.device)
    return features + sigma * deviation * noise
