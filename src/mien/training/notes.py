"""Figures that techniques note while an epoch lasts."""

import torch
from torch import Tensor


class Notes:
    """Figures noted since the epoch began. Their means stand in the run's history."""

    def __init__(self) -> None:
        self.values: dict[str, list[Tensor]] = {}
        """What was noted, by name, in order."""
        self._parts: dict[str, tuple[list[Tensor], list[Tensor]]] = {}

    def add(self, name: str, value: Tensor | float) -> None:
        """Note a figure; the history has its mean over the epoch."""
        self.values.setdefault(name, []).append(_number(value))

    def add_share(self, name: str, part: Tensor, whole: Tensor) -> None:
        """Note a number of faces out of others; the history has the share over all faces of the epoch."""
        parts, wholes = self._parts.setdefault(name, ([], []))
        parts.append(_number(part))
        wholes.append(_number(whole))

    def take(self) -> dict[str, float]:
        """The means of what was noted in this epoch, which is then forgotten."""
        found = {name: _mean(values) for name, values in self.values.items()}
        for name, (parts, wholes) in self._parts.items():
            if whole := _mean(wholes):
                found[name] = _mean(parts) / whole
        self.values, self._parts = {}, {}
        return found


def _number(value: Tensor | float) -> Tensor:
    return torch.as_tensor(value, dtype=torch.float64).detach()


def _mean(values: list[Tensor]) -> float:
    return float(torch.stack([value.cpu() for value in values]).mean())
