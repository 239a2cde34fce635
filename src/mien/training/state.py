"""A nested state (dicts, lists, tensors, numbers, texts) in one safetensors file, bit for bit, without pickle."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from mien.disk import write_aside
from mien.errors import MienError


def write_state(path: Path, state: dict[str, Any]) -> None:
    """Write `state` aside and rename it."""
    tensors: dict[str, Tensor] = {}
    tree = json.dumps(_pack(state, tensors))
    write_aside(path, save(tensors, {"tree": tree}))


def read_state(path: Path) -> dict[str, Any]:
    """What `write_state` wrote, tensors on the CPU. Raises MienError where the file is damaged."""
    try:
        with safe_open(path, "pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
            tree = json.loads(file.metadata()["tree"])
    except (SafetensorError, KeyError, TypeError, ValueError, OSError) as error:
        raise MienError(f"a checkpoint at {path}", str(error), "train again") from error
    state: dict[str, Any] = _unpack(tree, tensors)
    return state


def _pack(value: Any, tensors: dict[str, Tensor]) -> Any:
    """`value` as JSON in which a tensor is its number; dicts are lists of pairs, since their keys may be numbers."""
    if isinstance(value, Tensor):
        name = str(len(tensors))
        # A copy: safetensors refuses tensors that share memory.
        tensors[name] = value.detach().cpu().clone(memory_format=torch.contiguous_format)
        return {"tensor": name}
    if isinstance(value, dict):
        return {"dict": [[key, _pack(entry, tensors)] for key, entry in value.items()]}
    if isinstance(value, list | tuple):
        return {"list": [_pack(entry, tensors) for entry in value]}
    if value is None or isinstance(value, str | bool | int | float):
        return value
    raise TypeError(f"a state holds tensors, numbers, texts, lists and dicts, not {type(value).__name__}")


def _unpack(value: Any, tensors: dict[str, Tensor]) -> Any:
    if not isinstance(value, dict):
        return value
    if "tensor" in value:
        return tensors[value["tensor"]]
    if "list" in value:
        return [_unpack(entry, tensors) for entry in value["list"]]
    return {key: _unpack(entry, tensors) for key, entry in value["dict"]}
