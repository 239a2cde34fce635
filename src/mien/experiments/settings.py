"""What a comparison is asked: recipes, and the axes along which they are compared.

Commands offer these settings as options, so that this module loads nothing heavy.
"""

from dataclasses import field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from mien.errors import MienError
from mien.settings import STRICT, Count, Threads, plain_errors
from mien.training.settings import require_also


@plain_errors
@dataclass(frozen=True, config=STRICT)
class Axis:
    """A value of the recipes that is varied in a comparison."""

    key: str
    """Which value, as in `Recipe.with_settings`: `draw`, `step.temperature`, `stages.0.lr`."""
    values: Annotated[tuple[Any, ...], Field(min_length=1)]
    """What the value is set to, one after the other."""


@plain_errors
@dataclass(frozen=True, config=STRICT)
class Grid:
    """What to compare: every recipe at every combination of labels, noise, varied values and seeds.

    A label budget of None stands for all labels.
    """

    recipes: Annotated[tuple[str, ...], Field(min_length=1)]
    """Recipes to compare: names or TOML files. Differences are to the first."""
    labels_per_class: Annotated[tuple[Count | None, ...], Field(min_length=1)] = (None,)
    """Label budgets per class, validation included. Unless given: all labels."""
    labels: tuple[Count, ...] = ()
    """Instead: label budgets in all, validation included, in the classes' proportions."""
    noise: Annotated[tuple[Annotated[float, Field(ge=0, lt=1)], ...], Field(min_length=1)] = (0.0,)
    """Shares of the given labels, validation included, that are flipped to another class."""
    proportional_noise: bool = False
    """Whether flipped labels keep the classes' frequencies: every class has the share `noise` of wrong labels."""
    seeds: Count = 5
    """How many seeds. Every combination is run with each of them, from 0 on."""
    vary: tuple[Axis, ...] = ()
    """Values of the recipes that are varied as well. A recipe without such a value stays as it is."""
    unlabeled: Path | None = None
    """A further face set, used without its labels by the recipes that learn from such faces."""
    own_unlabeled: bool = True
    """Whether faces beyond the label budget are learned from as unlabeled ones, beside those of a further set."""
    unlabeled_faces: Count | None = None
    """How many unlabeled faces to use. Unless given: all."""
    also: Path | None = None
    """A further face set whose labeled training faces join the training of every run. Classes are matched by name."""
    also_labels: Count | None = None
    """How many labels of that set join, drawn by the seed in its classes' proportions. Unless given: all."""
    control: bool = False
    """Add a control of each recipe that learns from unlabeled faces: all is the same, but these teach nothing."""
    model: str | None = None
    """Another network for every recipe."""
    start: str | None = None
    """Start every recipe from a model's weights, on its network: mien-s, a run, or a model folder."""
    epochs: Count | None = None
    """Epochs in all, for every recipe."""
    settings: dict[str, Any] = field(default_factory=dict)
    """Values to change in every recipe, by key."""
    test_on: Path | None = None
    """A further face set to test on, in place of the one whose labels are learned. Classes are matched by name."""
    shared_classes: bool = False
    """Whether only those test faces of another set count whose class both sets have training faces of."""
    split: str | None = None
    """Split to test on, of the set that is tested on. Unless given: test or PublicTest."""
    folds: Annotated[int, Field(ge=2, le=1000)] | None = None
    """Instead of a split: test on each of so many folds of people, by a run on the others. Their answers count together."""
    fold_order: Literal["balanced", "ascending"] = "balanced"
    """How people are dealt to folds: folds of equal size by a fixed draw, or groups of people in the order of their names."""
    device: str = "auto"
    """auto, cpu, cuda, or cuda:1 for the second GPU."""
    threads: Threads | None = None
    """Processor threads. Unless given: torch's own number."""

    def __post_init__(self) -> None:
        names = self.names
        if len(set(names)) < len(names):
            raise MienError("recipes of different names", ", ".join(names), "leave one out, or rename its file")
        if self.labels and self.labels_per_class != (None,):
            raise MienError("one kind of label budget", "some per class and some in all", "give `labels` or `labels_per_class`")
        if self.folds and (self.split or self.test_on is not None):
            raise MienError("folds, or a split or another set to test on", "both", "leave `folds` out, or `split` and `test_on`")
        require_also(self.also_labels, self.also)
        keys = [axis.key for axis in self.vary]
        if len(set(keys)) < len(keys):
            raise MienError("different keys to vary", ", ".join(keys), "give all values of a key at once")

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the recipes; a file's is its name without the ending."""
        return tuple(Path(name).stem if name.endswith(".toml") else name for name in self.recipes)
