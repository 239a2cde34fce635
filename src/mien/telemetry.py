"""What other packages would send, and files that they would leave in a home folder, are switched off before they are imported.

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
"""In the environment: onnxruntime reads its word once, when it is imported, and Ray whenever it starts something."""


def switch_off_telemetry() -> None:
    """Telemetry off in this process, and in those that it begins, whatever the environment said.

    onnxruntime that was imported before cannot be silenced any more: it keeps a queue of events in the user's cache from then on,
    and sends it. A warning says so.
    """
    late = "onnxruntime" in sys.modules and os.environ.get("ORT_DISABLE_TELEMETRY", "0").lower() not in ("1", "true")
    os.environ.update(OFF)
    if late:
        sys.modules["onnxruntime"].disable_telemetry_events()  # later events; what is queued is sent nevertheless
        todo = "import mien first, or set ORT_DISABLE_TELEMETRY=1"
        warnings.warn(f"onnxruntime was imported before mien, with its telemetry on: {todo}", RuntimeWarning, stacklevel=3)


def import_onnxruntime() -> Any:
    """The module, which sends nothing; mien imports it nowhere else. Raises ImportError where it is not installed."""
    switch_off_telemetry()  # once more: a program may have changed its environment
    import onnxruntime

    return onnxruntime


def own_cache() -> Path:
    """Mien's own cache, which may not be there yet."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mien"


@contextmanager
def changed_environment(values: Mapping[str, str]) -> Iterator[None]:
    """These values for a while, in this process and in those that it begins."""
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
