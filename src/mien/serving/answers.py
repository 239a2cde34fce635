"""What a service answers, described for OpenAPI, with an example. The answers themselves are those of `mien predict --json`."""

from typing import Annotated, Any

from pydantic import Field
from pydantic.dataclasses import dataclass

from mien.settings import STRICT

EXAMPLE: dict[str, Any] = {
    "photos": [
        {
            "photo": "photo.jpg",
            "faces": [
                {
                    "box": [86.1, 71.4, 163.8, 171.2],
                    "landmarks": [[106.3, 112.9], [142.5, 111.8], [124.8, 134.0], [109.9, 147.6], [141.2, 146.9]],
                    "face": 0.9998,
                    "top": "happiness",
                    "confidence": 0.9712,
                    "unsure": False,
                    "possible": ["happiness"],
                    "scores": {"neutral": 0.0201, "happiness": 0.9712, "surprise": 0.0087},
                    "unlike": False,
                }
            ],
        },
        {"photo": "note.txt", "fault": "not a photo in a known format"},
    ]
}
"""An answer about two files, of which one is no photo."""


@dataclass(frozen=True, config=STRICT)
class FaceAnswer:
    """One face, and what it expresses."""

    box: list[float]
    """x0, y0, x1 and y1 in pixels of the upright photo."""
    landmarks: list[list[float]] | None
    """Five pairs of x and y: eyes, nose, corners of the mouth; null where the detector gives none."""
    face: Annotated[float, Field(ge=0)]
    """How sure the detector is that it is a face."""
    top: str
    """The likeliest expression."""
    confidence: Annotated[float, Field(ge=0, le=1)]
    """The calibrated probability of the likeliest expression."""
    unsure: bool
    """Whether several expressions are possible, or none is sure, or the face is unlike those of training."""
    possible: list[str]
    """The expressions that are possible, the likeliest first."""
    scores: dict[str, float]
    """The calibrated probability of every expression."""
    unlike: bool | None = None
    """Whether the face is unlike those of training; left out where the model cannot tell."""


@dataclass(frozen=True, config=STRICT)
class PhotoAnswer:
    """One photo with its faces, or why it could not be read."""

    photo: str
    """The name of the file in the form; "photo" for a body without a name."""
    notes: list[str] | None = None
    """Sentences about how it was read, where there are any."""
    faces: list[FaceAnswer] | None = None
    """The photo's faces, the detector's surest first."""
    fault: str | None = None
    """Why it could not be read, in place of the faces."""


@dataclass(frozen=True, config=STRICT)
class Answer:
    """The photos of a request, in its order."""

    photos: list[PhotoAnswer]


@dataclass(frozen=True, config=STRICT)
class ErrorAnswer:
    """Why a request was refused."""

    expected: str
    found: str
    todo: str


BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "image/*": {"schema": {"type": "string", "format": "binary"}},
            "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["photos"],
                    "properties": {"photos": {"type": "array", "minItems": 1, "items": {"type": "string", "format": "binary"}}},
                }
            },
        },
    }
}
"""How a request to read photos looks, for OpenAPI."""


def _refusal(description: str) -> dict[str, Any]:
    return {"model": ErrorAnswer, "description": description}


OPEN: dict[int | str, dict[str, Any]] = {
    400: _refusal("The request is no HTTP."),
    414: _refusal("The address is too long."),
    421: _refusal("The host name is not one of this service."),
    431: _refusal("The headers are too many or too long."),
}
"""What any request may be answered, for OpenAPI."""

CLOSED = OPEN | {
    401: _refusal("The token is missing or wrong."),
    429: _refusal("Too many wrong tokens; Retry-After says when to come again."),
}
"""What a request to an address that wants a token may be answered, for OpenAPI."""

_ERROR = {"application/json": {"schema": {"$ref": "#/components/schemas/ErrorAnswer"}}}
CLOSED_TEXT: dict[int | str, dict[str, Any]] = {
    status: {"description": refusal["description"], "content": _ERROR} for status, refusal in CLOSED.items()
}
"""What CLOSED says, for an address whose answer itself is text: FastAPI would take the refusals for text as well."""

REFUSALS = CLOSED | {
    400: _refusal("The form was cut off, or the request is no HTTP."),
    403: _refusal("Another site's page sent the request."),
    409: _refusal("Another model was asked for than the one that is served."),
    413: _refusal("The request has too many bytes, or its photos too many pixels."),
    415: _refusal("The body is neither a photo nor a form."),
    422: {"description": "Not one photo could be read (then as in 200), or the form is broken."},
    429: _refusal("Too many requests wait, or too many tokens were wrong; Retry-After says when to come again."),
    503: _refusal("The request waited too long, or the service ends; Retry-After says when to come again."),
}
"""What else a request to read photos is answered, for OpenAPI."""
