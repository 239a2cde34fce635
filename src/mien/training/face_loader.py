"""The faces of a run: on the device as uint8 when they fit, else read ahead from the memory map by one thread."""

import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from mien.data.faceset import FaceSet


@dataclass(frozen=True)
class Batch:
    """Faces of a batch on the device, (B, ...), and their rows in the run, (B,)."""

    rows: Tensor
    faces: Tensor


class FaceLoader:
    """Faces by row, wherever they are kept."""

    def __init__(self, faces: FaceSet, device: torch.device, hold: bool | None = None) -> None:
        """`hold`: whether all faces are kept on the device; None decides by the memory that is free."""
        self._set, self._device = faces, device
        pixels = faces.parts[0].pixels
        size = len(faces) * int(pixels[:1].nbytes or 1) if len(pixels) else 0
        self._held: Tensor | None = None
        if hold if hold is not None else size < 0.4 * _free(device):
            self._held = torch.from_numpy(faces.faces()).to(device)

    def __len__(self) -> int:
        return len(self._set)

    def fetch(self, rows: Tensor) -> Batch:
        """The faces of `rows`, (B,) on the CPU."""
        if self._held is not None:
            return Batch(rows.to(self._device), self._held[rows.to(self._device)])
        faces = torch.from_numpy(self._set.faces(rows.numpy()))
        return Batch(rows.to(self._device), faces.to(self._device))

    def stream(self, batches: Iterable[Tensor]) -> Iterator[Batch]:
        """Fetch batch after batch; from disk, the next one is read while this one is worked on."""
        if self._held is not None:
            yield from map(self.fetch, batches)
            return
        with ThreadPoolExecutor(1) as reader:
            waiting = None
            for rows in batches:
                ahead = reader.submit(self.fetch, rows)
                if waiting is not None:
                    yield waiting.result()
                waiting = ahead
            if waiting is not None:
                yield waiting.result()


def shuffled_batches(rows: Tensor, count: int, size: int, generator: Generator) -> list[Tensor]:
    """`count` batches of `size` of these rows, (size,) each: permutations one after the other.

    So no row comes twice before all came once.
    """
    rounds = -(-count * size // len(rows))
    shuffled = torch.cat([rows[torch.randperm(len(rows), generator=generator)] for _ in range(rounds)])
    return list(shuffled[: count * size].split(size))


def _free(device: torch.device) -> int:
    """Bytes of memory free on the device."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    # Only Linux tells what is free; elsewhere half of what there is counts as free, or a gigabyte where nobody tells.
    names = getattr(os, "sysconf_names", {})
    if "SC_AVPHYS_PAGES" in names:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2 if "SC_PHYS_PAGES" in names else 2**30
