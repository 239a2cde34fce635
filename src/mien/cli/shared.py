"""What several commands share: options, and how they print."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

from mien.plain import plain, to_json

if TYPE_CHECKING:
    from mien.evaluation.result import Evaluation

Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines and nothing else.")]
Settings = Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a setting; may be repeated.")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
OwnUnlabeled = Annotated[
    bool, typer.Option(help="Learn from the faces beyond the label budget as unlabeled ones, beside those of --unlabeled.")
]
FaceSetPath = Annotated[Path, typer.Argument(metavar="FACESET", help="Folder of a face set.")]
FaceSetOrPhotos = Annotated[Path, typer.Argument(metavar="FACESET", help="Folder of a face set, or of photos in class folders.")]


def pairs(given: str | list[str] | None, option: str) -> dict[str, str]:
    """`a=b,c=d`, or a list of `a=b`, as a dict. Raises a usage error otherwise."""
    parts = given.split(",") if isinstance(given, str) else given or []
    split = [part.partition("=") for part in parts]
    if not all(equals and key for key, equals, _ in split):
        raise typer.BadParameter(f"expected KEY=VALUE, found {given!r}", param_hint=option)
    return {key.strip(): value.strip() for key, _, value in split}


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


def show_evaluation(result: "Evaluation", as_json: bool, places: list[str]) -> None:
    """An evaluation as JSON, or as tables and then where more of it lies."""
    from mien.console import evaluation_tables, show

    if as_json:
        print_json(result.to_json())
        return
    for table in evaluation_tables(result):
        show(table)
    if "warning" in result.notes:
        say(f"warning: {result.notes['warning']}", file=sys.stderr)
    say(*places, sep="\n")
