"""What runs keep on disk, damaged or another run's: told in a sentence, or begun anew; never other weights."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from conftest import TINY_AUTOENCODER, Interrupted, StopAfter, bright_faces, refused, small_recipe
from mien import MienError, TrainingSettings, evaluate, resume, train
from mien.pretraining.autoencoder.cache import cache_folder, keep_for_others
from mien.pretraining.autoencoder.of_run import run_neighbors
from mien.pretraining.autoencoder.settings import autoencoder_settings
from mien.pretraining.autoencoder.train_alone import train_autoencoder
from mien.recognize.run_records import read_history, read_sources, read_used_ids
from mien.training.checkpoint import read_state, write_state
from mien.training.memory import Memory
from runs import Heard, fake_run

Begin = Callable[..., Path]
SELF = {"technique": "self_supervised", "epochs": 1, "batch": 16, "width": 8}


@pytest.fixture
def killed(tmp_path: Path, checkpoint_each_batch: None) -> Begin:
    """Begins runs that are interrupted after their first epoch."""

    def begin(name: str, order: TrainingSettings | None = None, batches: int = 3, **changed: Any) -> Path:
        if not (tmp_path / "set").exists():
            bright_faces(60).save(tmp_path / "set")
        with pytest.raises(Interrupted):
            train(
                tmp_path / "set",
                small_recipe(**changed),
                tmp_path / name,
                order or TrainingSettings(threads=1),
                progress=StopAfter(batches),
            )
        return tmp_path / name

    return begin


def rewritten(file: Path, change: Callable[[dict[str, Any]], object], plain: bool = False) -> None:
    """The checkpoint with a change; `plain`: as mien wrote it before it held hashes."""
    state = read_state(file)
    change(state)
    write_state(file, state)
    if plain:
        with safe_open(file, "pt") as opened:
            tensors, tree = {name: opened.get_tensor(name) for name in opened.keys()}, opened.metadata()["tree"]  # noqa: SIM118
        save_file(tensors, file, {"tree": tree})


def test_a_bit_that_changed_is_noticed(killed: Begin) -> None:
    file = killed("run") / "checkpoint.safetensors"
    whole = file.read_bytes()
    for place in (-1, -1000, len(whole) // 2):
        content = bytearray(whole)
        content[place] ^= 1
        file.write_bytes(bytes(content))
        with refused("changed since", file):
            resume(file.parent)
    for damaged in (b"", whole[:100], whole[: len(whole) // 2], b"x" * 500):
        file.write_bytes(damaged)
        with pytest.raises(MienError, match="a checkpoint at"):
            resume(file.parent)


def test_a_checkpoint_of_before_is_read_and_one_of_another_run_is_not(killed: Begin, tmp_path: Path) -> None:
    run, other = killed("run"), killed("other", TrainingSettings(seed=1, threads=1))
    shutil.copy(other / "checkpoint.safetensors", tmp_path / "theirs")
    whole = train(tmp_path / "set", small_recipe(), tmp_path / "whole", TrainingSettings(threads=1))
    mine = (run / "checkpoint.safetensors").read_bytes()
    shutil.copy(tmp_path / "theirs", run / "checkpoint.safetensors")
    with pytest.raises(MienError, match=r"a checkpoint of this run at .*; found that of another one"):
        resume(run)
    (run / "checkpoint.safetensors").write_bytes(mine)
    rewritten(run / "checkpoint.safetensors", lambda state: None, plain=True)
    assert resume(run).card.weights == whole.card.weights


def test_a_run_that_was_moved_with_its_set_goes_on(killed: Begin, tmp_path: Path) -> None:
    run = killed("run")
    shutil.move(run, tmp_path / "elsewhere")
    shutil.move(tmp_path / "set", tmp_path / "moved")
    file = tmp_path / "elsewhere" / "run.json"
    written = json.loads(file.read_text())
    written["order"]["faces"] = str(tmp_path / "moved")
    file.write_text(json.dumps(written))
    resumed = resume(tmp_path / "elsewhere")
    assert (
        resumed.card.weights
        == train(tmp_path / "moved", small_recipe(), tmp_path / "new", TrainingSettings(threads=1)).card.weights
    )


@pytest.mark.parametrize(
    "change",
    [
        lambda state: state.update(stage=7),
        lambda state: state.update(stage="0"),
        lambda state: state.update(epoch=-1),
        lambda state: state.update(epoch=99),
        lambda state: state.update(history=[]),
        lambda state: state.update(history=[{"loss": "low"}]),
        lambda state: state.update(targets=torch.zeros(3, 3)),
        lambda state: state.update(generator=torch.zeros(3, dtype=torch.uint8)),
        lambda state: state.update(noise=[]),
        lambda state: state.update(optimizer={}),
        lambda state: state.update(best={"weights": {}, "figures": {}, "value": 0.0, "epoch": 0}),
        lambda state: state.update(average=None),
        lambda state: state.pop("network"),
        lambda state: state["network"].popitem(),
        lambda state: state["network"]["blocks.stem.0.weight"].fill_(torch.nan),
        lambda state: state["best"]["weights"]["blocks.stem.0.weight"].fill_(torch.inf),
    ],
)
def test_a_state_that_cannot_be_this_runs_is_said(killed: Begin, change: Callable[[dict[str, Any]], object]) -> None:
    file = killed("run") / "checkpoint.safetensors"
    rewritten(file, change, plain=True)
    with refused("a checkpoint of this run at", most=600):
        resume(file.parent)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[" * 200_000,
        "[]",
        "{}",
        '{"order": 5, "recipe": {}}',
        '{"order": {"seed": -1}, "recipe": {}}',
        '{"order": {}, "recipe": []}',
    ],
)  # fmt: skip
def test_a_run_that_says_no_sense_is_said(killed: Begin, content: str) -> None:
    run = killed("run")
    (run / "run.json").write_text(content)
    with pytest.raises(MienError):
        resume(run)


def test_budgets_are_this_runs(killed: Begin) -> None:
    run = killed("run")
    for content in (b"", b"PAR1PAR1PAR1"):
        (run / "budget.parquet").write_bytes(content)
        with pytest.raises(MienError, match="a table in"):
            resume(run)
        with pytest.raises(MienError, match="a table in"):
            read_used_ids(run)
    pq.write_table(pa.table({"id": ["a"]}), run / "budget.parquet")
    with pytest.raises(MienError, match="no role, label"):
        resume(run)


def test_a_part_is_its_own_runs(killed: Begin, tmp_path: Path) -> None:
    run, other = killed("run", batches=5, start=SELF), killed("other", TrainingSettings(seed=3, threads=1), batches=5, start=SELF)
    place = Path("parts", "self_supervised", "weights.safetensors")
    whole = train(tmp_path / "set", small_recipe(start=SELF), tmp_path / "whole", TrainingSettings(threads=1))
    (run / "checkpoint.safetensors").unlink()
    mine = (run / place).read_bytes()
    shutil.copy(other / place, run / place)
    with pytest.raises(MienError, match="that of another one"):
        resume(run)
    (run / place).write_bytes(mine)
    rewritten(run / place, lambda state: next(iter(state.values())).fill_(torch.nan), plain=True)
    with pytest.raises(MienError, match="the weights of this run's network"):
        resume(run)
    (run / place).write_bytes(mine)
    assert resume(run).card.weights == whole.card.weights


def test_a_finished_run_has_its_own_model(stored: Path, tmp_path: Path) -> None:
    for seed in (0, 1):
        train(stored, small_recipe(), tmp_path / f"run{seed}", TrainingSettings(seed=seed, threads=1))
    shutil.rmtree(tmp_path / "run0" / "model")
    shutil.copytree(tmp_path / "run1" / "model", tmp_path / "run0" / "model")
    with pytest.raises(MienError, match="the model of this run"):
        resume(tmp_path / "run0")
    assert resume(tmp_path / "run1").card.seed == 1


@pytest.mark.parametrize(
    "content", ["[" * 200_000, "5", '{"epochs": 5}', '{"epochs": [{"loss": "low"}]}', '{"epochs": [5]}', "{}"]
)
def test_histories_are_lists_of_figures(tmp_path: Path, content: str) -> None:
    (tmp_path / "history.json").write_text(content)
    with pytest.raises(MienError, match=r"history\.json"):
        read_history(tmp_path)


@pytest.mark.parametrize(
    "content", ["[" * 200_000, "{}", "[5]", "[{}]", '[{"network": {}, "weights": 1, "faces": "", "budget": {}, "used": []}]']
)
def test_sources_are_lists_of_models(tmp_path: Path, content: str) -> None:
    (tmp_path / "sources.json").write_text(content)
    with pytest.raises(MienError, match=r"sources\.json"):
        read_sources(tmp_path)


def test_a_run_whose_order_is_odd_is_measured_or_refused(stored: Path, tmp_path: Path) -> None:
    recognizer = train(stored, small_recipe(unlabeled="fixmatch"), tmp_path / "run", TrainingSettings(threads=1, labels=20))
    file = tmp_path / "run" / "run.json"
    written = json.loads(file.read_text())
    orders: list[Any] = [[], "x", {"fold": 5}, {"faces": 5}, {"unlabeled_faces": "many"}]
    for order in orders:
        file.write_text(json.dumps(written | {"order": order}))
        with pytest.raises(MienError, match=r"run\.json"):
            evaluate(recognizer, stored)


def test_a_cached_autoencoder_that_is_damaged_is_made_anew(tmp_path: Path) -> None:
    faces = bright_faces(40)
    heard = Heard()

    def obtained(name: str) -> str:
        about: dict[str, Any] = {"folder": tmp_path / name, "cache": Memory(), "device": torch.device("cpu"), "progress": heard}
        run = fake_run(data=SimpleNamespace(split=faces, faces=faces), **about)
        run_neighbors(run, TINY_AUTOENCODER)
        return heard.lines[-1]

    assert "autoencoder" in obtained("first")
    (kept,) = cache_folder().iterdir()
    assert "from" in obtained("second")
    weights = kept / "model" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\0")
    obtained("third")
    assert any("is trained first" in line for line in heard.lines[2:])
    assert "from" in obtained("fourth")
    other = train_autoencoder(
        bright_faces(40, seed=1), tmp_path / "other", autoencoder_settings(TINY_AUTOENCODER), TrainingSettings(threads=1)
    )
    shutil.rmtree(kept)
    keep_for_others(tmp_path / "other", kept.name)
    assert json.loads((kept / "model" / "model.json").read_text())["weights"] == other.weights
    count = sum("is trained first" in line for line in heard.lines)
    obtained("fifth")
    assert sum("is trained first" in line for line in heard.lines) == count + 1, "one of other faces is not taken"


def test_an_autoencoder_goes_on_with_what_it_was_asked(stored: Path, tmp_path: Path) -> None:
    train_autoencoder(stored, tmp_path / "out", autoencoder_settings(TINY_AUTOENCODER), TrainingSettings(threads=1))
    file = tmp_path / "out" / "neighbors.json"
    for content in ("[" * 200_000, "[]", '{"order": 5}', '{"autoencoding": 5, "order": {}}', '{"order": {"threads": "x"}}'):
        file.write_text(content)
        with pytest.raises(MienError):
            train_autoencoder(stored, tmp_path / "out", autoencoder_settings(TINY_AUTOENCODER), TrainingSettings())


def test_a_state_is_written_and_read_bit_for_bit(tmp_path: Path) -> None:
    state = {
        "empty": torch.zeros(0, 3),
        "one": torch.tensor(2.5),
        "flags": torch.tensor([True, False]),
        "half": torch.tensor([1.0, -0.0], dtype=torch.bfloat16),
        "nested": {3: [1, None, "é", float("nan")], "a\0b": 10**30},
    }
    write_state(tmp_path / "state.safetensors", state)
    found = read_state(tmp_path / "state.safetensors")
    for name in ("empty", "one", "flags", "half"):
        assert found[name].dtype == state[name].dtype  # type: ignore[attr-defined]
        assert torch.equal(found[name], state[name])  # type: ignore[arg-type]
    assert found["nested"][3][:3] == [1, None, "é"]
    assert found["nested"]["a\0b"] == 10**30
    assert np.isnan(found["nested"][3][3])
