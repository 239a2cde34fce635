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
