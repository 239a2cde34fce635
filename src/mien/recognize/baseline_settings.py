"""Settings of a correction for a person's resting look. Commands offer them as options: this module loads nothing heavy."""

from typing import Annotated

from pydantic import Field
from pydantic.dataclasses import dataclass as checked

from mien.settings import STRICT, Seconds


@checked(frozen=True, config=STRICT)
class BaselineSettings:
    """How scores are corrected for a person's resting look."""

    strength: Annotated[float, Field(ge=0, le=0.99, allow_inf_nan=False)] = 0.8
    """How much the resting look counts, from 0 for nothing to 0.99.

    The default is for a neutral face that was taken as the others were: same camera, light and day. 0.25 is for photos from
    elsewhere.
    """
    seconds: Seconds | None = None
    """Take each face of a video to rest in the video's first seconds, this many."""
