"""What of a run a checkpoint holds: everything that going on needs, taken from the run and put back into it."""

from collections import defaultdict
from typing import Any

import torch
from torch import Tensor

from mien.training.checkpoint import FAULTS, not_of_run, require_numbers
from mien.training.memory import Memory
from mien.training.run import BestEpoch, Run


def take_state(run: Run) -> dict[str, Any]:
    """Everything that going on with a run needs, as nested plain values and tensors."""
    best = {} if run.best is None else vars(run.best)
    return {
        "stage": run.stage,
        "epoch": run.epoch,
        **run.optimization.state_dict(),
        "generator": run.generator.get_state(),
        "noise": run.view_rng.get_state(),
        "global_noise": run.torch_rng,
        "targets": run.targets,
        "weights": run.weights,
        "state": {question: memory.values for question, memory in run.state.items()},
        "history": run.history,
        "best": best,
    }


def put_state(run: Run, state: dict[str, Any]) -> None:
    """Bring a run to where `take_state` was called. Raises MienError for a state that is none of this run."""
    try:
        _require_own(run, state)
        _put(run, state)
    except FAULTS as error:
        raise not_of_run(run.folder / "checkpoint.safetensors", error) from error


def _require_own(run: Run, state: dict[str, Any]) -> None:
    """Raises one of FAULTS where the stage, the epoch, what was kept or the number of faces cannot be this run's."""
    stage, epoch, best, history = (state[key] for key in ("stage", "epoch", "best", "history"))
    epochs = [each.epochs for each in run.recipe.stages]
    if not (type(stage) is int and type(epoch) is int and 0 <= stage < len(epochs) and 0 <= epoch <= epochs[stage]):
        raise ValueError(f"epoch {epoch} of stage {stage}")
    figures = [value for epoch in history for value in epoch.values()]
    if len(history) != sum(epochs[:stage]) + epoch or any(not isinstance(value, int | float) for value in figures):
        raise ValueError(f"{len(history)} epochs in its history")
    if best or epoch == epochs[stage]:
        require_numbers(best["weights"])
        wanted = {name: value.shape for name, value in run.network.state_dict().items()}
        if {name: value.shape for name, value in best["weights"].items()} != wanted or not isinstance(best["figures"], dict):
            raise ValueError("best weights of another network")
    require_numbers(state["network"])
    if (state["targets"].shape, state["weights"].shape) != (run.targets.shape, run.weights.shape):
        raise ValueError(f"targets and weights of {len(state['targets'])} faces")


def _put(run: Run, state: dict[str, Any]) -> None:
    run.enter(state["stage"])
    run.epoch = state["epoch"]
    run.best = BestEpoch(**state["best"]) if state["best"] else None
    run.optimization.load_state_dict(state)
    run.generator.set_state(state["generator"])
    run.view_rng.set_state(state["noise"])
    run.torch_rng = state["global_noise"]
    run.targets = state["targets"].to(run.device)
    run.weights = state["weights"].to(run.device)
    remembered = {question: Memory(_to(values, run.device)) for question, values in state["state"].items()}
    run.state = defaultdict(Memory, remembered)
    run.history = state["history"]


def _to(value: Any, device: torch.device) -> Any:
    """Nested tensors moved to `device`."""
    if isinstance(value, Tensor):
        return value.to(device)
    if isinstance(value, dict):
        return {key: _to(entry, device) for key, entry in value.items()}
    return [_to(entry, device) for entry in value] if isinstance(value, list) else value
