"""What techniques give back is held to their question's protocol: a mistake in one of your own is named in a sentence."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from mien.errors import MienError
from mien.models import Network
from mien.registry import component_name
from mien.training.losses import Perturb, Unevaluated, UnlabeledLoss


def numbers(made: Any, shape: tuple[int, ...], device: torch.device, question: str, technique: Any) -> Tensor:
    """Numbers that a technique made, float32. Raises MienError where they are no tensor of this shape on this device."""
    of_kind = isinstance(made, Tensor) and made.is_floating_point() and tuple(made.shape) == shape
    if not of_kind or made.device.type != device.type:
        wanted = f"a tensor {shape} of floats on {device.type}" if shape else f"a tensor of one float on {device.type}"
        raise _refusal(wanted, made, question, technique)
    checked: Tensor = made.float()
    return checked


def checked_shares(made: Any, shape: tuple[int, ...], device: torch.device, question: str, technique: Any) -> Tensor:
    """Shares or weights that a technique made, float32. Raises MienError where one is nan, infinite or negative, too."""
    checked = numbers(made, shape, device, question, technique)
    if not checked.isfinite().all():
        raise _refusal(f"a tensor {shape} without nan and infinity", "some that are", question, technique)
    if (checked < 0).any():
        raise _refusal(f"a tensor {shape} of numbers from 0 on", f"{float(checked.min()):g}", question, technique)
    return checked


def batch_rows(made: Any, count: int, technique: Any) -> list[Tensor]:
    """The rows of each batch that a draw made, below `count`. Raises MienError for anything else, and for an empty batch."""
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
    """A function that a technique made, which gives `numbers` when it is called. Raises MienError where it cannot be called."""
    if not callable(made):
        raise _refusal("a function that is called later", made, question, technique)
    return lambda: numbers(made(), shape, device, question, technique)


def unlabeled_loss(made: Any, device: torch.device, technique: Any) -> UnlabeledLoss | None:
    """The loss of unlabeled faces that a technique made, or None. Raises MienError where it cannot be called."""
    if made is None:
        return None
    if not callable(made):
        raise _refusal("None, or a function that is called later", made, "unlabeled", technique)

    def evaluate(perturb: Perturb | None = None) -> Tensor:
        return numbers(made() if perturb is None else made(perturb), (), device, "unlabeled", technique)

    return evaluate


def perform(question: str, technique: Callable[..., Any], *given: Any) -> None:
    """Call a technique that acts on the run itself. Raises MienError where it gives something back: nobody would look at it."""
    made = technique(*given)
    if made is not None:
        raise _refusal("None, which acts on the run itself", made, question, technique)


def require_asked(losses: list[Tensor], technique: Any) -> None:
    """Raises MienError where a step has asked for no labeled loss in a whole epoch: nothing was learned from labels."""
    if not losses:
        raise _refusal("a call of `labeled`, the labeled loss", "none in an epoch", "step", technique)


def trainable(loss: Tensor, technique: Any) -> Tensor:
    """A loss (B,) that a network can be trained by. Raises MienError where it has no gradient."""
    if torch.is_grad_enabled() and not loss.requires_grad:
        raise _refusal("a loss with a gradient", "one without: its output was detached, or not used", "loss", technique)
    return loss


def require_started(network: Network, device: torch.device, technique: Any) -> None:
    """Raises MienError where a start left weights that cannot be trained: of another type or device, or not finite."""
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
