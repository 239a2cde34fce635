"""What techniques keep from one call to the next: values by name, each of one type."""

from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


class Memory:
    """Values by name. In `run.state` they are tensors, numbers, texts, and lists or dicts of these: checkpoints hold them."""

    def __init__(self, values: dict[str, Any] | None = None) -> None:
        self.values: dict[str, Any] = {} if values is None else values
        """All values by name."""

    def __contains__(self, name: str) -> bool:
        return name in self.values

    def get(self, name: str, kind: type[T], make: Callable[[], T]) -> T:
        """The value of this name; `make` makes it where there is none yet. Raises TypeError where it is not of this `kind`."""
        if name not in self.values:
            self.values[name] = make()
        value = self.values[name]
        if not isinstance(value, kind):
            raise TypeError(f"{name} is a {type(value).__name__}, not a {kind.__name__}")
        return value

    def put(self, name: str, value: Any) -> None:
        """Keep a value in place of the one before."""
        self.values[name] = value
