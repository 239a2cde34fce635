"""Sessions: whose session or token a request shows, remembered for a moment, and the list of sign-ins."""

import asyncio
import logging
import re
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from starlette.concurrency import run_in_threadpool

from mien.errors import MienError
from mien.http_server.log_limits import SERVER
from mien.labeling.page.wrong_tokens import TokenLookups
from mien.labeling.store.accounts import Accounts
from mien.labeling.store.annotators import Outcome, digest_of

REMEMBERED_SECONDS = 10.0
"""How long the store's answer about a session or token is used before the store is asked again."""
MOST_REMEMBERED = 1000
"""Valid tokens and sessions, and wrong ones, that are remembered."""
SHAPE = re.compile(r"[A-Za-z0-9_-]{20,200}")
"""What tokens and the secrets of sessions look like."""
MOST_NOTES = 200
"""Sign-ins that may wait to be written."""

log = logging.getLogger(SERVER)


@dataclass(frozen=True)
class _Seen:
    name: str | None
    until: float


class SessionCache:
    """Remembers whose session or token a secret is, so that the store is not asked each time. For one event loop."""

    def __init__(self, accounts: Accounts, lookups: TokenLookups, clock: Callable[[], float] = time.monotonic) -> None:
        self._accounts, self._lookups, self._clock = accounts, lookups, clock
        # Apart, so that many wrong ones do not push out those that are right.
        self._right: OrderedDict[str, _Seen] = OrderedDict()
        self._wrong: OrderedDict[str, _Seen] = OrderedDict()

    async def name(self, secret: str, address: str) -> str | None:
        """The name of the annotator whose session or token has this secret; None where there is none.

        Raises MienError where the store cannot be asked.
        """
        if not may_be_token(secret):
            return None
        for seen in (self._right, self._wrong):
            found = seen.get(digest_of(secret))
            if found is not None and self._clock() < found.until:
                return found.name
        name = await self._lookups.ask(address, self._accounts.signed_in, secret)
        if self._is_wrong(secret):
            return None  # it was signed out while the store was asked
        if name is None:
            self._lookups.note_wrong(address)
        self._remember(secret, name)
        return name

    def forget(self, secret: str) -> None:
        """Forget a secret, so that the store is asked again."""
        self._right.pop(digest_of(secret), None)

    def end(self, secret: str) -> None:
        """Take a secret as wrong from now on: its session has ended."""
        self.forget(secret)
        self._remember(secret, None)

    def _is_wrong(self, secret: str) -> bool:
        found = self._wrong.get(digest_of(secret))
        return found is not None and self._clock() < found.until

    def _remember(self, secret: str, name: str | None) -> None:
        seen, digest = self._wrong if name is None else self._right, digest_of(secret)
        seen.pop(digest, None)
        seen[digest] = _Seen(name, self._clock() + REMEMBERED_SECONDS)
        while len(seen) > MOST_REMEMBERED:
            seen.popitem(last=False)


class SignInNotes:
    """Writes sign-ins to the store's list, one after another; no request waits for it. For one event loop."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts
        self._waiting: deque[tuple[str | None, str, Outcome, datetime]] = deque(maxlen=MOST_NOTES)
        self._writing: asyncio.Task[None] | None = None

    def add(self, name: str | None, address: str, outcome: Outcome) -> None:
        """Add a sign-in; where too many wait to be written, the oldest is left out."""
        self._waiting.append((name, address, outcome, datetime.now(UTC)))
        if self._writing is None or self._writing.done():
            self._writing = asyncio.get_running_loop().create_task(self._write())

    async def _write(self) -> None:
        while self._waiting:
            try:
                await run_in_threadpool(self._accounts.note_sign_in, *self._waiting.popleft())
            except MienError as error:
                log.warning("a sign-in is not noted: %s", error)


def may_be_token(text: str) -> bool:
    """Whether a text looks like a token or the secret of a session; the store is asked about no other."""
    return SHAPE.fullmatch(text) is not None
