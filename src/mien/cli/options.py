"""Options of commands: those that several share, those that stand for a setting, and how what was typed is read."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Any, get_args, get_type_hints

import typer

from mien.errors import MienError
from mien.faces.which_faces import Turns
from mien.media.file_limits import LimitSwitch
from mien.number_bounds import MOST, MOST_SEED, MOST_THREADS
from mien.preparation.preparation_settings import PreparationSettings
from mien.settings import require_fitting, setting_docs
from mien.wording import with_suggestion

MODEL_TAKEN = "A run, a model folder, or mien-s or mien-xs, which come with mien."
MODEL_READ = "A run, a model folder, an ONNX file of mien export, or mien-s or mien-xs, which come with mien."
"""What a command may be given that takes a model; and one that only reads with it."""


def whole_number(text: str, least: int = 1, most: int = MOST) -> Any:
    """An option that is a whole number, with `text` as its help."""
    return typer.Option(min=least, max=most, help=text)


def number(text: str, least: float, most: float) -> Any:
    """An option that is a number, with `text` as its help."""
    return typer.Option(min=least, max=most, help=text, callback=_refuse_nan)


def _refuse_nan(value: float | None) -> float | None:
    """Raises a usage error for what is no number, which is neither below nor above a bound."""
    if value is not None and value != value:
        raise typer.BadParameter(f"{value} is no number.")
    return value


def share(text: str) -> Any:
    """An option that is a share, from 0 to 1."""
    return number(text, 0, 1)


def seed_option(text: str = "Draws everything that is drawn.") -> Any:
    """An option that is a seed, with what it draws as its help."""
    return typer.Option(min=0, max=MOST_SEED, help=text)


def setting(
    kind: type[Any],
    field: str,
    *names: str,
    form: str = "",
    metavar: str | None = None,
    read: Callable[[str], object] | None = None,
    checked: bool = True,
) -> Any:
    """An option for a field of the settings `kind`: its help is the field's docstring, its bounds are the field's.

    What the settings would refuse is refused at once, with the option's name. `names`: unless given, the parameter's. `form`: how
    the value is written on the command line, where that is not plain. `read`: makes the field's value of what was typed, where
    that is a text for something else. `checked`: whether what was typed can be judged before the command runs.
    """
    hint = get_type_hints(kind, include_extras=True)[field]
    least, most = _bounds(hint)

    def check(value: Any) -> Any:
        try:
            if value is not None:
                require_fitting(hint, **{field: value if read is None else read(value)})
        except MienError as error:
            raise typer.BadParameter(f"expected {error.expected}, found {error.found}") from error
        return value

    text = " ".join([*setting_docs(kind)[field].split(), *([form] if form else [])])
    plain = read is None and checked
    return typer.Option(
        *names,
        help=text,
        metavar=metavar,
        min=least if plain else None,
        max=most if plain else None,
        callback=check if checked else None,
    )


def _bounds(hint: Any) -> tuple[float | None, float | None]:
    """The least and the most that a kind of number such as `Count | None` takes, None where there is no such bound."""
    least = most = None
    for part in (hint, *get_args(hint)):
        for mark in getattr(part, "__metadata__", ()):
            for bound in getattr(mark, "metadata", ()):
                least, most = getattr(bound, "ge", least), getattr(bound, "le", most)
    return least, most


Seed = Annotated[int, seed_option()]
Threads = Annotated[int | None, typer.Option(min=1, max=MOST_THREADS, help="Processor threads.")]
Trust = Annotated[bool, typer.Option("--trust", help="Run code from outside mien that a recipe names.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")]
Settings = Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a setting; may be repeated.")]
Limits = Annotated[
    LimitSwitch,
    typer.Option("--limits", help="Whether files have limits. off reads larger and slower ones, too: for files that you know."),
]
Turn = Annotated[Turns, setting(PreparationSettings, "turn", "--turn")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 for the second GPU, or mps.")]
Cluster = Annotated[
    str | None,
    typer.Option(metavar="ADDRESS", help="auto or HOST:PORT on a Ray cluster's machine, or local; machines share folders."),
]
Jobs = Annotated[int, whole_number("Runs at a time, each in a process with its share of the processors.", 1, 1000)]
TestSplit = Annotated[str | None, typer.Option(help="Split to test on. Unless given: test or PublicTest.")]
NEIGHBORS = (
    "A kind of neighbor (autoencoder, features, frames, mirror, pca, twins or views, with settings: 'views shift=0.05'), "
    "or a folder of mien autoencoder train."
)
"""The help of an option that says which neighbors are meant."""

FaceSetPath = Annotated[Path, typer.Argument(metavar="FACESET", help="Folder of a face set.")]
FaceSetOrPhotos = Annotated[Path, typer.Argument(metavar="FACESET", help="Folder of a face set, or of photos in class folders.")]


def key_values(given: str | list[str] | None, option: str) -> dict[str, str]:
    """`a=b,c=d`, or a list of `a=b`, as a dict. Raises a usage error that names the `option` for anything else."""
    parts = given.split(",") if isinstance(given, str) else given or []
    split = [part.partition("=") for part in parts]
    if not all(equals and key for key, equals, _ in split):
        raise typer.BadParameter(f"expected KEY=VALUE, found {given!r}", param_hint=option)
    return {key.strip(): value.strip() for key, _, value in split}


def class_names(given: str | None) -> dict[str, str]:
    """Our class by the name that others have for it, of `ours=theirs,...`; ours may come several times."""
    parts = [] if given is None else given.split(",")
    return {theirs: ours for part in parts for ours, theirs in key_values([part], "--classes").items()}


def comma_list(text: str) -> list[str]:
    """The parts of `a, b`, without spaces around them; empty ones are left out."""
    return [part.strip() for part in text.split(",") if part.strip()]


def folder_beside(model: Path, name: str) -> Path:
    """Where a command leaves what it finds of a run: in its folder, or beside a file; of a bundled model: here, by its name."""
    from mien.recognize.bundled import BUNDLED

    return Path(f"{model}-{name}") if str(model) in BUNDLED or model.is_file() else model / name


def trust_typed(*given: Any, trusted: bool = False, recipes: Iterable[str | None] = ()) -> None:
    """Import the modules of code that somebody typed the name of: `package.module:Name`.

    Where that is `trusted`, so is the code that the `recipes` name, and the recipes' files that are typed elsewhere.
    """
    from mien.json_toml import parse_word
    from mien.recipes.recipe_files import files_of, trust_recipe
    from mien.registry import import_named

    for name in recipes if trusted else ():
        if name is not None:
            trust_recipe(name)

    for one in given:
        values = (
            {key: parse_word(value) for key, value in one.items() if isinstance(value, str)} if isinstance(one, dict) else one
        )
        import_named(values)
        for file in files_of(values) if trusted else ():
            trust_recipe(file)


def one_of(given: str, known: tuple[str, ...], option: str) -> str:
    """`given`, which is among `known`. Raises MienError that names the `option` for anything else."""
    if given not in known:
        raise MienError(f"{option} among {', '.join(known)}", with_suggestion(given, known), "choose one of those")
    return given
