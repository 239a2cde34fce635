"""Whether neighbors keep the expression: what a recognizer says of a neighbor, of the reconstruction, and of the face itself.

    python benchmarks/neighbors.py AUTOENCODER RUN FACESET [--split PublicTest] [--sigmas 0.1,0.2,0.4] [--table FILE.csv]

RUN is a recognizer that took no part in training the autoencoder. For each sigma: the share of faces whose neighbor has the
class of the noise-free reconstruction, how far these two are apart (mean absolute difference, of 255), and the share whose
neighbor has the class of the face. The faces' labels are not looked at. The split held-out: those of the training split
that the autoencoder did not learn from.
"""

import argparse
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from mien import FaceSet, Recognizer
from mien.data.splits import split_rows, training_rows
from mien.neighbors.semantic_neighbors import SemanticNeighbors
from mien.pretraining.pretrain import portions
from mien.recognize.device import choose_device


def classes(recognizer: Recognizer, faces: torch.Tensor) -> npt.NDArray[np.int64]:
    """(B,) most likely classes of faces (B, C, S, S) in [0, 1]."""
    pixels = (faces * 255).round().byte().permute(0, 2, 3, 1).squeeze(3).cpu().numpy()
    found: npt.NDArray[np.int64] = recognizer.logits(pixels).argmax(axis=1)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("autoencoder", type=Path)
    parser.add_argument("run", type=Path)
    parser.add_argument("faceset", type=Path)
    parser.add_argument("--split", default="PublicTest")
    parser.add_argument("--sigmas", default="0.1,0.2,0.3,0.4")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--table", type=Path)
    given = parser.parse_args()
    device, generator = choose_device("cpu"), torch.Generator().manual_seed(given.seed)
    recognizer, made = Recognizer.load(given.run, "cpu"), SemanticNeighbors.load(given.autoencoder, device)
    faces = FaceSet.open(given.faceset)
    if given.split == "held-out":
        settings, training = made.card.recipe["autoencoding"], faces.select(training_rows(faces))
        faces = training.select(portions(torch.arange(len(training)), settings["held_out"], settings["seed"]).held_out)
    else:
        faces = faces.select(split_rows(faces, given.split))
    made.require(faces.info)
    sigmas = [float(sigma) for sigma in given.sigmas.split(",")]
    counts = {sigma: np.zeros(3) for sigma in sigmas}
    plain = np.zeros(2)
    for rows in np.array_split(np.arange(len(faces)), -(-len(faces) // 512)):
        pixels = torch.from_numpy(faces.faces(rows))
        codes = made.codes(pixels)
        back = made.faces(codes)
        own, again = recognizer.logits(pixels.numpy()).argmax(axis=1), classes(recognizer, back)
        stored = pixels.reshape(len(rows), -1).float() / 255
        plain += [(own == again).sum(), (back.flatten(1) - stored).abs().mean(dim=1).sum().item()]
        for sigma in sigmas:
            neighbor = made.faces(made.moved(codes, sigma, generator))
            found = classes(recognizer, neighbor)
            apart = (neighbor - back).abs().flatten(1).mean(dim=1).sum().item()
            counts[sigma] += [(found == again).sum(), apart, (found == own).sum()]
    print(f"{len(faces)} faces of {given.split}; reconstruction: class of the face {plain[0] / len(faces):.1%}, ", end="")
    print(f"{255 * plain[1] / len(faces):.1f} of 255 from it")
    lines = ["sigma,same_as_reconstruction,apart_of_255,same_as_face"]
    lines += [f"{s},{c[0] / len(faces):.4f},{255 * c[1] / len(faces):.2f},{c[2] / len(faces):.4f}" for s, c in counts.items()]
    print("\n".join(lines))
    if given.table:
        given.table.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
