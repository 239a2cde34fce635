"""How long work tells how far it is; the command line draws bars, everybody else may stay silent."""

from typing import Protocol


class Progress(Protocol):
    """`begin` names a piece of work and its size in faces (0: unknown), `advance` counts, `say` is a line for people."""

    def begin(self, title: str, total: int) -> None: ...

    def advance(self, faces: int) -> None: ...

    def say(self, text: str) -> None: ...


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
