"""The neighbor that is the face's mirror image."""

from dataclasses import dataclass as plain

from pydantic.dataclasses import dataclass
from torch import Generator, Tensor
from typing_extensions import override

from mien.data.augment import to_unit
from mien.neighbors.kinds import Fitted, Ground, Kind
from mien.settings import STRICT


@dataclass(frozen=True, config=STRICT)
class Mirror(Kind):
    """A face has one neighbor of this kind, its mirror image, however many are drawn."""

    @override
    def fit(self, ground: Ground) -> "Mirrored":
        """The mirror images of faces; of cached features, the stored mirror views."""
        return Mirrored(ground)


@plain(frozen=True)
class Mirrored(Fitted):
    """Mirror images of faces."""

    ground: Ground

    @property
    @override
    def told(self) -> str:
        return "mirror images"

    @property
    @override
    def varies(self) -> bool:
        return False

    @override
    def near(self, rows: Tensor, given: Tensor, draws: int, generator: Generator) -> Tensor:
        """The mirror images, (1, B, ...). Raises MienError where cached features have no such view."""
        views = self.ground.views
        return (views.mirror(given) if views.info.kind == "features" else to_unit(given).flip(3)).unsqueeze(0)
