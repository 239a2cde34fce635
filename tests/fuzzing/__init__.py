"""Inputs that nobody made with good intent, read by mien the way its commands read them.

Each module here is a kind. `make(generator, folder)` writes one input into an empty folder, the same for the same generator.
`read(folder)` lets mien read it: it returns, or raises MienError; anything else is a fault. What `read` needs once, such as
libraries and models, may be loaded by `begin()`, so that it does not count as memory of an input.

`python -m fuzzing KIND... --count N` reads many, and tests/test_fuzzing.py a few of every kind.
"""

import importlib
import os
import resource
import shutil
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Literal, Protocol, cast

import numpy as np

from mien.errors import MienError

KINDS = tuple(sorted(file.stem for file in Path(__file__).parent.glob("*.py") if not file.stem.startswith("_")))
"""What there is to be read."""
SECONDS = 30.0
"""An input that takes longer hangs."""
MEMORY = 10**9
"""Bytes above the start that an input may take."""
BEGIN = 600.0
"""Seconds that a process may take to be there."""

Ending = Literal["read", "refused", "faults", "crashes", "hangs"]
"""How reading an input ends."""


class Kind(Protocol):
    """A module of this folder."""

    def make(self, generator: np.random.Generator, folder: Path) -> None: ...

    def read(self, folder: Path) -> None: ...


@dataclass(frozen=True)
class Outcome:
    """What became of an input."""

    number: int
    ending: Ending
    said: str
    """The refusal, the traceback, or the last words of a process that died."""
    memory: int
    """Bytes above the start at most."""
    seconds: float


@dataclass
class Report:
    """What became of all inputs of a kind."""

    kind: str
    seed: int
    endings: Counter[Ending] = field(default_factory=Counter)
    heaviest: Outcome | None = None
    slowest: Outcome | None = None
    failed: list[Outcome] = field(default_factory=list)
    """Faults, crashes and hangs, and what took too much memory."""

    def add(self, one: Outcome) -> bool:
        """Count one; whether it failed."""
        self.endings[one.ending] += 1
        if self.heaviest is None or one.memory > self.heaviest.memory:
            self.heaviest = one
        if self.slowest is None or one.seconds > self.slowest.seconds:
            self.slowest = one
        failed = one.ending not in ("read", "refused") or one.memory >= MEMORY
        self.failed += [one] if failed else []
        return failed

    def to_json(self) -> dict[str, Any]:
        """Everything, with megabytes for bytes."""
        counts = {ending: self.endings[ending] for ending in ("read", "refused", "faults", "crashes", "hangs")}
        most = {"memory_mb": round(self.heaviest.memory / 1e6, 1), "heaviest": self.heaviest.number} if self.heaviest else {}
        slow = {"seconds": round(self.slowest.seconds, 2), "slowest": self.slowest.number} if self.slowest else {}
        failed = [asdict(one) for one in self.failed]
        return {"kind": self.kind, "seed": self.seed, **counts, **most, **slow, "failed": failed}


def make_input(kind: str, seed: int, number: int, folder: Path) -> None:
    """The input of this number, in a new folder."""
    folder.mkdir(parents=True)
    module(kind).make(np.random.default_rng([seed, number]), folder)


def module(kind: str) -> Kind:
    """The module of a kind: one here, or another by its whole name."""
    return cast(Kind, importlib.import_module(kind if "." in kind else f"{__name__}.{kind}"))


def fuzz(
    kind: str,
    numbers: range,
    seed: int = 0,
    seconds: float = SECONDS,
    keep: Path | None = None,
    done: Callable[[Report], None] = lambda report: None,
) -> Report:
    """Read the inputs of these numbers, each in a process that is begun again where it crashed or hung.

    What failed is kept in `keep`, with what was said. `done` is called after each input.
    """
    report = Report(kind, seed)
    with tempfile.TemporaryDirectory() as work:
        reader: Reader | None = None
        try:
            for number in numbers:
                folder = Path(work, f"{number:06d}")
                make_input(kind, seed, number, folder)
                reader = reader or Reader(kind, Path(work))
                one = reader.read(number, folder, seconds)
                if one.ending in ("crashes", "hangs"):
                    reader.end()
                    reader = None
                if report.add(one) and keep is not None:
                    _keep(one, keep / f"{kind}-{seed}-{number:06d}", kind, seed)
                shutil.rmtree(folder, ignore_errors=True)
                done(report)
        finally:
            if reader is not None:
                reader.end()
    return report


def _keep(one: Outcome, place: Path, kind: str, seed: int) -> None:
    """The input as it was made: reading it may have changed it."""
    shutil.rmtree(place, ignore_errors=True)
    make_input(kind, seed, one.number, place)
    (place / "what-was-said.txt").write_text(f"{one.ending}, {one.memory:,} bytes, {one.seconds:.1f} s\n{one.said}\n")


class Reader:
    """A process that reads one input after the other."""

    def __init__(self, kind: str, work: Path) -> None:
        # Each begins as a copy of a process that has loaded the most already: to load torch takes seconds.
        context = get_context("forkserver")
        context.set_forkserver_preload(["mien.training.train", "mien.evaluation.evaluate"])
        self._log, (self._pipe, theirs) = work / "log.txt", context.Pipe()
        # No daemon: what is read may begin processes itself. It ends when the pipe does.
        self._process = context.Process(target=_serve, args=(theirs, kind, str(self._log)))
        self._process.start()
        theirs.close()
        try:
            if not self._pipe.poll(BEGIN):
                raise EOFError
            self._pipe.recv()
        except EOFError as error:
            self.end()
            raise RuntimeError(f"the process that reads {kind} did not begin:\n{self._said()}") from error

    def read(self, number: int, folder: Path, seconds: float) -> Outcome:
        """What became of an input; after a crash or a hang the process is of no more use."""
        start = _begin_memory(self._process.pid)
        ending: Ending
        begun, ending, said = time.monotonic(), "hangs", ""
        self._pipe.send(str(folder))
        try:
            if self._pipe.poll(seconds):
                ending, said, most = self._pipe.recv()
                return Outcome(number, ending, said, max(0, most - start), time.monotonic() - begun)
        except (EOFError, OSError):
            self._process.join(SECONDS)
            ending, said = "crashes", f"exit code {self._process.exitcode}\n{self._said()}"
        return Outcome(number, ending, said, max(0, _most_memory(self._process.pid) - start), time.monotonic() - begun)

    def end(self) -> None:
        """At once."""
        self._process.kill()
        self._process.join()
        self._pipe.close()

    def _said(self) -> str:
        return self._log.read_text("utf-8", "replace")[-4000:] if self._log.is_file() else ""


def _serve(pipe: Connection, kind: str, log: str) -> None:
    """Read what comes, until the pipe ends; whatever is printed goes to the log."""
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(file, 1)
    os.dup2(file, 2)
    reads = module(kind)
    getattr(reads, "begin", lambda: None)()
    pipe.send(None)
    with suppress(EOFError, OSError):
        while True:
            folder = pipe.recv()
            ending, said = _outcome(reads, Path(folder))
            os.ftruncate(file, 0)
            pipe.send((ending, said, _most_memory(os.getpid())))


def _outcome(reads: Kind, folder: Path) -> tuple[Ending, str]:
    with _stay_here():
        try:
            reads.read(folder)
        except MienError as error:
            return "refused", str(error)
        except BaseException:  # SystemExit is none that a reader raises
            return "faults", traceback.format_exc()[-8000:]
    return "read", ""


@contextmanager
def _stay_here() -> Iterator[None]:
    place = Path.cwd()
    try:
        yield
    finally:
        os.chdir(place)


def _begin_memory(pid: int | None) -> int:
    """The bytes that a process has now, from where its most is counted (Linux); elsewhere its most until now."""
    if not sys.platform.startswith("linux"):
        return _most_memory(pid)
    Path(f"/proc/{pid}/clear_refs").write_text("5")
    return _status(pid, "VmRSS")


def _most_memory(pid: int | None) -> int:
    """The most bytes since then. Elsewhere than on Linux a process can say that of itself alone."""
    if sys.platform.startswith("linux"):
        return _status(pid, "VmHWM")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _status(pid: int | None, name: str) -> int:
    """0 for a process that is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:")), 0)
