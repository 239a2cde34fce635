"""Checkpoint files: bit for bit, whole or not at all, and no pickle."""

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mien import MienError
from mien.training.checkpoint import read_state, write_state

LEAVES = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text(max_size=5)
KEYS = st.text(max_size=3) | st.integers(-(2**63), 2**63 - 1)
TREES = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3))


@given(tree=TREES)
@settings(max_examples=50, deadline=None, derandomize=True)
def test_plain_values_come_back(tmp_path_factory: pytest.TempPathFactory, tree: Any) -> None:
    path = tmp_path_factory.mktemp("state") / "state.safetensors"
    write_state(path, {"tree": tree})
    assert read_state(path) == {"tree": tree}


@pytest.mark.parametrize("kind", [torch.float32, torch.float64, torch.bfloat16, torch.int64, torch.uint8, torch.bool])
def test_tensors_come_back_bit_for_bit(tmp_path: Path, kind: torch.dtype) -> None:
    value = torch.randn(3, 4, 5, 2).mul(100).to(kind).contiguous(memory_format=torch.channels_last)
    write_state(tmp_path / "s", {"a": [value, value], "b": {0: value[:, 1]}, "empty": torch.zeros(0, dtype=kind)})
    again = read_state(tmp_path / "s")
    assert again["a"][1].dtype == kind
    assert torch.equal(again["a"][1], value)
    assert torch.equal(again["b"][0], value[:, 1])
    assert again["empty"].shape == (0,)


def test_a_damaged_file_is_explained(tmp_path: Path) -> None:
    write_state(tmp_path / "s", {"a": torch.zeros(100)})
    (tmp_path / "s").write_bytes((tmp_path / "s").read_bytes()[:-7])
    with pytest.raises(MienError, match="a checkpoint at"):
        read_state(tmp_path / "s")


def test_what_is_neither_tensor_nor_plain_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="not object"):
        write_state(tmp_path / "s", {"a": object()})
    assert list(tmp_path.iterdir()) == []
