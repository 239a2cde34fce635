"""The two phases of an autoencoder's training (SNA, Eq. 2-8), into a folder with parts/, pictures/ and model/."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mien.data.faceset import BLOCK, FaceSet
from mien.data.views import Views
from mien.errors import MienError
from mien.models import Network
from mien.models.asymmetric_autoencoder import ENCODER, critic
from mien.neighbors.kinds.pca import components_error
from mien.neighbors.semantic_neighbors import DEVIATION, autoencoder, encode
from mien.pretraining.autoencoder.digests import faces_digest
from mien.pretraining.autoencoder.objectives import Perception, Reconstruct, Refine
from mien.pretraining.autoencoder.pictures import one_of_each
from mien.pretraining.autoencoder.settings import AutoencoderSettings
from mien.pretraining.pretrain import Workplace, portions, pretrain
from mien.progress import Progress
from mien.recipes.recipe import Answer, Recipe
from mien.recognize.device import channels_last, to_device
from mien.recognize.model_card import ModelCard
from mien.recognize.run_records import read_history
from mien.recognize.saved_networks import build_network, write_model
from mien.training.run import EVALUATION_BATCH
from mien.training.run_data import RunData
from mien.wording import with_suggestions

BLURRED = 1.5
"""An autoencoder whose error is larger than that of as many principal components, times this, is warned of."""
COMPARED = 4000
"""Faces at most that components are found in for that, which takes seconds."""


@dataclass(frozen=True)
class TrainingFolder:
    """A workplace of its own for an autoencoder."""

    folder: Path
    """Where everything is written."""
    seed: int
    """All random numbers begin from it."""
    device: torch.device
    """Where networks and tensors are."""
    progress: Progress
    """Who is told how far it is."""


def pretrain_autoencoder(
    workplace: Workplace,
    faces: FaceSet,
    settings: AutoencoderSettings,
    perception: Perception | None,
    budget: Mapping[str, Any] | None = None,
) -> None:
    """Train an autoencoder on all these faces, without a label, into the folder; interrupted, go on where it was.

    Labels, where `faces` have some, say of which classes faces are shown in the pictures.
    `perception`: C of Eq. 5, where there is a second phase; `budget`: the labels that it was trained with.
    """
    if faces.info.kind != "faces":
        raise MienError("faces, whose pixels an autoencoder can learn", faces.info.kind, "import pictures, or compare features")
    parts = portions(torch.arange(len(faces)), settings.held_out, settings.seed)
    data = parts.data(faces)
    with torch.random.fork_rng([]):
        torch.default_generator.manual_seed(settings.seed)
        network = autoencoder(settings.model, faces.info)
        judge = critic(faces.info.channels, faces.info.side)
    pictures = one_of_each(faces.select(parts.held_out), workplace.folder / "pictures", "autoencoder", settings.sigma)
    recipe = _recipe(settings.model, settings.stages, settings.batch, settings.at_least)
    network = pretrain(workplace, "autoencoder", recipe, data, network, Reconstruct(settings.face_weight, pictures))
    if perception is not None:
        judge.to(workplace.device).requires_grad_(False)
        objective = Refine(
            judge,
            perception,
            settings.face_weight,
            settings.autoencoding,
            settings.adversarial,
            settings.reconstruction,
            settings.critic_rate,
            settings.critic_every,
            replace(pictures, name="refined"),
        )
        stages = [replace(stage, frozen=ENCODER) for stage in settings.refine_stages]
        recipe = _recipe(settings.model, stages, settings.refine_batch, 1)
        network = pretrain(workplace, "refined", recipe, data, network, objective)
    kept = read_history(workplace.folder / "parts" / ("autoencoder" if perception is None else "refined"))[-1]
    plain = mean_face_error(faces.select(parts.taught), faces.select(parts.held_out))
    views = Views(faces.info)
    deviation = _deviation(to_device(network.eval(), workplace.device), views, faces.select(parts.taught), workplace.device)
    _warn_of_blur(
        workplace.progress, kept["pixel_error"], len(deviation), faces.select(parts.taught), faces.select(parts.held_out)
    )
    info = replace(faces.info, classes=(), checksum=faces_digest(faces), count=len(faces))
    told = {"autoencoding": asdict(settings)}
    card = ModelCard(
        settings.model,
        (),
        info,
        recipe=told,
        budget=dict(budget or {}),
        metrics=kept | {"mean_face_error": plain},
        seed=settings.seed,
    )
    write_model(workplace.folder / "model", network.state_dict() | {DEVIATION: deviation}, card)


def _recipe(model: Answer, stages: Any, batch: int, at_least: int) -> Recipe:
    """The recipe of a phase, which keeps the last epoch: the rate has fallen by then, and the last picture shows it."""
    draw = {"technique": "shuffled", "at_least": at_least}
    plain = {"model": model, "stages": tuple(stages), "batch": batch, "draw": draw}
    return Recipe.parse(plain | {"choose": "last", "average": 0.0})


def _warn_of_blur(progress: Progress, error: float, numbers: int, taught: FaceSet, held_out: FaceSet) -> None:
    """Warn where the autoencoder blurs faces more than as many principal components as its code has numbers."""
    count = min(len(taught), COMPARED)
    by_components = components_error(taught.select(np.linspace(0, len(taught) - 1, count).astype(np.int64)), held_out, numbers)
    if error > BLURRED * by_components:
        found = f"a pixel is {error:.1f} of 255 from what it was, with {numbers} principal components {by_components:.1f}"
        progress.say(f"warning: {found}: the autoencoder blurs these faces; take more faces or epochs, or the neighbors pca")


def mean_face_error(taught: FaceSet, held_out: FaceSet) -> float:
    """How far a pixel of held-out faces is from the mean of the others, of 255: the error of who knows nothing."""
    blocks = np.array_split(np.arange(len(taught)), -(-len(taught) // BLOCK))
    mean = np.sum([taught.faces(rows).sum(axis=0, dtype=np.int64) for rows in blocks], axis=0) / len(taught)
    return float(np.abs(held_out.faces() - mean).mean())


@torch.no_grad()
def _deviation(network: Network, views: Views, faces: FaceSet, device: torch.device) -> Tensor:
    """(D,) standard deviation of each number of the codes of these faces."""
    found = []
    for rows in np.array_split(np.arange(len(faces)), -(-len(faces) // EVALUATION_BATCH)):
        inputs = views.clean(torch.from_numpy(faces.faces(rows)).to(device))
        found.append(encode(network, channels_last(inputs)).float())
    return torch.cat(found).std(dim=0, correction=0)


def train_perception(workplace: Workplace, settings: AutoencoderSettings, data: RunData) -> Perception:
    """C of Eq. 5, trained on the labeled faces of `data` alone.

    Raises MienError for blocks that it does not have and for faces that the autoencoder cannot take, before it is trained.
    """
    recipe, info = Recipe.load(settings.expression), data.faces.info
    with torch.random.fork_rng([]):
        autoencoder(settings.model, info)
    blocks = build_network(recipe.model, len(info.classes), info).blocks
    missing = set(settings.perceptual) - set(blocks)
    if missing:
        raise MienError(
            f"perceptual blocks among {', '.join(blocks)}",
            with_suggestions(missing, blocks),
            "name some of those",
        )
    network = pretrain(workplace, "expression", recipe, data).requires_grad_(False)
    return Perception(network, recipe.normalize, settings.perceptual)
