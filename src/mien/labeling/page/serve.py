"""Serving the page until it is told to end."""

import socket
from collections.abc import Callable

import uvicorn

from mien.http_server.network import LOCAL, NetworkSettings, known_names, run_until_told
from mien.labeling.page.app import build
from mien.labeling.page.responses import GuessTiming
from mien.labeling.page.setup import PreparedPage


def serve(
    ready: PreparedPage,
    listening: socket.socket,
    guess: GuessTiming = "after",
    reached: NetworkSettings = LOCAL,
    started: Callable[[uvicorn.Server], None] = lambda server: None,
) -> None:
    """Serve the page until a signal ends it. `started` is given the server, which also ends when its `should_exit` is set.

    On this machine alone the page answers to the machine's names and to the names given. Elsewhere it answers to any name, unless
    some are given. Raises MienError for questions about faces that the pool does not have, and for a proxy that is no IP address.
    """
    app = build(ready.store, ready.pool, guess, known_names(listening, reached), reached.limits, ready.photos, reached.path)
    run_until_told(app, listening, reached, started)
