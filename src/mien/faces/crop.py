"""From photos to crops: detect faces, choose among them, cut them out, for face sets and for models that read photos alike."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import cast, get_args

import cv2
import numpy as np
import numpy.typing as npt

from mien.errors import MienError
from mien.faces.align import Align, align_from_text, crop
from mien.faces.between_frames import find_in_frames, require_keys
from mien.faces.detect import Detector, detector_from_text
from mien.faces.face import Face
from mien.faces.orientation import as_it_lies, in_all_directions, turned
from mien.faces.which_faces import Turns, WhichFaces, choose_faces
from mien.media.photos import Photo
from mien.registry import component_to_text, require_loaded
from mien.settings import setting_docs, settings_from
from mien.wording import brief_repr

WHOLE = "whole"
"""The name of the alignment that needs no detector."""
NO_FACE, NO_LANDMARKS = "no face found", "no landmarks to align it by"
"""The reasons why a photo gives no crop."""
TURN = "--turn auto looks for faces in photos that lie on their side or upside down, too"
"""A hint for photos in which no face was found."""


@dataclass(frozen=True)
class CropSpec:
    """How crops are made: which detector, which of its faces, and how they are cut out.

    `str` gives the words that stand as `alignment` in faceset.json and in a model's card; `from_text` reads them.
    """

    align: str = "eyes"
    """The way to cut out a face, with its settings."""
    detector: str = "mtcnn"
    """The detector, with its settings; `whole` does not use it."""
    which: WhichFaces = "largest"
    """Which faces of a photo are cut out."""

    def __str__(self) -> str:
        way = component_to_text(align_from_text(self.align))
        if way == WHOLE:
            return way
        return f"{way}; {component_to_text(detector_from_text(self.detector))}; {self.which}"

    @property
    def gives_landmarks(self) -> bool:
        """Whether faces come with landmarks. Raises MienError for an unknown detector."""
        detector = _made(self)[1]
        return detector is not None and detector.gives_landmarks

    def require_workable(self) -> None:
        """Raises MienError for an unknown alignment or detector, and where they do not work, or not together."""
        _made(self)[0].require_workable(self.gives_landmarks)

    def require_loaded(self, place: object = "") -> None:
        """Raises MienError for an alignment or detector in a module that is not imported: a model's card imports none.

        `place`: the file to name in the message.
        """
        for text in (self.align, self.detector):
            require_loaded("".join(text.split()[:1]), place=place)

    @property
    def least_face(self) -> float:
        """The side in pixels of the smallest faces that are looked for; 0 where the detector has no such setting."""
        detector = _made(self)[1]
        return 0.0 if detector is None else float(detector.least_face or 0)

    def looking_for(self, least_face: float) -> "CropSpec":
        """A copy that looks for faces of `least_face` pixels and more, where the detector can.

        Raises MienError for too few pixels.
        """
        detector = _made(self)[1]
        if detector is None or detector.least_face is None:
            return self
        kind = type(detector.least_face)
        changed = {name: getattr(detector, name) for name in setting_docs(type(detector))} | {"least_face": kind(least_face)}
        return replace(self, detector=component_to_text(settings_from(type(detector), changed)))

    @staticmethod
    def from_text(text: str) -> "CropSpec":
        """The spec of the words in a set or a card. Raises MienError for other words, such as `unknown`."""
        align, *rest = (part.strip() for part in text.split(";"))
        if align == WHOLE and not rest:
            return CropSpec(WHOLE)
        if len(rest) != 2 or rest[1] not in get_args(WhichFaces):
            todo = "say how faces are cut out (mien predict --align box), or train on a set that mien prepare wrote"
            raise MienError("an alignment that mien prepare wrote", repr(text), todo)
        return CropSpec(align, rest[0], cast("WhichFaces", rest[1]))


@dataclass(frozen=True, eq=False)
class Crops:
    """The crops of n faces in some photos, and where each came from."""

    faces: npt.NDArray[np.uint8]
    """The crops, uint8 (n, S, S) gray or (n, S, S, 3) color."""
    photo: npt.NDArray[np.int64]
    """The number of each crop's photo, (n,), ascending."""
    found: tuple[Face, ...]
    """Where each face is in its photo, which may have been turned (see `turned`)."""
    empty: dict[int, str]
    """The photos without a crop, by number, and why."""
    turned: dict[int, int] = field(default_factory=dict)
    """The photos that were turned upright, by number: how many times by 90 degrees to the left. `found` is in the turned
    photo."""

    def lying(self, photos: Sequence[Photo]) -> list[Face]:
        """Where each face is in its photo as it was given, not turned."""
        places = zip(self.found, self.photo.tolist(), strict=True)
        return [as_it_lies(face, self.turned.get(number, 0), photos[number]) for face, number in places]


def crop_faces(
    photos: Sequence[Photo],
    crop_spec: CropSpec,
    side: int,
    color: bool,
    turn: Turns = "off",
    searched_whole: Sequence[int] | None = None,
) -> Crops:
    """The crops of upright photos, uint8 (H, W, 3), of any sizes, with `side` pixels each.

    `turn`: look for faces in photos that lie on their side or upside down, too: `all`, which takes four times as long, or `auto`,
    where no face is upright for certain. `searched_whole`: for frames of a video that follow each other closely, the numbers of
    those that are searched whole (`mien.faces.between_frames`), all unless given. The frames up to the next of them are turned as
    it is. Raises MienError for an unknown alignment, detector or `turn`, and where `searched_whole` does not begin with 0 and
    ascend.
    """
    if turn not in get_args(Turns):
        raise MienError(f"`turn` among {', '.join(get_args(Turns))}", brief_repr(turn), "choose one of them")
    align, detector = _made(crop_spec)
    quarters = dict[int, int]()
    if detector is None:
        found: Sequence[Sequence[Face]] = [(_all_of(photo),) for photo in photos]
    elif turn == "off" and searched_whole is None:
        found = detector(photos)
    elif turn == "off":
        found = find_in_frames(photos, detector, searched_whole or ())
    else:
        keys = range(len(photos)) if searched_whole is None else searched_whole
        require_keys(keys, len(photos))
        directions = in_all_directions([photos[key] for key in keys], detector, lost=turn == "auto")
        ends = [*keys[1:], len(photos)]
        each = [times for (times, _), key, end in zip(directions, keys, ends, strict=True) for _ in range(key, end)]
        quarters = {number: times for number, times in enumerate(each) if times}
        photos = [turned(photo, times) for photo, times in zip(photos, each, strict=True)]
        found = find_in_frames(photos, detector, keys, [faces for _, faces in directions])
    crops, owners, kept, empty = list[Photo](), list[int](), list[Face](), dict[int, str]()
    for number, (photo, faces) in enumerate(zip(photos, found, strict=True)):
        chosen = choose_faces(faces, crop_spec.which, (photo.shape[1], photo.shape[0]))
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
    return Crops(faces_, np.array(owners, np.int64), tuple(kept), empty, quarters)


@cache
def _made(crop_spec: CropSpec) -> tuple[Align, Detector | None]:
    """The alignment and the detector of a spec, made once in a process: a detector reads its weights."""
    align = align_from_text(crop_spec.align)
    return align, None if component_to_text(align) == WHOLE else detector_from_text(crop_spec.detector)


def _all_of(photo: Photo) -> Face:
    """The whole photo as a face."""
    height, width = photo.shape[:2]
    return Face(box=(0.0, 0.0, float(width), float(height)), landmarks=None, score=1.0)
