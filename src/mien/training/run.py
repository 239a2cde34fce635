"""A run: what is being trained, on which faces, and everything that has to be remembered to go on with it."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from mien.data.augment import Strength
from mien.data.views import Views
from mien.errors import MienError
from mien.models import Network, architecture
from mien.progress import Progress, Silent
from mien.recipes.recipe import Answer, Recipe
from mien.recognize.device import autocast, channels_last, choose_precision, predict_logits, to_device
from mien.recognize.saved_networks import build_network
from mien.training import technique_checks
from mien.training.face_loader import Batch, FaceLoader
from mien.training.losses import Loss
from mien.training.memory import Memory
from mien.training.notes import Notes
from mien.training.optimization import Optimization
from mien.training.run_data import RunData
from mien.wording import with_suggestions

EVALUATION_BATCH = 512
"""Faces that are predicted at once."""


@dataclass(frozen=True)
class Predictions:
    """What the network says of every row of a run, un-augmented."""

    probabilities: Tensor
    """(N, K)."""
    losses: Tensor
    """(N,) against the targets of the moment."""


@dataclass(frozen=True)
class BestEpoch:
    """The best epoch of a stage so far, and the weights after it."""

    value: float
    """How good it was, by what the recipe chooses; more is better."""
    epoch: int
    """The epoch's number within the stage, from 0."""
    figures: dict[str, float]
    """The epoch's figures in the history."""
    weights: dict[str, Tensor]
    """The state dict of the network that was validated."""


class Run:
    """One training run: what techniques read, and act on. training/loop.py drives it.

    Rows index labeled and unlabeled faces alike. N is their number, K that of the classes.
    """

    recipe: Recipe
    """How it is trained. The loop reads it; techniques do not."""
    folder: Path
    """Where the run is kept."""
    device: torch.device
    """Where network and tensors are."""
    seed: int
    """All random numbers begin from it."""
    progress: Progress
    """Who is told how far the run is."""
    data: RunData
    """The faces, with all that is known of them."""
    batch: int
    """Labeled faces in a batch."""
    precision: torch.dtype
    """The type that the network computes in."""
    views: Views
    """Makes network inputs of stored faces."""
    pool: FaceLoader
    """All faces of the run by row."""
    validation: FaceLoader
    """The validation faces."""
    labels: Tensor
    """(N,) int64, -1 for none."""
    classes: int
    """K, the number of classes."""
    labeled: Tensor
    """Rows with a label."""
    unlabeled: Tensor
    """Rows without a label."""
    targets: Tensor
    """(N, K) what each row is taught in this epoch."""
    weights: Tensor
    """(N,) how much each row counts in this epoch."""
    generator: Generator
    """Draws rows, on the CPU."""
    view_rng: Generator
    """Draws views, on the device."""
    torch_rng: list[Tensor]
    """State of torch's own generators during this run: dropout draws from them."""
    state: defaultdict[str, Memory]
    """What techniques remember, by question; part of a checkpoint."""
    cache: Memory
    """What techniques read from files and would read again; not part of a checkpoint."""
    notes: Notes
    """Figures that are noted while an epoch lasts."""
    stage: int
    """Number of the present stage, from 0."""
    epoch: int
    """Epochs of the present stage that are over."""
    batches: int
    """Batches in this epoch."""
    history: list[dict[str, float]]
    """The figures of every epoch that is over, of all stages."""
    best: BestEpoch | None
    """The best epoch of the present stage; None before its first."""
    network: Network
    """What is trained."""
    loss: Loss
    """How the present stage charges a miss; set by the loop when a stage begins."""
    optimization: Optimization
    """What moves the weights in the present stage: optimizer, schedule, average."""

    def __init__(
        self,
        recipe: Recipe,
        data: RunData,
        seed: int,
        device: torch.device,
        folder: Path,
        progress: Progress | None = None,
        network: Network | None = None,
    ) -> None:
        """`network`: what is trained, with its weights as they are; None builds the recipe's.

        Raises MienError where the network does not fit the recipe's normalization or frozen blocks.
        """
        self.recipe = recipe
        self.folder = folder
        self.device = device
        self.seed = seed
        self.progress = progress or Silent()
        self.data = data.to(device)
        self.batch = recipe.batch
        self.precision = choose_precision(recipe.precision, device)
        self.views = Views(data.faces.info, recipe.normalize, recipe.augment)
        self.pool = FaceLoader(data.faces, device)
        self.validation = FaceLoader(data.validation, device)
        self.labels = self.data.labels
        self.classes = len(data.faces.classes)
        self.labeled = torch.nonzero(self.labels >= 0).squeeze(1)
        self.unlabeled = torch.nonzero(self.labels < 0).squeeze(1)
        self.targets = torch.zeros(len(self.labels), self.classes, device=device)
        self.weights = torch.ones(len(self.labels), device=device)
        self.generator = Generator().manual_seed(seed)
        self.view_rng = Generator(device).manual_seed(seed)
        self.torch_rng = [Generator(kind).manual_seed(seed).get_state() for kind in dict.fromkeys(("cpu", device.type))]
        self.state = defaultdict(Memory)
        self.cache = Memory()
        self.notes = Notes()
        self.stage = 0
        self.epoch = 0
        self.batches = 0
        self.history = list[dict[str, float]]()
        self.best = None
        self._predictions: Predictions | None = None
        self.network = to_device(network or build_network(recipe.model, self.classes, data.faces.info, seed), device)
        self._heads: Callable[[Tensor], Tensor] = self.network.heads
        if recipe.normalize != "fixed" and architecture(recipe.model).takes_gray_values:
            name = recipe.model["network"]
            raise MienError(f"normalize = fixed for {name}, which knows gray values", recipe.normalize, "set normalize to fixed")
        unknown = {block for stage in recipe.stages for block in stage.frozen} - set(self.network.blocks)
        if unknown:
            known = list(self.network.blocks)
            found = with_suggestions(unknown, known)
            raise MienError(f"frozen blocks among {', '.join(known)}", found, "choose some of those")

    # What techniques use.

    @property
    def epochs(self) -> int:
        """Epochs of all stages together."""
        return sum(stage.epochs for stage in self.recipe.stages)

    @property
    def stage_epochs(self) -> int:
        """Epochs of the present stage."""
        return self.recipe.stages[self.stage].epochs

    @property
    def architecture(self) -> Answer:
        """The network's name under `network`, and its settings."""
        return self.recipe.model

    def one_hot(self) -> Tensor:
        """(N, K): the labels as one-hot vectors, zero where there is none."""
        return F.one_hot(self.labels.clamp(min=0), self.classes).float() * (self.labels >= 0).unsqueeze(1)

    def view(self, batch: Batch, strength: Strength) -> Tensor:
        """A random view of a batch's faces: network inputs (B, C, S, S) or (B, D)."""
        return channels_last(self.views.view(batch.faces, strength, self.view_rng))

    def heads(self, inputs: Tensor) -> Tensor:
        """Logits of every head, (H, B, K) float32, in the run's precision."""
        with self.autocast():
            return self._heads(inputs).float()

    def descend(self, loss: Tensor, adjust: Callable[[], None] | None = None) -> None:
        """One optimizer step down the gradient of `loss`, a scalar; moves the average of the weights along.

        `adjust` may change the parameters' gradients before the step.
        """
        self.optimization.descend(loss, adjust)

    def autocast(self) -> AbstractContextManager[object]:
        """A context manager: within, the network computes in the run's precision."""
        return autocast(self.device, self.precision)

    @contextmanager
    def evaluating(self, network: Network | None = None) -> Iterator[Network]:
        """Within, a network predicts, and learns nothing: no dropout, no gradient, fixed batch statistics.

        `network`: which one; that in training, at its present weights, unless said.
        """
        chosen = (network or self.network).eval()
        try:
            with torch.no_grad():
                yield chosen
        finally:
            self.train_mode()

    def predictions(self) -> Predictions:
        """What the network says of every row at the present weights; computed once between two epochs, however often asked."""
        if self._predictions is None:
            logits = self.predict(self.pool).to(self.device)
            losses = technique_checks.numbers(self.loss(logits, self.targets), (len(logits),), self.device, "loss", self.loss)
            self._predictions = Predictions(torch.softmax(logits, dim=1), losses)
        return self._predictions

    def forget_predictions(self) -> None:
        """Compute predictions anew when they are next asked for: the weights are about to change."""
        self._predictions = None

    # What the loop and objectives use.

    def enter(self, stage: int) -> None:
        """Begin a stage: its frozen blocks, a fresh optimizer and average."""
        settings = self.recipe.stages[stage]
        self.stage, self.epoch, self.best = stage, 0, None
        for name, block in self.network.blocks.items():
            block.requires_grad_(name not in settings.frozen)
        scaled = self.precision == torch.float16
        self.optimization = Optimization(self.network, settings, self.recipe.average, scaled, self.device)
        self._heads = torch.compile(self.network.heads) if self.recipe.compile else self.network.heads

    def train_mode(self) -> None:
        """Dropout and batch statistics on, except in frozen blocks."""
        self.network.train()
        for name in self.recipe.stages[self.stage].frozen:
            self.network.blocks[name].eval()

    @property
    def eval_network(self) -> Network:
        """The network that is validated and kept: the averaged one where there is an average."""
        return self.optimization.eval_network

    def predict(self, faces: FaceLoader, network: Network | None = None, rows: Tensor | None = None) -> Tensor:
        """Logits (n, K) float32 on the CPU of these faces, un-augmented, by the `network` that is validated unless said.

        `rows`: which of the faces, (n,) on the CPU; all unless said.
        """
        batches = faces.stream((torch.arange(len(faces)) if rows is None else rows).split(EVALUATION_BATCH))
        pixels = (batch.faces for batch in batches)
        logits = predict_logits(network or self.eval_network, pixels, self.views, self.precision)
        self.train_mode()
        return logits
