"""The one exception that mien raises for what a user can mend."""


class MienError(Exception):
    """Something outside the code is not as it has to be; one sentence each: what was expected, what was found, what to do."""

    def __init__(self, expected: str, found: str, todo: str) -> None:
        super().__init__(f"expected {expected}; found {found}; {todo}")
        self.expected = expected
        self.found = found
        self.todo = todo

    def __reduce__(self) -> tuple[type["MienError"], tuple[str, str, str]]:
        """Its three parts: without, another process would hand on a sentence of which no error can be made."""
        return type(self), (self.expected, self.found, self.todo)
