"""A run: what is being trained, on which faces, and everything that has to be remembered to go on with it."""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from mien.data.augment import Strength
from mien.data.faceset import FaceSet
from mien.data.views import Views
from mien.errors import MienError
from mien.models import Network, by_own_statistics, takes_gray_values
from mien.progress import Progress, Silent
from mien.recipes.recipe import Components, Recipe
from mien.recognize.device import autocast, channels_last, choose_precision, predict_logits, to_device
from mien.recognize.divergence import decide, last_features, moved
from mien.recognize.saved_networks import build_network
from mien.registry import each_meant
from mien.training.checkpoint import FAULTS, not_of_run, require_numbers
from mien.training.contract import numbers
from mien.training.face_loader import Batch, FaceLoader
from mien.training.objective import Classes, Objective
from mien.training.schedule import make_average, make_optimizer, rate
from mien.training.snapshot import Snapshot

EVALUATION_BATCH = 512


@dataclass(frozen=True)
class RunData:
    """The faces of a run. `faces`: those trained on, labels (N,) as they may be known, -1 for none; `validation` beside."""

    faces: FaceSet
    labels: Tensor
    validation: FaceSet
    validation_labels: Tensor
    votes: Tensor | None = None
    truth: Tensor | None = None
    """(N,) what is true of `faces`, -1 where nobody knows: to report how good pseudo-labels are, never to learn from."""
    split: FaceSet | None = None
    """All faces of the training split, validation faces among them: pixels to learn from, no labels to look at."""


@dataclass(frozen=True)
class Predictions:
    """Of every row, un-augmented: `probabilities` (N, K), and the `losses` (N,) against the current targets."""

    probabilities: Tensor
    losses: Tensor


class Run:
    """One training run. Techniques read it and act through its methods; training/loop.py drives it.

    Rows index labeled and unlabeled faces alike. `targets` (N, K) and `weights` (N,) are device tensors; `state` holds
    what techniques remember, by question.
    """

    def __init__(
        self,
        recipe: Recipe,
        material: RunData,
        seed: int,
        device: torch.device,
        folder: Path,
        progress: Progress | None = None,
        network: Network | None = None,
        lesson: Objective | None = None,
    ) -> None:
        """`network`: what is trained, with its weights as they are; None builds the recipe's. `lesson`: classes unless said."""
        self.recipe, self.folder, self.device, self.seed = recipe, folder, device, seed
        self.material, self.progress, self.lesson = material, progress or Silent(), lesson or Classes()
        self.batch = recipe.batch
        self.precision = choose_precision(recipe.precision, device)
        self.views = Views(material.faces.info, recipe.normalize, recipe.augment)
        self.pool = FaceLoader(material.faces, device)
        self.validation = FaceLoader(material.validation, device)
        self.validation_labels = material.validation_labels
        self.labels = material.labels.to(device)
        self.votes = None if material.votes is None else material.votes.to(device)
        self.class_names = material.faces.classes
        self.classes = len(self.class_names)
        self.labeled = torch.nonzero(self.labels >= 0).squeeze(1)
        self.unlabeled = torch.nonzero(self.labels < 0).squeeze(1)
        self.targets = torch.zeros(len(self.labels), self.classes, device=device)
        self.weights = torch.ones(len(self.labels), device=device)
        self.generator = Generator().manual_seed(seed)
        """Draws rows, on the CPU."""
        self.noise = Generator(device).manual_seed(seed)
        """Draws views, on the device."""
        self._truth = None if material.truth is None else material.truth.to(device)
        self.state: dict[str, dict[str, Any]] = {}
        self.cache: dict[str, Any] = {}
        """What techniques read from files and would read again; not part of a checkpoint."""
        self.notes: dict[str, list[Tensor]] = {}
        """What techniques noted since the epoch began."""
        self.head_losses = torch.zeros(1, device=device)
        """(H,) mean loss of each head on the last batch of labeled faces."""
        self.batches = 0
        """In this epoch."""
        self.stage, self.epoch, self.history = 0, 0, list[dict[str, float]]()
        self.best: dict[str, Any] = {}
        self._predictions: Predictions | None = None
        self.network = to_device(network or build_network(recipe.model, self.classes, material.faces.info, seed), device)
        self.global_noise = [Generator(kind).manual_seed(seed).get_state() for kind in dict.fromkeys(("cpu", device.type))]
        """State of torch's own generators during this run: dropout draws from them."""
        self._components_of_stage()
        if recipe.normalize != "fixed" and takes_gray_values(self.network):
            name = recipe.model["network"]
            raise MienError(f"normalize = fixed for {name}, which knows gray values", recipe.normalize, "set normalize to fixed")
        unknown = {block for stage in recipe.stages for block in stage.frozen} - set(self.network.blocks)
        if unknown:
            known = ", ".join(self.network.blocks)
            raise MienError(f"frozen blocks among {known}", each_meant(unknown, self.network.blocks), "choose some of those")

    def _components_of_stage(self) -> None:
        self.components = Components.of(self.recipe, self.recipe.stages[self.stage])

    def enter(self, stage: int) -> None:
        """Begin a stage: its answers, its frozen blocks, a fresh optimizer and average."""
        settings = self.recipe.stages[stage]
        self.stage, self.epoch, self.best = stage, 0, {}
        self._components_of_stage()
        for name, block in self.network.blocks.items():
            block.requires_grad_(name not in settings.frozen)
        self.optimizer = make_optimizer(self.network, settings)
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=self.precision == torch.float16)
        self.average = make_average(self.network, self.recipe.average) if self.recipe.average else None
        self._heads: Callable[[Tensor], Tensor] = self.network.heads
        if self.recipe.compile:
            self._heads = torch.compile(self.network.heads)

    def train_mode(self) -> None:
        """Dropout and batch statistics on, except in frozen blocks."""
        self.network.train()
        for name in self.recipe.stages[self.stage].frozen:
            self.network.blocks[name].eval()

    # What techniques use.

    def one_hot(self) -> Tensor:
        """(N, K): the labels as one-hot vectors, zero where there is none."""
        return F.one_hot(self.labels.clamp(min=0), self.classes).float() * (self.labels >= 0).unsqueeze(1)

    def turns(self, rows: Tensor, count: int, size: int) -> list[Tensor]:
        """`count` batches of `size` of these rows, (size,) each: permutations one after the other, so that none comes
        twice before all came once.
        """
        rounds = -(-count * size // len(rows))
        order = torch.cat([rows[torch.randperm(len(rows), generator=self.generator)] for _ in range(rounds)])
        return list(order[: count * size].split(size))

    def view(self, batch: Batch, strength: Strength) -> Tensor:
        """A random view of a batch's faces: network inputs (B, C, S, S) or (B, D)."""
        return channels_last(self.views.view(batch.faces, strength, self.noise))

    def heads(self, inputs: Tensor) -> Tensor:
        """Logits of every head, (H, B, K) float32, in the run's precision."""
        with autocast(self.device, self.precision):
            return self._heads(inputs).float()

    def descend(self, loss: Tensor, adjust: Callable[[], None] | None = None) -> None:
        """One optimizer step down the gradient of `loss`, a scalar; moves the average of the weights along.

        `adjust` may change the parameters' gradients before the step.
        """
        self.optimizer.zero_grad()
        self.scaler.scale(loss).backward()
        if adjust is not None:
            adjust()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        if self.average is not None:
            self.average.update_parameters(self.network)

    def predictions(self) -> Predictions:
        """Of every row at the present weights; computed once between two epochs, however often it is asked for."""
        if self._predictions is None:
            logits = self.predict(self.pool, len(self.labels)).to(self.device)
            loss = self.components.loss
            losses = numbers(loss(logits, self.targets), (len(logits),), self.device, "loss", loss)
            self._predictions = Predictions(torch.softmax(logits, dim=1), losses)
        return self._predictions

    @torch.no_grad()
    def quiet_logits(self, inputs: Tensor, own_statistics: bool = False) -> Tensor:
        """(B, K) float32 of the deciding head at the present (not the averaged) weights, without dropout; nothing is learned
        from, batch statistics included. `own_statistics`: two inputs or more are normalized by their own.
        """
        self.network.eval()
        own = by_own_statistics(self.network) if own_statistics and len(inputs) > 1 else nullcontext()
        with own, autocast(self.device, self.precision):
            logits: Tensor = self.network(inputs).float()
        self.train_mode()
        return logits

    @torch.no_grad()
    def quiet_neighbors(self, inputs: Tensor, sigma: float) -> tuple[Tensor, Tensor]:
        """The same twice, of what the last block gives: as it is, and with noise of `sigma` of each number's deviation within
        the batch.
        """
        self.network.eval()
        with autocast(self.device, self.precision):
            found = last_features(self.network, channels_last(inputs))
            other = moved(found, found.std(dim=0, correction=0), sigma, self.noise)
            logits = decide(self.network, found), decide(self.network, other)
        self.train_mode()
        return logits

    @torch.no_grad()
    def validation_losses(self, rows: Tensor) -> Tensor:
        """(V,) cross-entropy of these validation faces, un-augmented, at the present (not the averaged) weights."""
        found = []
        for part in rows.cpu().split(EVALUATION_BATCH):
            logits = self.quiet_logits(channels_last(self.views.clean(self.validation.fetch(part).faces)))
            found.append(F.cross_entropy(logits, self.validation_labels[part].to(self.device), reduction="none"))
        return torch.cat(found)

    def stratified_validation(self, count: int) -> Tensor:
        """Rows of up to `count` random validation faces, (V,), the classes in their proportions, at least one face of each."""
        labels = self.validation_labels
        order = torch.randperm(len(labels), generator=self.generator)
        # Each face's place within its class, as a share of it: the lowest places are every class's first faces.
        place = torch.empty(len(labels), dtype=torch.float64)
        for label in labels.unique():
            mine = order[labels[order] == label]
            place[mine] = torch.arange(len(mine), dtype=torch.float64) / len(mine)
        return place.argsort(stable=True)[:count].sort().values

    def snapshot(self) -> Snapshot:
        """Everything that an update changes."""
        return Snapshot.take(self.network, self.average, self.optimizer, self.scaler)

    def restore(self, snapshot: Snapshot) -> None:
        """Undo every update since `snapshot` was taken, bit for bit."""
        snapshot.put_back(self.network, self.average, self.optimizer, self.scaler)

    def note(self, name: str, value: Tensor | float) -> None:
        """Note a figure; its mean over the epoch stands in the run's history."""
        self.notes.setdefault(name, []).append(torch.as_tensor(value, dtype=torch.float64).detach())

    def note_labels(self, rows: Tensor, labels: Tensor, counted: Tensor | None = None) -> None:
        """Note pseudo-labels (U,) of unlabeled `rows`, and how many are right; with `counted`, where they teach, their share."""
        if counted is not None:
            self.note("pseudo_label_share", counted.double().mean())
        if self._truth is not None:
            truth = self._truth[rows]
            judged = truth >= 0 if counted is None else counted & (truth >= 0)
            self.note("_judged", judged.sum())
            self.note("_right", (judged & (labels == truth)).sum())

    def note_masked(self, rows: Tensor, masked: Tensor, scores: Tensor) -> None:
        """Note which faces (B,) of a batch are left out, and their scores; and how often those whose labels are wrong."""
        self.note("masked_share", masked.double().mean())
        self.note("divergence", scores.double().mean())
        if self._truth is None:
            return
        known = (self._truth[rows] >= 0) & (self.labels[rows] >= 0)
        wrong = known & (self._truth[rows] != self.labels[rows])
        right = known & ~wrong
        if bool(wrong.any()) and bool(right.any()):
            self.note("masked_share_wrong", masked[wrong].double().mean())
            self.note("masked_share_right", masked[right].double().mean())
            pairs = scores[wrong].unsqueeze(1) - scores[right]
            self.note("divergence_auroc", ((pairs > 0).double() + 0.5 * (pairs == 0).double()).mean())

    # What the loop uses.

    @property
    def epochs(self) -> int:
        """Of all stages."""
        return sum(stage.epochs for stage in self.recipe.stages)

    @property
    def stage_epochs(self) -> int:
        """Of this stage."""
        return self.recipe.stages[self.stage].epochs

    @property
    def peak_rate(self) -> float:
        """The learning rate at the highest point of this stage's schedule."""
        return self.recipe.stages[self.stage].lr

    def take_notes(self) -> dict[str, float]:
        """The means of what was noted in this epoch, which are then forgotten."""
        found = {name: float(torch.stack([value.cpu() for value in values]).mean()) for name, values in self.notes.items()}
        self.notes = {}
        judged, right = found.pop("_judged", 0.0), found.pop("_right", 0.0)
        return found | ({"pseudo_label_accuracy": right / judged} if judged else {})

    def predict(self, pool: FaceLoader, count: int) -> Tensor:
        """Logits (count, K) float32 on the CPU of all faces of a pool, un-augmented, by the averaged weights if any."""
        logits = self._predict_by(self.kept_network, pool, count)
        self.train_mode()
        return logits

    def predict_best(self, pool: FaceLoader, count: int) -> Tensor:
        """The same by the best weights of the stage so far; those in training stay as they are."""
        network = build_network(self.recipe.model, self.classes, self.views.info)
        network.load_state_dict(self.best["weights"])
        return self._predict_by(to_device(network, self.device), pool, count)

    def _predict_by(self, network: Network, pool: FaceLoader, count: int) -> Tensor:
        batches = pool.stream(torch.arange(count).split(EVALUATION_BATCH))
        return predict_logits(network, (batch.faces for batch in batches), self.views, self.precision)

    @property
    def kept_network(self) -> Network:
        """The network that is validated and kept: the averaged one where there is an average."""
        network = self.network if self.average is None else self.average.module
        assert isinstance(network, Network)
        return network

    def set_rate(self, progress: float) -> None:
        """Set the learning rate for `progress`, 0 to 1, through the stage."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate(self.recipe.stages[self.stage], progress)

    def forget_predictions(self) -> None:
        """The weights are about to change."""
        self._predictions = None

    def state_dict(self) -> dict[str, Any]:
        """Everything that going on needs, as nested plain values and tensors."""
        return {
            "stage": self.stage,
            "epoch": self.epoch,
            "network": self.network.state_dict(),
            "average": None if self.average is None else self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "generator": self.generator.get_state(),
            "noise": self.noise.get_state(),
            "global_noise": self.global_noise,
            "targets": self.targets,
            "weights": self.weights,
            "state": self.state,
            "history": self.history,
            "best": self.best,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go back to where `state_dict` was taken. Raises MienError for a state that is none of this run."""
        try:
            self._require_own(state)
            self._load(state)
        except FAULTS as error:
            raise not_of_run(self.folder / "checkpoint.safetensors", error) from error

    def _require_own(self, state: dict[str, Any]) -> None:
        """Raises one of FAULTS where the stage, the epoch, what was kept or the number of faces cannot be this run's."""
        stage, epoch, best, history = (state[key] for key in ("stage", "epoch", "best", "history"))
        epochs = [each.epochs for each in self.recipe.stages]
        if not (type(stage) is int and type(epoch) is int and 0 <= stage < len(epochs) and 0 <= epoch <= epochs[stage]):
            raise ValueError(f"epoch {epoch} of stage {stage}")
        if len(history) != sum(epochs[:stage]) + epoch or any(
            not isinstance(v, int | float) for e in history for v in e.values()
        ):
            raise ValueError(f"{len(history)} epochs in its history")
        if best or epoch == epochs[stage]:
            require_numbers(best["weights"])
            wanted = {name: value.shape for name, value in self.network.state_dict().items()}
            if {name: value.shape for name, value in best["weights"].items()} != wanted or not isinstance(best["figures"], dict):
                raise ValueError("best weights of another network")
        require_numbers(state["network"])
        if (state["targets"].shape, state["weights"].shape) != (self.targets.shape, self.weights.shape):
            raise ValueError(f"targets and weights of {len(state['targets'])} faces")

    def _load(self, state: dict[str, Any]) -> None:
        self.enter(state["stage"])
        self.epoch, self.best = state["epoch"], state["best"]
        self.network.load_state_dict(state["network"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        for parameter, moments in self.optimizer.state.items():
            # In the parameter's memory order, as they were: sums over another order may round differently.
            moments |= {k: torch.empty_like(parameter).copy_(v) for k, v in moments.items() if v.shape == parameter.shape}
        self.scaler.load_state_dict(state["scaler"])
        self.generator.set_state(state["generator"])
        self.noise.set_state(state["noise"])
        self.global_noise = state["global_noise"]
        self.targets, self.weights = state["targets"].to(self.device), state["weights"].to(self.device)
        self.state = {question: _to(value, self.device) for question, value in state["state"].items()}
        self.history = state["history"]


def _to(value: Any, device: torch.device) -> Any:
    """Nested tensors moved to `device`."""
    if isinstance(value, Tensor):
        return value.to(device)
    if isinstance(value, dict):
        return {key: _to(entry, device) for key, entry in value.items()}
    return [_to(entry, device) for entry in value] if isinstance(value, list) else value
