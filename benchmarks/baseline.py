"""How strongly a person's neutral faces resemble each other to a model, and what correcting scores by one of them is worth.

    mien import table legend.csv webfaces --side 48 --columns path=name,label=label,subject=person
    python benchmarks/baseline.py webfaces [--model mien-s]

The correlation of the log-odds of two neutral faces of one person is the strength that `mien predict --baseline-strength`
takes (`mien.recognize.resting_look`): of two photos from anywhere, and of two views of one photo that differ as photos of
one session may (a little in place, size, light and noise). Then, for all faces of people who have another neutral one: how
many are named right with scores that a neutral face, drawn at random, corrects. Half of the people are measured: those that
`web_people.py` keeps for it.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from mien import FaceSet, Recognizer
from mien.data.augment import Distortion, distort, to_unit
from mien.faces.face import Face
from mien.recognize.prediction import make_prediction
from mien.recognize.resting_look import NEUTRAL, RestingLook, log_odds
from web_people import is_measured

SESSION = Distortion(flip=0.0, rotation=4.0, shift=0.03, zoom=0.05, contrast=0.15, brightness=0.05, noise=0.02)
"""How photos of one session differ."""
NOWHERE = Face((0.0, 0.0, 1.0, 1.0), None, 1.0)


def all_log_odds(recognizer: Recognizer, faces: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    """(N, K)."""
    likely = recognizer.probabilities(faces)
    return np.stack([log_odds(dict(zip(recognizer.classes, row, strict=True))) for row in likely.tolist()])


def correlation(one: npt.NDArray[np.float64], other: npt.NDArray[np.float64]) -> float:
    """The mean over classes of the correlation of log-odds (N, K), neutral left out."""
    columns = [k for k in range(one.shape[1]) if one[:, k].any()]
    return float(np.mean([np.corrcoef(one[:, k], other[:, k])[0, 1] for k in columns]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("faceset", type=Path)
    parser.add_argument("--model", default="mien-s")
    given = parser.parse_args()
    faces, recognizer = FaceSet.open(given.faceset), Recognizer.load(given.model, "cpu")
    people = np.array(faces.values("subject"))
    mine = np.array([is_measured(one) for one in people]) & (faces.labels >= 0)
    rows, rng = np.flatnonzero(mine), np.random.default_rng(0)
    pixels, people = faces.faces(rows), people[rows]
    labels = np.array([recognizer.classes.index(faces.classes[label]) for label in faces.labels[rows]])
    neutral = labels == recognizer.classes.index(NEUTRAL)
    others = [
        (row, np.flatnonzero((people == people[row]) & neutral & (np.arange(len(rows)) != row))) for row in range(len(rows))
    ]
    pairs = np.array([(row, rng.choice(rest)) for row, rest in others if len(rest)])
    found = all_log_odds(recognizer, pixels)
    both = pairs[neutral[pairs[:, 0]]]
    views = [distort(to_unit(torch.from_numpy(pixels[neutral])), SESSION, torch.Generator().manual_seed(seed)) for seed in (0, 1)]
    seen = [all_log_odds(recognizer, (view[:, 0] * 255).round().byte().numpy()) for view in views]
    print(json.dumps({"pairs of photos": len(both), "correlation": round(correlation(found[both[:, 0]], found[both[:, 1]]), 3)}))
    print(json.dumps({"pairs of views": int(neutral.sum()), "correlation": round(correlation(*seen), 3)}))
    likely, right = recognizer.probabilities(pixels), labels[pairs[:, 0]]
    for strength in (0.0, 0.1, 0.25, 0.5, 0.8):
        named = []
        for row, rest in pairs:
            scores = dict(zip(recognizer.classes, likely[row].tolist(), strict=True))
            look = RestingLook(tuple(found[rest].tolist()))
            made = look.corrected(make_prediction(NOWHERE, scores, 0.5), recognizer.card, strength)
            named.append(recognizer.classes.index(made.top))
        hits = np.array(named) == right
        shares = {name: hits[right == k].mean() for k, name in enumerate(recognizer.classes) if (right == k).sum() >= 20}
        figures = {"accuracy": hits.mean(), "average": np.mean(list(shares.values()))} | shares
        print(
            json.dumps({"strength": strength, "faces": len(hits)} | {key: round(100 * float(x), 1) for key, x in figures.items()})
        )


if __name__ == "__main__":
    main()
