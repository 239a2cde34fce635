"""How much faster networks are in bfloat16 than in float32 on this machine, in one process, by turns.

    python benchmarks/precision.py [--networks mien_s,facenet_dlib] [--rounds 6]

One thread; processor time of a batch of 32 gray faces of 48 pixels, the least of the rounds. `auto` precision takes bfloat16
where the processor multiplies such numbers: the ratios say whether that pays.
"""

import argparse
import time

import torch

from mien.data.format import Info
from mien.models import Network
from mien.recognize.device import autocast, channels_last, choose_precision, to_device
from mien.recognize.saved_networks import build_network

BATCH = 32
KNOWN = ("mien_s", "exprnet_small", "dalnet", "facenet_dlib", "resnet18")


def seconds(network: Network, precision: torch.dtype, trains: bool) -> float:
    """Processor time of one forward pass, and where it `trains` of the backward pass, too."""
    device = torch.device("cpu")
    inputs = channels_last(torch.rand(BATCH, *network.shape))
    network.train(trains)
    began = time.process_time()
    with torch.set_grad_enabled(trains), autocast(device, precision):
        made = network.heads(inputs).float().logsumexp(dim=2).sum()
    if trains:
        made.backward()
    return time.process_time() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", default=",".join(KNOWN))
    parser.add_argument("--rounds", type=int, default=6)
    given = parser.parse_args()
    torch.set_num_threads(1)
    print(f"auto is {choose_precision('auto', torch.device('cpu'))}")
    print("| network | | float32, ms a face | bfloat16 | ratio |\n|---|---|---|---|---|")
    info = Info(name="gray faces", classes=("one", "other"), side=48, channels=1, checksum="")
    for name in given.networks.split(","):
        network = to_device(build_network({"network": name}, 2, info), torch.device("cpu"))
        for trains in (False, True):
            turns = [[seconds(network, kind, trains) for kind in (torch.float32, torch.bfloat16)] for _ in range(given.rounds)]
            single, half = (1000 * min(column) / BATCH for column in zip(*turns, strict=True))
            print(f"| `{name}` | {'training' if trains else 'predicting'} | {single:.2f} | {half:.2f} | {single / half:.2f} |")


if __name__ == "__main__":
    main()
