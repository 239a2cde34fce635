"""Settings of components and commands: the kinds of numbers they take, how they are checked, and how each is documented."""

import functools
from collections.abc import Mapping
from typing import Annotated, Any, TypeVar, cast

from pydantic import BeforeValidator, ConfigDict, Field, PydanticUserError, TypeAdapter, ValidationError
from pydantic_core import PydanticCustomError

from mien.errors import MienError
from mien.number_bounds import EVERY, LEAST_NUMBER, LONGEST, MOST, MOST_NUMBER, MOST_SEED, MOST_SIDE, MOST_THREADS
from mien.settings_errors import complaint, settings_error
from mien.wording import brief_repr

T = TypeVar("T")


def _no_truth(value: Any) -> Any:
    """Refuses true and false, which pydantic would take for 1 and 0."""
    if isinstance(value, bool):
        raise PydanticCustomError("number", "Input should be a number, not true or false")
    return value


_NUMBER = BeforeValidator(_no_truth)

# Kinds of numbers that settings take. Each has two bounds: beyond them libraries complain, late and in their own words.

Share = Annotated[float, _NUMBER, Field(ge=0, le=1, allow_inf_nan=False)]
"""A number from 0 to 1."""
Finite = Annotated[float, _NUMBER, Field(ge=-MOST_NUMBER, le=MOST_NUMBER, allow_inf_nan=False)]
"""A number that is neither nan nor infinite."""
NotNegative = Annotated[float, _NUMBER, Field(ge=0, le=MOST_NUMBER, allow_inf_nan=False)]
"""A finite number from 0."""
Positive = Annotated[float, _NUMBER, Field(ge=LEAST_NUMBER, le=MOST_NUMBER, allow_inf_nan=False)]
"""A finite number above 0."""
Count = Annotated[int, _NUMBER, Field(ge=1, le=MOST)]
"""A whole number from 1."""
CountOrZero = Annotated[int, _NUMBER, Field(ge=0, le=MOST)]
"""A whole number from 0."""
Seed = Annotated[int, _NUMBER, Field(ge=0, le=MOST_SEED)]
"""A seed of a random generator: a whole number from 0, under 2^64."""
Threads = Annotated[int, _NUMBER, Field(ge=1, le=MOST_THREADS)]
"""A number of threads or processes."""
Seconds = Annotated[float, _NUMBER, Field(ge=EVERY, le=LONGEST, allow_inf_nan=False)]
"""A time in seconds, at least a millisecond."""
PictureSide = Annotated[int, Field(ge=1, le=MOST_SIDE)]
"""The side of a picture in pixels."""
Power = Annotated[float, _NUMBER, Field(ge=0, le=100, allow_inf_nan=False)]
"""An exponent from 0 to 100."""
BatchCount = Annotated[int, _NUMBER, Field(ge=1, le=10**6)]
"""A number of batches."""

# Sizes of networks. A model's card may come from anywhere, and a network of the sizes in it is built, if only for a moment.

Units = Annotated[int, _NUMBER, Field(ge=1, le=1 << 16)]
"""Channels or units of a layer."""
UnitsOrZero = Annotated[int, _NUMBER, Field(ge=0, le=1 << 16)]
"""Channels or units of a layer, or 0 for no such layer."""
LayerCount = Annotated[int, _NUMBER, Field(ge=0, le=64)]
"""A number of layers, one after the other."""
GridSide = Annotated[int, _NUMBER, Field(ge=1, le=64)]
"""Cells along a side of a grid of features."""
GridSideOrZero = Annotated[int, _NUMBER, Field(ge=0, le=64)]
"""Cells along a side of a grid of features, or 0 for no grid."""
PixelsOrZero = Annotated[int, _NUMBER, Field(ge=0, le=2048)]
"""A side of a picture in pixels, or 0."""
Factor = Annotated[float, _NUMBER, Field(ge=0.001, le=16, allow_inf_nan=False)]
"""What the widths of layers are multiplied by."""

STRICT = ConfigDict(extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)
"""The pydantic configuration of every component: unknown keys are errors, the string below a field documents it, and no number is
nan or infinite."""


def names_in_text(given: Any) -> Any:
    """A setting of names as a list; in a text they have commas between them."""
    return [name.strip() for name in given.split(",") if name.strip()] if isinstance(given, str) else given


def settings_from(kind: type[T], values: Mapping[str, Any], place: str = "", named: bool = False) -> T:
    """A `kind` (a dataclass of settings) made from `values` by name. `place`: the key above them in a recipe.

    `named`: whether messages name them as arguments, which the command line writes as its flags, and not as keys of a file.
    Raises MienError where a key is unknown or missing or a value does not fit.
    """
    if not isinstance(values, Mapping):
        raise MienError(f"settings of {kind.__name__} by name", brief_repr(values), "give a table")
    try:
        made: T = _adapter(cast(Any, kind)).validate_python(dict(values))
    except PydanticUserError as error:
        raise MienError("a dataclass of settings", f"{kind.__module__}:{kind.__name__}", "name one, as mien's own are") from error
    except ValidationError as error:
        raise settings_error(kind, setting_docs(kind), error, place, named) from error
    return made


@functools.cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def require_fitting(kind: Any, **values: Any) -> None:
    """Raises MienError where a value, given by name, does not fit a kind of number such as `Count`; None always fits."""
    for name, value in values.items():
        try:
            if value is not None:
                _adapter(kind).validate_python(value, strict=isinstance(value, str | bytes))
        except ValidationError as error:
            told = complaint(error.errors(include_url=False)[0])
            raise MienError(f"{name} that fits ({told})", f"{name} = {brief_repr(value)}", "change that value") from error


def plain_errors(kind: type[T]) -> type[T]:
    """A class decorator, above pydantic's `@dataclass`: a value that does not fit raises MienError, not pydantic's error."""
    made = kind.__init__

    @functools.wraps(made)
    def make(self: Any, *given: Any, **named: Any) -> None:
        try:
            made(self, *given, **named)
        except ValidationError as error:
            raise settings_error(kind, setting_docs(kind), error) from error

    kind.__init__ = make  # type: ignore[method-assign]
    return kind


def setting_docs(kind: type[Any]) -> dict[str, str]:
    """The settings of a class of settings by name, in order, each with its one-line documentation (may be empty)."""
    known = getattr(kind, "__pydantic_fields__", {})
    return {name: (field.description or "").strip() for name, field in known.items()}
