"""Parts of a run: what a technique trains before the run itself, by the same loop, in the run's folder `parts/`."""

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
from mien.training.loop import fit
from mien.training.objective import Classes, Objective
from mien.training.run import Run, RunData


class Workplace(Protocol):
    """Where a part is trained, and how it tells how far it is; a run is one."""

    @property
    def folder(self) -> Path: ...
    @property
    def seed(self) -> int: ...
    @property
    def device(self) -> torch.device: ...
    @property
    def progress(self) -> Progress: ...


def pretrain(
    run: Workplace, name: str, recipe: Recipe, material: RunData, network: Network | None = None, lesson: Objective | None = None
) -> Network:
    """The network that `recipe` trains on `material`, in eval mode; interrupted, the part is resumed like the run.

    `network`: what is trained, with its weights as they are; None builds the recipe's. `lesson`: what is taught; classes
    unless said. Everything lies in parts/`name`; a part that is done is read and not trained again.
    """
    folder = run.folder / "parts" / name
    folder.mkdir(parents=True, exist_ok=True)
    for left_over in folder.glob(".*"):
        left_over.unlink()  # Files that were being written when the run was killed.
    part = Run(recipe, material, run.seed, run.device, folder, run.progress, network, lesson or Classes())
    checkpoint = folder / "checkpoint.safetensors"
    if not is_pretrained(run, name):
        if checkpoint.is_file():
            part.load_state_dict(read_state(checkpoint))
        fit(part, run.progress, lambda stage: write_history(folder, part.history))
        write_state(folder / "weights.safetensors", part.best["weights"])
    checkpoint.unlink(missing_ok=True)
    file = folder / "weights.safetensors"
    load_weights(part.network, read_state(file), file)
    return part.network.eval()


def is_pretrained(run: Workplace, name: str) -> bool:
    """Whether the part was trained to its end."""
    return (run.folder / "parts" / name / "weights.safetensors").is_file()


def pretraining_recipe(recipe: Recipe, stages: Sequence[Stage], loss: Answer) -> Recipe:
    """The run's recipe with other stages and another loss, every other question answered plainly, chosen by held-out loss."""
    kept = {key: value for key, value in recipe.table().items() if key in ("model", "augment", "normalize", "batch", "precision")}
    plain = {"draw": "shuffled", "average": 0.0, "choose": "loss"}
    return Recipe.parse(kept | plain | {"stages": tuple(stages), "loss": loss})


@dataclass(frozen=True)
class Portions:
    """Rows of a run, divided: those `taught` and those `held_out` to measure what was learned."""

    taught: Rows
    held_out: Rows

    def material(self, faces: FaceSet) -> RunData:
        """These rows of `faces` to learn from without labels: all are of one class, which no lesson looks at."""
        if not faces.classes:
            faces = replace(faces, info=replace(faces.info, classes=("face",)))
        one = [torch.zeros(len(rows), dtype=torch.long) for rows in (self.taught, self.held_out)]
        return RunData(faces.select(self.taught), one[0], faces.select(self.held_out), one[1])


def portions(rows: Tensor, held_out: float, seed: int) -> Portions:
    """Random portions of `rows` (N,), at least one face in each, sorted: a set is read in order.

    Raises MienError where there are less than two faces.
    """
    if len(rows) < 2:
        raise MienError("two faces or more to learn from without labels", f"{len(rows)}", "add faces, or --unlabeled FACESET")
    order = rows.cpu().numpy()[np.random.default_rng((seed, 4)).permutation(len(rows))]
    count = min(max(1, round(held_out * len(order))), len(order) - 1)
    return Portions(np.sort(order[count:]), np.sort(order[:count]))
