"""How commands print: a result as text or JSON on standard output, warnings and notes on standard error."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from mien.json_text import to_json
from mien.wording import percent, plain_text, quantity

if TYPE_CHECKING:
    from mien.cli.tables import TextTable
    from mien.data.faceset import FaceSet
    from mien.evaluation.evaluation_result import Evaluation


def say(*parts: object, sep: str = " ", end: str = "\n", file: TextIO | None = None, flush: bool = False) -> None:
    """Print as `print` does, but names as they are: of a part with control characters these are written out, line breaks too."""
    print(*map(plain_text, parts), sep=sep, end=end, file=file, flush=flush)


def note(text: str) -> None:
    """Print a line on standard error; nothing for an empty text."""
    if text:
        say(text, file=sys.stderr)


def warn(text: str) -> None:
    """Print a warning on standard error; nothing for an empty text."""
    if text:
        note(f"warning: {text}")


def note_held_out(faces: int) -> None:
    """Note that so many faces were left out since they are held out for tests; nothing for none."""
    held = quantity(faces, "face held out for tests is", "faces held out for tests are")
    note(f"{held} left out (--split all takes them)" if faces else "")


def print_json(values: Any) -> None:
    """Print values as JSON, for machines."""
    print(to_json(values, ascii_only=True))


def print_result(as_json: bool, values: Any, *parts: "str | Path | TextTable") -> None:
    """Print a result: its values as JSON, or its parts one below the other, each a line or a table."""
    if as_json:
        print_json(values)
        return
    for part in parts:
        if isinstance(part, str | Path):
            say(part)
        else:
            from mien.cli.tables import show_table

            show_table(part)


def warn_of_few_tests(faces: "FaceSet") -> None:
    """Warn where the split `test` has too few labeled faces to say much, or will have when faces are labeled."""
    from mien.evaluation.evaluation_result import few_faces_caution

    labels = faces.labels[faces.values("split") == "test"]
    if not (faces.labels >= 0).any():
        todo = "label first: mien labels apply --test 0.2 draws them among the labeled ones"
        warn(f"no face has a label yet, and few of the test faces may get one; {todo}")
    else:
        warn(few_faces_caution({name: int((labels == number).sum()) for number, name in enumerate(faces.classes)}))


def warn_of_untested(faces: "FaceSet") -> None:
    """Warn of classes whose faces are all in other splits than `test`: no figure will be about them."""
    tested = faces.values("split") == "test"
    left = [
        name for number, name in enumerate(faces.classes) if (faces.labels == number).any() and number not in faces.labels[tested]
    ]
    if left and (faces.labels >= 0).any():
        said = f"no test face of {', '.join(left)}: figures will not be about {'it' if len(left) == 1 else 'them'}"
        warn(f"{said}; add faces, or take a larger --test")


def print_evaluation(result: "Evaluation", as_json: bool, places: list[str]) -> None:
    """Print an evaluation as JSON, or as tables and then where more of it lies."""
    if as_json:
        print_json(result.to_json())
        return
    from mien.cli.result_tables import evaluation_tables

    print_result(False, None, *evaluation_tables(result), sure_answers(result), *unlike_faces(result))
    for text in (*result.cautions, result.notes.get("warning", "")):
        warn(text)
    print_result(False, None, *places)


def sure_answers(result: "Evaluation") -> str:
    """How many answers are sure, and how often these are right, in a sentence."""
    many, right = (result.intervals[name] for name in ("sure", "sure_right"))
    if not result.sure:
        return "sure answers: none of the faces has one"
    said = f"sure answers: {percent(result.sure)} of the faces ({percent(many.low)} to {percent(many.high)}) have one, "
    return said + f"and {percent(result.sure_right)} of these are right ({percent(right.low)} to {percent(right.high)})"


def unlike_faces(result: "Evaluation") -> list[str]:
    """A sentence on how many of the faces are unlike those of training; none where the model cannot tell."""
    if result.unlike is None:
        return []
    between = result.intervals["unlike"]
    said = f"unlike the training faces: {percent(result.unlike)} of the faces ({percent(between.low)} to {percent(between.high)})"
    return [f"{said}{', whose answers are not sure' if result.unlike else ''}"]


def confirm(question: str) -> None:
    """Raises MienError where there is nobody to ask, or they say no."""
    import typer

    from mien.errors import MienError

    if not sys.stdin.isatty():
        raise MienError("--yes", "nobody at a terminal to ask", "give --yes where that is meant")
    if not typer.confirm(question, err=True):
        raise MienError("a yes", "a no", "nothing was changed")
