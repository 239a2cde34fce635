"""Small text files of numbers, as databases keep labels, boxes and landmarks in: numbers in lines, apart by blanks, commas or
semicolons.
"""

import codecs
import math
import re
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mien.disk import read_bytes
from mien.errors import MienError

MOST = 1 << 20
"""The most bytes of a file of numbers."""
MOST_LINES = 1 << 30
"""The most bytes of a list."""


def read_numbers(path: Path, rows: int, columns: int) -> npt.NDArray[np.float64]:
    """The numbers (rows, columns) in a file. Raises MienError where there are others, or one is not finite."""
    todo = "take the file as it was published"
    words = _words(read_bytes(path, todo, MOST))
    wanted = f"{rows} lines of {columns} numbers in {path}"
    if len(words) != rows or any(len(line) != columns for line in words):
        found = f"{len(words)} lines" if len(words) != rows else f"a line of {next(len(w) for w in words if len(w) != columns)}"
        raise MienError(wanted, found, todo)
    try:
        numbers = [[float(word) for word in line] for line in words]
    except ValueError as error:
        raise MienError(wanted, str(error)[:100], todo) from error
    if not all(math.isfinite(number) for line in numbers for number in line):
        raise MienError(wanted, "one that is not finite", todo)
    return np.array(numbers, np.float64)


def read_lines(path: Path, columns: int) -> list[list[str]]:
    """The words of each line of a list, `columns` of them. Raises MienError for a line with more or fewer, and for no lines."""
    todo = "take the file as it was published"
    words = _words(read_bytes(path, todo, MOST_LINES))
    if not words:
        raise MienError(f"lines of {columns} words in {path}", "an empty file", todo)
    for number, line in enumerate(words, 1):
        if len(line) != columns:
            raise MienError(f"{columns} words in each line of {path}", f"{len(line)} in line {number}", todo)
    return words


def _words(content: bytes) -> list[list[str]]:
    """The words of each line that has some."""
    wide = content[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
    text = content.decode("utf-16" if wide else "utf-8-sig", "replace")
    return [re.split(r"[\s,;]+", line.strip()) for line in text.splitlines() if line.strip()]
