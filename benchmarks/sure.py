"""Sets from which probability on an answer of an exported model is sure, and what it takes a usual neutral face for.

    python benchmarks/sure.py FERPLUS MODEL

The faces that validated it are drawn again as the model's card says, and the accuracy that it states on them is checked. A
model that `mien train` makes has this from its training; this is for one that is older.
"""

import argparse
import json
from pathlib import Path

from mien import FaceSet, Recognizer
from mien.data.label_budget import carve_validation
from mien.data.splits import training_rows
from mien.disk import write_atomically
from mien.recognize.calibration import are_sure, fit_confidence_threshold
from mien.recognize.model_folder import CARD
from mien.recognize.resting_look import usual_log_odds

NEAR = 0.002
"""Halved weights may change an answer."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("faceset", type=Path)
    parser.add_argument("model", type=Path)
    given = parser.parse_args()
    faces, recognizer = FaceSet.open(given.faceset), Recognizer.load(given.model, "cpu")
    card = recognizer.card
    if faces.info.checksum != card.faces.checksum:
        raise SystemExit(f"expected the faces that it learned from, checksum {card.faces.checksum}, found {faces.info.checksum}")
    rows = training_rows(faces)
    budget = carve_validation(faces.labels, rows[faces.labels[rows] >= 0], card.recipe["validation"], card.seed)
    validation = faces.select(budget.validation)
    scores, labels = recognizer.probabilities(validation), validation.labels
    right = scores.argmax(axis=1) == labels
    stated = card.metrics["validation_accuracy"]
    if abs(right.mean() - stated) > NEAR:
        raise SystemExit(f"expected an accuracy of {stated:.4f} on the faces that validated it, found {right.mean():.4f}: others")
    sure = fit_confidence_threshold(scores, labels, card.conformal_threshold)
    resting = usual_log_odds(scores, labels, card.classes)
    _write(given.model / CARD, {"sure": sure, "resting": list(resting)})
    certain = are_sure(scores, card.conformal_threshold, sure)
    print(f"sure from {sure:.3f}: {certain.mean():.1%} of {len(labels)} faces, of which {right[certain].mean():.1%} are right")


def _write(file: Path, fitted: dict[str, object]) -> None:
    """Into the card, after what is possible; all else stays as it is written."""
    values: dict[str, object] = {}
    for key, value in json.loads(file.read_text("utf-8")).items():
        values |= {key: value} | (fitted if key == "least" else {})
    write_atomically(file, json.dumps(values | fitted, indent=1, ensure_ascii=False).encode())


if __name__ == "__main__":
    main()
