"""Faces in frames of a video that follow each other closely: only every so many frames are searched whole.

In the frames between, faces are looked for around their places in the frame before, and not much smaller than they were. A frame
in which one of them is not found there is searched whole, and so is the first one after a cut. Who comes into the picture is
seen at the next whole search, a third of a second later at most.
"""

from collections.abc import Sequence
from dataclasses import is_dataclass, replace
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from mien.errors import MienError
from mien.faces.detect import Detector, surest_first
from mien.faces.face import Face
from mien.media.photos import Photo
from mien.settings import Count, require_fitting
from mien.wording import brief_repr

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


def whole_searches(times: Sequence[float], cuts: Sequence[bool], whole_every: int = WHOLE_EVERY) -> list[int]:
    """The numbers of the frames to be searched whole, ascending, of frames at these `times`, in seconds.

    `cuts`: for each frame, whether it comes after a cut (`mien.media.video_cuts`). Found are the first, those after a cut or a
    gap, and so many that from one to the next there are at most `whole_every` frames and a third of a second. Where a frame comes
    0.15 s after the one before, it is one of them. Raises MienError where `whole_every` is no whole number from 1 on.
    """
    require_fitting(Count, whole_every=whole_every)
    keys = list[int]()
    for number, (time, cut) in enumerate(zip(times, cuts, strict=True)):
        after = times[number + 1] if number + 1 < len(times) else time
        if not keys or cut or number - keys[-1] >= whole_every or time - times[number - 1] >= NEAR - CLOSE:
            keys.append(number)
        elif after - times[keys[-1]] > WHOLE_AFTER + CLOSE and after - time < NEAR - CLOSE:
            keys.append(number)  # the next frame would be too late
    return keys


def find_in_frames(
    frames: Sequence[Photo], detector: Detector, keys: Sequence[int], found: Sequence[Sequence[Face]] | None = None
) -> list[tuple[Face, ...]]:
    """The faces of frames (H, W, 3) in their order, the surest first. From one key to the next, frames have one size.

    `keys`: the numbers of the frames that are searched whole, ascending, 0 among them, as `whole_searches` gives them. `found`:
    the faces of those frames; unless given, they are searched. Raises MienError for other keys.
    """
    require_keys(keys, len(frames))
    known = detector([frames[key] for key in keys]) if found is None else found
    at_keys = {key: surest_first(faces) for key, faces in zip(keys, known, strict=True)}
    # Together first, around their places in the frame that was searched whole, which is fastest.
    between = [number for number in range(len(frames)) if number not in at_keys]
    before = [at_keys[max(key for key in keys if key < number)] for number in between]
    together = dict(zip(between, _around(before, [frames[number] for number in between], detector), strict=True))
    made = list[tuple[Face, ...]]()
    for number, frame in enumerate(frames):
        here = at_keys[number] if number in at_keys else together[number] or _around(made[-1:], [frame], detector)[0]
        made.append(here if here or number in at_keys else surest_first(detector([frame])[0]))
    return made


def _around(before: Sequence[Sequence[Face]], frames: Sequence[Photo], detector: Detector) -> list[tuple[Face, ...]]:
    """The faces of each frame around its faces `before`, the surest first; none where one of these is not found again."""
    shapes = [frame.shape for frame in frames]
    places = [(number, region) for number, faces in enumerate(before) for region in _regions(faces, shapes[number])]
    if not places:
        return [()] * len(frames)
    pieces = [np.ascontiguousarray(frames[number][top:bottom, left:right]) for number, (left, top, right, bottom) in places]
    found, lost = [list[Face]() for _ in frames], set[int]()
    around = _for_faces_like(detector, [face for faces in before for face in faces])(pieces)
    for (number, region), faces in zip(places, around, strict=True):
        here = [face for face in (_moved(face, region) for face in faces) if _wholly_in(face, region, shapes[number])]
        found[number] += here
        if len(here) < _count_in(region, before[number]):
            lost.add(number)
    return [() if number in lost else surest_first(faces) for number, faces in enumerate(found)]


def _wholly_in(face: Face, region: Region, shape: tuple[int, ...]) -> bool:
    """Whether a face does not reach beyond a region of its frame, but where that ends; of others the region shows a part."""
    (x0, y0, x1, y1), (left, top, right, bottom) = face.box, region
    across = (x0 > left or left == 0) and (x1 < right or right == shape[1])
    return across and (y0 > top or top == 0) and (y1 < bottom or bottom == shape[0])


def _count_in(region: Region, faces: Sequence[Face]) -> int:
    """How many of the faces have their center in a region."""
    left, top, right, bottom = region
    return sum(left <= x <= right and top <= y <= bottom for x, y in (face.center for face in faces))


def require_keys(keys: Sequence[int], count: int) -> None:
    """Raises MienError where these are not numbers of frames, ascending, 0 among them, of so many frames."""
    given = [key for key in keys if isinstance(key, int | np.integer)]
    sound = len(given) == len(keys) and given == sorted({*given} & {*range(count)})
    if not sound or (count and given[:1] != [0]):
        expected = f"numbers of frames below {count}, ascending, 0 among them"
        raise MienError(expected, brief_repr(list(keys)), "take those that whole_searches gives")


def _for_faces_like(detector: Detector, faces: Sequence[Face]) -> Detector:
    """The detector, looking for faces that are not much smaller than these, where it has such a setting."""
    least = detector.least_face
    if least is None or not is_dataclass(detector):
        return detector
    smallest = min(max(x1 - x0, y1 - y0) for x0, y0, x1, y1 in (face.box for face in faces))
    return cast(Detector, replace(cast(Any, detector), least_face=type(least)(max(least, SMALLER * smallest))))


def _regions(faces: Sequence[Face], shape: tuple[int, ...]) -> list[Region]:
    """Where to look for these faces in a frame of this shape; those that overlap are one, and so is all that takes most of it."""
    boxes = [_square(face, shape) for face in faces]
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


def _square(face: Face, shape: tuple[int, ...]) -> npt.NDArray[np.int64]:
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
