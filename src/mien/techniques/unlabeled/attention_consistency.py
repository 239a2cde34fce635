"""Erasing attention consistency (EAC; Zhang et al. 2022, ECCV): a face and its mirror image are looked at in the same places.

A network that remembers wrong labels does so by a few pixels of a face. Maps of what speaks for each class, which have to agree
between a partly erased face and its mirror image, keep it from that. No label is read.
"""

from typing import ClassVar

import torch
import torch.nn.functional as F
from pydantic.dataclasses import dataclass
from torch import Tensor
from typing_extensions import override

from mien.errors import MienError
from mien.models import Network, leading
from mien.settings import STRICT, NotNegative
from mien.training.face_loader import Batch
from mien.training.losses import Perturb, UnlabeledLoss
from mien.training.questions import Unlabeled
from mien.training.run import Run


def class_maps(network: Network, inputs: Tensor) -> Tensor:
    """M of the paper, (B, K, h, w): for each class, how much each place of the last maps adds to its logit, times h w.

    The maps (B, C, h, w) of the last block that has more than one place, each times what the logit gains by it. After global
    average pooling and one linear layer, this is the class activation map by that layer's weights. Raises MienError without maps.
    """
    x, maps = inputs, None
    with torch.enable_grad():
        for block in network.blocks.values():
            x = block(x)
            first = leading(x)
            if first.ndim == 4 and min(first.shape[2:]) > 1:
                maps = first if first.requires_grad else first.requires_grad_()
        if maps is None:
            raise MienError("a network of faces, for unlabeled = attention_consistency", "one without maps", "take another one")
        logits = network.decide(leading(x))
        gains = [torch.autograd.grad(column.sum(), maps, retain_graph=True)[0] for column in logits.unbind(dim=1)]
        weighed = maps.unsqueeze(1).float() * torch.stack(gains, dim=1).detach().float()
        return weighed.sum(dim=2) * maps.shape[2] * maps.shape[3]


@dataclass(frozen=True, config=STRICT)
class AttentionConsistency(Unlabeled):
    """weight times the mean squared difference between M of a view and the mirrored M of the view's mirror image.

    How often the views of the classification loss are mirrored and erased is up to the recipe's `augment.weak.flip` and
    `augment.weak.erase`; the paper mirrors none of them. Departures: the maps come from a batch of their own, drawn from the
    labeled faces, since a labeled batch serves its labels alone; both images go through the network as one batch; the gain of a
    logit stands for the last layer's weights, so that networks without global pooling have maps as well. As in the authors'
    code, it takes no gradient.
    """

    needs_unlabeled: ClassVar[bool] = False
    weight: NotNegative = 5.0
    """lambda, how much the difference counts beside the classification loss."""

    @override
    def rows(self, run: Run) -> Tensor:
        """The labeled faces."""
        return run.labeled

    @override
    def __call__(self, run: Run, batch: Batch) -> UnlabeledLoss | None:
        """The unevaluated loss of a view of the batch and its mirror image."""
        view = run.view(batch, "weak")
        both = torch.cat([view, view.flip(3)]) if view.ndim == 4 else view

        def evaluate(perturb: Perturb | None = None) -> Tensor:
            with run.autocast():
                maps = class_maps(run.network, both)
            one, mirrored = maps.chunk(2)
            difference = F.mse_loss(one, mirrored.flip(3))
            run.notes.add("map_difference", difference)
            return self.weight * difference

        return evaluate
