"""Random weights, from the run's seed."""

from pydantic.dataclasses import dataclass
from typing_extensions import override

from mien.settings import STRICT
from mien.training.questions import Start
from mien.training.run import Run


@dataclass(frozen=True, config=STRICT)
class Scratch(Start):
    """Leaves the network as it was built: torch's default initialization under the run's seed."""

    @override
    def __call__(self, run: Run) -> None:
        """Leave the network as it is."""
