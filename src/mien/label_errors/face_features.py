"""Features of faces for confident learning: what a recognizer's last block computes, or what the set holds."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional as F

from mien.data.convert import has_shape_of, in_shape_of, shape_in_words
from mien.data.faceset import FaceSet
from mien.errors import MienError
from mien.evaluation.neighborhood_stability import RecognizerInputs, face_batches
from mien.progress import Progress
from mien.recognize.alignment_note import alignment_note
from mien.recognize.recognizer import Recognizer

Features = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class FaceFeatures:
    """Features of N faces."""

    features: Features
    """(N, D) the features of each face."""
    source: str
    """Where they come from, in words."""
    warnings: tuple[str, ...] = ()
    """What was done to the faces that may matter."""


def features_of(recognizer: Recognizer | None, faces: FaceSet, bar: Progress) -> FaceFeatures:
    """The features of faces that a recognizer's last block computes; without a recognizer, those that the set holds.

    Faces of another side or color are converted for the recognizer. Raises MienError where a recognizer of faces is given
    features, or the other way round.
    """
    if recognizer is None:
        own: Features = faces.faces(np.arange(len(faces)))[:, 0].astype(np.float32)
        return FaceFeatures(own, "of the set")
    card, info, said = recognizer.card, faces.info, list[str]()
    if card.faces.kind != info.kind and info.kind == "features":
        raise MienError(
            f"{card.faces.kind}, for this model", info.kind, "leave `model` out: the set's own features are taken then"
        )
    if card.faces.kind == info.kind == "faces":
        if not has_shape_of(faces, card.faces):
            said += [f"faces are converted for the model: {shape_in_words(info)} to {shape_in_words(card.faces)}"]
            faces = in_shape_of(faces, card.faces)
        said += [text for text in [alignment_note(card.faces, info)] if text]
    return FaceFeatures(embed_faces(recognizer, faces, bar), f"of block {list(recognizer.network.blocks)[-1]}", tuple(said))


@torch.inference_mode()
def embed_faces(recognizer: Recognizer, faces: FaceSet, bar: Progress) -> Features:
    """(N, D) the output of the recognizer's last block for every face, maps averaged."""
    network_inputs, found = RecognizerInputs.of(recognizer, faces.info), []
    bar.begin("features", len(faces))
    for pixels in face_batches(faces, recognizer.device):
        with network_inputs.precision():
            made = recognizer.network.last_features(network_inputs.of_faces(pixels)).float()
        found.append((F.adaptive_avg_pool2d(made, 1) if made.ndim == 4 else made).flatten(1).cpu())
        bar.advance(len(pixels))
    features: Features = torch.cat(found).numpy()
    return features
