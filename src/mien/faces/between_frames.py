"""Faces in frames of a video that follow each other closely: only every so many frames are searched whole.

In the frames between, faces are looked for around the places where the last whole search found them, and not much smaller than
they were. A frame in which none is found there is searched whole, and so is the first one after a cut. Who comes into the
picture is seen at the next whole search, a third of a second later at most.
"""

from collections.abc import Sequence
from dataclasses import dataclass, is_dataclass, replace
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from mien.faces.detect import Detector, surest_first
from mien.faces.face import Face
from mien.media.photos import Photo

WHOLE_EVERY = 8
"""Most frames from one whole search to the next."""
WHOLE_AFTER = 1 / 3
"""Most seconds from one whole search to the next."""
NEAR = 0.15
"""Seconds between two frames from which on the second is searched whole: a face may be anywhere."""
CLOSE = 1e-3
"""Seconds by which two times may differ, as they are rounded."""
AROUND = 2.0
"""Side of the place in which a face is looked for, in sides of its box."""
SMALLER = 0.6
"""Faces are looked for from this part of the smallest one's side on."""
WORTH = 0.6
"""Part of a frame from which its places are no longer worth it: all of it is one place, for faces not much smaller."""
Region = tuple[int, int, int, int]


@dataclass(frozen=True)
class _Place:
    """A part of a frame to be looked at."""

    frame: int
    region: Region

    def of(self, frames: Sequence[Photo]) -> Photo:
        """The pixels of that part."""
        left, top, right, bottom = self.region
        return np.ascontiguousarray(frames[self.frame][top:bottom, left:right])


def whole_searches(times: Sequence[float], cuts: Sequence[bool], whole_every: int = WHOLE_EVERY) -> list[int]:
    """The numbers of the frames to be searched whole, ascending, of frames at these `times`, in seconds.

    `cuts`: for each frame, whether it comes after a cut (`mien.media.video_cuts`). Found are the first, those after a cut or a
    gap, and so many that from one to the next there are at most `whole_every` frames and a third of a second. Where a frame comes
    0.15 s after the one before, it is one of them.
    """
    keys = list[int]()
    for number, (time, cut) in enumerate(zip(times, cuts, strict=True)):
        after = times[number + 1] if number + 1 < len(times) else time
        if not keys or cut or number - keys[-1] >= whole_every or time - times[number - 1] >= NEAR - CLOSE:
            keys.append(number)
        elif after - times[keys[-1]] > WHOLE_AFTER + CLOSE and after - time < NEAR - CLOSE:
            keys.append(number)  # the next frame would be too late
    return keys


def find_in_frames(frames: Sequence[Photo], detector: Detector, keys: Sequence[int]) -> list[tuple[Face, ...]]:
    """The faces of frames (H, W, 3) of one size, in their order, the surest first.

    `keys`: the numbers of the frames that are searched whole, ascending, 0 among them, as `whole_searches` gives them.
    """
    found = dict(zip(keys, detector([frames[key] for key in keys]), strict=True)) if frames else {}
    places, lost, last = list[_Place](), list[int](), 0
    for number in range(len(frames)):
        if number in found:
            last = number
            continue
        faces = found[last]
        regions = _regions(faces, frames[number].shape) if faces else []
        places += [_Place(number, region) for region in regions]
        lost += [] if regions else [number]
    seen = [face for key in keys for face in found[key]]
    if places:
        around = _for_faces_like(detector, seen)([place.of(frames) for place in places])
        for place, faces in zip(places, around, strict=True):
            found[place.frame] = found.get(place.frame, ()) + tuple(_moved(face, place.region) for face in faces)
        lost += sorted({place.frame for place in places if not found[place.frame]})
    found |= dict(zip(lost, detector([frames[number] for number in lost]), strict=True)) if lost else {}
    return [surest_first(found[number]) for number in range(len(frames))]


def _for_faces_like(detector: Detector, faces: Sequence[Face]) -> Detector:
    """The detector, looking for faces that are not much smaller than these, where it has such a setting."""
    least = detector.least_face
    if least is None or not is_dataclass(detector):
        return detector
    smallest = min(max(x1 - x0, y1 - y0) for x0, y0, x1, y1 in (face.box for face in faces))
    return cast(Detector, replace(cast(Any, detector), least_face=type(least)(max(least, SMALLER * smallest))))


def _regions(faces: Sequence[Face], shape: tuple[int, ...]) -> list[Region]:
    """Where to look for these faces in a frame of this shape; those that overlap are one, and so is all that takes most of it."""
    boxes = [_around(face, shape) for face in faces]
    joined = list[npt.NDArray[np.int64]]()
    while boxes:
        box = boxes.pop()
        near = next((one for one in joined if (np.maximum(box[:2], one[:2]) < np.minimum(box[2:], one[2:])).all()), None)
        if near is None:
            joined.append(box)
            continue
        joined = [one for one in joined if one is not near]
        boxes.append(np.concatenate([np.minimum(box[:2], near[:2]), np.maximum(box[2:], near[2:])]))
    if sum(int(np.prod(box[2:] - box[:2])) for box in joined) > WORTH * shape[0] * shape[1]:
        return [(0, 0, shape[1], shape[0])]
    edges = (box.tolist() for box in joined)
    return [(left, top, right, bottom) for left, top, right, bottom in edges if left < right and top < bottom]


def _around(face: Face, shape: tuple[int, ...]) -> npt.NDArray[np.int64]:
    """(4,) the square around a face, within the frame."""
    x0, y0, x1, y1 = face.box
    half = AROUND * max(x1 - x0, y1 - y0) / 2
    middle = np.array([(x0 + x1) / 2, (y0 + y1) / 2])
    edges = np.concatenate([np.floor(middle - half), np.ceil(middle + half)])
    bounds = np.array([shape[1], shape[0]] * 2)
    return np.asarray(np.clip(edges, 0, bounds), np.int64)


def _moved(face: Face, region: Region) -> Face:
    """A face found in a region, in pixels of its frame."""
    left, top = region[:2]
    x0, y0, x1, y1 = face.box
    landmarks = None if face.landmarks is None else face.landmarks + np.array([left, top], face.landmarks.dtype)
    return replace(face, box=(x0 + left, y0 + top, x1 + left, y1 + top), landmarks=landmarks)
