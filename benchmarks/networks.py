"""What the networks of these recipes cost: parameters, multiply-adds and milliseconds per gray face, interleaved in one run.

    python benchmarks/networks.py [--recipes scratch_bn_small,face_finetune,...] [--side 48] [--threads 1] [--table FILE]

Medians over the rounds, batches of 64, in the precision that mien takes here. `times`: the first network's time over this one's.
"""

import argparse
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from face_net import median
from mien import Recipe
from mien.data.format import Info
from mien.models import Network
from mien.recognize.device import autocast, channels_last, choose_precision, machine, to_device
from mien.recognize.saved_networks import build_network
from tables import append

CPU = torch.device("cpu")
BATCH = 64


def multiply_adds(network: Network) -> int:
    """Of one face."""
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        network(torch.zeros(1, *network.shape))
    return int(counter.get_total_flops()) // 2


def work(network: Network, inputs: torch.Tensor) -> None:
    with torch.inference_mode(), autocast(CPU, choose_precision("auto", CPU)):
        network(inputs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipes", default="face_finetune,scratch_bn_small,fn2en_small,dal_small,supervised_small")
    parser.add_argument("--side", type=int, default=48)
    parser.add_argument("--classes", type=int, default=8)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--table", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    info = Info(classes=tuple(map(str, range(given.classes))), side=given.side)
    networks = {
        name: to_device(build_network(Recipe.load(name).model, given.classes, info), CPU).eval()
        for name in given.recipes.split(",")
    }
    inputs = channels_last(torch.randn(BATCH, 1, given.side, given.side))
    took = median({name: lambda n=network: work(n, inputs) for name, network in networks.items()}, BATCH, given.rounds)  # type: ignore[misc]
    first = next(iter(took.values()))
    for name, network in networks.items():
        row: dict[str, Any] = {
            "recipe": name, "network": Recipe.load(name).model["network"], "side": given.side,
            "parameters": sum(value.numel() for value in network.parameters()), "multiply_adds": multiply_adds(network),
            "ms_per_face": round(took[name], 3), "times": round(first / took[name], 1), "machine": machine(CPU),
        }  # fmt: skip
        append(given.table, row) if given.table else print(row)


if __name__ == "__main__":
    main()
