"""Commands about the tables of the five papers: what each shows, and the same measured by mien."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.cli.options import Cluster, Json, whole_number
from mien.cli.printing import note, print_result
from mien.wording import plain_text

if TYPE_CHECKING:
    from mien.cli.tables import TextTable
    from mien.experiments.paper_tables.entries import PaperTable, PrintedFigure
    from mien.experiments.paper_tables.made_table import MadeTable

tables = typer.Typer(no_args_is_help=True, help="The tables of the five papers: their figures, and the same measured by mien.")

TableId = Annotated[str, typer.Argument(metavar="ID", help="A table, as mien tables list names it: alt-1b.")]
Small = Annotated[bool, typer.Option("--small", help="Small recipes, faces of 48 pixels, few epochs: to see that all works.")]
Seeds = Annotated[int, whole_number("How many seeds.")]
Jobs = Annotated[int, whole_number("Runs at a time of a comparison.", 1, 1000)]
Split = Annotated[
    str | None,
    typer.Option(
        help="Split of FER2013 and FER+ to test on, for copies without PrivateTest: PublicTest.", show_default="PrivateTest"
    ),
]
DATA = "Folder of the databases; each lies in a folder of its name, as mien databases says."


@tables.command("list")
def list_(
    data: Annotated[Path | None, typer.Option(help=f"{DATA} Says which are there.")] = None,
    as_json: Json = False,
) -> None:
    """List the papers' tables: what they show, on which databases, and whether mien can make them."""
    from mien.experiments.paper_tables.entries import read_tables

    known = read_tables()
    values = [
        {
            "id": one.id,
            "paper": one.paper,
            "title": one.title,
            "databases": one.databases,
            "further": one.further,
            "can_be_made": one.can_be_made,
            **({} if data is None else {"there": one.there(data), "missing": one.missing(data)}),
        }
        for one in known
    ]
    print_result(as_json, {"tables": values}, _listed(known, data), "mien tables show ID prints one of them")


@tables.command()
def show(
    table: TableId,
    data: Annotated[Path | None, typer.Option(help=f"{DATA} Unless given, all are taken for there.")] = None,
    out: Annotated[str, typer.Option(help="Folder for what is made, as the commands name it.")] = "OUT",
    small: Small = False,
    seeds: Seeds = 5,
    jobs: Jobs = 1,
    split: Split = None,
    as_json: Json = False,
) -> None:
    """Show a table: how it is measured, its figures as printed, and the commands that measure the same."""
    from mien.experiments.paper_tables.commands import TableRequest, commands_of
    from mien.experiments.paper_tables.entries import find_table

    found = find_table(table)
    there = found.databases + found.further if data is None else found.there(data)
    asked = TableRequest("DATA" if data is None else str(data), out, seeds, jobs, small, there, split)
    given = [str(command) for command in commands_of(found, asked)]
    values = {
        **{name: getattr(found, name) for name in ("id", "paper", "title", "protocol", "departs", "databases", "further")},
        "can_be_made": found.can_be_made,
        "figures": found.figures,
        "commands": given,
    }
    told = [f"{found.paper}: {found.title}", found.protocol, found.departs and f"here otherwise: {found.departs}"]
    told += [f"databases: {_databases(found)}"]
    print_result(as_json, values, *filter(None, told), _printed(found), *given)


def _databases(table: "PaperTable") -> str:
    """The databases of a table, in words."""
    further = ", ".join(table.further)
    if not table.databases:
        return f"any of {further}"
    return ", ".join(table.databases) + (f"; if at hand {further}" if further else "")


@tables.command()
def run(
    context: typer.Context,
    table: TableId,
    data: Annotated[Path, typer.Option(help=DATA)],
    out: Annotated[Path, typer.Option(help="A new folder, or one in which the same table was begun, which goes on.")],
    small: Small = False,
    seeds: Seeds = 5,
    jobs: Jobs = 1,
    split: Split = None,
    cluster: Cluster = None,
    as_json: Json = False,
) -> None:
    """Measure a table by its commands, and print what is published beside what was measured; goes on where it was.

    What the commands print goes to standard error.
    """
    from mien.experiments.paper_tables.commands import TableRequest
    from mien.experiments.paper_tables.entries import find_table
    from mien.experiments.paper_tables.run_table import make_table

    asked = TableRequest(str(data), str(out), seeds, jobs, small, split=split, cluster=cluster)
    made = make_table(find_table(table), asked, _runner(context), note)
    files = [out / name for name in ("table.csv", "report.html")]
    values = {"table": made.table.id, "small": small, "figures": made.rows(), "notes": made.notes, "failed": made.failed}
    print_result(as_json, values, _measured(made), *map(plain_text, made.notes), *files)
    if made.failed:
        raise typer.Exit(1)


def _runner(context: typer.Context) -> Callable[[Sequence[str]], int]:
    """A function that gives a command of mien in this process, and gives its exit code."""
    top = context.find_root().command

    def give(words: Sequence[str]) -> int:
        return int(top.main(list(words), prog_name="mien", standalone_mode=False) or 0)

    return give


def _listed(known: "Sequence[PaperTable]", data: Path | None) -> "TextTable":
    """All tables, a row each."""
    from mien.cli.tables import narrow_table

    table = narrow_table("id", "shows", "databases", *([] if data is None else ["there"]), title="tables of the papers")
    for one in known:
        made = "" if one.can_be_made == "yes" else f"; mien makes it: {one.can_be_made}"
        made += f"; does not read {', '.join(one.unreadable)}" if one.unreadable else ""
        there = [] if data is None else [", ".join(one.there(data)) or "none"]
        table.add_row(one.id, f"{one.paper.partition(' (')[0]}: {one.title}{made}", _databases(one), *there)
    return table


def _printed(found: "PaperTable") -> "TextTable":
    """The figures of a table as they are printed."""
    from mien.cli.tables import narrow_table

    table = narrow_table("method", "faces", "figure", "published", "recipe here", title=found.id)
    for one in found.figures:
        table.add_row(_method(one), one.database, one.what, _with_sign(one.figure, one), one.recipe)
    return table


def _measured(made: "MadeTable") -> "TextTable":
    """What was measured beside what is printed."""
    from mien.cli.tables import narrow_table

    headers = ("method", "faces", "figure", "published", "measured", "difference", "seeds")
    intervals = f", with 95 % intervals over {made.intervals}" if made.intervals else ""
    table = narrow_table(*headers, title=f"{made.table.id}{intervals}")
    for one in made.figures:
        printed, known = one.printed, one.mean == one.mean
        interval = f" ({one.low:.2f} to {one.high:.2f})" if one.low == one.low else ""
        measured = (f"{one.mean:.2f}{interval}", f"{one.difference:+.2f}", str(one.seeds)) if known else ("-", "", "")
        table.add_row(_method(printed), printed.database, printed.what, _with_sign(printed.figure, printed), *measured)
    return table


def _method(figure: "PrintedFigure") -> str:
    """The method of a figure, and what else tells it from its neighbors."""
    return ", ".join(filter(None, (figure.method, figure.setting)))


def _with_sign(text: str, figure: "PrintedFigure") -> str:
    return f"{text} %" if figure.unit == "%" else text
