"""Serving the page until it is told to end."""

import errno
import ipaddress
import re
import socket
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import uvicorn

from mien.errors import MienError
from mien.labeling.page.addresses import require_proxies
from mien.labeling.page.app import build
from mien.labeling.page.limits import Limits
from mien.labeling.page.log_limits import few_lines
from mien.labeling.page.request_checks import LOOPBACK
from mien.labeling.page.responses import When
from mien.labeling.page.server import PageServer
from mien.labeling.page.setup import PreparedPage
from mien.labeling.page.tls import tls_context

PATH = re.compile(r"(/(?!\.{1,2}(/|$))[A-Za-z0-9._~-]+)+")
"""What may stand before the page's own paths: without . and .. as parts, which browsers take out."""
BACKLOG = 1024
"""Connections that the system keeps until they are accepted."""


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens; at port 0 at one that is free. Raises MienError where it cannot."""
    try:
        # What is no name is told before there is a socket, which create_server would leave open.
        host.encode("idna")
        if "\0" in host:
            raise ValueError("a name with a zero byte")
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except (OSError, OverflowError, ValueError) as error:
        taken = isinstance(error, OSError) and error.errno == errno.EADDRINUSE
        found = "somebody who listens there already" if taken else str(error)
        raise MienError(f"to listen at {host}, port {port}", found, "choose another --port, or an own --host") from error


def address(listening: socket.socket, tls: bool = False, path: str = "") -> str:
    """Where a browser finds it."""
    host, port = listening.getsockname()[:2]
    return f"http{'s' if tls else ''}://{f'[{host}]' if ':' in host else host}:{port}{path}/"


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


@dataclass(frozen=True)
class Reached:
    """How clients reach the page."""

    names: Sequence[str] = ()
    """Host names that it answers to beside those of loopback."""
    proxies: Sequence[str] = ()
    """Addresses and networks of proxies, which are believed about the client's address and about TLS."""
    tls: ssl.SSLContext | None = None
    """For TLS of its own."""
    limits: Limits = field(default_factory=Limits)
    path: str = ""
    """Below which path a proxy shows the page, such as /label."""


DIRECTLY = Reached()
"""Without name, proxy or TLS."""


def reached_by(
    names: Sequence[str], proxies: Sequence[str], certificate: Path | None = None, key: Path | None = None, path: str = ""
) -> Reached:
    """How clients reach the page. Raises MienError for names that are none, proxies that are not given by an IP address or
    network, a certificate or key that cannot be used, and a path that does not begin with a slash or has unusual letters."""
    require_names(names)
    if key is not None and certificate is None:
        raise MienError("--certificate beside --key", "none", "give the certificate that the key was made for")
    tls = tls_context(certificate, key) if certificate is not None else None
    if path.rstrip("/") and not PATH.fullmatch(path.rstrip("/")):
        todo = "begin it with a slash; letters, digits, . _ ~ and - may be in it"
        raise MienError("a path such as /label", repr(path[:200]), todo)
    return Reached(names, require_proxies(proxies), tls, path=path.rstrip("/"))


def serve(
    ready: PreparedPage,
    listening: socket.socket,
    guess: When = "after",
    reached: Reached = DIRECTLY,
    started: Callable[[uvicorn.Server], None] = lambda server: None,
) -> None:
    """Serve the page until a signal ends it; `started` is given the server, which ends when its `should_exit` is set.

    On loopback it answers to the names of that and to those named; elsewhere to any name, unless some are named.
    Raises MienError for questions about faces that the pool does not have, and for what is no address of a proxy.
    """
    host, proxies, limits = listening.getsockname()[0], require_proxies(reached.proxies), reached.limits
    known = LOOPBACK | {host, *reached.names} if reached.names or is_loopback(host) else None
    app = build(ready.store, ready.pool, guess, known, limits, ready.photos, reached.path)
    # Whom to believe is said in any case: else uvicorn would believe this machine, or whom the environment names. The loop is one
    # that watches a socket for the door, on Windows too.
    config = uvicorn.Config(
        app, loop="asyncio:SelectorEventLoop", http="httptools", ws="none", lifespan="off", log_level="warning", access_log=False,
        server_header=False, timeout_keep_alive=round(limits.idle_seconds), timeout_graceful_shutdown=5,
        proxy_headers=bool(proxies), forwarded_allow_ips=list(proxies),
    )  # fmt: skip
    server = PageServer(config, listening, limits, proxies, reached.tls)
    started(server)
    with listening, few_lines(limits.log_lines):
        server.run()
