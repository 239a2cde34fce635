"""The linear layer that a network ends in, and what it is given: a face's features."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from mien.models import Network


def last_layer(network: Network) -> nn.Linear | None:
    """The linear layer that the network's head is or ends in; None where it ends otherwise."""
    head = network.head
    last = head[-1] if isinstance(head, nn.Sequential) and len(head) else head
    return last if isinstance(last, nn.Linear) else None


def logits_beside_features(network: Network, last: nn.Linear) -> Callable[[Tensor], Tensor]:
    """A forward pass that gives logits (B, K) and, behind them, the features (B, D) that `last` is given: (B, K + D).

    It keeps nothing in the network, so that several threads may call it.
    """
    before = network.head[:-1] if isinstance(network.head, nn.Sequential) else nn.Identity()

    def forward(inputs: Tensor) -> Tensor:
        features = before(network.last_features(inputs))
        return torch.cat([last(features).float(), features.float()], dim=1)

    return forward
