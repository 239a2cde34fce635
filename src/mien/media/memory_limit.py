"""Limits how much memory this process takes: on Linux alone, where the system counts all that a process may write to.

Beyond the limit the system gives no memory, and most libraries report that.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

_ALONE = Lock()
"""The limit is that of the whole process, so one thread at a time changes it, for a moment."""


def limit_memory(more: int) -> None:
    """Let this process take `more` bytes beyond what it has, from now on."""
    if _counted(more):
        _limit(_taken() + more)


class Allowance:
    """Bytes of memory that some work may take, step by step; memory taken between two steps does not count."""

    def __init__(self, most: int) -> None:
        self._left = most

    @contextmanager
    def step(self) -> Iterator[None]:
        """A context in which taking more memory than is left fails, with whatever exception the code inside raises."""
        if not _counted(self._left):
            yield
            return
        with _ALONE:
            before = _taken()
            usual = _limit(before + self._left)
            try:
                yield
            finally:
                _limit(usual)
                self._left -= _taken() - before


def _counted(bytes_: int) -> bool:
    return sys.platform.startswith("linux") and bytes_ < sys.maxsize >> 2


def _taken() -> int:
    """Bytes that this process may write to."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmData:"):
            return int(line.split()[1]) * 1024
    return 0


def _limit(wanted: int) -> int:
    """Set the limit, no higher than the system's, and return the one before."""
    import resource

    before, most = resource.getrlimit(resource.RLIMIT_DATA)
    own = most if wanted == resource.RLIM_INFINITY else wanted if most == resource.RLIM_INFINITY else min(wanted, most)
    resource.setrlimit(resource.RLIMIT_DATA, (own, most))
    return before
