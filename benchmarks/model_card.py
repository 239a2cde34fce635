# ruff: noqa: E501  (rows of tables)
"""Writes README.md of a model in the box: what it is, what it learned from, figures per class, limits.

    python benchmarks/model_card.py FERPLUS MODEL [--name mien-s] [--split PublicTest]

Figures are measured here, on a split of FER+ that the model saw nothing of. Those of photos, of other models and of faces made
worse stand below as the commands named there printed them; all else is said by the model's card.
"""

import argparse
from pathlib import Path

import numpy as np

from mien import FaceSet, Recognizer
from mien.data.splits import split_rows
from mien.evaluation.evaluation_result import Evaluation
from mien.evaluation.summarize_logits import summarize_logits
from mien.recognize.calibration import apply_temperature
from mien.recognize.model_card import ModelCard

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

Photos are cut by the alignment above, which was chosen to give crops that look like FER2013's.

{photos}

## Data, and rights

The labels are FER+'s votes (Barsoum et al. 2016, MIT license). The pictures are FER2013's (Goodfellow et al. 2013), found by a web
search for words of emotion: **their rights are not cleared, and the people in them were not asked.** Who they are by age, gender,
skin or country is not known. {groups} The weights hold no pictures.

## Limits

- It names what a face shows, as ten strangers on the web would name it. That is not what a person feels.
- Rare expressions are read badly: see the table.{missed}
- It learned from single gray faces of 48 pixels, more or less from the front. {worse} Heads turned to the side,
  covered faces, masks, drawings and animals were not tested.
- *Sure* holds for faces like FER+'s. On other photos it promises nothing{promises}: `mien evaluate` says of labeled faces of yours how often
  sure answers are right, and `mien adapt` and `mien train` fit a model to yours.
- A face that the detector does not find is not read.

## Uses to keep away from

Not for decisions on people: not on workers or applicants, not on pupils or in exams, not in court, by police or at borders, not for
insurance or credit, not to detect lies, not for diagnoses.

In the European Union, the AI Act (Regulation (EU) 2024/1689) **prohibits** systems that infer emotions of people at work and in
education, but for medical or safety reasons (Article 5(1)(f)); other emotion recognition from faces is of high risk (Annex III, 1(c)),
and people who are exposed to it have to be told (Article 50(3)). Faces are personal data, and what is read in them too.
"""


MEASURED = """## On photos, beside fer

From whole photos to a name, where a face that is not found counts as wrong; 95 % intervals over people:

```
python benchmarks/photos.py LIST.csv --groups gender,age,origin --baseline --peers PEERS
```

| photos, and what reads them | right | happiness | neutral | women's smiles less men's |
|---|---|---|---|---|
| 104 studio photos of 52 people (Face Research Lab London Set), `mien-s` | 82.7 % (76.0 to 88.5) | 65.4 % (51.9 to 76.9) | 100 % | 12.7 points (-11.0 to 36.2) |
| their smiles, `mien-s` with the neutral photo as `--baseline`, strength 0.8 | | 82.7 % (71.2 to 92.3) | | 17.9 points (-1.2 to 37.0) |
| the studio photos, fer 25.10.3 | 65.4 % (58.7 to 72.1) | 32.7 % (21.2 to 46.2) | 98.1 % (94.2 to 100) | 14.1 points (-12.2 to 37.8) |
| 5,062 web photos (muxspace/facial_expressions, `--people even`), `mien-s` | 81.1 % (74.9 to 86.9) | 82.2 % (77.3 to 87.0) | 91.7 % (90.4 to 92.9) | |
| the web photos, fer 25.10.3 | 45.6 % (40.2 to 51.2) | 73.4 % (65.2 to 81.3) | 25.4 % (21.5 to 29.3) | |

fer knows no contempt, and finds 86.5 % of the web faces where `mien-s` finds 98.8 %. Web photos have one volunteer's doubtful label each. Of
the same people's faces as that database cuts them out, 83.4 % are named right, 25.6 % are unsure, and of the wrong ones 59.0 %
(`python benchmarks/sure.py FERPLUS MODEL --shifted --also WEBFACES --unlike --show`, the lines `today` of even people). On studio
photos, with the thresholds before those above, 16.7 % of the wrong answers were unsure, with a calibration error of 13.3 %:
**sure answers promise little there.** The whole tables: docs/results/reading-photos.md in mien's sources.

On the 3,360 faces of PublicTest for which one of seven expressions alone has most votes, `mien-s` is right on 86.0 %, fer's network on 66.5 %, which
learned from FER2013's labels (`python benchmarks/classify.py FERPLUS --peers PEERS`)."""
SMALLER = """## On photos, beside fer

`mien-xs` was **not measured on whole photos**, neither studio nor web, nor by groups of people, nor with a baseline, nor beside fer there.
`mien-s`, which taught it, was: see the card of `mien-s`. How far `mien-xs` is like it on photos is not known. Of 5,062
faces of the web as their database cuts them out, it names 83.0 % right (`mien-s` 83.4 %), 23.5 % are unsure, and of the wrong ones 57.3 %
(`python benchmarks/sure.py FERPLUS MODEL --shifted --also WEBFACES --unlike --show`, the lines `today` of even people).

On the 3,360 faces of PublicTest for which one of seven expressions alone has most votes, `mien-xs` is right on 85.7 %, fer's network on 66.5 %, which
learned from FER2013's labels (`python benchmarks/classify.py FERPLUS --peers PEERS --model mien-xs`)."""
OTHER = """## On photos, beside fer

Whole photos, groups of people and fer beside it were **not measured**: `python benchmarks/photos.py` does that."""
UNKNOWN = "How figures differ between such groups was not measured."
GROUPS = """How figures differ between such groups was measured for the smiles of women
and men in studio photos alone: see above. The intervals hold 0, so not even the sign of the gaps is certain."""
WORSE = """Of validation faces made worse
  (blurred, smaller, darker or lighter, or a poor JPEG), on which thresholds were set, too, {right} are named right in place of {before}, and {sure_right} of the
  sure answers are right. Of faces upside down {turned} are unsure, of pixels at random {noise} (`python benchmarks/sure.py FERPLUS MODEL --shifted --unlike
  --show`, the lines `today`)."""
NOT_WORSE = "Faces made worse, upside down and pixels at random were not tried (`python benchmarks/sure.py`)."
WORDS = {
    "mien-s": {
        "use": "It comes with mien; `mien predict PHOTO` uses it unless told\notherwise.",
        "network": "mien_s", "recipe": "`ferplus_long`", "make": "make model", "photos": MEASURED, "groups": GROUPS,
        "promises": ", see above",
        "worse": WORSE.format(right="78.4 %", before="84.3 %", sure_right="91.5 %", turned="86.7 %", noise="97.4 %"),
    },
    "mien-xs": {
        "use": "It comes with mien, for\nbrowsers and small boards: `mien predict PHOTO --model mien-xs`.",
        "network": "mien_s width=20", "recipe": "`ferplus_xs`, taught by `mien-s` beside the votes", "make": "make student SIZE=xs",
        "photos": SMALLER, "groups": UNKNOWN, "promises": "",
        "worse": WORSE.format(right="79.7 %", before="84.0 %", sure_right="90.6 %", turned="85.8 %", noise="20.2 %"),
    },
}  # fmt: skip
"""What is said of each model in the box."""


def words_of(name: str, card: ModelCard) -> dict[str, str]:
    """What is said of a model by its name, and by its card where it is none of those in the box."""
    if name in WORDS:
        return WORDS[name]
    settings = " ".join(f"{key}={value}" for key, value in card.network.items() if key != "network")
    return {
        "use": f"It does not come with mien: `mien predict PHOTO --model FOLDER`\nreads by it, FOLDER being that of `{name}`.",
        "network": f"{card.network['network']} {settings}".strip(),
        "recipe": card.recipe.get("title") or "its own",
        "make": f"make student SIZE={name.removeprefix('mien-')}",
    } | {"photos": OTHER, "groups": UNKNOWN, "promises": "", "worse": NOT_WORSE}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("faceset", type=Path)
    parser.add_argument("model", type=Path)
    parser.add_argument("--name", default="mien-s")
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
    values |= words_of(given.name, recognizer.card) | {"name": given.name}
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
