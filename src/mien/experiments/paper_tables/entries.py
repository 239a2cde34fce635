"""What each table of the papers shows and how mien makes it: read from a TOML file for each paper, which lie beside this one."""

import tomllib
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from mien.data.database import Database, holds_some
from mien.data.importing import known_databases
from mien.errors import MienError
from mien.settings import STRICT, CountOrZero, settings_from
from mien.wording import with_suggestion

ROOM = "mien.experiments.paper_tables"
FILES = ("alt.toml", "st_sw.toml", "sna.toml", "fn2en.toml", "dal.toml")

Unit = Literal["%", "share", ""]
"""Figures are percentages, shares from 0 to 1, or numbers of something."""


@dataclass(frozen=True, config=STRICT)
class PrintedFigure:
    """One figure of a table, and where the same is found among what mien's commands leave."""

    method: str
    """The row's name in the paper."""
    figure: Annotated[str, Field(pattern=r"^[+-]?\d+(\.\d+)?$")]
    """The figure, letter by letter as it is printed, without a sign of percent."""
    what: str
    """What it is: accuracy, average accuracy, faces."""
    unit: Unit = "%"
    network: str = ""
    """The network's name in the paper; empty where the table does not say it."""
    database: str = ""
    """The source whose faces it was measured on."""
    setting: str = ""
    """What else tells this figure from its neighbors, in words."""
    recipe: str = ""
    """The recipe that does the same; empty where none of mien's does."""
    file: str = ""
    """The file that holds what was measured, below OUT: a CSV or JSON file; empty where nothing measures it.

    `{seed}` and `{fold}` stand for each of them: the figure is then the mean of several files.
    """
    where: dict[str, Any] = Field(default_factory=dict)
    """Values that the row of a CSV file has, by column."""
    value: str = ""
    """The column of a CSV file, or the keys of a JSON file with dots between them."""


@dataclass(frozen=True, config=STRICT)
class TableStep:
    """A mien command of a table. `{data}`, `{out}`, `{seeds}`, `{jobs}`, `{seed}` and `{fold}` stand for what is asked."""

    words: str
    """The command's words, as they would be typed, without `mien`."""
    small: str = ""
    """Options that its small form has as well, or in place of those of the same name."""
    only_full: bool = False
    """Whether the small form leaves this step out."""
    needs: tuple[str, ...] = ()
    """Databases without which this step is left out."""
    where_there: dict[str, str] = Field(default_factory=dict)
    """Options that are added where a database is at hand, by its name."""
    where_missing: dict[str, str] = Field(default_factory=dict)
    """Options that are added where a database is not at hand, by its name."""
    prints: str = ""
    """The file below OUT that keeps what the command prints."""


@dataclass(frozen=True, config=STRICT)
class PaperTable:
    """A numbered table of a paper."""

    id: Annotated[str, Field(pattern=r"^[a-z0-9-]+$")]
    """Its name in mien: the paper's and the table's number."""
    paper: str
    """The paper, by its short name, authors and year."""
    title: str
    """What it shows."""
    protocol: str
    """How the paper measures, in a sentence."""
    departs: str
    """What mien's commands do otherwise; empty where nothing is known."""
    databases: tuple[str, ...]
    """Sources without which none of it can be made; each lies in DATA/NAME."""
    further: tuple[str, ...]
    """Sources that are taken where they are at hand: without one, a part is missing, or learned from fewer faces."""
    folds: CountOrZero
    """Number of folds that come with a database, which steps with `{fold}` go through; 0 for none."""
    steps: Annotated[tuple[TableStep, ...], Field(min_length=1)]
    figures: Annotated[tuple[PrintedFigure, ...], Field(min_length=1)]

    @property
    def unreadable(self) -> tuple[str, ...]:
        """The table's databases, further ones included, that mien cannot read."""
        known = readable()
        return tuple(name for name in (*self.databases, *self.further) if name not in known)

    @property
    def can_be_made(self) -> Literal["yes", "in part", "no"]:
        """Whether mien reads all of its databases; `in part`: all that it cannot do without, and any at all."""
        unread = set(self.unreadable)
        if unread & set(self.databases) or (unread and unread == {*self.databases, *self.further}):
            return "no"
        return "in part" if unread else "yes"

    def missing(self, data: Path) -> tuple[str, ...]:
        """The table's databases of which nothing lies in the folder `data`."""
        return tuple(name for name in self.databases if not _lies_in(data, name))

    def there(self, data: Path) -> tuple[str, ...]:
        """All of its databases that mien reads and of which something lies in the folder `data`."""
        known = readable()
        return tuple(name for name in (*self.databases, *self.further) if name in known and _lies_in(data, name))


@cache
def _facts() -> dict[str, Database]:
    """What is known of the databases that mien reads."""
    return known_databases()


@cache
def readable() -> frozenset[str]:
    """Names of the databases that mien reads."""
    return frozenset(_facts())


@cache
def read_tables() -> tuple[PaperTable, ...]:
    """All tables of the papers that mien knows of, paper by paper."""
    return tuple(table for name in FILES for table in _tables_of(name))


def _lies_in(data: Path, name: str) -> bool:
    """Whether files of a database, where its source looks for them, are in its folder of `data`."""
    facts = _facts().get(name)
    return (data / name).exists() if facts is None else holds_some(data / name, facts.places)


def find_table(name: str) -> PaperTable:
    """The table of this id, in small or capital letters. Raises MienError where there is none."""
    tables, name = {table.id: table for table in read_tables()}, name.lower()
    if name not in tables:
        raise MienError("the id of a table of the papers", with_suggestion(name, tables), "mien tables list shows them all")
    return tables[name]


def _tables_of(name: str) -> list[PaperTable]:
    content = tomllib.loads((resources.files(ROOM) / name).read_text("utf-8"))
    return [_table(content["paper"], table) for table in content["tables"]]


def _table(paper: str, values: dict[str, Any]) -> PaperTable:
    """A table of its values in a file, in which figures that share some values stand in groups."""
    plain: dict[str, Any] = {"paper": paper, "departs": "", "further": (), "folds": 0} | values
    groups = plain.pop("groups")
    plain["figures"] = [figure for group in groups for figure in _figures(group)]
    return settings_from(PaperTable, plain)


def _figures(group: dict[str, Any]) -> list[dict[str, Any]]:
    """The figures of a group. A confusion matrix is one figure for each of its cells."""
    shared = {key: value for key, value in group.items() if key not in ("figures", "matrix", "classes")}
    found = [shared | figure for figure in group.get("figures", ())]
    for i, row in enumerate(group.get("matrix", ())):
        for j, figure in enumerate(row):
            pair = f"{group['classes'][i]} called {group['classes'][j]}"
            found.append(shared | {"method": pair, "figure": figure, "value": f"confusion.{i}.{j}"})
    return found
