"""The file of weights, and the card: what is damaged or no number is a sentence, where onnxruntime runs and where torch does."""

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save

from mien import MienError, Recognizer
from mien.data.format import Info
from mien.neighbors.semantic_neighbors import SemanticNeighbors
from mien.recognize.bundled import BUNDLED
from mien.recognize.model_card import ModelCard, read_card
from mien.recognize.model_folder import CARD, GRAPH, WEIGHTS
from mien.recognize.run_records import read_history
from mien.recognize.saved_networks import build_network, write_model
from mien.recognize.weights_file import check_weights

FOLDER = BUNDLED["mien-s"]
NAME = "blocks.stem.1.running_var"


def split(content: bytes) -> tuple[dict[str, Any], bytes]:
    length = int.from_bytes(content[:8], "little")
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def joined(header: object, rest: bytes) -> bytes:
    made = json.dumps(header).encode()
    return len(made).to_bytes(8, "little") + made + rest


def with_entry(change: Callable[[dict[str, Any]], Any]) -> Callable[[bytes], bytes]:
    """The entry in the header of the first array in half precision is another."""

    def changed(content: bytes) -> bytes:
        header, rest = split(content)
        change(next(entry for entry in header.values() if entry.get("dtype") == "F16"))
        return joined(header, rest)

    return changed


def with_value(name: str, value: float) -> Callable[[bytes], bytes]:
    """One number is another."""

    def changed(content: bytes) -> bytes:
        header, rest = split(content)
        begin = header[name]["data_offsets"][0]
        return joined(header, rest[:begin] + np.float16(value).tobytes() + rest[begin + 2 :])

    return changed


DEEP = b"[" * 200_000

FAULTS: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "empty": (lambda content: b"", "safetensors in"),
    "short": (lambda content: content[:-2], "safetensors in"),
    "long": (lambda content: content + b"x", "safetensors in"),
    "header without end": (lambda content: (2**62).to_bytes(8, "little") + content[8:], "safetensors in"),
    "header of 99 MB": (lambda content: (99 * 10**6).to_bytes(8, "little") + content[8:], "safetensors in"),
    "nested": (lambda content: joined([[[]]], b""), "safetensors in"),
    "deep": (lambda content: len(DEEP).to_bytes(8, "little") + DEEP, "safetensors in"),
    "no JSON": (lambda content: content[:8] + b"x" * (len(content) - 8), "safetensors in"),
    "overlap": (with_entry(lambda one: one.update(data_offsets=[2, 4])), "safetensors in"),
    "backwards": (with_entry(lambda one: one.update(data_offsets=[4, 2])), "safetensors in"),
    "far": (with_entry(lambda one: one.update(data_offsets=[0, 10**15])), "safetensors in"),
    "negative": (with_entry(lambda one: one.update(data_offsets=[-2, 2])), "safetensors in"),
    "huge": (with_entry(lambda one: one.update(shape=[2**62, 2**62])), "safetensors in"),
    "unknown kind": (with_entry(lambda one: one.update(dtype="X9")), "safetensors in"),
    "whole numbers": (with_entry(lambda one: one.update(dtype="I16")), "weights of F32, F16, BF16, I64"),
    "nan": (with_value("head.3.weight", np.nan), "nan or infinite ones in head.3.weight"),
    "infinite": (with_value("blocks.stem.0.weight", -np.inf), "nan or infinite ones in blocks.stem.0.weight"),
    "nan in a buffer": (with_value("blocks.stem.1.running_mean", np.nan), "running_mean"),
    "variance below 0": (with_value(NAME, -0.5), f"variances of 0 or more.*{NAME}"),
}


def mended(folder: Path, content: bytes, **values: object) -> Path:
    """The model in the box with other weights, all hashes right."""
    folder.mkdir(parents=True)
    card = json.loads((FOLDER / CARD).read_text()) | {"weights": hashlib.sha256(content).hexdigest()} | values
    (folder / WEIGHTS).write_bytes(content)
    (folder / GRAPH).write_bytes((FOLDER / GRAPH).read_bytes())
    (folder / CARD).write_text(json.dumps(card))
    return folder


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("graph", [True, False])
def test_damaged_weights_are_refused_when_they_are_read(tmp_path: Path, fault: str, graph: bool) -> None:
    change, said = FAULTS[fault]
    folder = mended(tmp_path / "m", change((FOLDER / WEIGHTS).read_bytes()), **({} if graph else {"graph": ""}))
    with pytest.raises(MienError, match=said):
        Recognizer.load(folder, "cpu")


@pytest.mark.parametrize("kind", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_no_number_is_found_in_every_kind(kind: torch.dtype, value: float) -> None:
    weights = {"a": torch.tensor([1.0, -65000.0, 0.0], dtype=kind), "n": torch.tensor(3), "e": torch.zeros(0, 4, dtype=kind)}
    found = check_weights(save(weights), Path("x"))
    assert found.array("n") == 3
    assert found.array("e").shape == (0, 4)
    with pytest.raises(MienError, match="nan or infinite ones in a"):
        check_weights(save(weights | {"a": torch.tensor([1.0, value], dtype=kind)}), Path("x"))


@pytest.mark.parametrize("kind", [torch.float64, torch.int8, torch.bool, torch.float8_e4m3fn])
def test_other_kinds_of_numbers_are_refused(kind: torch.dtype) -> None:
    with pytest.raises(MienError, match=r"weights of F32, F16, BF16, I64 in x; found a\\x1b of"):
        check_weights(save({"a\x1b": torch.ones(3).to(kind)}), Path("x"))


def test_a_file_of_several_gigabytes_is_not_read(tmp_path: Path) -> None:
    folder = mended(tmp_path / "m", (FOLDER / WEIGHTS).read_bytes())
    os.truncate(folder / WEIGHTS, 5 << 30)  # most of it a hole
    with pytest.raises(MienError, match=r"a file of at most 4,294,967,296 bytes at .*; found 5,368,709,120"):
        Recognizer.load(folder, "cpu")


def test_a_card_of_many_megabytes_is_not_read(tmp_path: Path) -> None:
    folder = mended(tmp_path / "m", (FOLDER / WEIGHTS).read_bytes(), seed="9" * 17_000_000)
    with pytest.raises(MienError, match=r"a file of at most 16,777,216 bytes"):
        read_card(folder)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"temperature": 1e-300}, "found temperature = 1e-300"),
        ({"temperature": 10**10}, "found temperature = 10000000000"),
        ({"least": True}, "found least = True"),
        ({"network": {}}, "the name of a network"),
        ({"network": []}, "found network"),
        ({"budget": {"train": "many"}}, "found train = 'many'"),
        ({"budget": {"train": -1}}, "found train = -1"),
        ({"budget": {"noise": float("nan")}}, "found noise = nan"),
        ({"budget": {"classes": {"anger": None}}}, "found classes.anger = None"),
        ({"sources": [{}]}, "to be given network"),
        ({"sources": [{"network": {}, "weights": 3}]}, "found weights = 3"),
        ({"metrics": {"loss": "x"}}, "found metrics.loss = 'x'"),
        ({"classes": ["\ud800"] * 8}, "texts of whole characters in"),
        ({"classes": ["x" * 10**6] * 8}, "classes that differ"),
        ({"version": "x" * 10**6}, "found version x{79}…"),
        ({"seed": 1.5}, "found seed = 1.5"),
    ],
)
def test_a_card_that_lies_is_a_short_sentence(tmp_path: Path, values: dict[str, object], said: str) -> None:
    folder = mended(tmp_path / "m", (FOLDER / WEIGHTS).read_bytes(), **values)
    with pytest.raises(MienError, match=said) as caught:
        Recognizer.load(folder, "cpu")
    assert len(str(caught.value)) < 2000


@pytest.mark.parametrize(("key", "value"), [("side", 10**9), ("side", -1), ("channels", 2), ("channels", 0), ("channels", 10**9)])
def test_faces_of_no_sense_are_refused(tmp_path: Path, key: str, value: int) -> None:
    faces = json.loads((FOLDER / CARD).read_text())["faces"] | {key: value}
    folder = mended(tmp_path / "m", (FOLDER / WEIGHTS).read_bytes(), faces=faces)
    with pytest.raises(MienError, match=r"faces of at most 2048 pixels and 1 or 3 channels|found faces\.(side|channels) = "):
        read_card(folder)


@pytest.mark.parametrize(
    "text",
    [
        "eyes distance=1e-300; mtcnn; all",
        "eyes; mtcnn factor=0.9999999; all",
        "eyes; mtcnn least_face=nan; all",
        "box margin=inf; mtcnn; all",
        "box margin=1e300; mtcnn; all",
        "box; haar step=1.0000001; all",
        "box; dlib doublings=40; all",
    ],
)
def test_a_way_to_find_faces_that_never_ends_is_refused(tmp_path: Path, text: str) -> None:
    faces = json.loads((FOLDER / CARD).read_text())["faces"] | {"alignment": text}
    recognizer = Recognizer.load(mended(tmp_path / "m", (FOLDER / WEIGHTS).read_bytes(), faces=faces), "cpu")
    with pytest.raises(MienError, match="settings that fit"):
        recognizer(np.zeros((40, 40, 3), np.uint8))


def test_figures_that_are_none_are_null_on_disk_and_nan_in_memory(tmp_path: Path) -> None:
    info = Info(("a", "b"), side=16)
    weights = dict(build_network({"network": "mien_s", "width": 4}, 2, info).state_dict())
    card = ModelCard({"network": "mien_s", "width": 4}, ("a", "b"), info, metrics={"loss": float("nan"), "lr": 0.5})
    write_model(tmp_path / "m", weights, card)
    text = (tmp_path / "m" / CARD).read_text()
    assert json.loads(text)["metrics"] == {"loss": None, "lr": 0.5}
    for old in (text, text.replace('"loss": null', '"loss": NaN')):
        (tmp_path / "m" / CARD).write_text(old)
        metrics = read_card(tmp_path / "m").metrics
        assert np.isnan(metrics["loss"])
        assert metrics["lr"] == 0.5


def test_a_history_with_null_and_nan_is_read(tmp_path: Path) -> None:
    (tmp_path / "history.json").write_text('{"epochs": [{"epoch": 1, "loss": null, "lr": NaN, "seconds": 2.5}]}')
    (epoch,) = read_history(tmp_path)
    assert (epoch["epoch"], epoch["seconds"]) == (1, 2.5)
    assert np.isnan([epoch["loss"], epoch["lr"]]).all()
    for damaged in ('{"epochs": 3}', "{}", '{"epochs": [3]}', '{"epochs": [{"loss": "x"}]}'):
        (tmp_path / "history.json").write_text(damaged)
        with pytest.raises(MienError, match="remove it"):
            read_history(tmp_path)


@pytest.mark.parametrize("settings", [{"latent": 60000}, {"latent": 10**9}, {"residuals": [10**9] * 5}, {"latent": 7}])
def test_an_autoencoder_is_as_large_as_its_weights(tmp_path: Path, settings: dict[str, object]) -> None:
    network = {"network": "asymmetric_autoencoder", "latent": 8}
    info = Info((), side=16)
    card = ModelCard(network | settings, (), info)
    weights = {"deviation": torch.ones(8), "blocks.code.1.bias": torch.zeros(8)}
    write_model(tmp_path / "m", weights, card)
    with pytest.raises(MienError):
        SemanticNeighbors.load(tmp_path / "m", torch.device("cpu"))
