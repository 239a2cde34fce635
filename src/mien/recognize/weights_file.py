"""Checks a safetensors file of weights without torch: where each tensor lies, and that all values are finite."""

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
"""The kinds of numbers that weights may have, and numpy's kinds that they are checked in; I64 counts batches."""
VARIANCE = "running_var"
"""The end of the name of a batch normalization's variance."""
_BF16_EXPONENT = 0x7F80
"""The exponent's bits in bfloat16: a number that has all of them is nan or infinite."""


@dataclass(frozen=True)
class TensorEntry:
    """Where a tensor lies in the file."""

    kind: str
    """The kind of its numbers, one of KINDS."""
    shape: tuple[int, ...]
    begin: int
    """The tensor's first byte in the file."""
    end: int
    """The byte after its last one."""


@dataclass(frozen=True, eq=False)
class WeightsFile:
    """A file of weights: its content, and where each tensor lies, by name."""

    content: bytes
    entries: dict[str, TensorEntry]

    def array(self, name: str) -> npt.NDArray[Any]:
        """The tensor of this name, in its own shape; bfloat16 as uint16."""
        entry = self.entries[name]
        flat = np.frombuffer(self.content[entry.begin : entry.end], KINDS[entry.kind])
        return flat.reshape(entry.shape)


def check_weights(content: bytes, file: Path) -> WeightsFile:
    """The weights in a file's content.

    Raises MienError where it is no safetensors file, and for other kinds of numbers, nan, infinite values and variances below 0.
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
