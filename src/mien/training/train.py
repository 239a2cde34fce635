"""From a face set to a run folder with a model in it, and on from where a run was interrupted."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from pydantic import field_validator
from pydantic.dataclasses import dataclass

from mien.data.faceset import FaceSet
from mien.data.label_budget import LabelBudget
from mien.data.writer import write_table
from mien.disk import require_utf8_path
from mien.errors import MienError
from mien.folders import LOCK, exclusive, new_folder, remove_all_but_lock
from mien.json_text import to_json
from mien.json_toml import read_settings
from mien.preparation.photo_folder import open_or_prepare
from mien.progress import Progress, Silent
from mien.recipes.automatic import AUTO
from mien.recipes.recipe import Recipe
from mien.recognize.device import choose_device
from mien.recognize.model_card import read_card
from mien.recognize.recognizer import Recognizer
from mien.recognize.run_records import write_history
from mien.recognize.saved_networks import write_model
from mien.registry import naming_file
from mien.tabular.parquet_files import BUDGET_COLUMNS, read_table
from mien.training.batch_statistics import adapted_weights
from mien.training.checkpoint import TODO, read_state
from mien.training.choose_recipe import choose_recipe
from mien.training.class_prior import best_network, last_bias, lean_to_found_prior
from mien.training.loop import fit, own_threads, require_unlabeled_statistics
from mien.training.prepare_run import PreparedRun, budget_table, prepare_run
from mien.training.run import Run
from mien.training.run_card import card_of_run, say_doubtful
from mien.training.run_state import put_state
from mien.training.settings import TrainingSettings, require_also
from mien.training.validating_faces import has_validation_split

OLDER_DEFAULTS = {"statistics": "all"}
"""What held for runs whose recipe does not say it yet."""


def train(
    faces: FaceSet | Path | str,
    recipe: Recipe | Path | str,
    out: Path | str,
    settings: TrainingSettings | None = None,
    unlabeled: FaceSet | Path | str | None = None,
    progress: Progress | None = None,
    budget: LabelBudget | None = None,
    also: FaceSet | Path | str | None = None,
) -> Recognizer:
    """Train a recognizer by `recipe` on the training split of `faces` and leave run and model in the new folder `out`.

    `recipe`: one, its name, its TOML file, or "auto" for the one that `choose_recipe` finds fitting.
    `faces`: a set, its folder, or a folder of photos in class folders, whose faces are cut out first, once, into `FOLDER.faces`.
    `unlabeled`: a further set for techniques that learn without labels. `also`: a further set whose labeled training faces join
    those of `faces`, as `joined_labels` says. `budget`: labeled rows of that split which are
    learned from and validated with, instead of those that `settings` would draw; the split's others have no labels then.
    `mien resume` cannot go on with such a run, `resume` can where it is given faces and budget again. Raises MienError where
    `out` exists, a set was changed since it was written, or recipe, budget and faces do not fit each other.
    """
    folder = require_new_run(out)
    require_also((settings or TrainingSettings()).also_labels, also)
    chosen = None if recipe == AUTO else recipe if isinstance(recipe, Recipe) else Recipe.load(recipe)
    settings = settings or TrainingSettings()
    faces = _opened(open_or_prepare(faces, progress, least=2, workers=settings.threads, verify=False))
    others, more = (None if given is None else _opened(given) for given in (unlabeled, also))
    recipe = chosen or choose_recipe(faces, settings, others, progress, budget, also=more).recipe
    # A view has none of its own; who made it may say whose faces they are.
    checksums = (faces.info.checksum or settings.checksums[0], "" if others is None else others.info.checksum)
    threads = settings.threads or torch.get_num_threads()
    settings = replace(settings, threads=threads, faces=_address(faces), unlabeled=_address(others), checksums=checksums)
    settings = replace(settings, also=_address(more), also_checksum="" if more is None else more.info.checksum)
    settings = replace(settings, validation_split=budget is None and has_validation_split(faces, recipe, settings))
    if budget is not None and (others is not None or more is not None):
        raise MienError("a budget, or a further set", "both", "join that set's faces to the others")
    if budget is not None or (others is not None and settings.unlabeled is None) or (more is not None and settings.also is None):
        settings = replace(settings, faces=None)  # Not all of it is stored: such a run cannot be resumed from its folder alone.
    prepared = prepare_run(faces, others, recipe, settings, progress or Silent(), budget, more)
    run = Run(recipe, prepared.data, settings.seed, choose_device(settings.device), folder, progress)
    _begin(folder, faces, settings, prepared, run)
    with exclusive(folder):
        try:
            return _finish(run, settings, prepared, progress or Silent())
        except MienError:
            # A technique refused its settings, or the loss is no number from the start: there is nothing to resume.
            if not run.history and not (folder / "parts").exists():
                remove_all_but_lock(folder)
            raise


def require_new_run(out: Path | str) -> Path:
    """The folder of a run that is to be. Raises MienError where something is there, or its name is no text."""
    folder = Path(out)
    require_utf8_path(folder)
    if folder.exists():
        raise MienError(f"nothing at {folder} yet", "a file or folder", "choose another `out`, or mien resume it")
    return folder


def resume(
    folder: Path | str,
    progress: Progress | None = None,
    faces: FaceSet | None = None,
    budget: LabelBudget | None = None,
    trusted: bool = False,
) -> Recognizer:
    """Go on with an interrupted run; of a finished one, return the recognizer.

    On the same processor with the same number of threads the weights are those of a run that was never interrupted, bit
    for bit. `faces` and `budget`: what `train` was given, of a run with a budget, since neither is in its folder. `trusted`:
    modules beyond mien that the run's recipe names are imported, and so run; else they have to be imported already.
    Raises MienError where `folder` is no run, another process trains there, its faces are gone or changed, or its labels
    were others.
    """
    folder = Path(folder)
    if not (folder / "run.json").is_file():
        if (folder / "model" / "model.json").is_file():
            return Recognizer.load(folder)
        raise MienError(f"a run at {folder}", "no run.json", "start one with mien train")
    written = read_settings(RunFile, folder / "run.json", TODO)
    with naming_file(folder / "run.json"):
        recipe = Recipe.parse(written.recipe, trusted)
    if not (folder / "model" / "model.json").is_file():
        with exclusive(folder):
            if not (folder / "model" / "model.json").is_file():  # it may have been finished meanwhile
                return _go_on(folder, written.order, recipe, progress, faces, budget)
    _require_own(folder, written)
    return Recognizer.load(folder)


def _go_on(
    folder: Path,
    settings: TrainingSettings,
    recipe: Recipe,
    progress: Progress | None,
    faces: FaceSet | None,
    budget: LabelBudget | None,
) -> Recognizer:
    """Train an interrupted run to its end, alone in its folder."""
    faces, others, more = _recorded(settings) if faces is None or budget is None else (faces, None, None)
    for left_over in folder.glob(".*"):
        if left_over.name != LOCK:
            left_over.unlink()  # Files that were being written when the run was killed.
    prepared = prepare_run(faces, others, recipe, settings, Silent(), budget, more)
    run = Run(recipe, prepared.data, settings.seed, choose_device(settings.device), folder, progress)
    if not budget_table(faces, prepared).equals(read_table(folder / "budget.parquet", BUDGET_COLUMNS, TODO)):
        raise MienError(f"the labels that {folder} began with", "others", "train again")
    if (folder / "checkpoint.safetensors").is_file():
        put_state(run, read_state(folder / "checkpoint.safetensors"))
    return _finish(run, settings, prepared, progress or Silent())


@dataclass(frozen=True)
class RunFile:
    """What run.json says: what was asked of a run."""

    order: TrainingSettings
    recipe: dict[str, Any]
    also_left_out: int | None = None
    """How many labels of a further set did not join, as photos or people of them test or validate; None without such a set."""

    @field_validator("recipe")
    @classmethod
    def _as_before(cls, recipe: dict[str, Any]) -> dict[str, Any]:
        return OLDER_DEFAULTS | recipe


def _require_own(folder: Path, written: RunFile) -> None:
    """Raises MienError where the model in a run's folder is that of another run."""
    card = read_card(folder)
    mine = (written.recipe, written.order.seed, written.order.checksums[0])
    if (OLDER_DEFAULTS | card.recipe, card.seed, card.faces.checksum) != mine:
        raise MienError(f"the model of this run in {folder / 'model'}", "that of another one", "put its own back, or train again")


def _recorded(settings: TrainingSettings) -> tuple[FaceSet, FaceSet | None, FaceSet | None]:
    """The sets that a run began with. Raises MienError where they are not stored or were changed."""
    if settings.faces is None:
        raise MienError("a run on a stored face set", "one on faces in memory", "save the set, then train again")
    faces = _opened(settings.faces)
    others, more = (None if place is None else _opened(place) for place in (settings.unlabeled, settings.also))
    found = [faces.info.checksum, *("" if one is None else one.info.checksum for one in (others, more))]
    if found != [*settings.checksums, settings.also_checksum]:
        raise MienError("the face sets that the run began with", "sets that were changed since", "train again")
    return faces, others, more


def _opened(faces: FaceSet | Path | str) -> FaceSet:
    """A set that was compared with its checksum, now."""
    if not isinstance(faces, FaceSet):
        return FaceSet.open(faces, verify=True)
    faces.verify()
    return faces


def _address(faces: FaceSet | None) -> Path | None:
    return None if faces is None or faces.folder is None else faces.folder.resolve()


def _begin(folder: Path, faces: FaceSet, settings: TrainingSettings, prepared: PreparedRun, run: Run) -> None:
    """Make the run's folder, with what was asked (run.json) and which labels are used for what (budget.parquet)."""
    with new_folder(folder) as aside:
        written = {"order": asdict(settings), "recipe": run.recipe.table()}
        written |= {} if prepared.joined is None else {"also_left_out": prepared.joined.facts["also_left_out"]}
        (aside / "run.json").write_text(to_json(written), "utf-8")
        pq.write_table(budget_table(faces, prepared), aside / "budget.parquet")


def _weights_table(run: Run, prepared: PreparedRun) -> pa.Table:
    """The table weights.parquet, a row for each labeled training face of the set: id, label, weight in the last epoch."""
    rows = run.labeled.cpu().numpy()
    rows = rows[rows < prepared.own]  # people look their faces up in the set
    labels, weights = run.labels.cpu().numpy()[rows], run.weights.cpu().numpy()[rows]
    return pa.table({"id": prepared.data.faces.select(rows).column("id"), "label": labels, "weight": weights})


def _finish(run: Run, settings: TrainingSettings, prepared: PreparedRun, progress: Progress) -> Recognizer:
    """Train to the end; the best model of each stage goes to stages/, the last stage's is the run's."""

    def keep(stage: int) -> None:
        last = stage == len(run.recipe.stages) - 1
        write_history(run.folder, run.history)
        write_table(run.folder / "weights.parquet", _weights_table(run, prepared))
        folder = run.folder / "model" if last else run.folder / "stages" / str(stage + 1)
        assert run.best is not None, "every stage has an epoch"
        network = best_network(run, run.best)
        adapts = run.recipe.statistics == "unlabeled" and not run.recipe.control
        facts = lean_to_found_prior(run, network) if last and not adapts else {}
        logits = run.predict(run.validation, network) if len(run.data.validation_labels) else torch.empty(0, run.classes)
        card = card_of_run(run, run.best, logits, settings, prepared)
        # The validation faces are labeled ones: adapted to those without labels is the model alone.
        if adapts:
            network.load_state_dict(adapted_weights(run, network))
            facts = lean_to_found_prior(run, network) if last else {}
        write_model(folder, network.state_dict(), replace(card, budget=card.budget | facts))
        if last:
            say_doubtful(run, logits, card, progress)

    if run.recipe.prior:
        last_bias(run.network)  # refuses before the training, not after it
    require_unlabeled_statistics(run)
    with own_threads(settings.threads):
        fit(run, keep)
    return Recognizer.load(run.folder, settings.device)


def train_or_resume(
    faces: FaceSet | Path | str,
    recipe: Recipe | Path | str,
    out: Path | str,
    settings: TrainingSettings,
    unlabeled: FaceSet | Path | str | None = None,
    progress: Progress | None = None,
    budget: LabelBudget | None = None,
    also: FaceSet | Path | str | None = None,
) -> Recognizer:
    """Train a recognizer into the folder `out` as `train` does, or go on with the run that was interrupted there.

    The recognizer of a finished run, or of a model alone, is loaded. The checkpoint stays: `drop_checkpoint` deletes it. Whoever
    calls this knows that a run in `out` was begun with the same faces, recipe and settings. Raises MienError as `train` and
    `resume` do.
    """
    folder = Path(out)
    file = folder / "run.json"
    if (folder / "model" / "model.json").is_file():
        if file.is_file():
            _require_own(folder, read_settings(RunFile, file, TODO))
        return Recognizer.load(folder, settings.device)
    if file.is_file():
        return resume(folder, progress, None if budget is None else FaceSet.of(faces), budget)
    return train(faces, recipe, folder, settings, unlabeled, progress, budget, also)


def drop_checkpoint(folder: Path) -> None:
    """Delete the checkpoint of a finished run, where there is one: nothing goes on from it."""
    (folder / "checkpoint.safetensors").unlink(missing_ok=True)
