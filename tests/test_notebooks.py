"""Notebooks run, from the first cell to the last."""

import json
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pytest

SHORT = {'"faces": 1200': '"faces": 300', ".with_epochs(5)": ".with_epochs(1)"}
"""What is read in place of what is written, so that a notebook takes a moment; both have to be there."""
NOTEBOOKS = sorted((Path(__file__).parents[1] / "docs" / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_runs(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    cells = [cell for cell in json.loads(path.read_text("utf-8"))["cells"] if cell["cell_type"] == "code"]
    assert cells
    source = ["".join(cell["source"]) for cell in cells]
    for long, short in SHORT.items():
        assert long in "".join(source)
        source = [text.replace(long, short) for text in source]
    names: dict[str, Any] = {"__name__": "notebook"}
    with mpl.rc_context({"backend": "agg"}):
        for number, text in enumerate(source):
            exec(compile(text, f"{path.name}, cell {number}", "exec"), names)
    said = capsys.readouterr().out
    assert "accuracy" in said
    assert all(not cell["outputs"] for cell in cells)  # what a machine once printed is no documentation
