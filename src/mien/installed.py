"""Files that other packages bring, found without importing them."""

import importlib.util
from pathlib import Path


def folder_of(package: str) -> Path | None:
    """Where a package lies, or None where it is not installed."""
    spec = importlib.util.find_spec(package)
    folders = spec.submodule_search_locations if spec else None
    return Path(folders[0]) if folders else None
