"""The page on techniques of one's own: every block is run in order, and the tables say what is there."""

import importlib
import re
import shlex
import sys
from pathlib import Path

import pytest
import torch

from conftest import Command, bright_faces, small_recipe
from mien.recipes.recipe import QUESTIONS
from mien.training.run import Run
from runs import begun, techniques

PAGE = Path(__file__).parents[1] / "docs" / "guides" / "extend.md"
TEXT = PAGE.read_text("utf-8")
SHORT = {
    "train": ["--epochs", "1", "--set", "draw=shuffled", "--threads", "1"],
    "compare": ["--epochs", "1", "--seeds", "1", "--set", "draw=shuffled", "--threads", "1"],
}
"""What is added to a command, so that it takes a moment."""


def blocks() -> list[tuple[str, str]]:
    """The language and the text of each block of code, but those on mien's own tests."""
    return re.findall(r"^```(\w*)\n(.*?)^```$", TEXT.partition("## A test")[0], re.DOTALL | re.MULTILINE)


OWN_NETWORK = ["python", "-c", "import net, mien.cli; mien.cli.main()"]
"""How the page begins a command that a module of the user's own is imported before."""


def run_words(mien: Command, words: list[str]) -> str:
    """What a command said, in this process, which has forgotten the user's own modules."""
    for name in ("mine", "net"):
        sys.modules.pop(name, None)
    if words[: len(OWN_NETWORK)] == OWN_NETWORK:
        importlib.import_module("net")
        made = mien(*words[len(OWN_NETWORK) :])
    else:
        assert words[0] == "mien"
        made = mien(*words[1:], *SHORT[words[1]])
    assert made.code == 0, made.err
    return made.out


def test_every_block_runs(mien: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    bright_faces(150, side=16).save(tmp_path / "faces")
    said, kinds = "", list[str]()
    try:
        for kind, text in blocks():
            kinds.append(kind)
            if named := re.match(r"# (\w+\.\w+)\n", text):
                (tmp_path / named[1]).write_text(text)
            elif kind == "python":
                exec(compile(text.replace("seeds=3", "seeds=1, epochs=1, threads=1"), PAGE.name, "exec"), {})
            else:
                for line in text.splitlines():
                    said += run_words(mien, shlex.split(line.removeprefix("PYTHONPATH=. ")))
    finally:
        for name in ("mine", "net"):
            sys.modules.pop(name, None)
    assert kinds == ["python", "", "toml", "", "", "python", "python", "", ""]
    for told in ("mine", "supervised_small", "weigh.extra", "accuracy"):
        assert told in said
    assert (tmp_path / "in_python" / "report.html").is_file()


def test_the_table_has_every_question() -> None:
    assert re.findall(r"^\| `(\w+)` \| (?:once|before|for)", TEXT, re.MULTILINE) == list(QUESTIONS)


def test_shapes_and_types_are_those_of_the_table(tmp_path: Path) -> None:
    """What mien's own techniques give, and what the second table says of a run."""
    recipe = small_recipe(unlabeled="fixmatch", draw="shuffled")
    run, batches = begun(tmp_path / "run", bright_faces(60), recipe)
    count, classes, parts = len(run.labels), run.classes, techniques(run)
    assert {(rows.ndim, rows.dtype, rows.device.type) for rows in batches} == {(1, torch.int64, "cpu")}
    targets, (weights,) = parts.targets(run), [weigh(run) for weigh in parts.weigh]
    assert (targets.shape, targets.dtype) == ((count, classes), torch.float32)
    assert (weights.shape, weights.dtype) == ((count,), torch.float32)
    losses = parts.loss(torch.zeros(5, classes), torch.full((5, classes), 1 / classes))
    assert (losses.shape, losses.dtype) == ((5,), torch.float32)
    batch = run.pool.fetch(batches[0])
    loss = parts.unlabeled(run, batch)
    assert loss is not None
    assert (loss().shape, loss().dtype) == ((), torch.float32)
    assert (batch.faces.dtype, batch.rows.dtype) == (torch.uint8, torch.int64)
    view = run.view(batch, "weak")
    assert (view.shape, view.dtype) == ((len(batch.rows), 1, 16, 16), torch.float32)
    assert run.heads(view).shape == (1, len(batch.rows), classes)
    assert (run.labels.dtype, run.one_hot().dtype, run.one_hot().shape) == (torch.int64, torch.float32, (count, classes))
    known = run.predictions()
    assert (known.probabilities.shape, known.losses.shape) == ((count, classes), (count,))
    for name in re.findall(r"`run\.(\w+)", TEXT):
        assert hasattr(run, name) or name in Run.__annotations__, name
