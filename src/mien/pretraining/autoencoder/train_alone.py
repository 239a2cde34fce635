"""`mien autoencoder train`: an autoencoder trained by itself, in a folder that says what was asked."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from pydantic.dataclasses import dataclass

from mien.data.faceset import FaceSet
from mien.data.splits import split_rows, training_rows
from mien.data.writer import write_table
from mien.disk import require_utf8_path
from mien.errors import MienError
from mien.folders import claim, exclusive, is_claimed, remove_all_but_lock
from mien.json_toml import read_settings
from mien.pretraining.autoencoder.cache import is_made, keep_for_others
from mien.pretraining.autoencoder.digests import faces_digest, labels_digest
from mien.pretraining.autoencoder.settings import AutoencoderSettings, settings_key
from mien.pretraining.autoencoder.train import TrainingFolder, pretrain_autoencoder, train_perception
from mien.progress import Progress, Silent
from mien.recipes.recipe import Recipe
from mien.recognize.device import choose_device
from mien.recognize.model_card import ModelCard, read_card
from mien.training.loop import own_threads
from mien.training.prepare_run import budget_table, prepare_run
from mien.training.settings import TrainingSettings

FILE = "neighbors.json"
"""In the folder of an autoencoder: what was asked."""


def train_autoencoder(
    faceset: FaceSet | Path | str,
    out: Path | str,
    settings: AutoencoderSettings,
    training: TrainingSettings | None = None,
    progress: Progress | None = None,
) -> ModelCard:
    """`mien autoencoder train`: an autoencoder of the training split of a face set in the folder `out`, and its card.

    Interrupted, the same call goes on; of a finished one it reads the card, and writes nothing. `training`: split, device,
    threads, and the label budget of the expression network that a second phase needs; a first phase looks at no label. Raises
    MienError where `out` holds anything else, or another process works there.
    """
    folder, training, progress = Path(out), training or TrainingSettings(), progress or Silent()
    require_utf8_path(folder)
    faces = FaceSet.of(faceset)
    training = replace(training, checksums=(faces.info.checksum, ""))
    if is_made(folder) and is_claimed(folder / FILE, _asked(folder, settings, training), _decides):
        return read_card(folder)  # without the lock, which no read-only folder takes
    with exclusive(folder):
        asked = _asked(folder, settings, training)
        training = replace(training, threads=asked["order"]["threads"])
        place = TrainingFolder(folder, settings.seed, choose_device(training.device), progress)
        claim(folder / FILE, asked, _decides, "an autoencoder")
        if not is_made(folder):
            try:
                with own_threads(training.threads):
                    _train(place, faces, settings, training)
            except MienError:
                if not (folder / "parts").exists():
                    remove_all_but_lock(folder)  # Settings or faces were refused: there is nothing to go on with.
                raise
    return read_card(folder)


def _train(place: TrainingFolder, faces: FaceSet, settings: AutoencoderSettings, training: TrainingSettings) -> None:
    rows = training_rows(faces) if training.split is None else split_rows(faces, training.split)
    perception, budget, learned, labels = None, dict[str, Any](), faces.select(rows), ""
    if settings.refine != "none":
        prepared = prepare_run(faces, None, Recipe.load(settings.expression), training, place.progress)
        perception, budget = train_perception(place, settings, prepared.data), prepared.facts
        labels = labels_digest(prepared.data)
        write_table(place.folder / "budget.parquet", budget_table(faces, prepared))
    pretrain_autoencoder(place, learned, settings, perception, budget)
    keep_for_others(place.folder, settings_key(settings, faces_digest(learned), labels))


@dataclass(frozen=True)
class _Begun:
    """What neighbors.json says that an autoencoder was begun with."""

    order: TrainingSettings


def _asked(folder: Path, settings: AutoencoderSettings, training: TrainingSettings) -> dict[str, dict[str, Any]]:
    """What neighbors.json says of an autoencoder; threads that are not given are those that it was begun with."""
    training = replace(training, threads=training.threads or _threads(folder))
    return {"autoencoding": asdict(settings), "order": asdict(training)}


def _decides(written: Mapping[str, Any]) -> dict[str, Any]:
    """The values that have to be the same for the training to go on: all settings, by name."""
    parts = {part: values for part, values in written.items() if isinstance(values, dict)}
    return {f"{part}.{key}": value for part, values in parts.items() for key, value in values.items()}


def _threads(folder: Path) -> int:
    """The processor threads that an autoencoder in `folder` was begun with, else torch's own number."""
    file = folder / FILE
    begun = read_settings(_Begun, file, "remove the folder").order.threads if file.is_file() else None
    return begun or torch.get_num_threads()


def trained_on(folder: Path) -> str:
    """The checksum of the face set that an autoencoder was trained on; empty where its folder does not say."""
    file = folder / FILE
    return read_settings(_Begun, file, "train it again").order.checksums[0] if file.is_file() else ""
