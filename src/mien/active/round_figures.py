"""The figures of a round: what its model can do, what it gained, and a line that says so."""

from dataclasses import replace

import torch

from mien.active.learning_curve import RoundResult
from mien.active.pool import AllFaces, KnownLabels
from mien.data.faceset import FaceSet
from mien.data.format import Rows
from mien.evaluation.evaluate import evaluate
from mien.recognize.recognizer import Recognizer
from mien.training.objective import validation_figures
from mien.wording import percent, percentage_points, quantity


def missed_rows(all_faces: AllFaces, known: KnownLabels, model: Recognizer) -> Rows:
    """H of DAL: the rows of labeled faces to learn from that the model takes for something else."""
    predicted = model.logits(all_faces.faces.select(known.train)).argmax(axis=1)
    missed: Rows = known.train[predicted != known.labels[known.train]]
    return missed


def measure_round(
    blank: RoundResult,
    model: Recognizer | None,
    before: Recognizer | None,
    known: KnownLabels,
    all_faces: AllFaces,
    test_faces: FaceSet,
    split: str | None,
) -> RoundResult:
    """`blank` with the figures of `model`, on a split of `test_faces` and on validation, and its gain over the model before.

    Without a model there are labels alone to count.
    """
    tested = evaluate(model, test_faces, split) if split and model else None
    found = {} if model is None else _on_validation(all_faces, known, model)
    last = None if before is None else _on_validation(all_faces, known, before)
    accuracy = found.get("validation_accuracy")
    return replace(
        blank,
        labels=known.charged,
        train=len(known.train),
        validation=len(known.validation),
        rejected=len(known.rejected),
        disputed=len(known.disputed),
        pool=len(all_faces.open(known)),
        validation_accuracy=accuracy,
        validation_average_accuracy=found.get("validation_average_accuracy"),
        gain=None if not last or accuracy is None else accuracy - last["validation_accuracy"],
        accuracy=None if tested is None else tested.accuracy,
        average_accuracy=None if tested is None else tested.average_accuracy,
        tested=None if tested is None else tested.count,
    )


def round_in_words(title: str, result: RoundResult) -> str:
    """A line for the terminal: labels charged, what they were used for, and figures."""
    text = f"{title}: {quantity(result.labels, 'label')}"
    lost = {"no face": result.rejected, "disputed": result.disputed}
    if any(lost.values()):
        text += f" ({', '.join(f'{count} {what}' for what, count in lost.items() if count)})"
    if result.undecided:
        stay = quantity(result.undecided, "face without enough answers stays", "faces without enough answers stay")
        text += f", {stay} in the pool"
    if result.validation_accuracy is not None:
        gain = "" if result.gain is None else f" ({percentage_points(result.gain)} points)"
        text += f", validation accuracy {percent(result.validation_accuracy)}{gain}"
    if result.accuracy is None:
        return text
    return f"{text}, accuracy {percent(result.accuracy)}, average {percent(result.average_accuracy or 0)}"


def _on_validation(all_faces: AllFaces, known: KnownLabels, model: Recognizer) -> dict[str, float]:
    """A model's figures on the validation faces; empty where there are none."""
    if not len(known.validation):
        return {}
    logits = model.logits(all_faces.faces.select(known.validation))
    return validation_figures(torch.from_numpy(logits), torch.from_numpy(known.labels[known.validation]))
