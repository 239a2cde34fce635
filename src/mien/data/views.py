"""What a network is shown of stored faces: the clean face, its mirror image, or a random view."""

from dataclasses import dataclass, field

import torch
from torch import Generator, Tensor

from mien.data.augment import Augmentation, Strength, distort, normalize, to_unit
from mien.data.faceset import Normalization
from mien.data.format import Info
from mien.errors import MienError

WEAK_VIEWS = ("clean", "mirror", "weak")
"""The stored views of features that count as weak."""


@dataclass(frozen=True)
class Views:
    """Turns stored faces, uint8 (B, S, S[, 3]), or features, float16 (B, V, D), into inputs (B, C, S, S) or (B, D), float32."""

    info: Info
    """What holds for all faces of the set."""
    normalization: Normalization = "fixed"
    """How gray values are scaled."""
    augmentation: Augmentation = field(default_factory=Augmentation)
    """How far weak and strong views are distorted."""

    def clean(self, faces: Tensor) -> Tensor:
        """The faces without distortion."""
        return self._cached(faces, "clean") if self.info.kind == "features" else normalize(to_unit(faces), self.normalization)

    def mirror(self, faces: Tensor) -> Tensor:
        """The faces' mirror images. Raises MienError where stored features have no such view."""
        if self.info.kind == "features":
            return self._cached(faces, "mirror")
        return normalize(to_unit(faces).flip(3), self.normalization)

    def view(self, faces: Tensor, strength: Strength, generator: Generator) -> Tensor:
        """A random view of every face, weak or strong; of stored features one of that strength, else a weak one."""
        if strength == "none":
            return self.clean(faces)
        if self.info.kind == "features":
            return self._random_cached(faces, strength, generator)
        by = self.augmentation.strong if strength == "strong" else self.augmentation.weak
        return normalize(distort(to_unit(faces), by, generator), self.normalization)

    def _cached(self, faces: Tensor, view: str) -> Tensor:
        if view not in self.info.views:
            raise MienError(f"features with a {view} view", ", ".join(self.info.views), "make them with more --views")
        return faces[:, self.info.views.index(view)].float()

    def _random_cached(self, faces: Tensor, strength: Strength, generator: Generator) -> Tensor:
        strong = [n for n, view in enumerate(self.info.views) if view == "strong"]
        weak = [n for n, view in enumerate(self.info.views) if view in WEAK_VIEWS]
        options = torch.tensor(strong if strength == "strong" and strong else weak, device=faces.device)
        drawn = torch.randint(len(options), (len(faces),), generator=generator, device=faces.device)
        return faces[torch.arange(len(faces), device=faces.device), options[drawn]].float()
