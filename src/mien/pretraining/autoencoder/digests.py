"""A sha256 of the faces and labels that an autoencoder was trained on: a run on the same ones finds it in the cache."""

import hashlib

import numpy as np
import torch

from mien.data.faceset import BLOCK, FaceSet
from mien.training.run_data import RunData


def faces_digest(faces: FaceSet) -> str:
    """The sha256 of the pixels of these faces, in hexadecimal: which faces they are, however they were selected."""
    found = hashlib.sha256()
    for start in range(0, len(faces), BLOCK):
        found.update(np.ascontiguousarray(faces.faces(np.arange(start, min(len(faces), start + BLOCK)))).data)
    return found.hexdigest()


def labels_digest(data: RunData) -> str:
    """The sha256, in hexadecimal, of a run's labeled faces and of their labels, validation included."""
    given = data.labels.cpu()
    labeled = torch.nonzero(given >= 0).squeeze(1)
    pixels = [faces_digest(faces) for faces in (data.faces.select(labeled.numpy()), data.validation)]
    labels = [labels.numpy().tobytes() for labels in (given[labeled], data.validation_labels)]
    return hashlib.sha256(b"\n".join([*map(str.encode, pixels), *labels])).hexdigest()
