"""What Python 3.14 does otherwise, for a Python before it: `PYTHONPATH=tests/like_314`.

New processes come from a server and are not forked, questions about a path that fail are answered by False, and there is no event
loop but one that runs. A warning in mien's own modules of what is going to be removed is an error.
"""

import asyncio.events
import multiprocessing
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

ASKED = ("exists", "is_dir", "is_file", "is_mount", "is_symlink", "is_block_device", "is_char_device", "is_fifo", "is_socket")


def _answered(real: Callable[..., bool]) -> Callable[..., bool]:
    def ask(path: Path, **named: Any) -> bool:
        try:
            return real(path, **named)
        except (OSError, ValueError):
            return False

    return ask


def _running() -> asyncio.AbstractEventLoop:
    loop = asyncio.events._get_running_loop()
    if loop is None:
        raise RuntimeError("There is no current event loop")
    return loop


multiprocessing.set_start_method("forkserver")
for name in ASKED:
    setattr(Path, name, _answered(getattr(Path, name)))
for module in (asyncio, asyncio.events):
    setattr(module, "get_event_loop", _running)  # noqa: B010  # of mypy, which knows no module that is changed
for kind in (DeprecationWarning, PendingDeprecationWarning, SyntaxWarning):
    warnings.filterwarnings("error", category=kind, module=r"mien(\.|$)")
