"""Inputs that could not be used, and why, in words."""

import struct
from dataclasses import dataclass

from mien.errors import MienError


@dataclass(frozen=True)
class Rejected:
    """An input that gave no face, and the reason; also an input that was read, and a note about it."""

    path: str
    """The name of the input."""
    reason: str
    """Why it gave no face, or what there is to say of it."""


def reason_of(error: Exception) -> str:
    """Why a file could not be read, as a phrase, from the exception."""
    if isinstance(error, MienError):
        return error.found
    if isinstance(error, OSError) and error.errno and error.strerror:
        return error.strerror
    if type(error) is ValueError:
        return str(error)
    if isinstance(error, MemoryError):
        return "a file that takes more memory than there is"
    said = str(error) or type(error).__name__
    if isinstance(error, EOFError | struct.error) or "truncated" in said.lower():
        return "a truncated file, which ends too early"
    return f"a file that cannot be decoded ({said})"
