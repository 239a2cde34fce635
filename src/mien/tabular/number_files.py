"""Text files as databases keep labels, boxes and landmarks in: small ones of numbers, apart by blanks, commas or semicolons; and
lists, whose separator is the published one.
"""

import codecs
import csv
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal, TextIO

import numpy as np
import numpy.typing as npt

from mien.disk import read_bytes
from mien.errors import MienError
from mien.tabular.csv_header import encoding_of

MOST = 1 << 20
"""The most bytes of a file of numbers."""
MOST_LINE = 1 << 16
"""The most letters in a line of a list."""
TODO = "take the file as it was published"
Separator = Literal[" ", ",", ";", "\t"]
SEPARATORS: Mapping[Separator, str] = {" ": "blanks", ",": "commas", ";": "semicolons", "\t": "tabs"}
"""Signs between the words of a list, in words."""


def read_numbers(path: Path, rows: int, columns: int) -> npt.NDArray[np.float64]:
    """The numbers (rows, columns) in a file. Raises MienError where there are others, or one is not finite."""
    words = _words(read_bytes(path, TODO, MOST))
    wanted = f"{rows} lines of {columns} numbers in {path}"
    if len(words) != rows or any(len(line) != columns for line in words):
        found = f"{len(words)} lines" if len(words) != rows else f"a line of {next(len(w) for w in words if len(w) != columns)}"
        raise MienError(wanted, found, TODO)
    try:
        numbers = [[float(word) for word in line] for line in words]
    except ValueError as error:
        raise MienError(wanted, str(error)[:100], TODO) from error
    if not all(math.isfinite(number) for line in numbers for number in line):
        raise MienError(wanted, "one that is not finite", TODO)
    return np.array(numbers, np.float64)


def stream_lines(path: Path, columns: int, separator: Separator) -> Iterator[tuple[int, list[str]]]:
    """The words of each line of a list, `columns` of them, and the number of that line, one after the other.

    Memory does not grow with the list. Lines without words are passed over. Raises MienError for a line with more or fewer words,
    and says so where another sign than the published `separator` seems to be between them; for no words at all; and for another
    encoding.
    """
    wanted = f"{columns} words with {SEPARATORS[separator]} between them in each line of {path}"
    try:
        with path.open(encoding=encoding_of(path), newline="") as file:
            lines, blanks, empty = _bounded(file, path), separator == " ", True
            rows = csv.reader(lines, delimiter=separator, skipinitialspace=blanks, quotechar=None if blanks else '"')
            for row in rows:
                words = [word.strip() for word in row]
                while separator == " " and words and not words[-1]:
                    words.pop()  # blanks at the end of a line
                if not any(words):
                    continue
                empty = False
                if len(words) != columns:
                    raise MienError(wanted, f"{len(words)} in line {rows.line_num}{_other(row, separator, columns)}", TODO)
                yield rows.line_num, words
            if empty:
                raise MienError(wanted, "an empty file", TODO)
    except (OSError, UnicodeError, csv.Error) as error:
        raise MienError(f"a list in {path}, in UTF-8", _reason(error), TODO) from error


def _bounded(file: TextIO, path: Path) -> Iterator[str]:
    """The lines of a file. Raises MienError for one that is longer than lines of a list are."""
    while line := file.readline(MOST_LINE + 1):
        if len(line) > MOST_LINE:
            raise MienError(f"lines of at most {MOST_LINE} letters in {path}", "a longer one", TODO)
        yield line


def _other(words: Sequence[str], separator: Separator, columns: int) -> str:
    """What a line that was parted wrongly seems to be parted by, in words; empty where nothing is plain."""
    line = separator.join(words)
    likely = [name for sign, name in SEPARATORS.items() if sign != separator and len(line.split(sign)) == columns]
    return f", which has {likely[0]} between its words" if likely else ""


def _reason(error: Exception) -> str:
    return "letters of another encoding" if isinstance(error, UnicodeError) else str(error)[:200]


def _words(content: bytes) -> list[list[str]]:
    """The words of each line that has some."""
    wide = content[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
    text = content.decode("utf-16" if wide else "utf-8-sig", "replace")
    return [re.split(r"[\s,;]+", line.strip()) for line in text.splitlines() if line.strip()]
