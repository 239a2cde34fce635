"""All Learning Rates At Once (ALRAO; Blier, Wolinski and Ollivier 2018, Algorithm 1): every feature has a random rate.

Each feature of each layer before the last draws its learning rate once, log-uniformly. The last layer is a Bayesian average
of copies whose rates are spread evenly over the same interval on a log scale: features learn from the average's loss, each
copy from its own. The recipe's network has the copies: `model = { network = ..., copies = 10 }` (mien.models.Copies).
"""

import torch
from pydantic.dataclasses import dataclass
from torch import Generator, Tensor, nn
from typing_extensions import override

from mien.errors import MienError
from mien.models import Copies, Network
from mien.settings import STRICT, Positive, Share
from mien.training.losses import LabeledLoss, UnlabeledLoss
from mien.training.questions import Step
from mien.training.run import Run


def feature_rates(module: nn.Module, low: float, high: float, generator: Generator) -> Tensor:
    """(features,) log-uniform on [low, high] for a layer's features, which are its parameters' first dimension."""
    features = max(len(parameter) for parameter in module.parameters(recurse=False))
    return low * (high / low) ** torch.rand(features, generator=generator)


def copy_rates(copies: int, low: float, high: float) -> Tensor:
    """(copies,) spread evenly on a log scale from low to high."""
    return torch.logspace(0, 1, copies, base=high / low) * low


def posterior(shares: Tensor, losses: Tensor, switch: float) -> Tensor:
    """(copies,) Bayes' rule by likelihoods exp(-loss) of this batch; then `switch` of the whole is dealt out evenly."""
    updated = torch.softmax(shares.log() - losses.nan_to_num(nan=1e3, posinf=1e3), dim=0)
    return (1 - switch) * updated + switch / len(shares)


@dataclass(frozen=True, config=STRICT)
class RandomRates(Step):
    """Departures: the average forgets by a fixed share (Herbster and Warmuth 1998) in place of the switch distribution; a
    batch's likelihood is its mean's; logits of the copies are softly bounded, and one that is no number any more counts as
    saying nothing. Rates follow the schedule's shape (constant in the paper). Plain SGD in the paper: mien's SGD has Nesterov
    momentum .9, which makes a rate act about ten times as large, so an interval a tenth as high is the paper's.
    """

    low: Positive = 1e-5
    """Least rate."""
    high: Positive = 10.0
    """Greatest rate."""
    switch: Share = 0.01
    """Share of the average that is dealt out evenly after each batch."""

    def __post_init__(self) -> None:
        if self.low > self.high:
            raise MienError(f"a least rate up to {self.high}", f"{self.low}", "lower step.low, or raise step.high")

    @override
    def __call__(self, run: Run, labeled: LabeledLoss, unlabeled: UnlabeledLoss | None) -> None:
        """Take one step, each feature at its own rate; then the copies' shares by their losses on the labeled batch."""
        head = self._copies(run)
        rates: dict[str, Tensor] = run.state["step"].get("rates", dict, lambda: self._draw(run, head))
        loss = labeled()
        shares = posterior(head.shares, labeled.heads[: len(head.shares)], self.switch)
        peak = run.optimization.peak_rate
        run.descend(loss if unlabeled is None else loss + unlabeled(), lambda: scale_gradients(run.network, rates, peak))
        head.shares.copy_(shares)

    def _copies(self, run: Run) -> Copies:
        if not isinstance(run.network.head, Copies):
            raise MienError("a network with copies of its last layer", "one last layer", "set model.copies, for example to 10")
        if not isinstance(run.optimization.optimizer, torch.optim.SGD) or run.optimization.peak_rate <= 0:
            raise MienError("stages of sgd with a learning rate above 0", "others", "set stages.0.optimizer and stages.0.lr")
        return run.network.head

    def _draw(self, run: Run, head: Copies) -> dict[str, Tensor]:
        """Draw the rates of all parameters, by name."""
        rates = dict[str, Tensor]()
        for place, module in run.network.blocks.named_modules():
            if list(module.parameters(recurse=False)):
                drawn = feature_rates(module, self.low, self.high, run.generator).to(run.device)
                rates |= {f"blocks.{place}.{name}": drawn for name, _ in module.named_parameters(recurse=False)}
        for number, rate in enumerate(copy_rates(len(head.copies), self.low, self.high).to(run.device)):
            rates |= {f"head.copies.{number}.{name}": rate.view(1) for name, _ in head.copies[number].named_parameters()}
        return rates


def scale_gradients(network: Network, rates: dict[str, Tensor], peak: float) -> None:
    """Multiply each parameter's gradient by its features' rates over the schedule's `peak`, which the optimizer multiplies by."""
    for name, parameter in network.named_parameters():
        if parameter.grad is not None:
            rate = rates[name][: len(parameter)] / peak
            parameter.grad.mul_(rate.view(-1, *[1] * (parameter.ndim - 1)))
