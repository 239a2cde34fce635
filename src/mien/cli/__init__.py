"""The command line: a thin shell over the functions that Python users call. Heavy imports wait for their command."""

import io
import os
import signal
import sys
from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated

import typer

from mien.cli import (
    annotate,
    annotators,
    autoencoder,
    collect,
    compare,
    consistency,
    databases,
    duplicates,
    evaluate,
    export_and_adapt,
    face_sets,
    identities,
    label_errors,
    labels,
    neurons_and_explain,
    predict,
    prepare,
    protocol,
    rounds,
    runs,
    serve,
    tables_of_papers,
    train,
    watch,
)
from mien.cli.command import HELP, MienCommand, MienGroup, WrongUsage
from mien.cli.overview import EXAMPLES
from mien.errors import MienError
from mien.installed import explain_missing, own_version, require_extras
from mien.json_text import to_json
from mien.wording import plain_text

app = typer.Typer(
    cls=MienGroup,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Read facial expressions, and train recognizers from few or doubtful labels.",
)


def _tell_version(asked: bool) -> None:
    if asked:
        print(f"mien {own_version()}")
        raise typer.Exit()


EXTRAS = {
    "annotate": ("label",),
    "annotators": ("label",),
    "labels": ("label",),
    "rounds": ("label", "train"),
    "serve": ("serve",),
}
"""Commands that need several packages, some of which other extras bring too, and the extras that bring them all."""


@app.callback()
def _top(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_tell_version, help="Say which mien this is.")
    ] = False,
) -> None:
    """Options that stand before a command."""
    if "--help" not in sys.argv and sys.argv[1:2] != [HELP]:
        require_extras(*EXTRAS.get(context.invoked_subcommand or "", ()))


# In the order in which they are listed.
app.command("import")(face_sets.import_)
app.command()(databases.databases)
app.command()(prepare.prepare)
app.command()(collect.collect)
for _command in (
    face_sets.describe,
    face_sets.features,
    face_sets.convert,
    duplicates.duplicates,
    identities.identities,
    consistency.peaks,
    train.train,
    train.resume,
    predict.predict,
    watch.watch,
    serve.serve,
    export_and_adapt.adapt,
    export_and_adapt.export,
    evaluate.evaluate,
    evaluate.weights,
    label_errors.label_errors,
    evaluate.intensity,
    consistency.consistency,
    neurons_and_explain.neurons,
    neurons_and_explain.explain,
    identities.verify,
    compare.compare,
    protocol.protocol,
    rounds.rounds,
    annotate.annotate,
    train.recipes,
    runs.runs,
    train.demo,
):
    app.command()(_command)
app.add_typer(autoencoder.autoencoder, name="autoencoder")
app.add_typer(annotators.annotators, name="annotators")
app.add_typer(labels.labels, name="labels")
app.add_typer(tables_of_papers.tables, name="tables")


def _complete(one: typer.Typer, above: str = "") -> None:
    """Give each command what all have in common, an example, and the first paragraph of its help to be listed with.

    Of longer paragraphs a part would be left out.
    """
    for command in one.registered_commands:
        if command.callback is not None:
            command.short_help = " ".join((command.callback.__doc__ or "").partition("\n\n")[0].split())
            name = above + (command.name or command.callback.__name__.replace("_", "-"))
            command.cls, command.epilog = MienCommand, f"\b\nExample:\n  {EXAMPLES[name]}"
    for group in one.registered_groups:
        if group.typer_instance is not None:
            group.short_help = group.typer_instance.info.help
            _complete(group.typer_instance, f"{group.name} ")


_complete(app)


NAME = "mien"
"""The program's name in its help and in what shells complete, also where it runs as `python -m mien`."""
INTERRUPTED = 130
"""Exit code after Ctrl-C."""
_TABLES = (".csv", ".tsv", ".txt")
PRINTED = {"--csv": _TABLES, "--elan": _TABLES, "--json": (".json", ".jsonl", ".ndjson")}
"""Options that print, and how files end that people would have them write."""


def main() -> None:
    """Run the command line; a MienError is one sentence and exit code 1, wrong usage is exit code 2.

    The notes of whatever ended a command are said, too. With --json, errors are JSON on standard error, a line each.
    """
    # A polite end cleans up like an error does: no half-written set stays.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # Names of files need not be texts, nor has a terminal to know all letters.
            stream.reconfigure(errors="backslashreplace", encoding=_encoding(stream))
    as_json = "--json" in sys.argv[1:]
    try:
        _require_no_file(sys.argv[1:])
        app(prog_name=NAME)
    except SystemExit as end:
        how = _notes(end)
        if end.code == INTERRUPTED:
            alike = "mien prepare, collect, compare, protocol, tables run, rounds and autoencoder train"
            again = f"{alike} go on by the same command, training by mien resume RUN"
            _say_ended(as_json, "interrupted", *(how or [again]))
        elif how:
            _say_ended(as_json, "ended", *how)
        raise
    except WrongUsage as wrong:
        _say(as_json, wrong.error)
        sys.exit(wrong.code)
    except MienError as error:
        _say(as_json, error, *_notes(error))
        sys.exit(1)
    except ModuleNotFoundError as error:
        explained = explain_missing(error)
        if explained is None:
            raise
        _say(as_json, explained)
        sys.exit(1)
    except (MemoryError, RuntimeError) as error:
        if not _is_of_memory(error):
            raise
        told = MienError("enough memory", "too little", "take fewer or smaller faces, batches or networks")
        _say(as_json, told, *_notes(error))
        sys.exit(1)
    except OSError as error:
        where = f"{error.strerror or error}: {error.filename or ''}"
        told = MienError("to read and write files", where, "make room or check the path")
        _say(as_json, told, *_notes(error))
        sys.exit(1)


def _encoding(stream: io.TextIOWrapper) -> str | None:
    """UTF-8 for a file or a pipe on Windows, whose code pages are none that a reader of JSON or CSV knows; else as it is."""
    return "utf-8" if sys.platform == "win32" and not stream.isatty() and "PYTHONIOENCODING" not in os.environ else None


def _require_no_file(words: Sequence[str]) -> None:
    """Raises MienError for a new file's name after an option that prints: it would be taken for an input, or for OUT."""
    for option, word in pairwise(words):
        if word.lower().endswith(PRINTED.get(option, ())) and not os.path.lexists(word):
            todo = f"write what is printed to a file: mien ... {option} > {word}"
            raise MienError(f"no file's name after {option}, which prints", repr(word), todo)


def _is_of_memory(error: BaseException) -> bool:
    """Whether there was too little memory: torch has no class of its own for that on a processor."""
    return isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError" or "allocate memory" in str(error)


def _notes(error: BaseException) -> list[str]:
    """The notes of an error, or of the first error that it came from and that has some."""
    notes: list[str] = getattr(error, "__notes__", [])
    above = error.__cause__ or error.__context__
    return notes if notes or above is None else _notes(above)


def _say(as_json: bool, error: MienError, *notes: str) -> None:
    """Say an error and its notes on standard error, as a sentence or as JSON."""
    if not as_json:
        print(f"mien: {'; '.join(map(plain_text, (error, *notes)))}", file=sys.stderr)
        return
    parts = {name: getattr(error, name) for name in ("expected", "found", "todo")}
    print(to_json({"error": parts | ({"notes": notes} if notes else {})}, None, ascii_only=True), file=sys.stderr)


def _say_ended(as_json: bool, how: str, *notes: str) -> None:
    """Say what ended a command before its end, and what to do then."""
    if as_json:
        _say(True, MienError("the command to reach its end", how, "; ".join(notes)))
    else:
        print(f"mien: {'; '.join(map(plain_text, (how, *notes)))}", file=sys.stderr)
