"""Where connections come in: uvicorn's server with a door of its own, which makes room before it runs out of files."""

import asyncio
import errno
import logging
import socket
import ssl
from collections.abc import Sequence

import uvicorn

from mien.labeling.page.addresses import counted, is_among
from mien.labeling.page.connections import Connections, room
from mien.labeling.page.limits import Limits
from mien.labeling.page.log_limits import PAGE
from mien.labeling.page.protocol import Connection

AT_ONCE = 16
"""Connections accepted before others have their turn; fewer than `connections.RESERVE`, since closing takes effect after that."""
LOOKED_SECONDS = 1.0
"""How often connections are closed that waited too long."""
PAUSE_SECONDS = 0.5
"""How long nobody is let in where files have run out all the same."""

log = logging.getLogger(PAGE)


class PageServer(uvicorn.Server):
    """uvicorn's server, which listens at one socket with these limits."""

    def __init__(
        self, config: uvicorn.Config, listening: socket.socket, limits: Limits, proxies: Sequence[str], tls: ssl.SSLContext | None
    ) -> None:
        super().__init__(config)
        self._listening, self._limits, self._proxies, self._tls = listening, limits, proxies, tls
        self._opening: set[asyncio.Task[None]] = set()
        self._later: asyncio.TimerHandle | None = None
        self._looking: asyncio.TimerHandle | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Of uvicorn, which is given no socket."""
        await super().startup(sockets=[])
        self._loop = asyncio.get_running_loop()
        self._connections = Connections(room(self._limits.connections), self._limits.per_address, self._is_proxy, self._loop.time)
        self._listening.setblocking(False)
        self._open()
        self._look()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Of uvicorn."""
        for timer in (self._later, self._looking):
            if timer is not None:
                timer.cancel()
        self._loop.remove_reader(self._listening)
        self._listening.close()
        for task in self._opening:
            task.cancel()
        await super().shutdown(sockets)

    def _open(self) -> None:
        self._loop.add_reader(self._listening, self._accept)

    def _accept(self) -> None:
        for _ in range(AT_ONCE):
            try:
                accepted, peer = self._listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                self._pause(error)
                return
            self._admit(accepted, counted(str(peer[0])))

    def _pause(self, error: OSError) -> None:
        """Files, or memory of the system, have run out."""
        log.error("no connection can be accepted: %s", error)
        if error.errno in (errno.EMFILE, errno.ENFILE):
            self._connections.close_one()
        self._loop.remove_reader(self._listening)
        self._later = self._loop.call_later(PAUSE_SECONDS, self._open)

    def _admit(self, accepted: socket.socket, address: str) -> None:
        accepted.setblocking(False)
        one = Connection(self.config, self.server_state, self._loop, self._connections, self._limits, address, self._loop.time)
        self._connections.admit(one)
        one.handshake = self._loop.create_task(self._begin(one, accepted))
        self._opening.add(one.handshake)
        one.handshake.add_done_callback(self._opening.discard)

    async def _begin(self, one: Connection, accepted: socket.socket) -> None:
        seconds = self._limits.head_seconds if self._tls else None
        try:
            await self._loop.connect_accepted_socket(
                lambda: one, accepted, ssl=self._tls, ssl_handshake_timeout=seconds, ssl_shutdown_timeout=seconds
            )
        except (OSError, asyncio.CancelledError):
            # The client left, speaks no TLS, or waited too long. asyncio closes the socket.
            self._connections.lost(one)

    def _look(self) -> None:
        self._connections.expire()
        self._looking = self._loop.call_later(LOOKED_SECONDS, self._look)

    def _is_proxy(self, address: str) -> bool:
        return is_among(address, self._proxies)
