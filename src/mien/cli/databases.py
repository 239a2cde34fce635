"""The command that tells of published databases: what each holds, its terms, how to get it, and where it must lie."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from mien.cli.options import Json
from mien.cli.printing import print_result

if TYPE_CHECKING:
    from mien.cli.tables import TextTable
    from mien.data.database import Database


HELD = "classes and faces are those that mien reads unless told otherwise; - where nobody publishes how many faces there are"
"""What stands below the list."""


def databases(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="One of them, to see how to get it and what it holds.")
    ] = None,
    as_json: Json = False,
) -> None:
    """List the published databases that mien reads; or say of one what to get, and where it must lie."""
    from mien.cli.tables import TextTable
    from mien.data.importing import database_contents, known_databases

    known = known_databases()
    if name is None:
        table = TextTable("name", "database", "classes", "faces", "terms")
        for key, facts in known.items():
            held = database_contents(key)
            # Of a split that a protocol tests on there may be no published number: then there are more faces.
            more = any(one.test not in ("", *held.counts) for one in facts.protocols.values())
            count = f"{sum(held.by_split.values()):,}{'+' if more else ''}" if held.counts else "-"
            table.add_row(key, facts.title, str(len(held.classes) or "none"), count, facts.terms)
        values: dict[str, Any] = {"databases": {key: _values(key, facts) for key, facts in known.items()}}
        print_result(as_json, values, table, HELD, "mien databases NAME says how to get one, and where its files must lie")
        return
    from mien.errors import MienError
    from mien.wording import with_suggestion

    if name not in known:
        raise MienError(f"one of {', '.join(known)}", with_suggestion(name, known), "choose one of those")
    print_result(as_json, _values(name, known[name]), *_told(name, known[name]))


def _values(name: str, facts: "Database") -> dict[str, Any]:
    from mien.data.importing import database_contents
    from mien.json_text import plain_values

    held = database_contents(name)
    made: dict[str, Any] = plain_values(facts)
    return made | {"classes": list(held.classes), "counts": plain_values(held.counts)}


def _held(name: str) -> list[str]:
    """The classes of a database, and the published numbers of its faces, in lines."""
    from mien.data.importing import database_contents

    held = database_contents(name)
    told = [f"classes: {', '.join(held.classes) or 'none, its faces have no labels of expressions'}"]
    for split, total in held.by_split.items():
        each = ", ".join(f"{label} {count:,}" for label, count in held.counts[split].items() if label)
        told.append(f"{split or 'faces'}: {total:,}" + (f" ({each})" if each else ""))
    return told if held.counts else [*told, "faces: no numbers are published"]


def _told(name: str, facts: "Database") -> "list[str | TextTable]":
    from mien.cli.tables import TextTable

    protocols = TextTable("protocol", "how it measures", "settings", "papers")
    for key, one in facts.protocols.items():
        settings = " ".join(f"--set {setting}={value}" for setting, value in one.settings.items())
        folds = f"{one.folds} folds: " if one.folds else ""
        protocols.add_row(key, f"{folds}{one.about}", settings, ", ".join(one.papers))
    told: list[str | TextTable] = [facts.title, facts.about, *_held(name), f"terms: {facts.terms}", f"to get it: {facts.get}"]
    told += [f"cite: {facts.citation}", "in its folder:"]
    told += [f"  {place.path}: {place.holds}" for place in facts.places]
    told.append(f"this layout is known from {facts.layout_source or 'no source that can be named: tell us where it differs'}")
    told += [protocols] if facts.protocols else []
    told.append(f"mien import {name} FOLDER OUT, with the settings of a protocol where you follow one")
    return [*told, *([f"mien protocol {name}:PROTOCOL FOLDER --recipes A,B --out OUT does all of it"] if facts.measured else [])]
