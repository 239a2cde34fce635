"""The commands that make a table of a paper: their words, in full or small, and what each leaves."""

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mien.experiments.paper_tables.entries import PaperTable, TableStep
from mien.recipes.recipe_files import recipe_names

SMALL_SIDE = "48"
SMALL_EPOCHS = "4"
SMALL_RECIPES = {"supervised_alt": "supervised_small"}
"""Recipes whose small form has another name than theirs with `_small`."""
PAPERS_SPLIT = "PrivateTest"
"""The split of FER2013 and FER+ that the papers test on; not every copy has it."""
DROPPED = ("--model", "--start", "--preset")
"""Options that a small form does not have: a small recipe has its own network."""


@dataclass(frozen=True)
class TableRequest:
    """What somebody asks for of a table."""

    data: str = "DATA"
    """The folder of the databases."""
    out: str = "OUT"
    """The folder for what is made."""
    seeds: int = 5
    jobs: int = 1
    """Runs at a time."""
    small: bool = False
    """Small recipes, faces of 48 pixels and few epochs."""
    there: tuple[str, ...] = ()
    """Databases that are at hand."""
    split: str | None = None
    """Split of FER2013 and FER+ to test on in place of PrivateTest."""
    cluster: str | None = None
    """Address of the Ray cluster that does the runs of comparisons."""


@dataclass(frozen=True)
class TableCommand:
    """A command of a table."""

    words: tuple[str, ...]
    """As they would be typed after `mien`."""
    leaves: Path | None
    """What is there once it is done, so that it need not be done again; None for a command that goes on by itself."""
    prints: Path | None
    """The file that keeps what it prints."""

    def __str__(self) -> str:
        kept = "" if self.prints is None else f" > {shlex.quote(str(self.prints))}"
        return f"mien {shlex.join(self.words)}{kept}"


def commands_of(table: PaperTable, asked: TableRequest) -> list[TableCommand]:
    """The commands of a table, in order."""
    return [command for step in table.steps for command in _commands(table, step, asked)]


def _commands(table: PaperTable, step: TableStep, asked: TableRequest) -> Iterator[TableCommand]:
    """The commands of a step: one, or one for each seed or fold."""
    if (step.only_full and asked.small) or not set(step.needs) <= set(asked.there):
        return
    words = _typed(step.words)
    for name, options in step.where_there.items():
        words = merged(words, _typed(options)) if name in asked.there else words
    for name, options in step.where_missing.items():
        words = words if name in asked.there else merged(words, _typed(options))
    if asked.small:
        words = merged(small_form(words), _typed(step.small))
    if asked.cluster is not None and words[0] == "compare":
        words = merged(words, ["--cluster", asked.cluster])
    words = [asked.split if asked.split and word == PAPERS_SPLIT else word for word in words]
    for marks in repeats(" ".join([*words, step.prints]), table, asked.seeds):
        marks |= {"data": asked.data, "out": asked.out, "seeds": str(asked.seeds), "jobs": str(asked.jobs)}
        typed = tuple(filled(word, marks) for word in words)
        prints = Path(asked.out) / filled(step.prints, marks) if step.prints else None
        yield TableCommand(typed, prints or _left_by(typed), prints)


def tests_on_papers_split(table: PaperTable) -> bool:
    """Whether a step of a table tests on PrivateTest."""
    return any(PAPERS_SPLIT in step.words.split() for step in table.steps)


def _typed(text: str) -> list[str]:
    """The words of a text, which may go over several lines, between quotes too."""
    return shlex.split(" ".join(text.split()))


def repeats(text: str, table: PaperTable, seeds: int) -> list[dict[str, str]]:
    """What `{seed}` and `{fold}` in a text stand for, once for each of them; once without any, where they are not in it."""
    numbers = range(seeds) if "{seed}" in text else (0,)
    folds = range(1, table.folds + 1) if "{fold}" in text else (0,)
    return [{"seed": str(seed), "fold": str(fold)} for fold in folds for seed in numbers]


def filled(text: str, marks: dict[str, str]) -> str:
    """A text in which `{name}` is replaced by the value of that name. Braces of JSON stay."""
    for name, value in marks.items():
        text = text.replace(f"{{{name}}}", value)
    return text


def small_recipe(name: str) -> str:
    """The small form of a recipe; the recipe itself where it has none."""
    found = SMALL_RECIPES.get(name, f"{name}_small")
    return found if found in recipe_names() else name


def small_form(words: Sequence[str]) -> list[str]:
    """A command for small recipes on faces of 48 pixels, for few epochs.

    Settings of stages are left out, since those of a small recipe are others.
    """
    made, left = list[str](), list(words)
    while left:
        word = left.pop(0)
        if word in DROPPED or (word == "--set" and left[0].startswith("stages")):
            left.pop(0)
        elif word == "--side":
            left.pop(0)
            made += [word, SMALL_SIDE]
        elif word in ("--recipe", "--recipes"):
            made += [word, ",".join(map(small_recipe, left.pop(0).split(",")))]
        else:
            made.append(word)
    trains = words[0] in ("compare", "train", "rounds", "autoencoder")
    return merged(made, ["--epochs", SMALL_EPOCHS] if trains else [])


def merged(words: Sequence[str], options: Sequence[str]) -> list[str]:
    """Words with options added, in place of those of the same name (of `--set` and `--vary`: of the same key)."""
    new = {_key(options, place) for place, word in enumerate(options) if word.startswith("--")}
    made, place = list[str](), 0
    while place < len(words):
        if words[place].startswith("--") and _key(words, place) in new:
            place += 1 + _has_value(words, place)
        else:
            made.append(words[place])
            place += 1
    return [*made, *options]


def _has_value(words: Sequence[str], place: int) -> bool:
    """Whether the option at a place has a value after it, as all but flags do."""
    return place + 1 < len(words) and not words[place + 1].startswith("--")


def _key(words: Sequence[str], place: int) -> tuple[str, str]:
    """What an option at a place is about: its name, of `--set` and `--vary` the key, too."""
    keyed = words[place] in ("--set", "--vary") and _has_value(words, place)
    return words[place], words[place + 1].partition("=")[0] if keyed else ""


def _left_by(words: Sequence[str]) -> Path | None:
    """What a command of these words leaves. Comparisons and rounds go on by themselves, and what only prints is done again."""
    if words[0] == "import":
        return Path(words[3])
    if words[0] == "peaks":
        return Path(words[2])
    ends = {"train": "model", "evaluate": "metrics.json", "neurons": "summary.json"}
    return Path(words[words.index("--out") + 1]) / ends[words[0]] if words[0] in ends else None
