"""What a run is asked to do, and the faces and labels that it may use: a function of sets, recipe and order alone."""

import io
from dataclasses import dataclass as plain
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch
from pydantic.dataclasses import dataclass

from mien.data.convert import has_shape_of, in_shape_of, shape_in_words
from mien.data.face_groups import FaceGroups, validation_groups
from mien.data.faceset import FaceSet
from mien.data.format import Info, Rows
from mien.data.label_budget import LabelBudget, carve_validation, draw_labels
from mien.data.label_noise import flip_by_matrix, flip_uniform
from mien.data.splits import fold_view, held_out_rows, split_rows, training_rows
from mien.disk import read_bytes
from mien.errors import MienError
from mien.progress import Progress
from mien.recipes.recipe import Components, Recipe
from mien.settings import STRICT, Count, Seed, Share, Threads, plain_errors
from mien.tabular.csv_files import SEPARATORS, encoding_of
from mien.techniques.unlabeled.nothing import Nothing
from mien.training.run import RunData
from mien.wording import quantity


@plain_errors
@dataclass(frozen=True, config=STRICT)
class TrainingSettings:
    """What a run was asked to do, beside its recipe: the content of run.json, from which it can be resumed."""

    seed: Seed = 0
    """Draws labels, weights, batches and views."""
    labels_per_class: Count | None = None
    """Label budget per class, validation included; None for all."""
    labels: Count | None = None
    """Label budget in all, validation included; None for all."""
    noise: Share = 0.0
    """Share of the given labels, validation included, that are flipped to another class."""
    noise_matrix: tuple[tuple[Share, ...], ...] | None = None
    """Instead: for each class, the probabilities of the classes that its labels become."""
    split: str | None = None
    """Split to train on; None for the one that is called train or Training."""
    fold: str | None = None
    """Instead of the set's splits, all but this subject-independent fold, for example 1/5."""
    device: str = "auto"
    """auto, cpu, cuda or cuda:1 (the second GPU)."""
    threads: Threads | None = None
    """Processor threads; None takes torch's own number, which is then written down and kept when resuming."""
    faces: Path | None = None
    """The face set's folder."""
    unlabeled: Path | None = None
    """Folder of a further set, of which only the pixels are used."""
    own_unlabeled: bool = True
    """Whether faces beyond the label budget are learned from as unlabeled faces."""
    unlabeled_faces: Count | None = None
    """How many unlabeled faces are used, drawn by seed; None for all."""
    checksums: tuple[str, str] = ("", "")
    """Those of the two sets."""


def read_matrix(path: Path) -> tuple[tuple[float, ...], ...]:
    """A confusion matrix from a csv without header, a row per class. Raises MienError where it holds anything else."""
    todo = "give a row per class, probabilities that sum to 1"
    content = read_bytes(path, todo)
    try:
        text = content.decode(encoding_of(path))
        # Where numbers have commas, something else parts them.
        separator = next((sign for sign in SEPARATORS[1:] if sign in text), ",")
        text = text if separator == "," else text.replace(",", ".")
        rows = np.loadtxt(io.StringIO(text), delimiter=separator, ndmin=2)
    except ValueError as error:
        raise MienError(f"a csv of numbers at {path}", str(error), todo) from error
    return tuple(tuple(map(float, row)) for row in rows)


@plain(frozen=True)
class PreparedRun:
    """The faces of a run, its label budget, and what of that stands on the card."""

    material: RunData
    budget: LabelBudget
    facts: dict[str, Any]


def prepare_run(
    faces: FaceSet,
    others: FaceSet | None,
    recipe: Recipe,
    order: TrainingSettings,
    progress: Progress,
    budget: LabelBudget | None = None,
) -> PreparedRun:
    """Draws the budget, flips labels, carves validation and gathers the faces that the recipe looks at.

    `others`: a further set without labels. `budget`: labeled rows of `faces` that are used instead of drawing some.
    Where the set names people, or else sequences, whole ones validate: their other faces are no unlabeled ones to learn from.
    Raises MienError where budget, split, fold or sets do not fit.
    """
    faces = faces if order.fold is None else fold_view(faces, order.fold)
    rows = training_rows(faces) if order.split is None else split_rows(faces, order.split)
    labels = faces.labels
    given = _drawn_labels(labels, rows, order, progress) if budget is None else _given_labels(budget, labels, rows, order)
    known = np.full(len(faces), -1)
    known[given] = labels[given]
    counts = {name: int((known == label).sum()) for label, name in enumerate(faces.classes)}
    if len(faces.classes) < 2:
        raise MienError("a face set of two classes or more", f"{len(faces.classes)}", "import one that has them")
    _require_two_classes(counts)
    _say_shortages(counts, order, progress)
    known = _noisy(known, len(faces.classes), order)
    groups = validation_groups(faces) if budget is None else None  # whoever gives a budget has parted the faces
    together = None if groups is None else groups.of
    budget = budget or carve_validation(known, given, recipe.validation, order.seed, together)
    stranger = _strangers(faces, others, recipe, order)
    apart = budget.validation
    if groups is not None:
        apart = _kept_apart(groups, budget, given, rows, recipe, order, progress)
    used = _used_rows(faces, recipe, budget, rows, apart, order)
    used, kept = _drawn(used, budget, 0 if stranger is None else len(stranger), order)
    train_labels = np.where(np.isin(used, budget.train), known[used], -1)
    votes, truth = _known_votes(faces, used, train_labels, order), _truth(faces, used)
    trained = faces.select(used)
    if stranger is not None:
        trained = trained.join(_fitting(stranger.select(kept), faces.info, progress))
        train_labels = np.concatenate([train_labels, np.full(len(kept), -1)])
        truth = np.concatenate([truth, np.full(len(kept), -1)])
        votes = None if votes is None else np.pad(votes, ((0, len(kept)), (0, 0)))
    material = RunData(
        trained,
        torch.from_numpy(train_labels),
        faces.select(budget.validation),
        torch.from_numpy(known[budget.validation]),
        None if votes is None else torch.from_numpy(votes).float(),
        torch.from_numpy(truth),
        faces.select(rows),
    )
    if looks_at_unlabeled(recipe) and not (train_labels < 0).any():
        progress.say("no faces without labels: the recipe learns from its labels alone")
    if not len(budget.validation):
        progress.say("no validation faces: the last model is kept, its temperature is 1")
    if order.unlabeled_faces is not None and 0 < (train_labels < 0).sum() < order.unlabeled_faces:
        progress.say(f"fewer unlabeled faces than {order.unlabeled_faces}: {(train_labels < 0).sum()}")
    seen = None if stranger is None else f"{stranger.info.name}, checksum {order.checksums[1][:12]}"
    unlabeled = {"unlabeled": int((train_labels < 0).sum()), "unlabeled_from": seen}
    return PreparedRun(material, budget, _facts(order, budget, counts) | unlabeled)


def _facts(order: TrainingSettings, budget: LabelBudget, counts: dict[str, int]) -> dict[str, Any]:
    """What of a run's label budget stands on its model's card; `counts`: given labels by class."""
    split = (order.fold and f"all but fold {order.fold}") or order.split or "training split"
    facts = {"train": len(budget.train), "validation": len(budget.validation), "split": split, "classes": counts}
    facts |= {"labels_per_class": order.labels_per_class, "labels": order.labels, "noise": order.noise}
    return facts | {"noise_matrix": order.noise_matrix}


def budget_table(faces: FaceSet, prepared: PreparedRun) -> pa.Table:
    """A row per label used: id, role, and what the label said. `faces`: the set that was prepared."""
    budget, material = prepared.budget, prepared.material
    rows = np.concatenate([budget.train, budget.validation])
    labels = torch.cat([material.labels[material.labels >= 0], material.validation_labels])
    roles = ["train"] * len(budget.train) + ["validation"] * len(budget.validation)
    return pa.table({"id": faces.select(rows).column("id"), "role": roles, "label": labels.numpy()})


def _drawn_labels(labels: npt.NDArray[np.int64], rows: Rows, order: TrainingSettings, progress: Progress) -> Rows:
    """Those of the labeled `rows` that the order's budget takes."""
    there = int((labels[rows] >= 0).sum())
    if there and order.labels is not None and order.labels > there:
        progress.say(f"fewer labels than {order.labels}: {there}")
    total = None if order.labels is None else min(order.labels, there or order.labels)
    return draw_labels(labels, rows, order.seed, order.labels_per_class, total)


def _given_labels(budget: LabelBudget, labels: npt.NDArray[np.int64], rows: Rows, order: TrainingSettings) -> Rows:
    """All rows of a budget that nobody has to draw. Raises MienError where it cannot be learned from."""
    if order.labels is not None or order.labels_per_class is not None or order.noise or order.noise_matrix:
        raise MienError("a budget, or an order that draws one", "both", "leave the order's labels and noise out")
    given = np.concatenate([budget.train, budget.validation])
    if not len(budget.train) or len(np.unique(given)) < len(given):
        found = f"{budget}, {len(np.unique(given))} of them different"
        raise MienError("a budget of faces to train on and others to validate with", found, "give every face one use")
    if not np.isin(given, rows).all() or (labels[given] < 0).any():
        raise MienError("a budget of labeled faces of the training split", "others", "give rows of that split")
    return given


def _kept_apart(
    groups: FaceGroups, budget: LabelBudget, given: Rows, rows: Rows, recipe: Recipe, order: TrainingSettings, progress: Progress
) -> Rows:
    """Those of all `rows` whose group validates. What was kept together is said."""
    apart, told = groups.mates(budget.validation, rows), groups.tell(budget.validation, given)
    others = len(apart) - len(budget.validation)
    if told:
        seen = others and order.own_unlabeled and looks_at_unlabeled(recipe)
        more = f"; {quantity(others, 'other of theirs is', 'others of theirs are')} left out" if seen else ""
        progress.say(f"validation: {told}, {quantity(len(budget.validation), 'face')}{more}")
    return apart


def _require_two_classes(counts: dict[str, int]) -> None:
    """Whoever learns one class alone says it of every face, and is right as often as it is true."""
    present = [name for name, count in counts.items() if count]
    if len(present) < 2:
        found = f"{counts[present[0]]} of {present[0]} alone" if present else "none"
        raise MienError(
            "labels of two classes or more to train on",
            found,
            "label faces of another class, choose another split, or use more labels",
        )


def _say_shortages(counts: dict[str, int], order: TrainingSettings, progress: Progress) -> None:
    """K per class means what the class has, if that is less: said once."""
    wanted = order.labels_per_class or 1
    short = {name: count for name, count in counts.items() if count < wanted}
    if short and wanted == 1:
        progress.say(f"classes without labels: {', '.join(short)}")
    elif short:
        told = ", ".join(f"{name} {count or 'none'}" for name, count in short.items())
        progress.say(f"fewer labels than {wanted}: {told}")


def _noisy(known: npt.NDArray[np.int64], classes: int, order: TrainingSettings) -> npt.NDArray[np.int64]:
    if order.noise and order.noise_matrix:
        raise MienError("one kind of label noise", "a rate and a matrix", "give one of them")
    if order.noise_matrix:
        return flip_by_matrix(known, np.array(order.noise_matrix), order.seed)
    return flip_uniform(known, order.noise, classes, order.seed) if order.noise else known


def _used_rows(faces: FaceSet, recipe: Recipe, budget: LabelBudget, rows: Rows, apart: Rows, order: TrainingSettings) -> Rows:
    """Labeled training rows and, where the recipe looks at unlabeled faces, the split's others but those `apart`."""
    if not looks_at_unlabeled(recipe):
        return budget.train
    used = np.setdiff1d(rows, apart) if order.own_unlabeled else budget.train
    return np.concatenate([used, np.setdiff1d(held_out_rows(faces), rows)]) if recipe.transductive else used


def _drawn(used: Rows, budget: LabelBudget, strangers: int, order: TrainingSettings) -> tuple[Rows, Rows]:
    """Those of the used rows, and those of `strangers` further faces, that are left when unlabeled faces are limited."""
    pool = np.setdiff1d(used, budget.train)
    most = order.unlabeled_faces
    if most is None or most >= len(pool) + strangers:
        return used, np.arange(strangers)
    chosen = np.sort(np.random.default_rng((order.seed, 3)).permutation(len(pool) + strangers)[:most])
    mine = pool[chosen[chosen < len(pool)]]
    return np.sort(np.concatenate([budget.train, mine])), chosen[chosen >= len(pool)] - len(pool)


def _truth(faces: FaceSet, used: Rows) -> npt.NDArray[np.int64]:
    """(n,) what is known to be true of the used faces, -1 for faces held out for tests, whose labels nobody reads here."""
    known = faces.values("true_label") if "true_label" in faces.column_names else faces.labels
    known = known if known.dtype.kind == "i" else faces.labels
    return np.where(np.isin(used, held_out_rows(faces)), -1, known[used]).astype(np.int64)


def looks_at_unlabeled(recipe: Recipe) -> bool:
    """Whether any stage learns from faces without labels."""
    stages = [Components.of(recipe, stage) for stage in recipe.stages]
    draws = any(getattr(answer, "draws_unlabeled", False) for stage in stages for answer in (stage.start, stage.draw))
    return draws or any(not isinstance(stage.unlabeled, Nothing) for stage in stages)


def _known_votes(
    faces: FaceSet, used: Rows, train_labels: npt.NDArray[np.int64], order: TrainingSettings
) -> npt.NDArray[np.float32] | None:
    """Votes of the labeled training faces, (n, K), zero for all others.

    With label noise they are zero throughout: a flipped label stands for a careless annotator, and votes that contradict
    it would give the truth away.
    """
    votes = faces.select(used).votes
    if votes is None:
        return None
    hidden = np.ones(len(used), bool) if order.noise or order.noise_matrix else train_labels < 0
    return np.where(hidden[:, None], np.float32(0), votes)


def _strangers(faces: FaceSet, others: FaceSet | None, recipe: Recipe, order: TrainingSettings) -> FaceSet | None:
    """The further set's faces without its test splits (unless the recipe is transductive)."""
    if others is None:
        return None
    if not looks_at_unlabeled(recipe):
        raise MienError(
            "a recipe that learns from unlabeled faces", "unlabeled = nothing", "choose one, or leave --unlabeled out"
        )
    # Of the sets as they were opened: a fold is a view, which has no checksum of its own.
    if others.info.checksum and others.info.checksum == order.checksums[0]:
        raise MienError(
            "another set for --unlabeled", "the training set", "leave it out: faces beyond the budget are used anyway"
        )
    kept = np.arange(len(others)) if recipe.transductive else np.setdiff1d(np.arange(len(others)), held_out_rows(others))
    return others.select(kept)


def _fitting(others: FaceSet, info: Info, progress: Progress) -> FaceSet:
    """Other faces in the side and color of `info`, and under its classes, since their labels are not looked at."""
    if not has_shape_of(others, info):
        before, others = others.info, in_shape_of(others, info)
        progress.say(f"unlabeled faces are converted: {shape_in_words(before)} to {shape_in_words(info)}")
    return replace(others, info=replace(others.info, classes=info.classes, count=len(others)))
