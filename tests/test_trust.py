"""A recipe is a program: code beyond mien that it names is run where somebody says so, and nowhere else."""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from conftest import Command, Interrupted, StopAfter
from mien import MienError, Recipe, TrainingSettings, resume, train

CODE = """
from pathlib import Path
from pydantic.dataclasses import dataclass
from mien.settings import STRICT
from mien.settings import STRICT
from mien.techniques import Weigh
import torch

Path(__file__).with_suffix(".ran").write_text("it ran")


@dataclass(frozen=True, config=STRICT)
class Bold(Weigh):
    def __call__(self, run):
        return torch.ones(len(run.labels))
"""
TOML = """
model = { network = "mien_s", width = 8, depths = [1, 1, 1] }
stages = [ { epochs = 2, lr = 0.05 } ]
batch = 16
precision = "float32"
"""


@pytest.fixture
def ran(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The file that is there when the code was run; beside it is the module `bold_code`."""
    (tmp_path / "bold_code.py").write_text(CODE)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path / "bold_code.ran"
    sys.modules.pop("bold_code", None)


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    (tmp_path / "bold.toml").write_text(TOML + 'weigh = "bold_code:Bold"\n')
    (tmp_path / "plain.toml").write_text(TOML)
    return tmp_path / "bold.toml"


def commands(stored: Path, recipe: Path, out: Path) -> list[list[object]]:
    """All that read a recipe's file."""
    plain = recipe.with_name("plain.toml")
    asking = ["--per-round", 4, "--oracle", "labels", "--out", out]
    teacher = ["--set", f'start={{"technique": "distill", "teacher": "{recipe}", "block": "stage3_1"}}']
    return [
        ["train", stored, "--recipe", recipe, "--out", out],
        ["train", stored, "--recipe", plain, *teacher, "--out", out],
        ["compare", stored, "--recipes", f"{plain},{recipe}", "--seeds", 1, "--out", out],
        ["rounds", stored, "--recipe", recipe, *asking],
        ["rounds", stored, "--recipe", plain, "--tune", recipe, *asking],
        ["autoencoder", "train", stored, "--refine", "wgan", "--set", f"expression={recipe}", "--out", out],
        ["recipes", recipe],
    ]  # fmt: skip


@pytest.mark.parametrize("number", range(7))
def test_no_command_runs_what_a_recipe_names(
    mien: Command, stored: Path, tmp_path: Path, recipe: Path, ran: Path, number: int
) -> None:
    done = mien(*commands(stored, recipe, tmp_path / "out")[number])
    assert done.code == 1
    assert "'bold_code:Bold'" in done.err
    assert f"it stands in {recipe}" in done.err
    assert "--trust" in done.err
    assert not ran.exists()
    assert not list((tmp_path / "out").rglob("*.safetensors"))


@pytest.mark.parametrize("number", [0, 2, 3, 4, 6])
def test_whoever_trusts_it_says_so(mien: Command, stored: Path, tmp_path: Path, recipe: Path, ran: Path, number: int) -> None:
    done = mien(*commands(stored, recipe, tmp_path / "out")[number], "--trust")
    assert done.code == 0, done.err
    assert ran.exists()


def test_what_somebody_types_is_theirs(mien: Command, stored: Path, tmp_path: Path, recipe: Path, ran: Path) -> None:
    words = [
        "train",
        stored,
        "--recipe",
        recipe.with_name("plain.toml"),
        "--out",
        tmp_path / "out",
        "--set",
        "weigh=bold_code:Bold",
    ]
    assert mien(*words).code == 0
    assert ran.exists()
    done = mien(
        "train", stored, "--recipe", recipe.with_name("plain.toml"), "--out", tmp_path / "new", "--set", "weigh=no_code:Bold"
    )
    assert (done.code, "No module named 'no_code'" in done.err) == (1, True)


@pytest.mark.usefixtures("checkpoint_each_batch")
def test_a_run_does_not_choose_what_resumes_it(mien: Command, stored: Path, tmp_path: Path, recipe: Path, ran: Path) -> None:
    made = Recipe.load(recipe, trusted=True)
    with pytest.raises(Interrupted):
        train(stored, made, tmp_path / "run", TrainingSettings(threads=1), progress=StopAfter(5))
    sys.modules.pop("bold_code")
    ran.unlink()
    with pytest.raises(MienError, match=r"--trust.*; it stands in .*run\.json"):
        resume(tmp_path / "run")
    done = mien("resume", tmp_path / "run")
    assert (done.code, "--trust" in done.err, ran.exists()) == (1, True, False)
    assert not (tmp_path / "run" / "model").exists()
    assert mien("resume", tmp_path / "run", "--trust").code == 0
    assert ran.exists()


def test_programs_import_what_they_trust(recipe: Path, ran: Path) -> None:
    table = {"weigh": "bold_code:Bold"}
    reads: tuple[Callable[[], Recipe], ...] = (
        lambda: Recipe.load(recipe),
        lambda: Recipe.parse(table),
        lambda: Recipe.load("supervised").with_settings(table),
    )
    for read in reads:
        with pytest.raises(MienError, match="import bold_code before"):
            read()
    assert not ran.exists()
    __import__("bold_code")
    assert Recipe.load(recipe).weigh == ({"technique": "bold_code:Bold"},)
    assert Recipe.parse(table).weigh == ({"technique": "bold_code:Bold"},)


def test_recipes_that_name_each_other_end(tmp_path: Path, recipe: Path, ran: Path) -> None:
    round_ = tmp_path / "round.toml"
    round_.write_text(TOML + f'start = {{ technique = "distill", teacher = {json.dumps(str(round_))}, block = "stage3_1" }}\n')
    assert Recipe.load(round_, trusted=True).start["teacher"] == str(round_)
    assert not ran.exists()
