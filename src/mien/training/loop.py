"""The only loop: stages, epochs, batches."""

import copy
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from mien.errors import MienError
from mien.models import upscaling
from mien.progress import tell_epoch, tell_part
from mien.recognize.device import channels_last
from mien.recognize.run_records import write_history
from mien.registry import component_name
from mien.training import technique_checks
from mien.training.batch_statistics import leaving_statistics, standardize_features
from mien.training.checkpoint import write_state
from mien.training.components import Components
from mien.training.epoch_lines import epoch_line, pace, part_prefix, stage_prefix
from mien.training.face_loader import Batch, shuffled_batches
from mien.training.losses import BatchLoss, LabeledLoss, Perturb, UnlabeledLoss
from mien.training.objective import Classes, Objective
from mien.training.questions import Unlabeled
from mien.training.run import BestEpoch, Run
from mien.training.run_state import take_state
from mien.training.stage_warnings import stage_warnings
from mien.wording import quantity

CHECKPOINT_SECONDS = 5.0
"""Shorter epochs are not all checkpointed: no more than about that much work has to be done again."""
UNLABELED = ("face without a label", "faces without labels")
MORE_UNLABELED = "raise unlabeled_batch, or take more faces without labels, or none"


def fit(run: Run, keep: Callable[[int], None], objective: Objective | None = None) -> None:
    """Train `run` from where it is to its end; `keep` is called with the number of every stage that is over.

    `objective`: what its network is taught; the run's classes unless said.
    """
    require_fitting_techniques(run)
    with own_torch_rng(run):
        for stage in range(run.stage, len(run.recipe.stages)):
            techniques = begin(run, stage, objective)
            taught = objective or Classes(techniques.weigh)
            # A stage's first epoch is always kept: there is then something good to go back to.
            settings, saved, first = run.recipe.stages[stage], -math.inf, run.epoch
            for epoch in range(first, settings.epochs):
                started, losses = time.monotonic(), list[Tensor]()
                batches = refresh(run, techniques)
                faces = sum(map(len, batches))
                if epoch == first:
                    run.progress.begin(f"{part_prefix(run)}stage {stage + 1}", faces * (settings.epochs - first))
                tell_part(run.progress, f"epoch {epoch + 1} of {settings.epochs}")
                others = unlabeled_losses(run, techniques.unlabeled, len(batches))
                for number, (batch, other) in enumerate(zip(run.pool.stream(batches), others, strict=True)):
                    run.optimization.set_rate((epoch + number / len(batches)) / settings.epochs)
                    labeled = labeled_loss(run, taught, batch, losses)
                    technique_checks.perform("step", techniques.step, run, labeled, other)
                    run.progress.advance(len(batch.rows))
                technique_checks.require_asked(losses, techniques.step)
                seconds = time.monotonic() - started
                end_epoch(run, taught, techniques, losses, seconds)
                run.progress.say(epoch_line(run) + pace(run, faces, seconds))
                tell_epoch(run.progress, part_prefix(run).removesuffix(": "), run.history)
                if time.monotonic() - saved >= CHECKPOINT_SECONDS or run.epoch == settings.epochs:
                    checkpoint(run)
                    saved = time.monotonic()
            if first < settings.epochs:
                warn(run, objective is None)
            for weigh in techniques.weigh:
                weigh.after_stage(run)
            keep(stage)


def require_fitting_techniques(run: Run) -> None:
    """Raises MienError where a technique of the present stage, or of a later one, does not fit the run."""
    for stage in run.recipe.stages[run.stage :]:
        techniques = Components.of(run.recipe, stage)
        for weigh in techniques.weigh:
            weigh.require(run)
        techniques.unlabeled.require(run)


def begin(run: Run, stage: int, objective: Objective | None = None) -> Components:
    """Enter `stage`, unless the run is already within it, and return its techniques.

    `objective`: what is taught, if not classes.
    """
    techniques = Components.of(run.recipe, run.recipe.stages[stage])
    run.loss = techniques.loss
    if not run.history:
        if larger := upscaling(run.network, run.recipe.model["network"]):
            run.progress.say(larger)
        # Before the optimizer and the average take the weights. A start from a model brings that model's standardization along.
        if objective is None:
            standardize_features(run)
        technique_checks.perform("start", techniques.start, run)
        technique_checks.require_started(run.network, run.device, techniques.start)
    if stage > run.stage or not run.history:
        run.enter(stage)
    return techniques


def refresh(run: Run, techniques: Components) -> list[Tensor]:
    """Before an epoch: weigh (with the old targets), then targets, then draw. Returns the rows of each batch."""
    run.forget_predictions()
    count = len(run.labels)
    weights = [technique_checks.checked_shares(weigh(run), (count,), run.device, "weigh", weigh) for weigh in techniques.weigh]
    run.weights = torch.stack(weights).prod(dim=0)
    targets = techniques.targets
    run.targets = technique_checks.checked_shares(targets(run), (count, run.classes), run.device, "targets", targets)
    batches = technique_checks.batch_rows(techniques.draw(run), count, techniques.draw)
    run.batches = len(batches)
    run.forget_predictions()
    run.train_mode()
    return batches


def labeled_loss(run: Run, objective: Objective, batch: Batch, losses: list[Tensor]) -> LabeledLoss:
    """The objective's loss over a batch, whose views are drawn now; each evaluation adds its value to `losses`."""
    teach = objective.loss(run, batch)

    def evaluate() -> BatchLoss:
        found = f"{len(batch.rows)}, whose last maps are a single number each"
        with enough_for_statistics(found, "raise batch, or take more faces"):
            loss = teach()
        losses.append(loss.total.detach())
        return loss

    return LabeledLoss(evaluate)


@contextmanager
def enough_for_statistics(found: str, todo: str) -> Iterator[None]:
    """Raises MienError, of what is `found` and to do, where torch finds a batch too small for batch normalization."""
    try:
        yield
    except ValueError as error:
        if "more than 1 value per channel" not in str(error):
            raise
        raise MienError("batches that batch normalization has statistics of", found, todo) from error


def unlabeled_losses(run: Run, technique: Unlabeled, count: int) -> Iterator[UnlabeledLoss | None]:
    """For each of `count` batches, the unevaluated loss of as many faces as the recipe says, whose labels are not looked at."""
    rows = technique.rows(run)
    if not len(rows):
        yield from [None] * count
        return
    size = min(run.recipe.unlabeled_batch, len(rows))
    for batch in run.pool.stream(shuffled_batches(rows.cpu(), count, size, run.generator)):
        loss = technique_checks.unlabeled_loss(technique(run, batch), run.device, technique)
        if loss is not None:
            loss = counted(loss, size)
            loss = loss if run.recipe.statistics == "all" else leaving_statistics(run.network, loss)
        yield loss


def require_unlabeled_statistics(run: Run) -> None:
    """Raises MienError where a stage looks at one face without a label at a time, and batch normalization wants more.

    A stage would say so itself, but after what comes before it was trained: here a copy of the network tries.
    """
    if min(run.recipe.unlabeled_batch, len(run.unlabeled)) != 1:
        return
    face = channels_last(run.views.clean(run.pool.fetch(run.unlabeled[:1].cpu()).faces))
    for stage in run.recipe.stages:
        if Components.of(run.recipe, stage).unlabeled.needs_unlabeled:
            network = copy.deepcopy(run.network).train()
            for name in stage.frozen:
                network.blocks[name].eval()
            with torch.no_grad(), enough_for_statistics(quantity(1, *UNLABELED), MORE_UNLABELED):
                network(face)


def counted(loss: UnlabeledLoss, count: int) -> UnlabeledLoss:
    """The loss of `count` unlabeled faces, which raises MienError where they are too few for batch normalization."""

    def evaluate(perturb: Perturb | None = None) -> Tensor:
        with enough_for_statistics(quantity(count, *UNLABELED), MORE_UNLABELED):
            return loss() if perturb is None else loss(perturb)

    return evaluate


def end_epoch(run: Run, objective: Objective, techniques: Components, losses: list[Tensor], seconds: float) -> None:
    """Measure an epoch on validation, note its figures, and keep the weights if they are the best of the stage."""
    figures: dict[str, float] = {"stage": run.stage, "epoch": run.epoch, "seconds": round(seconds, 2)}
    figures |= {"lr": run.optimization.rate, "loss": float(torch.stack(losses).mean())}
    require_finite(run, figures["loss"], techniques)
    figures |= run.notes.take()
    figures |= objective.figures(run)
    if "validation_loss" in figures:
        require_finite(run, figures["validation_loss"], techniques)
    # The last step's weights have not been through a labeled loss yet. One of ALRAO's copies may diverge alone.
    learned = [value for name, value in run.eval_network.named_parameters() if not name.startswith("head.copies.")]
    require_finite(run, sum(float(value.detach().sum()) for value in learned), techniques)
    run.epoch += 1
    run.history.append(figures)
    keep_best(run, figures)


def keep_best(run: Run, figures: dict[str, float]) -> None:
    """Keep a copy of the weights where the epoch that is over is the best of its stage."""
    by = run.recipe.choose if f"validation_{run.recipe.choose}" in figures else "last"
    value = 0.0 if by == "last" else figures[f"validation_{by}"] * (-1 if by == "loss" else 1)
    better = value >= (run.best.value if run.best else -math.inf)
    # Equal is better: the later of two equally good models has seen more. The last is copied once, at the stage's end.
    if better and (by != "last" or run.epoch == run.stage_epochs):
        weights = {name: tensor.detach().clone() for name, tensor in run.eval_network.state_dict().items()}
        run.best = BestEpoch(value, run.epoch - 1, figures, weights)


def warn(run: Run, labels: bool) -> None:
    """Say what the stage that is over did not do; `labels`: whether it learned from labels."""
    assert run.best is not None, "every stage has an epoch"
    history = [figures for figures in run.history if figures["stage"] == run.stage]
    learns = len(run.unlabeled) > 0 and not run.recipe.control
    for text in stage_warnings(history, run.best.epoch, learns, labels):
        run.progress.say(f"{part_prefix(run)}{stage_prefix(run)}warning: {text}")


def require_finite(run: Run, loss: float, techniques: Components) -> None:
    """Raises MienError where a loss is no number; the message says which checkpoint is still good."""
    if math.isfinite(loss):
        return
    where = f"{loss} in epoch {run.epoch + 1} of stage {run.stage + 1}"
    checkpoint = run.folder / "checkpoint.safetensors"
    kept = f"; {checkpoint} holds the last epochs that were" if checkpoint.is_file() else ""
    own = [component_name(type(one)) for one in techniques.all() if not type(one).__module__.startswith("mien.")]
    mend = f", or look at {', '.join(own)}" if own else ""
    raise MienError("a finite loss", where + kept, f"take a lower learning rate ({part_prefix(run)}stages.{run.stage}.lr){mend}")


def checkpoint(run: Run) -> None:
    """Write a checkpoint of the run, and the figures of its epochs so far, for `mien runs` and other readers."""
    run.torch_rng = torch_rng(run.device)
    write_state(run.folder / "checkpoint.safetensors", take_state(run))
    write_history(run.folder, run.history)


def torch_rng(device: torch.device) -> list[Tensor]:
    """The state of torch's own generators, which dropout draws from."""
    return [torch.get_rng_state(), *([torch.cuda.get_rng_state(device)] if device.type == "cuda" else [])]


@contextmanager
def own_torch_rng(run: Run) -> Iterator[None]:
    """Within, torch's own generators are the run's; outside, the caller's, untouched."""
    with torch.random.fork_rng([run.device] if run.device.type == "cuda" else []):
        torch.set_rng_state(run.torch_rng[0])
        if run.device.type == "cuda":
            torch.cuda.set_rng_state(run.torch_rng[1], run.device)
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
