"""A server of mien in a thread of this process, of which requests are asked, and how one sees that it is as before."""

import logging
import socket
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
import uvicorn

from mien.http_server.log_limits import LOGGERS
from mien.http_server.network import listen

PATIENCE = 600.0
"""Seconds until a request that is still worked on counts as one that never ends, where nobody has ended this process before."""

Item = TypeVar("Item")
Serve = Callable[[socket.socket, Callable[[uvicorn.Server], None]], None]
"""Serves at a socket until it ends, and tells its server once there is one."""


def pick(generator: np.random.Generator, among: Sequence[Item]) -> Item:
    """One of these."""
    return among[int(generator.integers(len(among)))]


@dataclass
class _Errors(logging.Handler):
    """What a server logs of errors."""

    lines: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(logging.WARNING)

    def emit(self, record: logging.LogRecord) -> None:
        """Of logging; that a request was none is no error."""
        if record.levelno >= logging.ERROR or record.exc_info:
            self.lines.append(f"{record.name}: {logging.Formatter().format(record)}")

    __hash__ = logging.Handler.__hash__


class Served:
    """A server that runs as long as the process lives."""

    def __init__(self, serve: Serve, well: str) -> None:
        """`well`: an address below it that is always answered by 200."""
        listening = listen("127.0.0.1", 0)
        self.port: int = listening.getsockname()[1]
        self._well = well
        self._servers: list[uvicorn.Server] = []
        threading.Thread(target=serve, args=(listening, self._servers.append), daemon=True).start()
        _wait(lambda: bool(self._servers) and self._servers[0].started, "server")
        self._errors = _Errors()
        for name in LOGGERS:
            logging.getLogger(name).addHandler(self._errors)

    def require_well(self) -> None:
        """Raises AssertionError unless it has no request left, logged no error, and answers."""
        _wait(lambda: not self._servers[0].server_state.tasks, "server without requests that it works on")
        errors, self._errors.lines = self._errors.lines, []
        if errors:
            raise AssertionError("\n".join(errors)[-8000:])
        with socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE) as connection:
            connection.sendall(f"GET {self._well} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
            if not connection.recv(100).startswith(b"HTTP/1.1 200"):
                raise AssertionError("the server answers nobody else")


def _wait(holds: Callable[[], bool], what: str) -> None:
    ends = time.monotonic() + PATIENCE
    while not holds():
        if time.monotonic() > ends:
            raise AssertionError(f"no {what} after {PATIENCE:.0f} seconds")
        time.sleep(0.002)
