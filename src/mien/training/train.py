"""From a face set to a run folder with a model in it, and on from where a run was interrupted."""

import shutil
import tempfile
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from pydantic.dataclasses import dataclass

from mien.data.faceset import FaceSet
from mien.data.splits import Budget
from mien.data.writer import write_table
from mien.disk import put, read_as, require_name
from mien.errors import MienError
from mien.plain import counted, to_json
from mien.progress import Progress, Silent
from mien.recipes.recipe import Recipe
from mien.recognize.calibration import apply_temperature, fit_confidence_threshold, fit_conformal_threshold, fit_temperature
from mien.recognize.device import choose_device
from mien.recognize.model_card import ModelCard, read_card
from mien.recognize.recognizer import Recognizer
from mien.recognize.run_records import read_sources, write_history
from mien.recognize.saved_networks import write_model
from mien.registry import standing_in
from mien.tabular.parquet_files import BUDGET, read_table
from mien.training.checkpoint import TODO, read_state
from mien.training.loop import fit, own_threads
from mien.training.run import Run
from mien.training.run_data import PreparedRun, TrainingSettings, budget_table, prepare_run


def train(
    faces: FaceSet | Path | str,
    recipe: Recipe | Path | str,
    out: Path | str,
    order: TrainingSettings | None = None,
    unlabeled: FaceSet | Path | str | None = None,
    progress: Progress | None = None,
    budget: Budget | None = None,
) -> Recognizer:
    """Train a recognizer by `recipe` on the training split of `faces` and leave run and model in the new folder `out`.

    `unlabeled`: a further set for techniques that learn without labels. `budget`: labeled rows of that split which are
    learned from and validated with, instead of those that `order` would draw; the split's others have no labels then.
    `mien resume` cannot go on with such a run, `resume` can where it is given faces and budget again. Raises MienError where
    `out` exists, a set was changed since it was written, or recipe, budget and faces do not fit each other.
    """
    folder = Path(out)
    require_name(folder)
    if folder.exists():
        raise MienError(f"nothing at {folder} yet", "a file or folder", "choose another --out, or mien resume it")
    faces = _opened(faces)
    others = None if unlabeled is None else _opened(unlabeled)
    recipe = recipe if isinstance(recipe, Recipe) else Recipe.load(recipe)
    order = order or TrainingSettings()
    # A view has none of its own; who made it may say whose faces they are.
    checksums = (faces.info.checksum or order.checksums[0], "" if others is None else others.info.checksum)
    threads = order.threads or torch.get_num_threads()
    order = replace(order, threads=threads, faces=_address(faces), unlabeled=_address(others), checksums=checksums)
    if budget is not None and others is not None:
        raise MienError(
            "a budget, or a further set without labels", "both", "join that set's faces to the others, without labels"
        )
    if budget is not None or (others is not None and order.unlabeled is None):
        order = replace(order, faces=None)  # Not all of it is stored: such a run cannot be resumed from its folder alone.
    prepared = prepare_run(faces, others, recipe, order, progress or Silent(), budget)
    run = Run(recipe, prepared.material, order.seed, choose_device(order.device), folder, progress)
    _begin(folder, faces, order, prepared, run)
    try:
        return _finish(run, order, prepared, progress or Silent())
    except MienError:
        # A technique refused its settings, or the loss is no number from the start: there is nothing to resume.
        if not run.history and not (folder / "parts").exists():
            shutil.rmtree(folder)
        raise


def resume(
    folder: Path | str,
    progress: Progress | None = None,
    faces: FaceSet | None = None,
    budget: Budget | None = None,
    trusted: bool = False,
) -> Recognizer:
    """Go on with an interrupted run; of a finished one, return the recognizer.

    On the same processor with the same number of threads the weights are those of a run that was never interrupted, bit
    for bit. `faces` and `budget`: what `train` was given, of a run with a budget, since neither is in its folder. `trusted`:
    modules beyond mien that the run's recipe names are imported, and so run; else they have to be imported already.
    Raises MienError where `folder` is no run, its faces are gone or changed, or its labels were others.
    """
    folder = Path(folder)
    if not (folder / "run.json").is_file():
        if (folder / "model" / "model.json").is_file():
            return Recognizer.load(folder)
        raise MienError(f"a run at {folder}", "no run.json", "start one with mien train")
    written = read_as(Written, folder / "run.json", TODO)
    with standing_in(folder / "run.json"):
        order, recipe = written.order, Recipe.parse(written.recipe, trusted)
    if (folder / "model" / "model.json").is_file():
        _require_own(folder, written)
        return Recognizer.load(folder)
    faces, others = _recorded(order) if faces is None or budget is None else (faces, None)
    for left_over in folder.glob(".*"):
        left_over.unlink()  # Files that were being written when the run was killed.
    prepared = prepare_run(faces, others, recipe, order, Silent(), budget)
    run = Run(recipe, prepared.material, order.seed, choose_device(order.device), folder, progress)
    if not budget_table(faces, prepared).equals(read_table(folder / "budget.parquet", BUDGET, TODO)):
        raise MienError(f"the labels that {folder} began with", "others", "train again")
    if (folder / "checkpoint.safetensors").is_file():
        run.load_state_dict(read_state(folder / "checkpoint.safetensors"))
    return _finish(run, order, prepared, progress or Silent())


@dataclass(frozen=True)
class Written:
    """The content of run.json."""

    order: TrainingSettings
    recipe: dict[str, Any]


def _require_own(folder: Path, written: Written) -> None:
    """Raises MienError where the model in a run's folder is that of another run."""
    card = read_card(folder)
    mine = (written.recipe, written.order.seed, written.order.checksums[0])
    if (card.recipe, card.seed, card.faces.checksum) != mine:
        raise MienError(f"the model of this run in {folder / 'model'}", "that of another one", "put its own back, or train again")


def _recorded(order: TrainingSettings) -> tuple[FaceSet, FaceSet | None]:
    """The sets that a run began with. Raises MienError where they are not stored or were changed."""
    if order.faces is None:
        raise MienError("a run on a stored face set", "one on faces in memory", "save the set, then train again")
    faces = _opened(order.faces)
    others = None if order.unlabeled is None else _opened(order.unlabeled)
    found = (faces.info.checksum, "" if others is None else others.info.checksum)
    if found != order.checksums:
        raise MienError("the face sets that the run began with", "sets that were changed since", "train again")
    return faces, others


def _opened(faces: FaceSet | Path | str) -> FaceSet:
    opened = faces if isinstance(faces, FaceSet) else FaceSet.open(faces)
    opened.verify()
    return opened


def _address(faces: FaceSet | None) -> Path | None:
    return None if faces is None or faces.folder is None else faces.folder.resolve()


def _begin(folder: Path, faces: FaceSet, order: TrainingSettings, prepared: PreparedRun, run: Run) -> None:
    """The run's folder with what was asked (run.json) and which labels are used for what (budget.parquet), at once."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        written = {"order": asdict(order), "recipe": run.recipe.table()}
        (aside / "run.json").write_text(to_json(written), "utf-8")
        pq.write_table(budget_table(faces, prepared), aside / "budget.parquet")
        aside.chmod(0o755)
        put(aside, folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _weights_table(run: Run, prepared: PreparedRun) -> pa.Table:
    """A row per labeled training face: id, the label it was taught, and its weight in the last epoch."""
    rows = run.labeled.cpu().numpy()
    labels, weights = run.labels[run.labeled].cpu().numpy(), run.weights[run.labeled].cpu().numpy()
    return pa.table({"id": prepared.material.faces.select(rows).column("id"), "label": labels, "weight": weights})


def _finish(run: Run, order: TrainingSettings, prepared: PreparedRun, progress: Progress) -> Recognizer:
    """Train to the end; the best model of each stage goes to stages/, the last stage's is the run's."""

    def keep(stage: int) -> None:
        last = stage == len(run.recipe.stages) - 1
        write_history(run.folder, run.history)
        write_table(run.folder / "weights.parquet", _weights_table(run, prepared))
        folder = run.folder / "model" if last else run.folder / "stages" / str(stage + 1)
        card = _card(run, order, prepared)
        write_model(folder, run.best["weights"], card)
        if last:
            _say_doubtful(run, card, progress)

    with own_threads(order.threads):
        fit(run, progress, keep)
    return Recognizer.load(run.folder, order.device)


def _say_doubtful(run: Run, card: ModelCard, progress: Progress) -> None:
    """Of a finished model that gives one answer to all validation faces, or is sure of none."""
    if not len(run.validation_labels):
        return
    said, known = (
        run.predict_best(run.validation, len(run.validation_labels)).argmax(dim=1).unique(),
        run.validation_labels.unique(),
    )
    if len(said) == 1 < len(known):
        name = run.class_names[int(said)]
        progress.say(
            f"warning: the model takes every validation face for {name}: its average accuracy is 1 of {len(known)} classes"
        )
    if card.confidence_threshold >= 1:
        few = counted(len(run.validation_labels), "validation face is", "validation faces are")
        found = f"{few} too few, or too often named wrongly, to say so"
        progress.say(f"no answer of this model is sure: {found}")


def _card(run: Run, order: TrainingSettings, prepared: PreparedRun) -> ModelCard:
    """The card of the stage's best model, its temperature and what is possible and sure fitted on validation."""
    faces = prepared.material.faces.info
    card = ModelCard(
        network=run.recipe.model,
        classes=run.class_names,
        faces=replace(faces, checksum=order.checksums[0]),
        normalize=run.recipe.normalize,
        recipe=run.recipe.table(),
        budget=prepared.facts,
        sources=tuple({k: v for k, v in source.items() if k != "used"} for source in read_sources(run.folder)),
        metrics=run.best["figures"],
        seed=order.seed,
    )
    if not len(run.validation_labels):
        return card
    logits, labels = run.predict_best(run.validation, len(run.validation_labels)).numpy(), run.validation_labels.numpy()
    temperature = fit_temperature(logits, labels)
    likely = apply_temperature(logits, temperature)
    conformal = fit_conformal_threshold(likely, labels)
    confident = fit_confidence_threshold(likely, labels, conformal)
    return replace(card, temperature=temperature, conformal_threshold=conformal, confidence_threshold=confident)
