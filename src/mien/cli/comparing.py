"""Commands that train and measure many times."""

from pathlib import Path
from typing import Annotated, Any

import typer

from mien.cli.shared import (
    Device,
    FaceSetPath,
    Json,
    OwnUnlabeled,
    Settings,
    Start,
    TestSplit,
    Threads,
    Trust,
    pairs,
    print_json,
    say,
    typed,
    whole,
)


def compare(
    faceset: FaceSetPath,
    recipes: Annotated[str, typer.Option(help="Names or TOML files: a,b,c. Differences are to the first.")],
    out: Annotated[Path, typer.Option(help="A new folder, or that of an earlier comparison, which goes on.")],
    labels_per_class: Annotated[str, typer.Option(help="Label budgets per class, validation included: 10,25,all.")] = "all",
    noise: Annotated[str, typer.Option(help="Shares of the given labels to flip: 0,0.1.")] = "0",
    seeds: Annotated[int, whole("How many seeds.")] = 5,
    vary: Annotated[
        list[str] | None, typer.Option(metavar="KEY=A,B", help="Vary a recipe's value as well; may be repeated.")
    ] = None,
    unlabeled: Annotated[Path | None, typer.Option(help="A further face set, used without its labels.")] = None,
    unlabeled_faces: Annotated[int | None, whole("How many faces without labels; all unless said.")] = None,
    own_unlabeled: OwnUnlabeled = True,
    model: Annotated[str | None, typer.Option(help="Another network for every recipe.")] = None,
    start: Start = None,
    epochs: Annotated[int | None, whole("Epochs in all, for every recipe.")] = None,
    set_: Settings = None,
    split: TestSplit = None,
    device: Device = "auto",
    threads: Threads = None,
    trust: Trust = False,
    as_json: Json = False,
) -> None:
    """Compare recipes over labels, noise, settings and seeds: tables, curves, and a report; goes on where it was."""
    from mien.cli.console import Bar, comparison_tables, show
    from mien.experiments.compare import compare as run
    from mien.experiments.grid import Grid
    from mien.json_toml import parse_word
    from mien.settings import settings_from

    changes, axes = pairs(set_, "--set"), [{"key": key, "values": _values(values)} for key, values in _axes(vary or [])]
    typed(model, changes, axes, trusted=trust, recipes=_parts(recipes))
    asked = {
        "recipes": _parts(recipes),
        "labels_per_class": [None if part == "all" else parse_word(part) for part in _parts(labels_per_class)],
        "noise": [parse_word(part) for part in _parts(noise)],
        "seeds": seeds,
        "vary": axes,
        "unlabeled": unlabeled,
        "unlabeled_faces": unlabeled_faces,
        "own_unlabeled": own_unlabeled,
        "model": model,
        "start": start,
        "epochs": epochs,
        "settings": changes,
        "split": split,
        "device": device,
        "threads": threads,
    }
    grid = settings_from(Grid, asked)
    with Bar(quiet=as_json, single=True) as bar:
        found = run(faceset, grid, out, bar)
    if as_json:
        print_json(found.to_json())
    else:
        for table in comparison_tables(found):
            show(table)
        say(*(out / name for name in ("table.csv", "runs.csv", "report.html")), sep="\n")
    if found.failed:
        raise typer.Exit(1)


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _axes(given: list[str]) -> list[tuple[str, str]]:
    """`key=values` texts as pairs, in order."""
    return [pair for text in given for pair in pairs([text], "--vary").items()]


def _values(text: str) -> list[Any]:
    """`a,b`, or a JSON list without its brackets, as values."""
    from mien.json_toml import parse_word

    found = parse_word(f"[{text}]")
    return found if isinstance(found, list) else [parse_word(part) for part in _parts(text)]
