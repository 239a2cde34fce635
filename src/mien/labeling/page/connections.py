"""All connections of the page: how many there may be, which are closed to make room, and which waited too long."""

import os
import sys
from collections.abc import Callable
from typing import Protocol

RESERVE = 40
"""Files that the process may need besides: those of the store, and connections that are about to close."""
FEWEST = 8
"""Connections that are allowed however few files there may be."""

STRANGERS, GUESTS, PEOPLE = 0, 1, 2
"""Connections without an answered request, with one, and with one of somebody who is signed in: closed in this order."""


class Held(Protocol):
    """A connection."""

    address: str
    """Of the client, as `addresses.counted` gives it."""

    @property
    def deadline(self) -> float:
        """When it has waited too long."""

    def abort(self) -> None:
        """Close it at once."""


class Connections:
    """Those that are open. For one event loop.

    To make room, the one that waits longest is closed: first among those without an answered request, then among those of nobody
    who is signed in, then among the others, each time of the address that has most of them. So whoever comes anew, and those
    who are at work, have a place among any number of others.
    """

    def __init__(self, most: int, per_address: int, unlimited: Callable[[str], bool], clock: Callable[[], float]) -> None:
        self._most, self._per_address, self._unlimited, self._clock = most, per_address, unlimited, clock
        # The rank of each, and for each rank those of each address, the one that waits longest first.
        self._ranks: dict[Held, int] = {}
        self._groups: tuple[dict[str, dict[Held, None]], ...] = ({}, {}, {})

    def __len__(self) -> int:
        return len(self._ranks)

    def admit(self, one: Held) -> None:
        """A new one, for which others are closed where there is no room."""
        if not self._unlimited(one.address):
            while self._count(one.address) >= self._per_address:
                self._close(self._longest(one.address))
        while len(self._ranks) >= self._most:
            self._close(self._longest())
        self._place(one, STRANGERS)

    def answered(self, one: Held, known: bool) -> None:
        """A request was answered, of somebody who is signed in (`known`) or not."""
        rank = self._ranks.get(one)
        if rank is not None:
            self.lost(one)
            self._place(one, PEOPLE if known else max(rank, GUESTS))

    def lost(self, one: Held) -> None:
        """It is closed."""
        rank = self._ranks.pop(one, None)
        if rank is not None:
            group = self._groups[rank][one.address]
            del group[one]
            if not group:
                del self._groups[rank][one.address]

    def expire(self) -> None:
        """Close those that have waited too long."""
        now = self._clock()
        for one in [one for one in self._ranks if one.deadline <= now]:
            self._close(one)

    def close_one(self) -> None:
        """Close the one that `admit` would."""
        if self._ranks:
            self._close(self._longest())

    def _count(self, address: str) -> int:
        return sum(len(groups.get(address, ())) for groups in self._groups)

    def _longest(self, address: str | None = None) -> Held:
        groups = next(groups for groups in self._groups if (groups if address is None else address in groups))
        crowd = max(groups.values(), key=len) if address is None else groups[address]
        return next(iter(crowd))

    def _place(self, one: Held, rank: int) -> None:
        self._ranks[one] = rank
        self._groups[rank].setdefault(one.address, {})[one] = None

    def _close(self, one: Held) -> None:
        self.lost(one)
        one.abort()


def room(wanted: int) -> int:
    """How many connections there may be, so that the process still has files for the store."""
    if sys.platform == "win32":  # where sockets are no files
        return wanted
    import resource

    allowed = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if allowed == resource.RLIM_INFINITY:
        return wanted
    return min(wanted, max(FEWEST, allowed - len(os.listdir("/dev/fd")) - RESERVE))
