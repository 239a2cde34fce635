"""The file of weights, checked without torch: what lies where, and that all of it is numbers."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, deserialize

from mien.errors import MienError
from mien.wording import short_name

KINDS = {"F32": np.float32, "F16": np.float16, "BF16": np.uint16, "I64": np.int64}
"""Of numbers that weights are made of, and how they are looked at; I64 counts batches."""
VARIANCE = "running_var"
"""The end of a variance's name."""
_BF16_EXPONENT = 0x7F80
"""All of it set: nan or infinite."""


@dataclass(frozen=True)
class TensorEntry:
    """Where an array lies."""

    kind: str
    """One of KINDS."""
    shape: tuple[int, ...]
    begin: int
    """Byte of the file."""
    end: int


@dataclass(frozen=True, eq=False)
class WeightsFile:
    """A file of weights, and what lies in it by name."""

    content: bytes
    entries: dict[str, TensorEntry]

    def array(self, name: str) -> npt.NDArray[Any]:
        """As it lies there: bfloat16 as whole numbers."""
        entry = self.entries[name]
        flat = np.frombuffer(self.content[entry.begin : entry.end], KINDS[entry.kind])
        return flat.reshape(entry.shape)


def check_weights(content: bytes, file: Path) -> WeightsFile:
    """The weights in a file's content.

    Raises MienError for what is no safetensors, other kinds of numbers, nan and infinite ones, and variances below 0.
    """
    try:
        deserialize(content)  # type: ignore[no-untyped-call]  # checks the header: sizes, offsets, gaps, overlaps
        length = int.from_bytes(content[:8], "little")
        header = json.loads(content[8 : 8 + length])
    except (SafetensorError, ValueError) as error:
        raise MienError(f"safetensors in {file}", str(error), "copy the model again, or train it") from error
    header.pop("__metadata__", None)
    entries = {name: _entry(name, values, 8 + length, file) for name, values in header.items()}
    weights = WeightsFile(content, entries)
    for name in entries:
        _require_numbers(name, weights, file)
    return weights


def _entry(name: str, values: dict[str, object], first: int, file: Path) -> TensorEntry:
    kind, shape, offsets = str(values["dtype"]), values["shape"], values["data_offsets"]
    assert isinstance(shape, list)
    assert isinstance(offsets, list)
    if kind not in KINDS:
        raise MienError(f"weights of {', '.join(KINDS)} in {file}", f"{short_name(name)} of {kind}", "train the model again")
    return TensorEntry(kind, tuple(shape), first + offsets[0], first + offsets[1])


def _require_numbers(name: str, weights: WeightsFile, file: Path) -> None:
    kind, values = weights.entries[name].kind, weights.array(name)
    known = (values & _BF16_EXPONENT) != _BF16_EXPONENT if kind == "BF16" else np.isfinite(values)
    todo = "take another model, or train it again with a lower learning rate"
    if not known.all():
        raise MienError(f"weights that are numbers in {file}", f"nan or infinite ones in {short_name(name)}", todo)
    if name.endswith(VARIANCE) and kind in ("F32", "F16") and bool((values < 0).any()):
        raise MienError(f"variances of 0 or more in {file}", f"others in {short_name(name)}", todo)
