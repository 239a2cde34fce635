"""The command line: a thin shell over the functions that Python users call. Heavy imports wait for their command."""

import json
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mien.errors import MienError

if TYPE_CHECKING:
    from mien.evaluation.result import Evaluation

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Train facial-expression recognizers from few labels, doubtful labels and many faces without labels.",
)

Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines and nothing else.")]
Settings = Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a setting; may be repeated.")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
FaceSetPath = Annotated[Path, typer.Argument(metavar="FACESET", help="Folder of a face set.")]


def main() -> None:
    """Run the command line; a MienError is one sentence and exit code 1, wrong usage is exit code 2."""
    # A polite end cleans up like an error does: no half-written set stays.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        app()
    except MienError as error:
        _fail(str(error))
    except OSError as error:
        where = f"{error.strerror or error}: {error.filename or ''}"
        _fail(f"expected to read and write files; found {where}; make room or check the path")


def _fail(sentence: str) -> None:
    print(f"mien: {sentence}", file=sys.stderr)
    sys.exit(1)


def _pairs(given: str | list[str] | None, option: str) -> dict[str, str]:
    """`a=b,c=d`, or a list of `a=b`, as a dict. Raises a usage error otherwise."""
    parts = given.split(",") if isinstance(given, str) else given or []
    split = [part.partition("=") for part in parts]
    if not all(equals and key for key, equals, _ in split):
        raise typer.BadParameter(f"expected KEY=VALUE, found {given!r}", param_hint=option)
    return {key.strip(): value.strip() for key, _, value in split}


def _print(as_json: bool, values: Any, text: str) -> None:
    print(json.dumps(values, indent=1, default=str) if as_json else text)


@app.command("import")
def import_(
    source: Annotated[
        str, typer.Argument(help="A database: fer2013, ferplus, folder, table, synthetic, or package.module:Name.")
    ],
    paths: Annotated[
        list[Path], typer.Argument(metavar="[INPUT] OUT", help="What to read (not for synthetic), and the new folder.")
    ],
    rule: Annotated[str | None, typer.Option(help="Label rule of ferplus: majority, probability or argmax.")] = None,
    columns: Annotated[str | None, typer.Option(help="Which csv column is what: path=name,label=label,subject=person.")] = None,
    classes: Annotated[str | None, typer.Option(help="Our class names and theirs: anger=angry,happiness=happy.")] = None,
    side: Annotated[int | None, typer.Option(help="Side of the stored faces in pixels.")] = None,
    test: Annotated[
        float, typer.Option(help="Share of faces, whole subjects, that become the split `test` where there are no splits.")
    ] = 0.0,
    color: Annotated[bool, typer.Option(help="Store color faces.")] = False,
    skip: Annotated[int, typer.Option(help="How many unreadable inputs may be left out; they are listed in rejected.csv.")] = 0,
    set_: Settings = None,
    as_json: Json = False,
) -> None:
    """Import a published database, a folder, a table, or rendered faces, into a face set."""
    from mien.console import Bar
    from mien.data.importing import import_source, source_from

    if len(paths) > 2:
        raise typer.BadParameter("expected [INPUT] OUT", param_hint="INPUT OUT")
    settings: dict[str, Any] = {key: _value(value) for key, value in _pairs(set_, "--set").items()}
    given: dict[str, Any] = {"input": paths[0] if len(paths) == 2 else None, "rule": rule, "side": side, "color": color or None}
    given |= {"columns": _pairs(columns, "--columns") if columns else None}
    given |= {"classes": {theirs: ours for ours, theirs in _listed(classes)} if classes else None}
    settings |= {key: value for key, value in given.items() if value is not None}
    with Bar(quiet=as_json) as bar:
        bar.begin("import", 0)
        done = import_source(source_from(source, settings), paths[-1], skip, bar.reached, test)
    values = {
        "faces": len(done.faces),
        "rejected": len(done.rejected),
        "out": str(paths[-1]),
        "checksum": done.faces.info.checksum,
    }
    left_out = f", {len(done.rejected)} inputs left out (rejected.csv says why)" if done.rejected else ""
    _print(as_json, values, f"{len(done.faces)} faces -> {paths[-1]}{left_out}")


def _listed(classes: str) -> list[tuple[str, str]]:
    """`ours=theirs` pairs; ours may come several times."""
    return [pair for part in classes.split(",") for pair in _pairs([part], "--classes").items()]


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


@app.command()
def describe(
    faceset: FaceSetPath,
    picture: Annotated[Path | None, typer.Option(help="Write a picture of example faces per class to this PNG.")] = None,
    as_json: Json = False,
) -> None:
    """Count the faces of a set per split and class, and show examples."""
    from dataclasses import asdict

    from mien.console import count_table, show
    from mien.data import describe as room
    from mien.data.faceset import FaceSet

    faces = FaceSet.open(faceset, verify=True)
    found = room.describe(faces)
    if picture is not None:
        room.write_examples(faces, picture)
    if as_json:
        counts = {
            split: dict(zip(found.classes, map(int, row), strict=True))
            for split, row in zip(found.splits, found.counts, strict=True)
        }
        print(json.dumps({"info": asdict(faces.info), "counts": counts}, indent=1))
        return
    print(f"{len(faces)} {faces.info.kind} of {faces.info.name or faceset}, license {faces.info.license}")
    show(count_table(found))


@app.command()
def features(
    network: Annotated[
        str, typer.Argument(metavar="RUN_OR_NETWORK[:BLOCK]", help="A run, a model, or a network's name; and a block.")
    ],
    faceset: FaceSetPath,
    out: Annotated[Path, typer.Argument(help="The new folder.")],
    views: Annotated[int, typer.Option(help="Views of each face: clean, mirror, then weak and strong in turn.")] = 2,
    grid: Annotated[int, typer.Option(help="Maps are averaged to GRID x GRID.")] = 1,
    seed: int = 0,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Cache what a network's block makes of every face, for recipes on the `embedding` network."""
    from mien.console import Bar
    from mien.data.faceset import FaceSet
    from mien.recognize.features import write_features

    faces = FaceSet.open(faceset, verify=True)
    with Bar(quiet=as_json) as bar:
        made = write_features(network, faces, out, views, grid, seed, device, bar)
    values = {"faces": len(made), "views": made.info.views, "dimension": made.info.channels, "out": str(out)}
    _print(as_json, values, f"{len(made)} faces x {views} views x {made.info.channels} features -> {out}")


@app.command()
def train(
    faceset: FaceSetPath,
    out: Annotated[Path, typer.Option(help="The new run folder.")],
    recipe: Annotated[str, typer.Option(help="A recipe's name (see mien recipes) or a TOML file.")] = "supervised",
    labels_per_class: Annotated[int | None, typer.Option(help="Label budget per class, validation included.")] = None,
    labels: Annotated[int | None, typer.Option(help="Label budget in all, validation included.")] = None,
    unlabeled: Annotated[Path | None, typer.Option(help="A further face set, used without its labels.")] = None,
    noise: Annotated[float, typer.Option(help="Share of the given labels to flip, validation included.")] = 0.0,
    noise_matrix: Annotated[
        Path | None, typer.Option(help="Instead: a csv of the probabilities of what each class becomes.")
    ] = None,
    fold: Annotated[str | None, typer.Option(help="Instead of splits: leave out this fold of subjects, for example 1/5.")] = None,
    split: Annotated[str | None, typer.Option(help="Split to train on; train or Training unless said.")] = None,
    seed: int = 0,
    model: Annotated[str | None, typer.Option(help="Another network.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Epochs in all, shared among the stages.")] = None,
    set_: Settings = None,
    device: Device = "auto",
    threads: Annotated[int | None, typer.Option(help="Processor threads.")] = None,
    as_json: Json = False,
) -> None:
    """Train a recognizer."""
    from mien.console import Bar
    from mien.recipe import Recipe
    from mien.training.prepare import Order, read_matrix
    from mien.training.train import train as run

    made = Recipe.load(recipe)
    if model is not None:
        made = made.set("model", model)
    if epochs is not None:
        made = made.with_epochs(epochs)
    made = made.with_settings(_pairs(set_, "--set"))
    order = Order(
        seed=seed,
        labels_per_class=labels_per_class,
        labels=labels,
        noise=noise,
        noise_matrix=read_matrix(noise_matrix) if noise_matrix else None,
        split=split,
        fold=fold,
        device=device,
        threads=threads,
    )
    with Bar(quiet=as_json) as bar:
        recognizer = run(faceset, made, out, order, unlabeled, bar)
    _report_training(recognizer.card.metrics, recognizer.card.budget, out, as_json)


def _report_training(metrics: dict[str, float], budget: dict[str, Any], out: Path, as_json: bool) -> None:
    text = f"{budget['train']} train + {budget['validation']} validation = {budget['train'] + budget['validation']} labels"
    if "validation_accuracy" in metrics:
        text += (
            f"; validation accuracy {metrics['validation_accuracy']:.1%}, average {metrics['validation_average_accuracy']:.1%}"
        )
    _print(as_json, {"run": str(out), "metrics": metrics, "budget": budget}, f"{text} -> {out}")


@app.command()
def resume(run: Annotated[Path, typer.Argument(help="Folder of an interrupted run.")], as_json: Json = False) -> None:
    """Go on with an interrupted run as if nothing had happened."""
    from mien.console import Bar
    from mien.training.train import resume as go_on

    with Bar(quiet=as_json) as bar:
        recognizer = go_on(run, bar)
    _report_training(recognizer.card.metrics, recognizer.card.budget, run, as_json)


@app.command()
def evaluate(
    run: Annotated[Path, typer.Argument(help="A run or a model folder.")],
    faceset: FaceSetPath,
    split: Annotated[str, typer.Option(help="Split to test on.")] = "test",
    fold: Annotated[str | None, typer.Option(help="Instead of splits: this fold of subjects is `test`, for example 1/5.")] = None,
    by: Annotated[str | None, typer.Option(help="A column: figures for each of its values.")] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Where report.html and metrics.json go; a folder in RUN named by what is measured unless said."),
    ] = None,
    flip: Annotated[bool, typer.Option(help="Average with the mirror image.")] = False,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Test a recognizer: figures with intervals, and a report to look at."""
    from mien.evaluation.evaluate import evaluate as measure

    part = f"fold-{fold.replace('/', '-of-')}" if fold else split
    folder = out or run / "-".join(["evaluation", part, *(["flip"] if flip else []), *(["by", by] if by else [])])
    result = measure(run, faceset, split, by=by, out=folder, flip=flip, device=device, fold=fold)
    _show(result, as_json, [str(folder / "report.html")])


def _show(result: "Evaluation", as_json: bool, places: list[str]) -> None:
    """An evaluation as JSON, or as tables and then where more of it lies."""
    from mien.console import evaluation_tables, show

    if as_json:
        print(json.dumps(result.to_json(), indent=1))
        return
    for table in evaluation_tables(result):
        show(table)
    if "warning" in result.notes:
        print(f"warning: {result.notes['warning']}", file=sys.stderr)
    print("\n".join(places))


@app.command()
def recipes(
    name: Annotated[str | None, typer.Argument(help="Show this recipe in full.")] = None,
    as_json: Json = False,
) -> None:
    """List the recipes and what can answer each question, or show one recipe with every default."""
    from mien.console import answer_table, recipe_table, show
    from mien.recipe import Recipe, known_components, recipe_names

    if name is not None:
        print(json.dumps(Recipe.load(name).table(), indent=1))
        return
    titles = {known: Recipe.load(known).title for known in recipe_names()}
    if as_json:
        print(json.dumps({"recipes": titles, "answers": known_components()}, indent=1))
        return
    show(recipe_table(titles))
    show(answer_table(known_components()))


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder for faces, run and report.")] = Path("demo"),
    seed: int = 0,
    as_json: Json = False,
) -> None:
    """Render faces, train on them, and write a report: the main job, without any download."""
    from mien.console import Bar
    from mien.experiments.demo import demo as go

    with Bar(quiet=as_json) as bar:
        result = go(out, seed, bar)
    report = out / "run" / "evaluation-test" / "report.html"
    _show(result, as_json, [f"faces: {out / 'faces'}, a picture of them: {out / 'faces.png'}", f"report: {report}"])
