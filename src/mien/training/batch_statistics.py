"""Whose statistics batch normalization keeps: of which faces its running means and variances are, and when they are measured."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Generator, Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from mien.models import Network
from mien.models.embedding import Standardization
from mien.recognize.device import channels_last
from mien.training.face_loader import FaceLoader
from mien.training.losses import Perturb, UnlabeledLoss
from mien.training.run import EVALUATION_BATCH, Run


def running_norms(network: nn.Module) -> list[_BatchNorm]:
    """The layers of a network that keep running statistics."""
    return [module for module in network.modules() if isinstance(module, _BatchNorm) and module.running_mean is not None]


@contextmanager
def fixed_running_statistics(network: nn.Module) -> Iterator[None]:
    """Within, what passes in train mode is normalized by its own statistics, as always, but moves no running ones."""
    norms = [module for module in running_norms(network) if module.track_running_stats]
    for module in norms:
        module.track_running_stats = False
    try:
        yield
    finally:
        for module in norms:
            module.track_running_stats = True


def leaving_statistics(network: nn.Module, loss: UnlabeledLoss) -> UnlabeledLoss:
    """The loss of unlabeled faces, whose evaluation leaves the network's running statistics as they are."""

    def evaluate(perturb: Perturb | None = None) -> Tensor:
        with fixed_running_statistics(network):
            return loss() if perturb is None else loss(perturb)

    return evaluate


@torch.no_grad()
def measure_statistics(network: nn.Module, norms: Iterable[_BatchNorm], inputs: Iterable[Tensor]) -> None:
    """Measure the running statistics of `norms` afresh: the means over batches of two `inputs` or more that pass the network.

    On the way each batch is normalized by its own statistics. There is no dropout, and all else stays as it is.
    """
    modes = {module: module.training for module in network.modules()}
    momenta = {module: module.momentum for module in norms}
    network.eval()
    for module in momenta:
        module.reset_running_stats()
        module.training, module.momentum = True, None  # the mean over all batches
    for batch in inputs:
        network(batch)
    for module, momentum in momenta.items():
        module.momentum = momentum
    for each, mode in modes.items():
        each.training = mode


def standardize_features(run: Run) -> None:
    """Measure how cached features are standardized, once, on the run's labeled faces; which labels they have is not looked at.

    So every recipe standardizes alike, whatever else it learns from. Networks for pixels have nothing to measure.
    """
    # Not on all faces of the split: a linear head learns from labeled ones alone, which would then not be centered.
    norms = [module for module in run.network.modules() if isinstance(module, Standardization)]
    if norms and len(run.labeled) > 1:
        measure_statistics(run.network, norms, _clean_inputs(run, run.pool, run.labeled.cpu()))


def adapted_weights(run: Run, network: Network) -> dict[str, Tensor]:
    """AdaBN (Li et al. 2016): the weights of a trained `network` with the statistics of the run's unlabeled faces.

    Their labels are not looked at. Where there are less than two such faces, or nothing is normalized by batches, the weights are
    as they were, and that is said.

    Departure: the paper measures layer by layer, each on what the adapted layers before it give. Here one pass measures all:
    on the way each batch is normalized by its own statistics.
    """
    norms, count = running_norms(network), len(run.unlabeled)
    if count < 2 or not norms:
        lacking = f"two faces without labels are needed; found {count}" if norms else "the network has no batch normalization"
        run.progress.say(f'statistics = "unlabeled" changes nothing: {lacking}')
    else:
        with run.autocast():
            measure_statistics(network, norms, _clean_inputs(run, run.pool, run.unlabeled.cpu()))
    return network.state_dict()


def _clean_inputs(run: Run, faces: FaceLoader, rows: Tensor) -> Iterator[Tensor]:
    """Network inputs of these rows, un-augmented, in equal random batches: the order of a set, often by class, is none."""
    order = rows[torch.randperm(len(rows), generator=Generator().manual_seed(run.seed))]
    for batch in faces.stream(order.tensor_split(-(-len(order) // EVALUATION_BATCH))):
        yield channels_last(run.views.clean(batch.faces))
