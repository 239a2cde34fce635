"""The faces and labels that a run may use: a function of sets, recipe and settings alone."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch

from mien.data.convert import has_shape_of, in_shape_of, shape_in_words
from mien.data.faceset import FaceSet
from mien.data.format import Info, Rows
from mien.data.label_budget import LabelBudget, draw_labels
from mien.data.label_noise import flip_by_matrix, flip_proportionally, flip_uniform
from mien.data.splits import fold_view, held_out_rows, split_rows, training_rows, validation_rows
from mien.errors import MienError
from mien.progress import Progress
from mien.recipes.recipe import Recipe
from mien.training.components import looks_at_unlabeled
from mien.training.joined_labels import JoinedLabels, joined_labels
from mien.training.run_data import RunData
from mien.training.settings import TrainingSettings
from mien.training.unfit_to_join import reserved_faces
from mien.training.validating_faces import part_labels


@dataclass(frozen=True)
class PreparedRun:
    """What a run begins with."""

    data: RunData
    """The faces that the run learns from and is validated with."""
    budget: LabelBudget
    """The rows of the set whose labels are used, to train on and to validate with."""
    facts: dict[str, Any]
    """What the model's card says of the faces and their labels."""
    own: int
    """How many of the faces to train on, the first ones, are of the set itself, not of further ones."""
    joined: JoinedLabels | None = None
    """Labeled faces of a further set, which come after these."""


def prepare_run(
    faces: FaceSet,
    others: FaceSet | None,
    recipe: Recipe,
    settings: TrainingSettings,
    progress: Progress,
    budget: LabelBudget | None = None,
    also: FaceSet | None = None,
) -> PreparedRun:
    """Draw the budget, flip labels, carve validation and gather the faces that the recipe looks at.

    `others`: a further set without labels. `budget`: labeled rows of `faces` that are used instead of drawing some. `also`: a
    further set whose labels join those of `faces`, as `joined_labels` says; budget, flips and validation are of `faces` alone.
    Where the set names people, or else sequences, whole ones validate: their other faces are no unlabeled ones to learn from.
    Raises MienError where budget, split, fold or sets do not fit.
    """
    faces = faces if settings.fold is None else fold_view(faces, settings.fold)
    rows = training_rows(faces) if settings.split is None else split_rows(faces, settings.split)
    labels = faces.labels
    given = _drawn_labels(labels, rows, settings, progress) if budget is None else _given_labels(budget, labels, rows, settings)
    known = np.full(len(faces), -1)
    known[given] = labels[given]
    counts = {name: int((known == label).sum()) for label, name in enumerate(faces.classes)}
    if len(faces.classes) < 2:
        raise MienError("a face set of two classes or more", f"{len(faces.classes)}", "import one that has them")
    _require_two_classes(counts)
    _say_shortages(counts, settings, progress)
    if settings.validation_split:
        known[validation_rows(faces)] = labels[validation_rows(faces)]
    known = _noisy(known, len(faces.classes), settings)
    apart = np.zeros(0, np.int64) if budget is None else budget.validation  # whoever gives a budget has parted the faces
    if budget is None:
        budget, apart = part_labels(faces, known, given, rows, recipe, settings, progress)
    kept_from = reserved_faces(faces, rows, np.union1d(budget.validation, apart))
    joined = None if also is None else joined_labels(also, faces, settings, progress, kept_from)
    stranger = _strangers(faces, others, recipe, settings)
    used = _used_rows(faces, recipe, budget, rows, apart, settings)
    used, kept = _drawn(used, budget, 0 if stranger is None else len(stranger), settings)
    train_labels = np.where(np.isin(used, budget.train), known[used], -1)
    votes, truth = _known_votes(faces, used, train_labels, settings), _truth(faces, used)
    trained = faces.select(used)
    if joined is not None:
        trained, train_labels = trained.join(joined.faces), np.concatenate([train_labels, joined.labels])
    if stranger is not None:
        trained = trained.join(_fitting(stranger.select(kept), faces.info, progress))
    further = len(trained) - len(used)  # nobody knows of their truth and votes
    train_labels = np.pad(train_labels, (0, len(trained) - len(train_labels)), constant_values=-1)
    truth = np.pad(truth, (0, further), constant_values=-1)
    votes = None if votes is None else np.pad(votes, ((0, further), (0, 0)))
    taught, truths, named = map(torch.from_numpy, (train_labels, truth, known[budget.validation]))
    shares = None if votes is None else torch.from_numpy(votes).float()
    data = RunData(trained, taught, faces.select(budget.validation), named, shares, truths, faces.select(rows), further)
    if looks_at_unlabeled(recipe) and not (train_labels < 0).any():
        progress.say("no faces without labels: the recipe learns from its labels alone")
    if not len(budget.validation):
        progress.say("no validation faces: the last model is kept, its temperature is 1")
    if settings.unlabeled_faces is not None and 0 < (train_labels < 0).sum() < settings.unlabeled_faces:
        progress.say(f"fewer unlabeled faces than {settings.unlabeled_faces}: {(train_labels < 0).sum()}")
    seen = None if stranger is None else f"{stranger.info.name}, checksum {settings.checksums[1][:12]}"
    unlabeled = {"unlabeled": int((train_labels < 0).sum()), "unlabeled_from": seen}
    return PreparedRun(data, budget, _facts(settings, budget, counts, joined, faces.classes) | unlabeled, len(used), joined)


def _facts(
    settings: TrainingSettings,
    budget: LabelBudget,
    counts: dict[str, int],
    joined: JoinedLabels | None,
    classes: tuple[str, ...],
) -> dict[str, Any]:
    """The facts of a run's label budget that stand on its model's card; `counts`: given labels by class."""
    more = 0 if joined is None else len(joined.labels)
    if joined is not None:
        counts = {name: counts[name] + int((joined.labels == label).sum()) for label, name in enumerate(classes)}
    split = (settings.fold and f"all but fold {settings.fold}") or settings.split or "training split"
    facts = {"train": len(budget.train) + more, "validation": len(budget.validation), "split": split, "classes": counts}
    facts |= {"labels_per_class": settings.labels_per_class, "labels": settings.labels, "noise": settings.noise}
    proportional = {"proportional_noise": True} if settings.noise and settings.proportional_noise else {}
    fixed = {"validation_split": "validation"} if settings.validation_split else {}
    return facts | {"noise_matrix": settings.noise_matrix} | proportional | fixed | ({} if joined is None else joined.facts)


def budget_table(faces: FaceSet, prepared: PreparedRun) -> pa.Table:
    """The table of labels that a run uses, a row for each: id, role, and the label. `faces`: the set that was prepared."""
    budget, data = prepared.budget, prepared.data
    rows = np.concatenate([budget.train, budget.validation])
    labels = torch.cat([data.labels[data.labels >= 0], data.validation_labels])
    ids, more = faces.select(rows).column("id").to_pylist(), prepared.joined
    further = [] if more is None else more.faces.column("id").to_pylist()
    ids[len(budget.train) : len(budget.train)] = further
    roles = ["train"] * (len(budget.train) + len(further)) + ["validation"] * len(budget.validation)
    return pa.table({"id": ids, "role": roles, "label": labels.numpy()})


def _drawn_labels(labels: npt.NDArray[np.int64], rows: Rows, settings: TrainingSettings, progress: Progress) -> Rows:
    """The labeled rows that the budget of the settings takes."""
    there = int((labels[rows] >= 0).sum())
    if there and settings.labels is not None and settings.labels > there:
        progress.say(f"fewer labels than {settings.labels}: {there}")
    total = None if settings.labels is None else min(settings.labels, there or settings.labels)
    return draw_labels(labels, rows, settings.seed, settings.labels_per_class, total)


def _given_labels(budget: LabelBudget, labels: npt.NDArray[np.int64], rows: Rows, settings: TrainingSettings) -> Rows:
    """All rows of a budget that was given. Raises MienError where it cannot be learned from."""
    if settings.labels is not None or settings.labels_per_class is not None or settings.noise or settings.noise_matrix:
        raise MienError("a budget, or settings that draw one", "both", "leave labels and noise of the settings out")
    given = np.concatenate([budget.train, budget.validation])
    if not len(budget.train) or len(np.unique(given)) < len(given):
        found = f"{budget}, {len(np.unique(given))} of them different"
        raise MienError("a budget of faces to train on and others to validate with", found, "give every face one use")
    if not np.isin(given, rows).all() or (labels[given] < 0).any():
        raise MienError("a budget of labeled faces of the training split", "others", "give rows of that split")
    return given


def _require_two_classes(counts: dict[str, int]) -> None:
    """Raises MienError where labels are of one class alone: a model of them would say it of every face."""
    present = [name for name, count in counts.items() if count]
    if len(present) < 2:
        found = f"{counts[present[0]]} of {present[0]} alone" if present else "none"
        raise MienError(
            "labels of two classes or more to train on",
            found,
            "label faces of another class, choose another split, or use more labels",
        )


def _say_shortages(counts: dict[str, int], settings: TrainingSettings, progress: Progress) -> None:
    """Say which classes have fewer labels than were asked for: all of theirs are used."""
    wanted = settings.labels_per_class or 1
    short = {name: count for name, count in counts.items() if count < wanted}
    if short and wanted == 1:
        progress.say(f"classes without labels: {', '.join(short)}")
    elif short:
        told = ", ".join(f"{name} {count or 'none'}" for name, count in short.items())
        progress.say(f"fewer labels than {wanted}: {told}")


def _noisy(known: npt.NDArray[np.int64], classes: int, settings: TrainingSettings) -> npt.NDArray[np.int64]:
    if settings.noise and settings.noise_matrix:
        raise MienError("one kind of label noise", "a rate and a matrix", "give one of them")
    if settings.noise_matrix:
        return flip_by_matrix(known, np.array(settings.noise_matrix), settings.seed)
    if settings.noise and settings.proportional_noise:
        return flip_proportionally(known, settings.noise, settings.seed)
    return flip_uniform(known, settings.noise, classes, settings.seed) if settings.noise else known


def _used_rows(faces: FaceSet, recipe: Recipe, budget: LabelBudget, rows: Rows, apart: Rows, settings: TrainingSettings) -> Rows:
    """Labeled training rows and, where the recipe looks at unlabeled faces, the split's others but those `apart`.

    A transductive recipe takes the set's own test faces, too, unless the set's own faces are left out.
    """
    if not looks_at_unlabeled(recipe) or not settings.own_unlabeled:
        return budget.train
    used = np.setdiff1d(rows, apart)
    return np.concatenate([used, np.setdiff1d(held_out_rows(faces), rows)]) if recipe.transductive else used


def _drawn(used: Rows, budget: LabelBudget, strangers: int, settings: TrainingSettings) -> tuple[Rows, Rows]:
    """The used rows, and the rows of `strangers` further faces, that are left when unlabeled faces are limited."""
    pool = np.setdiff1d(used, budget.train)
    most = settings.unlabeled_faces
    if most is None or most >= len(pool) + strangers:
        return used, np.arange(strangers)
    chosen = np.sort(np.random.default_rng((settings.seed, 3)).permutation(len(pool) + strangers)[:most])
    mine = pool[chosen[chosen < len(pool)]]
    return np.sort(np.concatenate([budget.train, mine])), chosen[chosen >= len(pool)] - len(pool)


def _truth(faces: FaceSet, used: Rows) -> npt.NDArray[np.int64]:
    """(n,) what is known to be true of the used faces, -1 for faces held out for tests, whose labels nobody reads here."""
    known = faces.values("true_label") if "true_label" in faces.column_names else faces.labels
    known = known if known.dtype.kind == "i" else faces.labels
    return np.where(np.isin(used, held_out_rows(faces)), -1, known[used]).astype(np.int64)


def _known_votes(
    faces: FaceSet, used: Rows, train_labels: npt.NDArray[np.int64], settings: TrainingSettings
) -> npt.NDArray[np.float32] | None:
    """Votes of the labeled training faces, (n, K), zero for all others.

    With label noise they are zero throughout: a flipped label stands for a careless annotator, and votes that contradict
    it would give the truth away.
    """
    votes = faces.select(used).votes
    if votes is None:
        return None
    hidden = np.ones(len(used), bool) if settings.noise or settings.noise_matrix else train_labels < 0
    return np.where(hidden[:, None], np.float32(0), votes)


def _strangers(faces: FaceSet, others: FaceSet | None, recipe: Recipe, settings: TrainingSettings) -> FaceSet | None:
    """The further set's faces without its test splits (unless the recipe is transductive)."""
    if others is None:
        return None
    if not looks_at_unlabeled(recipe):
        raise MienError(
            "a recipe that learns from unlabeled faces", "unlabeled = nothing", "choose one, or leave `unlabeled` out"
        )
    # Of the sets as they were opened: a fold is a view, which has no checksum of its own.
    if others.info.checksum and others.info.checksum == settings.checksums[0]:
        raise MienError(
            "another set for `unlabeled`", "the training set", "leave it out: faces beyond the budget are used anyway"
        )
    kept = np.arange(len(others)) if recipe.transductive else np.setdiff1d(np.arange(len(others)), held_out_rows(others))
    return others.select(kept)


def _fitting(others: FaceSet, info: Info, progress: Progress) -> FaceSet:
    """Other faces in the side and color of `info`, and under its classes, since their labels are not looked at."""
    if not has_shape_of(others, info):
        before, others = others.info, in_shape_of(others, info)
        progress.say(f"unlabeled faces are converted: {shape_in_words(before)} to {shape_in_words(info)}")
    return replace(others, info=replace(others.info, classes=info.classes, count=len(others)))
