"""Serving a model until the service is told to end."""

import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import uvicorn

from mien.errors import MienError
from mien.http_server.client_limits import ClientLimits
from mien.http_server.network import LOCAL, NetworkSettings, known_names, run_until_told
from mien.recognize.bundled import name_of
from mien.recognize.recognizer import Recognizer
from mien.serving.app import Service, build
from mien.serving.batches import Readers
from mien.serving.figures import Figures
from mien.serving.page import page_of
from mien.serving.settings import ServiceSettings

LEAST_TOKEN, MOST_TOKEN = 16, 1000
"""Letters of a token."""
AROUND = 64 << 10
"""Bytes of a request around its photos."""
PROGRAMS = ClientLimits(connections=1000, per_address=1000, body_seconds=60.0)
"""Limits for clients that are programs: many from one address, and with large bodies."""


def serve(
    recognizer: Recognizer,
    listening: socket.socket,
    settings: ServiceSettings | None = None,
    reached: NetworkSettings = LOCAL,
    token: str = "",
    started: Callable[[uvicorn.Server], None] = lambda server: None,
) -> None:
    """Serve a model until a signal ends it. The model is in memory: what becomes of its folder meanwhile changes nothing.

    `listening`: a socket of `mien.http_server.network.listen`. `token`: what clients have to send; empty for nothing. `started`
    is given the server, which also ends when its `should_exit` is set. On this machine alone the service answers to the machine's
    names and to the names given. Elsewhere it answers to any name, unless some are given. Raises MienError for a model of
    features, and for one whose card does not say how faces are cut out.
    """
    settings, figures = settings or ServiceSettings(), Figures()
    if recognizer.card.faces.kind != "faces":
        raise MienError(
            "a model of faces", f"one of {recognizer.card.faces.kind}", "serve one that was trained on a set of faces"
        )
    recognizer.crop_spec.require_workable()
    limits = replace(reached.limits, sent_bytes=settings.bytes + AROUND)
    with Readers(recognizer, settings, figures) as readers:
        service = Service(name_of(recognizer.folder), recognizer.card.to_json(), readers, figures, settings, token, limits)
        app = build(service, known_names(listening, reached), reached.path, page_of(recognizer, token))
        run_until_told(app, listening, replace(reached, limits=limits), started)


def read_token(file: Path) -> str:
    """The token in a file: its one line. Raises MienError for a file that cannot be read, and for a token that can be guessed."""
    expected = f"a token of {LEAST_TOKEN} to {MOST_TOKEN} letters of ASCII in {file}"
    todo = "make one: python -c 'import secrets; print(secrets.token_urlsafe())'"
    try:
        with file.open("rb") as opened:
            token = opened.read(MOST_TOKEN + 2).strip().decode("ascii")
    except (OSError, ValueError) as error:
        found = error.strerror or "no file" if isinstance(error, OSError) else "other letters"
        raise MienError(expected, found.lower(), todo) from error
    if not LEAST_TOKEN <= len(token) <= MOST_TOKEN or not token.isprintable() or " " in token:
        raise MienError(expected, f"{len(token)} letters" if token.isprintable() else "several lines", todo)
    return token
