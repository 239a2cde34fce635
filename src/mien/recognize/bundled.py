"""The models that come with mien."""

from pathlib import Path

BUNDLED = {name: Path(__file__).parent / "weights" / name for name in ("mien-s", "mien-xs")}
"""Folders of the models that come with mien, by name."""


def find_model(model: Path | str) -> Path:
    """The folder of a model that comes with mien, by its name; any other text is the path of a run or a model folder."""
    return BUNDLED.get(str(model), Path(model))


def name_of(folder: Path | None) -> str:
    """The name of the model in a folder: of a bundled one, or the last part of the folder's; `model` without a folder."""
    return next((name for name, place in BUNDLED.items() if place == folder), folder.absolute().name if folder else "model")
