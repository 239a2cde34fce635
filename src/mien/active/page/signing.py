"""Who is there: tokens told from wrong ones, remembered for a moment, and few attempts at guessing them."""

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from starlette.concurrency import run_in_threadpool

from mien.active.store.store import Store

REMEMBERED_SECONDS = 10.0
"""How long a token that was renewed since may still be taken."""
ATTEMPTS = 20
"""Wrong tokens a minute from one address, where somebody signs in."""
MINUTE = 60.0
MOST = 1000
"""Tokens, and addresses, that are remembered."""


@dataclass(frozen=True)
class _Seen:
    name: str
    until: float


class SignedIn:
    """Whose token it is, without asking the database each time. For one event loop."""

    def __init__(self, store: Store, clock: Callable[[], float] = time.monotonic) -> None:
        self._store, self._clock = store, clock
        self._seen: OrderedDict[str, _Seen] = OrderedDict()

    async def name(self, token: str) -> str | None:
        """None for a wrong token."""
        now, digest = self._clock(), hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
        seen = self._seen.get(digest)
        if seen is not None and now < seen.until:
            return seen.name
        name = await run_in_threadpool(self._store.annotator_by_token, token) if token else None
        if name is None:
            self._seen.pop(digest, None)
            return None
        self._seen[digest] = _Seen(name, now + REMEMBERED_SECONDS)
        while len(self._seen) > MOST:
            self._seen.popitem(last=False)
        return name


class Attempts:
    """Counts wrong tokens by the address that they came from.

    Those in cookies are not counted: a page that is still open sends a renewed one again and again, and to refuse it for a while
    would refuse others at that address.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._wrong: OrderedDict[str, list[float]] = OrderedDict()

    def too_many(self, address: str) -> bool:
        """Whether the address has to wait."""
        return len(self._recent(address)) >= ATTEMPTS

    def note(self, address: str) -> None:
        """One more wrong token."""
        self._wrong[address] = [*self._recent(address), self._clock()]
        self._wrong.move_to_end(address)
        while len(self._wrong) > MOST:
            self._wrong.popitem(last=False)

    def _recent(self, address: str) -> list[float]:
        begin = self._clock() - MINUTE
        return [moment for moment in self._wrong.get(address, []) if moment > begin]
