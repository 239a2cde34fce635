"""JSON that every reader takes, and text that a terminal shows as it is."""

import ast
import json
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mien
from mien.json_text import plain_values, to_json
from mien.wording import percent, percentage_points, plain_text, quantity, short_name

SOURCES = Path(mien.__file__).parent


def strict(text: str) -> object:
    """As a reader that knows the standard alone."""

    def refuse(constant: str) -> None:
        raise ValueError(constant)

    return json.loads(text, parse_constant=refuse)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("happiness", "happiness"),
        ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
        ("\x9b2J\x7f", "\\x9b2J\\x7f"),
        ("one\ntwo\r", "one\\ntwo\\r"),
        ("gnp.‮exe", "gnp.\\u202eexe"),
        ("\u2028\ufeff\u200b", "\\u2028\\ufeff\\u200b"),
        ("\udcff", "\\udcff"),
        ("freude 笑 \xa0 \U0001f62e\u200d\U0001f4a8", "freude 笑 \xa0 \U0001f62e\u200d\U0001f4a8"),
        ("[/b]", "[/b]"),
        (7, "7"),
    ],
)
def test_control_characters_are_written_out(text: object, shown: str) -> None:
    assert plain_text(text) == shown
    assert plain_text(shown) == shown


def test_what_has_no_end_is_cut() -> None:
    assert short_name("x" * 10**6) == "x" * 79 + "…"
    assert len(plain_text("x" * 10**6)) == 10_000


@given(st.text())
def test_nothing_that_a_terminal_obeys_is_left(text: str) -> None:
    shown = plain_text(text)
    assert not any(ord(letter) < 32 or 127 <= ord(letter) < 160 or 0xD800 <= ord(letter) < 0xE000 for letter in shown)
    shown.encode()


@dataclass(frozen=True)
class Found:
    """Figures, as evaluations have them."""

    share: float
    several: tuple[float, ...]


@pytest.mark.parametrize("ascii_only", [False, True])
def test_figures_that_are_none_are_null(ascii_only: bool) -> None:
    values = {
        "nan": float("nan"),
        "inf": [np.float32("inf"), -np.inf],
        "array": np.array([1.0, np.nan]),
        "found": Found(np.nan, (0.5,)),
    }
    made = strict(to_json(values, ascii_only=ascii_only))
    assert made == {"nan": None, "inf": [None, None], "array": [1.0, None], "found": {"share": None, "several": [0.5]}}
    assert strict(to_json({"path": Path("a"), "count": np.int64(3)})) == {"path": "a", "count": 3}
    assert plain_values(Found(1.0, ())) == {"share": 1.0, "several": []}


@given(st.recursive(st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.text(), st.lists))
def test_values_come_back(values: object) -> None:
    text = to_json(values)
    assert strict(text) == values
    assert all(line.isprintable() or plain_text(line) == line for line in text.split("\n"))
    text.encode()


def test_names_that_are_no_utf8_can_be_written() -> None:
    text = to_json(["\udcff\x9b\U000e0001é"])
    assert text.encode().decode() == text
    assert "\\udcff\\u009b\\udb40\\udc01é" in text
    assert json.loads(text) == ["\udcff\x9b\U000e0001é"]


def _calls(file: Path) -> set[str]:
    """What a module calls, as it is written."""
    return {ast.unparse(node.func) for node in ast.walk(ast.parse(file.read_text("utf-8"))) if isinstance(node, ast.Call)}


TERMINAL = {SOURCES / "terminal.py", SOURCES / "cli/tables.py", SOURCES / "cli/result_tables.py"}
"""Modules that know rich."""


def test_commands_print_by_the_functions_that_show_names_as_they_are() -> None:
    shared = {SOURCES / "cli" / "__init__.py", SOURCES / "cli" / "printing.py"}
    for file in set((SOURCES / "cli").glob("*.py")) - shared:
        assert not _calls(file) & {"print", "typer.echo", "json.dumps", "sys.stdout.write", "sys.stderr.write"}, file
    for file in set(SOURCES.rglob("*.py")) - TERMINAL:
        assert "from rich" not in file.read_text("utf-8"), file
        assert "import rich" not in file.read_text("utf-8"), file


INTERNAL = {
    "json_text.py",
    "pretraining/autoencoder/cache.py",
    "pretraining/autoencoder/settings.py",
    "training/checkpoint.py",
    "labeling/store/create.py",
    "experiments/grid.py",
    "data/format.py",
}
"""Modules that make JSON of which a hash is taken, or a state that is read by mien alone."""


def test_json_that_people_read_is_written_by_one_function() -> None:
    found = {file.relative_to(SOURCES).as_posix() for file in SOURCES.rglob("*.py") if "json.dumps" in _calls(file)}
    assert found <= INTERNAL


def test_shares_are_written_in_percent() -> None:
    assert [percent(share) for share in (0.1234, 1.0, float("nan"))] == ["12.3%", "100.0%", "-"]
    assert percent(0.125, None, " %") == "12.5 %"
    assert percent(0.126, 0) == "13%"
    assert [percentage_points(one) for one in (0.012, -0.5, float("nan"))] == ["+1.2", "-50.0", "-"]


def test_one_of_a_thing_is_no_several() -> None:
    assert [quantity(number, "face") for number in (0, 1, 2)] == ["0 faces", "1 face", "2 faces"]
    assert quantity(1, "person", "people") == "1 person"
    assert quantity(3, "person", "people") == "3 people"


SEVERAL = re.compile(r"\{(?![A-Z_]+\})[^{}:]*\} (faces|labels|photos|answers|inputs|pairs|sequences|groups|questions)\b")


def test_what_commands_print_counts_things_properly() -> None:
    found = {
        f"{file.name}: {line.strip()}"
        for file in (SOURCES / "cli").glob("*.py")
        for line in file.read_text("utf-8").splitlines()
        if SEVERAL.search(line) and "', '.join" not in line
    }
    assert not found
