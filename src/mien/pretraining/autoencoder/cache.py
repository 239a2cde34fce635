"""Autoencoders that runs trained, kept in the user's cache for other runs on the same faces."""

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

from mien.disk import replace_atomically
from mien.errors import MienError
from mien.recognize.model_card import read_card
from mien.recognize.model_folder import model_folder, read_weights_file
from mien.telemetry import own_cache


def cache_folder() -> Path:
    """Where autoencoders that runs trained are kept for other runs."""
    return own_cache() / "neighbors"


def is_made(folder: Path) -> bool:
    """Whether the autoencoder in `folder` is finished: the card is written last."""
    return (folder / "model" / "model.json").is_file()


def keep_for_others(trained: Path, key: str) -> None:
    """Copy a finished model to the cache, unless it is there, or nothing can be written there."""
    target = cache_folder() / key
    if target.exists():
        return
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(prefix=f".{key}.", dir=target.parent))
    except OSError:
        return  # The run has its own.
    try:
        shutil.copytree(trained / "model", aside / "model")
        replace_atomically(aside, target)
    except OSError:
        shutil.rmtree(aside, ignore_errors=True)  # Another run was faster, or there is no room.


def is_kept(key: str, settings: dict[str, Any], faces: str) -> bool:
    """Whether a whole autoencoder of these settings and faces is in the cache; one that is damaged, or another, is removed."""
    folder = cache_folder() / key
    if not folder.is_dir():
        return False
    try:
        card = read_card(folder)
        read_weights_file(folder, card.weights)
    except MienError:
        card = None
    if card is not None and card.faces.checksum == faces and _deciding(card.recipe.get("autoencoding")) == _deciding(settings):
        return True
    shutil.rmtree(folder, ignore_errors=True)
    return False


def _deciding(settings: Any) -> Any:
    """The settings as JSON gives them back, without the noise of the pictures, which decides nothing."""
    kept = {key: value for key, value in settings.items() if key != "sigma"} if isinstance(settings, dict) else settings
    return json.loads(json.dumps(kept, default=str))


def fetch(source: Path, folder: Path) -> None:
    """Copy the model at `source` into `folder`/model, aside and renamed; what was begun there is removed."""
    folder.mkdir(parents=True, exist_ok=True)
    for left_over in (*folder.glob(".model.*"), folder / "model"):
        shutil.rmtree(left_over, ignore_errors=True)
    aside = Path(tempfile.mkdtemp(prefix=".model.", dir=folder))
    shutil.copytree(model_folder(source), aside, dirs_exist_ok=True)
    aside.chmod(0o755)
    replace_atomically(aside, folder / "model")
