"""How much memory this process may take: on Linux alone, where the system counts all that a process may write to.

What wants more than that gets none, and most libraries say so.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

_ALONE = Lock()
"""One at a time changes the limit, which the whole process has, for a moment."""


def limit_memory(more: int) -> None:
    """Let this process take so many bytes beyond what it has, from now on."""
    if _counted(more):
        _limit(_taken() + more)


class Allowance:
    """Bytes that some work may take, in one step after the other; whatever is taken between two steps does not count."""

    def __init__(self, most: int) -> None:
        self._left = most

    @contextmanager
    def step(self) -> Iterator[None]:
        """What takes more than is left fails; how it says so is up to it."""
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
    """Bytes that may be written to."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmData:"):
            return int(line.split()[1]) * 1024
    return 0


def _limit(wanted: int) -> int:
    """Set the limit, no higher than where the system has it, and give the one before."""
    import resource

    before, most = resource.getrlimit(resource.RLIMIT_DATA)
    own = most if wanted == resource.RLIM_INFINITY else wanted if most == resource.RLIM_INFINITY else min(wanted, most)
    resource.setrlimit(resource.RLIMIT_DATA, (own, most))
    return before
