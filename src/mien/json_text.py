"""JSON that every program can read and that a terminal can show, whatever the values are."""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from mien.wording import is_visible

_BEYOND_ASCII = re.compile(r"[^\n\x20-\x7e]")


def to_json(values: Any, indent: int | None = 1, ascii_only: bool = False) -> str:
    """Nested values as strict JSON: nan and infinite numbers become null, and what JSON does not know becomes text.

    Letters stay as they are, unless `ascii_only`; control characters are escaped.
    """
    text = json.dumps(plain_values(values), indent=indent, ensure_ascii=ascii_only, allow_nan=False, default=str)
    return _BEYOND_ASCII.sub(lambda found: found[0] if is_visible(found[0]) else json.dumps(found[0])[1:-1], text)


def plain_values(value: Any) -> Any:
    """Nested values as lists, dicts, numbers and texts alone: dataclasses become dicts, arrays lists, nan and infinity None."""
    if is_dataclass(value) and not isinstance(value, type):
        return {entry.name: plain_values(getattr(value, entry.name)) for entry in fields(value)}
    if hasattr(value, "tolist"):  # numpy's, which need not be loaded for this
        return plain_values(value.tolist())
    if isinstance(value, Mapping):
        return {str(key): plain_values(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [plain_values(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
