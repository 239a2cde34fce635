"""Estimates how long the rest of a comparison will take."""

from typing import Any

import numpy as np

from mien.experiments.grid import Job


class RunClock:
    """Estimates how long the rest of a comparison will take, by what its runs took so far."""

    def __init__(self) -> None:
        self._seconds: dict[Any, list[float]] = {}

    def took(self, job: Job, seconds: float | None) -> None:
        """Note that a run is finished, and its seconds where they are known."""
        for key in self._keys(job) if seconds is not None else ():
            self._seconds.setdefault(key, []).append(seconds or 0.0)

    def left(self, jobs: list[Job]) -> float:
        """Seconds that these runs will take, by finished runs like them; nan where no run is finished.

        A run is taken to last as others of its recipe at its place in the grid do, or else of its recipe, or else of any.
        """
        known = [next((self._seconds[key] for key in self._keys(job) if key in self._seconds), [np.nan]) for job in jobs]
        return float(sum(np.mean(seconds) for seconds in known))

    @staticmethod
    def _keys(job: Job) -> tuple[Any, ...]:
        return (job.recipe, job.point), job.recipe, None
