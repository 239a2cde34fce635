"""The settings of a preparation: which photos, how faces are cut out, and which of them are kept.

Commands offer these settings as options, so that this module loads nothing heavy.
"""

from dataclasses import field
from typing import Annotated

from pydantic import BeforeValidator, Field
from pydantic.dataclasses import dataclass as checked

from mien.faces.which_faces import Turns, WhichFaces
from mien.settings import STRICT, PictureSide, Seconds, Seed, names_in_text, plain_errors


@plain_errors
@checked(frozen=True, config=STRICT)
class PreparationSettings:
    """What `prepare_faces` is asked to do."""

    inputs: Annotated[tuple[str, ...], Field(min_length=1)]
    """Folders, globs, photos, videos, lists of them, archives."""
    align: str = "eyes"
    """How faces are cut out: eyes, box, outline or whole; with settings, 'eyes distance=0.4'."""
    detector: str = "mtcnn"
    """What finds faces: mtcnn, haar or dlib; with settings, 'mtcnn least_face=40'."""
    which: WhichFaces = "largest"
    """Which faces of a photo to take: all, largest or central."""
    side: PictureSide = 48
    """Side of a face in pixels."""
    color: bool = False
    """Store color faces."""
    every: Seconds = 1.0
    """Seconds between the frames that are taken from a video."""
    limits: tuple[str, ...] = ()
    """Faces to keep, by limits on size, sharpness, overexposed, roll or turn, such as 'size>=40'."""
    labeled: bool = False
    """Folders are classes, and the folders above them splits."""
    classes: dict[str, str] = field(default_factory=dict)
    """Our class for each name of a folder or label; "" for no label."""
    test: Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)] = 0.0
    """Share of the faces that becomes the split `test`: whole people (where a list names them), videos and photos."""
    seed: Seed = 0
    """Draws the faces of the split `test`."""
    keep: Annotated[tuple[str, ...], BeforeValidator(names_in_text)] = ()
    """Other columns of lists to take along."""
    turn: Turns = "off"
    """Find faces in photos that lie on their side or upside down, too: auto where none is clearly upright, all in all photos."""
