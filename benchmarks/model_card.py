# ruff: noqa: E501  (rows of tables)
"""Writes README.md of a model in the box: what it is, what it learned from, figures per class, limits.

    python benchmarks/model_card.py FERPLUS MODEL [--name mien-s] [--split PublicTest]

Figures are measured here, on a split of FER+ that the model saw nothing of; all else is said by its card or stands below.
"""

import argparse
from pathlib import Path

import numpy as np

from mien import FaceSet, Recognizer
from mien.data.splits import split_rows
from mien.evaluation.evaluation_result import Evaluation
from mien.evaluation.summarize_logits import summarize_logits
from mien.recognize.calibration import apply_temperature

TEXT = """# {name}

A small network that names the expression of a face: {classes}. {use}

| | |
|---|---|
| network | `{network}`, {parameters:.2f} M parameters, {bytes:.1f} MB in half precision; faces of {side} x {side} gray pixels |
| how faces are cut out | `{alignment}` |
| learned from | the votes of {train:,} faces of FER+, split Training; {validation:,} more of it chose the epoch and set temperature and threshold |
| recipe | {recipe}, seed {seed}; `{make}` trains it again, with `WEB=` for the thresholds below |
| probabilities | softmax of the logits over a temperature of {temperature:.3f} |
| possible | an expression is possible from a probability of {least:.3f} on (split conformal prediction: for about 90 % of faces like those that it was set on, the true expression is among the possible ones; about, since those faces also chose the epoch and set the temperature; measured: {covered}, see below) |
| sure | an answer is *sure* where one expression alone is possible and has a probability of {needed:.3f} or more{unlike}; any other face is *unsure*. It was set so that 95 % of sure answers are right, unless too many answers would be unsure (`make card` says how many); measured below |
| these were set on | {set_on} |

## Figures

FER+, split {split}, {count:,} faces of which nothing was learned or chosen, labeled by the probability rule (the expression with
most votes); 95 % intervals by bootstrap over faces, which are FER2013's own crops:

| | as they are | averaged with the mirror image |
|---|---|---|
| accuracy | {accuracy} | {accuracy_flip} |
| average accuracy over classes | {average} | {average_flip} |
| expected calibration error, before the temperature | {before} | {before_flip} |
| and after it | {after} | {after_flip} |
| faces with a sure answer; of these answers right | {sure} | {sure_flip} |
| faces whose true expression is among the possible ones | {covered} | |

| expression | faces | recall | precision |
|---|---|---|---|
{rows}

Photos are cut by the alignment above, which was chosen to give crops that look like FER2013's. How well faces that are cut out of
photos so are named was not measured.

## Data, and rights

The labels are FER+'s votes (Barsoum et al. 2016, MIT license). The pictures are FER2013's (Goodfellow et al. 2013), found by a web
search for words of emotion: **their rights are not cleared, and the people in them were not asked.** Who they are by age, gender,
skin or country is not known, so it is not known either how figures differ between such groups. The weights hold no pictures.

## Limits

- It names what a face shows, as ten strangers on the web would name it. That is not what a person feels.
- Rare expressions are read badly: see the table.{missed}
- It learned from single gray faces of 48 pixels, more or less from the front. Turned, covered, very small or badly lit faces, masks,
  drawings and animals were not tested.
- *Sure* holds for faces like FER+'s. On other photos it promises nothing: `mien evaluate` says of labeled faces of yours how often
  sure answers are right, and `mien adapt` and `mien train` fit a model to yours.
- A face that the detector does not find is not read.

## Uses to keep away from

Not for decisions on people: not on workers or applicants, not on pupils or in exams, not in court, by police or at borders, not for
insurance or credit, not to detect lies, not for diagnoses.

In the European Union, the AI Act (Regulation (EU) 2024/1689) **prohibits** systems that infer emotions of people at work and in
education, but for medical or safety reasons (Article 5(1)(f)); other emotion recognition from faces is of high risk (Annex III, 1(c)),
and people who are exposed to it have to be told (Article 50(3)). Faces are personal data, and what is read in them too.
"""


WORDS = {
    "mien-s": {
        "use": "It comes with mien; `mien predict PHOTO` uses it unless told\notherwise.",
        "network": "mien_s", "recipe": "`ferplus_long`", "make": "make model",
    },
    "mien-xs": {
        "use": "It comes with mien, for\nbrowsers and small boards: `mien predict PHOTO --model mien-xs`.",
        "network": "mien_s width=20", "recipe": "`ferplus_xs`, taught by `mien-s` beside the votes", "make": "make student SIZE=xs",
    },
}  # fmt: skip
"""What is said of each model in the box."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("faceset", type=Path)
    parser.add_argument("model", type=Path)
    parser.add_argument("--name", choices=WORDS, default="mien-s")
    parser.add_argument("--split", default="PublicTest")
    given = parser.parse_args()
    whole, recognizer = FaceSet.open(given.faceset), Recognizer.load(given.model, "cpu")
    if whole.classes != recognizer.classes:
        raise SystemExit(f"expected classes {recognizer.classes}, found {whole.classes}")
    faces = whole.select(split_rows(whole, given.split))
    faces = faces.select(faces.labels >= 0)
    plain, mirrored = (measured(recognizer, faces, given.split, flip) for flip in (False, True))
    flipped = {f"{key}_flip": value for key, value in figures(mirrored).items()}
    values = facts(recognizer, given.model) | figures(plain) | flipped | possible(recognizer, faces)
    values |= WORDS[given.name] | {"name": given.name}
    text = TEXT.format(**values, split=given.split, count=len(faces), rows=table(plain), missed=missed(plain))
    (given.model / "README.md").write_text(text)
    print(text)


def measured(recognizer: Recognizer, faces: FaceSet, split: str, flip: bool) -> Evaluation:
    """All figures of the model on `faces`."""
    (logits, unlike), card = recognizer.logits_and_unlike(faces, flip), recognizer.card
    return summarize_logits(
        logits, faces.labels, classes=card.classes, dataset="FER+", split=split, temperature=card.temperature,
        conformal_threshold=card.possible_from, confidence_threshold=card.confidence_threshold, unlike=unlike, flip=flip,
    )  # fmt: skip


def facts(recognizer: Recognizer, folder: Path) -> dict[str, object]:
    """What the card says of the model."""
    card = recognizer.card
    return {
        "classes": ", ".join(card.classes),
        "parameters": sum(value.numel() for value in recognizer.network.parameters()) / 1e6,
        "bytes": sum(file.stat().st_size for file in folder.iterdir() if file.name.startswith("model.")) / 1e6,
        "side": card.faces.side,
        "alignment": card.faces.alignment,
        "train": card.budget["train"],
        "validation": card.budget["validation"],
        "seed": card.seed,
        "temperature": card.temperature,
        "least": card.conformal_threshold,
        "needed": card.confidence_threshold,
        "unlike": ", and where the face is not unlike those of training (`unlike` in `model.json`)" if card.unlike else "",
        "set_on": ", ".join(f"{count:,} {name}" for name, count in card.budget.get("thresholds", {}).items()) or "validation",
    }


def figures(found: Evaluation) -> dict[str, str]:
    """With their intervals."""
    values = {"accuracy": found.accuracy, "average": found.average_accuracy, "before": found.ece_before, "after": found.ece_after}
    names = {"accuracy": "accuracy", "average": "average_accuracy", "before": "ece_before", "after": "ece_after"}
    shown = {}
    for key, value in values.items():
        interval = found.intervals[names[key]]
        shown[key] = f"{100 * value:.1f} % ({100 * interval.low:.1f} to {100 * interval.high:.1f})"
    return shown | {"sure": f"{100 * found.sure:.1f} %; {100 * found.sure_right:.1f} %"}


def possible(recognizer: Recognizer, faces: FaceSet) -> dict[str, str]:
    """How often the true expression is among the possible ones."""
    (logits, unlike), card, labels = recognizer.logits_and_unlike(faces), recognizer.card, faces.labels
    least = np.array([card.possible_where_unlike(one) for one in ([False] * len(labels) if unlike is None else unlike.tolist())])
    covered = float((apply_temperature(logits, card.temperature) >= least)[np.arange(len(labels)), labels].mean())
    return {"covered": f"{100 * covered:.1f} %"}


def table(found: Evaluation) -> str:
    """A line for each class."""
    counts = found.confusion.sum(axis=1)
    return "\n".join(
        f"| {name} | {count} | {100 * recall:.1f} % ({100 * interval.low:.0f} to {100 * interval.high:.0f}) | {100 * precision:.1f} % |"
        for name, count, recall, interval, precision in zip(
            found.classes, counts, found.recalls, found.recall_intervals, found.precisions, strict=True
        )
    )


def missed(found: Evaluation) -> str:
    """A sentence on the classes of which fewer than half of the faces are found; "" for none."""
    names = [name for name, recall in zip(found.classes, found.recalls, strict=True) if recall < 0.5]
    return f" Most faces that show {' or '.join(names)} are given another name." if names else ""


if __name__ == "__main__":
    main()
