"""Adapts a trained model to its user's own few faces and classes, in seconds: its last layer learns, its blocks stay."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from mien.data.faceset import FaceSet
from mien.errors import MienError
from mien.experiments.adaptation.adaptation_faces import FOLDS, AdaptationFaces, linear_head, see_faces
from mien.experiments.adaptation.class_shares import class_frequencies
from mien.experiments.adaptation.fitted_rows import fit_new_classes, refit_known_classes
from mien.experiments.adaptation.judgment import Adapted, judge
from mien.experiments.adaptation.last_layer import with_one
from mien.experiments.adaptation.requirements import require_enough, require_known_classes
from mien.folders import require_new
from mien.models import Network
from mien.preparation.photo_folder import open_or_prepare
from mien.progress import Progress, Silent
from mien.recognize.alignment_note import alignment_note
from mien.recognize.calibration import apply_temperature, fit_confidence_threshold, fit_conformal_threshold
from mien.recognize.export_model import write_exported
from mien.recognize.model_card import ModelCard, require_alike
from mien.recognize.recognizer import Recognizer
from mien.recognize.resting_look import usual_log_odds
from mien.recognize.saved_networks import build_network
from mien.settings import Seed, require_fitting
from mien.wording import quantity


def adapt(
    model: Path | str,
    faces: FaceSet | Path | str,
    out: Path | str,
    seed: int = 0,
    device: str = "auto",
    progress: Progress | None = None,
) -> Adapted:
    """Fit the last layer of `model` to the labeled training faces of `faces`, and write the model into the folder `out`.

    `faces`: a set, its folder, or a folder of photos in class folders, whose faces are cut out first, once, into `FOLDER.faces`,
    as those of the model were.
    Classes that the model does not know get a row each, and the known rows stay; without new classes, the known rows that have
    faces learn. The model is judged on faces that its last layer was not fitted to, four fifths of the faces against the rest in
    turn; what that cannot see, `Adapted.caution` says. Raises MienError where the model gets no better (nothing is written
    then), for faces of another kind, for too few of them or of too few known classes, and for a network whose head does not end
    in a linear layer.
    """
    require_fitting(Seed, seed=seed)
    recognizer, out = Recognizer.load(model, device), Path(out)
    require_new(out)
    progress = progress or Silent()
    faces = open_or_prepare(faces, progress, verify=False, like=recognizer.card.faces)
    require_alike(recognizer.card, faces.info)
    if note := alignment_note(recognizer.card.faces, faces.info):
        progress.say(f"warning: {note}")
    given = see_faces(recognizer, faces, seed, progress)
    require_enough(given)
    require_known_classes(given, recognizer.card)
    fit = fit_new_classes if len(given.classes) > given.known else refit_known_classes
    rows, shown = fit(given, torch.ones(len(given.labels), dtype=torch.bool)), held_out_logits(given, fit)
    found = judge(given, shown, recognizer.card)
    if found.worse:
        todo = "give more faces of each class, or train a model of your own with mien train"
        raise MienError("a model that gets better by these faces", found.worse, todo)
    card = _card(recognizer, faces, given, shown, seed)
    write_exported(_with_rows(recognizer, rows.float(), card), card, out)
    return replace(found, folder=str(out), sure=card.confidence_threshold)


def held_out_logits(given: AdaptationFaces, fit: Callable[[AdaptationFaces, Tensor], Tensor]) -> Tensor:
    """Logits (N, K') of all faces, each by a last layer that `fit` made without the face's part."""
    shown = torch.zeros(len(given.labels), len(given.classes), dtype=torch.float64)
    for fold in range(FOLDS):
        left_out = given.folds == fold
        shown[left_out] = with_one(given.views[0, left_out]) @ fit(given, ~left_out).T
    return shown


def _card(recognizer: Recognizer, faces: FaceSet, given: AdaptationFaces, shown: Tensor, seed: int) -> ModelCard:
    """The card of the adapted model: its classes, faces and budget, and thresholds by the held-out logits `shown`."""
    card, count, info = recognizer.card, len(given.labels), faces.info
    entry = {"network": card.network, "weights": card.weights, "faces": card.faces.checksum, "budget": card.budget}
    entry |= {"name": card.faces.name, "license": card.faces.license, "citation": card.faces.citation}
    classes = {name: int(number) for name, number in zip(given.classes, given.counts, strict=True)}
    budget = {"train": count, "validation": 0, "split": "train", "classes": classes, "noise": 0.0, "noise_matrix": None}
    frequencies = class_frequencies(card)
    if frequencies:
        # A new class counts as a known one of middling frequency when its model is adapted again.
        mean = float(np.mean(list(frequencies.values())))
        budget["frequencies"] = {name: frequencies.get(name, mean) for name in given.classes}
    likely: npt.NDArray[np.float64] = apply_temperature(shown.numpy(), card.temperature)
    labels, weights = given.labels.numpy(), given.weights[0].numpy()
    threshold = fit_conformal_threshold(likely, labels, weights=weights)
    mine = replace(card.faces, classes=given.classes, name=info.name or "faces of its user", checksum=info.checksum, count=count)
    return replace(
        card,
        classes=given.classes,
        faces=replace(mine, license=info.license, citation=info.citation),
        conformal_threshold=threshold,
        class_thresholds=(),
        # Centers of few faces do not tell: with those of 100 web faces, alone or beside its own, mien-s took no noise for unlike.
        unlike=None,
        confidence_threshold=fit_confidence_threshold(likely, labels, threshold, weights=weights),
        resting=usual_log_odds(likely, labels, given.classes),
        recipe={"title": f"last layer fitted to {quantity(count, 'face')} (mien adapt)"},
        budget=budget | {"unlabeled": 0},
        sources=(*card.sources, entry),
        metrics={},
        seed=seed,
    )


def _with_rows(recognizer: Recognizer, rows: Tensor, card: ModelCard) -> Network:
    """The model's network with these rows (K', D + 1) as its last layer."""
    made = build_network(card.network, len(rows), card.faces)
    state = {name: value.cpu() for name, value in recognizer.network.state_dict().items()}
    last = next(name for name, module in made.named_modules() if module is linear_head(made))
    made.load_state_dict(state | {f"{last}.weight": rows[:, :-1], f"{last}.bias": rows[:, -1]})
    return made.eval()
