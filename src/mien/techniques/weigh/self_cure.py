"""Self-cure network (SCN; Wang et al. 2020, CVPR): an attention layer learns how important each face is, by what it is taught.

The second half of SCN, relabeling, is targets/relabeled.
"""

import torch
import torch.nn.functional as F
from pydantic.dataclasses import dataclass
from torch import Tensor
from typing_extensions import override

from mien.recognize.device import channels_last
from mien.settings import STRICT, NotNegative, Positive, Share
from mien.training.face_loader import shuffled_batches
from mien.training.label_quality import weights_of_labeled
from mien.training.questions import Weigh
from mien.training.run import EVALUATION_BATCH, Run


def importance(features: Tensor, attention: Tensor) -> Tensor:
    """Eq. 1: alpha_i = sigmoid(W_a x_i), (B,), of features (B, D) and the layer's weights and bias (D + 1,)."""
    return torch.sigmoid(features @ attention[:-1] + attention[-1])


def weighted_loss(alpha: Tensor, logits: Tensor, targets: Tensor) -> Tensor:
    """Eq. 2, (): the mean cross-entropy of logits (B, K), each face's multiplied by its importance, and targets (B, K)."""
    return F.cross_entropy(alpha.unsqueeze(1) * logits, targets)


def rank_loss(alpha: Tensor, beta: float, margin: float) -> Tensor:
    """Eq. 3-4, (): max(0, margin - (mean of the `beta` largest - mean of the others)); 0 where one of both groups is empty."""
    high = int(beta * len(alpha))
    if not 0 < high < len(alpha):
        return 0 * alpha.sum()
    ordered = alpha.sort(descending=True).values
    return (margin - (ordered[:high].mean() - ordered[high:].mean())).clamp(min=0)


@dataclass(frozen=True, config=STRICT)
class SelfCure(Weigh):
    """w_i = alpha_i over the mean of all alpha; 1 in the first epoch, and for faces without label.

    Departures: a weight multiplies the loss, not the logits, since weights are all that `weigh` gives the network; so the
    network learns nothing from the attention's own losses. The attention layer learns by Eq. 2-4 between epochs, in one pass
    over the labeled faces, un-augmented, from features of zero mean and unit variance (maps are averaged); its Adam begins anew
    each time. Faces are taught what the run's targets say.
    """

    beta: Share = 0.7
    """Share of a batch that is its high-importance group."""
    margin: NotNegative = 0.15
    """delta_1, by which the groups' mean importance should differ."""
    gamma: Share = 0.5
    """Share of the rank regularization in the loss of the attention layer."""
    lr: Positive = 0.01
    """Learning rate of the attention layer."""

    @override
    def __call__(self, run: Run) -> Tensor:
        """The weights (N,) of the coming epoch."""
        if not run.history:
            return weights_of_labeled(run, None)
        features, logits = self._seen(run)
        alpha = importance(features, self._learn(run, features, logits))
        run.notes.add("importance", alpha.mean())
        return weights_of_labeled(run, alpha / alpha.mean().clamp(min=1e-12))

    def _seen(self, run: Run) -> tuple[Tensor, Tensor]:
        """Features (N_l, D), standardized, and logits (N_l, K) of the labeled faces, by the network that is validated."""
        found = list[tuple[Tensor, Tensor]]()
        with run.evaluating(run.eval_network) as network:
            for batch in run.pool.stream(run.labeled.cpu().split(EVALUATION_BATCH)):
                with run.autocast():
                    last = network.last_features(channels_last(run.views.clean(batch.faces)))
                    found.append((last.flatten(2).mean(dim=2).float() if last.ndim > 2 else last.float(), network.decide(last)))
        features, logits = (torch.cat(parts) for parts in zip(*found, strict=True))
        deviation, mean = torch.std_mean(features, dim=0, correction=0)
        return (features - mean) / (deviation + 1e-6), logits

    def _learn(self, run: Run, features: Tensor, logits: Tensor) -> Tensor:
        """The attention layer (D + 1,) after a pass over the labeled faces; it is remembered."""
        count, targets = len(features), run.targets[run.labeled]
        before = run.state["weigh"].get("self_cure", Tensor, lambda: torch.zeros(features.shape[1] + 1, device=run.device))
        attention = before.clone().requires_grad_()
        optimizer = torch.optim.Adam([attention], lr=self.lr)
        size = min(run.batch, count)
        for rows in shuffled_batches(torch.arange(count), -(-count // size), size, run.generator):
            mine = rows.to(run.device)
            alpha = importance(features[mine], attention)
            regularization = rank_loss(alpha, self.beta, self.margin)
            loss = self.gamma * regularization + (1 - self.gamma) * weighted_loss(alpha, logits[mine], targets[mine])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        learned = attention.detach()
        run.state["weigh"].put("self_cure", learned)
        return learned
