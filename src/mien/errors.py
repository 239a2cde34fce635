"""The one exception that mien raises for what a user can mend."""

import re
from collections.abc import Mapping

_SETTING = re.compile(r"`([a-z_]+)`")


class MienError(Exception):
    """What a user can mend, in one sentence of three parts: what was expected, what was found, what to do.

    A setting's name stands in backticks, as in Python: "map each by `classes`". The command line writes its flag there.
    """

    def __init__(self, expected: str, found: str, todo: str) -> None:
        super().__init__(f"expected {expected}; found {found}; {todo}")
        self.expected = expected
        self.found = found
        self.todo = todo

    def __reduce__(self) -> tuple[type["MienError"], tuple[str, str, str]]:
        """Pickles the three parts: pickled by its sentence alone, the error could not be made again in another process."""
        return type(self), (self.expected, self.found, self.todo)

    def with_flags(self, flags: Mapping[str, str], other: str = "") -> "MienError":
        """This error with a flag in the place of each setting in backticks; `flags`: the flag of each setting.

        `other`: what stands before the name of a setting without a flag, such as "--set "; unless given, it stays as it is.
        """

        def flag(found: re.Match[str]) -> str:
            return flags.get(found[1]) or (f"{other}{found[1]}" if other else found[0])

        return MienError(*(_SETTING.sub(flag, part) for part in (self.expected, self.found, self.todo)))
