"""HTTP on one connection: uvicorn's protocol, with limits of bytes and time for what a client sends and leaves unread."""

import asyncio
import math
from collections import deque
from collections.abc import Callable
from typing import Any

from uvicorn import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

from mien.errors import MienError
from mien.http_server.client_limits import ClientLimits
from mien.http_server.connections import Connections
from mien.http_server.request_checks import HEADERS, error_response

KNOWN = "signed_in"
"""The key that the application sets in the state of a request by an annotator who is signed in."""

TROUBLES = {
    400: ("a request in HTTP", "something else", "send requests of HTTP"),
    414: ("a short address", "a long one", "ask for a shorter address"),
    429: ("a request after the reply to the last", "many at once", "wait for the replies"),
    431: ("few and short headers", "many or long ones", "send fewer headers; in a browser, delete this address's cookies"),
}
"""Why a request is refused before the application sees it, by HTTP status."""


class _Refused(Exception):
    """Ends the reading of a request."""


class Connection(HttpToolsProtocol):
    """A client's connection, from its acceptance to its end."""

    def __init__(
        self,
        config: Config,
        state: ServerState,
        loop: asyncio.AbstractEventLoop,
        connections: Connections,
        limits: ClientLimits,
        address: str,
        clock: Callable[[], float],
    ) -> None:
        super().__init__(config, state, {}, loop)
        self.address = address
        self.handshake: asyncio.Task[None] | None = None
        """The task that opens the connection."""
        self._all, self._limits, self._clock = connections, limits, clock
        self._unanswered: deque[dict[str, Any]] = deque()
        """The states of requests that have no reply yet, the oldest first."""
        self._in_head, self._in_body, self._refused = False, False, False
        self._status = 400
        self._bytes = self._lines = 0
        self._moved = False
        # When the rest of a request has to be there, a reply to be read, the next request to come.
        self._rest_by, self._read_by, self._next_by = clock() + limits.head_seconds, math.inf, math.inf

    @property
    def deadline(self) -> float:
        """When the connection has waited too long for its client."""
        return min(self._rest_by, self._read_by, self._next_by)

    def abort(self) -> None:
        """Close the connection at once; what was not sent yet is thrown away."""
        if self.transport is not None:
            self.transport.abort()
        elif self.handshake is not None:
            # Not before it has begun: the socket is asyncio's to close only then.
            self.loop.call_soon(self.handshake.cancel)

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by asyncio when the connection is closed."""
        self._all.lost(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Called by asyncio with bytes from the client."""
        if self._refused:
            return
        if self._next_by < math.inf:
            self._next_by, self._rest_by = math.inf, self._clock() + self._limits.head_seconds
        self._moved, in_body = False, self._in_body
        super().data_received(data)
        # What the parser keeps for itself, such as half a header, and what is around the parts of a body.
        if not self._refused and (not self._moved or (in_body and self._in_body)):
            self._bytes += len(data)
            if self._bytes > (self._limits.sent_bytes if self._in_body else self._limits.head_bytes):
                self._refuse(431)

    def on_message_begin(self) -> None:
        """Called by the parser at the first byte of a request."""
        super().on_message_begin()
        self._in_head = True
        self._moved = True
        self._bytes = 0
        self._lines = 0
        if self._rest_by == math.inf:
            self._rest_by = self._clock() + self._limits.head_seconds

    def on_url(self, url: bytes) -> None:
        """Called by the parser for a part of the address."""
        super().on_url(url)
        self._require(len(self.url) <= self._limits.target_bytes, 414)
        self._count(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        """Called by the parser for a header; headers after a body are passed over."""
        if self._in_head:
            super().on_header(name, value)
            self._count(len(name) + len(value) + 4)
            self._lines += 1
            self._require(self._lines <= self._limits.head_lines, 431)

    def on_headers_complete(self) -> None:
        """Called by the parser at the end of the headers."""
        self._require(len(self._unanswered) < self._limits.requests_ahead, 429)
        super().on_headers_complete()
        self._unanswered.append(self.scope["state"])
        self._in_head = False
        self._in_body = True
        self._moved = True
        self._bytes = 0
        self._rest_by = self._clock() + self._limits.body_seconds

    def on_message_complete(self) -> None:
        """Called by the parser at the end of a request."""
        super().on_message_complete()
        self._in_body = False
        self._moved = True
        self._bytes = 0
        self._rest_by = math.inf
        self._wait()

    def on_response_complete(self) -> None:
        """Called by uvicorn when a reply was sent."""
        state = self._unanswered.popleft()
        self._all.answered(self, bool(state.get(KNOWN)))
        super().on_response_complete()
        self._wait()

    def pause_writing(self) -> None:
        """Called by asyncio where the client does not read."""
        super().pause_writing()
        self._read_by = self._clock() + self._limits.unread_seconds

    def resume_writing(self) -> None:
        """Called by asyncio when the client reads again."""
        super().resume_writing()
        self._read_by = math.inf

    def send_400_response(self, msg: str) -> None:
        """Called by uvicorn where the parser gave up."""
        self._refuse(self._status)

    def _wait(self) -> None:
        if not self._unanswered and self._rest_by == math.inf:
            # uvicorn closes it before; that waits for what the client has not read.
            self._next_by = self._clock() + self._limits.idle_seconds + self._limits.linger_seconds

    def _count(self, size: int) -> None:
        self._moved = True
        self._bytes += size
        self._require(self._bytes <= self._limits.head_bytes, 431)

    def _require(self, kept: bool, status: int) -> None:
        if not kept:
            self._status = status
            raise _Refused

    def _refuse(self, status: int) -> None:
        """Say why, and throw away what still comes: closed at once, the client would not read it."""
        self._refused = True
        if self._unanswered:
            self.abort()  # replies are on their way
            return
        if not self._in_body:  # else the reply was sent before the whole request was there
            self._say(status)
        self._next_by, self._rest_by = self._clock() + self._limits.linger_seconds, math.inf
        if self.transport.can_write_eof():
            self.transport.write_eof()
        else:
            self.transport.close()

    def _say(self, status: int) -> None:
        reply = error_response(status, MienError(*TROUBLES[status]))
        reply.headers.update(HEADERS | {"Cache-Control": "no-store", "Connection": "close"})
        headers = [*self.server_state.default_headers, *reply.raw_headers]
        lines = b"".join(b"%s: %s\r\n" % header for header in headers)
        self.transport.write(STATUS_LINE[status] + lines + b"\r\n" + bytes(reply.body))
