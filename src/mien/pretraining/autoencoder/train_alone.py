"""`mien autoencoder train`: an autoencoder trained by itself, in a folder that says what was asked."""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, field, replace
from dataclasses import dataclass as plain
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic.dataclasses import dataclass

from mien.data.faceset import FaceSet
from mien.data.format import Rows
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
    MienError where `out` holds anything else, such as an autoencoder of other faces, or another process works there.
    """
    folder, training, progress = Path(out), training or TrainingSettings(), progress or Silent()
    require_utf8_path(folder)
    faces = FaceSet.of(faceset)
    training = replace(training, checksums=(faces.info.checksum, ""))
    memory = None if faces.info.checksum else _Memory.of(faces, settings, training)
    if is_made(folder) and is_claimed(folder / FILE, _asked(folder, settings, training, memory), _decides):
        return _card(folder, memory)  # without the lock, which no read-only folder takes
    with exclusive(folder):
        asked = _asked(folder, settings, training, memory)
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
    return _card(folder, memory)


@plain(frozen=True)
class _Memory:
    """What tells a set without checksum from another: one in memory, or a view."""

    learned: str
    """Digest of the faces that the autoencoder learns from."""
    whole: str
    """Digest of all that decides: the same one, or with a second phase that of all faces and labels, too."""

    @staticmethod
    def of(faces: FaceSet, settings: AutoencoderSettings, training: TrainingSettings) -> "_Memory":
        learned = faces_digest(faces.select(_rows(faces, training)))
        if settings.refine == "none":
            return _Memory(learned, learned)
        labels = hashlib.sha256(np.ascontiguousarray(faces.labels).data).hexdigest()
        return _Memory(learned, hashlib.sha256(f"{learned} {faces_digest(faces)} {labels}".encode()).hexdigest())


def _card(folder: Path, memory: _Memory | None) -> ModelCard:
    """The card of a finished autoencoder. Raises MienError where it learned from other faces than those in memory."""
    card = read_card(folder)
    # neighbors.json tells it first, unless an earlier version wrote it.
    if memory is not None and card.faces.checksum != memory.learned:
        was, now = (f"of checksum {checksum[:12]}" for checksum in (card.faces.checksum, memory.learned))
        raise MienError(f"the faces that {folder} was trained on, {was}", f"others, {now}", "choose another --out")
    return card


def _rows(faces: FaceSet, training: TrainingSettings) -> Rows:
    """The rows of the faces that the autoencoder learns from."""
    return training_rows(faces) if training.split is None else split_rows(faces, training.split)


def _train(place: TrainingFolder, faces: FaceSet, settings: AutoencoderSettings, training: TrainingSettings) -> None:
    perception, budget, learned, labels = None, dict[str, Any](), faces.select(_rows(faces, training)), ""
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
    faces: dict[str, str] = field(default_factory=dict)
    """The digest of a set without checksum, under `digest`."""


def _asked(
    folder: Path, settings: AutoencoderSettings, training: TrainingSettings, memory: _Memory | None
) -> dict[str, dict[str, Any]]:
    """What neighbors.json says of an autoencoder; threads that are not given are those that it was begun with."""
    begun = _begun(folder)
    training = replace(training, threads=training.threads or (begun and begun.order.threads) or torch.get_num_threads())
    asked = {"autoencoding": asdict(settings), "order": asdict(training)}
    if memory is None or (begun is not None and not begun.faces):  # Earlier versions wrote no digest: it cannot be compared.
        return asked
    return asked | {"faces": {"digest": memory.whole}}


def _decides(written: Mapping[str, Any]) -> dict[str, Any]:
    """The values that have to be the same for the training to go on: all settings, by name."""
    parts = {part: values for part, values in written.items() if isinstance(values, dict)}
    return {f"{part}.{key}": value for part, values in parts.items() for key, value in values.items()}


def _begun(folder: Path) -> _Begun | None:
    """What the autoencoder in `folder` was begun with; None where none was."""
    file = folder / FILE
    return read_settings(_Begun, file, "remove the folder") if file.is_file() else None


def trained_on(folder: Path) -> str:
    """The checksum of the face set that an autoencoder was trained on; empty where its folder does not say."""
    file = folder / FILE
    return read_settings(_Begun, file, "train it again").order.checksums[0] if file.is_file() else ""
