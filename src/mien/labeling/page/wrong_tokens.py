"""Wrong tokens, counted for a minute by address and name, so that guessing costs the guesser much and the store little."""

import asyncio
import time
from collections.abc import Callable
from typing import TypeVar

from starlette.concurrency import run_in_threadpool

from mien.http_server.client_limits import ClientLimits
from mien.http_server.recent_counts import RecentCounts
from mien.labeling.store.annotators import digest_of

Found = TypeVar("Found")


class TokenLookups:
    """Asks the store about tokens and sessions. For one event loop.

    An address that sends many wrong tokens is served one question at a time, so that the store has time for others. It is not
    refused, since other people may share it.
    """

    def __init__(self, limits: ClientLimits, clock: Callable[[], float] = time.monotonic) -> None:
        self._wrong, self._turn = RecentCounts(limits.wrong_by_address, clock), asyncio.Lock()

    async def ask(self, address: str, question: Callable[[str], Found], token: str) -> Found:
        """The store's answer to a question about a token."""
        if not self._wrong.is_full(address):
            return await run_in_threadpool(question, token)
        async with self._turn:
            return await run_in_threadpool(question, token)

    def note_wrong(self, address: str) -> None:
        """Count one more wrong token from an address."""
        self._wrong.note(address)


class WrongTokens:
    """Wrong tokens at the sign-in form, counted by address, and by address and name."""

    def __init__(self, limits: ClientLimits, clock: Callable[[], float] = time.monotonic) -> None:
        self._names, self._addresses = RecentCounts(limits.wrong_by_name, clock), RecentCounts(limits.wrong_by_address, clock)

    def note(self, address: str, name: str) -> bool:
        """Count one more wrong token from an address with a name; whether it is one too many."""
        many = self._addresses.is_full(address) or self._names.is_full(_key(address, name))
        self._addresses.note(address)
        self._names.note(_key(address, name))
        return many


def _key(address: str, name: str) -> str:
    """A hash, since people type tokens into the field for the name."""
    return digest_of(f"{address}\n{name}")
