"""Commands that train."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mien.active.rounds_settings import RoundsSettings
from mien.cli.options import (
    FaceSetOrPhotos,
    Json,
    Limits,
    Seed,
    Settings,
    Trust,
    key_values,
    one_of,
    setting,
    trust_typed,
    whole_number,
)
from mien.cli.printing import note, print_evaluation, print_json, print_result
from mien.progress import Progress, progress_bar
from mien.recipes.automatic import AUTO
from mien.training.settings import TrainingSettings
from mien.wording import percent, quantity

if TYPE_CHECKING:
    from mien.recognize.recognizer import Recognizer


LOGS = ("tensorboard",)
"""Programs for which a run can write its figures."""
NoiseMatrix = Annotated[Path | None, setting(TrainingSettings, "noise_matrix", form="A csv file, a row for each.", checked=False)]


def _known_log(log: str | None) -> str | None:
    return log if log is None else one_of(log, LOGS, "--log")


Log = Annotated[
    str | None,
    typer.Option(
        metavar="tensorboard",
        callback=_known_log,
        help="Also write the figures of each epoch for TensorBoard, into the folder of the run.",
    ),
]


def train(
    faceset: FaceSetOrPhotos,
    out: Annotated[Path, typer.Option(help="The new run folder.")],
    recipe: Annotated[
        str, typer.Option(help=f"A recipe's name (see mien recipes) or a TOML file. {AUTO}: one that fits.")
    ] = AUTO,
    start: Annotated[str | None, setting(RoundsSettings, "start", metavar="MODEL")] = None,
    labels_per_class: Annotated[int | None, setting(TrainingSettings, "labels_per_class")] = None,
    labels: Annotated[int | None, setting(TrainingSettings, "labels")] = None,
    unlabeled: Annotated[Path | None, setting(TrainingSettings, "unlabeled")] = None,
    unlabeled_faces: Annotated[int | None, setting(TrainingSettings, "unlabeled_faces")] = None,
    own_unlabeled: Annotated[bool, setting(TrainingSettings, "own_unlabeled")] = True,
    also: Annotated[Path | None, setting(TrainingSettings, "also", metavar="FACESET")] = None,
    also_labels: Annotated[int | None, setting(TrainingSettings, "also_labels")] = None,
    noise: Annotated[float, setting(TrainingSettings, "noise")] = 0.0,
    proportional_noise: Annotated[bool, setting(TrainingSettings, "proportional_noise")] = False,
    noise_matrix: NoiseMatrix = None,
    fold: Annotated[str | None, setting(TrainingSettings, "fold")] = None,
    split: Annotated[str | None, setting(TrainingSettings, "split")] = None,
    seed: Annotated[int, setting(TrainingSettings, "seed")] = 0,
    model: Annotated[str | None, typer.Option(help="Another network.")] = None,
    epochs: Annotated[int | None, whole_number("Epochs in all, shared among the stages.")] = None,
    set_: Settings = None,
    device: Annotated[str, setting(TrainingSettings, "device")] = "auto",
    threads: Annotated[int | None, setting(TrainingSettings, "threads")] = None,
    log: Log = None,
    limits: Limits = "on",
    trust: Trust = False,
    as_json: Json = False,
) -> None:
    """Train a recognizer."""
    from mien.media.file_limits import file_limits
    from mien.preparation.photo_folder import open_or_prepare
    from mien.settings import settings_from
    from mien.training.choose_recipe import AskedRecipes
    from mien.training.settings import read_matrix, require_also
    from mien.training.train import require_new_run
    from mien.training.train import train as run

    changes = key_values(set_, "--set")
    trust_typed(model, changes, trusted=trust, recipes=[None if recipe == AUTO else recipe])
    asked = {
        "seed": seed, "labels_per_class": labels_per_class, "labels": labels, "noise": noise, "split": split, "fold": fold,
        "proportional_noise": proportional_noise, "noise_matrix": read_matrix(noise_matrix) if noise_matrix else None,
        "unlabeled_faces": unlabeled_faces, "own_unlabeled": own_unlabeled, "also_labels": also_labels,
        "device": device, "threads": threads,
    }  # fmt: skip
    settings = settings_from(TrainingSettings, asked)
    with progress_bar(quiet=as_json) as bar:
        require_new_run(out)
        require_also(also_labels, also)
        named = AskedRecipes.of(recipe, bar.say, model, epochs, start, changes)
        faces = open_or_prepare(faceset, bar, least=2, workers=threads, limits=file_limits(limits), verify=False)
        chosen = named.choose(faces, settings, unlabeled, bar, also)
        recognizer = run(faces, chosen.recipe, out, settings, unlabeled, _logged(bar, out, log), also=also)
    _print_trained(recognizer, out, as_json, {"choice": chosen.to_json()})


def resume(
    run: Annotated[Path, typer.Argument(help="Folder of an interrupted run.")],
    log: Log = None,
    trust: Trust = False,
    as_json: Json = False,
) -> None:
    """Go on with an interrupted run as if nothing had happened."""
    from mien.training.train import resume as go_on

    with progress_bar(quiet=as_json) as bar:
        recognizer = go_on(run, _logged(bar, run, log), trusted=trust)
    _print_trained(recognizer, run, as_json)


def _logged(bar: Progress, run: Path, log: str | None) -> Progress:
    """The progress of a run: the bar alone, or one that writes a log as well."""
    if log is None:
        return bar
    from mien.training.tensorboard_log import TensorBoardLog

    return TensorBoardLog(bar, run)


def _print_trained(recognizer: "Recognizer", run: Path, as_json: bool, more: Mapping[str, Any] | None = None) -> None:
    """Print what a run came to. `more`: what else JSON holds."""
    metrics, budget = recognizer.card.metrics, recognizer.card.budget
    train, validation = budget["train"], budget["validation"]
    text = f"{train} train + {validation} validation = {quantity(train + validation, 'label')}"
    if "validation_accuracy" in metrics:
        accuracy, average = metrics["validation_accuracy"], metrics["validation_average_accuracy"]
        text += f"; validation accuracy {percent(accuracy)}, average {percent(average)}"
    print_result(as_json, {"run": str(run), "metrics": metrics, "budget": budget, **(more or {})}, f"{text} -> {run}")


def recipes(
    name: Annotated[str | None, typer.Argument(help="Show this recipe in full.")] = None,
    trust: Trust = False,
    as_json: Json = False,
) -> None:
    """List the recipes and what can answer each question, or show one recipe with every default."""
    from mien.cli.result_tables import answer_table, recipe_table
    from mien.recipes.recipe import Recipe, known_components
    from mien.recipes.recipe_files import recipe_comment, recipe_names

    if name is not None:
        for line in (recipe_comment(name) or "").splitlines():
            note(line)
        print_json(Recipe.load(name, trust).table())
        return
    titles, answers = {known: Recipe.load(known).title for known in recipe_names()}, known_components()
    print_result(as_json, {"recipes": titles, "answers": answers}, recipe_table(titles), answer_table(answers))


def demo(
    out: Annotated[Path, typer.Option(help="Folder for faces, run and report.")] = Path("demo"),
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Draw faces, train on them, and write a report: what mien is for, without any download."""
    from mien.experiments.demo import demo as go

    with progress_bar(quiet=as_json) as bar:
        result = go(out, seed, bar)
    report = out / "run" / "evaluation-test" / "report.html"
    print_evaluation(result, as_json, [f"faces: {out / 'faces'}, a picture of them: {out / 'faces.png'}", f"report: {report}"])
