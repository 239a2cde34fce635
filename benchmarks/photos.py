"""From a photo to a name: detection, cutting out and naming in one, where a face that is not found counts as wrong.

    bash benchmarks/peers_fer.sh PEERS
    python benchmarks/photos.py LIST.csv [--groups gender,age,origin] [--peers PEERS] [--baseline] [--model mien-s]

LIST.csv has the columns path (from its own folder), label and subject, and those that are named as groups; columns with
other names are renamed by `--columns path=name,subject=person`. `--people even` measures half of the people: those that
`web_people.py` keeps for it. A photo that cannot be read counts as wrong, too, and is named. Each system names the largest face
of a photo. fer runs whole, as it comes, with its Haar cascade; TensorFlow is replaced by the interpreter of TFLite. Intervals are
95 %, by bootstrap over people. Of a group column the two groups that differ most are compared, among those with ten people or
more; numbers, such as ages, are split at their median.
`--baseline` corrects the scores (strength 0.8, for photos of one session) by another neutral photo of the same person, in
whichever photo of the list it is; photos of people without one are left out of that line.
"""

import argparse
import csv
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mien import MienError, Prediction, Recognizer
from mien.class_words import label_or_none
from mien.evaluation.metrics import RESAMPLES, calibration_error, percentiles
from mien.expressions import canonical
from mien.recognize.baseline_settings import SAME_SESSION
from mien.recognize.resting_look import NEUTRAL, RestingLook, log_odds
from web_people import is_measured

THEIRS = """
import json, sys, types
from importlib import resources
from ai_edge_litert.interpreter import Interpreter
tensorflow = types.ModuleType("tensorflow")
tensorflow.lite = types.SimpleNamespace(Interpreter=lambda model_path: Interpreter(model_path=model_path, num_threads=1))
models = types.ModuleType("tensorflow.keras.models")
models.load_model = None
packages = types.ModuleType("pkg_resources")
packages.resource_filename = lambda package, name: str(resources.files(package) / name)
sys.modules |= {"tensorflow": tensorflow, "tensorflow.keras": types.ModuleType("keras"), "tensorflow.keras.models": models}
sys.modules |= {"pkg_resources": packages, "requests": types.ModuleType("requests")}
import cv2
from fer.fer import FER
fer = FER(use_tflite=True)
for line in sys.stdin:
    photo = cv2.imread(json.loads(line))
    found = [] if photo is None else fer.detect_emotions(photo)
    largest = max(found, key=lambda face: int(face["box"][2]) * int(face["box"][3]), default=None)
    print(json.dumps(largest and {name: float(score) for name, score in largest["emotions"].items()}), flush=True)
"""
FEWEST = 10
"""People of a group that is compared."""
TOGETHER = 16
"""Photos that are read at once."""
Answers = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Listed:
    """A photo of the list."""

    path: Path
    label: str
    subject: str
    groups: dict[str, str]


def read_list(file: Path, columns: dict[str, str], groups: Sequence[str], people: str) -> list[Listed]:
    """The photos of the list that have a label. Ends the program where columns are missing, or no photo is left."""
    path, label, subject = (columns.get(name, name) for name in ("path", "label", "subject"))
    with file.open(encoding="utf-8", newline="") as opened:
        reader = csv.DictReader(opened)
        rows, there = list(reader), reader.fieldnames or ()
    if missing := [name for name in (path, label, subject, *groups) if name not in there]:
        raise SystemExit(f"expected the columns {', '.join(missing)} in {file}, found {', '.join(there)}: --columns renames")
    rows = [row for row in rows if label_or_none(row[label])]
    if people != "all":
        rows = [row for row in rows if is_measured(row[subject]) == (people == "even")]
    if not rows:
        raise SystemExit(f"expected photos with a label, of {people} people, in {file}, found none")
    words = sorted({row[label] for row in rows})
    names = {word: canonical(word) or word for word in words}
    halves = {group: _halved([row[group] for row in rows]) for group in groups}
    return [
        Listed(file.parent / row[path], names[row[label]], row[subject], {group: halves[group][place] for group in groups})
        for place, row in enumerate(rows)
    ]


def _halved(values: list[str]) -> list[str]:
    """Numbers as the half that they are in, and other values as they are; among numbers, words stay."""
    numbers = [float(value) for value in values if value.isdecimal()]
    if 2 * len(numbers) < len(values):
        return values
    middle = float(np.median(numbers))
    low, high = f"under {middle:g}", f"{middle:g} or more"
    return [(low if float(value) < middle else high) if value.isdecimal() else value for value in values]


def named_by_mien(recognizer: Recognizer, photos: Sequence[Listed]) -> list[Prediction | None]:
    """The prediction for the largest face of each photo."""
    found = list[Prediction | None]()
    for first in range(0, len(photos), TOGETHER):
        paths = [one.path for one in photos[first : first + TOGETHER]]
        try:
            read = recognizer.read(paths)
        except MienError:
            read = [_read_alone(recognizer, path) for path in paths]
        found += [max(faces, key=lambda one: one.face.area, default=None) for faces in read]
    return found


def _read_alone(recognizer: Recognizer, path: Path) -> tuple[Prediction, ...]:
    """The faces of one photo; none where it cannot be read, which is said."""
    try:
        return recognizer.read([path])[0]
    except MienError as error:
        print(f"{path} counts as a face that was not found: {error}", file=sys.stderr)
        return ()


def named_by_fer(peers: Path, photos: Sequence[Listed]) -> list[dict[str, float] | None]:
    """The scores of the largest face of each photo."""
    asked = "".join(f"{json.dumps(str(one.path.absolute()))}\n" for one in photos)
    command = [str(peers / "bin" / "python"), "-c", THEIRS]
    done = subprocess.run(command, input=asked, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True)
    lines = [line for line in done.stdout.splitlines() if line.startswith(("{", "null"))]
    scores = [json.loads(line) for line in lines]
    return [None if one is None else {canonical(name) or name: score for name, score in one.items()} for one in scores]


def corrected(recognizer: Recognizer, photos: Sequence[Listed], found: Sequence[Prediction | None]) -> list[Prediction | None]:
    """Predictions corrected by the next neutral photo of the same person in the list; None where there is none."""
    made = list[Prediction | None]()
    for place, (photo, one) in enumerate(zip(photos, found, strict=True)):
        order = [*range(place + 1, len(photos)), *range(place)]
        rest = (found[at] for at in order if photos[at].subject == photo.subject and photos[at].label == NEUTRAL)
        neutral = next(filter(None, rest), None)
        if one is None or neutral is None:
            made.append(None)
            continue
        made.append(RestingLook(tuple(log_odds(neutral.scores).tolist())).corrected(one, recognizer.card, SAME_SESSION))
    return made


def summary(photos: Sequence[Listed], named: Sequence[str | None]) -> dict[str, Any]:
    """Shares in percent, with intervals over people; none of no photos."""
    if not photos:
        return {}
    hits = np.array([name == one.label for name, one in zip(named, photos, strict=True)])
    labels, people = np.array([one.label for one in photos]), np.array([one.subject for one in photos])
    told: dict[str, Any] = {"found": _percent(np.mean([name is not None for name in named]))}
    told["accuracy"] = _share(hits, people)
    told |= {label: _share(hits[labels == label], people[labels == label]) for label in sorted(set(labels.tolist()))}
    for column in photos[0].groups:
        values = np.array([one.groups[column] for one in photos])
        for label in ("all", *sorted(set(labels.tolist()))):
            mine = (labels == label) | (label == "all")
            told[f"{column}, {label}"] = _gap(hits[mine], people[mine], values[mine])
    return told


def _gap(hits: Answers, people: npt.NDArray[Any], values: npt.NDArray[Any]) -> dict[str, Any]:
    """The shares of groups of some size with their people, and the gap between the two that differ most."""
    groups = {str(value): values == value for value in np.unique(values)}
    shares = {name: (float(hits[mine].mean()), len(set(people[mine].tolist()))) for name, mine in groups.items()}
    large = {name: share for name, (share, count) in shares.items() if count >= FEWEST}
    told: dict[str, Any] = {name: [_percent(share), shares[name][1]] for name, share in large.items()}
    if len(large) > 1:
        best, worst = max(large, key=large.__getitem__), min(large, key=large.__getitem__)
        one, other = (_drawn(hits[groups[name]], people[groups[name]], seed) for seed, name in enumerate((best, worst)))
        between = percentiles(one - other)
        told["gap"] = [_percent(large[best] - large[worst]), _percent(between.low), _percent(between.high)]
    return told


def _share(hits: Answers, people: npt.NDArray[Any]) -> list[float]:
    """The share of hits, and its interval."""
    between = percentiles(_drawn(hits, people, 0))
    return [_percent(hits.mean()), _percent(between.low), _percent(between.high)]


def _drawn(hits: Answers, people: npt.NDArray[Any], seed: int) -> npt.NDArray[np.float64]:
    """(R,) the share of hits among people drawn with replacement."""
    names, place = np.unique(people, return_inverse=True)
    right, count = np.bincount(place, hits), np.bincount(place)
    rng, shares = np.random.default_rng(seed), np.empty(RESAMPLES)
    for draw in range(RESAMPLES):
        chosen = rng.integers(0, len(names), len(names))
        shares[draw] = right[chosen].sum() / count[chosen].sum()
    return shares


def certainty(photos: Sequence[Listed], found: Sequence[Prediction | None], classes: Sequence[str]) -> dict[str, float]:
    """How often answers are unsure, and by how much probabilities are off, of faces that were found; nothing of none."""
    pairs = [(one, photo.label) for one, photo in zip(found, photos, strict=True) if one is not None and photo.label in classes]
    if not pairs:
        return {}
    unsure, wrong = (np.array(values) for values in zip(*((one.unsure, one.top != label) for one, label in pairs), strict=True))
    likely = np.array([list(one.scores.values()) for one, _ in pairs])
    possible = [label in one.possible for one, label in pairs]
    told = {"unsure": unsure.mean(), "of wrong unsure": unsure[wrong].mean() if wrong.any() else np.nan}
    told |= {"sure right": 1 - wrong[~unsure].mean() if not unsure.all() else np.nan, "covered": np.mean(possible)}
    error = calibration_error(likely, [list(classes).index(label) for _, label in pairs])
    return {key: _percent(value) for key, value in (told | {"calibration error": error}).items()}


def _percent(share: Any) -> float:
    return round(100 * float(share), 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("list", type=Path)
    parser.add_argument("--columns", default="", metavar="OURS=THEIRS,...")
    parser.add_argument("--groups", default="")
    parser.add_argument("--people", choices=("all", "even", "odd"), default="all")
    parser.add_argument("--peers", type=Path)
    parser.add_argument("--baseline", action="store_true")
    parser.add_argument("--model", default="mien-s")
    given = parser.parse_args()
    columns = dict(pair.split("=", 1) for pair in given.columns.split(",") if pair)
    photos = read_list(given.list, columns, [one for one in given.groups.split(",") if one], given.people)
    recognizer = Recognizer.load(given.model, "cpu")
    found = named_by_mien(recognizer, photos)
    named = [None if one is None else one.top for one in found]
    told = summary(photos, named) | certainty(photos, found, recognizer.classes)
    print(json.dumps({"system": given.model, "photos": len(photos)} | told), flush=True)
    if given.baseline:
        rested = corrected(recognizer, photos, found)
        kept = [place for place, one in enumerate(rested) if one is not None]
        mine = [photos[place] for place in kept]
        told = summary(mine, [one.top for place in kept if (one := rested[place]) is not None])
        told |= certainty(mine, [rested[place] for place in kept], recognizer.classes)
        print(json.dumps({"system": f"{given.model} with a baseline", "photos": len(mine)} | told), flush=True)
        plain = summary(mine, [named[place] for place in kept])
        print(json.dumps({"system": f"{given.model} on these without", "photos": len(mine)} | plain), flush=True)
    if given.peers:
        theirs = named_by_fer(given.peers, photos)
        tops = [None if scores is None else max(scores, key=scores.__getitem__) for scores in theirs]
        print(json.dumps({"system": "fer", "photos": len(photos)} | summary(photos, tops)))


if __name__ == "__main__":
    main()
