"""How far two predictions are apart (SNA, Eq. 12-13), and neighbors of faces among a network's own features.

One place for training, which leaves unreliable faces out, and for evaluation, which scores them.
"""

import torch
from torch import Generator, Tensor

from mien.models import Network
from mien.recognize.device import wide


def kl(p: Tensor, q: Tensor) -> Tensor:
    """Eq. 12: KL(P||Q) of log probabilities (B, K), (B,)."""
    return (p.exp() * (p - q)).sum(dim=1)


def divergence(one: Tensor, other: Tensor) -> Tensor:
    """Eq. 13: half the sum of both KLs of the softmax of logits (B, K), (B,)."""
    p, q = (each.to(wide(each.device)).log_softmax(dim=1) for each in (one, other))
    return (0.5 * (kl(p, q) + kl(q, p))).float().clamp(min=0)


def last_features(network: Network, inputs: Tensor) -> Tensor:
    """What the last block makes of inputs (B, C, S, S) or (B, D): (B, C', S', S') or (B, D')."""
    return network.features(inputs, list(network.blocks)[-1])


def moved(features: Tensor, deviation: Tensor, sigma: float, generator: Generator) -> Tensor:
    """Features (B, ...) with normal noise of `sigma` of the `deviation` (...) of each of their numbers."""
    noise = torch.randn(features.shape, generator=generator, device=features.device)
    return features + sigma * deviation * noise


def decide(network: Network, features: Tensor) -> Tensor:
    """(B, K) float32: logits of the head that decides, of what the last block gave."""
    logits: Tensor = network.head(features).float()
    return logits[-1] if logits.ndim == 3 else logits
