"""What a technique trains before the run itself, by the same loop, in the run's folder `parts/`."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from mien.data.faceset import FaceSet
from mien.data.format import Rows
from mien.errors import MienError
from mien.models import Network
from mien.progress import Progress
from mien.recipes.recipe import Answer, Recipe, Stage
from mien.recognize.run_records import write_history
from mien.training.checkpoint import load_weights, read_state, write_state
from mien.training.components import start_draws_unlabeled
from mien.training.loop import fit
from mien.training.objective import Objective
from mien.training.run import Run
from mien.training.run_data import RunData
from mien.training.run_state import put_state


class Workplace(Protocol):
    """Where something is trained before a run, and who is told how far it is; a run is one."""

    @property
    def folder(self) -> Path:
        """The folder whose `parts/` receives what is trained."""
        ...

    @property
    def seed(self) -> int:
        """All random numbers begin from it."""
        ...

    @property
    def device(self) -> torch.device:
        """Where networks and tensors are."""
        ...

    @property
    def progress(self) -> Progress:
        """Who is told how far it is."""
        ...


def pretrain(
    place: Workplace, name: str, recipe: Recipe, data: RunData, network: Network | None = None, objective: Objective | None = None
) -> Network:
    """The network that `recipe` trains on `data`, in eval mode. Interrupted, it goes on as a run does.

    `network`: what is trained, with its weights as they are; None builds the recipe's. `objective`: what is taught; classes
    unless said. Everything lies in parts/`name`; a network that is trained already is read, not trained again.
    """
    folder = place.folder / "parts" / name
    folder.mkdir(parents=True, exist_ok=True)
    for left_over in folder.glob(".*"):
        left_over.unlink()  # Files that were being written when the run was killed.
    part = Run(recipe, data, place.seed, place.device, folder, place.progress, network)
    checkpoint = folder / "checkpoint.safetensors"
    if not is_pretrained(place, name):
        if checkpoint.is_file():
            put_state(part, read_state(checkpoint))
        fit(part, lambda stage: write_history(folder, part.history), objective)
        assert part.best is not None, "every stage has an epoch"
        write_state(folder / "weights.safetensors", part.best.weights)
    checkpoint.unlink(missing_ok=True)
    file = folder / "weights.safetensors"
    load_weights(part.network, read_state(file), file)
    return part.network.eval()


def is_pretrained(place: Workplace, name: str) -> bool:
    """Whether parts/`name` was trained to its end."""
    return (place.folder / "parts" / name / "weights.safetensors").is_file()


def pretraining_recipe(
    run: Run, stages: Sequence[Stage], loss: Answer, held_out: float = 0.0, batch: int | None = None
) -> Recipe:
    """The run's recipe with other stages and another loss, every other question answered plainly, chosen by held-out loss.

    `held_out`: share of the faces that measures. `batch`: faces in a batch, unless the run's. In a control, labeled faces are
    repeated until there are as many batches as unlabeled ones, which they stand for, would make.
    """
    table = run.recipe.table()
    kept = {key: table[key] for key in ("model", "augment", "normalize", "precision")} | {"batch": batch or run.recipe.batch}
    repeats = run.recipe.control and start_draws_unlabeled(run.recipe)
    batches = round((1 - held_out) * len(run.labels)) // kept["batch"] if repeats else 1
    plain = {"draw": {"technique": "shuffled", "at_least": max(1, batches)}, "average": 0.0, "choose": "loss"}
    return Recipe.parse(kept | plain | {"stages": tuple(stages), "loss": loss})


@dataclass(frozen=True)
class Portions:
    """Rows of a run, divided into those to learn from and those to measure what was learned."""

    taught: Rows
    """Rows that are learned from."""
    held_out: Rows
    """Rows that what was learned is measured on."""

    def data(self, faces: FaceSet) -> RunData:
        """The faces of both rows, to learn from without labels: all are of one class, which no objective looks at."""
        if not faces.classes:
            faces = replace(faces, info=replace(faces.info, classes=("face",)))
        one = [torch.zeros(len(rows), dtype=torch.long) for rows in (self.taught, self.held_out)]
        return RunData(faces.select(self.taught), one[0], faces.select(self.held_out), one[1])


def portions(rows: Tensor, held_out: float, seed: int) -> Portions:
    """Random portions of `rows` (N,), at least one face in each, sorted: a set is read in order.

    Raises MienError where there are less than two faces.
    """
    if len(rows) < 2:
        raise MienError("two faces or more to learn from without labels", f"{len(rows)}", "add faces, or `unlabeled` FACESET")
    order = rows.cpu().numpy()[np.random.default_rng((seed, 4)).permutation(len(rows))]
    count = min(max(1, round(held_out * len(order))), len(order) - 1)
    return Portions(np.sort(order[count:]), np.sort(order[:count]))
