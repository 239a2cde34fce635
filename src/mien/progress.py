"""How long work tells how far it is; the command line draws bars, everybody else may stay silent."""

from typing import Protocol, runtime_checkable


class Progress(Protocol):
    """`begin` names a piece of work and its size in faces (0: unknown), `advance` counts, `say` is a line for people."""

    def begin(self, title: str, total: int) -> None: ...

    def advance(self, faces: int) -> None: ...

    def say(self, text: str) -> None: ...


@runtime_checkable
class PartProgress(Protocol):
    """A progress that also shows which part of its work is done now."""

    def part(self, text: str) -> None:
        """Such as `epoch 3 of 40`, of the work that began last."""
        ...


def tell_part(progress: Progress, text: str) -> None:
    """Tell it to a progress that shows parts; to others it makes no difference."""
    if isinstance(progress, PartProgress):
        progress.part(text)


def duration(seconds: float) -> str:
    """A time in words, roughly."""
    if seconds < 100:
        return f"{seconds:.{0 if seconds >= 10 else 1}f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


class Silent:
    """Says nothing."""

    def begin(self, title: str, total: int) -> None:
        """Nothing."""

    def advance(self, faces: int) -> None:
        """Nothing."""

    def say(self, text: str) -> None:
        """Nothing."""


class Quiet:
    """The progress of one run among many: its bar has the run's name; of what it says, only what comes before training, and each
    sentence once among all who share `said`."""

    def __init__(self, bar: Progress, title: str, said: set[str]) -> None:
        self.bar, self.title, self.said, self.began = bar, title, said, False

    def begin(self, title: str, total: int) -> None:
        """A bar with the run's name."""
        self.began = True
        self.bar.begin(f"{self.title}, {title}", total)

    def part(self, text: str) -> None:
        """Shown where the bar shows it."""
        tell_part(self.bar, text)

    def advance(self, faces: int) -> None:
        """So many more."""
        self.bar.advance(faces)

    def say(self, text: str) -> None:
        """Not every epoch: there may be thousands."""
        if not self.began:
            self.warn(text)

    def warn(self, text: str) -> None:
        """A sentence, once."""
        if text not in self.said:
            self.said.add(text)
            self.bar.say(text)
