"""Writing files so that what is there is whole, the old content or the new; and reading JSON that may be damaged."""

import json
import os
from pathlib import Path
from typing import Any

from mien.errors import MienError


def read_json(path: Path, todo: str) -> dict[str, Any]:
    """The object in a JSON file. Raises MienError, with what to do, where it holds none."""
    try:
        values = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise MienError(f"JSON in {path}", str(error), todo) from error
    if not isinstance(values, dict):
        raise MienError(f"a JSON object in {path}", type(values).__name__, todo)
    return values


def write_aside(path: Path, content: bytes) -> None:
    """Write a file under another name and rename it, so that `path` is never half-written."""
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        aside.write_bytes(content)
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
