"""From a face set to a run folder with a model in it, and on from where a run was interrupted."""

import json
import shutil
import tempfile
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from pydantic.dataclasses import dataclass

from mien.data.faceset import FaceSet
from mien.data.noise import flip_uniform
from mien.data.splits import Budget, carve_validation, draw_labels, split_rows, training_rows
from mien.disk import write_aside
from mien.errors import MienError
from mien.evaluation.calibration import fit_temperature
from mien.progress import Progress, Silent
from mien.recipe import Recipe
from mien.recognize.device import choose_device
from mien.recognize.files import Card, write_model
from mien.recognize.recognizer import Recognizer
from mien.registry import STRICT, validate
from mien.training.loop import fit, own_threads
from mien.training.run import Material, Run
from mien.training.state import read_state


@dataclass(frozen=True, config=STRICT)
class Order:
    """What a run was asked to do, beside its recipe: the content of run.json, from which it can be resumed."""

    seed: int = 0
    """Draws labels, weights, batches and views."""
    labels_per_class: int | None = None
    """Label budget per class, validation included; None for all."""
    labels: int | None = None
    """Label budget in all, validation included; None for all."""
    noise: float = 0.0
    """Share of the given labels, validation included, that are flipped to another class."""
    split: str | None = None
    """Split to train on; None for the one that is called train or Training."""
    test_split: str = "test"
    """Split whose faces a transductive recipe may see, never their labels."""
    device: str = "auto"
    """auto, cpu or cuda."""
    threads: int | None = None
    """Processor threads; None takes torch's own number, which is then written down and kept when resuming."""
    faces: Path | None = None
    """The face set's folder."""
    unlabeled: Path | None = None
    """Folder of a further set, of which only the pixels are used."""
    checksums: tuple[str, str] = ("", "")
    """Those of the two sets."""


def train(
    faces: FaceSet | Path | str,
    recipe: Recipe | Path | str,
    out: Path | str,
    order: Order | None = None,
    unlabeled: FaceSet | Path | str | None = None,
    progress: Progress | None = None,
) -> Recognizer:
    """Train a recognizer by `recipe` on the training split of `faces` and leave run and model in the new folder `out`.

    `unlabeled`: a further set of the same shape for techniques that learn without labels. Raises MienError where `out`
    exists, a set was changed since it was written, or recipe, budget and faces do not fit each other.
    """
    folder = Path(out)
    if folder.exists():
        raise MienError(f"nothing at {folder} yet", "a file or folder", "choose another --out, or mien resume it")
    faces = _opened(faces)
    others = None if unlabeled is None else _opened(unlabeled)
    recipe = recipe if isinstance(recipe, Recipe) else Recipe.load(recipe)
    checksums = (faces.info.checksum, "" if others is None else others.info.checksum)
    order = order or Order()
    threads = order.threads or torch.get_num_threads()
    order = replace(order, threads=threads, faces=_address(faces), unlabeled=_address(others), checksums=checksums)
    run, budget = prepare(faces, others, recipe, order, folder)
    _begin(folder, faces, order, budget, run)
    try:
        return _finish(run, faces, order, budget, progress or Silent())
    except MienError:
        # A technique refused its settings: there is nothing to resume.
        if not run.history:
            shutil.rmtree(folder)
        raise


def resume(folder: Path | str, progress: Progress | None = None) -> Recognizer:
    """Go on with an interrupted run; of a finished one, return the recognizer.

    On the same processor with the same number of threads the weights are those of a run that was never interrupted, bit
    for bit. Raises MienError where `folder` is no run or its faces are gone or changed.
    """
    folder = Path(folder)
    if (folder / "model" / "model.json").is_file():
        return Recognizer.load(folder)
    if not (folder / "run.json").is_file():
        raise MienError(f"a run at {folder}", "no run.json", "start one with mien train")
    written = json.loads((folder / "run.json").read_text("utf-8"))
    order, recipe = validate(Order, written["order"]), Recipe.parse(written["recipe"])
    if order.faces is None:
        raise MienError("a run on a stored face set", "one on faces in memory", "save the set, then train again")
    faces = _opened(order.faces)
    others = None if order.unlabeled is None else _opened(order.unlabeled)
    found = (faces.info.checksum, "" if others is None else others.info.checksum)
    if found != order.checksums:
        raise MienError("the face sets that the run began with", "sets that were changed since", "train again")
    run, budget = prepare(faces, others, recipe, order, folder)
    if (folder / "checkpoint.safetensors").is_file():
        run.load_state_dict(read_state(folder / "checkpoint.safetensors"))
    return _finish(run, faces, order, budget, progress or Silent())


def prepare(faces: FaceSet, others: FaceSet | None, recipe: Recipe, order: Order, folder: Path) -> tuple[Run, Budget]:
    """The run and its label budget: a function of sets, recipe and order alone."""
    rows = training_rows(faces) if order.split is None else split_rows(faces, order.split)
    labels = faces.labels
    given = draw_labels(labels, rows, order.seed, order.labels_per_class, order.labels)
    known = np.full(len(faces), -1)
    known[given] = labels[given]
    known = flip_uniform(known, order.noise, len(faces.classes), order.seed)
    budget = carve_validation(known, given, recipe.validation, order.seed)
    used = _used_rows(faces, recipe, order, budget, rows)
    trained, votes = faces.select(used), faces.votes
    train_labels = np.where(np.isin(used, budget.train), known[used], -1)
    if others is not None and _looks_at_unlabeled(recipe):
        trained = trained.join(replace(others, info=replace(others.info, classes=faces.classes)))
        train_labels = np.concatenate([train_labels, np.full(len(others), -1)])
        votes = None if votes is None else np.concatenate([votes[used], np.zeros((len(others), len(faces.classes)))])
    elif votes is not None:
        votes = votes[used]
    if order.noise and votes is not None:
        # A flipped label stands for a careless annotator: votes that contradict it would give the truth away.
        votes = np.zeros_like(votes)
    material = Material(
        trained, torch.from_numpy(train_labels), faces.select(budget.validation), torch.from_numpy(known[budget.validation]),
        None if votes is None else torch.from_numpy(votes).float(),
    )  # fmt: skip
    return Run(recipe, material, order.seed, choose_device(order.device), folder), budget


def _used_rows(faces: FaceSet, recipe: Recipe, order: Order, budget: Budget, rows: Any) -> Any:
    """Labeled training rows and, where the recipe learns from them, the training split's other faces."""
    if not _looks_at_unlabeled(recipe):
        return budget.train
    used = np.setdiff1d(rows, budget.validation)
    return np.concatenate([used, split_rows(faces, order.test_split)]) if recipe.transductive else used


def _looks_at_unlabeled(recipe: Recipe) -> bool:
    answers = [(stage.answers or {}).get("unlabeled", recipe.unlabeled) for stage in recipe.stages]
    return any(answer["technique"] != "nothing" for answer in answers)


def _opened(faces: FaceSet | Path | str) -> FaceSet:
    opened = faces if isinstance(faces, FaceSet) else FaceSet.open(faces)
    opened.verify()
    return opened


def _address(faces: FaceSet | None) -> Path | None:
    return None if faces is None or faces.folder is None else faces.folder.resolve()


def _begin(folder: Path, faces: FaceSet, order: Order, budget: Budget, run: Run) -> None:
    """The run's folder with what was asked (run.json) and which labels are used for what (budget.parquet), at once."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        written = {"order": asdict(order), "recipe": run.recipe.table()}
        (aside / "run.json").write_text(json.dumps(written, indent=1, default=str), "utf-8")
        pq.write_table(_budget_table(faces, budget, run), aside / "budget.parquet")
        aside.chmod(0o755)
        aside.rename(folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _budget_table(faces: FaceSet, budget: Budget, run: Run) -> pa.Table:
    """A row per label used: id, role, and what the label said."""
    rows = np.concatenate([budget.train, budget.validation])
    train_labels = run.labels[run.labeled].cpu().numpy()
    return pa.table(
        {
            "id": faces.select(rows).column("id"),
            "role": ["train"] * len(budget.train) + ["validation"] * len(budget.validation),
            "label": np.concatenate([train_labels, run.validation_labels.numpy()]),
        }
    )


def _finish(run: Run, faces: FaceSet, order: Order, budget: Budget, progress: Progress) -> Recognizer:
    """Train to the end; the best model of each stage goes to stages/, the last stage's is the run's."""

    def keep(stage: int) -> None:
        last = stage == len(run.recipe.stages) - 1
        write_aside(run.folder / "history.json", json.dumps(run.history, indent=1).encode())
        folder = run.folder / "model" if last else run.folder / "stages" / str(stage + 1)
        write_model(folder, run.best["weights"], _card(run, faces, order, budget))

    with own_threads(order.threads):
        fit(run, progress, keep)
    return Recognizer.load(run.folder, order.device)


def _card(run: Run, faces: FaceSet, order: Order, budget: Budget) -> Card:
    """The card of the stage's best model, its temperature fitted on validation."""
    temperature = 1.0
    if len(budget.validation):
        logits = run.predict_best(run.validation, len(budget.validation))
        temperature = fit_temperature(logits.numpy(), run.validation_labels.numpy())
    used: dict[str, float | None] = {"train": len(budget.train), "validation": len(budget.validation)}
    used |= {"noise": order.noise, "seed": order.seed}
    used |= {"labels_per_class": order.labels_per_class, "labels": order.labels}
    return Card(
        network=run.recipe.model,
        classes=faces.classes,
        faces=faces.info,
        normalize=run.recipe.normalize,
        temperature=temperature,
        recipe=run.recipe.table(),
        budget=used,
        metrics=run.best["figures"],
        seed=order.seed,
    )
