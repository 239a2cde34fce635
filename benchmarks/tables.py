"""Results go to a csv row by row, as they come."""

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def append(table: Path, row: Mapping[str, Any]) -> None:
    """Add a row to `table`, with the header if it is the first, and print it."""
    table.parent.mkdir(parents=True, exist_ok=True)
    new = not table.exists()
    with table.open("a", newline="") as file:
        writer = csv.DictWriter(file, list(row))
        if new:
            writer.writeheader()
        writer.writerow(row)
    print(", ".join(f"{key} {value}" for key, value in row.items()), flush=True)
