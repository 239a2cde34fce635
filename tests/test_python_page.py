"""The page of functions says what is there, and its example runs."""

import ast
import importlib
import re
from pathlib import Path

import pytest
import typer

import mien
from mien.cli import app

PAGE = Path(__file__).parents[1] / "docs" / "guides" / "python.md"


def test_the_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    example, *others = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    exec(compile(example, PAGE.name, "exec"), {"__name__": "example"})
    for other in others:  # they want photos and a camera
        lines = ast.parse(other).body
        imports: list[ast.stmt] = [line for line in lines if isinstance(line, ast.Import | ast.ImportFrom)]
        assert 0 < len(imports) < len(lines)
        exec(compile(ast.Module(imports, []), PAGE.name, "exec"), {"__name__": "example"})
    said = capsys.readouterr().out.splitlines()
    assert 0 <= float(said[0].split()[0]) <= 1
    assert "no_run" in said[1]


def test_every_command_has_its_function() -> None:
    rows = re.findall(r"^\| `mien ([\w-]+)` \| `([\w.]+)` \|$", PAGE.read_text("utf-8"), re.MULTILINE)
    assert {command for command, _ in rows} == set(typer.main.get_group(app).commands)
    for _, function in rows:
        module, _, name = function.rpartition(".")
        assert callable(getattr(importlib.import_module(module), name)), function


def test_every_name_at_the_top_is_told() -> None:
    text = PAGE.read_text("utf-8")
    assert [name for name in mien.__all__ if f"`{name}" not in text] == []
    assert all(callable(getattr(mien, name)) for name in mien.__all__)
