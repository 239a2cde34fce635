"""ONNX files: reading, checking, and opening a session of onnxruntime."""

import hashlib
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mien.errors import MienError
from mien.installed import missing_extra
from mien.telemetry import import_onnxruntime
from mien.wording import plain_text

LIMIT = 1 << 31
"""An ONNX file must have fewer bytes than this."""


def read_model(path: Path, sha256: str) -> tuple[Any, str]:
    """The ONNX model at `path`, and the sha256 of the file.

    Raises MienError where there is no ONNX file, or its hash is not the `sha256` that was given, if any.
    """
    try:
        import onnx
        from google.protobuf.message import DecodeError
    except ImportError as error:
        raise missing_extra("onnx", f"onnx, to read {path}", str(error)) from error
    if not path.is_file():
        raise MienError(f"an ONNX file at {path}", "no such file", "give the path of one")
    if path.stat().st_size >= LIMIT:
        raise _too_large(path)
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if sha256 and sha256.lower() != found:
        raise MienError(f"sha256 {sha256} of {path}", found, "set model.path to that file, or model.sha256 to this one's")
    try:
        model = onnx.load(path)
    except (DecodeError, ValueError, onnx.checker.ValidationError) as error:
        raise MienError(f"an ONNX file at {path}", f"something else ({error})", "take another file") from error
    if not model.graph.output:
        raise MienError(f"an ONNX file at {path}", "one without outputs", "take another file")
    return model, found


def serialize(model: Any, path: Path) -> bytes:
    """An ONNX model as bytes, with the weights that lay in files beside it. Raises MienError where it is too large."""
    from google.protobuf.message import EncodeError

    try:
        content: bytes = model.SerializeToString()
    except (EncodeError, ValueError) as error:
        raise _too_large(path) from error
    return content


def thread_count() -> int:
    """How many threads a network may use: as torch says where it is loaded, else OMP_NUM_THREADS, else one for each core."""
    if torch := sys.modules.get("torch"):  # it knows OMP_NUM_THREADS, and what a command was told
        return int(torch.get_num_threads())
    said = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    if said.isdecimal() and int(said):
        return int(said)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def open_session(content: bytes, threads: int, files: Mapping[str, bytes] | None = None) -> Any:
    """A session of onnxruntime on the CPU for the model `content`. `files`: the files of weights that it refers to, by name.

    Raises MienError where onnxruntime is not installed, or cannot run the model.
    """
    try:
        onnxruntime = import_onnxruntime()
    except ImportError as error:
        raise MienError("onnxruntime, to run networks", str(error), "pip install onnxruntime") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4  # what goes wrong is raised; said as well, it would show names as they are
    # Threads that wait do so asleep: workers beside them want the cores.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if files:
        # From memory, so that what is run is what was checked.
        options.add_external_initializers_from_files_in_memory(list(files), list(files.values()), list(map(len, files.values())))
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise MienError("an ONNX file that onnxruntime can run", first_line(error), "take another file") from error


def first_line(error: Exception) -> str:
    """The first line of a library's error message, safe on a terminal and cut after 400 letters."""
    return plain_text((str(error).splitlines() or [type(error).__name__])[0], 400)


def _too_large(path: Path) -> MienError:
    return MienError(f"an ONNX network below 2 GB at {path}", "a larger one", "take a smaller one, or one in half precision")
