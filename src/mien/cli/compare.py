"""The command that trains and measures many times."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mien.cli.options import Cluster, FaceSetPath, Jobs, Json, Trust, comma_list, key_values, setting, trust_typed
from mien.cli.printing import print_result
from mien.experiments.settings import Grid
from mien.progress import progress_bar

if TYPE_CHECKING:
    from mien.experiments.comparison_result import Comparison


def budgets(text: str) -> list[object]:
    """Label budgets of `10,25,all`; None for all."""
    from mien.json_toml import parse_word

    return [None if part == "all" else parse_word(part) for part in comma_list(text)]


def numbers(text: str) -> list[object]:
    """The values of `0,0.1`."""
    from mien.json_toml import parse_word

    return [parse_word(part) for part in comma_list(text)]


LabelsPerClass = Annotated[str, setting(Grid, "labels_per_class", form="Separated by commas: 10,25,all.", read=budgets)]
Changes = Annotated[
    list[str] | None, setting(Grid, "settings", "--set", form="May be repeated.", metavar="KEY=VALUE", checked=False)
]


def compare(
    faceset: FaceSetPath,
    recipes: Annotated[str, setting(Grid, "recipes", form="Separated by commas: a,b,c.", read=comma_list)],
    out: Annotated[Path, typer.Option(help="A new folder, or that of an earlier comparison, which goes on.")],
    labels_per_class: LabelsPerClass = "all",
    labels: Annotated[str | None, setting(Grid, "labels", form="Separated by commas: 700,1400.", read=numbers)] = None,
    noise: Annotated[str, setting(Grid, "noise", form="Separated by commas: 0,0.1.", read=numbers)] = "0",
    proportional_noise: Annotated[bool, setting(Grid, "proportional_noise")] = False,
    seeds: Annotated[int, setting(Grid, "seeds")] = 5,
    vary: Annotated[list[str] | None, setting(Grid, "vary", form="May be repeated.", metavar="KEY=A,B", checked=False)] = None,
    unlabeled: Annotated[Path | None, setting(Grid, "unlabeled")] = None,
    unlabeled_faces: Annotated[int | None, setting(Grid, "unlabeled_faces")] = None,
    own_unlabeled: Annotated[bool, setting(Grid, "own_unlabeled")] = True,
    also: Annotated[Path | None, setting(Grid, "also", metavar="FACESET")] = None,
    also_labels: Annotated[int | None, setting(Grid, "also_labels")] = None,
    control: Annotated[bool, setting(Grid, "control")] = False,
    model: Annotated[str | None, setting(Grid, "model")] = None,
    start: Annotated[str | None, setting(Grid, "start", metavar="MODEL")] = None,
    epochs: Annotated[int | None, setting(Grid, "epochs")] = None,
    set_: Changes = None,
    test_on: Annotated[Path | None, setting(Grid, "test_on", metavar="FACESET")] = None,
    shared_classes: Annotated[bool, setting(Grid, "shared_classes", "--shared-classes")] = False,
    split: Annotated[str | None, setting(Grid, "split", "--split", "--test-split")] = None,
    folds: Annotated[int | None, setting(Grid, "folds")] = None,
    fold_order: Annotated[str, setting(Grid, "fold_order")] = "balanced",
    device: Annotated[str, setting(Grid, "device")] = "auto",
    threads: Annotated[int | None, setting(Grid, "threads")] = None,
    jobs: Jobs = 1,
    cluster: Cluster = None,
    trust: Trust = False,
    as_json: Json = False,
) -> None:
    """Compare recipes over labels, noise, settings and seeds: tables, curves, and a report; goes on where it was."""
    from mien.experiments.compare import compare as run
    from mien.settings import settings_from

    changes, axes = key_values(set_, "--set"), _axes(vary or [])
    trust_typed(model, changes, axes, trusted=trust, recipes=comma_list(recipes))
    asked = {
        "recipes": comma_list(recipes), "labels_per_class": budgets(labels_per_class),
        "labels": [] if labels is None else numbers(labels), "noise": numbers(noise), "proportional_noise": proportional_noise,
        "seeds": seeds, "vary": axes, "unlabeled": unlabeled, "unlabeled_faces": unlabeled_faces, "own_unlabeled": own_unlabeled,
        "also": also, "also_labels": also_labels,
        "control": control, "model": model, "start": start, "epochs": epochs, "settings": changes, "test_on": test_on,
        "shared_classes": shared_classes,
        "split": split, "folds": folds, "fold_order": fold_order, "device": device, "threads": threads,
    }  # fmt: skip
    grid = settings_from(Grid, asked)
    with progress_bar(quiet=as_json, single=True) as bar:
        found = run(faceset, grid, out, bar, jobs, cluster)
    _print_compared(found, out, as_json)


def _print_compared(found: "Comparison", out: Path, as_json: bool) -> None:
    """Print the tables and where they are; the command ends with exit code 1 where a run failed."""
    from mien.cli.result_tables import comparison_tables

    files = [out / name for name in ("table.csv", "runs.csv", "report.html")]
    print_result(as_json, found.to_json(), *comparison_tables(found), *files)
    if found.failed:
        raise typer.Exit(1)


def _axes(given: list[str]) -> list[dict[str, Any]]:
    """What is varied, in order, of `KEY=A,B` texts."""
    pairs = [pair for text in given for pair in key_values([text], "--vary").items()]
    return [{"key": key, "values": _values(values)} for key, values in pairs]


def _values(text: str) -> list[Any]:
    """`a,b`, or a JSON list without its brackets, as values."""
    from mien.json_toml import parse_word

    found = parse_word(f"[{text}]")
    return found if isinstance(found, list) else numbers(text)
