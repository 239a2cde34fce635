"""Where and in which precision a network runs."""

import os
import platform
import re
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

from mien.data.views import Views
from mien.errors import MienError
from mien.models import Network
from mien.telemetry import own_cache
from mien.wording import brief_repr, with_suggestion

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def choose_device(name: str, trains: bool = True) -> torch.device:
    """`auto` is the GPU where there is one; `cuda:1` is the second. `mps`, Apple's, reads but does not train.

    Raises MienError for another name, and for a device that is not there.
    """
    # What NVIDIA's driver compiles it would keep in the home folder.
    if name != "cpu":
        os.environ.setdefault("CUDA_CACHE_PATH", str(own_cache() / "cuda"))
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if not re.fullmatch(r"cpu|mps|cuda(:[0-9]{1,3})?", name, re.ASCII):
        raise MienError(
            "a device among auto, cpu, cuda, cuda:1, mps",
            with_suggestion(name, ("auto", "cpu", "cuda", "mps")),
            "choose one of those",
        )
    if name == "mps":
        _require_mps(trains)
    elif name != "cpu":
        _require_cuda(name)
    return torch.device(name)


def _require_cuda(name: str) -> None:
    there = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if not there:
        raise MienError("a GPU that torch can use", "none", "take --device cpu, or install a CUDA build of torch")
    if int(name.partition(":")[2] or 0) >= there:
        known = ", ".join(f"cuda:{number}" for number in range(there))
        raise MienError(f"a GPU among {known}", brief_repr(name), "choose one that is there")


def _require_mps(trains: bool) -> None:
    if not torch.backends.mps.is_available():
        raise MienError("a GPU of Apple that torch can use", "none", "take --device cpu")
    if trains:
        raise MienError("a device with numbers of double precision, which this needs", "mps, which has none", "take --device cpu")


def wide(device: torch.device) -> torch.dtype:
    """What sums are taken in: double precision where the device has it."""
    return torch.float32 if device.type == "mps" else torch.float64


def choose_precision(name: str, device: torch.device) -> torch.dtype:
    """`auto` is bfloat16 where matrix units compute it (AMX, or an NVIDIA GPU since Ampere), else float32."""
    if name != "auto":
        return PRECISIONS[name]
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.get_device_capability(device) >= (8, 0) else torch.float16
    if device.type != "cpu":
        return torch.float32
    # Without AMX, bfloat16 on a CPU is emulated and slower than float32. torch has no public name for this question.
    return torch.bfloat16 if torch.cpu._is_amx_tile_supported() else torch.float32


def autocast(device: torch.device, precision: torch.dtype) -> AbstractContextManager[object]:
    """The context in which a network's forward pass runs."""
    if precision == torch.float32:
        return nullcontext()
    return torch.autocast(device.type, dtype=precision)


def place(network: Network, device: torch.device) -> Network:
    """The network on `device`; one for pictures in the memory order that convolutions like."""
    network.to(device)
    if len(network.shape) == 3:
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network


def channels_last(inputs: Tensor) -> Tensor:
    """Pictures (B, C, S, S) in the memory order that convolutions like; anything else as it is."""
    return inputs.contiguous(memory_format=torch.channels_last) if inputs.ndim == 4 else inputs


@torch.inference_mode()
def predict(
    network: Network,
    batches: Iterable[Tensor],
    views: Views,
    precision: torch.dtype,
    flip: bool = False,
    forward: Callable[[Tensor], Tensor] | None = None,
) -> Tensor:
    """Logits (N, K) float32, on the CPU, of stored faces that come in batches on the network's device; sets eval mode.

    `flip` averages with the mirror image's logits. `forward` replaces the network's own.
    """
    network.eval()
    forward = forward or network
    out = []
    for faces in batches:
        shown = [views.clean(faces), views.mirror(faces)] if flip else [views.clean(faces)]
        with autocast(faces.device, precision):
            logits = [forward(channels_last(inputs)).float() for inputs in shown]
        out.append(torch.stack(logits).mean(dim=0).cpu())
    return torch.cat(out)


def machine(device: torch.device) -> str:
    """What figures were measured on: processor or GPU, threads, precision, torch."""
    if device.type == "cuda":
        where = torch.cuda.get_device_name(device)
    elif device.type == "mps":
        where = f"{platform.machine()} mps"
    else:
        where = f"{platform.machine()} CPU, {torch.get_num_threads()} threads"
    return f"{where}, {str(choose_precision('auto', device)).removeprefix('torch.')}, torch {torch.__version__}"
