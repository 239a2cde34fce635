"""Whole protocols: a published database as papers measure on it; and sets trained on and tested on in every ordered pair."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import permutations
from pathlib import Path
from typing import Any

from mien.data.database import Database, PublishedProtocol
from mien.data.faceset import FaceSet
from mien.data.importing import import_source, known_databases, source_from
from mien.data.source import Source
from mien.data.splits import held_out_rows
from mien.disk import write_atomically
from mien.errors import MienError
from mien.experiments.compare import compare
from mien.experiments.comparison_result import Comparison
from mien.experiments.grid import make_plan, require_recipes
from mien.experiments.one_run import open_work
from mien.experiments.run_results import to_csv
from mien.experiments.seed_statistics import TableLine
from mien.experiments.settings import Grid
from mien.folders import claim, exclusive
from mien.progress import Progress, Silent
from mien.recognize.device import choose_device
from mien.wording import with_suggestion

STANDARD = "standard"
"""The protocol that is meant where a database has several and none is named."""
CROSS = "cross.csv"
"""The table of every ordered pair."""


@dataclass(frozen=True)
class CrossFigure:
    """A recipe trained on one set and tested on another."""

    train: str
    test: str
    line: TableLine
    """The recipe's figures over seeds."""
    notes: tuple[str, ...]
    """Which classes the two sets do not share, and what follows, in sentences."""
    failed: tuple[str, ...] = ()
    """Why runs of the recipe failed, each reason once."""


def find_protocol(name: str) -> tuple[str, Database, PublishedProtocol]:
    """The database and the protocol of `DATABASE:PROTOCOL`; without a name the only one, or `standard`.

    Raises MienError where one is unknown, with those that are known, and where its faces have no labels to measure by.
    """
    database, _, wanted = name.partition(":")
    every = known_databases()
    known = {key: facts for key, facts in every.items() if facts.measured}
    if database in every and every[database].protocols and database not in known:
        todo = f"import it, and give it to `unlabeled`: mien databases {database}"
        raise MienError("a database with labels of expressions, to measure by", f"{database}, without any", todo)
    if database not in known:
        raise MienError(f"a database with protocols: {', '.join(known)}", with_suggestion(database, known), "choose one of those")
    protocols = known[database].measured
    if not wanted and (len(protocols) == 1 or STANDARD in protocols):
        wanted = STANDARD if STANDARD in protocols else next(iter(protocols))
    if wanted not in protocols:
        listed = ", ".join(f"{database}:{each}" for each in protocols)
        raise MienError(f"a protocol of {database}: {listed}", with_suggestion(wanted, protocols), "choose one of those")
    return database, known[database], protocols[wanted]


def run_protocol(
    name: str,
    folder: Path,
    grid: Grid,
    out: Path,
    progress: Progress | None = None,
    jobs: int = 1,
    skip: int = 0,
    cluster: str | None = None,
) -> Comparison:
    """Compare the recipes of `grid` on a published database in the way of one of its protocols, `DATABASE:PROTOCOL`.

    `folder`: the database as its authors give it; it is imported into `out`/faces, once, with at most `skip` faulty inputs left
    out. Tested are the protocol's folds; where it has none, those of the grid, or else its test split. What validates becomes the
    split `validation` of that set. The comparison lies in `out`/comparison, and goes on there. Raises MienError as
    `find_protocol`, importing and `compare` do, where the database lacks a split of the protocol, and where `out` was begun
    with another protocol or folder; before anything is imported where a recipe or setting is wrong, or folds need people that
    the faces do not name.
    """
    database, _, protocol = find_protocol(name)
    source = source_from(database, {"input": folder, **protocol.settings})
    measured = _in_its_way(name, protocol, grid)
    require_recipes(measured)
    choose_device(measured.device)
    faces, bar = out / "faces", progress or Silent()
    if measured.folds and not faces.exists():
        _require_subjects(source, name)
    asked: dict[str, Any] = {"protocol": name, "folder": str(folder.resolve()), "settings": dict(protocol.settings)}
    if protocol.test:  # folders of before, in which another split was tested on, are not gone on with
        asked["splits"] = [protocol.validation, protocol.test]
    with exclusive(out):
        if not faces.exists():
            renamed = {protocol.validation: "validation"} if protocol.validation else {}
            for difference in import_source(source, faces, skip, splits=renamed).differences:
                bar.say(f"warning: not the published number of faces: {difference}")
            _require_splits(faces, name, protocol)
        claim(out / "protocol.json", asked, lambda written: written, "an earlier protocol", empty=False)
        return compare(FaceSet.open(faces), measured, out / "comparison", bar, jobs, cluster)


def _in_its_way(name: str, protocol: PublishedProtocol, grid: Grid) -> Grid:
    """The grid on the protocol's folds or test split. Raises MienError where other folds are asked for than it has."""
    if not protocol.folds:
        return replace(grid, split=protocol.test) if protocol.test and not grid.folds else grid
    if grid.folds not in (None, protocol.folds):
        raise MienError(f"the {protocol.folds} folds of {name}", f"{grid.folds}", "leave `folds` out")
    return replace(grid, folds=protocol.folds, fold_order="ascending" if protocol.ascending else "balanced")


def _require_subjects(source: Source, name: str) -> None:
    """Raises MienError where faces do not name people, of whom folds could be made; the first ones are read for that."""
    first = next((block for block in source.blocks() if len(block.faces)), None)
    if first is not None and "subject" not in first.columns:
        raise MienError(f"a database that says who is on its faces, to make folds of {name}", "none", "leave `folds` out")


def _require_splits(faces: Path, name: str, protocol: PublishedProtocol) -> None:
    """Raises MienError where the faces lack a split of the protocol; they are removed then, since another one needs others."""
    if not protocol.test:
        return
    ours = {"validation": protocol.validation} if protocol.validation else {}
    there = sorted({ours.get(split, str(split)) for split in FaceSet.open(faces).values("split") if split})
    lacked = [split for split in (protocol.test, protocol.validation) if split and split not in there]
    if not lacked:
        return
    shutil.rmtree(faces)
    database = name.partition(":")[0]
    others = [key for key, one in known_databases()[database].measured.items() if one.test in there and not one.validation]
    todo = f"measure by {database}:{others[0]} instead" if others else "complete the database"
    raise MienError(f"the split {lacked[0]} for {name}: {protocol.about}", ", ".join(there) or "no splits", todo)


def cross_database(
    sets: Sequence[Path],
    grid: Grid,
    out: Path,
    progress: Progress | None = None,
    jobs: int = 1,
    cluster: str | None = None,
    unlabeled: bool = False,
) -> tuple[CrossFigure, ...]:
    """Train on each set and test on each other one (ST+SW, Table III), into `out`: a comparison for each pair, and cross.csv.

    Tested on the other set's test split, or on all of it where it has none. Classes are matched by name. Only classes count that
    both sets have training faces of: faces of others are left out, which the notes say. `unlabeled`: the training faces of the
    set that is tested on are learned from as well, without their labels. Raises MienError where two sets have one name, and
    before anything is trained where a pair cannot be compared: a set is missing, or the two share no class.
    """
    names = [path.resolve().name for path in sets]
    if len(sets) < 2 or len(set(names)) < len(names):
        raise MienError("two sets or more, in folders of different names", ", ".join(names), "name others, or rename a folder")
    choose_device(grid.device)
    pairs = [_pair(one, other, grid, out, unlabeled) for one, other in permutations(zip(names, sets, strict=True), 2)]
    bar, figures = progress or Silent(), list[CrossFigure]()
    for pair in pairs:
        bar.say(f"trained on {pair.train}, tested on {pair.test}")
        found = compare(pair.faces, pair.grid, out / f"{pair.train}_to_{pair.test}", bar, jobs, cluster)
        figures += [CrossFigure(pair.train, pair.test, line, found.notes, _reasons(found, line)) for line in found.lines]
        write_atomically(out / CROSS, to_csv([_row(figure) for figure in figures]).encode())
    return tuple(figures)


@dataclass(frozen=True)
class _Pair:
    """A set to train on and one to test on, by name, and what is compared on them."""

    train: str
    test: str
    faces: Path
    grid: Grid


def _pair(mine: tuple[str, Path], other: tuple[str, Path], grid: Grid, out: Path, unlabeled: bool) -> _Pair:
    """A pair of named sets. Raises MienError that names both where they cannot be compared."""
    (train, faces), (test, place) = mine, other
    try:
        pool = place if unlabeled else grid.unlabeled
        asked = replace(grid, test_on=place, split=_split_of(FaceSet.open(place)), shared_classes=True, unlabeled=pool)
        work = open_work(faces, asked, out)
        make_plan(work.grid, work.faces, work.others, work.also)
    except MienError as error:
        raise MienError(f"{error.expected}, to train on {train} and test on {test}", error.found, error.todo) from error
    return _Pair(train, test, faces, asked)


def _reasons(found: Comparison, line: TableLine) -> tuple[str, ...]:
    """Why runs of a line's recipe failed, each reason once."""
    return tuple(dict.fromkeys(one.failed for one in found.failed if one.recipe == line.recipe))


def cross_table(figures: Sequence[CrossFigure]) -> Mapping[str, Mapping[tuple[str, str], TableLine]]:
    """The figures by recipe, and by the two sets' names."""
    recipes = dict.fromkeys(figure.line.recipe for figure in figures)
    return {recipe: {(one.train, one.test): one.line for one in figures if one.line.recipe == recipe} for recipe in recipes}


def _split_of(faces: FaceSet) -> str | None:
    """All faces of a set without a test split; else that split, whatever it is called."""
    return None if len(held_out_rows(faces)) else "all"


def _row(figure: CrossFigure) -> dict[str, Any]:
    line = figure.line
    return {
        "recipe": line.recipe,
        "trained_on": figure.train,
        "tested_on": figure.test,
        "seeds": line.accuracy.count,
        "accuracy": line.accuracy.mean,
        "accuracy_low": line.accuracy.low,
        "accuracy_high": line.accuracy.high,
        "average_accuracy": line.average_accuracy.mean,
        "difference": line.difference.mean,
        "difference_low": line.difference.low,
        "difference_high": line.difference.high,
        "notes": "; ".join(figure.notes),
        "failed": "; ".join(figure.failed),
    }
