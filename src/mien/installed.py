"""The versions and folders of installed packages, found without importing them; and packages that an extra brings."""

import importlib
import importlib.util
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from mien.errors import MienError


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


def require_package(module: str, extra: str) -> Any:
    """A module of a package that mien's `extra` brings. Raises MienError, which says what to install, where it is missing."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MienError(module.partition(".")[0], str(error), f"pip install 'mien[{extra}]'") from error
