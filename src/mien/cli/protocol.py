"""The command that runs whole protocols: of a published database, or across several face sets."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.cli.options import Cluster, Jobs, Json, Trust, comma_list, key_values, setting, trust_typed, whole_number
from mien.cli.printing import print_result
from mien.experiments.settings import Grid
from mien.progress import progress_bar
from mien.wording import percent

if TYPE_CHECKING:
    from mien.cli.tables import TextTable
    from mien.experiments.protocols import CrossFigure


def protocol(
    name: Annotated[str, typer.Argument(metavar="NAME", help="DATABASE:PROTOCOL, as mien databases lists them, or cross.")],
    faces: Annotated[
        list[Path], typer.Argument(metavar="FACES...", help="The database's folder; for cross, two face sets or more.")
    ],
    recipes: Annotated[str, setting(Grid, "recipes", form="Separated by commas: a,b,c.", read=comma_list)],
    out: Annotated[Path, typer.Option(help="A new folder, or that of an earlier call, which goes on.")],
    seeds: Annotated[int, setting(Grid, "seeds")] = 5,
    unlabeled: Annotated[
        bool, typer.Option("--unlabeled", help="For cross: learn from training faces of the set that is tested on, unlabeled.")
    ] = False,
    also: Annotated[Path | None, setting(Grid, "also", metavar="FACESET")] = None,
    also_labels: Annotated[int | None, setting(Grid, "also_labels")] = None,
    model: Annotated[str | None, setting(Grid, "model")] = None,
    epochs: Annotated[int | None, setting(Grid, "epochs")] = None,
    set_: Annotated[
        list[str] | None, setting(Grid, "settings", "--set", form="May be repeated.", metavar="KEY=VALUE", checked=False)
    ] = None,
    folds: Annotated[int | None, setting(Grid, "folds")] = None,
    fold_order: Annotated[str, setting(Grid, "fold_order")] = "balanced",
    device: Annotated[str, setting(Grid, "device")] = "auto",
    threads: Annotated[int | None, setting(Grid, "threads")] = None,
    jobs: Jobs = 1,
    cluster: Cluster = None,
    skip: Annotated[int, whole_number("How many pictures of the database may be left out since they cannot be read.", 0)] = 0,
    trust: Trust = False,
    as_json: Json = False,
) -> None:
    """Measure recipes on a published database as papers do; or train on each of several sets and test on each other one."""
    from mien.cli.result_tables import comparison_tables
    from mien.experiments.protocols import CROSS, cross_database, run_protocol
    from mien.settings import settings_from

    changes = key_values(set_, "--set")
    trust_typed(model, changes, [], trusted=trust, recipes=comma_list(recipes))
    asked = {"recipes": comma_list(recipes), "seeds": seeds, "model": model, "epochs": epochs, "settings": changes}
    asked |= {"also": also, "also_labels": also_labels, "folds": folds, "fold_order": fold_order}
    grid = settings_from(Grid, asked | {"device": device, "threads": threads})
    if name == "cross":
        with progress_bar(quiet=as_json, single=True) as bar:
            figures = cross_database(faces, grid, out, bar, jobs, cluster, unlabeled)
        print_result(as_json, {"figures": _values(figures), "out": str(out / CROSS)}, *_cross_tables(figures), out / CROSS)
        if any(one.failed for one in figures):
            raise typer.Exit(1)
        return
    if unlabeled:
        raise typer.BadParameter("expected cross, which tests on other sets", param_hint="--unlabeled")
    if len(faces) != 1:
        raise typer.BadParameter(f"expected the folder of one database, found {len(faces)}", param_hint="FACES")
    with progress_bar(quiet=as_json, single=True) as bar:
        found = run_protocol(name, faces[0], grid, out, bar, jobs, skip, cluster)
    print_result(as_json, found.to_json(), *comparison_tables(found), out / "comparison" / "report.html")
    if found.failed:
        raise typer.Exit(1)


def _values(figures: "tuple[CrossFigure, ...]") -> list[object]:
    from mien.json_text import plain_values

    return [plain_values(figure) for figure in figures]


def _cross_tables(figures: "tuple[CrossFigure, ...]") -> "list[TextTable | str]":
    """For each recipe accuracy by the set that was learned from and the one that was tested on."""
    from mien.cli.tables import TextTable
    from mien.experiments.protocols import cross_table

    names = list(dict.fromkeys(figure.train for figure in figures))
    told: list[TextTable | str] = []
    for recipe, found in cross_table(figures).items():
        table = TextTable("trained on", *names, title=recipe)
        for train in names:
            lines = [found.get((train, test)) for test in names]
            table.add_row(train, *("-" if line is None else percent(line.accuracy.mean) for line in lines))
        told.append(table)
    told.append("accuracy: a row is what was learned from, a column what was tested on")
    told += dict.fromkeys(f"{one.train} to {one.test}: {note}" for one in figures for note in one.notes)
    return [*told, *(f"{one.train} to {one.test}, {one.line.recipe} failed: {why}" for one in figures for why in one.failed)]
