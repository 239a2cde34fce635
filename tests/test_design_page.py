"""docs/design.md: what its table says to open is there."""

import re
from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs" / "design.md"
SOURCE = Path(__file__).parents[1] / "src" / "mien"


def test_what_the_table_says_to_open_is_there() -> None:
    rows = [line for line in PAGE.read_text("utf-8").splitlines() if line.startswith("| ")][1:]
    assert len(rows) > 25
    missing = []
    for row in rows:
        folder = SOURCE
        for name in re.findall(r"`([\w./]+)`", row.split("|")[2]):
            place = SOURCE / name.replace("QUESTION", "weigh").replace("NAME", "supervised")
            place = place if place.exists() else folder / name
            folder = place if place.is_dir() else folder
            missing += [] if place.exists() else [name]
    assert missing == []
