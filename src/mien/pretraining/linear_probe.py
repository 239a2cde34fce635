"""A network's last layer as the best linear one over what its blocks make of labeled faces: a linear probe, by L-BFGS.

Kumar et al. 2022 ("Fine-Tuning can Distort Pretrained Features and Underperform Out-of-Distribution") fine-tune from there.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mien.errors import MienError
from mien.models import Network
from mien.recognize.device import channels_last
from mien.training.batch_statistics import measure_statistics, running_norms
from mien.training.run import EVALUATION_BATCH, Run

STEPS = 100
"""Most steps of L-BFGS."""


def fit_last_layer(run: Run, decay: float) -> None:
    """Fit the last layer of the run's network to its labeled faces and their mirror images; blocks stay as they are.

    Batch normalization within the head is measured on these faces first. `decay`: what the layer's squared norm costs, where
    features are divided by the root of their number. Nothing is drawn. Raises MienError for a head that does not end in a
    linear layer.
    """
    body, last = parted_head(run.network)
    measure_statistics(run.network, running_norms(run.network.head), (channels_last(view) for view in labeled_views(run)))
    with run.evaluating() as network:
        features = torch.cat([body(network.last_features(channels_last(view))).double() for view in labeled_views(run)])
    weight, bias = best_linear_layer(features, run.labels[run.labeled].repeat(2), run.classes, decay)
    with torch.no_grad():
        last.weight.copy_(weight)
        last.bias.copy_(bias)


def parted_head(network: Network) -> tuple[nn.Module, nn.Linear]:
    """What a head does before its last layer, and that layer. Raises MienError where it does not end in one with a bias."""
    layers = list(network.head) if isinstance(network.head, nn.Sequential) else [network.head]
    last = layers[-1]
    if not isinstance(last, nn.Linear) or last.bias is None:
        raise MienError("a head that ends in one linear layer, for start.head", type(last).__name__, "set start.head to fresh")
    return nn.Sequential(*layers[:-1]), last


def labeled_views(run: Run) -> list[Tensor]:
    """Network inputs of the labeled faces as they are, then of their mirror images, in batches."""
    batches = [run.pool.fetch(rows).faces for rows in run.labeled.cpu().split(EVALUATION_BATCH)]
    return [run.views.clean(faces) for faces in batches] + [run.views.mirror(faces) for faces in batches]


def best_linear_layer(features: Tensor, labels: Tensor, classes: int, decay: float) -> tuple[Tensor, Tensor]:
    """Weight (K, D) and bias (K,) that minimize the mean cross-entropy of features (N, D) plus the decay, by L-BFGS."""
    scaled = features / features.shape[1] ** 0.5
    weight = torch.zeros(classes, features.shape[1], dtype=features.dtype, device=features.device, requires_grad=True)
    bias = torch.zeros(classes, dtype=features.dtype, device=features.device, requires_grad=True)
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=STEPS, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        found = F.cross_entropy(F.linear(scaled, weight, bias), labels) + decay * weight.square().sum()
        found.backward()
        return found

    optimizer.step(loss)
    return weight.detach() / features.shape[1] ** 0.5, bias.detach()
