"""What tests of sequences and neighbors share: moving faces, an autoencoder and recognizers that nobody trained."""

from pathlib import Path

import numpy as np
import torch

from mien import FaceSet, Recognizer
from mien.data.format import Info
from mien.neighbors.semantic_neighbors import DEVIATION, autoencoder
from mien.recognize.model_card import ModelCard
from mien.recognize.saved_networks import build_network, write_model

CLASSES = ("anger", "fear", "joy")
FRAMES = 6
AUTOENCODER = {"network": "asymmetric_autoencoder", "latent": 8, "residuals": [0, 0, 0, 0, 0]}
MIEN_S = {"network": "mien_s", "width": 8, "depths": [1, 1, 1]}


def moving_faces(sequences: int = 18, side: int = 16) -> FaceSet:
    """Sequences of FRAMES faces in which a bright row, another for each class, grows; those of every third person are `test`."""
    generator, count = np.random.default_rng(0), sequences * FRAMES
    number, frame = np.divmod(np.arange(count), FRAMES)
    faces = generator.integers(0, 80, (count, side, side), dtype=np.uint8)
    labels = (number + number // 6) % 3
    for face, label, place in zip(faces, labels, frame, strict=True):
        face[2 + 5 * label : 5 + 5 * label] += np.uint8(25 * place)
    columns = {
        "sequence": [f"s{n % 2}" for n in number],
        "subject": [f"p{n // 2}" for n in number],
        "frame": frame,
        "split": ["test" if n // 2 % 3 == 2 else "train" for n in number],
    }
    return FaceSet.from_arrays(faces, labels, CLASSES, columns)


def untrained_autoencoder(folder: Path, info: Info) -> Path:
    """A model folder like that of `mien autoencoder train`, with random weights, whose codes deviate by 0.5 to 1.5."""
    torch.manual_seed(1)
    network = autoencoder(AUTOENCODER, info)
    card = ModelCard(AUTOENCODER, (), Info((), side=info.side, channels=info.channels, alignment=info.alignment))
    write_model(folder / "model", network.state_dict() | {DEVIATION: torch.linspace(0.5, 1.5, 8)}, card)
    return folder


def untrained_recognizer(folder: Path, faces: FaceSet) -> Path:
    """A run's folder with a network of random weights, which predicts every class of some of the faces."""
    network = build_network(MIEN_S, len(faces.classes), faces.info)
    weights = network.state_dict()
    weights["head.3.weight"] = weights["head.3.weight"] * 10
    network.load_state_dict(weights)
    card = ModelCard(MIEN_S, faces.classes, faces.info, recipe={"precision": "float32"})
    logits = Recognizer.of(network, card, torch.device("cpu")).logits(faces)
    weights["head.3.bias"] = weights["head.3.bias"] - torch.from_numpy(logits.mean(axis=0))
    write_model(folder / "model", weights, card)
    return folder


def told(predicted: list[int], classes: tuple[str, ...] = CLASSES, **columns: object) -> tuple[Recognizer, FaceSet]:
    """Features that say what a recognizer predicts of them, and that recognizer."""
    values = np.eye(len(classes), dtype=np.float16)[predicted][:, None]
    info = Info(classes, "features", channels=len(classes), views=("clean",))
    network = build_network({"network": "embedding"}, len(classes), info).eval()
    network.load_state_dict(
        network.state_dict() | {"head.weight": 4 * torch.eye(len(classes)), "head.bias": torch.zeros(len(classes))}
    )
    card = ModelCard({"network": "embedding"}, classes, info, recipe={"precision": "float32"})
    return Recognizer.of(network, card, torch.device("cpu")), FaceSet.from_arrays(values, columns=columns, info=info)
