"""How long work tells how far it is: the command line draws bars, other callers may stay silent."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from mien.terminal import ProgressBar


class Progress(Protocol):
    """Hears how far work is: `begin` names the work and its size in faces (0: unknown), `advance` adds faces, `say` is for
    people.
    """

    def begin(self, title: str, total: int) -> None: ...

    def advance(self, faces: int) -> None: ...

    def say(self, text: str) -> None: ...


@runtime_checkable
class PartProgress(Protocol):
    """A progress that also shows which part of its work is being done."""

    def part(self, text: str) -> None:
        """Show the current part of the work that began last, such as `epoch 3 of 40`."""
        ...


def tell_part(progress: Progress, text: str) -> None:
    """Show the current part of the work, where `progress` shows parts."""
    if isinstance(progress, PartProgress):
        progress.part(text)


@runtime_checkable
class EpochProgress(Protocol):
    """A progress that also hears what came of each epoch of a training."""

    def epoch(self, name: str, history: Sequence[Mapping[str, float]]) -> None:
        """Hear the figures of all epochs so far, the last one new. `name`: a part of a run, such as its autoencoder, or ""."""
        ...


def tell_epoch(progress: Progress, name: str, history: Sequence[Mapping[str, float]]) -> None:
    """Tell of an epoch that is over, where `progress` hears of epochs."""
    if isinstance(progress, EpochProgress):
        progress.epoch(name, history)


def duration(seconds: float) -> str:
    """A time in seconds as people say it, roughly: `3.5 s`, `12 min`, `1.5 h`."""
    if seconds < 100:
        return f"{seconds:.{0 if seconds >= 10 else 1}f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


class Silent:
    """A progress that shows nothing."""

    def begin(self, title: str, total: int) -> None:
        """Shows nothing."""

    def advance(self, faces: int) -> None:
        """Shows nothing."""

    def say(self, text: str) -> None:
        """Shows nothing."""


class Quiet:
    """The progress of one run among many: its bar bears the run's name, and only what is said before training is shown.

    A sentence is shown once among all that share the set `said`.
    """

    def __init__(self, bar: Progress, title: str, said: set[str]) -> None:
        self.bar = bar
        self.title = title
        self.said = said
        self.began = False

    def begin(self, title: str, total: int) -> None:
        """Begin a bar with the run's name before the title."""
        self.began = True
        self.bar.begin(f"{self.title}, {title}", total)

    def part(self, text: str) -> None:
        """Show the current part of the work, where the bar shows parts."""
        tell_part(self.bar, text)

    def advance(self, faces: int) -> None:
        """Advance the bar by some faces."""
        self.bar.advance(faces)

    def say(self, text: str) -> None:
        """Show a sentence, unless training has begun: there may be thousands of epochs."""
        if not self.began:
            self.warn(text)

    def warn(self, text: str) -> None:
        """Show a sentence, unless it was shown before."""
        if text not in self.said:
            self.said.add(text)
            self.bar.say(text)


def progress_bar(quiet: bool = False, single: bool = False) -> "ProgressBar":
    """The bar that commands draw, with speed and time left: `with progress_bar() as bar: train(..., progress=bar)`.

    Silent where `quiet`, and where the error stream is no terminal but for what is said. `single`: a new bar takes the place of
    the last.
    """
    from mien.terminal import ProgressBar

    return ProgressBar(quiet, single)
