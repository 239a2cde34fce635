"""Requirements of adaptation: enough faces of each class, and enough of the known classes among them."""

from mien.errors import MienError
from mien.experiments.adaptation.adaptation_faces import FOLDS, LEAST, AdaptationFaces
from mien.experiments.adaptation.class_shares import class_shares
from mien.recognize.model_card import ModelCard
from mien.wording import percent

COVER = 0.9
"""Least share of the training faces whose classes can be judged here, where new classes are learned: what a new class takes
from a class without faces is not seen."""
HALF = 0.5
"""Least share of the training faces whose classes can be judged here, where no new classes are learned."""


def require_enough(given: AdaptationFaces) -> None:
    """Raises MienError without faces of known classes, and where a new class has too few faces or people."""
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


def require_known_classes(given: AdaptationFaces, card: ModelCard) -> None:
    """Raises MienError where too few of the known classes have faces enough to be judged."""
    seen, shares = given.seen[: given.known], class_shares(card)
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
        named = ", ".join(f"{name} {percent(share, 0)}" for share, name in sorted(missing, reverse=True))
        beside, takes = (", beside the new ones", "a new class") if wanted == COVER else ("", "the others")
        raise MienError(
            f"{LEAST} faces or more of known classes that are {percent(wanted, 0)} of what the model learned from{beside}",
            f"{percent(covered, 0)}, without {named}",
            f"add faces of those: what {takes} take{'s' * (wanted == COVER)} from them is not seen otherwise",
        )
