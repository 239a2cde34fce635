"""What several tests share: small faces whose classes can be told apart, and a recipe that trains on them in a second."""

import csv
import gc
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass as plain
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import numpy.typing as npt
import pytest
import torch
import typer
from hypothesis import HealthCheck, settings
from hypothesis.internal.conjecture import providers
from PIL import Image
from pydantic.dataclasses import dataclass
from torch import Tensor

from mien import FaceSet, Recipe
from mien.cli import main
from mien.data.format import to_table
from mien.data.importing import source_from
from mien.data.source import FaceBlock
from mien.errors import MienError
from mien.media.rejections import Rejected
from mien.settings import STRICT
from mien.techniques import Unlabeled
from mien.training import loop
from mien.training.face_loader import Batch
from mien.training.losses import Perturb, UnlabeledLoss
from mien.training.run import Run

# A shell that runs the tests in its background lets them ignore Ctrl-C, and all that they begin.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

SHARED = Path(__file__).parents[2] / "shared" / "data"

# The same examples each time, and as long as a machine takes for them. Hypothesis also draws numbers that it finds in modules
# that happen to be loaded, which are others where other tests came before: here it has none of them.
_none = providers._local_constants
providers._get_local_constants = lambda: _none
settings.register_profile("mien", deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("mien")

LONG = (
    "test_telemetry.py",
    "test_fuzzing.py",
    "test_real_faces.py",
    "test_resume.py",
    "test_notebooks.py",
    "test_extend_page.py",
)
"""Files of few tests that take long: they begin first, or the last of them would be waited for alone."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The long files before all others."""
    items.sort(key=lambda item: item.path.name not in LONG)


def pytest_collection() -> None:
    """What is imported stays until the end: the garbage collector need not look through it again and again."""
    gc.disable()


def pytest_collection_finish() -> None:
    """From now on it looks through what tests make, and seldom: they make much that goes by itself."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000)
    gc.enable()


@pytest.fixture(autouse=True, scope="session")
def _commands_are_made_once() -> Iterator[None]:
    """Typer makes all commands anew for each one that is run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(typer.main, "get_command", cache(typer.main.get_command))
        yield


@pytest.fixture(autouse=True, scope="session")
def _certificates_are_read_once() -> Iterator[None]:
    """httpx reads all certificates of the machine anew for each request that keeps no client."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("httpx._transports.default.create_ssl_context", cache(httpx.create_ssl_context))
        yield


@pytest.fixture(autouse=True, scope="session")
def _without_waiting_for_disks() -> Iterator[None]:
    """What is written need not reach the disk before a test goes on: tests kill processes, and never cut the power."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda number: None)
        yield


@pytest.fixture(autouse=True, scope="session")
def _in_single_precision() -> Iterator[None]:
    """`auto` precision is float32, so that every processor agrees on what networks give."""
    with pytest.MonkeyPatch.context() as patch:
        for kind in ("_is_amx_tile_supported", "_is_avx512_bf16_supported"):
            patch.setattr(torch.cpu, kind, lambda: False)
        yield


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _same_draws() -> None:
    """What a test draws without a seed of its own does not depend on the tests before it."""
    torch.manual_seed(0)


@pytest.fixture
def checkpoint_each_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs write a checkpoint after every batch, however quick the machine is."""
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0.0)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Autoencoders that a test trains are kept among its own files."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@dataclass(frozen=True, config=STRICT)
class Agree(Unlabeled):
    """An unlabeled technique for tests: two views of a face should get the same logits. Writes the rows it saw to `log`."""

    log: Path | None = None
    """File for the rows."""

    def __call__(self, run: Run, batch: Batch) -> UnlabeledLoss | None:
        """Mean squared difference of the logits of a weak and a strong view."""
        assert (run.labels[batch.rows] < 0).all(), "a labeled face among the unlabeled"
        if self.log is not None:
            with self.log.open("a") as file:
                file.write(" ".join(map(str, batch.rows.tolist())) + "\n")
        weak, strong = run.view(batch, "weak"), run.view(batch, "strong")

        def evaluate(perturb: Perturb | None = None) -> Tensor:
            return (run.heads(weak)[-1] - run.heads(strong)[-1]).square().mean()

        return evaluate


def bright_faces(count: int = 120, classes: int = 3, side: int = 16, seed: int = 0) -> FaceSet:
    """Gray noise in which each class has its own bright row; a fifth of the faces is the split `test`."""
    generator = np.random.default_rng(seed)
    labels = np.arange(count) % classes
    faces = generator.integers(0, 120, (count, side, side), dtype=np.uint8)
    for face, label in zip(faces, labels, strict=True):
        face[2 + 4 * label : 5 + 4 * label] += 100
    columns = {
        "split": ["test" if n % 5 == 4 else "train" for n in range(count)],
        "subject": [f"p{n // 6}" for n in range(count)],
        "votes": np.eye(classes)[labels] * 8 + 1,
    }
    return FaceSet.from_arrays(faces, labels, [f"class{n}" for n in range(classes)], columns)


@pytest.fixture
def faces() -> FaceSet:
    return bright_faces()


@pytest.fixture
def stored(tmp_path: Path, faces: FaceSet) -> Path:
    faces.save(tmp_path / "set")
    return tmp_path / "set"


def small_recipe(**changed: object) -> Recipe:
    """`mien_s` with 8 channels, three epochs, in float32 so that every processor agrees."""
    table = {
        "model": {"network": "mien_s", "width": 8, "depths": [1, 1, 1]},
        "stages": [{"epochs": 3, "lr": 0.05, "schedule": "one_cycle"}],
        "draw": "shuffled",
        "batch": 16,
        "average": 0.9,
        "precision": "float32",
    }
    return Recipe.parse(table | changed)


TINY_AUTOENCODER: dict[str, Any] = {
    "preset": "small",
    "model": {"network": "asymmetric_autoencoder", "latent": 8, "residuals": [1, 0, 0, 0, 0]},
    "stages": [{"epochs": 1, "lr": 2e-3, "optimizer": "adamw"}],
    "batch": 32,
    "at_least": 1,
}
"""Settings of an autoencoder of semantic neighbors that is trained in a moment."""


def face(seed: int, side: int = 48) -> npt.NDArray[np.uint8]:
    """Gray noise, (side, side)."""
    return np.random.default_rng(seed).integers(0, 256, (side, side), np.uint8)


def write_csv(path: Path, rows: Sequence[Sequence[object]]) -> Path:
    """A csv file of these rows."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    return path


def write_faces(folder: Path, count: int, side: int = 8, first: int = 0) -> list[Path]:
    """Pictures of noise, named by their number."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{n}.png" for n in range(first, first + count)]
    for n, path in enumerate(paths, first):
        Image.fromarray(face(n, side)).save(path)
    return paths


def gather(name: str, **given_settings: Any) -> tuple[list[FaceBlock], list[Rejected]]:
    """Blocks of a source with these settings, and what it rejected."""
    blocks = list(source_from(name, given_settings).blocks())
    return blocks, [one for block in blocks for one in block.rejected]


def collect(name: str, column: str, **given_settings: Any) -> list[Any]:
    """One column over all blocks of a source."""
    blocks = [block for block in gather(name, **given_settings)[0] if len(block.faces)]
    return [value for block in blocks for value in to_table(block.columns).column(column).to_pylist()]


@contextmanager
def refused(*words: object, most: int = 2000) -> Iterator[None]:
    """What is done within raises MienError, whose sentence has each of these words and fewer than `most` letters."""
    with pytest.raises(MienError) as caught:
        yield
    said = str(caught.value)
    assert [word for word in map(str, words) if word not in said] == [], said
    assert len(said) < most


class Interrupted(Exception):
    """Stands for a kill."""


class StopAfter:
    """Progress that interrupts the run at the n-th batch."""

    def __init__(self, batches: int) -> None:
        self.left = batches

    def begin(self, title: str, total: int) -> None:
        """Nothing."""

    def advance(self, faces: int) -> None:
        """One batch less."""
        self.left -= 1
        if self.left < 0:
            raise Interrupted

    def say(self, text: str) -> None:
        """Nothing."""


@plain(frozen=True)
class Done:
    """What a command left."""

    code: int
    out: str
    err: str


def require_one_sentence(done: Done, said: str) -> None:
    """A command was refused, in one sentence that has these words; the recipe and how faces validate may be said before."""
    lines = [line for line in done.err.strip().splitlines() if not line.startswith(("validation: ", "recipe "))]
    assert done.code == 1
    assert len(lines) == 1
    assert lines[0].startswith("mien: expected ")
    assert said in lines[0]


Command = Callable[..., Done]


@pytest.fixture
def mien(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs the command line in this process."""

    def run(*words: object) -> Done:
        monkeypatch.setattr(sys, "argv", ["mien", *map(str, words)])
        try:
            main()
            code = 0
        except SystemExit as stop:
            code = int(stop.code or 0)
        said = capsys.readouterr()
        return Done(code, said.out, said.err)

    return run
