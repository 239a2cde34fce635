"""Rooms import only what lies below them, modules never each other in a circle; no room, file or function grows too large."""

import ast
import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "mien"
FILES = sorted(SOURCE.rglob("*.py"))

_spec = importlib.util.spec_from_file_location("rooms", ROOT / "docs" / "rooms.py")
assert _spec is not None
assert _spec.loader is not None
rooms = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(rooms)


@pytest.fixture(scope="module")
def graph() -> dict[str, set[str]]:
    """What imports what; made where it is needed, since every process of the tests reads this file."""
    found: dict[str, set[str]] = rooms.imports()
    return found


def test_every_room_has_its_floor_and_says_what_it_is_for() -> None:
    there = {path.parent.name for path in SOURCE.glob("*/__init__.py")}
    assert there == set(rooms.FLOORS) - {rooms.BASE}
    assert [name for name in rooms.FLOORS if len(rooms.purpose(name)) < 20] == []


def test_no_modules_import_each_other_in_a_circle(graph: dict[str, set[str]]) -> None:
    assert rooms.circles(graph) == []


@pytest.mark.parametrize("room", rooms.FLOORS)
def test_a_room_imports_only_those_below_it(room: str, graph: dict[str, set[str]]) -> None:
    lower = set(rooms.FLOORS[: rooms.FLOORS.index(room)])
    assert rooms.rooms(graph)[room] - lower == set()


@pytest.mark.parametrize("name", ["loop", "run"])
def test_the_loop_knows_nothing_of_neighbors(name: str) -> None:
    """They come by techniques alone, which the loop asks as it asks any other."""
    assert "mien.neighbors" not in (SOURCE / "training" / f"{name}.py").read_text("utf-8")


def test_no_room_is_too_large() -> None:
    lines = rooms.sizes()
    assert {name: count for name, count in lines.items() if count > 0.15 * sum(lines.values())} == {}


def test_the_picture_shows_the_rooms_as_they_are(graph: dict[str, set[str]]) -> None:
    drawn = (ROOT / "docs" / "rooms.svg").read_text("utf-8")

    def without_sizes(text: str) -> str:
        return re.sub(r">\d+ %<", "><", text)

    assert without_sizes(drawn) == without_sizes(rooms.draw(rooms.rooms(graph))), "python docs/rooms.py draws it again"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_techniques_and_strategies_stand_alone(path: Path) -> None:
    room, names = path.relative_to(SOURCE).parts[0], rooms.imported(path)
    if room == "techniques" and path.parent.name != "techniques":
        assert {name for name in names if name.startswith("mien.techniques.")} <= {
            f"mien.techniques.{name}" for name in QUESTIONS
        }
    if path.parent.name == "acquire":
        assert not names & {f"mien.active.acquire.{other.stem}" for other in path.parent.iterdir()}


QUESTIONS = {"Start", "Draw", "Targets", "Weigh", "Loss", "Unlabeled", "Step", "Perturb", "Unevaluated", "UnlabeledLoss"}
"""What techniques/__init__.py gives to techniques: their protocols, and what those speak of."""


def test_files_and_functions_stay_short() -> None:
    long = []
    for path in FILES:
        text = path.read_text()
        limit = 150 if "techniques" in path.parts else 310
        if text.count("\n") > limit:
            long.append(str(path))
        functions = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef)]
        long += [f"{path}:{node.name}" for node in functions if (node.end_lineno or 0) - node.lineno > 60]
    assert not long


def test_a_run_stays_small() -> None:
    (run,) = [node for node in ast.parse((SOURCE / "training" / "run.py").read_text()).body if getattr(node, "name", "") == "Run"]
    assert isinstance(run, ast.ClassDef)
    assert len([node for node in run.body if isinstance(node, ast.FunctionDef)]) < 20


def test_importing_mien_loads_nothing_heavy() -> None:
    code = "import sys, mien, mien.cli; print(sorted({'torch', 'numpy', 'pyarrow', 'matplotlib', 'scipy'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
