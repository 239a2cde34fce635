"""A face set as a map-style Dataset of torch."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from mien.installed import missing_extra

try:
    import torch
    from torch import Tensor
    from torch.utils.data import Dataset
except ModuleNotFoundError as error:
    raise missing_extra("train", "the package torch, which loads the data set") from error

from mien.data.faceset import FaceSet


class FaceDataset(Dataset[tuple[Tensor, int]]):
    """Faces as uint8 tensors (C, S, S), or features as float16 (V, D), each with its label; -1 where there is none.

    Pixels of a stored set stay memory-mapped until they are asked for, so that a DataLoader's workers share them.
    This holds however the workers are begun: forked or anew.
    """

    def __init__(self, faces: FaceSet) -> None:
        self.faces = faces
        """The set; views of it make smaller data sets."""
        self._labels = faces.labels

    def __len__(self) -> int:
        return len(self.faces)

    def __getitem__(self, row: int) -> tuple[Tensor, int]:
        return self.__getitems__([row])[0]

    def __getitems__(self, rows: Sequence[int]) -> list[tuple[Tensor, int]]:
        """Several at once, as torch's DataLoader asks for a batch. Raises IndexError for a row that is not there."""
        wanted = np.asarray(rows, np.int64)
        if len(wanted) and not (-len(self) <= wanted.min() and wanted.max() < len(self)):
            raise IndexError(f"expected rows from 0 to {len(self) - 1}; found {wanted.min()} to {wanted.max()}")
        wanted %= max(1, len(self))
        return [(_tensor(one), int(self._labels[row])) for one, row in zip(self.faces.faces(wanted), wanted, strict=True)]


def _tensor(pixels: Any) -> Tensor:
    """Channels first for pixels, as torch has pictures."""
    made = torch.from_numpy(pixels)
    if made.dtype != torch.uint8:
        return made
    return made[None] if made.ndim == 2 else made.permute(2, 0, 1).contiguous()
