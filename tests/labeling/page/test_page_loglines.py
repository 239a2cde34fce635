"""The log says few lines of a kind, and how many it left out."""

import logging
from collections.abc import Iterator

import pytest

from mien.http_server.log_limits import KINDS, MINUTE, LimitedLog, limited_logs


class Heard(logging.Handler):
    """Keeps lines."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Of logging."""
        self.lines.append(record.getMessage())


@pytest.fixture
def heard() -> Iterator[Heard]:
    """What uvicorn logs meanwhile."""
    logger, handler = logging.getLogger("uvicorn.error"), Heard()
    logger.addHandler(handler)
    try:
        yield handler
    finally:
        logger.removeHandler(handler)


def test_ten_of_a_kind_a_minute_then_how_many_were_left_out(heard: Heard) -> None:
    now = [0.0]
    logger, few = logging.getLogger("uvicorn.error"), LimitedLog(10, lambda: now[0])
    logger.addFilter(few)
    try:
        for n in range(1000):
            logger.error("no files: %s", n)
            logger.error("out of files\n%d", n)
        logger.error("another")
        assert heard.lines.count("another") == 1
        assert sum(line.startswith("no files") for line in heard.lines) == 10
        assert len(heard.lines) == 21
        now[0] = MINUTE
        logger.error("no files: %s", "5 %d")
        assert heard.lines[-1] == "no files: 5 %d (990 more lines of this kind were left out)"
        logger.error("no files: %s", 6)
        assert heard.lines[-1] == "no files: 6"
        for n in range(1000):
            logger.error(f"kind {n}")
        assert sum(line.startswith("kind") for line in heard.lines) < KINDS + 10
    finally:
        logger.removeFilter(few)


def test_it_is_so_only_while_the_page_is_served(heard: Heard) -> None:
    logger = logging.getLogger("uvicorn.error")
    with limited_logs(2):
        for _ in range(5):
            logger.error("100 %")
    assert heard.lines == ["100 %", "100 %", "3 more lines of this kind were left out: 100 %"]
    assert not logger.filters
    for _ in range(5):
        logger.error("again")
    assert heard.lines.count("again") == 5
