"""`mien adapt` with a class that the model was never shown: how often it is found then, and what the known classes lose.

    python benchmarks/adapt.py FACESET CLASS OUT [--recipe ferplus] [--epochs 8] [--faces 20] [--known 20] [--seeds 5]

Trains a model on nine tenths of FACESET's training faces, without CLASS (once, into OUT/base), then adapts it by --faces of CLASS
and --known of each other class, drawn by seed from the last tenth, which it has not seen, and measures on the test split. What
was refused is told as such.
"""

import argparse
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mien import FaceSet, MienError, Recipe, Recognizer, TrainingSettings, train
from mien.data.splits import held_out_rows, training_rows
from mien.experiments.adaptation.adapt import adapt
from mien.experiments.adaptation.judgment import Adapted

Labels = npt.NDArray[np.int64]


def without(faces: FaceSet, rows: Labels, left_out: str) -> FaceSet:
    """The labeled faces among `rows` that are not of the class, which is forgotten, votes included."""
    gone = faces.classes.index(left_out)
    kept = [number for number in range(len(faces.classes)) if number != gone]
    rows = rows[(faces.labels[rows] >= 0) & (faces.labels[rows] != gone)]
    view = faces.select(rows)
    columns: dict[str, object] = {"id": view.column("id").to_pylist()}
    for name in ("subject", "sequence"):
        if name in view.column_names:
            columns[name] = view.column(name).to_pylist()
    if view.votes is not None:
        votes = view.votes[:, kept]
        columns["votes"] = list(votes / np.maximum(votes.sum(axis=1, keepdims=True), 1e-9))
    info = replace(
        faces.info, classes=tuple(faces.classes[number] for number in kept), name=f"{faces.info.name} without {left_out}"
    )
    labels = np.searchsorted(kept, view.labels)
    return FaceSet.from_arrays(view.faces(), columns=columns | {"label": labels}, info=replace(info, checksum="", count=0))


def parted(faces: FaceSet) -> tuple[Labels, Labels]:
    """Training rows to train with, and a tenth to draw from."""
    rows = np.random.default_rng(0).permutation(training_rows(faces))
    return np.sort(rows[len(rows) // 10 :]), np.sort(rows[: len(rows) // 10])


def drawn(faces: FaceSet, rows: Labels, left_out: str, new: int, known: int, seeds: int) -> Iterator[FaceSet]:
    """Few faces of every class, by seed, among `rows`."""
    labels = faces.labels[rows]
    for seed in range(seeds):
        generator, chosen = np.random.default_rng(seed), []
        for number, name in enumerate(faces.classes):
            mine, count = rows[labels == number], new if name == left_out else known
            chosen.append(generator.choice(mine, min(count, len(mine)), replace=False))
        view = faces.select(np.sort(np.concatenate(chosen)))
        columns = {name: view.column(name).to_pylist() for name in ("subject", "sequence") if name in view.column_names}
        info = replace(faces.info, checksum="", count=0)
        yield FaceSet.from_arrays(view.faces(), columns=columns | {"label": view.labels}, info=info)


def measured(before: Recognizer, after: Recognizer, tested: FaceSet, left_out: str) -> dict[str, float]:
    """Shares in percent: of the new class found, of the known classes right before and after."""
    names = np.array(tested.classes)[tested.labels]
    first, then = (np.array(one.classes)[one.logits(tested).argmax(axis=1)] for one in (before, after))
    new = names == left_out
    return {
        "new_found": round(100 * float((then == names)[new].mean()), 1),
        "known_before": round(100 * float((first == names)[~new].mean()), 1),
        "known_after": round(100 * float((then == names)[~new].mean()), 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("faceset", type=Path)
    parser.add_argument("left_out", metavar="CLASS")
    parser.add_argument("out", type=Path)
    parser.add_argument("--recipe", default="ferplus")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--faces", type=int, default=20)
    parser.add_argument("--known", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=5)
    given = parser.parse_args()
    faces = FaceSet.open(given.faceset)
    trained, rest = parted(faces)
    if not (given.out / "base" / "model").is_dir():
        recipe = Recipe.load(given.recipe).with_epochs(given.epochs)
        train(without(faces, trained, given.left_out), recipe, given.out / "base", TrainingSettings(split="all"))
    base = Recognizer.load(given.out / "base")
    tested = faces.select(held_out_rows(faces))
    tested = tested.select(np.flatnonzero(tested.labels >= 0))
    for seed, few in enumerate(drawn(faces, rest, given.left_out, given.faces, given.known, given.seeds)):
        folder = given.out / f"adapted-{seed}"
        shutil.rmtree(folder, ignore_errors=True)
        told: dict[str, object] = {"left_out": given.left_out, "faces": given.faces, "known": given.known, "seed": seed}
        try:
            found: Adapted = adapt(given.out / "base", few, folder, seed)
        except MienError as error:
            print(json.dumps(told | {"refused": error.found}), flush=True)
            continue
        said = {"said_new_found": round(100 * next(line.after for line in found.lines if line.name in found.new), 1)}
        print(json.dumps(told | measured(base, Recognizer.load(folder), tested, given.left_out) | said), flush=True)


if __name__ == "__main__":
    main()
