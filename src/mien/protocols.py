"""A component of somebody's own has to subclass the protocol of what it stands for."""

from typing import Any

from mien.errors import MienError
from mien.registry import component_name


def require_subclass(made: object, protocol: type[Any], home: str, key: str) -> None:
    """Raises MienError where `made` does not subclass `protocol`, which users import from `home`. `key`: what it answers."""
    kind, name = type(made), protocol.__name__
    if protocol in kind.__mro__:
        return
    bases = ", ".join(base.__name__ for base in kind.__bases__ if base is not object)
    raise MienError(
        f"a subclass of {home}.{name} for {key} = {component_name(kind)}",
        f"one of {bases}" if bases else "a class without a base",
        f"import {name} from {home}, and write class {kind.__name__}({name})",
    )
