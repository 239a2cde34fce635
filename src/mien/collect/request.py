"""One request of the web: to one number of a host, within a time and a size, without proxies, cookies or packed answers."""

import http.client
import socket
import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from threading import Event, Timer
from time import monotonic

from mien.collect.addresses import WebAddress

BLOCK = 1 << 16
"""Bytes read at a time."""


class RefusedError(Exception):
    """An address that gives nothing, and why. `passing`: whether it may give something another day."""

    def __init__(self, reason: str, passing: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.passing = passing


@dataclass(frozen=True)
class Reply:
    """What a host answered."""

    status: int
    """The number that says how it went, such as 200."""
    headers: Mapping[str, str]
    """The headers, their names in lower case."""
    content: bytes
    """The body; empty where the status is not 200."""


def ask(
    address: WebAddress,
    places: Sequence[tuple[str, int]],
    headers: Mapping[str, str],
    most: int,
    seconds: float,
    secure: ssl.SSLContext,
) -> Reply:
    """The reply of a host to a GET. `places`: the host's numbers and their families. `secure`: how https is spoken.

    Raises RefusedError where there is none within `seconds`, or it has more than `most` bytes or comes packed.
    """
    began = monotonic()
    with _connected(places, address.port, seconds) as line, _ended_after(seconds - (monotonic() - began), line) as is_over:
        late = RefusedError(f"no answer within {seconds:g} s", passing=True)
        try:
            reply = _spoken(line, address, headers, most, secure)
        except RefusedError as error:
            raise (late if is_over() else error) from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            slow = is_over() or isinstance(error, TimeoutError)
            raise (late if slow else RefusedError(f"no whole answer ({type(error).__name__})", passing=True)) from error
        if is_over():  # what was cut off may look whole
            raise late
        return reply


def _connected(places: Sequence[tuple[str, int]], port: int, seconds: float) -> socket.socket:
    """A connection to the first of a host's numbers that takes one: a network may lack a way to the others."""
    for number, family in places:
        line = socket.socket(family, socket.SOCK_STREAM)
        try:
            line.settimeout(seconds / len(places))
            line.connect((number, port))
        except OSError:
            line.close()
        else:
            return line
    raise RefusedError("a host that takes no connection", passing=True)


def _spoken(line: socket.socket, address: WebAddress, headers: Mapping[str, str], most: int, secure: ssl.SSLContext) -> Reply:
    spoken = secure.wrap_socket(line, server_hostname=address.host) if address.scheme == "https" else line
    try:
        link = http.client.HTTPConnection(address.host, address.port)
        link.sock = spoken
        link.putrequest("GET", address.target, skip_host=True, skip_accept_encoding=True)
        for name, value in {"Host": address.place, "Accept-Encoding": "identity", "Connection": "close", **headers}.items():
            link.putheader(name, value)
        link.endheaders()
        with link.getresponse() as answer:
            told = {name.lower(): value for name, value in answer.getheaders()}
            return Reply(answer.status, told, _body(answer, told, most) if answer.status == 200 else b"")
    finally:
        spoken.close()


def _body(answer: http.client.HTTPResponse, told: Mapping[str, str], most: int) -> bytes:
    if told.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
        raise RefusedError("an answer that is packed, though it should not be")
    stated = told.get("content-length", "")
    if stated.isdecimal() and int(stated[:20]) > most:
        raise RefusedError(f"more than {most:,} bytes")
    parts, size = list[bytes](), 0
    while part := answer.read1(BLOCK):
        parts.append(part)
        size += len(part)
        if size > most:
            raise RefusedError(f"more than {most:,} bytes")
    if answer.length:
        raise RefusedError("an answer that ends too early", passing=True)
    return b"".join(parts)


@contextmanager
def _ended_after(seconds: float, line: socket.socket) -> Iterator[Callable[[], bool]]:
    """A context in which a connection is cut after a time, however slowly its bytes drip; it gives whether that has happened."""
    over, seconds = Event(), max(seconds, 0.001)
    held = line.dup()  # TLS takes the connection over from `line`

    def end() -> None:
        over.set()
        with suppress(OSError):
            held.shutdown(socket.SHUT_RDWR)

    line.settimeout(seconds)
    timer = Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield over.is_set
    finally:
        timer.cancel()
        held.close()
