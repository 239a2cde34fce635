"""The face net on a CPU: dlib's own against ours in torch, on the same chips of 150 pixels, interleaved in one run.

    python benchmarks/face_net.py [--chips 32] [--rounds 5] [--threads 1,2] [--side 48]

Medians over the rounds, in milliseconds a face; the ratios are what counts. dlib computes whole batches and one chip after the
other; ours batches in float32, and in bfloat16 where `mien` would take it (AMX or AVX512-BF16). A last line compares
exprnet_small with this net as its teacher, both on gray faces of --side pixels. dlib-bin's wheels are built without BLAS,
which is said.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import dlib
import numpy as np
import torch

from mien.data.format import Info
from mien.models import published
from mien.models.facenet_dlib import weights_file
from mien.recognize.device import autocast, channels_last, choose_precision, machine, to_device
from mien.recognize.features import Tap, tap
from mien.recognize.saved_networks import build_network

CPU = torch.device("cpu")


def median(works: dict[str, Callable[[], object]], faces: int, rounds: int) -> dict[str, float]:
    """Milliseconds a face of each kind of work, all of them in every round, after one round that does not count."""
    took: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds + 1):
        for name, work in works.items():
            began = time.perf_counter()
            work()
            took[name].append(1000 * (time.perf_counter() - began) / faces)
    return {name: statistics.median(times[1:]) for name, times in took.items()}


def descriptors(source: Tap, inputs: torch.Tensor, precision: torch.dtype) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    """(B, 128) of ours."""
    with torch.inference_mode(), autocast(CPU, precision):
        return source.network.features(channels_last(inputs), source.block).float().numpy()


def against_dlib(chips: int, rounds: int, threads: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (chips, 150, 150, 3), dtype=np.uint8)
    theirs = dlib.face_recognition_model_v1(str(weights_file()))
    ours = tap("facenet_dlib", "descriptor", Info(classes=("a", "b"), side=150, channels=3), 0, CPU)
    inputs = ours.views.clean(torch.from_numpy(pixels))
    listed = list(pixels)
    works: dict[str, Callable[[], object]] = {
        "dlib, a batch": lambda: theirs.compute_face_descriptor(listed),
        "dlib, one by one": lambda: [theirs.compute_face_descriptor(chip) for chip in listed],
        "ours, float32": lambda: descriptors(ours, inputs, torch.float32),
        "ours, float32, one by one": lambda: [descriptors(ours, one, torch.float32) for one in inputs.split(1)],
    }
    if choose_precision("auto", CPU) == torch.bfloat16:
        works["ours, bfloat16"] = lambda: descriptors(ours, inputs, torch.bfloat16)
    difference = np.abs(descriptors(ours, inputs, torch.float32) - np.array(theirs.compute_face_descriptor(listed))).max()
    took = median(works, chips, rounds)
    print(f"{threads} threads, {chips} chips, descriptors differ by at most {difference:.1e}")
    for name, milliseconds in took.items():
        ratio = took["dlib, one by one" if name.endswith("one by one") else "dlib, a batch"] / milliseconds
        print(f"  {name:26s} {milliseconds:8.2f} ms a face, {ratio:5.1f} times dlib's speed")


def against_student(count: int, rounds: int, side: int) -> None:
    info = Info(classes=tuple("abcdefg"), side=side)
    teacher, student = (
        to_device(build_network({"network": name}, 7, info), CPU).eval() for name in ("facenet_dlib", "exprnet_small")
    )
    teacher.load_state_dict(teacher.state_dict() | (published({"network": "facenet_dlib"}) or {}))
    inputs = channels_last(torch.randn(count, 1, side, side))
    with torch.inference_mode():
        took = median({"teacher": lambda: teacher(inputs), "student": lambda: student(inputs)}, count, rounds)
    times = f"facenet_dlib {took['teacher']:.2f} ms, exprnet_small {took['student']:.3f} ms a face"
    print(f"  gray faces of {side} pixels, float32: {times}, {took['teacher'] / took['student']:.1f} times cheaper")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--chips", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--side", type=int, default=48)
    given = parser.parse_args()
    print(f"dlib {dlib.__version__}, {'with' if dlib.DLIB_USE_BLAS else 'without'} BLAS; {machine(CPU)}")
    for threads in map(int, given.threads.split(",")):
        torch.set_num_threads(threads)
        against_dlib(given.chips, given.rounds, threads)
        against_student(given.chips, given.rounds, given.side)


if __name__ == "__main__":
    main()
