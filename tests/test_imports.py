"""One direction: rooms import only what lies before them, techniques never each other, nobody the command line."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "mien"
FILES = sorted(SOURCE.rglob("*.py"))
BEFORE_TRAINING = ("faces", "data", "models", "evaluation", "recognize")


def imported(path: Path) -> set[str]:
    """Modules of mien that a file imports, inside functions too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return {name for name in found if name == "mien" or name.startswith("mien.")}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_go_one_way(path: Path) -> None:
    room = path.relative_to(SOURCE).parts[0]
    names = imported(path)
    if path.name != "__main__.py" and room != "cli":
        assert not any(name.startswith("mien.cli") for name in names)
    if room in BEFORE_TRAINING:
        assert not any(name.startswith(("mien.training", "mien.experiments", "mien.active")) for name in names)
    if room == "techniques":
        types = {"Perturb", "Unevaluated", "UnlabeledLoss"}
        assert {name for name in names if name.startswith("mien.techniques.")} <= {f"mien.techniques.{name}" for name in types}
    if path.parent.name == "acquire":
        assert not names & {f"mien.active.acquire.{other.stem}" for other in path.parent.iterdir()}
    if room == "files":
        assert all(name.startswith(("mien.files", "mien.errors")) for name in names)
    if room == "data":
        assert not any(name.startswith(("mien.models", "mien.recognize", "mien.evaluation")) for name in names)


def test_files_and_functions_stay_short() -> None:
    long = []
    for path in FILES:
        text = path.read_text()
        limit = 150 if "techniques" in path.parts else 400
        if text.count("\n") > limit:
            long.append(str(path))
        functions = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef)]
        long += [f"{path}:{node.name}" for node in functions if (node.end_lineno or 0) - node.lineno > 60]
    assert not long


def test_importing_mien_loads_nothing_heavy() -> None:
    code = "import sys, mien, mien.cli; print(sorted({'torch', 'numpy', 'pyarrow', 'matplotlib', 'scipy'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
