"""The command line: a thin shell over the functions that Python users call. Heavy imports wait for their command."""

import io
import signal
import sys

import typer

from mien.cli import (
    annotate,
    annotators,
    comparing,
    consistency,
    data,
    doubts,
    exporting,
    identities,
    looking,
    measure,
    neighbors,
    predicting,
    preparing,
    rounds,
    training,
    twins,
)
from mien.errors import MienError
from mien.plain import plain

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Train facial-expression recognizers from few labels, doubtful labels and many faces without labels.",
)

# In the order in which they are listed.
app.command("import")(data.import_)
app.command()(preparing.prepare)
for _command in (
    data.describe,
    data.features,
    data.convert,
    twins.twins,
    identities.identities,
    consistency.peaks,
    training.train,
    training.resume,
    predicting.predict,
    predicting.watch,
    exporting.adapt,
    exporting.export,
    measure.evaluate,
    measure.weights,
    doubts.doubts,
    measure.intensity,
    consistency.consistency,
    looking.neurons,
    looking.explain,
    identities.verify,
    comparing.compare,
    rounds.rounds,
    annotate.annotate,
    training.recipes,
    training.demo,
):
    app.command()(_command)
app.add_typer(neighbors.neighbors, name="neighbors")
app.add_typer(annotators.annotators, name="annotators")
app.add_typer(annotate.labels, name="labels")


INTERRUPTED = 130
"""Exit code after Ctrl-C."""


def main() -> None:
    """Run the command line; a MienError is one sentence and exit code 1, wrong usage is exit code 2.

    The notes of whatever ended a command are said, too.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a name may have letters that the terminal cannot write
    # A polite end cleans up like an error does: no half-written set stays.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # Names of files need not be texts, nor has a terminal to know all letters.
            stream.reconfigure(errors="backslashreplace")
    try:
        app()
    except SystemExit as end:
        how = _notes(end)
        if end.code == INTERRUPTED:
            again = "mien prepare, compare, rounds and neighbors go on by the same command, training with mien resume RUN"
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


def _is_of_memory(error: BaseException) -> bool:
    """Whether there was not enough: torch has no class of its own for that on a processor."""
    return isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError" or "allocate memory" in str(error)


def _notes(error: BaseException) -> list[str]:
    """Those of an error, or of the first that it came from and that has some."""
    notes: list[str] = getattr(error, "__notes__", [])
    above = error.__cause__ or error.__context__
    return notes if notes or above is None else _notes(above)


def _say(*parts: str) -> None:
    print(f"mien: {'; '.join(map(plain, parts))}", file=sys.stderr)
