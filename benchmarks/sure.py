"""Sets from which probability on an answer of an exported model is sure, and what it takes a usual neutral face for.

    python benchmarks/sure.py FERPLUS MODEL
    python benchmarks/sure.py FERPLUS MODEL --shifted --also WEBFACES [--show]

The faces that validated it are drawn again as the model's card says, and the accuracy that it states on them is checked. A model
that `mien train` makes has this from its training; this is for one that is older. With `--shifted` each of these faces counts
once more, made worse: less sharp, smaller and enlarged again, in other light, or stored as a JPEG of low quality. `--also` adds
faces of another domain, of the people whose name has an odd CRC-32. Temperature and all thresholds are then fitted to them
together, each domain counting alike; the figures of both ways are printed for the people whose name has an even CRC-32. `--show`
writes nothing.
"""

import argparse
import json
import zlib
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from mien import FaceSet, Recognizer
from mien.data.label_budget import carve_validation
from mien.data.splits import training_rows
from mien.disk import write_atomically
from mien.evaluation.metrics import calibration_error
from mien.recognize.calibration import (
    apply_temperature,
    are_sure,
    fit_confidence_threshold,
    fit_conformal_threshold,
    fit_temperature,
)
from mien.recognize.model_folder import CARD
from mien.recognize.resting_look import usual_log_odds

NEAR = 0.002
"""Halved weights may change an answer."""
Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Fitted:
    """What decides which answers are sure."""

    temperature: float
    least: float
    sure: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("faceset", type=Path)
    parser.add_argument("model", type=Path)
    parser.add_argument("--shifted", action="store_true")
    parser.add_argument("--also", type=Path)
    parser.add_argument("--show", action="store_true")
    given = parser.parse_args()
    faces, recognizer = FaceSet.open(given.faceset), Recognizer.load(given.model, "cpu")
    card = recognizer.card
    validation = validation_faces(faces, recognizer)
    logits, labels = recognizer.logits(validation).astype(np.float64), validation.labels
    plain = Fitted(card.temperature, card.conformal_threshold, 0.0)
    likely = apply_temperature(logits, plain.temperature)
    fitted = Fitted(plain.temperature, plain.least, fit_confidence_threshold(likely, labels, plain.least))
    tell("as validated", fitted, logits, labels)
    if given.shifted or given.also:
        parts = [(logits, labels)]
        if given.shifted:
            worse = np.stack([made_worse(face, np.random.default_rng(place)) for place, face in enumerate(validation.faces())])
            parts.append((recognizer.logits(worse).astype(np.float64), labels))
            tell("made worse", fitted, *parts[-1])
        others = other_domain(given.also, recognizer) if given.also else None
        parts += [others[0]] if others else []
        shifted = fit_together(parts)
        tell("as validated, fitted to all", shifted, logits, labels)
        if others:
            tell("even people", fitted, *others[1])
            tell("even people, fitted to all", shifted, *others[1])
        fitted = shifted
    if not given.show:
        resting = list(usual_log_odds(apply_temperature(logits, fitted.temperature), labels, card.classes))
        new: dict[str, object] = {"sure": fitted.sure, "resting": resting}
        changed = {"temperature": fitted.temperature, "least": fitted.least} if given.shifted or given.also else {}
        write(given.model / CARD, new, changed)


def validation_faces(faces: FaceSet, recognizer: Recognizer) -> FaceSet:
    """The faces that validated the model."""
    card = recognizer.card
    if faces.info.checksum != card.faces.checksum:
        raise SystemExit(f"expected the faces that it learned from, checksum {card.faces.checksum}, found {faces.info.checksum}")
    rows = training_rows(faces)
    budget = carve_validation(faces.labels, rows[faces.labels[rows] >= 0], card.recipe["validation"], card.seed)
    validation = faces.select(budget.validation)
    right = recognizer.logits(validation).argmax(axis=1) == validation.labels
    stated = card.metrics["validation_accuracy"]
    if abs(right.mean() - stated) > NEAR:
        raise SystemExit(f"expected an accuracy of {stated:.4f} on the faces that validated it, found {right.mean():.4f}: others")
    return validation


def other_domain(path: Path, recognizer: Recognizer) -> list[tuple[Floats, Labels]]:
    """Logits and labels of another set: of the people to fit to, and of those to measure on."""
    faces = FaceSet.open(path)
    odd = np.array([zlib.crc32(str(name).encode()) % 2 == 1 for name in faces.values("subject")])
    known = np.array([name in recognizer.classes for name in faces.classes])
    numbers = np.array([recognizer.classes.index(name) if name in recognizer.classes else -1 for name in faces.classes])
    parts = []
    for mine in (odd, ~odd):
        rows = np.flatnonzero(mine & (faces.labels >= 0) & known[faces.labels])
        parts.append((recognizer.logits(faces.faces(rows)).astype(np.float64), numbers[faces.labels[rows]]))
    return parts


def made_worse(face: npt.NDArray[np.uint8], rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """A gray face (S, S), worse in one of four ways."""
    way, side, bad = int(rng.integers(4)), face.shape[0], float(rng.uniform(0.3, 1.0))
    if way == 0:
        return np.asarray(cv2.GaussianBlur(face, (0, 0), 1.5 * bad), np.uint8)
    if way == 1:
        small = cv2.resize(face, (round(side * (1 - 0.6 * bad)),) * 2, interpolation=cv2.INTER_AREA)
        return np.asarray(cv2.resize(small, (side, side), interpolation=cv2.INTER_LINEAR), np.uint8)
    if way == 2:
        power = float(np.exp(bad * rng.choice([-1, 1])))
        return np.asarray(255 * (face / 255) ** power, np.uint8)
    content = cv2.imencode(".jpg", face, [cv2.IMWRITE_JPEG_QUALITY, round(60 - 50 * bad)])[1]
    return np.asarray(cv2.imdecode(content, cv2.IMREAD_GRAYSCALE), np.uint8)


def fit_together(parts: list[tuple[Floats, Labels]]) -> Fitted:
    """Temperature and thresholds for all parts, each counting alike: drawn to the size of the largest."""
    size, rng = max(len(labels) for _, labels in parts), np.random.default_rng(0)
    rows = [rng.permutation(np.resize(np.arange(len(labels)), size)) for _, labels in parts]
    logits = np.concatenate([part[0][chosen] for part, chosen in zip(parts, rows, strict=True)])
    labels = np.concatenate([part[1][chosen] for part, chosen in zip(parts, rows, strict=True)])
    temperature = fit_temperature(logits, labels)
    likely = apply_temperature(logits, temperature)
    least = fit_conformal_threshold(likely, labels)
    return Fitted(temperature, least, fit_confidence_threshold(likely, labels, least))


def tell(name: str, fitted: Fitted, logits: Floats, labels: Labels) -> None:
    """Print how sure the answers are, and how right."""
    likely = apply_temperature(logits, fitted.temperature)
    wrong, sure = likely.argmax(axis=1) != labels, are_sure(likely, fitted.least, fitted.sure)
    shares = {"right": 1 - wrong.mean(), "sure": sure.mean(), "sure right": 1 - wrong[sure].mean()}
    shares |= {"wrong unsure": (~sure)[wrong].mean(), "ece": calibration_error(likely, labels)}
    figures = {key: round(100 * float(value), 1) for key, value in shares.items()}
    card = {"temperature": round(fitted.temperature, 3), "least": round(fitted.least, 3), "from": round(fitted.sure, 3)}
    print(json.dumps({"faces": name, "count": len(labels)} | figures | card))


def write(file: Path, new: dict[str, object], changed: dict[str, float]) -> None:
    """Into the card, after what is possible; all else stays as it is written."""
    values: dict[str, object] = {}
    for key, value in json.loads(file.read_text("utf-8")).items():
        values |= {key: changed.get(key, value)} | (new if key == "least" else {})
    write_atomically(file, json.dumps(values | new, indent=1, ensure_ascii=False).encode())


if __name__ == "__main__":
    main()
