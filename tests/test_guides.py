"""The docs: what their Python imports and the commands that they show are there."""

import ast
import importlib
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer

from mien.cli import app

DOCS = Path(__file__).parents[1]
PAGES = sorted([*(DOCS / "docs").rglob("*.md"), DOCS / "README.md", DOCS / "CONTRIBUTING.md"])


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


def command_lines(page: Path) -> list[str]:
    """Calls of mien in the blocks of a page that are commands; output has the language `text`."""
    blocks = "".join(re.findall(r"^```(?:bash|sh|console)?\n(.*?)^```", page.read_text("utf-8"), re.DOTALL | re.MULTILINE))
    return [
        line[line.index("mien ") :]
        for line in blocks.replace("\\\n", " ").splitlines()
        if re.match(r"(\$ |time |PYTHONPATH=\. )?mien [a-z-]", line)
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_options_of_commands_are_there(page: Path) -> None:
    """Of all commands, also of those that need somebody's data."""
    unknown = []
    for line in command_lines(page):
        command: Any = typer.main.get_group(app)
        _, *words = shlex.split(line, comments=True)
        while words and words[0] in getattr(command, "commands", {}):
            command = command.commands[words.pop(0)]
        known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)} | {"--help"}
        given = {word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)}
        unknown += [f"{line}: {option}" for option in given - known]
    assert unknown == []
