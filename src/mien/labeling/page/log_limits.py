"""A log that no client can fill a disk with: of each kind of line only a few a minute, then how many were left out."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

MINUTE = 60.0
KINDS = 100
"""Kinds that are told apart; those that come later count as one."""
PAGE = "mien.labeling.page"
"""The logger of the page itself."""
LOGGERS = ("uvicorn.error", "asyncio", PAGE)


@dataclass
class _Kind:
    begin: float
    said: int = 0
    left_out: int = 0


class LimitedLog(logging.Filter):
    """Lets pass `most` lines a minute of each kind, those of a logger that begin alike, and says how many were left out."""

    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._most, self._clock = most, clock
        self._kinds: dict[tuple[str, int, str], _Kind] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Of logging."""
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
        """Loggers, and what was left out of them and not said yet."""
        for (name, _, text), kind in self._kinds.items():
            if kind.left_out:
                yield name or LOGGERS[0], f"{_left_out(kind.left_out)}: {text}"


@contextmanager
def few_lines(most: int) -> Iterator[None]:
    """While it is entered, what these loggers say is limited so."""
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
