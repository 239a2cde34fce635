"""What a run says of each epoch that is over, in a line."""

from mien.progress import duration
from mien.training.run import Run
from mien.wording import percent

SCORES = {
    "divergence_auroc": "S",
    "neighbor_label_loss_auroc": "the label's loss at neighbors",
    "label_loss_auroc": "the label's loss",
}
"""What finds wrong labels, by the AUROC's name in the history."""


def epoch_line(run: Run) -> str:
    """What is said of an epoch that is over: its loss and how good the network is."""
    last = run.history[-1]
    text = f"{part_prefix(run)}{stage_prefix(run)}epoch {last['epoch'] + 1:.0f} of {run.stage_epochs}: loss {last['loss']:.3f}"
    if "validation_accuracy" in last:
        text += f", validation accuracy {percent(last['validation_accuracy'])}"
        text += f", average {percent(last['validation_average_accuracy'])}"
    elif "validation_loss" in last:
        text += f", on held-out faces {last['validation_loss']:.3f}"
        text += f", R2 {last['validation_r2']:.2f}" if "validation_r2" in last else ""
    if "memorized_share" in last:
        text += f"; {percent(last['memorized_share'])} of the wrong labels known by heart"
    if "by_lot" in last:
        return text  # The score was measured, and decided nothing.
    for name, told in SCORES.items():
        text += f"; {told} finds wrong labels with an AUROC of {last[name]:.2f}" if name in last else ""
    return text


def pace(run: Run, faces: int, seconds: float) -> str:
    """How fast the last epoch was, and about how long all that is left takes, judged by the epochs of this stage."""
    speed = f"; {faces / seconds:,.0f} faces/s" if seconds > 0 else ""
    left = run.stage_epochs - run.epoch + sum(stage.epochs for stage in run.recipe.stages[run.stage + 1 :])
    took = [figures["seconds"] for figures in run.history if figures["stage"] == run.stage]
    return f"{speed}, about {duration(left * sum(took) / len(took))} left for all" if left else speed


def stage_prefix(run: Run) -> str:
    """What stands before an epoch in the log: the stage, where there are several."""
    return f"stage {run.stage + 1} of {len(run.recipe.stages)}, " if len(run.recipe.stages) > 1 else ""


def part_prefix(run: Run) -> str:
    """What stands before each line of something that is trained before a run: its name; nothing for the run itself."""
    return f"{run.folder.name}: " if run.folder.parent.name == "parts" else ""
