"""Who is there: tokens and sessions told from wrong ones, remembered for a moment, and few attempts at guessing them."""

import asyncio
import hashlib
import logging
import re
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

from starlette.concurrency import run_in_threadpool

from mien.errors import MienError
from mien.labeling.page.limits import Limits
from mien.labeling.page.log_limits import PAGE
from mien.labeling.store.annotators import Outcome
from mien.labeling.store.store import Store

REMEMBERED_SECONDS = 10.0
"""How long somebody who was signed in stays so once the store says otherwise, and a wrong token wrong."""
MINUTE = 60.0
MOST = 1000
"""Tokens of each kind, and addresses, that are remembered."""
SHAPE = re.compile(r"[A-Za-z0-9_-]{20,200}")
MOST_NOTES = 200
"""Sign-ins that wait to be written."""

log = logging.getLogger(PAGE)


Found = TypeVar("Found")


class Lookups:
    """Questions to the store about tokens. For one event loop.

    For an address that sends many wrong ones only one is asked at a time, so that it keeps the store from nobody; nor is it
    refused, since others may come from it.
    """

    def __init__(self, limits: Limits, clock: Callable[[], float] = time.monotonic) -> None:
        self._wrong, self._turn = Counter(limits.wrong_by_address, clock), asyncio.Lock()

    async def ask(self, address: str, question: Callable[[str], Found], token: str) -> Found:
        """What the store says."""
        if not self._wrong.is_full(address):
            return await run_in_threadpool(question, token)
        async with self._turn:
            return await run_in_threadpool(question, token)

    def note_wrong(self, address: str) -> None:
        """It sent one more."""
        self._wrong.note(address)


@dataclass(frozen=True)
class _Seen:
    name: str | None
    until: float


class SignedIn:
    """Whose session or token it is, without asking the database each time. For one event loop."""

    def __init__(self, store: Store, lookups: Lookups, clock: Callable[[], float] = time.monotonic) -> None:
        self._store, self._lookups, self._clock = store, lookups, clock
        # Apart, so that many wrong ones do not push out those that are right.
        self._right: OrderedDict[str, _Seen] = OrderedDict()
        self._wrong: OrderedDict[str, _Seen] = OrderedDict()

    async def name(self, secret: str, address: str) -> str | None:
        """None for a wrong one. Raises MienError where the store cannot be asked."""
        if not may_be_token(secret):
            return None
        for seen in (self._right, self._wrong):
            found = seen.get(_digest(secret))
            if found is not None and self._clock() < found.until:
                return found.name
        name = await self._lookups.ask(address, self._store.signed_in, secret)
        if self._is_wrong(secret):
            return None  # it was signed out while the store was asked
        if name is None:
            self._lookups.note_wrong(address)
        self._remember(secret, name)
        return name

    def forget(self, secret: str) -> None:
        """The store is asked again."""
        self._right.pop(_digest(secret), None)

    def end(self, secret: str) -> None:
        """It is worth nothing from now on."""
        self.forget(secret)
        self._remember(secret, None)

    def _is_wrong(self, secret: str) -> bool:
        found = self._wrong.get(_digest(secret))
        return found is not None and self._clock() < found.until

    def _remember(self, secret: str, name: str | None) -> None:
        seen, digest = self._wrong if name is None else self._right, _digest(secret)
        seen.pop(digest, None)
        seen[digest] = _Seen(name, self._clock() + REMEMBERED_SECONDS)
        while len(seen) > MOST:
            seen.popitem(last=False)


class Attempts:
    """Wrong tokens where somebody signs in, counted by the address that they came from, and by address and name."""

    def __init__(self, limits: Limits, clock: Callable[[], float] = time.monotonic) -> None:
        self._names, self._addresses = Counter(limits.wrong_by_name, clock), Counter(limits.wrong_by_address, clock)

    def note(self, address: str, name: str) -> bool:
        """One more wrong token; whether it is one too many."""
        many = self._addresses.is_full(address) or self._names.is_full(_key(address, name))
        self._addresses.note(address)
        self._names.note(_key(address, name))
        return many


class Counter:
    """How often something happened within a minute of its first time, for the keys that came last."""

    def __init__(self, most: int, clock: Callable[[], float]) -> None:
        self._most, self._clock = most, clock
        self._counts: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._counts)

    def is_full(self, key: str) -> bool:
        """Whether it happened as often as it may."""
        return self._recent(key)[1] >= self._most

    def note(self, key: str) -> None:
        """Once more."""
        begin, count = self._recent(key)
        self._counts[key] = begin, count + 1
        self._counts.move_to_end(key)
        while len(self._counts) > MOST:
            self._counts.popitem(last=False)

    def _recent(self, key: str) -> tuple[float, int]:
        now = self._clock()
        begin, count = self._counts.get(key, (now, 0))
        return (begin, count) if now < begin + MINUTE else (now, 0)


class Notes:
    """Sign-ins for the store's list, written one after another; nobody waits for it. For one event loop."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._waiting: deque[tuple[str | None, str, Outcome, datetime]] = deque(maxlen=MOST_NOTES)
        self._writing: asyncio.Task[None] | None = None

    def add(self, name: str | None, address: str, outcome: Outcome) -> None:
        """One more; where too many wait, the oldest is left out."""
        self._waiting.append((name, address, outcome, datetime.now(UTC)))
        if self._writing is None or self._writing.done():
            self._writing = asyncio.get_running_loop().create_task(self._write())

    async def _write(self) -> None:
        while self._waiting:
            try:
                await run_in_threadpool(self._store.note_sign_in, *self._waiting.popleft())
            except MienError as error:
                log.warning("a sign-in is not noted: %s", error)


def may_be_token(text: str) -> bool:
    """Whether it looks like a token, or the secret of a session: the store need not be asked about others."""
    return SHAPE.fullmatch(text) is not None


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def _key(address: str, name: str) -> str:
    return _digest(f"{address}\n{name}")
