"""The only loop: stages, epochs, batches."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from mien.errors import MienError
from mien.models import upscaling
from mien.progress import Progress, duration, tell_part
from mien.registry import component_name
from mien.techniques.unlabeled.nothing import Nothing
from mien.training import contract
from mien.training.checkpoint import write_state
from mien.training.face_loader import Batch
from mien.training.losses import Unevaluated, UnlabeledLoss
from mien.training.run import Run

CHECKPOINT_SECONDS = 5.0
"""Shorter epochs are not all checkpointed: no more than about that much work has to be done again."""


def fit(run: Run, progress: Progress, keep: Callable[[int], None]) -> None:
    """Train `run` from where it is to its end; `keep` is called with the number of every stage that is over."""
    with own_noise(run):
        for stage in range(run.stage, len(run.recipe.stages)):
            begin(run, stage)
            # A stage's first epoch is always kept: there is then something good to go back to.
            settings, saved, first = run.recipe.stages[stage], -math.inf, run.epoch
            for epoch in range(first, settings.epochs):
                started, losses = time.monotonic(), list[Tensor]()
                batches = refresh(run)
                run.batches = len(batches)
                if epoch == first:
                    progress.begin(f"{title(run)}stage {stage + 1}", sum(map(len, batches)) * (settings.epochs - first))
                tell_part(progress, f"epoch {epoch + 1} of {settings.epochs}")
                for number, (batch, others) in enumerate(
                    zip(run.pool.stream(batches), unlabeled(run, len(batches)), strict=True)
                ):
                    run.set_rate((epoch + number / len(batches)) / settings.epochs)
                    step = run.components.step
                    contract.nothing(step(run, labeled_loss(run, batch, losses), others), "step", step)
                    progress.advance(len(batch.rows))
                contract.asked(losses, run.components.step)
                seconds = time.monotonic() - started
                validate(run, losses, seconds)
                progress.say(line(run) + pace(run, sum(map(len, batches)), seconds))
                if time.monotonic() - saved >= CHECKPOINT_SECONDS or run.epoch == settings.epochs:
                    checkpoint(run)
                    saved = time.monotonic()
            keep(stage)


def begin(run: Run, stage: int) -> None:
    """Enter `stage` unless the run is already within it."""
    if not run.history:
        if larger := upscaling(run.network, run.recipe.model["network"]):
            run.progress.say(larger)
        # Before the optimizer and the average take the weights.
        contract.nothing(run.components.start(run), "start", run.components.start)
        contract.started(run.network, run.device, run.components.start)
    if stage > run.stage or not run.history:
        run.enter(stage)


def refresh(run: Run) -> list[Tensor]:
    """Before an epoch: weigh (with the old targets), then targets, then draw. Returns the rows of each batch."""
    run.forget_predictions()
    count, parts = len(run.labels), run.components
    weights = [contract.finite(weigh(run), (count,), run.device, "weigh", weigh) for weigh in parts.weigh]
    run.weights = torch.stack(weights).prod(dim=0)
    run.targets = contract.finite(parts.targets(run), (count, run.classes), run.device, "targets", parts.targets)
    batches = contract.batches(parts.draw(run), count, parts.draw)
    run.forget_predictions()
    run.train_mode()
    return batches


def labeled_loss(run: Run, batch: Batch, losses: list[Tensor]) -> Unevaluated:
    """What a batch teaches: the lesson's loss, its views drawn here; its value is noted in `losses`."""
    teach = run.lesson.loss(run, batch)

    def evaluate() -> Tensor:
        try:
            loss = teach()
        except ValueError as error:
            if "more than 1 value per channel" not in str(error):
                raise
            found = f"{len(batch.rows)}, whose last maps are a single number each"
            raise MienError(
                "batches that batch normalization has statistics of", found, "raise batch, or take more faces"
            ) from error
        losses.append(loss.detach())
        return loss

    return evaluate


def unlabeled(run: Run, count: int) -> Iterator[UnlabeledLoss | None]:
    """For each of `count` batches, the unevaluated loss of as many unlabeled faces as the recipe says."""
    if not len(run.unlabeled) or isinstance(run.components.unlabeled, Nothing):
        yield from [None] * count
        return
    rows = run.turns(run.unlabeled.cpu(), count, min(run.recipe.unlabeled_batch, len(run.unlabeled)))
    for batch in run.pool.stream(rows):
        technique = run.components.unlabeled
        yield contract.unlabeled_loss(technique(run, batch), run.device, technique)


def validate(run: Run, losses: list[Tensor], seconds: float) -> None:
    """End an epoch: measure it on validation, note its figures, keep the weights if they are the best of the stage."""
    stage = run.recipe.stages[run.stage]
    figures: dict[str, float] = {"stage": run.stage, "epoch": run.epoch, "seconds": round(seconds, 2)}
    figures |= {"lr": run.optimizer.param_groups[0]["lr"], "loss": float(torch.stack(losses).mean())}
    require_finite(run, figures["loss"])
    figures |= run.take_notes()
    figures |= run.lesson.figures(run)
    if "validation_loss" in figures:
        require_finite(run, figures["validation_loss"])
    # The last step's weights have not been through a labeled loss yet. One of ALRAO's copies may diverge alone.
    kept = [value for name, value in run.kept_network.named_parameters() if not name.startswith("head.copies.")]
    require_finite(run, sum(float(value.detach().sum()) for value in kept))
    run.epoch += 1
    run.history.append(figures)
    by = run.recipe.choose if f"validation_{run.recipe.choose}" in figures else "last"
    value = 0.0 if by == "last" else figures[f"validation_{by}"] * (-1 if by == "loss" else 1)
    # Equal is better: the later of two equally good models has seen more. The last is copied once, at the stage's end.
    if value >= run.best.get("value", -float("inf")) and (by != "last" or run.epoch == stage.epochs):
        weights = {name: tensor.detach().clone() for name, tensor in run.kept_network.state_dict().items()}
        run.best = {"value": value, "epoch": run.epoch - 1, "figures": figures, "weights": weights}


def require_finite(run: Run, loss: float) -> None:
    """Raises MienError where a loss is no number, and says what of the run is still good."""
    if math.isfinite(loss):
        return
    where = f"{loss} in epoch {run.epoch + 1} of stage {run.stage + 1}"
    checkpoint = run.folder / "checkpoint.safetensors"
    kept = f"; {checkpoint} holds the last epochs that were" if checkpoint.is_file() else ""
    own = [component_name(type(one)) for one in run.components.all() if not type(one).__module__.startswith("mien.")]
    mend = f", or look at {', '.join(own)}" if own else ""
    raise MienError("a finite loss", where + kept, f"take a lower learning rate ({title(run)}stages.{run.stage}.lr){mend}")


def line(run: Run) -> str:
    """The last epoch in words."""
    last = run.history[-1]
    text = f"{title(run)}{place(run)}epoch {last['epoch'] + 1:.0f} of {run.stage_epochs}: loss {last['loss']:.3f}"
    if "validation_accuracy" in last:
        text += f", validation accuracy {last['validation_accuracy']:.1%}, average {last['validation_average_accuracy']:.1%}"
    elif "validation_loss" in last:
        text += f", on held-out faces {last['validation_loss']:.3f}"
    return text


def pace(run: Run, faces: int, seconds: float) -> str:
    """How fast the last epoch was, and about how long the rest of all stages takes by those of this one."""
    speed = f"; {faces / seconds:,.0f} faces/s" if seconds > 0 else ""
    left = run.stage_epochs - run.epoch + sum(stage.epochs for stage in run.recipe.stages[run.stage + 1 :])
    took = [figures["seconds"] for figures in run.history if figures["stage"] == run.stage]
    return f"{speed}, about {duration(left * sum(took) / len(took))} left for all" if left else speed


def place(run: Run) -> str:
    """Which stage it is, where there are several."""
    return f"stage {run.stage + 1} of {len(run.recipe.stages)}, " if len(run.recipe.stages) > 1 else ""


def title(run: Run) -> str:
    """The name of the part that is being trained, to stand before what is said of it; nothing for the run itself."""
    return f"{run.folder.name}: " if run.folder.parent.name == "parts" else ""


def checkpoint(run: Run) -> None:
    """Write everything that going on needs."""
    run.global_noise = global_noise(run.device)
    write_state(run.folder / "checkpoint.safetensors", run.state_dict())


def global_noise(device: torch.device) -> list[Tensor]:
    """State of torch's own generators, which dropout draws from."""
    return [torch.get_rng_state(), *([torch.cuda.get_rng_state(device)] if device.type == "cuda" else [])]


@contextmanager
def own_noise(run: Run) -> Iterator[None]:
    """Within, torch's own generators are the run's; outside, the caller's, untouched."""
    with torch.random.fork_rng([run.device] if run.device.type == "cuda" else []):
        torch.set_rng_state(run.global_noise[0])
        if run.device.type == "cuda":
            torch.cuda.set_rng_state(run.global_noise[1], run.device)
        yield


@contextmanager
def own_threads(count: int | None) -> Iterator[None]:
    """Within, torch computes with `count` threads: sums, and so weights, depend on their number."""
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
