"""What `mien consistency --moves` measures and prints: how often a run's answers flip where faces move a little."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from mien.cli.printing import print_result
from mien.progress import progress_bar
from mien.wording import percent, percentage_points, quantity

if TYPE_CHECKING:
    from mien.cli.tables import TextTable
    from mien.evaluation.flip_rates import FlipDifference, FlipRates

COLUMNS = {"shift": "shifted", "turn": "turned", "light": "other light", "all": "all"}
"""Heads of the columns, by the kind of move."""


def print_flip_rates(
    run: Path, faceset: Path, split: str | None, draws: int, seed: int, device: str, against: Path | None, as_json: bool
) -> None:
    """Measure a run's flip rates, and another one's on the same moves where it is named, and print them."""
    from mien.evaluation.flip_rates import flip_differences, measure_flip_rates

    with progress_bar(quiet=as_json, single=True) as bar:
        mine = measure_flip_rates(run, faceset, split, None, draws, seed, device, bar)
        other = None if against is None else measure_flip_rates(against, faceset, split, None, draws, seed, device, bar)
    values: dict[str, Any] = mine.to_json()
    parts = [f"{mine.dataset}, {mine.split}", *flip_lines(mine)]
    if other is not None:
        from mien.json_text import plain_values

        found = flip_differences(mine, other)
        values |= {"against": str(against), "differences": plain_values(found)}
        parts += [f"minus the flip rates of {against}, on the same moves", _differences_table(found)]
    print_result(as_json, values, *parts)


def flip_lines(found: "FlipRates") -> "list[str | TextTable]":
    """How often answers flip, as a line, a table, and how far faces were moved."""
    return ["how often answers flip where faces move a little", _rates_table(found), _moved(found)]


def _rates_table(found: "FlipRates") -> "TextTable":
    """Flip rates by class and kind of move, and of all faces, each with its interval below."""
    from mien.cli.tables import TextTable, percent_interval

    table = TextTable("class", "faces", *COLUMNS.values())
    for name, rates in [*found.classes.items(), ("all", found.overall)]:
        count = rates["all"].count
        table.add_row(name, str(count), *(percent(rates[kind].share) if count else "-" for kind in COLUMNS))
        if count:
            table.add_row("95 % interval", "", *(percent_interval(rates[kind].interval) for kind in COLUMNS))
    return table


def _differences_table(found: "dict[str, FlipDifference]") -> "TextTable":
    """Paired differences by kind of move, with intervals."""
    from mien.cli.tables import TextTable

    table = TextTable("", *COLUMNS.values())
    table.add_row("difference", *(percentage_points(found[kind].mean) for kind in COLUMNS))
    intervals = (found[kind].interval for kind in COLUMNS)
    table.add_row("95 % interval", *(f"{percentage_points(one.low)} to {percentage_points(one.high)}" for one in intervals))
    return table


def _moved(found: "FlipRates") -> str:
    """How far faces were moved, in words."""
    sizes = found.sizes
    far = f"up to {sizes.pixels:g} pixels, {sizes.degrees:g} degrees, {percent(sizes.light, 0)} of brightness and contrast"
    return f"moves: {quantity(found.draws, 'move')} of each kind of each face, {far}"
