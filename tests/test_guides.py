"""The docs: what their Python imports and the commands that they show are there."""

import ast
import importlib
import re
from pathlib import Path

import pytest
import typer

from mien.cli import app

DOCS = Path(__file__).parents[1]
PAGES = sorted([*(DOCS / "docs").rglob("*.md"), DOCS / "README.md"])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_is_imported_is_there(page: Path) -> None:
    missing = []
    for block in re.findall(r"```python\n(.*?)```", page.read_text("utf-8"), re.DOTALL):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "mien":
                module = importlib.import_module(node.module)
                missing += [f"{node.module}.{alias.name}" for alias in node.names if not hasattr(module, alias.name)]
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_names_with_dots_are_there(page: Path) -> None:
    """`mien.room.module.name` in a sentence."""
    missing = []
    for name in re.findall(r"`(mien(?:\.\w+)+)`", page.read_text("utf-8")):
        module, _, last = name.rpartition(".")
        try:
            importlib.import_module(name)
        except ModuleNotFoundError:
            if not hasattr(importlib.import_module(module), last):
                missing.append(name)
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_are_there(page: Path) -> None:
    known = set(typer.main.get_group(app).commands)
    text = page.read_text("utf-8")
    blocks = "\n".join(re.findall(r"```\w*\n(.*?)```", text, re.DOTALL))
    words = re.findall(r"^mien ([a-z][\w-]+)", blocks, re.MULTILINE) + re.findall(r"`mien ([a-z][\w-]+)", text)
    assert set(words) - known == set()
