"""The file of a checkpoint: a nested state (dicts, lists, tensors, numbers, texts) in safetensors, bit for bit, without pickle.

The file holds a hash of all that is in it, and of what the run was asked: a bit that changed, or the state of another run, is
noticed. Files of before that have neither; they are read by what they hold.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from mien.disk import require_regular, write_atomically
from mien.errors import MienError
from mien.json_toml import read_json

FAULTS = (AttributeError, IndexError, KeyError, TypeError, ValueError, RuntimeError, AssertionError)
"""What torch and Python raise where a state is not of the form that it is loaded into."""
ELSEWHERE = ("faces", "unlabeled", "device", "threads")
"""Settings that may be others when a run goes on: where sets lie, and what computes."""
TODO = "train again"


def write_state(path: Path, state: dict[str, Any]) -> None:
    """Write a nested state to a file, aside and renamed: the file is whole, or not there."""
    tensors: dict[str, Tensor] = {}
    tree = json.dumps(_pack(state, tensors))
    told = {"tree": tree, "sha256": _digest(tree, tensors), "asked": asked_of(path.parent)}
    write_atomically(path, save(tensors, told))


def read_state(path: Path) -> dict[str, Any]:
    """Read what `write_state` wrote, tensors on the CPU. Raises MienError where the file is damaged, or of another run."""
    require_regular(path, TODO)
    try:
        with safe_open(path, "pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
            told: dict[str, str] = file.metadata()
            tree = told["tree"]
    except (SafetensorError, KeyError, TypeError, ValueError, OSError, MemoryError) as error:
        raise MienError(f"a checkpoint at {path}", str(error), TODO) from error
    if "sha256" in told and told["sha256"] != _digest(tree, tensors):
        raise MienError(f"a checkpoint at {path} as it was written", "one that was changed since", TODO)
    if told.get("asked", "") not in ("", asked_of(path.parent)):
        raise MienError(f"a checkpoint of this run at {path}", "that of another one", "put its own back, or train again")
    try:
        state = _unpack(json.loads(tree), tensors)
    except (*FAULTS, RecursionError) as error:
        raise MienError(f"a checkpoint at {path}", f"another form of it ({error})", TODO) from error
    if not isinstance(state, dict):
        raise MienError(f"a checkpoint at {path}", "something else", TODO)
    return state


def asked_of(folder: Path) -> str:
    """A hash of what a run, or an autoencoder, was asked, and of what `folder` holds of it; empty where no file says it."""
    names = list[str]()
    while folder.parent.name == "parts":
        names.append(folder.name)
        folder = folder.parent.parent
    for file in (folder / "run.json", folder / "neighbors.json"):
        if file.is_file():
            asked = read_json(file, TODO)
            settings = asked.get("order")
            if isinstance(settings, dict):
                asked |= {"order": {key: value for key, value in settings.items() if key not in ELSEWHERE}}
            return hashlib.sha256(json.dumps([names, asked], sort_keys=True).encode()).hexdigest()
    return ""


def load_weights(network: nn.Module, weights: Mapping[str, Any], path: Path) -> None:
    """Load weights from the file `path` into a network. Raises MienError where they are not of its form, or no numbers."""
    try:
        require_numbers(weights)
        network.load_state_dict(dict(weights))
    except FAULTS as error:
        raise MienError(f"the weights of this run's network in {path}", _brief(error), TODO) from error


def require_numbers(weights: Mapping[str, Any]) -> None:
    """Raises ValueError where a weight is infinite or no number; those of ALRAO's copies may be."""
    for name, value in weights.items():
        if not name.startswith("head.copies.") and not bool(torch.isfinite(value).all()):
            raise ValueError(f"{name} is not finite")


def not_of_run(path: Path, error: Exception) -> MienError:
    """The error of a checkpoint that cannot be loaded into its run."""
    return MienError(f"a checkpoint of this run at {path}", _brief(error), TODO)


def _brief(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [""]
    return f"another form of it ({type(error).__name__}: {lines[0][:200]})"


def _digest(tree: str, tensors: Mapping[str, Tensor]) -> str:
    found = hashlib.sha256(tree.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        found.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()


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
