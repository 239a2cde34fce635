"""All that one update of a network changes, so that it can be undone."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer


@dataclass(frozen=True)
class Snapshot:
    """Copies of a network's weights and buffers, of its average's, and of what optimizer and scaler remember."""

    tensors: tuple[Tensor, ...]
    memory: Mapping[Tensor, Mapping[str, Any]]
    scaler: Mapping[str, Any]

    @staticmethod
    def take(network: nn.Module, average: nn.Module | None, optimizer: Optimizer, scaler: torch.amp.GradScaler) -> "Snapshot":
        """Copy what an update would change, as it is now."""
        memory = {parameter: {name: _copy(value) for name, value in kept.items()} for parameter, kept in optimizer.state.items()}
        return Snapshot(tuple(tensor.detach().clone() for tensor in _tensors(network, average)), memory, scaler.state_dict())

    @torch.no_grad()
    def put_back(self, network: nn.Module, average: nn.Module | None, optimizer: Optimizer, scaler: torch.amp.GradScaler) -> None:
        """Put the copies back into the objects that they were taken of; what the optimizer remembers since is forgotten."""
        for tensor, before in zip(_tensors(network, average), self.tensors, strict=True):
            tensor.copy_(before)
        for parameter in list(optimizer.state):
            if parameter in self.memory:
                optimizer.state[parameter] = {name: _copy(value) for name, value in self.memory[parameter].items()}
            else:
                del optimizer.state[parameter]
        scaler.load_state_dict(dict(self.scaler))


@contextmanager
def still_buffers(network: nn.Module) -> Iterator[None]:
    """Within, buffers may move, such as running batch statistics; afterwards they are as before, bit for bit."""
    before = [buffer.clone() for buffer in network.buffers()]
    try:
        yield
    finally:
        with torch.no_grad():
            for buffer, kept in zip(network.buffers(), before, strict=True):
                buffer.copy_(kept)


def _tensors(network: nn.Module, average: nn.Module | None) -> Iterable[Tensor]:
    for module in (network, average) if average is not None else (network,):
        yield from module.parameters()
        yield from module.buffers()


def _copy(value: Any) -> Any:
    return value.clone() if isinstance(value, Tensor) else value
