"""Serving the page until it is told to end."""

import errno
import ipaddress
import socket
from collections.abc import Callable, Sequence

import uvicorn

from mien.active.page.app import build
from mien.active.page.guard import LOOPBACK
from mien.active.page.prepare import Ready
from mien.active.page.shown import When
from mien.errors import MienError

IDLE_SECONDS = 60
"""How long a connection is kept for the next answer."""


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens; at port 0 at one that is free. Raises MienError where it cannot."""
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=512)
    except (OSError, OverflowError) as error:
        taken = isinstance(error, OSError) and error.errno == errno.EADDRINUSE
        found = "somebody who listens there already" if taken else str(error)
        raise MienError(f"to listen at {host}, port {port}", found, "choose another --port, or an own --host") from error


def address(listening: socket.socket) -> str:
    """Where a browser finds it."""
    host, port = listening.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/"


def require_names(names: Sequence[str]) -> None:
    """Raises MienError for what is no host name, such as an address with a scheme."""
    for name in names:
        if not name or set("/:@ ") & set(name):
            raise MienError("a host name such as labels.example.org", repr(name), "give the name alone, without http:// or port")


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach it."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def serve(
    ready: Ready,
    listening: socket.socket,
    guess: When = "after",
    names: Sequence[str] = (),
    started: Callable[[uvicorn.Server], None] = lambda server: None,
) -> None:
    """Serve the page until a signal ends it; `started` is given the server, which ends when its `should_exit` is set.

    On loopback it answers to the names of that and to `names`; elsewhere to any name, unless there are `names`.
    Raises MienError for questions about faces that the pool does not have.
    """
    host = listening.getsockname()[0]
    known = LOOPBACK | {host, *names} if names or is_loopback(host) else None
    app = build(ready.store, ready.pool, guess, known)
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, server_header=False, timeout_keep_alive=IDLE_SECONDS,
        timeout_graceful_shutdown=5, ws="none", lifespan="off",
    )  # fmt: skip
    server = uvicorn.Server(config)
    started(server)
    with listening:
        server.run(sockets=[listening])
