"""Tells crops of faces from whole photos, where a folder of pictures is imported as it is, by a look at some of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from mien.errors import MienError
from mien.faces.detect import detector_from_text
from mien.faces.face import Face
from mien.faces.which_faces import choose_faces
from mien.media.face_pictures import PICTURES
from mien.media.file_limits import FileLimits
from mien.media.photos import Photo, read_photo
from mien.media.source_files import SourceFile

LOOKED_AT = 24
"""How many pictures are looked at, evenly among all."""
SIDE = 320
"""Pixels of the longer side at which pictures are searched: a face that fills a picture is large enough there."""
LEAST = 0.6
"""The share of a picture's shorter side that a crop's face fills at least. Crops by `mien prepare` are filled to 0.7."""
ASIDE = 0.25
"""How far from the middle a crop's face is at most, as a share of the picture's shorter side."""
SHARE = 0.25
"""The share of whole photos, among pictures with a face, from which there is a warning."""


@dataclass(frozen=True)
class WholePhotoShare:
    """How many of some pictures are whole photos."""

    faces: int
    """Pictures in which a face was found."""
    whole: int
    """Pictures in which the face is small, or far from the middle."""

    @property
    def warning(self) -> str:
        """A warning for people; "" where the pictures are crops."""
        if not self.faces or self.whole < SHARE * self.faces:
            return ""
        found = f"{self.whole} of {self.faces} pictures that were looked at are whole photos, whose middle is taken as it is"
        return f"{found}; mien prepare finds the faces in them and cuts them out as models expect"


def measure_whole_photos(paths: Sequence[Path], limits: FileLimits = PICTURES) -> WholePhotoShare:
    """Find faces in some of these pictures. Those that cannot be read, or show no face, count for nothing."""
    some = sorted({int(place) for place in np.linspace(0, len(paths) - 1, LOOKED_AT)}) if paths else []
    detector, found = detector_from_text("mtcnn"), list[bool]()
    for place in some:
        try:
            photo = _small(read_photo(SourceFile(paths[place].name, paths[place]), limits))
        except MienError:
            continue
        chosen = choose_faces(detector([photo])[0], "largest", (photo.shape[1], photo.shape[0]))
        found += [_is_whole(photo, face) for face in chosen]
    return WholePhotoShare(len(found), sum(found))


def _small(photo: Photo) -> Photo:
    high, wide = photo.shape[:2]
    factor = SIDE / max(high, wide)
    if factor >= 1:
        return photo
    size = (max(1, round(wide * factor)), max(1, round(high * factor)))
    return np.asarray(cv2.resize(photo, size, interpolation=cv2.INTER_AREA), np.uint8)


def _is_whole(photo: Photo, face: Face) -> bool:
    high, wide = photo.shape[:2]
    left, top, right, bottom = face.box
    aside = max(abs(face.center[0] - wide / 2), abs(face.center[1] - high / 2))
    return bool(max(right - left, bottom - top) < LEAST * min(high, wide) or aside > ASIDE * min(high, wide))
