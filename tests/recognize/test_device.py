"""Names of devices, those that are not there among them."""

from pathlib import Path

import pytest
import torch

from conftest import Command
from mien import MienError, Recognizer
from mien.recognize.device import choose_device, choose_precision, sum_dtype


def _has(monkeypatch: pytest.MonkeyPatch, cuda: int = 0, mps: bool = False) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)


def test_devices_that_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    _has(monkeypatch, cuda=2, mps=True)
    names = ["cpu", "cuda", "cuda:0", "cuda:1", "auto"]
    assert [str(choose_device(name)) for name in names] == ["cpu", "cuda", "cuda:0", "cuda:1", "cuda"]
    assert choose_device("mps", trains=False) == torch.device("mps")
    with pytest.raises(MienError, match="double precision"):
        choose_device("mps")
    assert choose_precision("auto", torch.device("mps")) == torch.float32
    assert (sum_dtype(torch.device("mps")), sum_dtype(torch.device("cuda:1"))) == (torch.float32, torch.float64)
    _has(monkeypatch)
    assert choose_device("auto") == torch.device("cpu")


@pytest.mark.parametrize(
    ("name", "cuda", "said"),
    [
        ("cuda:2", 2, "a GPU among cuda:0, cuda:1; found 'cuda:2'"),
        ("cuda:1", 0, "a GPU that torch can use; found none"),
        ("cuda", 0, "a GPU that torch can use; found none"),
        ("mps", 0, "a GPU of Apple that torch can use; found none; take `device` cpu"),
        ("cuda:", 1, "a device among auto, cpu, cuda, cuda:1, mps; found 'cuda:'"),
        ("cuda:-1", 1, "a device among"),
        ("cuda:99999999999999999999", 1, "a device among"),
        ("cpu:0", 1, "a device among"),
        ("cud", 1, r"found 'cud' \(did you mean cuda\?\)"),
        ("", 1, "a device among"),
    ],
)
def test_devices_that_are_not_there(monkeypatch: pytest.MonkeyPatch, name: str, cuda: int, said: str) -> None:
    _has(monkeypatch, cuda)
    for call in (choose_device, lambda device: Recognizer.load("mien-s", device)):
        with pytest.raises(MienError, match=said):
            call(name)


@pytest.mark.parametrize("device", ["cuda:7", "mps", "tpu"])
def test_every_command_says_so(mien: Command, stored: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, device: str) -> None:
    _has(monkeypatch)
    (tmp_path / "photo.jpg").write_bytes(b"none")
    out = ["--out", tmp_path / "out"]
    for words in (
        ["train", stored, *out],
        ["predict", tmp_path / "photo.jpg"],
        ["adapt", "mien-s", stored, *out],
        ["features", "mien_s", stored, tmp_path / "out"],
        ["compare", stored, "--recipes", "supervised,pl", *out],
    ):
        done = mien(*words, "--device", device)
        assert (done.code, done.err.count("expected"), "Traceback" in done.err) == (1, 1, False), words


@pytest.mark.parametrize("multiplies", ["_is_amx_tile_supported", "_is_avx512_bf16_supported", None])
def test_half_precision_where_the_processor_multiplies_it(multiplies: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    if multiplies is not None:
        monkeypatch.setattr(torch.cpu, multiplies, lambda: True)
    assert choose_precision("auto", torch.device("cpu")) == (torch.float32 if multiplies is None else torch.bfloat16)
