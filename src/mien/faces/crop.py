"""From photos to crops: find faces, choose among them, cut them out; the same for face sets and for a model that reads photos."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import cast, get_args

import cv2
import numpy as np
import numpy.typing as npt

from mien.errors import MienError
from mien.faces.align import Align, align_from_text, crop
from mien.faces.detect import Detector, detector_from_text
from mien.faces.face import Face, Which, choose
from mien.faces.orientation import as_it_lies, in_all_directions, turned
from mien.media.photos import Photo
from mien.registry import component_to_text, require_loaded
from mien.settings import setting_docs, settings_from

WHOLE = "whole"
"""The alignment that wants no detector."""
NO_FACE, NO_LANDMARKS = "no face found", "no landmarks to align it by"
"""Why a photo gives no crop."""
TURN = "--turn looks for faces in photos that lie on their side or upside down, too"
"""What may be done where no face is found."""


@dataclass(frozen=True)
class CropSpec:
    """How crops are made: faceset.json and a model's card say it, as `alignment`, in the words that `from_text` reads."""

    align: str = "eyes"
    """A way to cut out a face, and its settings."""
    detector: str = "mtcnn"
    """A detector, and its settings; of no use to `whole`."""
    which: Which = "largest"

    def __str__(self) -> str:
        way = component_to_text(align_from_text(self.align))
        if way == WHOLE:
            return way
        return f"{way}; {component_to_text(detector_from_text(self.detector))}; {self.which}"

    @property
    def gives_landmarks(self) -> bool:
        """Whether faces come with landmarks; raises MienError for an unknown detector."""
        detector = _made(self)[1]
        return detector is not None and bool(getattr(detector, "gives_landmarks", True))

    def require_workable(self) -> None:
        """Raises MienError for an unknown way or detector, and where the way cannot work, or not with faces of this detector."""
        align = _made(self)[0]
        if hasattr(align, "require_workable"):
            align.require_workable(self.gives_landmarks)

    def require_loaded(self, place: object = "") -> None:
        """Raises MienError for a way or detector in a module that is not imported: the words of a model's card import none.

        `place`: where they stand, for the message."""
        for text in (self.align, self.detector):
            require_loaded("".join(text.split()[:1]), place=place)

    @property
    def least_face(self) -> float:
        """Side in pixels of the smallest faces that are looked for; 0 where the detector has no such setting."""
        return float(getattr(_made(self)[1], "least_face", 0))

    def looking_for(self, least_face: float) -> "CropSpec":
        """For faces of so many pixels and more, where the detector takes that; raises MienError for too few."""
        detector = _made(self)[1]
        if detector is None or not hasattr(detector, "least_face"):
            return self
        kind = type(detector.least_face)
        changed = {name: getattr(detector, name) for name in setting_docs(type(detector))} | {"least_face": kind(least_face)}
        return replace(self, detector=component_to_text(settings_from(type(detector), changed)))

    @staticmethod
    def from_text(text: str) -> "CropSpec":
        """Raises MienError for a text that `str` of a geometry did not give, such as `unknown`."""
        align, *rest = (part.strip() for part in text.split(";"))
        if align == WHOLE and not rest:
            return CropSpec(WHOLE)
        if len(rest) != 2 or rest[1] not in get_args(Which):
            todo = "say how faces are cut out (mien predict --align box), or train on a set that mien prepare wrote"
            raise MienError("an alignment that mien prepare wrote", repr(text), todo)
        return CropSpec(align, rest[0], cast("Which", rest[1]))


@dataclass(frozen=True, eq=False)
class Crop:
    """The n crops of some photos."""

    faces: npt.NDArray[np.uint8]
    """(n, S, S) gray or (n, S, S, 3) color."""
    photo: npt.NDArray[np.int64]
    """(n,) which photo a crop is of, ascending."""
    found: tuple[Face, ...]
    """Where in its photo."""
    empty: dict[int, str]
    """Photos without a crop, and why."""
    turned: dict[int, int] = field(default_factory=dict)
    """Photos that were turned to the left for their faces to be upright, by how many times 90 degrees: `found` is where faces
    are in the photo when it is turned."""

    def lying(self, photos: Sequence[Photo]) -> list[Face]:
        """Where each crop is in its photo as it was given."""
        places = zip(self.found, self.photo.tolist(), strict=True)
        return [as_it_lies(face, self.turned.get(number, 0), photos[number]) for face, number in places]


def crop_faces(photos: Sequence[Photo], geometry: CropSpec, side: int, color: bool, turn: bool = False) -> Crop:
    """Crops of upright photos, uint8 (H, W, 3), of any sizes; of those that lie in any direction with `turn`, which takes four
    times as long. Raises MienError for an unknown way or detector.
    """
    align, detector = _made(geometry)
    quarters = dict[int, int]()
    if detector is None:
        found: Sequence[Sequence[Face]] = [(_all_of(photo),) for photo in photos]
    elif turn:
        directions = in_all_directions(photos, detector)
        quarters = {number: times for number, (times, _) in enumerate(directions) if times}
        found = [faces for _, faces in directions]
        photos = [turned(photo, quarters.get(number, 0)) for number, photo in enumerate(photos)]
    else:
        found = detector(photos)
    crops, owners, kept, empty = list[Photo](), list[int](), list[Face](), dict[int, str]()
    for number, (photo, faces) in enumerate(zip(photos, found, strict=True)):
        chosen = choose(faces, geometry.which, (photo.shape[1], photo.shape[0]))
        maps = [(face, align(photo, face)) for face in chosen]
        made = [(face, crop(photo, map_, side)) for face, map_ in maps if map_ is not None]
        if not made:
            empty[number] = NO_LANDMARKS if chosen else NO_FACE
        for face, picture in made:
            crops.append(picture if color else np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.uint8))
            owners.append(number)
            kept.append(face)
    shape = (0, side, side, 3) if color else (0, side, side)
    faces_ = np.stack(crops) if crops else np.zeros(shape, np.uint8)
    return Crop(faces_, np.array(owners, np.int64), tuple(kept), empty, quarters)


@cache
def _made(geometry: CropSpec) -> tuple[Align, Detector | None]:
    """Made once in a process: a detector reads its weights."""
    align = align_from_text(geometry.align)
    return align, None if component_to_text(align) == WHOLE else detector_from_text(geometry.detector)


def _all_of(photo: Photo) -> Face:
    """The photo as a face."""
    height, width = photo.shape[:2]
    return Face(box=(0.0, 0.0, float(width), float(height)), landmarks=None, score=1.0)
