"""What is installed: files that other packages bring, found without importing them, and which mien this is."""

import importlib.util
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


def own_version() -> str:
    """Of the package mien, as `1.2.3`; `unknown` where its files are used without being installed."""
    try:
        return version("mien")
    except PackageNotFoundError:
        return "unknown"


def folder_of(package: str) -> Path | None:
    """Where a package lies, or None where it is not installed."""
    spec = importlib.util.find_spec(package)
    folders = spec.submodule_search_locations if spec else None
    return Path(folders[0]) if folders else None
