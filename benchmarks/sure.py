"""Sets from which probability on an answer of an exported model is sure, and what it takes a usual neutral face for.

    python benchmarks/sure.py FERPLUS MODEL
    python benchmarks/sure.py FERPLUS MODEL --shifted --also WEBFACES [--by-class] [--unlike] [--most-unsure 0.25] [--show]

The faces that validated it are drawn again as the model's card says, and the accuracy that it states on them is checked. A model
that `mien train` makes has this from its training; this is for one that is older. With `--shifted` each of these faces counts
once more, made worse: less sharp, smaller and enlarged again, in other light, or stored as a JPEG of low quality. `--also` adds
faces of another domain, of the people whose name has an odd CRC-32; for a model that learned from a further set, itself or by a
teacher (`mien train --also`), of those who validate by `web_people.py`. Temperature and all thresholds are then fitted to them
together, each domain counting alike. `--by-class` fits a threshold for each class from which it is possible. `--unlike` also
finds faces that are unlike those of training: those beyond 98 % of the validation faces, by the distance of their features from
the centers of the training faces'. `--most-unsure` lowers what sure takes until no more than this share of answers is unsure, on
faces that were not made worse.

A line for each way and each kind of faces says what it is worth, `even people` being people whose name has an even CRC-32, whom
`web_people.py` keeps for measuring. The ways build on each other in the order above. `turned` are the validation faces upside
down, `noise` pixels at random. `--show` writes nothing; else the last way is written into the card.
"""

import argparse
import json
from dataclasses import asdict, dataclass, replace
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
    LEAST_OF_CLASS,
    apply_temperature,
    are_sure,
    fit_class_thresholds,
    fit_confidence_threshold,
    fit_conformal_threshold,
    fit_temperature,
)
from mien.recognize.model_folder import CARD
from mien.recognize.resting_look import usual_log_odds
from mien.recognize.unlike_training import UnlikeTraining, find_centers, write_centers
from web_people import is_measured, part_of

NEAR = 0.002
"""Halved weights may change an answer."""
WORSE = "validation faces made worse"
"""The name of the faces that were made worse."""
RARE = 0.02
"""The share of the validation faces that counts as unlike the training faces."""
Floats = npt.NDArray[np.float64]
Labels = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Part:
    """What the model says of faces of one kind, and their labels; -1 where there is nothing to name."""

    name: str
    logits: Floats
    labels: Labels
    features: npt.NDArray[np.float32]
    """(N, D), with D 0 where they are not asked for."""


@dataclass(frozen=True)
class Way:
    """What decides which answers are sure."""

    name: str
    temperature: float
    least: float
    by_class: tuple[float, ...]
    sure: float
    unlike: UnlikeTraining | None = None

    def strange(self, part: Part) -> npt.NDArray[np.bool_]:
        """Whether each face is unlike the training faces, (N,)."""
        return np.zeros(len(part.labels), bool) if self.unlike is None else self.unlike.are_unlike(part.features)

    def possible_from(self, part: Part) -> Floats:
        """From which probability on each class is possible, (N, K)."""
        rows = np.tile(self.by_class or (self.least,) * part.logits.shape[1], (len(part.labels), 1))
        return rows if self.unlike is None else np.where(self.strange(part)[:, None], np.minimum(rows, self.unlike.least), rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("faceset", type=Path)
    parser.add_argument("model", type=Path)
    parser.add_argument("--shifted", action="store_true")
    parser.add_argument("--also", type=Path)
    parser.add_argument("--by-class", action="store_true")
    parser.add_argument("--unlike", action="store_true")
    parser.add_argument("--most-unsure", type=float, default=1.0)
    parser.add_argument("--show", action="store_true")
    given = parser.parse_args()
    faces, recognizer = FaceSet.open(given.faceset), Recognizer.load(given.model, "cpu")
    training, validation = parts_of_training(faces, recognizer)
    plain = seen("validation faces", recognizer, np.asarray(validation.faces()), validation.labels, given.unlike)
    require_accuracy(recognizer, plain)
    fitted, shown = [plain], [plain]
    if given.shifted:
        worse = np.stack([made_worse(face, np.random.default_rng(place)) for place, face in enumerate(validation.faces())])
        fitted.append(seen(WORSE, recognizer, worse, validation.labels, given.unlike))
        shown.append(fitted[-1])
    if given.also:
        odd, even = other_domain(given.also, recognizer, given.unlike)
        fitted.append(odd)
        shown += [odd, even]
    if given.unlike:
        shown += nothing_to_name(recognizer, np.asarray(validation.faces()))
    card = recognizer.card
    own = Way("today", card.temperature, card.conformal_threshold, card.class_thresholds, card.confidence_threshold)
    own = replace(own, unlike=card.unlike if given.unlike else None)
    ways = [own, *fit_ways(fitted, given.by_class, given.most_unsure, given.shifted or given.also)]
    if given.unlike:
        centers = find_centers(recognizer.logits_and_features(training)[1])
        ways.append(with_unlike(ways[-1], fitted, centers, given.most_unsure))
    for way in ways:
        for part in shown:
            tell(way, part)
    if not given.show:
        write(given.model / CARD, ways[-1], fitted, card.classes)


def fit_ways(parts: list[Part], by_class: bool, most_unsure: float, together: bool) -> list[Way]:
    """The ways to be sure, each with one thing more than the one before, fitted to all parts."""
    made = [fit_together("fitted anew", parts[:1], False, 1.0)]
    if together:
        made.append(fit_together("shifted", parts, False, 1.0))
    if by_class:
        counts = np.bincount(np.concatenate([part.labels for part in parts]), minlength=parts[0].logits.shape[1])
        few = np.flatnonzero(counts < LEAST_OF_CLASS).tolist()
        print(json.dumps({"classes without a threshold of their own": few, "faces": counts[few].tolist()}))
        made.append(fit_together("per class", parts, True, 1.0))
    if most_unsure < 1:
        made.append(fit_together(f"{made[-1].name}, at most {100 * most_unsure:.0f} % unsure", parts, by_class, most_unsure))
    return made


def fit_together(name: str, parts: list[Part], by_class: bool, most_unsure: float) -> Way:
    """Temperature and thresholds for all parts, each counting alike."""
    logits, labels = (np.concatenate([getattr(part, key) for part in parts]) for key in ("logits", "labels"))
    weights = alike(parts)
    temperature = fit_temperature(logits, labels, weights)
    likely = apply_temperature(logits, temperature)
    least = fit_conformal_threshold(likely, labels, weights=weights)
    own = fit_class_thresholds(likely, labels, weights=weights) if by_class else ()
    return with_sure(Way(name, temperature, least, own, 1.0), parts, most_unsure)


def with_sure(way: Way, parts: list[Part], most_unsure: float) -> Way:
    """The way with what a sure answer takes on all parts, and no more than leaves enough sure of those not made worse."""
    found = []
    for some, most in ((parts, 1.0), ([part for part in parts if part.name != WORSE], most_unsure)):
        likely = np.concatenate([apply_temperature(part.logits, way.temperature) for part in some])
        labels, far = np.concatenate([part.labels for part in some]), np.concatenate([way.strange(part) for part in some])
        least, weights = np.asarray(way.by_class or (way.least,) * likely.shape[1]), alike(some)
        found.append(fit_confidence_threshold(likely, labels, least, weights=weights, unlike=far, most_unsure=most))
    return replace(way, sure=found[0] if most_unsure >= 1 else min(found))


def with_unlike(way: Way, parts: list[Part], centers: npt.NDArray[np.float32], most_unsure: float) -> Way:
    """The way with a measure of what is unlike the training faces; `parts` begin with the validation faces."""
    measure = UnlikeTraining(0.0, 0.0, centers.shape[1], write_centers(centers))
    measure = replace(measure, beyond=float(np.quantile(measure.distances(parts[0].features), 1 - RARE)))
    logits, labels = (np.concatenate([getattr(part, key) for part in parts]) for key in ("logits", "labels"))
    weights, likely = alike(parts), apply_temperature(logits, way.temperature)
    far = np.concatenate([measure.are_unlike(part.features) for part in parts])
    measure = replace(measure, least=fit_conformal_threshold(likely[far], labels[far], weights=weights[far]))
    return with_sure(replace(way, name=f"{way.name}, unlike", unlike=measure), parts, most_unsure)


def alike(parts: list[Part]) -> Floats:
    """A weight for each face of all parts, so that each part counts alike."""
    return np.concatenate([np.full(len(part.labels), 1 / len(part.labels)) for part in parts])


def parts_of_training(faces: FaceSet, recognizer: Recognizer) -> tuple[FaceSet, FaceSet]:
    """The faces that the model learned from, and those that validated it."""
    card = recognizer.card
    if faces.info.checksum != card.faces.checksum:
        raise SystemExit(f"expected the faces that it learned from, checksum {card.faces.checksum}, found {faces.info.checksum}")
    rows = training_rows(faces)
    budget = carve_validation(faces.labels, rows[faces.labels[rows] >= 0], card.recipe["validation"], card.seed)
    return faces.select(budget.train), faces.select(budget.validation)


def require_accuracy(recognizer: Recognizer, validation: Part) -> None:
    """Ends the program where the model is not as often right on the faces that validated it as its card says."""
    right = float((validation.logits.argmax(axis=1) == validation.labels).mean())
    stated = recognizer.card.metrics["validation_accuracy"]
    if abs(right - stated) > NEAR:
        raise SystemExit(f"expected an accuracy of {stated:.4f} on the faces that validated it, found {right:.4f}: others")


def seen(name: str, recognizer: Recognizer, faces: npt.NDArray[np.uint8], labels: Labels, with_features: bool) -> Part:
    """What the model says of these faces."""
    if with_features:
        logits, features = recognizer.logits_and_features(faces)
    else:
        logits, features = recognizer.logits(faces), np.zeros((len(faces), 0), np.float32)
    return Part(name, logits.astype(np.float64), labels, features)


def other_domain(path: Path, recognizer: Recognizer, with_features: bool) -> list[Part]:
    """Another set: the people to fit to, and those to measure on."""
    faces, people = FaceSet.open(path), "odd people"
    even = np.array([is_measured(name) for name in faces.values("subject")])
    fitted = ~even
    budgets = [recognizer.card.budget, *(source["budget"] for source in recognizer.card.sources)]
    if any(budget.get("also_labels") for budget in budgets):  # it may have learned from the other odd people
        fitted, people = np.array([part_of(name) == "validation" for name in faces.values("subject")]), "validation people"
    known = np.array([name in recognizer.classes for name in faces.classes])
    numbers = np.array([recognizer.classes.index(name) if name in recognizer.classes else -1 for name in faces.classes])
    parts = []
    for name, mine in ((f"faces of another domain, {people}", fitted), ("faces of another domain, even people", even)):
        rows = np.flatnonzero(mine & (faces.labels >= 0) & known[faces.labels])
        parts.append(seen(name, recognizer, faces.faces(rows), numbers[faces.labels[rows]], with_features))
    return parts


def nothing_to_name(recognizer: Recognizer, faces: npt.NDArray[np.uint8]) -> list[Part]:
    """Pictures of which no answer ought to be sure."""
    noise = np.random.default_rng(0).integers(0, 256, faces.shape, np.uint8)
    none = np.full(len(faces), -1)
    turned = np.ascontiguousarray(faces[:, ::-1])
    return [seen("turned", recognizer, turned, none, True), seen("noise", recognizer, noise, none, True)]


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


def tell(way: Way, part: Part) -> None:
    """Print how sure the answers are, and how right."""
    likely, least = apply_temperature(part.logits, way.temperature), way.possible_from(part)
    sure = are_sure(likely, least, way.sure, way.strange(part))
    told: dict[str, float] = {"unsure": 1 - sure.mean()}
    if way.unlike is not None:
        told["unlike"] = way.strange(part).mean()
    if (part.labels >= 0).all():
        wrong, possible = likely.argmax(axis=1) != part.labels, likely >= least
        covered = possible[np.arange(len(likely)), part.labels]
        told |= {"right": 1 - wrong.mean(), "sure right": 1 - wrong[sure].mean(), "wrong unsure": (~sure)[wrong].mean()}
        told |= {"ece": calibration_error(likely, part.labels), "covered": covered.mean()}
        told["least covered"] = min(covered[part.labels == one].mean() for one in np.unique(part.labels))
    figures = {key: round(100 * float(value), 1) for key, value in told.items()}
    card = {"temperature": round(way.temperature, 3), "least": round(way.least, 3), "from": round(way.sure, 3)}
    print(json.dumps({"way": way.name, "faces": part.name, "count": len(part.labels)} | figures | card), flush=True)


def write(file: Path, way: Way, parts: list[Part], classes: tuple[str, ...]) -> None:
    """Into the card, after what is possible; all else stays as it is written. `parts` begin with the validation faces."""
    resting = usual_log_odds(apply_temperature(parts[0].logits, way.temperature), parts[0].labels, classes)
    new: dict[str, object] = {
        "least_by_class": list(way.by_class),
        "unlike": None if way.unlike is None else asdict(way.unlike),
        "sure": way.sure,
        "resting": list(resting),
    }
    card = json.loads(file.read_text("utf-8"))
    told = {part.name: len(part.labels) for part in parts}
    changed = {"temperature": way.temperature, "least": way.least, "budget": card["budget"] | {"thresholds": told}}
    values: dict[str, object] = {}
    for key, value in card.items():
        values |= {key: changed.get(key, value)} | (new if key == "least" else {})
    write_atomically(file, json.dumps(values | new, indent=1, ensure_ascii=False).encode())


if __name__ == "__main__":
    main()
