"""Measures a recognizer on a split: the only place where the labels of a test split are read."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mien.data.faceset import FaceSet
from mien.data.format import Info
from mien.data.splits import fold_view, split_rows, test_split
from mien.disk import read_bytes
from mien.errors import MienError
from mien.evaluation.evaluation_result import Evaluation
from mien.evaluation.report import Mistakes, write_evaluation
from mien.evaluation.summarize_logits import confident_mistakes, summarize_logits
from mien.evaluation.train_test_overlap import near_duplicate_notes
from mien.neighbors.mask_notes import PICTURE
from mien.preparation.photo_folder import open_or_prepare
from mien.progress import Progress
from mien.recognize.alignment_note import alignment_note
from mien.recognize.calibration import apply_temperature
from mien.recognize.recognizer import Recognizer
from mien.recognize.run_records import ids_that_taught, read_history
from mien.wording import percent, quantity, short_name

MISTAKES = 32
"""Number of mistakes in a report, the most confident ones."""


def evaluate(
    recognizer: Recognizer | Path | str,
    faces: FaceSet | Path | str,
    split: str | None = None,
    by: str | None = None,
    out: Path | str | None = None,
    flip: bool = False,
    device: str = "auto",
    fold: str | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """All figures of a recognizer (or a run's folder) on the labeled faces of `split` (None: the set's own, such as test).

    `faces`: a set, its folder, or a folder of photos in class folders, whose faces are cut out first, once, into `FOLDER.faces`.
    `by`: a column; each of its values gets figures, too. `out`: a folder for report.html and metrics.json. `flip` averages
    logits with the mirror images'. `fold`, such as 1/5, replaces the set's splits by folds without a person in common, as in
    training. Classes are matched by name, whatever their order; faces of a class that the recognizer does not know are left out
    and counted in the notes, and so are answers of a class that the set lacks, which are mistakes. Faces of another side or color
    are converted. The notes also warn of test faces that taught the run, or that have a near-duplicate among those that did.
    Raises MienError where split, column or the kind of faces do not fit.
    """
    if not isinstance(recognizer, Recognizer):
        recognizer = Recognizer.load(recognizer, device)
    faces = open_or_prepare(faces, progress, as_found=True)
    whole = faces
    if fold is not None:
        faces, split = fold_view(faces, fold), "test"
    split = split or test_split(faces)
    tested = _in_shape(tested_faces(recognizer.classes, faces, split), recognizer.card.faces)
    known = count_known(recognizer, tested.faces, whole)
    (logits, unlike), labels = recognizer.logits_and_unlike(tested.faces, flip), tested.labels
    duplicates = {} if known else near_duplicate_notes(recognizer, tested.faces, whole, logits.argmax(axis=1) == labels)
    result = summarize_logits(
        logits,
        labels,
        classes=recognizer.classes,
        dataset=faces.info.name or "unnamed",
        split=split if fold is None else f"fold {fold}",
        temperature=recognizer.card.temperature,
        conformal_threshold=recognizer.card.possible_from,
        confidence_threshold=recognizer.card.confidence_threshold,
        unlike=unlike,
        flip=flip,
        groups={} if by is None else {by: tested.faces.values(by)},
        notes=_notes(recognizer, tested, known, whole.info.checksum)
        | _answers_beyond(recognizer, faces, logits)
        | duplicates
        | _cut_out(recognizer, tested.faces),
    )
    if out is not None:
        history = read_history(recognizer.folder) if recognizer.folder else []
        mistakes, masked = _mistakes(recognizer, tested.faces, logits, labels), (recognizer.folder or Path()) / PICTURE
        there = recognizer.folder is not None and masked.is_file()
        write_evaluation(result, Path(out), history, mistakes, read_bytes(masked, "train again") if there else None)
    return result


@dataclass(frozen=True)
class TestedFaces:
    """The N faces to measure on, and their labels as the recognizer's classes."""

    faces: FaceSet
    labels: npt.NDArray[np.int64]
    """(N,) indices into the recognizer's classes."""
    unknown: int
    """Number of labeled faces left out, as the recognizer does not know their class."""
    converted: str = ""
    """Which shapes faces were converted from and to, in words; empty where they fit."""


def tested_faces(classes: tuple[str, ...], faces: FaceSet, split: str) -> TestedFaces:
    """The labeled faces of `split` that are of these classes, matched by name. Raises MienError where there is none."""
    view = faces.select(split_rows(faces, split))
    view = view.select(view.labels >= 0)
    place = np.array([classes.index(name) if name in classes else -1 for name in faces.classes], np.int64)
    labels = place[view.labels]
    if not (labels >= 0).any():
        raise MienError(f"labeled faces of {', '.join(classes)} in {split}", "none", "choose another split or set")
    return TestedFaces(view.select(labels >= 0), labels[labels >= 0], int((labels < 0).sum()))


def _in_shape(tested: TestedFaces, info: Info) -> TestedFaces:
    """The faces in the side and color of `info`. Features are left as they are: the recognizer refuses those that do not fit."""
    faces = tested.faces
    if (faces.info.side, faces.info.channels) == (info.side, info.channels) or {faces.info.kind, info.kind} != {"faces"}:
        return tested
    from mien.data.convert import in_shape_of, shape_in_words  # loads torch, which an exported model does without

    said = f"{shape_in_words(faces.info)} to {shape_in_words(info)}"
    return replace(tested, faces=in_shape_of(faces, info), converted=said)


def count_known(recognizer: Recognizer, tested: FaceSet, whole: FaceSet) -> int:
    """How many of the `tested` faces, which are of the set `whole`, gave the run their labels, or a model that it began with."""
    used = ids_that_taught(recognizer.folder, whole.info.checksum) if recognizer.folder else set()
    return sum(name in used for name in tested.column("id").to_pylist())


def _notes(recognizer: Recognizer, tested: TestedFaces, known: int, checksum: str) -> dict[str, str]:
    """How the recognizer was trained and measured, in words by topic; `checksum`: of the set that the faces are of."""
    card, budget = recognizer.card, recognizer.card.budget
    notes = {"trained on": card.faces.name or "unnamed"}
    if budget:
        train, validation = budget.get("train", 0), budget.get("validation", 0)
        notes["label budget"] = f"{train} train + {validation} validation = {quantity(train + validation, 'label')}"
        notes["trained on"] += f", {budget.get('split', 'split unknown')}"
        if budget.get("also_labels"):
            notes["label budget"] += f", of which {budget['also_labels']} are of {_joined_set(budget, checksum)}"
        share, matrix = budget.get("noise", 0.0), budget.get("noise_matrix")
        kept = ", within the classes' proportions" if budget.get("proportional_noise") else ""
        noise = "by a matrix" if matrix else f"{percent(share, 0)} of them flipped{kept}"
        notes["label noise"] = noise if share or matrix else "none added"
        notes["faces without labels"] = f"{budget.get('unlabeled', 0)} trained on"
    if card.sources:
        notes["began with"] = "; ".join(_source(source, checksum) for source in card.sources)
    notes["recipe"] = str(card.recipe.get("title") or "unnamed")
    notes["network"] = str(card.network["network"])
    notes["seed"] = str(card.seed)
    notes["transductive"] = "yes" if card.recipe.get("transductive") else "no"
    notes["machine"] = recognizer.backend.machine()
    if known:
        notes["warning"] = f"{known} of these faces gave the run their labels: this is no test of it"
    if tested.unknown:
        notes["left out"] = f"{quantity(tested.unknown, 'face')} of classes that the recognizer does not know"
    if tested.converted:
        notes["converted"] = tested.converted
    return notes


def _answers_beyond(recognizer: Recognizer, faces: FaceSet, logits: npt.NDArray[np.float32]) -> dict[str, str]:
    """A note on answers of classes that the set does not have, which are mistakes."""
    beyond = [name for name in recognizer.classes if name not in faces.classes]
    count = int(np.isin(logits.argmax(axis=1), [recognizer.classes.index(name) for name in beyond]).sum())
    found = f"{quantity(count, 'face')} taken for {' or '.join(beyond)}, which the set does not have: mistakes"
    return {"other classes": found} if count else {}


def _cut_out(recognizer: Recognizer, faces: FaceSet) -> dict[str, str]:
    """A note where the faces were cut out of photos in another way than the model's."""
    note = alignment_note(recognizer.card.faces, faces.info)
    return {"cut out": note} if note else {}


def _source(source: dict[str, Any], checksum: str) -> str:
    """A model that the run began with, in words; `checksum`: of the tested set, which is called so where it taught the model."""
    budget = source.get("budget") or {}
    joined = budget.get("also_labels", 0)
    count = budget.get("train", 0) + budget.get("validation", 0) - joined
    labels = f"{quantity(count, 'more label')}" if budget else "labels unknown"
    faces = "this set" if checksum and source.get("faces") == checksum else short_name(source.get("name") or "")
    labels += f" of {faces}" if budget and faces else ""
    labels += f" and {joined} of {_joined_set(budget, checksum)}" if joined else ""
    unlabeled = f", {quantity(budget['unlabeled'], 'face')} without" if budget.get("unlabeled") else ""
    license_ = f", license {source['license']}" if source.get("license") else ""
    return f"{source['network'].get('network', 'unknown')}, weights {source['weights'][:12]}: {labels}{unlabeled}{license_}"


def _joined_set(budget: Mapping[str, Any], checksum: str) -> str:
    """The set whose labels joined a model's own, in words; `checksum`: of the tested set."""
    if checksum and budget.get("also_checksum") == checksum:
        return "this set"
    return short_name(budget.get("also", "").rsplit(", checksum ", 1)[0] or "another set")


def _mistakes(
    recognizer: Recognizer, faces: FaceSet, logits: npt.NDArray[np.float32], labels: npt.NDArray[np.int64]
) -> Mistakes | None:
    """The most confident mistakes as pictures; None where the set holds features."""
    if faces.info.kind != "faces":
        return None
    rows = confident_mistakes(logits, labels, MISTAKES, recognizer.card.temperature)
    confidence = apply_temperature(logits, recognizer.card.temperature).max(axis=1)
    return Mistakes(faces.faces(rows), labels[rows], logits[rows].argmax(axis=1), confidence[rows])
