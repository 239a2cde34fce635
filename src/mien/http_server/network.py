"""Where a server listens, who can reach it, and how it runs until it is told to end."""

import errno
import ipaddress
import re
import socket
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from mien.errors import MienError
from mien.http_server.client_addresses import require_proxies
from mien.http_server.client_limits import ClientLimits
from mien.http_server.log_limits import limited_logs
from mien.http_server.request_checks import LOOPBACK
from mien.http_server.tls import tls_context
from mien.http_server.uvicorn_server import LimitedServer

PATH_PATTERN = re.compile(r"(/(?!\.{1,2}(/|$))[A-Za-z0-9._~-]+)+")
"""A path below which a proxy may show a server; not with . and .. as parts, which browsers take out."""
BACKLOG = 1024
"""Connections that may wait until they are accepted."""


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens at a host and port; port 0 takes a free one. Raises MienError where it cannot listen there."""
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
        raise MienError(f"to listen at {host}, port {port}", found, "choose another `port`, or an own `host`") from error


def page_address(listening: socket.socket, tls: bool = False, path: str = "") -> str:
    """The address at which a browser or a program finds the server."""
    host, port = listening.getsockname()[:2]
    return f"http{'s' if tls else ''}://{f'[{host}]' if ':' in host else host}:{port}{path}/"


def require_names(names: Sequence[str]) -> None:
    """Raises MienError for a text that is no host name, such as an address with a scheme."""
    for name in names:
        if not name or set("/:@ ") & set(name):
            raise MienError("a host name such as labels.example.org", repr(name), "give the name alone, without http:// or port")


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a host."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@dataclass(frozen=True)
class NetworkSettings:
    """How clients reach a server over the network."""

    names: Sequence[str] = ()
    """Host names that it answers to beside those of this machine."""
    proxies: Sequence[str] = ()
    """IP addresses and networks of proxies, which are believed about the client's address and about TLS."""
    tls: ssl.SSLContext | None = None
    """Certificate and key for TLS without a proxy."""
    limits: ClientLimits = field(default_factory=ClientLimits)
    """How much of it a client may use."""
    path: str = ""
    """The path below which a proxy shows it, such as /label."""


LOCAL = NetworkSettings()
"""Reached directly: without names, proxies or TLS."""


def network_settings(
    names: Sequence[str],
    proxies: Sequence[str],
    certificate: Path | None = None,
    key: Path | None = None,
    path: str = "",
    limits: ClientLimits | None = None,
) -> NetworkSettings:
    """Check how clients reach a server. `certificate` and `key` are PEM files.

    Raises MienError for a name that is no host name, a proxy that is no IP address or network, an unusable certificate or key,
    and a path that does not begin with a slash or has unusual letters.
    """
    require_names(names)
    if key is not None and certificate is None:
        raise MienError("`certificate` beside `key`", "none", "give the certificate that the key was made for")
    tls = tls_context(certificate, key) if certificate is not None else None
    if path.rstrip("/") and not PATH_PATTERN.fullmatch(path.rstrip("/")):
        todo = "begin it with a slash; letters, digits, . _ ~ and - may be in it"
        raise MienError("a path such as /label", repr(path[:200]), todo)
    return NetworkSettings(names, require_proxies(proxies), tls, limits or ClientLimits(), path.rstrip("/"))


def known_names(listening: socket.socket, reached: NetworkSettings) -> frozenset[str] | None:
    """The host names that a server answers to, or None for any.

    On this machine alone it answers to the machine's names and to the names given. Elsewhere it answers to any name, unless some
    are given.
    """
    host = listening.getsockname()[0]
    return LOOPBACK | {host, *reached.names} if reached.names or is_loopback(host) else None


def run_until_told(
    app: ASGIApp,
    listening: socket.socket,
    reached: NetworkSettings = LOCAL,
    started: Callable[[uvicorn.Server], None] = lambda server: None,
) -> None:
    """Serve an application until a signal ends it. `started` is given the server, which also ends when its `should_exit` is set.

    Raises MienError for a proxy that is no IP address.
    """
    proxies, limits = require_proxies(reached.proxies), reached.limits
    # Whom to believe is said in any case: else uvicorn would believe this machine, or whom the environment names. The loop is one
    # that watches a socket for the server, on Windows too.
    config = uvicorn.Config(
        app, loop="asyncio:SelectorEventLoop", http="httptools", ws="none", lifespan="off", log_level="warning", access_log=False,
        server_header=False, timeout_keep_alive=round(limits.idle_seconds), timeout_graceful_shutdown=5,
        proxy_headers=bool(proxies), forwarded_allow_ips=list(proxies),
    )  # fmt: skip
    server = LimitedServer(config, listening, limits, proxies, reached.tls)
    started(server)
    with listening, limited_logs(limits.log_lines):
        server.run()
