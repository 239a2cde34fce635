"""Random weights, from the run's seed."""

from pydantic.dataclasses import dataclass

from mien.settings import STRICT
from mien.training.run import Run


@dataclass(frozen=True, config=STRICT)
class Scratch:
    """Leaves the network as it was built: torch's default initialization under the run's seed."""

    def __call__(self, run: Run) -> None:
        """Nothing to do."""
