"""A model folder as the Hugging Face Hub shows one: with a README.md whose head is read by programs. Nothing is uploaded."""

from pathlib import Path

from mien.disk import write_atomically
from mien.json_text import to_json
from mien.recognize.model_card import CardBudget, ModelCard
from mien.settings import settings_from
from mien.wording import percent, plain_text, quantity

README = "README.md"
"""Name of the file that the Hub shows."""
MEASURED, NO_FIGURE = "validation_", "validation_loss"
"""How figures on validation faces begin in a card, and the one that says nothing to a reader."""


def write_readme(card: ModelCard, folder: Path) -> None:
    """Write the README of an exported model into its folder."""
    write_atomically(folder / README, readme(card, folder.absolute().name).encode())


def readme(card: ModelCard, name: str) -> str:
    """The README of a model: a head in YAML, then what its card says in sentences."""
    faces, budget = card.faces, settings_from(CardBudget, card.budget)
    head = {
        "library_name": "mien",
        "pipeline_tag": "image-classification",
        "license": "other",
        "license_name": faces.license or "unknown",
        "tags": ["facial-expression-recognition", "onnx", "safetensors"],
    }
    # Every text of JSON is one of YAML.
    yaml = "\n".join(f"{key}: {to_json(value, None, ascii_only=True)}" for key, value in head.items())
    told = {key: value for key, value in sorted(card.metrics.items()) if key.startswith(MEASURED) and key != NO_FIGURE}
    figures = [f"| {plain_text(key.removeprefix(MEASURED)).replace('_', ' ')} | {value:.4g} |" for key, value in told.items()]
    table = ["| on validation faces | |", "|---|---|", *figures] if figures else ["The card has no figures."]
    color = "gray" if faces.channels == 1 else "color"
    sure = (
        "no answer is sure"
        if card.confidence_threshold >= 1
        else f"an answer is sure from {percent(card.confidence_threshold)} on"
        + (", unless the face is unlike those of training" if card.unlike else "")
    )
    possible = "its own threshold in `model.json`" if card.class_thresholds else percent(card.conformal_threshold)
    lines = [
        f"# {plain_text(name, 80)}",
        f"Names the expression of a face: {', '.join(map(plain_text, card.classes))}.",
        f"It takes {color} faces of {faces.side} pixels, cut out by `{plain_text(faces.alignment or 'unknown')}`. It learned "
        f"from {quantity(budget.train, 'label')} of {plain_text(faces.name or 'a set without a name')}, whose license counts.",
        f"Probabilities are calibrated by the temperature {card.temperature:.4g}. A class is possible from "
        f"{possible} on; {sure}.",
        "\n".join(table),
        "```\npip install mien\nmien predict photo.jpg --model FOLDER\n```",
        "`FOLDER` is the folder of this file. An expression is not a feeling, and a model is wrong about some faces more often "
        "than about others: try it on your own before you rely on it.",
    ]
    return f"---\n{yaml}\n---\n\n" + "\n\n".join(lines) + "\n"
