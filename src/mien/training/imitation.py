"""The lesson of a network that imitates another one's map, which was computed beforehand."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mien.data.faceset import FaceSet
from mien.recognize.device import channels_last
from mien.techniques import Unevaluated
from mien.training.parts import Portions
from mien.training.pool import Batch, Pool
from mien.training.run import EVALUATION_BATCH, Run


@dataclass(frozen=True)
class Imitate:
    """Each face or its mirror image, by chance, is to give the map that the teacher gives (FN2EN, Eq. 4)."""

    taught: Pool
    """The teacher's maps (N, 2, C H W) of the faces that are learned from and of their mirror images."""
    held_out: Pool
    """The same of the run's validation faces."""
    goal: tuple[int, ...]
    """(C, H, W)."""

    @staticmethod
    def of(maps: FaceSet, parts: Portions, goal: tuple[int, ...], device: torch.device) -> "Imitate":
        """With the maps of all faces of a run, and the portions of it that teach and measure."""
        return Imitate(Pool(maps.select(parts.taught), device), Pool(maps.select(parts.held_out), device), goal)

    def loss(self, run: Run, batch: Batch) -> Unevaluated:
        """The recipe's loss between g(I) and G(I), mean over the batch."""
        mirrored = torch.rand(len(batch.rows), generator=run.noise, device=run.device) < 0.5
        inputs = torch.where(mirrored.view(-1, 1, 1, 1), run.views.mirror(batch.faces), run.views.clean(batch.faces))
        maps = self.taught.fetch(batch.rows.cpu()).faces[torch.arange(len(mirrored)), mirrored.long()]
        return lambda: self._difference(run, inputs, maps).mean()

    @torch.no_grad()
    def figures(self, run: Run) -> dict[str, float]:
        """The same on held-out faces, not mirrored."""
        run.kept_network.eval()
        count = len(run.validation_labels)
        batches = torch.arange(count).split(EVALUATION_BATCH)
        each = [
            self._difference(run, run.views.clean(run.validation.fetch(rows).faces), self.held_out.fetch(rows).faces[:, 0])
            for rows in batches
        ]
        run.train_mode()
        return {"validation_loss": float(torch.cat(each).mean())}

    def _difference(self, run: Run, inputs: Tensor, maps: Tensor) -> Tensor:
        """(B,) of inputs (B, C, S, S) and the teacher's maps (B, C' H W)."""
        difference: Tensor = run.components.loss(run.heads(channels_last(inputs))[-1], maps.float().view(-1, *self.goal))
        return difference


def match(shape: tuple[int, ...], goal: tuple[int, ...]) -> nn.Module:
    """Of maps of `shape` (C, H, W) those of `goal`: larger ones are averaged, smaller ones go through a deconvolution."""
    (inputs, size, _), (outputs, wanted, _) = shape, goal
    if size < wanted:
        stride = wanted // size
        return nn.ConvTranspose2d(inputs, outputs, wanted - (size - 1) * stride, stride)
    pool = nn.AdaptiveAvgPool2d(wanted) if size > wanted else nn.Identity()
    return nn.Sequential(pool, nn.Conv2d(inputs, outputs, 1)) if inputs != outputs else pool
