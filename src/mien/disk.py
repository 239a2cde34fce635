"""Writing files so that what is there is whole: the old content or the new."""

import os
from pathlib import Path


def write_aside(path: Path, content: bytes) -> None:
    """Write a file under another name and rename it, so that `path` is never half-written."""
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        aside.write_bytes(content)
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)
