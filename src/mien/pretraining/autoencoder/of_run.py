"""The autoencoder of a run: copied from a folder or the cache, or trained before the run's first epoch."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mien.errors import MienError
from mien.neighbors.semantic_neighbors import SemanticNeighbors, autoencoder
from mien.pretraining.autoencoder.cache import cache_folder, fetch, is_kept, is_made, keep_for_others
from mien.pretraining.autoencoder.digests import faces_digest, labels_digest
from mien.pretraining.autoencoder.settings import PRESETS, autoencoder_settings, settings_key
from mien.pretraining.autoencoder.train import TrainingFolder, pretrain_autoencoder, train_perception
from mien.pretraining.autoencoder.train_alone import trained_on
from mien.recognize.model_card import read_card
from mien.recognize.run_records import note_source
from mien.training.run import Run
from mien.wording import quantity


def run_neighbors(run: Run, given: str | Mapping[str, Any]) -> SemanticNeighbors:
    """The semantic neighbors of a run, by the autoencoder in its parts/neighbors: copied there, or trained now.

    `given`: a folder, a preset's name, or settings. Raises MienError as `require_autoencoder` does.
    """
    require_autoencoder(run, given)

    def load() -> SemanticNeighbors:
        folder = _place(run)
        if not is_made(folder):
            _obtain(run, given, folder)
        return SemanticNeighbors.load(folder, run.device)

    return run.cache.get("neighbors", SemanticNeighbors, load)


def require_autoencoder(run: Run, given: str | Mapping[str, Any]) -> None:
    """Raises MienError for another autoencoder than the run's first, for one of other faces, and for faces that none can take.

    Nothing is trained for that.
    """
    first = run.cache.get("neighbors_given", object, lambda: given)
    if first != given:
        raise MienError(f"one autoencoder for all masks of a run, {first!r}", repr(given), "name the same")
    faces = run.data.split or run.data.faces
    if faces.info.kind != "faces":
        raise MienError("faces, whose pixels make neighbors", faces.info.kind, 'take the neighbors "features"')
    if is_made(_place(run)):
        return
    if _names_folder(given):
        SemanticNeighbors.load(Path(str(given)), run.device).require(faces.info, faces_digest(faces))
        return
    with torch.random.fork_rng([]):
        autoencoder(autoencoder_settings(given).model, faces.info)


def _place(run: Run) -> Path:
    return run.folder / "parts" / "neighbors"


def _names_folder(given: str | Mapping[str, Any]) -> bool:
    return isinstance(given, str) and given not in PRESETS


def _obtain(run: Run, given: str | Mapping[str, Any], folder: Path) -> None:
    faces = run.data.split or run.data.faces
    found = faces_digest(faces)
    if _names_folder(given):
        given = str(given)
        if read_card(Path(given)).budget:  # The labels of its expression network count for this run as well.
            folder.mkdir(parents=True, exist_ok=True)
            note_source(folder, Path(given), trained_on(Path(given)))
        fetch(Path(given), folder)
        return
    settings = autoencoder_settings(given)
    judged = settings.refine != "none"
    key = settings_key(settings, found, labels_digest(run.data) if judged else "")
    if not is_kept(key, asdict(settings), found):
        run.progress.say(f"an autoencoder of {quantity(len(faces), 'face')} is trained first, and kept in {cache_folder()}")
        place = TrainingFolder(folder, settings.seed, run.device, run.progress)
        budget = {"train": len(run.labeled), "validation": len(run.data.validation_labels)} if judged else None
        unlabeled = faces.with_column("label", np.full(len(faces), -1))
        pretrain_autoencoder(place, unlabeled, settings, train_perception(place, settings, run.data) if judged else None, budget)
        keep_for_others(folder, key)
        return
    fetch(cache_folder() / key, folder)
    error = read_card(folder).metrics.get("pixel_error", float("nan"))
    run.progress.say(f"autoencoder: from {cache_folder() / key} (a pixel is {error:.1f} of 255 from what it was)")
