"""Parts of a run: what a technique trains before the run itself, by the same loop, in the run's folder `parts/`."""

import torch

from mien.data.faceset import FaceSet
from mien.models import Network
from mien.recipe import Recipe
from mien.recognize.files import write_history
from mien.training.lesson import Classes, Lesson
from mien.training.loop import fit
from mien.training.run import Material, Run
from mien.training.state import read_state, write_state


def fit_part(
    run: Run, name: str, recipe: Recipe, material: Material, network: Network | None = None, lesson: Lesson | None = None
) -> Network:
    """The network that `recipe` trains on `material`, in eval mode; interrupted, the part is resumed like the run.

    `network`: what is trained, with its weights as they are; None builds the recipe's. `lesson`: what is taught; classes
    unless said. Everything lies in parts/`name`; a part that is there already is read and not trained again.
    """
    folder = run.folder / "parts" / name
    folder.mkdir(parents=True, exist_ok=True)
    part = Run(recipe, material, run.seed, run.device, folder, run.progress, network, lesson or Classes())
    done, checkpoint = folder / "weights.safetensors", folder / "checkpoint.safetensors"
    if not done.is_file():
        if checkpoint.is_file():
            part.load_state_dict(read_state(checkpoint))
        fit(part, run.progress, lambda stage: write_history(folder, part.history))
        write_state(done, part.best["weights"])
        checkpoint.unlink()
    part.network.load_state_dict(read_state(done))
    return part.network.eval()


def without_labels(faces: FaceSet, held_out: FaceSet) -> Material:
    """Faces to learn from without labels, as if all were of one class; `held_out` measures what was learned."""
    one, other = torch.zeros(len(faces), dtype=torch.long), torch.zeros(len(held_out), dtype=torch.long)
    return Material(faces, one, held_out, other)
