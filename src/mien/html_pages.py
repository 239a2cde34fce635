"""Templates of mien's HTML pages, read by Jinja: all that is put into a page is escaped, and a name it lacks is an error."""

from collections.abc import Callable
from functools import cache
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined


@cache
def page_templates(*packages: str, inside: str = "", filters: tuple[Callable[[Any], str], ...] = ()) -> Environment:
    """The templates in the folder `inside` of packages, of which the first that has a template gives it.

    `filters`: functions that templates call, by their own names. Each template is compiled once in a process.
    """
    room = Environment(
        loader=ChoiceLoader([PackageLoader(package, inside) for package in packages]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    room.filters |= {function.__name__: function for function in filters}
    return room
