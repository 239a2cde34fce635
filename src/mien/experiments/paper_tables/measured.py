"""Finds what was measured beside each printed figure of a table, in the files that its commands left."""

import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mien.experiments.paper_tables.commands import TableRequest, filled, repeats, small_recipe
from mien.experiments.paper_tables.entries import PaperTable, PrintedFigure
from mien.experiments.seed_statistics import mean_with_interval
from mien.json_toml import parse_word, read_json

NAN = float("nan")
DAMAGED = "remove it, and give the same command again"
SCALES = {"%": 100.0, "share": 1.0, "": 1.0}
"""What a measured share is multiplied by, to stand beside a figure of a unit."""


@dataclass(frozen=True)
class MeasuredFigure:
    """A printed figure and what was measured, both in the figure's unit; nan where nothing was."""

    printed: PrintedFigure
    recipe: str
    """The recipe that was measured; empty where none was."""
    network: str
    """The network that was measured; empty where no file says it."""
    seeds: int
    mean: float
    low: float
    """Lower end of the 95 % interval over seeds or folds; nan for fewer than three of them."""
    high: float
    """Upper end of that interval."""
    over: str = ""
    """What the interval is over, `seeds` or `folds`; empty where there is none."""

    @property
    def published(self) -> float:
        """The printed figure as a number."""
        return float(self.printed.figure)

    @property
    def difference(self) -> float:
        """What was measured minus what was published; nan where nothing was."""
        return self.mean - self.published


def measure_figures(table: PaperTable, asked: TableRequest) -> list[MeasuredFigure]:
    """Each figure of a table with what was measured, as far as there is anything yet."""
    return [_measure(table, figure, asked) for figure in table.figures]


def _measure(table: PaperTable, figure: PrintedFigure, asked: TableRequest) -> MeasuredFigure:
    recipe = small_recipe(figure.recipe) if asked.small and figure.recipe else figure.recipe
    nothing = MeasuredFigure(figure, "", "", 0, NAN, NAN, NAN)
    if not figure.file:
        return nothing
    marks = repeats(figure.file, table, asked.seeds)
    files = [Path(asked.out) / filled(figure.file, each) for each in marks]
    found = [_read(file, figure, recipe) for file in files if file.is_file()]
    values = [row for row in found if not math.isnan(row["mean"])]
    if not values:
        return nothing
    scale, networks = SCALES[figure.unit], sorted({row["network"] for row in values if row["network"]})
    mean, low, high, seeds = (values[0][name] for name in ("mean", "low", "high", "seeds"))
    over = "folds" if "{fold}" in figure.file else "seeds"
    if len(marks) > 1:
        # Of each fold there is one file for all seeds, of which the mean counts; of each seed one file.
        spread = mean_with_interval(row["mean"] for row in values)
        mean, low, high = spread.mean, spread.low, spread.high
        seeds = len({each["seed"] for each in marks}) if "{seed}" in figure.file else seeds
    over = "" if math.isnan(low) else over
    return MeasuredFigure(figure, recipe, ", ".join(networks), int(seeds), mean * scale, low * scale, high * scale, over)


def _read(file: Path, figure: PrintedFigure, recipe: str) -> dict[str, Any]:
    """Mean, low, high and seeds of a file, and the network that it names."""
    if file.suffix == ".json":
        value = _value_at(read_json(file, DAMAGED), figure.value.split("."))
        return {"mean": value, "low": NAN, "high": NAN, "seeds": 1, "network": _network_of_run(file)}
    rows = _rows(file)
    # Rounds are of one recipe, which their table does not name.
    wanted = ({"recipe": recipe} if rows and "recipe" in rows[0] else {}) | figure.where
    row = next((one for one in rows if _is(one, wanted)), {})
    found = {end: _number(row.get(f"{figure.value}{end and '_'}{end}", "")) for end in ("", "low", "high")}
    named = (one.get("network", "") for one in _rows(file.with_name("runs.csv")) if _is(one, wanted))
    return {
        "mean": found[""],
        "low": found["low"],
        "high": found["high"],
        "seeds": int(_number(row.get("seeds", "")) if row else 0),
        "network": next(named, ""),
    }


def _rows(file: Path) -> list[dict[str, str]]:
    if not file.is_file():
        return []
    with file.open(newline="", encoding="utf-8") as opened:
        return list(csv.DictReader(opened))


def _is(row: Mapping[str, str], wanted: Mapping[str, Any]) -> bool:
    """Whether a row of a CSV file has these values; lists stand there as JSON."""
    return all(key in row and (row[key] == str(value) or parse_word(row[key]) == value) for key, value in wanted.items())


def _number(text: str) -> float:
    return float(text) if text else NAN


def _value_at(values: Any, keys: list[str]) -> float:
    """The number at these keys, nan where there is none; `*` sums over all keys; of a confusion matrix the share of its row."""
    if keys and keys[0] == "confusion":
        row = values["confusion"][int(keys[1])]
        return float(row[int(keys[2])]) / sum(row) if sum(row) else NAN
    if keys and keys[0] == "*":
        return float(sum(_value_at(values, [key, *keys[1:]]) for key in values))
    if keys:
        return _value_at(values.get(keys[0]), keys[1:]) if isinstance(values, dict) else NAN
    return NAN if values is None else float(values)


def _network_of_run(file: Path) -> str:
    """The network of the run RUN, whose figures are in RUN.json or RUN-evaluation/metrics.json; empty where it is not there."""
    run = (
        file.with_suffix("")
        if file.name != "metrics.json"
        else file.parent.with_name(file.parent.name.removesuffix("-evaluation"))
    )
    card = run / "model" / "model.json"
    network = read_json(card, DAMAGED).get("network") if card.is_file() else None
    return str(network.get("network", "")) if isinstance(network, dict) else ""
