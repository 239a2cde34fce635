"""Commands that train."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from mien.cli.shared import (
    Device,
    FaceSetOrPhotos,
    Json,
    Limits,
    OwnUnlabeled,
    Seed,
    Settings,
    Start,
    Threads,
    Trust,
    pairs,
    print_json,
    print_values,
    say,
    share,
    show_evaluation,
    typed,
    whole,
)
from mien.plain import counted


def train(
    faceset: FaceSetOrPhotos,
    out: Annotated[Path, typer.Option(help="The new run folder.")],
    recipe: Annotated[str, typer.Option(help="A recipe's name (see mien recipes) or a TOML file.")] = "supervised",
    start: Start = None,
    labels_per_class: Annotated[int | None, whole("Label budget per class, validation included.")] = None,
    labels: Annotated[int | None, whole("Label budget in all, validation included.")] = None,
    unlabeled: Annotated[Path | None, typer.Option(help="A further face set, used without its labels.")] = None,
    unlabeled_faces: Annotated[int | None, whole("How many unlabeled faces to use; all unless said.")] = None,
    own_unlabeled: OwnUnlabeled = True,
    noise: Annotated[float, share("Share of the given labels to flip, validation included.")] = 0.0,
    noise_matrix: Annotated[
        Path | None, typer.Option(help="Instead: a csv of the probabilities of what each class becomes.")
    ] = None,
    fold: Annotated[str | None, typer.Option(help="Instead of splits: leave out this fold of subjects, for example 1/5.")] = None,
    split: Annotated[str | None, typer.Option(help="Split to train on; train or Training unless said.")] = None,
    seed: Seed = 0,
    model: Annotated[str | None, typer.Option(help="Another network.")] = None,
    epochs: Annotated[int | None, whole("Epochs in all, shared among the stages.")] = None,
    set_: Settings = None,
    device: Device = "auto",
    threads: Threads = None,
    limits: Limits = "on",
    trust: Trust = False,
    as_json: Json = False,
) -> None:
    """Train a recognizer."""
    import os

    from mien.cli.console import Bar
    from mien.media.limits import limits_of
    from mien.preparation.photo_folder import open_or_prepare
    from mien.recipes.overrides import recipe_with_changes
    from mien.registry import validate
    from mien.training.run_data import TrainingSettings, read_matrix
    from mien.training.train import train as run

    changes = pairs(set_, "--set")
    typed(model, changes, trusted=trust, recipes=[recipe])
    asked = {
        "seed": seed,
        "labels_per_class": labels_per_class,
        "labels": labels,
        "noise": noise,
        "noise_matrix": read_matrix(noise_matrix) if noise_matrix else None,
        "split": split,
        "fold": fold,
        "unlabeled_faces": unlabeled_faces,
        "own_unlabeled": own_unlabeled,
        "device": device,
        "threads": threads,
    }
    order = validate(TrainingSettings, asked)
    with Bar(quiet=as_json) as bar:
        made = recipe_with_changes(recipe, bar.say, model, epochs, start, changes)
        faces = open_or_prepare(faceset, threads or os.cpu_count() or 1, bar, least=2, limits=limits_of(limits))
        recognizer = run(faces, made, out, order, unlabeled, bar)
    _report_training(recognizer.card.metrics, recognizer.card.budget, out, as_json)


def _report_training(metrics: dict[str, float], budget: dict[str, Any], out: Path, as_json: bool) -> None:
    train, validation = budget["train"], budget["validation"]
    text = f"{train} train + {validation} validation = {counted(train + validation, 'label')}"
    if "validation_accuracy" in metrics:
        text += (
            f"; validation accuracy {metrics['validation_accuracy']:.1%}, average {metrics['validation_average_accuracy']:.1%}"
        )
    print_values(as_json, {"run": str(out), "metrics": metrics, "budget": budget}, f"{text} -> {out}")


def resume(
    run: Annotated[Path, typer.Argument(help="Folder of an interrupted run.")], trust: Trust = False, as_json: Json = False
) -> None:
    """Go on with an interrupted run as if nothing had happened."""
    from mien.cli.console import Bar
    from mien.training.train import resume as go_on

    with Bar(quiet=as_json) as bar:
        recognizer = go_on(run, bar, trusted=trust)
    _report_training(recognizer.card.metrics, recognizer.card.budget, run, as_json)


def recipes(
    name: Annotated[str | None, typer.Argument(help="Show this recipe in full.")] = None,
    trust: Trust = False,
    as_json: Json = False,
) -> None:
    """List the recipes and what can answer each question, or show one recipe with every default."""
    from mien.cli.console import answer_table, recipe_table, show
    from mien.recipes.recipe import Recipe, known_components
    from mien.recipes.recipe_files import recipe_comment, recipe_names

    if name is not None:
        if comment := recipe_comment(name):
            say(*comment.splitlines(), sep="\n", file=sys.stderr)
        print_json(Recipe.load(name, trust).table())
        return
    titles = {known: Recipe.load(known).title for known in recipe_names()}
    if as_json:
        print_json({"recipes": titles, "answers": known_components()})
        return
    show(recipe_table(titles))
    show(answer_table(known_components()))


def demo(
    out: Annotated[Path, typer.Option(help="Folder for faces, run and report.")] = Path("demo"),
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Render faces, train on them, and write a report: the main job, without any download."""
    from mien.cli.console import Bar
    from mien.experiments.demo import demo as go

    with Bar(quiet=as_json) as bar:
        result = go(out, seed, bar)
    report = out / "run" / "evaluation-test" / "report.html"
    show_evaluation(result, as_json, [f"faces: {out / 'faces'}, a picture of them: {out / 'faces.png'}", f"report: {report}"])
