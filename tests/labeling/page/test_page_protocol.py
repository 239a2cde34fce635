"""How long a connection may wait for its client, by a clock of the test's."""

import asyncio
import math
from collections.abc import Callable, Coroutine
from typing import Any

import uvicorn
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from mien.http_server.client_limits import ClientLimits
from mien.http_server.connections import Connections
from mien.http_server.http_protocol import KNOWN, Connection

LIMITS = ClientLimits(head_seconds=1, body_seconds=20, idle_seconds=300, unread_seconds=4000, linger_seconds=50_000)
"""Of different magnitudes, so that their sums tell them apart."""
HALF = b"GET / HTTP/1.1\r\nHost: a\r\n"


class Transport(asyncio.Transport):
    """Stands for a socket."""

    def __init__(self) -> None:
        super().__init__()
        self.written, self.aborted, self.closing, self.ended = b"", False, False, False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Of asyncio."""
        self.written += bytes(data)

    def abort(self) -> None:
        """Of asyncio."""
        self.aborted = self.closing = True

    def close(self) -> None:
        """Of asyncio."""
        self.closing = True

    def is_closing(self) -> bool:
        """Of asyncio."""
        return self.closing

    def can_write_eof(self) -> bool:
        """Of asyncio."""
        return True

    def write_eof(self) -> None:
        """Of asyncio."""
        self.ended = True

    def pause_reading(self) -> None:
        """Of asyncio."""

    def resume_reading(self) -> None:
        """Of asyncio."""


class Line:
    """A connection to an application that answers when it is `let`, and whose clock says `now`."""

    def __init__(self) -> None:
        self.now, self.let, self.known, self.early = 0.0, asyncio.Event(), False, False
        self.transport, loop = Transport(), asyncio.get_running_loop()
        config = uvicorn.Config(
            self._answer, interface="asgi3", log_config=None, lifespan="off", ws="none", timeout_keep_alive=10**6
        )
        self.all = Connections(10, 10, lambda address: False, lambda: self.now)
        self.connection = Connection(config, ServerState(), loop, self.all, LIMITS, "here", lambda: self.now)
        self.all.admit(self.connection)
        self.connection.connection_made(self.transport)

    async def say(self, said: bytes, at: float = 0.0) -> float:
        """Seconds from then until the connection is closed; inf where that is not the client's to change."""
        self.now = at
        self.connection.data_received(said)
        return await self.left()

    async def left(self) -> float:
        """The same without a word."""
        for _ in range(20):
            await asyncio.sleep(0)
        return self.connection.deadline - self.now

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        while not self.early and (await receive()).get("more_body"):
            pass
        await self.let.wait()
        if self.known:
            scope["state"][KNOWN] = True
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})


def with_line(test: Callable[[Line], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    """A test of a line in an event loop."""

    def run() -> None:
        async def begin() -> None:
            await test(Line())

        asyncio.run(begin())

    run.__doc__ = test.__doc__
    return run


@with_line
async def test_headers_have_one_time_however_they_drip(line: Line) -> None:
    assert await line.left() == 1
    assert await line.say(b"\r\n", at=0.25) == 0.75
    assert await line.say(HALF, at=0.5) == 0.5
    assert await line.say(b"X: y\r\n", at=0.75) == 0.25
    line.now = 1.0
    line.all.expire()
    assert line.transport.aborted
    assert len(line.all) == 0


@with_line
async def test_a_body_has_one_time_however_it_drips(line: Line) -> None:
    line.let.set()
    assert await line.say(b"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\n", at=0.5) == 20
    assert await line.say(b"a", at=1.5) == 19
    assert await line.say(b"bc", at=2.5) == 300 + 50_000, "kept for the next request"


@with_line
async def test_while_the_page_works_the_client_is_not_to_blame(line: Line) -> None:
    assert await line.say(HALF + b"\r\n") == math.inf
    line.let.set()
    assert await line.left() == 300 + 50_000
    assert line.transport.written.startswith(b"HTTP/1.1 204")


@with_line
async def test_a_later_request_has_the_time_of_the_first(line: Line) -> None:
    line.let.set()
    await line.say(HALF + b"\r\n")
    assert await line.say(b"G", at=100.0) == 1
    assert await line.say(HALF[1:], at=100.5) == 0.5
    assert await line.say(b"\r\n", at=100.75) == 300 + 50_000


@with_line
async def test_a_reply_has_to_be_read(line: Line) -> None:
    line.let.set()
    await line.say(HALF + b"\r\n")
    line.connection.pause_writing()
    assert await line.left() == 4000
    line.connection.resume_writing()
    assert await line.left() == 300 + 50_000


@with_line
async def test_who_is_refused_may_read_why_for_a_moment(line: Line) -> None:
    assert await line.say(b"nonsense\r\n\r\n") == 50_000
    said = line.transport.written
    assert said.startswith(b"HTTP/1.1 400")
    assert line.transport.ended
    assert await line.say(b"more" * 1000, at=5.0) == 50_000 - 5
    assert line.transport.written == said


@with_line
async def test_a_reply_before_the_end_of_a_long_body_may_be_read_for_a_moment(line: Line) -> None:
    line.let.set()
    line.early = True
    await line.say(b"POST / HTTP/1.1\r\nContent-Length: 9999999\r\n\r\n")
    said = line.transport.written
    assert said.startswith(b"HTTP/1.1 204")
    while not line.transport.ended:
        await line.say(b"a" * 100_000)
    assert (line.transport.aborted, line.transport.written) == (False, said)
    assert await line.left() == 50_000


@with_line
async def test_a_refusal_never_stands_in_another_reply(line: Line) -> None:
    await line.say(HALF + b"\r\n" + b"nonsense\r\n\r\n")
    assert line.transport.aborted
    assert line.transport.written == b""


@with_line
async def test_who_is_signed_in_is_known_by_the_request(line: Line) -> None:
    line.let.set()
    for known in (False, True, False):
        line.known = known
        await line.say(HALF + b"\r\n")
    other = Line()
    line.all.admit(other.connection)
    line.all.answered(other.connection, known=False)
    line.all.close_one()
    assert (line.transport.aborted, other.transport.aborted) == (False, True)
