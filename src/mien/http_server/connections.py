"""The page's open connections: how many there may be, which are closed to make room, and which waited too long."""

import os
import sys
from collections.abc import Callable
from typing import Protocol

RESERVE = 40
"""Files that the process keeps free for others: those of the store, and connections that are about to close."""
FEWEST = 8
"""Connections that are allowed however few files the process may open."""

UNANSWERED, ANSWERED, SIGNED_IN = 0, 1, 2
"""Ranks of connections: no request answered yet; one answered; one of an annotator answered. Low ranks are closed first."""


class OpenConnection(Protocol):
    """What `Connections` has to know of a connection."""

    address: str
    """The key by which the client is counted, as `client_addresses.client_key` gives it."""

    @property
    def deadline(self) -> float:
        """When the connection has waited too long, by the clock of `Connections`."""

    def abort(self) -> None:
        """Close the connection at once."""


class Connections:
    """The open connections. For one event loop.

    To make room, connections without an answered request are closed first, then those of clients who are not signed in, then the
    others. Among these it is the address with most of them that loses the one that waits longest. So newcomers and people at work
    have a place among any number of strangers.
    """

    def __init__(self, most: int, per_address: int, unlimited: Callable[[str], bool], clock: Callable[[], float]) -> None:
        self._most = most
        self._per_address = per_address
        self._unlimited = unlimited
        self._clock = clock
        # The rank of each, and for each rank those of each address, the one that waits longest first.
        self._ranks: dict[OpenConnection, int] = {}
        self._groups: tuple[dict[str, dict[OpenConnection, None]], ...] = ({}, {}, {})

    def __len__(self) -> int:
        return len(self._ranks)

    def admit(self, one: OpenConnection) -> None:
        """Add a new connection, and close others where there is no room for it."""
        if not self._unlimited(one.address):
            while self._count(one.address) >= self._per_address:
                self._close(self._longest(one.address))
        while len(self._ranks) >= self._most:
            self._close(self._longest())
        self._place(one, UNANSWERED)

    def answered(self, one: OpenConnection, known: bool) -> None:
        """Note that a request of this connection was answered; `known`: an annotator who is signed in sent it."""
        rank = self._ranks.get(one)
        if rank is not None:
            self.lost(one)
            self._place(one, SIGNED_IN if known else max(rank, ANSWERED))

    def lost(self, one: OpenConnection) -> None:
        """Note that this connection is closed."""
        rank = self._ranks.pop(one, None)
        if rank is not None:
            group = self._groups[rank][one.address]
            del group[one]
            if not group:
                del self._groups[rank][one.address]

    def expire(self) -> None:
        """Close the connections that have waited too long."""
        now = self._clock()
        for one in [one for one in self._ranks if one.deadline <= now]:
            self._close(one)

    def close_one(self) -> None:
        """Close the connection that `admit` would close to make room."""
        if self._ranks:
            self._close(self._longest())

    def _count(self, address: str) -> int:
        return sum(len(groups.get(address, ())) for groups in self._groups)

    def _longest(self, address: str | None = None) -> OpenConnection:
        groups = next(groups for groups in self._groups if (groups if address is None else address in groups))
        crowd = max(groups.values(), key=len) if address is None else groups[address]
        return next(iter(crowd))

    def _place(self, one: OpenConnection, rank: int) -> None:
        self._ranks[one] = rank
        self._groups[rank].setdefault(one.address, {})[one] = None

    def _close(self, one: OpenConnection) -> None:
        self.lost(one)
        one.abort()


def most_connections(wanted: int) -> int:
    """How many connections there may be, `wanted` at most, so that the process still has files for the store."""
    if sys.platform == "win32":  # where sockets are no files
        return wanted
    import resource

    allowed = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if allowed == resource.RLIM_INFINITY:
        return wanted
    return min(wanted, max(FEWEST, allowed - len(os.listdir("/dev/fd")) - RESERVE))
