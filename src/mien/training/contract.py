"""What techniques give back is held to their question's protocol: a mistake in somebody's own is a sentence that names it."""

from typing import Any

import torch
from torch import Tensor

from mien.errors import MienError
from mien.models import Network
from mien.registry import component_name
from mien.training.losses import Perturb, Unevaluated, UnlabeledLoss


def numbers(made: Any, shape: tuple[int, ...], device: torch.device, question: str, technique: Any) -> Tensor:
    """What a technique made, float32. Raises MienError where it is no tensor of real numbers of this shape on this device."""
    of_kind = isinstance(made, Tensor) and made.is_floating_point() and tuple(made.shape) == shape
    if not of_kind or made.device.type != device.type:
        wanted = f"a tensor {shape} of floats on {device.type}" if shape else f"a tensor of one float on {device.type}"
        raise _refusal(wanted, made, question, technique)
    checked: Tensor = made.float()
    return checked


def finite(made: Any, shape: tuple[int, ...], device: torch.device, question: str, technique: Any) -> Tensor:
    """The same, shares or weights; raises MienError where one is nan, infinite or below 0, too."""
    checked = numbers(made, shape, device, question, technique)
    if not checked.isfinite().all():
        raise _refusal(f"a tensor {shape} without nan and infinity", "some that are", question, technique)
    if (checked < 0).any():
        raise _refusal(f"a tensor {shape} of numbers from 0 on", f"{float(checked.min()):g}", question, technique)
    return checked


def batches(made: Any, count: int, technique: Any) -> list[Tensor]:
    """Rows that a draw made, below `count`. Raises MienError for anything else, and where a batch or all is empty."""
    wanted = f"a list of rows for each batch, tensors (B,) of whole numbers from 0 to {count - 1} on the CPU"
    if not isinstance(made, list | tuple) or not made:
        raise _refusal(wanted, "an empty list" if made in ([], ()) else made, "draw", technique)
    for rows in made:
        if not isinstance(rows, Tensor) or rows.dtype != torch.int64 or rows.ndim != 1 or rows.device.type != "cpu":
            raise _refusal(wanted, rows, "draw", technique)
        if not len(rows) or rows.min() < 0 or rows.max() >= count:
            found = f"rows from {rows.min()} to {rows.max()}" if len(rows) else "a batch without rows"
            raise _refusal(wanted, found, "draw", technique)
    return list(made)


def unevaluated(made: Any, shape: tuple[int, ...], device: torch.device, question: str, technique: Any) -> Unevaluated:
    """What gives, when it is called, numbers as above. Raises MienError where it cannot be called; then, for what it gives."""
    if not callable(made):
        raise _refusal("a function that is called later", made, question, technique)
    return lambda: numbers(made(), shape, device, question, technique)


def unlabeled_loss(made: Any, device: torch.device, technique: Any) -> UnlabeledLoss | None:
    """The same of unlabeled faces, whose probabilities may be perturbed; None is none."""
    if made is None:
        return None
    if not callable(made):
        raise _refusal("None, or a function that is called later", made, "unlabeled", technique)

    def evaluate(perturb: Perturb | None = None) -> Tensor:
        return numbers(made() if perturb is None else made(perturb), (), device, "unlabeled", technique)

    return evaluate


def nothing(made: Any, question: str, technique: Any) -> None:
    """Raises MienError where a technique gives something back, of which nobody would take notice."""
    if made is not None:
        raise _refusal("None, which acts on the run itself", made, question, technique)


def asked(losses: list[Tensor], technique: Any) -> None:
    """Raises MienError where a step has asked for no labeled loss in a whole epoch, so that nothing was learned of labels."""
    if not losses:
        raise _refusal("a call of `labeled`, the labeled loss", "none in an epoch", "step", technique)


def trainable(loss: Tensor, technique: Any) -> Tensor:
    """A loss (B,) down which a network can go. Raises MienError where it does not hang together with the output any more."""
    if torch.is_grad_enabled() and not loss.requires_grad:
        raise _refusal("a loss with a gradient", "one without: its output was detached, or not used", "loss", technique)
    return loss


def started(network: Network, device: torch.device, technique: Any) -> None:
    """Raises MienError where a start left weights that no run can go on with."""
    for name, value in network.named_parameters():
        if value.device.type != device.type or value.dtype != torch.float32:
            raise _refusal(f"weights of float32 on {device.type}", value, "start", technique)
        if not value.isfinite().all():
            raise _refusal("weights without nan and infinity", f"some in {name}", "start", technique)


def _refusal(wanted: str, made: Any, question: str, technique: Any) -> MienError:
    todo = f"mend it: mien.techniques.{question.capitalize()} says what {question} gives back"
    return MienError(f"{wanted} from {question} = {component_name(type(technique))}", _told(made), todo)


def _told(made: Any) -> str:
    if isinstance(made, str):
        return made
    if isinstance(made, Tensor):
        return f"a tensor {tuple(made.shape)} of {str(made.dtype).removeprefix('torch.')} on {made.device.type}"
    return "None" if made is None else f"a {type(made).__name__}"
