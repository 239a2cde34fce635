"""Switches off what other packages would send, and files that they would leave in a home folder, before they are imported.

Nothing heavy is imported here. docs/privacy.md tells what each package would do.
"""

import os
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

OFF = {"ORT_DISABLE_TELEMETRY": "1", "RAY_USAGE_STATS_ENABLED": "0"}
"""Environment variables that switch telemetry off. onnxruntime reads its own once, when imported; Ray whenever it starts
something."""


def switch_off_telemetry() -> None:
    """Switch telemetry off in this process and in those that it starts, whatever the environment says.

    It comes too late where onnxruntime was imported before: events that it has queued are sent. A warning says so.
    """
    late = "onnxruntime" in sys.modules and os.environ.get("ORT_DISABLE_TELEMETRY", "0").lower() not in ("1", "true")
    os.environ.update(OFF)
    if late:
        sys.modules["onnxruntime"].disable_telemetry_events()  # later events; what is queued is sent nevertheless
        todo = "import mien first, or set ORT_DISABLE_TELEMETRY=1"
        warnings.warn(f"onnxruntime was imported before mien, with its telemetry on: {todo}", RuntimeWarning, stacklevel=3)


def import_onnxruntime() -> Any:
    """The module onnxruntime with its telemetry off; mien imports it nowhere else. Raises ImportError where it is missing."""
    switch_off_telemetry()  # once more: a program may have changed its environment
    import onnxruntime

    return onnxruntime


def import_quantization() -> Any:
    """onnxruntime's package that makes networks of whole numbers. Raises ImportError where onnx or onnxruntime is missing."""
    import_onnxruntime()
    import onnxruntime.quantization
    import onnxruntime.quantization.shape_inference

    return onnxruntime.quantization


def own_cache() -> Path:
    """The folder of mien's own cache, which may not be there yet."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mien"


@contextmanager
def changed_environment(values: Mapping[str, str]) -> Iterator[None]:
    """A context with these environment variables, in this process and in those that it starts."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
