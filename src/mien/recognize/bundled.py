"""The models that come with mien."""

from pathlib import Path

BOX = {"mien-s": Path(__file__).parent / "weights" / "mien-s"}
"""Folders of models, by name."""


def find_model(model: Path | str) -> Path:
    """The folder of a model in the box, by its name, or else the run or model folder at that path."""
    return BOX.get(str(model), Path(model))
