"""Semantic neighborhood-aware optimization (SNA, Eq. 9-14, Algorithm 1): unreliable faces are left out of an update.

A face is unreliable where the prediction moves much while the expression moves a little: S(I) = Div(F(I), F(I_tr)), I_tr a
semantic neighbor of I. The mask is drawn anew at every step and covers the losses of all heads.
"""

from collections.abc import Callable
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor
from typing_extensions import override

from mien.errors import MienError
from mien.models import by_own_statistics
from mien.pretraining.autoencoder.of_run import run_codes, run_neighbors
from mien.pretraining.autoencoder.settings import autoencoder_settings
from mien.recognize.device import channels_last
from mien.recognize.divergence import divergence, moved
from mien.recognize.semantic_neighbors import SIGMA
from mien.settings import STRICT, Positive, Share
from mien.training.face_loader import Batch
from mien.training.label_quality import note_masked
from mien.training.losses import Unevaluated
from mien.training.questions import Weigh
from mien.training.run import Run


def reliable(scores: Tensor, threshold: Tensor) -> Tensor:
    """delta(T - Div) of Eq. 11, (B,) bool: a face counts while its score is below the threshold, one for all or (B,).

    Guard: where that would leave nobody (one face, equal scores, a threshold too low) all are kept.
    """
    below = scores < threshold
    return below | ~below.any()


def remember(recent: Tensor, scores: Tensor, labels: Tensor) -> Tensor:
    """Put the scores of a batch (B,) before the last scores of each class, (K, M), NaN where there were none yet."""
    for label in labels.unique():
        recent[label] = torch.cat([scores[labels == label], recent[label]])[: recent.shape[1]]
    return recent


@dataclass(frozen=True, config=STRICT)
class Neighborhood(Weigh):
    """m_i = delta(T - S(I_i)), T the batch's mean of S (Eq. 14), a fixed number (Eq. 11), or a quantile within each class.

    Departures: S compares the un-augmented face with a fresh neighbor of it, both in eval mode and without a trace in the
    batch statistics (`scoring = "train"` as written: there dropout alone makes S > 0); sigma, which the paper does not give, is a
    share of the codes' deviation; a batch that would lose all its faces keeps them. Beyond the paper: `against =
    "reconstruction"` leaves out of S what the autoencoder blurs; `space = "features"` moves what the network's last block gives
    instead of the face, which needs no autoencoder (its outlook; of a face net's cached features, that is the face net's space).
    """

    threshold: Literal["batch", "fixed", "class_quantile"] = "batch"
    """The batch's mean, `value`, or the `quantile` of a class's last `window` scores."""
    value: Positive = 0.1
    """T where it is fixed, in nats; the paper found its own by trial and does not tell."""
    quantile: Share = 0.7
    """Share of a class's last scores that lies below its threshold."""
    window: Annotated[int, Field(ge=1, le=10**6)] = 256
    """Scores of a class that are remembered for its quantile."""
    sigma: Positive = SIGMA
    """Standard deviation of the noise (Eq. 9), in deviations of each number of a code or feature."""
    space: Literal["autoencoder", "features"] = "autoencoder"
    """Where neighbors lie."""
    autoencoder: str | dict[str, Any] = "small"
    """A folder of `mien autoencoder train`; or `small`, `paper` or settings, by which one is trained and cached."""
    against: Literal["face", "reconstruction"] = "face"
    """What a neighbor is compared with: the face (Eq. 10), or what the autoencoder makes of it without noise."""
    scoring: Literal["eval", "batch", "train"] = "eval"
    """How the network is scored: as it predicts; so, but normalized by the statistics of the faces, and of the neighbors,
    alone; or as it is trained."""
    after: Share = 0.0
    """Share of the run's epochs that pass before faces are left out."""

    def __post_init__(self) -> None:
        if isinstance(self.autoencoder, dict):
            autoencoder_settings(self.autoencoder)  # Mistakes in it are refused now, not when it is needed.
        if self.space == "features" and (self.scoring, self.against) != ("eval", "face"):
            found = f"scoring = {self.scoring}, against = {self.against}"
            raise MienError("neither weigh.scoring nor weigh.against for neighbors among features", found, "leave them out")

    @override
    def __call__(self, run: Run) -> Tensor:
        """A weight of 1 for every face, (N,). Trains the autoencoder where there is none; refuses one made for other faces."""
        if self.space == "autoencoder":
            run_neighbors(run, self.autoencoder)
        return torch.ones(len(run.labels), device=run.device)

    @override
    def of_batch(self, run: Run, batch: Batch) -> Unevaluated:
        """The mask (B,) at the network's weights of the moment; neighbors are drawn now."""
        if len(run.history) < self.after * run.epochs:
            return lambda: torch.ones(len(batch.rows), device=run.device)
        in_pixels = None if self.space == "features" else self._in_pixels(run, batch)

        def evaluate() -> Tensor:
            found = in_pixels() if in_pixels else divergence(*self._in_features(run, batch))
            # What they are taught: a draw may show unlabeled faces.
            counted = reliable(found, self._threshold(run, found, run.targets[batch.rows].argmax(dim=1)))
            note_masked(run, batch.rows, ~counted, found)
            return counted.float()

        return evaluate

    def _in_pixels(self, run: Run, batch: Batch) -> Callable[[], Tensor]:
        """S (B,) of Eq. 10, to be evaluated."""
        neighbors = run_neighbors(run, self.autoencoder)
        codes = run_codes(run, self.autoencoder)[batch.rows]
        around = neighbors.moved(codes, self.sigma, run.view_rng)
        of_face = self.against == "face"
        one = run.views.clean(batch.faces) if of_face else neighbors.inputs(codes, run.views.normalization)
        other = neighbors.inputs(around, run.views.normalization)
        return lambda: divergence(*self._logits(run, one, other))

    def _logits(self, run: Run, one: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of faces and of neighbors, (B, K) each."""
        both = torch.cat([one, other])
        if self.scoring == "train":
            with torch.no_grad():
                first, second = run.heads(both)[-1].chunk(2)
            return first, second
        with run.evaluating() as network, run.autocast():
            if self.scoring == "batch":
                with by_own_statistics(network, len(one)):
                    return network(one).float(), network(other).float()
            first, second = network(both).float().chunk(2)
        return first, second

    def _in_features(self, run: Run, batch: Batch) -> tuple[Tensor, Tensor]:
        """Logits (B, K) of what the last block gives of the faces, (B, D) or (B, C, H, W), and of neighbors of that."""
        with run.evaluating() as network, run.autocast():
            found = network.last_features(channels_last(run.views.clean(batch.faces)))
            around = moved(found, found.std(dim=0, correction=0), self.sigma, run.view_rng)
            return network.decide(found), network.decide(around)

    def _threshold(self, run: Run, scores: Tensor, labels: Tensor) -> Tensor:
        """T: a scalar, or (B,) for each face its class's."""
        if self.threshold == "batch":
            return scores.mean()
        if self.threshold == "fixed":
            return torch.full_like(scores, self.value)
        shape = (run.classes, self.window)
        last = run.state["weigh"].get("neighborhood", Tensor, lambda: torch.full(shape, torch.nan, device=run.device))
        return remember(last, scores, labels).nanquantile(self.quantile, dim=1)[labels]
