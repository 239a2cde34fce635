"""The versions and folders of installed packages, found without importing them."""

import importlib.util
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


def own_version() -> str:
    """The version of mien, such as `1.2.3`; `unknown` where mien is used without being installed."""
    try:
        return version("mien")
    except PackageNotFoundError:
        return "unknown"


def package_folder(package: str) -> Path | None:
    """The folder of a package, or None where it is not installed."""
    spec = importlib.util.find_spec(package)
    folders = spec.submodule_search_locations if spec else None
    return Path(folders[0]) if folders else None
