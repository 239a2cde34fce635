"""What several commands share: options, and how they print."""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

from mien.limits import MOST, MOST_SEED, MOST_THREADS
from mien.media.limits import Switch
from mien.plain import plain, to_json

if TYPE_CHECKING:
    from mien.data.faceset import FaceSet
    from mien.evaluation.evaluation_result import Evaluation


def whole(text: str, least: int = 1, most: int = MOST) -> Any:
    """An option that is a whole number, with `text` as its help."""
    return typer.Option(min=least, max=most, help=text)


def number(text: str, least: float, most: float) -> Any:
    """An option that is a number, with `text` as its help."""
    return typer.Option(min=least, max=most, help=text, callback=_a_number)


def _a_number(value: float | None) -> float | None:
    """What is no number is neither below nor above a bound."""
    if value is not None and value != value:
        raise typer.BadParameter(f"{value} is no number.")
    return value


def share(text: str) -> Any:
    """An option that is a share, from 0 to 1."""
    return number(text, 0, 1)


def seed_option(text: str = "Draws everything that is drawn.") -> Any:
    """A seed, with what it draws as its help."""
    return typer.Option(min=0, max=MOST_SEED, help=text)


Seed = Annotated[int, seed_option()]
Threads = Annotated[int | None, typer.Option(min=1, max=MOST_THREADS, help="Processor threads.")]
Trust = Annotated[bool, typer.Option("--trust", help="Run the code beyond mien that recipes name.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines and nothing else.")]
Settings = Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a setting; may be repeated.")]
Limits = Annotated[
    Switch, typer.Option("--limits", help="Limits of files: off reads what is larger or takes longer, if you know it.")
]
Turn = Annotated[bool, typer.Option("--turn", help="Find faces in photos that lie on their side or upside down, too.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 for the second GPU, or mps.")]
Start = Annotated[
    str | None, typer.Option(metavar="MODEL", help="Start from a model's weights, on its network: mien-s, a run, a model folder.")
]
OwnUnlabeled = Annotated[
    bool, typer.Option(help="Learn from the faces beyond the label budget as unlabeled ones, beside those of --unlabeled.")
]
TestSplit = Annotated[str | None, typer.Option(help="Split to test on; test or PublicTest unless said.")]
FaceSetPath = Annotated[Path, typer.Argument(metavar="FACESET", help="Folder of a face set.")]
FaceSetOrPhotos = Annotated[Path, typer.Argument(metavar="FACESET", help="Folder of a face set, or of photos in class folders.")]


def pairs(given: str | list[str] | None, option: str) -> dict[str, str]:
    """`a=b,c=d`, or a list of `a=b`, as a dict. Raises a usage error otherwise."""
    parts = given.split(",") if isinstance(given, str) else given or []
    split = [part.partition("=") for part in parts]
    if not all(equals and key for key, equals, _ in split):
        raise typer.BadParameter(f"expected KEY=VALUE, found {given!r}", param_hint=option)
    return {key.strip(): value.strip() for key, _, value in split}


def listed(classes: str) -> list[tuple[str, str]]:
    """`ours=theirs` pairs; ours may come several times."""
    return [pair for part in classes.split(",") for pair in pairs([part], "--classes").items()]


def say(*parts: object, sep: str = " ", end: str = "\n", file: TextIO | None = None, flush: bool = False) -> None:
    """As `print`, but names are shown as they are: a part with control characters has them written out, line breaks too."""
    print(*map(plain, parts), sep=sep, end=end, file=file, flush=flush)


def print_json(values: Any) -> None:
    """For machines."""
    print(to_json(values, ascii_only=True))


def print_values(as_json: bool, values: Any, *lines: str) -> None:
    """The values as JSON, or these lines."""
    if as_json:
        print_json(values)
    else:
        say(*lines, sep="\n")


def own_folder(model: Path, name: str) -> Path:
    """Where a command leaves what it finds of a run: in its folder; of a model that comes with mien: here, under its name."""
    from mien.recognize.bundled import BUNDLED

    return Path(f"{model}-{name}") if str(model) in BUNDLED else model / name


def typed(*given: Any, trusted: bool = False, recipes: Iterable[str | None] = ()) -> None:
    """What somebody typed may name code of theirs: its modules are imported.

    Where that is `trusted`, so is the code that the `recipes` name, and the recipes' files that are typed elsewhere.
    """
    from mien.disk import value_of
    from mien.recipes.recipe_files import files_of, trust_recipe
    from mien.registry import trust

    for name in recipes if trusted else ():
        if name is not None:
            trust_recipe(name)

    for one in given:
        values = {key: value_of(value) for key, value in one.items() if isinstance(value, str)} if isinstance(one, dict) else one
        trust(values)
        for file in files_of(values) if trusted else ():
            trust_recipe(file)


def warn_of_few_tests(faces: "FaceSet") -> None:
    """A line on stderr where the split `test` has too few labeled faces to say much, or will have when faces are labeled."""
    from mien.evaluation.evaluation_result import few_faces_caution

    labels = faces.labels[faces.values("split") == "test"]
    if not (faces.labels >= 0).any():
        todo = "label first: mien labels apply --test 0.2 draws them among the labeled ones"
        say(f"warning: no face has a label yet, and few of the test faces may get one; {todo}", file=sys.stderr)
    elif text := few_faces_caution({name: int((labels == number).sum()) for number, name in enumerate(faces.classes)}):
        say(f"warning: {text}", file=sys.stderr)


def warn_of_untested(faces: "FaceSet") -> None:
    """A line on stderr that names the classes whose faces are all in other splits than `test`: no figure will be about them."""
    tested = faces.values("split") == "test"
    left = [
        name for number, name in enumerate(faces.classes) if (faces.labels == number).any() and number not in faces.labels[tested]
    ]
    if left and (faces.labels >= 0).any():
        said = f"no test face of {', '.join(left)}: figures will not be about {'it' if len(left) == 1 else 'them'}"
        say(f"warning: {said}; add faces, or take a larger --test", file=sys.stderr)


def show_evaluation(result: "Evaluation", as_json: bool, places: list[str]) -> None:
    """An evaluation as JSON, or as tables and then where more of it lies."""
    from mien.cli.console import evaluation_tables, show

    if as_json:
        print_json(result.to_json())
        return
    for table in evaluation_tables(result):
        show(table)
    say(sure_answers(result))
    for text in (*result.cautions, *([result.notes["warning"]] if "warning" in result.notes else [])):
        say(f"warning: {text}", file=sys.stderr)
    say(*places, sep="\n")


def sure_answers(result: "Evaluation") -> str:
    """How many answers are sure, and how often these are right, in a sentence."""
    many, right = (result.intervals[name] for name in ("sure", "sure_right"))
    if not result.sure:
        return "sure answers: none of the faces has one"
    said = f"sure answers: {result.sure:.1%} of the faces ({many.low:.1%} to {many.high:.1%}) have one, "
    return said + f"and {result.sure_right:.1%} of these are right ({right.low:.1%} to {right.high:.1%})"
