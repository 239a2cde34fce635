"""What moves the weights of a network: the optimizer, the scaler of losses, and the moving average of the weights."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW, Optimizer, RMSprop
from torch.optim.swa_utils import AveragedModel

from mien.models import Network
from mien.recipes.recipe import Stage
from mien.training.schedule import rate
from mien.training.snapshot import Snapshot


class Optimization:
    """How a network is moved through one stage: its optimizer, its schedule, and the average of its weights."""

    def __init__(self, network: Network, stage: Stage, average: float, scaled: bool, device: torch.device) -> None:
        """`average`: the decay of the moving average, 0 for none. `scaled`: whether losses are scaled, for float16."""
        self.network = network
        """What is moved."""
        self.stage = stage
        """Optimizer, learning rate and schedule."""
        self.optimizer = make_optimizer(network, stage)
        """Over the blocks that are not frozen."""
        self.scaler = torch.amp.GradScaler(device.type, enabled=scaled)
        """Keeps small gradients in the range of float16."""
        self.average = make_average(network, average) if average else None
        """The moving average of the weights, or None."""

    @property
    def peak_rate(self) -> float:
        """The learning rate at the highest point of the stage's schedule."""
        return self.stage.lr

    @property
    def rate(self) -> float:
        """The learning rate of the moment."""
        found: float = self.optimizer.param_groups[0]["lr"]
        return found

    def set_rate(self, progress: float) -> None:
        """Set the learning rate for `progress`, 0 to 1, through the stage."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate(self.stage, progress)

    @property
    def eval_network(self) -> Network:
        """The network that is validated and kept: the averaged one where there is an average."""
        network = self.network if self.average is None else self.average.module
        assert isinstance(network, Network)
        return network

    def descend(self, loss: Tensor, adjust: Callable[[], None] | None = None) -> None:
        """One step down the gradient of `loss` (); moves the average along. `adjust` may change the gradients before."""
        self.optimizer.zero_grad()
        self.scaler.scale(loss).backward()
        if adjust is not None:
            adjust()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.move_average()

    def plain_step(self, loss: Tensor, rate: float) -> None:
        """theta - rate * gradient of `loss` (), and nothing else: no momentum, no decay; the average is left where it is."""
        parameters = [parameter for group in self.optimizer.param_groups for parameter in group["params"]]
        gradients = torch.autograd.grad(self.scaler.scale(loss), parameters, allow_unused=True)
        with torch.no_grad():
            for parameter, gradient in zip(parameters, gradients, strict=True):
                if gradient is not None:
                    parameter.sub_(rate / self.scaler.get_scale() * gradient)

    def move_average(self) -> None:
        """Move the average of the weights, where there is one, towards the present ones."""
        if self.average is not None:
            self.average.update_parameters(self.network)

    def snapshot(self) -> Snapshot:
        """Everything that an update changes."""
        return Snapshot.take(self.network, self.average, self.optimizer, self.scaler)

    def restore(self, snapshot: Snapshot) -> None:
        """Undo every update since `snapshot` was taken, bit for bit."""
        snapshot.put_back(self.network, self.average, self.optimizer, self.scaler)

    def state_dict(self) -> dict[str, Any]:
        """Weights, average and memory of the optimizer, for a checkpoint."""
        return {
            "network": self.network.state_dict(),
            "average": None if self.average is None else self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go back to where `state_dict` was taken. Raises what torch raises where `state` is of another form."""
        self.network.load_state_dict(state["network"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        for parameter, moments in self.optimizer.state.items():
            # In the parameter's memory order, as they were: sums over another order may round differently.
            moments |= {k: torch.empty_like(parameter).copy_(v) for k, v in moments.items() if v.shape == parameter.shape}
        self.scaler.load_state_dict(state["scaler"])


def make_optimizer(network: nn.Module, stage: Stage) -> Optimizer:
    """The stage's optimizer over the parameters that are not frozen; only matrices and kernels decay."""
    learned = [parameter for parameter in network.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in learned if p.ndim > 1], "weight_decay": stage.weight_decay},
        {"params": [p for p in learned if p.ndim <= 1], "weight_decay": 0.0},
    ]
    if stage.optimizer == "sgd":
        return SGD(groups, stage.lr, momentum=0.9, nesterov=True)
    if stage.optimizer == "rmsprop":
        return RMSprop(groups, stage.lr)
    return (Adam if stage.optimizer == "adam" else AdamW)(groups, stage.lr)


def make_average(network: nn.Module, decay: float) -> AveragedModel:
    """The moving average of weights and buffers; early on it forgets faster, or it would remember the random start."""

    @torch.no_grad()
    def update(averaged: Sequence[Tensor], current: Sequence[Tensor], count: Tensor | int) -> None:
        kept = min(decay, (1 + int(count)) / (10 + int(count)))
        # torch hands over tensors of one type at a time; counters are copied.
        if averaged[0].is_floating_point():
            torch._foreach_lerp_(list(averaged), list(current), 1 - kept)
        else:
            torch._foreach_copy_(list(averaged), list(current))

    return AveragedModel(network, multi_avg_fn=update, use_buffers=True)
