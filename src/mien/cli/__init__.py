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
    tables_of_papers,
    train,
)
from mien.errors import MienError
from mien.installed import own_version
from mien.wording import plain_text

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Train facial-expression recognizers from few labels, doubtful labels and many faces without labels.",
)


def _tell_version(asked: bool) -> None:
    if asked:
        print(f"mien {own_version()}")
        raise typer.Exit()


@app.callback()
def _top(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_tell_version, help="Say which mien this is.")
    ] = False,
) -> None:
    """Options that stand before a command."""


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
    predict.watch,
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
    train.demo,
):
    app.command()(_command)
app.add_typer(autoencoder.autoencoder, name="autoencoder")
app.add_typer(annotators.annotators, name="annotators")
app.add_typer(labels.labels, name="labels")
app.add_typer(tables_of_papers.tables, name="tables")


def _whole_lines(one: typer.Typer) -> None:
    """Commands are listed with the first paragraph of what they do: of longer ones a part would be left out."""
    for command in one.registered_commands:
        command.short_help = " ".join((command.callback.__doc__ or "").partition("\n\n")[0].split()) if command.callback else None
    for group in one.registered_groups:
        if group.typer_instance is not None:
            group.short_help = group.typer_instance.info.help
            _whole_lines(group.typer_instance)


_whole_lines(app)


INTERRUPTED = 130
"""Exit code after Ctrl-C."""
_TABLES = (".csv", ".tsv", ".txt")
PRINTED = {"--csv": _TABLES, "--elan": _TABLES, "--json": (".json", ".jsonl", ".ndjson")}
"""Options that print, and how files end that people would have them write."""


def main() -> None:
    """Run the command line; a MienError is one sentence and exit code 1, wrong usage is exit code 2.

    The notes of whatever ended a command are said, too.
    """
    # A polite end cleans up like an error does: no half-written set stays.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # Names of files need not be texts, nor has a terminal to know all letters.
            stream.reconfigure(errors="backslashreplace")
    try:
        _require_no_file(sys.argv[1:])
        app()
    except SystemExit as end:
        how = _notes(end)
        if end.code == INTERRUPTED:
            alike = "mien prepare, collect, compare, protocol, tables run, rounds and autoencoder train"
            again = f"{alike} go on by the same command, training by mien resume RUN"
            _say("interrupted", *(how or [again]))
        elif how:
            _say("ended", *how)
        raise
    except MienError as error:
        _say(str(error), *_notes(error))
        sys.exit(1)
    except (MemoryError, RuntimeError) as error:
        if not _is_of_memory(error):
            raise
        _say("expected enough memory; found too little; take fewer or smaller faces, batches or networks", *_notes(error))
        sys.exit(1)
    except OSError as error:
        where = f"{error.strerror or error}: {error.filename or ''}"
        _say(f"expected to read and write files; found {where}; make room or check the path", *_notes(error))
        sys.exit(1)


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


def _say(*parts: str) -> None:
    print(f"mien: {'; '.join(map(plain_text, parts))}", file=sys.stderr)
