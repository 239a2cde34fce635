"""Networks that onnxruntime runs: how many threads they have, and weights that their graphs do not hold."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from onnx import TensorProto, helper

from mien import MienError
from mien.onnx_file import open_session, thread_count


def test_threads_are_those_of_torch_where_it_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    torch.set_num_threads(2)
    assert thread_count() == 2
    monkeypatch.delitem(sys.modules, "torch")
    assert thread_count() == 5


@pytest.mark.parametrize(("said", "count"), [("2", 2), (" 3,1", 3), ("", 4), ("0", 4), ("many", 4), (None, 4)])
def test_threads_without_torch(monkeypatch: pytest.MonkeyPatch, said: str | None, count: int) -> None:
    monkeypatch.delitem(sys.modules, "torch")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 1, 5, 7}, raising=False)
    if said is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", said)
    assert thread_count() == count


def test_threads_where_nobody_says_which_cores_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "torch")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    assert thread_count() == 6


def graph_without_weights() -> bytes:
    """x + weights, float32 (4096,), the weights in a file called `beside`, after 8 bytes."""
    weights = TensorProto(name="weights", data_type=TensorProto.FLOAT, dims=[4096], data_location=TensorProto.EXTERNAL)
    for key, said in (("location", "beside"), ("offset", "8"), ("length", "16384")):
        weights.external_data.add(key=key, value=said)
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [4096]) for name in "xy")
    graph = helper.make_graph([helper.make_node("Add", ["x", "weights"], ["y"])], "sum", [x], [y], [weights])
    content: bytes = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8).SerializeToString()
    return content


def test_weights_may_lie_in_a_file_in_memory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    session = open_session(graph_without_weights(), 1, {"beside": bytes(8) + np.arange(4096, dtype=np.float32).tobytes()})
    taken = [np.full(4096, 7, np.float32) for _ in range(64)]  # memory that the file may have left
    assert np.array_equal(session.run(None, {"x": taken[0]})[0], np.arange(4096) + 7)
    with pytest.raises(MienError, match="an ONNX file that onnxruntime can run"):
        open_session(graph_without_weights(), 1)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MienError, match="pip install onnxruntime"):
        open_session(b"", 1)
