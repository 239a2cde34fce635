"""How an autoencoder of faces is trained: SNA's own settings, and those for small faces on a CPU."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, field
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter
from pydantic.dataclasses import dataclass

from mien.errors import MienError
from mien.neighbors.semantic_neighbors import SIGMA
from mien.recipes.changed_values import with_values
from mien.recipes.recipe import Answer, Recipe, Stage
from mien.settings import STRICT, Count, NotNegative, Positive, Seed, Share, plain_errors, settings_from
from mien.wording import with_suggestion


@plain_errors
@dataclass(frozen=True, config=STRICT)
class AutoencoderSettings:
    """How an autoencoder is trained; the defaults are SNA's, for faces of 112 pixels."""

    model: Answer = field(default_factory=lambda: {"network": "asymmetric_autoencoder"})
    """The network and its settings."""
    stages: tuple[Stage, ...] = (Stage(epochs=50, lr=1e-3, weight_decay=4e-4, schedule="step", drops=(0.2, 0.4, 0.6, 0.8)),)
    """Epochs and learning rates of the first phase (Eq. 4)."""
    batch: Count = 256
    """Faces in a batch of the first phase."""
    at_least: Count = 1
    """Batches in each epoch of the first phase at least."""
    face_weight: Positive = 4.0
    """Weight of the face itself in Eq. 4; the encoder's maps have 1."""
    refine: Literal["none", "wgan"] = "wgan"
    """Whether the second phase (Eq. 5-8) follows; it uses labels, for the network that compares faces."""
    refine_stages: tuple[Stage, ...] = (Stage(epochs=100, lr=1e-4, optimizer="rmsprop", weight_decay=0.0),)
    """Epochs and learning rates of the second phase, whose encoder is frozen."""
    refine_batch: Count = 64
    """Faces in a batch of the second phase."""
    expression: str = "two_scale"
    """The recipe of the expression network C of Eq. 5, which is trained on the labeled faces."""
    perceptual: Annotated[dict[str, NotNegative], Field(min_length=1)] = field(
        default_factory=lambda: {"conv3_b": 100.0, "conv4": 0.1, "conv5": 0.001}
    )
    """Blocks of that network, and what the difference of their maps weighs."""
    autoencoding: NotNegative = 1e-3
    """lambda_AE, the weight of Eq. 4 in the second phase; it falls to a tenth four times on the way."""
    adversarial: NotNegative = 5.0
    """lambda_Adv, the weight of the critic's verdict."""
    reconstruction: NotNegative = 1.0
    """lambda_Rec, the weight of faces and of C's maps of them."""
    critic_rate: Positive = 2e-5
    """Learning rate of the critic."""
    critic_every: Count = 10
    """Steps of the decoder for one of the critic, after the first epoch."""
    held_out: Share = 0.05
    """Share of the faces that measures the reconstruction."""
    sigma: Positive = SIGMA
    """Noise of the neighbors that are drawn in the pictures, in deviations of the code."""
    seed: Seed = 0
    """Draws weights, batches and the faces that are held out."""


PRESETS: Mapping[str, Mapping[str, Any]] = {
    "paper": {},
    "small": {
        "model": {"network": "asymmetric_autoencoder", "latent": 256, "residuals": [2, 2, 2, 0, 0]},
        "stages": [{"epochs": 8, "lr": 2e-3, "optimizer": "adamw", "weight_decay": 1e-4, "schedule": "one_cycle"}],
        "batch": 128,
        "at_least": 40,
        "refine": "none",
        "refine_stages": [{"epochs": 6, "lr": 1e-4, "optimizer": "rmsprop", "weight_decay": 0.0}],
        "expression": "two_scale_small",
    },
}
"""Settings by name: SNA's own, and those of 48-pixel faces on a CPU."""


def autoencoder_settings(given: str | Mapping[str, Any], changed: Mapping[str, Any] | None = None) -> AutoencoderSettings:
    """Settings by a preset's name, or by a table that may name one under `preset`; `changed` by key, as in recipes."""
    table = {"preset": given} if isinstance(given, str) else dict(given)
    name = table.pop("preset", "paper")
    if name not in PRESETS:
        raise MienError(
            f"settings of an autoencoder among {', '.join(PRESETS)}",
            with_suggestion(name, PRESETS),
            "choose one, or name a folder",
        )
    made: AutoencoderSettings = settings_from(AutoencoderSettings, {**PRESETS[name], **table})
    return settings_from(
        AutoencoderSettings, with_values(TypeAdapter(AutoencoderSettings).dump_python(made, mode="json"), changed or {})
    )


def settings_key(settings: AutoencoderSettings, faces: str, labels: str) -> str:
    """The name of an autoencoder in the cache, by its settings, the digest of its faces, and that of the labels it used."""
    values = {name: value for name, value in asdict(settings).items() if name != "sigma"}  # That of pictures alone.
    if settings.refine != "none":
        values["expression"] = Recipe.load(settings.expression).table()  # A file's recipe may change.
    told = json.dumps(values, sort_keys=True, default=str)
    return hashlib.sha256("\n".join((told, faces, labels)).encode()).hexdigest()[:32]
