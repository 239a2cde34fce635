"""Semantic neighborhood-aware optimization (SNA, Eq. 9-14, Algorithm 1): unreliable faces are left out of an update.

A face is unreliable where the prediction moves much while the expression moves a little: S(I) = Div(F(I), F(I_tr)), I_tr a
semantic neighbor of I. The mask is drawn anew at every step and covers the losses of all heads.
"""

from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor
from typing_extensions import override

from mien.errors import MienError
from mien.neighbors.choose import kind_from, with_source
from mien.neighbors.kinds import Kind
from mien.neighbors.kinds.features import Features
from mien.neighbors.look import alone, label_loss, stability
from mien.neighbors.mask import calibrated, class_thresholds, no_scores, reliable, remember, require_scores
from mien.neighbors.semantic_neighbors import SIGMA
from mien.pretraining import run_neighbors
from mien.pretraining.autoencoder.settings import autoencoder_settings
from mien.pretraining.mask_memory import mask_number, memory_of
from mien.settings import STRICT, Count, Positive, Share
from mien.training.face_loader import Batch
from mien.training.losses import Unevaluated
from mien.training.memory import Memory
from mien.training.questions import Weigh
from mien.training.run import Run

Score = Literal["divergence", "label", "own_label"]
OLD = ("autoencoder", SIGMA, "face")
"""Defaults of the settings that say which neighbors are meant where `neighbors` does not."""


@dataclass(frozen=True, config=STRICT)
class Neighborhood(Weigh):
    """m_i = delta(T - S(I_i)), T the batch's mean of S (Eq. 14), a number (Eq. 11), or a quantile within each class.

    Departures: S compares the un-augmented face with a fresh neighbor of it, both in eval mode and without a trace in the batch
    statistics (`scoring = "train"` as written: there dropout alone makes S > 0); a batch that would lose all its faces keeps
    them. Beyond the paper: other `neighbors`; several `draws`; other scores, since S reads no label and so knows no wrong one.
    """

    neighbors: str | dict[str, Any] | None = None
    """A kind of neighbor or its settings, `{ kind = "views", shift = 0.05 }`; None: as the settings from `space` on say."""
    score: Literal["divergence", "label", "own_label", "random"] = "divergence"
    """S; minus log p of the label at the neighbor; the same of the face itself; or `random`: the control, which leaves out as
    many faces of each batch as `control_of` would, but by lot."""
    control_of: Score = "divergence"
    """The score that `random` is the control of."""
    draws: Count = 1
    """Neighbors of each face at a step, whose scores are averaged."""
    threshold: Literal["batch", "fixed", "class_quantile", "calibrated"] = "batch"
    """The batch's mean; `value`; the `quantile` of a class's last `window` scores; or that of all scores in the first epoch that
    is scored, in which nobody is left out."""
    value: Positive = 0.1
    """T where it is fixed, in nats; the paper found its own by trial and does not tell."""
    quantile: Share = 0.7
    """Share of the scores that lies below the threshold."""
    window: Annotated[int, Field(ge=1, le=10**6)] = 256
    """Scores of a class that are remembered for its quantile."""
    scoring: Literal["eval", "average", "batch", "train"] = "eval"
    """How the network is scored: as it predicts; so, with its averaged weights; normalized by the statistics of the faces, and of
    the neighbors, alone; or as it is trained."""
    after: Share = 0.0
    """Share of the run's epochs that pass before faces are left out."""
    after_accuracy: Share = 0.0
    """Share of the training labels that the network has to predict before faces are left out."""
    space: Literal["autoencoder", "features"] = "autoencoder"
    """The kind, where `neighbors` names none."""
    sigma: Positive = SIGMA
    """Noise of that kind (Eq. 9), in deviations of each number of a code or feature."""
    autoencoder: str | dict[str, Any] = "small"
    """The autoencoder, unless `neighbors` names another: a folder, `small`, `paper` or settings."""
    against: Literal["face", "reconstruction"] = "face"
    """What its neighbors are compared with."""

    def __post_init__(self) -> None:
        if self.neighbors is not None and (self.space, self.sigma, self.against) != OLD:
            raise MienError("weigh.neighbors, or space, sigma and against", "both", "put those into weigh.neighbors")
        if isinstance(self.autoencoder, dict):
            autoencoder_settings(self.autoencoder)  # Mistakes in it are refused now, not when it is needed.
        if isinstance(self.kind(), Features) and (self.scoring not in ("eval", "average") or self.against != "face"):
            found = f"scoring = {self.scoring}, against = {self.against}"
            raise MienError("neither weigh.scoring nor weigh.against for neighbors among features", found, "leave them out")

    def kind(self) -> Kind:
        """The kind of neighbor and its settings."""
        more = {"source": self.autoencoder, "against": self.against} if self.space == "autoencoder" else {}
        own = {"kind": self.space, "sigma": self.sigma} | more
        return kind_from(own if self.neighbors is None else with_source(self.neighbors, self.autoencoder))

    @property
    def _scores(self) -> Score:
        return self.control_of if self.score == "random" else self.score

    @override
    def require(self, run: Run) -> None:
        """Raises MienError for neighbors that such faces do not have, and for the same mask twice in a stage."""
        memory_of(run, self)
        if self._scores != "own_label":
            run_neighbors.require_neighbors(run, self.kind())

    @override
    def __call__(self, run: Run) -> Tensor:
        """A weight of 1 for every face, (N,). Fits the neighbors."""
        if self._scores != "own_label":
            run_neighbors.fit_neighbors(run, self.kind())
        run_neighbors.ask_whether_learned(run, memory_of(run, self), self.after_accuracy)
        return torch.ones(len(run.labels), device=run.device)

    @override
    def of_batch(self, run: Run, batch: Batch) -> Unevaluated:
        """The mask (B,) at the network's weights of the moment; neighbors are drawn now."""
        memory = memory_of(run, self)
        if len(run.history) < self.after * run.epochs or not run_neighbors.has_learned(memory, self.after_accuracy):
            return lambda: torch.ones(len(batch.rows), device=run.device)
        plain, count = self._scores == "own_label", len(batch.rows)
        drawn = alone(run.views, batch.faces) if plain else run_neighbors.draw_in_run(run, self.kind(), batch, self.draws)
        lot = torch.randperm(count, generator=run.view_rng, device=run.device) if self.score == "random" else None

        def evaluate() -> Tensor:
            labels = run_neighbors.labels_or_taught(run, batch.rows)
            own, near = run_neighbors.look_in_run(run, drawn, self.scoring)
            of_label = label_loss(own.unsqueeze(0) if plain else near, labels)
            scores = require_scores(stability(own, near) if self._scores == "divergence" else of_label)
            counted = reliable(scores, self._threshold(run, memory, scores, labels))
            counted = counted if lot is None else counted[lot]
            run_neighbors.note_masked(run, memory, self._scores, batch.rows, ~counted, scores, lot is not None)
            return counted.float()

        return evaluate

    def _threshold(self, run: Run, memory: Memory, scores: Tensor, labels: Tensor) -> Tensor:
        """T: a scalar, or (B,) for each face its class's."""
        if self.threshold == "batch":
            return scores.mean()
        if self.threshold == "fixed":
            return torch.full_like(scores, self.value)
        if self.threshold == "calibrated":
            return calibrated(memory.values, len(run.history), scores, self.quantile)
        last = memory.get("neighborhood", Tensor, lambda: no_scores(run.classes, self.window, run.device))
        return class_thresholds(remember(last, scores, labels), self.quantile)[labels]

    @override
    def after_stage(self, run: Run) -> None:
        """Leave masked.parquet and masked.png: who was left out, and how often."""
        run_neighbors.write_masked(run, memory_of(run, self), mask_number(run, self))
