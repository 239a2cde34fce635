"""The one exception that mien raises for what a user can mend."""


class MienError(Exception):
    """What a user can mend, in one sentence of three parts: what was expected, what was found, what to do."""

    def __init__(self, expected: str, found: str, todo: str) -> None:
        super().__init__(f"expected {expected}; found {found}; {todo}")
        self.expected = expected
        self.found = found
        self.todo = todo

    def __reduce__(self) -> tuple[type["MienError"], tuple[str, str, str]]:
        """Pickles the three parts: pickled by its sentence alone, the error could not be made again in another process."""
        return type(self), (self.expected, self.found, self.todo)
