"""Counts of a service, as text that Prometheus reads."""

from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field
from threading import Lock

BOUNDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Upper bounds of the histogram of seconds."""


@dataclass
class Figures:
    """What a service has done since it began, and what it does now.

    The threads that read change what `batch` notes; each other count has one thread that changes it.
    """

    requests: Counter[int] = field(default_factory=Counter)
    """Requests to read photos that were answered, by HTTP status."""
    seconds: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS) + 1))
    """How many of them took at most so many seconds: a count for each bound, and one beyond the last."""
    seconds_sum: float = 0.0
    photos: int = 0
    """Photos that were read or tried."""
    unreadable: int = 0
    faces: int = 0
    batches: int = 0
    reading_seconds: float = 0.0
    """Seconds in which photos were read."""
    wrong_tokens: int = 0
    waiting: int = 0
    """Requests that wait for their answer now."""
    waiting_photos: int = 0
    """Photos of these requests."""
    held: int = 0
    """Bytes of requests that are in memory now."""
    _noting: Lock = field(default_factory=Lock, repr=False)

    def answered(self, status: int, seconds: float) -> None:
        """Note that a request was answered."""
        self.requests[status] += 1
        self.seconds[bisect_left(BOUNDS, seconds)] += 1
        self.seconds_sum += seconds

    def batch(self, photos: int, seconds: float, faces: int, unreadable: int) -> None:
        """Note that so many photos were read together, and what came of them."""
        with self._noting:
            self.batches += 1
            self.photos += photos
            self.reading_seconds += seconds
            self.faces += faces
            self.unreadable += unreadable

    def retry_after(self) -> int:
        """Whole seconds, from 1 to 60, after which those who wait now may have been answered."""
        each = self.reading_seconds / self.photos if self.photos else 0.0
        return min(60, 1 + int(each * self.waiting_photos))

    def text(self) -> str:
        """All figures in Prometheus' text format, version 0.0.4."""
        lines = _counted("mien_requests_total", "counter", "Requests to read photos, by HTTP status.")
        lines += [f'mien_requests_total{{status="{status}"}} {count}' for status, count in sorted(self.requests.items())]
        lines += _counted("mien_request_seconds", "histogram", "Seconds from the beginning of a request to its answer.")
        total = 0
        for bound, count in zip((*map(str, BOUNDS), "+Inf"), self.seconds, strict=True):
            total += count
            lines.append(f'mien_request_seconds_bucket{{le="{bound}"}} {total}')
        lines += [f"mien_request_seconds_sum {self.seconds_sum:.6f}", f"mien_request_seconds_count {total}"]
        for name, kind, said, value in (
            ("mien_photos_total", "counter", "Photos that were read or tried.", self.photos),
            ("mien_unreadable_photos_total", "counter", "Photos that could not be read.", self.unreadable),
            ("mien_faces_total", "counter", "Faces that were told.", self.faces),
            ("mien_batches_total", "counter", "Times at which photos were read together.", self.batches),
            ("mien_reading_seconds_total", "counter", "Seconds in which photos were read.", round(self.reading_seconds, 6)),
            ("mien_wrong_tokens_total", "counter", "Requests with a wrong token.", self.wrong_tokens),
            ("mien_waiting_requests", "gauge", "Requests that wait for their answer.", self.waiting),
            ("mien_held_bytes", "gauge", "Bytes of requests in memory.", self.held),
        ):
            lines += [*_counted(name, kind, said), f"{name} {value}"]
        return "\n".join(lines) + "\n"


def _counted(name: str, kind: str, said: str) -> list[str]:
    return [f"# HELP {name} {said}", f"# TYPE {name} {kind}"]
