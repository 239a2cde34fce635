"""A log that no client can fill a disk with: a few lines a minute of each kind, then how many were left out."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

MINUTE = 60.0
KINDS = 100
"""Kinds of lines that are told apart; all that come later count as one kind."""
SERVER = "mien.http_server"
"""The logger of mien's own servers."""
LOGGERS = ("uvicorn.error", "asyncio", "python_multipart.multipart", SERVER)
"""The loggers that are limited."""


@dataclass
class _Kind:
    begin: float
    said: int = 0
    left_out: int = 0


class LimitedLog(logging.Filter):
    """Lets `most` lines a minute of each kind pass, and says how many were left out.

    Lines of a logger that begin alike are a kind.
    """

    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._most, self._clock = most, clock
        self._kinds: dict[tuple[str, int, str], _Kind] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a line is logged; called by Python's logging."""
        key = (record.name, record.levelno, str(record.msg).partition("\n")[0][:80])
        if key not in self._kinds and len(self._kinds) >= KINDS:
            key = ("", 0, "")
        now = self._clock()
        kind = self._kinds.setdefault(key, _Kind(now))
        left_out = 0
        if now >= kind.begin + MINUTE:
            left_out, kind.begin, kind.said, kind.left_out = kind.left_out, now, 0, 0
        if kind.said >= self._most:
            kind.left_out += 1
            return False
        kind.said += 1
        if left_out:
            record.msg, record.args = f"{record.getMessage()} ({_left_out(left_out)})", ()
        return True

    def rest(self) -> Iterator[tuple[str, str]]:
        """For each kind with lines that were left out and not reported: the logger, and what to report."""
        for (name, _, text), kind in self._kinds.items():
            if kind.left_out:
                yield name or LOGGERS[0], f"{_left_out(kind.left_out)}: {text}"


@contextmanager
def limited_logs(most: int) -> Iterator[None]:
    """Limit LOGGERS to `most` lines a minute of each kind while the context is entered."""
    found, few = [logging.getLogger(name) for name in LOGGERS], LimitedLog(most)
    for logger in found:
        logger.addFilter(few)
    try:
        yield
    finally:
        for logger in found:
            logger.removeFilter(few)
        for name, text in few.rest():
            logging.getLogger(name).warning(text)


def _left_out(count: int) -> str:
    return f"{count} more lines of this kind were left out"
