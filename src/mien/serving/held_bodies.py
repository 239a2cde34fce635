"""The bodies of requests that are in memory, and which of those that still arrive have to make room."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from concurrent.futures import Future
from contextlib import suppress
from typing import Any

from starlette.requests import Request

from mien.errors import MienError
from mien.http_server.client_addresses import client_key
from mien.http_server.request_checks import RefusedRequest
from mien.serving.figures import Figures
from mien.serving.settings import ServiceSettings

STALLED_SECONDS = 2.0
"""A body of which nothing came for so long makes room for others, where memory is short."""


class HeldBodies:
    """Counts the bytes of all bodies in memory. For one event loop.

    Bodies that still arrive may hold half of the bytes for one address, unless there is but one. So a stranger who sends slowly
    leaves room for others.
    """

    def __init__(self, settings: ServiceSettings, figures: Figures) -> None:
        self._most, self._figures = settings.held, figures
        self._arriving: dict[HeldBody, None] = {}  # the one that was silent for longest first
        self._by_address = Counter[str]()

    def make_room(self, one: "HeldBody", size: int) -> None:
        """Count so many more bytes of a body that arrives. Raises RefusedRequest where there is no room."""
        while self._figures.held + size > self._most or self._is_large_share(one, size):
            same = self._figures.held + size <= self._most  # only its own address has too many
            others = (each for each in self._arriving if each is not one and (not same or each.address == one.address))
            silent = next(others, None)
            if silent is None or asyncio.get_running_loop().time() < silent.heard + STALLED_SECONDS:
                raise busy(int(STALLED_SECONDS) + 1)
            silent.stop()
        self._arriving.pop(one, None)
        self._arriving[one] = None
        self._figures.held += size
        self._by_address[one.address] += size

    def arrived(self, one: "HeldBody") -> None:
        """Note that a body is whole, or that it will never be."""
        if one in self._arriving:
            del self._arriving[one]
            self._by_address[one.address] -= one.size
            self._by_address += Counter()  # drops those with none

    def let_go(self, size: int) -> None:
        """Note that so many bytes are no longer in memory."""
        self._figures.held -= size

    def _is_large_share(self, one: "HeldBody", size: int) -> bool:
        of_address = self._by_address[one.address]
        return of_address > one.size and of_address + size > self._most // 2


class HeldBody:
    """The body of a request, which counts as held in memory until the context ends, or until its photos are read."""

    def __init__(self, request: Request, settings: ServiceSettings, bodies: HeldBodies) -> None:
        self._request, self._most, self._bodies = request, settings.bytes, bodies
        self._stopping = asyncio.timeout(None)
        self._reading: Future[Any] | None = None
        self.address = client_key(request.client.host if request.client else "")
        """The key by which its client is counted."""
        self.size, self.heard = 0, 0.0
        """Bytes in memory, and when the last of them came, by the clock of the event loop."""

    def __enter__(self) -> "HeldBody":
        return self

    def __exit__(self, *error: object) -> None:
        self._bodies.arrived(self)
        if self._reading is None or self._reading.done():
            self._let_go()
        else:  # the client left, and its photos are in memory until the batch is read
            asyncio.wrap_future(self._reading).add_done_callback(self._read)

    async def read(self) -> bytes:
        """All of it. Raises RefusedRequest where it is too long or too much is held, and ClientDisconnect where it breaks off."""
        length = self._request.headers.get("content-length", "")
        if length.isdecimal() and (len(length) > 15 or int(length) > self._most):
            raise too_long(self._most)
        try:
            async with self._stopping:
                parts = [part async for part in self._parts()]
        except TimeoutError:
            raise busy(int(STALLED_SECONDS) + 1) from None
        self._bodies.arrived(self)
        return b"".join(parts)

    def until(self, answers: "Future[Any]") -> None:
        """Have it count until there are answers, even where the context ends before."""
        self._reading = answers

    def stop(self) -> None:
        """End its reading, to make room for others."""
        self._bodies.arrived(self)
        self._let_go()
        self._stopping.reschedule(asyncio.get_running_loop().time())

    async def _parts(self) -> AsyncIterator[bytes]:
        async for part in self._request.stream():
            if self.size + len(part) > self._most:
                raise too_long(self._most)
            self._bodies.make_room(self, len(part))
            self.size, self.heard = self.size + len(part), asyncio.get_running_loop().time()
            yield part

    def _read(self, answers: "asyncio.Future[Any]") -> None:
        with suppress(asyncio.CancelledError):
            answers.exception()  # which somebody else is told
        self._let_go()

    def _let_go(self) -> None:
        self._bodies.let_go(self.size)
        self.size = 0


def busy(seconds: int = 1) -> RefusedRequest:
    """The refusal of a request while too many wait, for so many seconds at least."""
    return RefusedRequest(429, MienError("fewer requests at a time", "too many that wait", "send it again later"), seconds)


def too_long(most: int) -> RefusedRequest:
    """The refusal of a request with more than `most` bytes."""
    return RefusedRequest(413, MienError(f"at most {most:,} bytes", "more", "send fewer or smaller photos at a time"))
