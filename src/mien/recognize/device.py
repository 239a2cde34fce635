"""The device and the precision in which a network runs."""

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
from mien.wording import brief_repr, quantity, with_suggestion

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
"""The precisions that a recipe may name."""


def choose_device(name: str, trains: bool = True) -> torch.device:
    """The device of this name: auto, cpu, cuda, cuda:1 (the second GPU) or mps (Apple's GPU, which predicts but does not train).

    `auto` is the GPU where there is one, else the CPU. Raises MienError for another name, for a device that is not there, and
    for mps where `trains` says that a network is trained.
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
        raise MienError("a GPU that torch can use", "none", "take `device` cpu, or install a CUDA build of torch")
    if int(name.partition(":")[2] or 0) >= there:
        known = ", ".join(f"cuda:{number}" for number in range(there))
        raise MienError(f"a GPU among {known}", brief_repr(name), "choose one that is there")


def _require_mps(trains: bool) -> None:
    if not torch.backends.mps.is_available():
        raise MienError("a GPU of Apple that torch can use", "none", "take `device` cpu")
    if trains:
        raise MienError("a device with numbers of double precision, which this needs", "mps, which has none", "take `device` cpu")


def sum_dtype(device: torch.device) -> torch.dtype:
    """The number type for sums: double precision where the device has it."""
    return torch.float32 if device.type == "mps" else torch.float64


def choose_precision(name: str, device: torch.device) -> torch.dtype:
    """The precision of this name on a device.

    `auto` is bfloat16 where the processor multiplies such numbers (AMX or AVX512-BF16, or an NVIDIA GPU since Ampere), float16 on
    older GPUs of NVIDIA, and float32 elsewhere.
    """
    if name != "auto":
        return PRECISIONS[name]
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.get_device_capability(device) >= (8, 0) else torch.float16
    if device.type != "cpu":
        return torch.float32
    # Elsewhere bfloat16 on a CPU is emulated, and slower than float32. torch has no public name for these questions.
    multiplies = torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()
    return torch.bfloat16 if multiplies else torch.float32


def autocast(device: torch.device, precision: torch.dtype) -> AbstractContextManager[object]:
    """The context in which a network's forward pass runs in this precision."""
    if precision == torch.float32:
        return nullcontext()
    return torch.autocast(device.type, dtype=precision)


def to_device(network: Network, device: torch.device) -> Network:
    """Move the network to `device` and return it; one for pictures is stored channels last, as convolutions like it."""
    network.to(device)
    if len(network.shape) == 3:
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network


def channels_last(inputs: Tensor) -> Tensor:
    """Inputs (B, C, S, S) stored channels last, as convolutions like it; inputs of any other shape as they are."""
    return inputs.contiguous(memory_format=torch.channels_last) if inputs.ndim == 4 else inputs


@torch.inference_mode()
def predict_logits(
    network: Network,
    batches: Iterable[Tensor],
    views: Views,
    precision: torch.dtype,
    flip: bool = False,
    forward: Callable[[Tensor], Tensor] | None = None,
) -> Tensor:
    """Logits (N, K), float32 on the CPU, of stored faces that come in batches on the network's device.

    Puts the network into eval mode. `flip` averages each face's logits with its mirror image's. `forward` replaces the
    network's own forward pass.
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
    """The machine that measures, in words: processor or GPU, threads, precision, version of torch."""
    if device.type == "cuda":
        where = torch.cuda.get_device_name(device)
    elif device.type == "mps":
        where = f"{platform.machine()} mps"
    else:
        where = f"{platform.machine()} CPU, {quantity(torch.get_num_threads(), 'thread')}"
    return f"{where}, {str(choose_precision('auto', device)).removeprefix('torch.')}, torch {torch.__version__}"
