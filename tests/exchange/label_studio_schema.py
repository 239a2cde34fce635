"""What Label Studio's documentation says of tasks, predictions, requests and answers, for pictures with one choice."""

from typing import Annotated, Any, Literal, NotRequired

from pydantic import ConfigDict, Field, TypeAdapter
from typing_extensions import TypedDict

STRICT = ConfigDict(extra="forbid", strict=True)


class Choices(TypedDict):
    __pydantic_config__ = STRICT  # type: ignore[misc]
    choices: Annotated[list[str], Field(min_length=1, max_length=1)]


class Result(TypedDict):
    __pydantic_config__ = STRICT  # type: ignore[misc]
    from_name: str
    to_name: str
    type: Literal["choices"]
    value: Choices


class Prediction(TypedDict):
    __pydantic_config__ = STRICT  # type: ignore[misc]
    model_version: str
    score: Annotated[float, Field(ge=0, le=1)]
    result: list[Result]


class Task(TypedDict):
    __pydantic_config__ = STRICT  # type: ignore[misc]
    data: dict[str, Any]
    predictions: NotRequired[list[Prediction]]


class Predicted(TypedDict):
    """The answer to /predict."""

    __pydantic_config__ = STRICT  # type: ignore[misc]
    results: list[Prediction]
    model_version: str


class SetUp(TypedDict):
    """The answer to /setup."""

    __pydantic_config__ = STRICT  # type: ignore[misc]
    model_version: str


class Health(TypedDict):
    """The answer to /health."""

    __pydantic_config__ = STRICT  # type: ignore[misc]
    status: Literal["UP"]
    model_class: str


TASKS, PREDICTED, SET_UP, HEALTH = (TypeAdapter[Any](kind) for kind in (list[Task], Predicted, SetUp, Health))
