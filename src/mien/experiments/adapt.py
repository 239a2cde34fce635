"""A trained model fitted to its user's own few faces and classes, in seconds: its blocks stay, its last layer learns."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Generator, Tensor, nn

from mien.data.face_groups import validation_groups
from mien.data.faceset import FaceSet
from mien.data.format import Rows
from mien.data.splits import training_rows
from mien.data.views import Views
from mien.disk import require_new
from mien.errors import MienError
from mien.experiments.fitted_rows import FOLDS, LEAST, Given, refitted, with_new
from mien.experiments.last_layer import with_one
from mien.models import Network
from mien.progress import Progress, Silent
from mien.recognize.alignment import alignment_note
from mien.recognize.calibration import apply_temperature, fit_least, fit_sure
from mien.recognize.export import write_exported
from mien.recognize.model_card import ModelCard, require_alike
from mien.recognize.networks import build_network
from mien.recognize.recognizer import Recognizer
from mien.settings import Seed, require_fitting
from mien.wording import quantity

VIEWS = 6
"""Random weak views of each face, beside itself and its mirror image."""
COVER = 0.9
"""Of the faces that the model was trained on, the share that was of known classes with faces here, where new ones are learned:
what new ones take from the others is not seen."""
HALF = 0.5
"""The same without new classes, where the others keep their rows."""

WORSE = (0.03, 0.05)
"""So much accuracy the known classes may lose: as frequent as they are, and, where new ones are learned, on average."""
FOUND = 0.2
"""Share of its faces on which a new class has to be found, or it is not worth a place."""
HARM, HARMED = 0.15, 3
"""A known class that loses more than this share of its faces, and as many of them, is harmed."""
CHUNK = 512


@dataclass(frozen=True)
class ClassChange:
    """One class, before and after: the share of its faces that is named right."""

    name: str
    faces: int
    before: float
    """0 for a new class."""
    after: float
    """Each face by a last layer that was fitted, in all its parts, to others."""

    @property
    def harmed(self) -> bool:
        """More was lost than chance explains."""
        return self.before - self.after > HARM and (self.before - self.after) * self.faces > HARMED - 0.5


@dataclass(frozen=True)
class Adapted:
    """What came of it. Figures are shares from 0 to 1, on the faces that were given."""

    lines: tuple[ClassChange, ...]
    new: tuple[str, ...]
    """Classes that the model did not know."""
    before: float
    """Accuracy on faces of known classes that are judged, which count as often as among those that the model was trained on."""
    after: float
    """The same, afterwards."""
    average_before: float
    """Mean of the shares of the classes that are judged, new ones included."""
    average_after: float
    folder: str = ""
    """The model's."""
    sure: float = 1.0
    """From which probability on an answer of the model is sure; at 1 none is."""
    unseen: tuple[str, ...] = ()
    """Known classes that were not judged: they have fewer than five faces here."""
    unseen_share: float = 0.0
    """Of the faces that the model was trained on, or of its classes where it does not say."""

    @property
    def caution(self) -> str:
        """What was not judged, in a sentence; empty where all was."""
        if not self.unseen:
            return ""
        names, share = ", ".join(self.unseen), f"{self.unseen_share:.1%} of what the model learned from"
        held = "what the new classes take from them is not known" if self.new else "their rows stay as they are"
        return f"known classes with fewer than {LEAST} faces here, {share}, were not judged: {names}; {held}"

    @property
    def worse(self) -> str:
        """Why it is of no use; empty where it is."""
        known = [line for line in self.lines if line.name not in self.new]
        each_before, each_after = (float(np.mean([getattr(line, when) for line in known])) for when in ("before", "after"))
        if self.after < self.before - WORSE[0]:
            return f"known classes {self.before:.1%} before and {self.after:.1%} after"
        if self.new and each_after < each_before - WORSE[1]:
            return f"known classes {each_before:.1%} on average before and {each_after:.1%} after"
        harmed = [f"{line.name} {line.before:.1%} before and {line.after:.1%} after" for line in known if line.harmed]
        if self.new and harmed:
            return ", ".join(harmed)
        missed = [line for line in self.lines if line.name in self.new and line.after < FOUND]
        if missed:
            return ", ".join(f"{line.name} found on {line.after:.1%} of its faces" for line in missed)
        if self.average_after <= self.average_before:
            return f"an average accuracy of {self.average_before:.1%} before and {self.average_after:.1%} after"
        return ""

    def to_json(self) -> dict[str, Any]:
        """Plain values under the names above."""
        return asdict(self)


def adapt(
    model: Path | str,
    faces: FaceSet | Path | str,
    out: Path | str,
    seed: int = 0,
    device: str = "auto",
    progress: Progress | None = None,
) -> Adapted:
    """Fit the last layer of `model` to the labeled training faces of `faces`, and write it as a model into the folder `out`.

    Classes that the model does not know get a row each, and known ones stay as they are; without new ones, known rows learn,
    those with faces alone. Whether it got better is found by fitting all of it to four fifths of the faces and looking at the
    rest; what that cannot see is said (`Adapted.caution`). Raises MienError where it did not (nothing is written then), for
    faces of another kind, for too few of them or of too few known classes, and for a network whose last layer is none.
    """
    require_fitting(Seed, seed=seed)
    recognizer, out = Recognizer.load(model, device), Path(out)
    require_new(out)
    faces = faces if isinstance(faces, FaceSet) else FaceSet.open(faces)
    require_alike(recognizer.card, faces.info)
    progress = progress or Silent()
    if note := alignment_note(recognizer.card.faces, faces.info):
        progress.say(f"warning: {note}")
    given = _look(recognizer, faces, seed, progress)
    _require_enough(given)
    _require_known(given, recognizer.card)
    fit = with_new if len(given.classes) > given.known else refitted
    rows, shown = fit(given, torch.ones(len(given.labels), dtype=torch.bool)), _shown(given, fit)
    found = _compare(given, shown, recognizer.card)
    if found.worse:
        todo = "give more faces of each class, or train a model of your own with mien train"
        raise MienError("a model that gets better by these faces", found.worse, todo)
    card = _card(recognizer, faces, given, shown, seed)
    write_exported(_with_rows(recognizer, rows.float(), card), card, out)
    return replace(found, folder=str(out), sure=card.sure)


def _look(recognizer: Recognizer, faces: FaceSet, seed: int, progress: Progress) -> Given:
    rows = training_rows(faces)
    rows = rows[faces.labels[rows] >= 0]
    mine = faces.select(rows)
    present = [faces.classes[label] for label in np.unique(mine.labels)]
    classes = (*recognizer.classes, *(name for name in present if name not in recognizer.classes))
    place = np.array([classes.index(name) if name in classes else -1 for name in faces.classes], np.int64)
    labels = place[mine.labels]
    groups = validation_groups(mine)
    of = np.arange(len(mine)) if groups is None else groups.of
    folds = _folds(labels, of, seed)
    last = _last_layer(recognizer.network)
    own = torch.cat([last.weight, last.bias[:, None]], dim=1).detach().cpu().double()
    views = _features(recognizer, mine, seed, progress) if len(mine) else torch.zeros(1, 0, own.shape[1] - 1)
    whose, parts = torch.from_numpy(of), torch.from_numpy(folds)
    return Given(views, torch.from_numpy(labels), classes, whose, parts, own, _prior(labels, recognizer.card))


def _last_layer(network: Network) -> nn.Linear:
    """Raises MienError where the head is not a sequence that ends with it."""
    last = network.head[-1] if isinstance(network.head, nn.Sequential) else None
    if not isinstance(last, nn.Linear) or last.bias is None:
        raise MienError("a network whose head ends in one linear layer", "another head", "take a model of mien_s or resnet18")
    return last


@torch.inference_mode()
def _features(recognizer: Recognizer, faces: FaceSet, seed: int, progress: Progress) -> Tensor:
    """(V, N, D) float64: the last layer's inputs for each face, its mirror image, and weak views."""
    network, device = recognizer.network.eval(), recognizer.device
    assert isinstance(network.head, nn.Sequential)
    views, generator = Views(faces.info, recognizer.card.normalize), Generator(device).manual_seed(seed)
    made = []
    progress.begin("looking at the faces", len(faces))
    for first in range(0, len(faces), CHUNK):
        pixels = torch.from_numpy(faces.faces(np.arange(first, min(first + CHUNK, len(faces))))).to(device)
        shown = [views.clean(pixels), views.mirror(pixels), *(views.view(pixels, "weak", generator) for _ in range(VIEWS))]
        parts = [network.head[:-1](network.features(inputs, list(network.blocks)[-1])) for inputs in shown]
        made.append(torch.stack(parts).cpu().double())
        progress.advance(len(pixels))
    return torch.cat(made, dim=1)


def _folds(labels: Rows, groups: Rows, seed: int) -> Rows:
    """(N,) a part for each face: faces of a group in one, and of each class dealt out, the rarest first."""
    generator = np.random.default_rng(seed)
    _, group = np.unique(groups, return_inverse=True)
    counts = np.bincount(labels)
    # A group goes by the rarest class that it shows.
    rarest = np.full(group.max(initial=-1) + 1, labels.max(initial=0))
    by_count = np.argsort(np.argsort(counts, kind="stable"), kind="stable")
    np.minimum.at(rarest, group, by_count[labels])
    order = np.lexsort((generator.permutation(len(rarest)), rarest))
    part = np.empty(len(rarest), np.int64)
    part[order] = np.arange(len(rarest)) % FOLDS
    return part[group]


def _require_enough(given: Given) -> None:
    counts = [int(count) for count in given.counts]
    named = dict(zip(given.classes, counts, strict=True))
    if not sum(counts[: given.known]):
        start = "--recipe supervised_small --start MODEL"
        todo = f"add some, or train a model of your classes alone that starts from this one: mien train FACES --out RUN {start}"
        raise MienError("labeled faces of classes that the model knows", "none", todo)
    for number, (name, count) in enumerate(named.items()):
        people = len(given.groups[given.labels == number].unique())
        parts = len(given.folds[given.labels == number].unique())
        if number >= given.known and parts < FOLDS:
            found = f"{count}" if count < LEAST else f"{count} of {people} people or videos"
            raise MienError(
                f"{LEAST} faces or more of the new class {name}, of as many people", found, "add some, or leave it out"
            )
    if not any(counts[given.known :]) and sum(counts) < 2 * FOLDS:
        raise MienError(f"{2 * FOLDS} labeled faces or more", f"{sum(counts)} to train on", "add some")


def _require_known(given: Given, card: ModelCard) -> None:
    """Raises MienError where the judgment would see too little of the known classes."""
    seen, shares = given.seen[: given.known], _shares(card)
    if len(given.classes) == given.known and int(seen.sum()) < 2:
        names = [name for name, one in zip(given.classes, seen.tolist(), strict=False) if one]
        found = f"those of {names[0]} alone" if names else "fewer of each"
        todo = "add faces of other classes: of one alone nothing tells what is wrongly taken for it"
        raise MienError(f"{LEAST} faces or more of each of two known classes", found, todo)
    covered, wanted = float(shares[seen].sum()), COVER if len(given.classes) > given.known else HALF
    if covered < wanted - 1e-9:
        missing = [
            (float(share), name) for share, name, one in zip(shares, given.classes, seen.tolist(), strict=False) if not one
        ]
        named = ", ".join(f"{name} {share:.0%}" for share, name in sorted(missing, reverse=True))
        beside, takes = (", beside the new ones", "a new class") if wanted == COVER else ("", "the others")
        raise MienError(
            f"{LEAST} faces or more of known classes that are {wanted:.0%} of what the model learned from{beside}",
            f"{covered:.0%}, without {named}",
            f"add faces of those: what {takes} take{'s' * (wanted == COVER)} from them is not seen otherwise",
        )


def _shown(given: Given, fit: Callable[[Given, Tensor], Tensor]) -> Tensor:
    """Logits (N, K'), a face's by rows for which it, and its whole part, might as well not be there."""
    shown = torch.zeros(len(given.labels), len(given.classes), dtype=torch.float64)
    for fold in range(FOLDS):
        left_out = given.folds == fold
        shown[left_out] = with_one(given.views[0, left_out]) @ fit(given, ~left_out).T
    return shown


def _frequencies(card: ModelCard) -> dict[str, float]:
    """How many faces of each class made the model take it as frequent as it does; empty where that is not known."""
    found: dict[str, float] = card.budget.get("frequencies") or card.budget.get("classes") or {}
    return found


def _shares(card: ModelCard) -> Tensor:
    """(K,) of each class in the faces that the model was trained on; all the same where that is not known."""
    counts, frequencies = torch.ones(len(card.classes)).double(), _frequencies(card)
    if sum(frequencies.get(name, 0) for name in card.classes) > 0:
        counts = torch.tensor([frequencies.get(name, 0) for name in card.classes]).double()
    return counts / counts.sum()


def _prior(labels: Rows, card: ModelCard) -> Tensor:
    known, frequencies = len(card.classes), _frequencies(card)
    here = torch.from_numpy(np.bincount(labels, minlength=known)[:known]).double() + 1
    there = torch.tensor([frequencies.get(name, 0) for name in card.classes]).double() + 1
    return (here / here.sum()).log() - (there / there.sum()).log() if float(there.sum()) > known else 0 * here


def _compare(given: Given, shown: Tensor, card: ModelCard) -> Adapted:
    labels, seen = given.labels, given.seen
    before, after = given.logits[0].argmax(1) == labels, shown.argmax(1) == labels
    lines = []
    for number, name in enumerate(given.classes):
        mine = labels == number
        if mine.any():
            shares = (float(right[mine].double().mean()) for right in (before, after))
            lines.append(ClassChange(name, int(mine.sum()), *shares))
    judged = [line for line, one in zip(lines, seen[given.counts > 0].tolist(), strict=True) if one]
    unseen = ~seen[: given.known]
    weights = given.weights[0] * (labels < given.known) * seen[labels]
    accuracies = [float((right * weights).sum() / weights.sum()) for right in (before, after)]
    return Adapted(
        tuple(lines),
        given.classes[given.known :],
        before=accuracies[0],
        after=accuracies[1],
        average_before=float(np.mean([line.before for line in judged])),
        average_after=float(np.mean([line.after for line in judged])),
        unseen=tuple(name for name, one in zip(card.classes, unseen.tolist(), strict=True) if one),
        unseen_share=float(_shares(card)[unseen].sum()),
    )


def _card(recognizer: Recognizer, faces: FaceSet, given: Given, shown: Tensor, seed: int) -> ModelCard:
    """The model's, with the classes, and with what is possible set on faces that rows were not fitted to."""
    card, count, info = recognizer.card, len(given.labels), faces.info
    entry = {"network": card.network, "weights": card.weights, "faces": card.faces.checksum, "budget": card.budget}
    entry |= {"name": card.faces.name, "license": card.faces.license, "citation": card.faces.citation}
    classes = {name: int(number) for name, number in zip(given.classes, given.counts, strict=True)}
    budget = {"train": count, "validation": 0, "split": "train", "classes": classes, "noise": 0.0, "noise_matrix": None}
    frequencies = _frequencies(card)
    if frequencies:
        # A new class counts as a known one of middling frequency when its model is adapted again.
        mean = float(np.mean(list(frequencies.values())))
        budget["frequencies"] = {name: frequencies.get(name, mean) for name in given.classes}
    likely: npt.NDArray[np.float64] = apply_temperature(shown.numpy(), card.temperature)
    labels, weights = given.labels.numpy(), given.weights[0].numpy()
    least = fit_least(likely, labels, weights=weights)
    mine = replace(card.faces, classes=given.classes, name=info.name or "faces of its user", checksum=info.checksum, count=count)
    return replace(
        card,
        classes=given.classes,
        faces=replace(mine, license=info.license, citation=info.citation),
        least=least,
        sure=fit_sure(likely, labels, least, weights=weights),
        recipe={"title": f"last layer fitted to {quantity(count, 'face')} (mien adapt)"},
        budget=budget | {"unlabeled": 0},
        sources=(*card.sources, entry),
        metrics={},
        seed=seed,
    )


def _with_rows(recognizer: Recognizer, rows: Tensor, card: ModelCard) -> Network:
    """The network with these rows (K', D + 1) as its last layer."""
    made = build_network(card.network, len(rows), card.faces)
    state = {name: value.cpu() for name, value in recognizer.network.state_dict().items()}
    last = next(name for name, module in made.named_modules() if module is _last_layer(made))
    made.load_state_dict(state | {f"{last}.weight": rows[:, :-1], f"{last}.bias": rows[:, -1]})
    return made.eval()
