"""Records in a run's folder beside the model: the ids of its labeled faces, the models it began with, figures by epoch."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass as plain
from itertools import zip_longest
from pathlib import Path
from typing import Any

from pydantic.dataclasses import dataclass

from mien.disk import read_bytes, write_atomically
from mien.errors import MienError
from mien.json_text import to_json
from mien.json_toml import parse_json, read_settings, settings_of_file
from mien.recognize.model_card import Figure, SourceModel, read_card
from mien.tabular.parquet_files import LABEL_COLUMNS, read_table

JOINED = "also/"
"""What ids of faces of a second set begin with, whose labels joined a run's: the two sets may have the same ids."""


@dataclass(frozen=True)
class _History:
    """The content of history.json."""

    epochs: list[dict[str, int | Figure]]


def read_used_ids(path: Path) -> set[str]:
    """Ids of the faces whose labels a run trained on or validated with; empty for a model folder, which has no such list."""
    file = path / "budget.parquet"
    return set(read_table(file, {"id": LABEL_COLUMNS["id"]}, "train again").column(0).to_pylist()) if file.is_file() else set()


def note_source(folder: Path, source: Path, checksum: str = "") -> None:
    """Write into a run's folder that the run began with the model at `source`; labels of that model count for the run as well.

    `checksum`: of the set that those labels are of, where it is not the one in the source's card. Raises MienError where the
    folder says that the run began with another model, before it was interrupted.
    """
    _write_sources(folder, [_source_entries(source, checksum)])


def note_sources(folder: Path, sources: Sequence[Path]) -> None:
    """As `note_source` does, of several models."""
    _write_sources(folder, [_source_entries(source) for source in sources])


def note_published(folder: Path, network: str, sha256: str, license_: str) -> None:
    """Write into a run's folder that the run began with the published weights of `network`: their file's hash, their license."""
    _write_sources(folder, [_Source([{"network": {"network": network}, "weights": sha256, "license": license_}])])


@plain(frozen=True)
class _Source:
    """The entries of a model that a run began with."""

    noted: list[dict[str, Any]]
    """Of the model itself, and of those that its folder names."""
    of_card: Sequence[dict[str, Any]] = ()
    """Of those that its card alone names; earlier versions of mien did not write them down."""


def _source_entries(source: Path, checksum: str = "") -> _Source:
    card = read_card(source)
    faces = checksum or card.faces.checksum
    entry = {"network": card.network, "weights": card.weights, "faces": faces, "name": card.faces.name, "budget": card.budget}
    if not card.budget:  # somebody else's weights, whose license is all that is known of them
        entry |= {"license": card.faces.license}
    # A model that was exported or adapted has no such file: its card names the models, without the ids of their faces.
    noted = read_sources(source)
    return _Source([entry | {"used": sorted(read_used_ids(source))}, *noted], () if noted else card.sources)


def _write_sources(folder: Path, sources: Sequence[_Source]) -> None:
    file, entries = folder / "sources.json", [entry for source in sources for entry in (*source.noted, *source.of_card)]
    if file.is_file():
        before, short = _read_list(file), [entry for source in sources for entry in source.noted]
        now = short if len(before) == len(short) else entries
        _require_same(folder, *([entry["weights"] for entry in each] for each in (before, now)))
    write_atomically(file, to_json(entries).encode())


def _require_same(folder: Path, before: list[str], now: list[str]) -> None:
    """Raises MienError unless the hashes of the models that a run began with are the same now: they may have made parts of it."""
    for was, found in zip_longest(before, now, fillvalue=""):
        if was != found:
            expected, other = (f"weights {sha256[:12]}" if sha256 else "no further one" for sha256 in (was, found))
            todo = f"put the same models back and resume, or remove {folder} and train again"
            raise MienError(f"the models that {folder} began with, {expected}", other, todo)


def read_sources(path: Path) -> list[dict[str, Any]]:
    """The models that a run began with, and that these began with: network, weights, set, budget and used ids of each."""
    files = [path / "sources.json", *sorted(path.glob("parts/*/sources.json"))]
    return [entry for file in files if file.is_file() for entry in _read_list(file)]


def _read_list(file: Path) -> list[dict[str, Any]]:
    values = parse_json(read_bytes(file, "train again"), str(file), "train again")
    if not isinstance(values, list):
        raise MienError(f"a list of models in {file}", type(values).__name__, "train again")
    for entry in values:
        settings_of_file(SourceModel, entry, file, "train again")
    return values


def ids_that_taught(folder: Path, checksum: str) -> set[str]:
    """Ids of the faces of the set with this checksum whose labels taught the run in `folder`, or a model that it began with.

    Empty for a set without checksum. Faces of an exported or adapted model are missing, since only runs know their ids.
    """
    return ids_by_set(folder).get(checksum, set()) if checksum else set()


def ids_by_set(folder: Path) -> dict[str, set[str]]:
    """Ids of the faces whose labels taught the run in `folder`, or a model that it began with, by the checksum of their set.

    Sets whose labels joined those of another one are among them. Faces of a set without checksum are under "".
    """
    card, found = read_card(folder), dict[str, set[str]]()
    taught: list[tuple[str, dict[str, Any], Collection[str]]] = [(card.faces.checksum, card.budget, read_used_ids(folder))]
    taught += [(source.get("faces", ""), source.get("budget", {}), source.get("used", ())) for source in read_sources(folder)]
    for checksum, budget, ids in taught:
        found.setdefault(checksum, set()).update(ids)
        if also := budget.get("also_checksum"):
            found.setdefault(also, set()).update(name.removeprefix(JOINED) for name in ids if name.startswith(JOINED))
    return found


def read_history(path: Path) -> list[dict[str, float]]:
    """Figures of every epoch of a run; empty for a model folder, which has none."""
    file = path / "history.json"
    return read_settings(_History, file, "remove it").epochs if file.is_file() else []


def write_history(path: Path, epochs: list[dict[str, float]]) -> None:
    """Write the figures of every epoch into a run's folder."""
    write_atomically(path / "history.json", to_json({"epochs": epochs}).encode())
