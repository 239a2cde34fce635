"""Settings of a correction for a person's resting look. Commands offer them as options: this module loads nothing heavy."""

from typing import Annotated

from pydantic import Field
from pydantic.dataclasses import dataclass as checked

from mien.settings import STRICT, Seconds

SAME_SESSION = 0.8
"""The strength for a neutral face that was taken as the others were: same camera, light and day."""
ELSEWHERE = 0.25
"""The strength for a neutral face from elsewhere."""

Strength = Annotated[float, Field(ge=0, le=0.99, allow_inf_nan=False)]
"""How much a resting look counts: from 0 for nothing to 0.99, since at 1 nothing would be left of the spread."""


@checked(frozen=True, config=STRICT)
class BaselineSettings:
    """How scores are corrected for a person's resting look."""

    strength: Strength | None = None
    """How much the resting look counts, from 0 for nothing to 0.99. Unless given: 0.8 for a video's first seconds, and 0.25 for
    photos, which may be from elsewhere. Of photos that were taken as the others were (same camera, light and day), give 0.8."""
    seconds: Seconds | None = None
    """Take each face of a video to rest in the video's first seconds, this many."""

    def weight(self) -> float:
        """The strength that holds."""
        if self.strength is not None:
            return self.strength
        return ELSEWHERE if self.seconds is None else SAME_SESSION
