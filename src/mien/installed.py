"""The versions and folders of installed packages, found without importing them, and which extra brings a missing one."""

import importlib
import importlib.util
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from mien.errors import MienError

EXTRAS: Mapping[str, tuple[str, ...]] = {
    "onnx": ("onnx",),
    "train": ("torch", "scipy", "matplotlib", "pyarrow", "jinja2"),
    "label": ("fastapi", "starlette", "uvicorn", "httptools", "python_multipart", "sqlalchemy", "jinja2", "pyarrow"),
    "serve": ("fastapi", "starlette", "uvicorn", "httptools", "python_multipart"),
    "cluster": ("ray",),
    "dlib": ("dlib",),
    "doubts": ("cleanlab",),
    "facenet": ("face_recognition_models",),
    "frames": ("pandas", "pyarrow"),
    "postgresql": ("psycopg",),
    "sklearn": ("sklearn",),
}
"""The extras of mien, with the packages that they bring by the names under which they are imported.

Of several that bring a package, the first is named."""


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


def missing_extra(extra: str, what: str, found: str = "none installed") -> MienError:
    """The error where something of an extra is missing. `what`: its name, and what mien wants it for."""
    return MienError(what, found, f"pip install 'mien[{extra}]'")


def require_extras(*extras: str) -> None:
    """Raises MienError where a package of one of these extras is not installed."""
    lacking = {extra: [name for name in EXTRAS[extra] if not _is_there(name)] for extra in extras}
    if any(lacking.values()):
        names = ",".join(extra for extra, missing in lacking.items() if missing)
        raise missing_extra(names, f"the package {next(filter(None, lacking.values()))[0]}")


def require_package(package: str) -> None:
    """Raises MienError where a package of an extra is not installed, by the name under which it is imported."""
    if not _is_there(package):
        raise missing_extra(_extra_of(package), f"the package {package}")


def explain_missing(error: ImportError) -> MienError | None:
    """The error that says which extra brings the package that could not be imported; None where no extra does."""
    extra = _extra_of(package := (error.name or "").partition(".")[0])
    return missing_extra(extra, f"the package {package}") if isinstance(error, ModuleNotFoundError) and extra else None


def _extra_of(package: str) -> str:
    """The extra that brings a package; "" where none does."""
    return next((extra for extra, packages in EXTRAS.items() if package in packages), "")


def _is_there(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except (ImportError, ValueError):  # it was put aside in sys.modules
        return False


def module_of_extra(module: str) -> Any:
    """A module of a package of an extra. Raises MienError, which says what to install, where the package is missing."""
    require_package(module.partition(".")[0])
    return importlib.import_module(module)
