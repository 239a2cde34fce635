"""What a teacher says of every face of a run, kept for the stages in which its student learns it (Hinton et al. 2015)."""

from pathlib import Path

import torch
from torch import Tensor

from mien.data.faceset import FaceSet
from mien.errors import MienError
from mien.recognize.features import Tap
from mien.training.checkpoint import read_state, require_numbers, write_state
from mien.training.face_loader import FaceLoader
from mien.training.run import EVALUATION_BATCH, Run
from mien.wording import quantity


def softened(logits: Tensor, temperature: float) -> Tensor:
    """Eq. 1: softmax of the logits (B, K) divided by the temperature."""
    return torch.softmax(logits / temperature, dim=1)


def require_logits(teacher: str, knows: bool, block: str, last: str, grid: int) -> None:
    """Raises MienError unless maps of `block` give what `teacher` says of the run's classes: it `knows` them, maps are whole."""
    if not knows:
        wanted = "a teacher of the run's classes for start.keep_logits"
        raise MienError(wanted, f"teacher = {teacher}", "name a recipe, or a run on them")
    if block != last or grid:
        found, todo = f"block {block}, grid {grid}", f"set start.block to {last} and start.grid to 0"
        raise MienError(f"the teacher's last block, {last}, whole, for start.keep_logits", found, todo)


def write_logits(run: Run, source: Tap, maps: FaceSet) -> None:
    """Keep the teacher's logits of every face, the mean of those of its mirror image, in parts/distill of the run.

    `maps`: those of the teacher's last block for every face of the run, and for its mirror image.
    """
    shape, found = source.network.shapes()[source.block], list[Tensor]()
    with torch.no_grad():
        for batch in FaceLoader(maps, run.device).stream(torch.arange(len(maps)).split(EVALUATION_BATCH)):
            both = [source.network.decide(batch.faces[:, view].float().view(-1, *shape)) for view in range(2)]
            found.append(torch.stack(both).mean(dim=0))
    keep_logits(run, torch.cat(found))


def keep_logits(run: Run, logits: Tensor) -> None:
    """Keep a teacher's logits (N, K) of every face in parts/distill of the run."""
    _file(run.folder).parent.mkdir(parents=True, exist_ok=True)
    write_state(_file(run.folder), {"logits": logits})


def has_logits(run: Run) -> bool:
    """Whether the run kept its teacher's logits."""
    return _file(run.folder).is_file()


def read_logits(run: Run) -> Tensor:
    """The teacher's logits (N, K) of every face of the run, read once. Raises MienError where the run kept none."""
    return run.cache.get("logits", Tensor, lambda: _read(run))


def _read(run: Run) -> Tensor:
    file = _file(run.folder)
    if not file.is_file():
        raise MienError(
            "a run that keeps its teacher's logits", "none", "start with teachers, or with distill and start.keep_logits = true"
        )
    logits = read_state(file).get("logits")
    if not isinstance(logits, Tensor) or logits.shape != run.targets.shape:
        found = "something else" if not isinstance(logits, Tensor) else f"those of {quantity(len(logits), 'face')}"
        raise MienError(f"the teacher's logits of this run in {file}", found, "train again")
    require_numbers({"logits": logits})
    return logits.to(run.device)


def _file(folder: Path) -> Path:
    return folder / "parts" / "distill" / "logits.safetensors"
