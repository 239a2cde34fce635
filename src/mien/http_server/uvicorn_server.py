"""The server, where connections come in: uvicorn's, but it makes room for new connections before files run out."""

import asyncio
import errno
import logging
import socket
import ssl
from collections.abc import Sequence
from contextlib import suppress

import uvicorn

from mien.http_server.client_addresses import client_key, is_among
from mien.http_server.client_limits import ClientLimits
from mien.http_server.connections import Connections, most_connections
from mien.http_server.http_protocol import Connection
from mien.http_server.log_limits import SERVER

AT_ONCE = 16
"""Connections accepted in a row; fewer than `connections.RESERVE`, since closed ones free their files only after that."""
EXPIRE_SECONDS = 1.0
"""How often connections that waited too long are closed."""
PAUSE_SECONDS = 0.5
"""How long no connection is accepted where files have run out all the same."""

log = logging.getLogger(SERVER)


class LimitedServer(uvicorn.Server):
    """uvicorn's server, listening at one socket, with limits for its clients. `proxies` may have any number of connections."""

    def __init__(
        self,
        config: uvicorn.Config,
        listening: socket.socket,
        limits: ClientLimits,
        proxies: Sequence[str],
        tls: ssl.SSLContext | None,
    ) -> None:
        super().__init__(config)
        self._listening = listening
        self._limits = limits
        self._proxies = proxies
        self._tls = tls
        self._opening: set[asyncio.Task[None]] = set()
        self._later: asyncio.TimerHandle | None = None
        self._expiring: asyncio.TimerHandle | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Called by uvicorn at the start; uvicorn itself listens at no socket."""
        await super().startup(sockets=[])
        self._loop = asyncio.get_running_loop()
        self._connections = Connections(
            most_connections(self._limits.connections), self._limits.per_address, self._is_proxy, self._loop.time
        )
        self._listening.setblocking(False)
        self._open()
        self._expire()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Called by uvicorn at the end."""
        for timer in (self._later, self._expiring):
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
            self._admit(accepted, client_key(str(peer[0])))

    def _pause(self, error: OSError) -> None:
        """Accept nothing for a while: files, or memory of the system, have run out."""
        log.error("no connection can be accepted: %s", error)
        if error.errno in (errno.EMFILE, errno.ENFILE):
            self._connections.close_one()
        self._loop.remove_reader(self._listening)
        self._later = self._loop.call_later(PAUSE_SECONDS, self._open)

    def _admit(self, accepted: socket.socket, address: str) -> None:
        accepted.setblocking(False)
        # asyncio does this only where a socket names its protocol. Else a reply in two parts waits 40 ms for the client.
        with suppress(OSError):  # the client left
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
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

    def _expire(self) -> None:
        self._connections.expire()
        self._expiring = self._loop.call_later(EXPIRE_SECONDS, self._expire)

    def _is_proxy(self, address: str) -> bool:
        return is_among(address, self._proxies)
