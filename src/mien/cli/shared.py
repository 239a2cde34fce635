"""What several commands share: options, and how they print."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mien.files.limits import Switch

if TYPE_CHECKING:
    from mien.evaluation.result import Evaluation

Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines and nothing else.")]
Settings = Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a setting; may be repeated.")]
Limits = Annotated[
    Switch, typer.Option("--limits", help="Limits of files: off reads what is larger or takes longer, if you know it.")
]
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


def print_values(as_json: bool, values: Any, text: str) -> None:
    """The values as JSON, or the text."""
    print(json.dumps(values, indent=1, default=str) if as_json else text)


def show_evaluation(result: "Evaluation", as_json: bool, places: list[str]) -> None:
    """An evaluation as JSON, or as tables and then where more of it lies."""
    from mien.console import evaluation_tables, show

    if as_json:
        print(json.dumps(result.to_json(), indent=1))
        return
    for table in evaluation_tables(result):
        show(table)
    if "warning" in result.notes:
        print(f"warning: {result.notes['warning']}", file=sys.stderr)
    print("\n".join(places))
