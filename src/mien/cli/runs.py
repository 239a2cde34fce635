"""The command that lists runs."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.cli.options import Json
from mien.cli.printing import print_result, warn
from mien.wording import percent, short_name

if TYPE_CHECKING:
    from mien.cli.tables import TextTable
    from mien.experiments.list_runs import ListedRun


def runs(
    folder: Annotated[Path, typer.Argument(metavar="[DIR]", help="Folder of runs; those below it are found, too.")] = Path("."),
    as_json: Json = False,
) -> None:
    """List runs: recipe, seed, labels, epochs, and accuracy on validation and test faces."""
    from mien.experiments.list_runs import list_runs

    found = list_runs(folder)
    print_result(as_json, {"runs": [one.to_json() for one in found]}, _table(found, folder))
    for one in found:
        warn(one.fault)


def _table(found: "tuple[ListedRun, ...]", folder: Path) -> "TextTable":
    from mien.cli.tables import narrow_table

    table = narrow_table("run", "recipe", "seed", "labels", "epochs", "validation", "test", title=f"runs in {folder}")
    for one in found:
        left = Path(one.run).relative_to(folder) if Path(one.run).is_relative_to(folder) else Path(one.run)
        name = str(left) if left.parts else one.run
        if one.fault:
            table.add_row(name, "cannot be read")
            continue
        epochs = f"{one.epochs} of {one.of_epochs}" + ("" if one.finished else ", unfinished")
        validation = "-" if one.validation_accuracy is None else percent(one.validation_accuracy)
        tests = ", ".join(
            percent(value) + ("" if split == "test" else f" on {short_name(split)}") for split, value in one.tests.items()
        )
        table.add_row(name, short_name(one.recipe), str(one.seed), str(one.labels), epochs, validation, tests or "-")
    return table
