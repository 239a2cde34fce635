"""Columns of lists that are taken along into the set, for `mien evaluate --by` and the like."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from mien.errors import MienError
from mien.media.photo_lists import LISTS, is_table, list_columns

_TYPES = (pa.int64(), pa.float64(), pa.string())
"""Types of columns; a column gets the first type that fits all its values."""


def check_kept(inputs: Sequence[str], keep: Sequence[str], ours: Iterable[str]) -> None:
    """Raises MienError for columns to keep that are `ours`, or that no list among the inputs has."""
    taken = [name for name in keep if name in {*ours}]
    if taken:
        raise MienError("other columns to keep than those that faces have anyhow", ", ".join(taken), "leave them out")
    there = [name for path in _lists(inputs) for name in list_columns(path)]
    missing = [name for name in keep if name not in there]
    if missing:
        found = f"only {', '.join(dict.fromkeys(there))}" if there else "no list with columns"
        raise MienError(f"columns {', '.join(missing)} in a list among the inputs", found, "check the names of the columns")


def columns_left_out(inputs: Sequence[str], taken: Iterable[str]) -> str:
    """A sentence about the columns of lists that are not `taken`, and what to do about it; "" for none."""
    known = {*taken}
    more = list(dict.fromkeys(name for path in _lists(inputs) for name in list_columns(path) if name and name not in known))
    if not more:
        return ""
    return f"columns {', '.join(more[:10])} of the list are left out; --set keep={','.join(more[:10])} takes them along"


def column_types(tables: Iterable[pa.Table], names: Sequence[str]) -> dict[str, pa.DataType]:
    """The type of each of these columns of texts: numbers where all values are."""
    places = dict.fromkeys(names, 0)
    for table in tables:
        for name, place in places.items():
            values = table.column(name) if name in table.column_names else pa.chunked_array([], pa.string())
            while not _fits(values, _TYPES[place]):
                place += 1
            places[name] = place
    return {name: _TYPES[place] for name, place in places.items()}


def _fits(values: pa.ChunkedArray, kind: pa.DataType) -> bool:
    try:
        pc.cast(values, kind)
    except pa.ArrowInvalid:
        return False
    return True


def _lists(inputs: Sequence[str]) -> list[Path]:
    return [Path(one) for one in inputs if one.lower().endswith(LISTS) and Path(one).is_file() and is_table(Path(one))]
