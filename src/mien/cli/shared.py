"""What several commands share: options, and how they print."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from mien.data.faceset import FaceSet
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


def warn_of_few_tests(faces: "FaceSet") -> None:
    """A line on stderr where the split `test` has too few labeled faces to say much, or will have when faces are labeled."""
    from mien.evaluation.result import thin

    labels = faces.labels[faces.values("split") == "test"]
    if not (faces.labels >= 0).any():
        todo = "label first: mien labels apply --test 0.2 draws them among the labeled ones"
        print(f"warning: no face has a label yet, and few of the test faces may get one; {todo}", file=sys.stderr)
    elif text := thin({name: int((labels == number).sum()) for number, name in enumerate(faces.classes)}):
        print(f"warning: {text}", file=sys.stderr)


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
    print(sure_answers(result))
    for text in (*result.cautions, *([result.notes["warning"]] if "warning" in result.notes else [])):
        print(f"warning: {text}", file=sys.stderr)
    print("\n".join(places))


def sure_answers(result: "Evaluation") -> str:
    """How many answers are sure, and how often these are right, in a sentence."""
    many, right = (result.intervals[name] for name in ("sure", "sure_right"))
    if not result.sure:
        return "sure answers: none of the faces has one"
    said = f"sure answers: {result.sure:.1%} of the faces ({many.low:.1%} to {many.high:.1%}) have one, "
    return said + f"and {result.sure_right:.1%} of these are right ({right.low:.1%} to {right.high:.1%})"
