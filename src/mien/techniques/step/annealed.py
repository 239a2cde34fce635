"""Annealed Label Transfer (Florea et al. 2019, Algorithm 1): updates from unlabeled faces are tried, and kept where they help.

For each batch: (a-d) a labeled step; (e) the validation loss L_v; then on unlabeled faces (a-e) a trial step whose size is
random while the temperature T is high; (f) the validation loss L_v2; (g) the trial is kept if L_v - L_v2 is large enough,
otherwise everything is as it was before it. T falls from epoch to epoch and is 0 over the last quarter.
"""

import math
from typing import Literal

import torch
import torch.nn.functional as F
from pydantic.dataclasses import dataclass
from torch import Generator, Tensor
from typing_extensions import override

from mien.errors import MienError
from mien.recognize.device import channels_last
from mien.settings import STRICT, CountOrZero, NotNegative
from mien.training.losses import LabeledLoss, UnlabeledLoss
from mien.training.questions import Step
from mien.training.run import EVALUATION_BATCH, Run


def temperature(first: float, epoch: int, epochs: int) -> float:
    """T after `epoch` epochs of `epochs`: T0 - epoch * T0 / (0.75 epochs), never below 0."""
    return first * max(0.0, 1 - epoch / (0.75 * epochs))


def gradient_noise(loss: Tensor, hot: float, generator: Generator) -> Tensor:
    """Step c: (L_u + T xi) / L_u with xi ~ U[-1, 1], clamped to [0, 2]: the factor of the unlabeled gradient."""
    xi = torch.rand((), generator=generator, device=loss.device) * 2 - 1
    return ((loss.detach() + hot * xi) / loss.detach().clamp(min=1e-12)).clamp(0, 2)


def label_noise(probabilities: Tensor, hot: float, generator: Generator) -> Tensor:
    """Fig. 1a: p + T xi_k of every face, (U, K); the pseudo-label is the largest."""
    xi = torch.rand(probabilities.shape, generator=generator, device=probabilities.device) * 2 - 1
    return probabilities + hot * xi


def gain(before: Tensor, after: Tensor) -> float:
    """L_v - L_v2, from losses (V,) of the same validation faces."""
    return float((before - after).mean())


def significance(before: Tensor, after: Tensor) -> float:
    """z of the paired differences of losses (V,); their mean's sign times infinity where they do not vary."""
    difference = (before - after).double()
    error = float(difference.std()) / math.sqrt(len(difference)) if len(difference) > 1 else 0.0
    mean = float(difference.mean())
    return mean / error if error > 0 else math.copysign(math.inf, mean) if mean else 0.0


def stratified(labels: Tensor, count: int, generator: Generator) -> Tensor:
    """Indices of up to `count` random faces of labels (V,), the classes in their proportions, at least one face of each."""
    shuffled = torch.randperm(len(labels), generator=generator)
    # Each face's place within its class, as a share of it: the lowest places are every class's first faces.
    place = torch.empty(len(labels), dtype=torch.float64)
    for label in labels.unique():
        mine = shuffled[labels[shuffled] == label]
        place[mine] = torch.arange(len(mine), dtype=torch.float64) / len(mine)
    return place.argsort(stable=True)[:count].sort().values


def validation_losses(run: Run, rows: Tensor) -> Tensor:
    """L_v: cross-entropy (V,) of these validation faces, un-augmented, at the present (not the averaged) weights."""
    found = []
    with run.evaluating() as network:
        for part in rows.cpu().split(EVALUATION_BATCH):
            inputs = channels_last(run.views.clean(run.validation.fetch(part).faces))
            with run.autocast():
                logits = network(inputs).float()
            found.append(F.cross_entropy(logits, run.data.validation_labels[part].to(run.device), reduction="none"))
    return torch.cat(found)


@dataclass(frozen=True, config=STRICT)
class Annealed(Step):
    """Departures from the letter, each with an option that follows it:

    - step c adds T xi to the loss, which has no gradient (`noise = "literal"`); by default it scales the gradient;
    - g asks for L_v - L_v2 > beta(T) = 0.75 T, more than any one step gains, and at T = 0 for more than 0 > 0
      (`accept = "literal"`); by default beta is an epoch's worth, shared among its batches, and 0 may be gained;
    - e and f pass the whole validation set (`validation_faces = 0`); by default one fixed stratified part of it;
    - the trial is a step of the same optimizer, so it carries the momentum of the labeled steps, and running batch statistics
      move with it: what is measured before and after is the whole step, of which the unlabeled gradient is a part;
    - slips: theta + g means theta - lr g, the loss of c is that of x^u, its gradient is taken at theta_b, w_j is unused.
    R(theta) is the optimizer's weight decay; the validation loss is the plain cross-entropy of the un-augmented faces, in the
    run's precision. What an unlabeled technique remembers (FreeMatch's averages) is not taken back.
    """

    temperature: NotNegative = 0.2
    """T0 as a share of the first labeled batch's loss."""
    slope: NotNegative = 0.75
    """beta(T) = slope * T."""
    noise: Literal["gradient", "literal", "labels"] = "gradient"
    """Where the random number enters: the gradient's size, nowhere, or the pseudo-labels (Fig. 1a)."""
    accept: Literal["budget", "literal", "metropolis", "paired"] = "budget"
    """`budget`: gain >= beta/batches; `literal`: gain > beta > 0; `metropolis`: with probability min(1, exp(gain/T));
    `paired`: z of the paired gains >= critical * T/T0."""
    critical: NotNegative = 1.645
    """z that `paired` asks for at T0: one-sided, 5 %."""
    validation_faces: CountOrZero = 256
    """Faces of the fixed validation part; 0 for all."""

    @override
    def __call__(self, run: Run, labeled: LabeledLoss, unlabeled: UnlabeledLoss | None) -> None:
        """Take a labeled step, and a trial step that may be undone, bit for bit. Raises MienError without validation faces."""
        memory, labels, loss = run.state["step"], run.data.validation_labels, labeled()
        if not len(labels):
            raise MienError("validation faces, which decide what annealed keeps", "none", "raise validation, or give more labels")
        # T0 and the validation part stay as they are for the rest of the run.
        first = memory.get("first", float, lambda: self.temperature * float(loss.detach()))
        began = memory.get("began", int, lambda: len(run.history))
        faces = memory.get("faces", Tensor, lambda: stratified(labels, self.validation_faces or len(labels), run.generator))
        run.descend(loss)
        if unlabeled is None:
            return
        hot = temperature(first, len(run.history) - began, run.epochs - began)
        before, snapshot = validation_losses(run, faces), run.optimization.snapshot()
        teaches = self._try(run, unlabeled, hot)
        kept = teaches and self._accepts(run, before, validation_losses(run, faces), hot, first)
        if not kept:
            run.optimization.restore(snapshot)
        run.notes.add("temperature", hot)
        run.notes.add("acceptance", float(kept))

    def _try(self, run: Run, unlabeled: UnlabeledLoss, hot: float) -> bool:
        """Whether the batch teaches anything: where its loss is 0, the step is that of the labeled faces' momentum alone."""
        labels = self.noise == "labels"
        loss = unlabeled(lambda probabilities: label_noise(probabilities, hot, run.view_rng)) if labels else unlabeled()
        # To the letter a constant is added, which has no gradient whatever xi is.
        run.descend(loss * gradient_noise(loss, hot, run.view_rng) if self.noise == "gradient" else loss + hot)
        return bool(loss.detach())

    def _accepts(self, run: Run, before: Tensor, after: Tensor, hot: float, first: float) -> bool:
        """Whether losses (V,) fell enough; never where they are no numbers."""
        gained, beta = gain(before, after), self.slope * hot
        if not math.isfinite(gained):
            return False
        if self.accept == "budget":
            return gained >= beta / run.batches
        if self.accept == "literal":
            return gained > beta > 0
        if self.accept == "paired":
            return significance(before, after) >= (self.critical * hot / first if first else 0.0)
        chance = float(torch.rand((), generator=run.view_rng, device=run.view_rng.device))
        return gained >= 0 or (hot > 0 and chance < math.exp(gained / hot))
