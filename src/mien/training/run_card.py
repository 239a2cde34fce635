"""What a finished run says of its model: the card, and warnings of a model that cannot be sure."""

from dataclasses import replace

from torch import Tensor

from mien.progress import Progress
from mien.recognize.calibration import apply_temperature, fit_confidence_threshold, fit_conformal_threshold, fit_temperature
from mien.recognize.model_card import ModelCard
from mien.recognize.resting_look import usual_log_odds
from mien.recognize.run_records import read_sources
from mien.training.prepare_run import PreparedRun
from mien.training.run import BestEpoch, Run
from mien.training.settings import TrainingSettings
from mien.wording import quantity


def say_doubtful(run: Run, logits: Tensor, card: ModelCard, progress: Progress) -> None:
    """Warn of a finished model that gives one answer to all validation faces, or is sure of none."""
    if not len(run.data.validation_labels):
        return
    said, known = logits.argmax(dim=1).unique(), run.data.validation_labels.unique()
    if len(said) == 1 < len(known):
        name = run.data.faces.classes[int(said)]
        progress.say(
            f"warning: the model takes every validation face for {name}: its average accuracy is 1 of {len(known)} classes"
        )
    if card.confidence_threshold >= 1:
        few = quantity(len(run.data.validation_labels), "validation face is", "validation faces are")
        found = f"{few} too few, or too often named wrongly, to say so"
        progress.say(f"no answer of this model is sure: {found}")


def card_of_run(run: Run, best: BestEpoch, logits: Tensor, settings: TrainingSettings, prepared: PreparedRun) -> ModelCard:
    """The card of the stage's best model, its temperature and what is possible and sure fitted on validation."""
    faces = prepared.data.faces.info
    card = ModelCard(
        network=run.recipe.model,
        classes=run.data.faces.classes,
        faces=replace(faces, checksum=settings.checksums[0]),
        normalize=run.recipe.normalize,
        recipe=run.recipe.table(),
        budget=prepared.facts,
        sources=tuple({k: v for k, v in source.items() if k != "used"} for source in read_sources(run.folder)),
        metrics=best.figures,
        seed=settings.seed,
    )
    if not len(run.data.validation_labels):
        return card
    labels = run.data.validation_labels.numpy()
    temperature = fit_temperature(logits.numpy(), labels)
    likely = apply_temperature(logits.numpy(), temperature)
    conformal = fit_conformal_threshold(likely, labels)
    confident = fit_confidence_threshold(likely, labels, conformal)
    resting = usual_log_odds(likely, labels, card.classes)
    fitted = replace(card, temperature=temperature, conformal_threshold=conformal, confidence_threshold=confident)
    return replace(fitted, resting=resting)
