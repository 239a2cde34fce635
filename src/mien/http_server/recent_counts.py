"""How often something happened within a minute, by client."""

from collections import OrderedDict
from collections.abc import Callable

MINUTE = 60.0
MOST_KEYS = 1000
"""Keys that are counted at a time, such as addresses that sent wrong tokens; the oldest are forgotten first."""


class RecentCounts:
    """How often each key was noted within a minute of its first time. The keys noted last are kept."""

    def __init__(self, most: int, clock: Callable[[], float]) -> None:
        self._most, self._clock = most, clock
        self._counts: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._counts)

    def is_full(self, key: str) -> bool:
        """Whether a key was noted as often as it may be in a minute."""
        return self._recent(key)[1] >= self._most

    def note(self, key: str) -> None:
        """Count a key once more."""
        begin, count = self._recent(key)
        self._counts[key] = begin, count + 1
        self._counts.move_to_end(key)
        while len(self._counts) > MOST_KEYS:
            self._counts.popitem(last=False)

    def _recent(self, key: str) -> tuple[float, int]:
        now = self._clock()
        begin, count = self._counts.get(key, (now, 0))
        return (begin, count) if now < begin + MINUTE else (now, 0)
