"""Annealed Label Transfer (Florea et al. 2019, Algorithm 1): updates from unlabeled faces are tried, and kept where they help.

For each batch: (a-d) a labeled step; (e) the validation loss L_v; then on unlabeled faces (a-e) a trial step theta_b - lr g_u,
whose size is random while the temperature T is high; (f) the validation loss L_v2; (g) the trial is kept if L_v - L_v2 is large
enough, otherwise everything is as it was before it. T falls from epoch to epoch and is 0 over the last quarter.
"""

import math
from typing import Literal

import torch
from pydantic.dataclasses import dataclass
from torch import Generator, Tensor
from typing_extensions import override

from mien.errors import MienError
from mien.settings import STRICT, CountOrZero, NotNegative, Positive
from mien.training.losses import LabeledLoss, UnlabeledLoss
from mien.training.memory import Memory
from mien.training.questions import Step
from mien.training.run import Run
from mien.training.snapshot import still_buffers
from mien.training.validation_part import gain, significance, stratified, validation_losses

RECENT = 0.95
"""Momentum of the average size of gains: that of about the last twenty trials."""


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


def recent_size(memory: Memory, gained: float, rate: float) -> float:
    """The average size of recent gains, this one among them, at this learning rate: they are in proportion to it."""
    each = abs(gained) / rate if rate and math.isfinite(gained) else None
    size = float(memory.values.get("size", each or 0.0))
    if each is not None:
        size = RECENT * size + (1 - RECENT) * each
        memory.put("size", size)
    return size * rate


@dataclass(frozen=True, config=STRICT)
class Annealed(Step):
    """Departures from the letter, each with an option that follows it:

    - step c adds T xi to the loss, which has no gradient (`noise = "literal"`); by default it scales the gradient by
      1 + xi T / L, L the first labeled loss: at T0 by up to a fifth. T itself beside the small L_u, (L_u + xi T) / L_u, is a
      coin between 0 and 2 (`noise = "additive"`);
    - g asks for L_v - L_v2 > beta(T) = 0.75 T, more than any step gains, and at T = 0 for more than 0 > 0 (`accept = "literal"`);
      by default T0 stands for the size of recent gains, and 0 may be gained; `"epoch"` shares beta among an epoch's batches;
    - e and f pass the whole validation set (`validation_faces = 0`); by default one fixed stratified part of it;
    - T begins with the first trial, since a recipe may begin with labels alone; a batch that teaches nothing is no trial;
    - slips: theta + g means theta - lr g, the loss of c is that of x^u, its gradient is taken at theta_b, w_j is unused.
    The trial has no momentum and no decay, running batch statistics stay, losses are in float32: nothing else is judged. R(theta)
    is the optimizer's weight decay. An average of weights moves in labeled steps only. FreeMatch's averages are not taken back.
    """

    temperature: NotNegative = 0.2
    """T0 as a share of the labeled loss when trials begin."""
    slope: NotNegative = 0.75
    """beta(T) = slope * T."""
    rate: Positive = 1.0
    """The trial's learning rate, in those of the moment; momentum of .9 makes the labeled steps worth 10, Adam far more."""
    noise: Literal["gradient", "additive", "literal", "labels"] = "gradient"
    """Where the random number enters: the gradient's size (`additive`: with T itself), nowhere, or pseudo-labels (Fig. 1a)."""
    accept: Literal["budget", "epoch", "literal", "metropolis", "paired"] = "budget"
    """`budget`: gain >= slope * T/T0 * size of recent gains; `epoch`: gain >= beta/batches; `literal`: gain > beta > 0;
    `metropolis`: with probability min(1, exp(gain/T)); `paired`: z of the paired gains >= critical * T/T0."""
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
        run.descend(loss)
        if unlabeled is None:
            return
        faces = memory.get("faces", Tensor, lambda: stratified(labels, self.validation_faces or len(labels), run.generator))
        first = memory.values.get("first", self.temperature * float(loss.detach()))
        began = memory.values.get("began", len(run.history))
        hot = temperature(first, len(run.history) - began, run.epochs - began)
        share = hot / first if first else 0.0
        before, snapshot = validation_losses(run, faces), run.optimization.snapshot()
        # Random numbers are drawn whether or not a trial follows, so that a control sees the same views.
        chance = float(torch.rand((), generator=run.view_rng, device=run.view_rng.device)) if self.accept == "metropolis" else 1.0
        if not self._try(run, unlabeled, hot, self.temperature * share):
            return
        # T0, and when its clock began, stay as they are for the rest of the run.
        memory.put("first", first)
        memory.put("began", began)
        after = validation_losses(run, faces)
        size = recent_size(memory, gain(before, after), self.rate * run.optimization.rate)
        kept = self._accepts(run, before, after, hot, share, size, chance)
        if not kept:
            run.optimization.restore(snapshot)
        run.notes.add("temperature", hot)
        run.notes.add("acceptance", float(kept))
        # What the rule says of a trial that changes nothing: a check that judges pseudo-labels differs from it.
        run.notes.add("acceptance_control", float(self._accepts(run, before, before, hot, share, size, chance)))

    def _try(self, run: Run, unlabeled: UnlabeledLoss, hot: float, share: float) -> bool:
        """Step down the unlabeled gradient; `share`: T in labeled losses. False where the loss is 0, which teaches nothing."""
        with still_buffers(run.network):
            labels = self.noise == "labels"
            loss = unlabeled(lambda probabilities: label_noise(probabilities, hot, run.view_rng)) if labels else unlabeled()
            value = loss.detach()
            if self.noise in ("gradient", "additive"):
                loss = loss * gradient_noise(value, share * float(value) if self.noise == "gradient" else hot, run.view_rng)
            if not value:
                return False
            # To the letter a constant is added, which has no gradient whatever xi is.
            run.optimization.plain_step(loss + hot if self.noise == "literal" else loss, self.rate * run.optimization.rate)
        return True

    def _accepts(self, run: Run, before: Tensor, after: Tensor, hot: float, share: float, size: float, chance: float) -> bool:
        """Whether losses (V,) fell enough; never where they are no numbers. `hot`: T; `share`: T/T0; `size`: of recent gains."""
        gained, beta = gain(before, after), self.slope * hot
        if not math.isfinite(gained):
            return False
        if self.accept == "budget":
            return gained >= self.slope * share * size
        if self.accept == "epoch":
            return gained >= beta / run.batches
        if self.accept == "literal":
            return gained > beta > 0
        if self.accept == "paired":
            return significance(before, after) >= self.critical * share
        return gained >= 0 or (hot > 0 and chance < math.exp(gained / hot))
