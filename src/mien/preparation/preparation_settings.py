"""The settings of a preparation: which photos, how faces are cut out, and which of them are kept."""

from dataclasses import field
from typing import Annotated

from pydantic import BeforeValidator, Field
from pydantic.dataclasses import dataclass as checked

from mien.data.source import names_in_text
from mien.faces.crop import CropSpec
from mien.faces.detect import detector_from_text
from mien.faces.face import WhichFaces
from mien.faces.quality import QualityLimits
from mien.media.face_pictures import PictureSide
from mien.media.file_limits import FILE_LIMITS, FileLimits
from mien.preparation.shards import ShardSettings
from mien.settings import STRICT, Seconds, Seed, plain_errors


@plain_errors
@checked(frozen=True, config=STRICT)
class PreparationSettings:
    """What `prepare_faces` is asked to do."""

    inputs: Annotated[tuple[str, ...], Field(min_length=1)]
    """Folders, globs, photos, videos, lists of them, archives."""
    align: str = "eyes"
    """How faces are cut out: eyes, box, outline or whole, with settings."""
    detector: str = "mtcnn"
    """The detector that finds faces, with settings."""
    which: WhichFaces = "largest"
    """Which faces of a photo are taken."""
    side: PictureSide = 48
    """Side of a crop in pixels."""
    color: bool = False
    """Keep color; gray otherwise."""
    every: Seconds = 1.0
    """Seconds between the frames that are taken from a video."""
    limits: tuple[str, ...] = ()
    """Limits for the faces to keep, such as `size>=40`."""
    labeled: bool = False
    """Whether folders are classes, and folders above them splits."""
    classes: dict[str, str] = field(default_factory=dict)
    """Our class for each name of a folder or label; "" for no label."""
    test: Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)] = 0.0
    """Share of the faces that becomes the split `test`, the rest `train`: whole people, videos and photos."""
    seed: Seed = 0
    """Seed that draws the split `test`."""
    keep: Annotated[tuple[str, ...], BeforeValidator(names_in_text)] = ()
    """Other columns of lists to take along."""
    turn: bool = False
    """Look for faces in photos that lie on their side or upside down, too."""

    def making(self, files: FileLimits = FILE_LIMITS) -> ShardSettings:
        """How shards are made by these settings.

        Raises MienError for an unknown alignment, detector or limit, and for those that do not work together.
        """
        crop_spec, limits = CropSpec(self.align, self.detector, self.which), QualityLimits.parse(self.limits)
        detector_from_text(self.detector)  # `whole` would not ask for it
        crop_spec.require_workable()
        limits.require_measurable(crop_spec.gives_landmarks)
        return ShardSettings(crop_spec, self.side, self.color, self.every, limits, files, self.turn, self.keep)
