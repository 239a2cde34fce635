"""Label vocabularies, and the maps between the names that databases give to expressions."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

BASIC = ("anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise")
"""The six basic expressions and neutral, in alphabetical order."""

FERPLUS = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt")
"""The eight classes of FER+, in the order of its columns."""

ANXIETY = (*BASIC, "anxiety")
"""The basic seven and anxiety."""

DEFINITIONS = {
    "anger": "The brows are drawn down and together. The eyes stare hard. The lips are pressed together, or the teeth show.",
    "contempt": "One corner of the mouth is pulled back and up, the other is not. The rest of the face is calm.",
    "disgust": "The nose is wrinkled and the upper lip is raised. The cheeks push up and the eyes narrow.",
    "fear": "The brows are raised and drawn together. The eyes are wide open. The lips are stretched sideways.",
    "happiness": "The corners of the mouth go up, and the cheeks with them. Small folds may show beside the eyes.",
    "neutral": "The face is at rest: no part of it shows a feeling.",
    "sadness": "The inner ends of the brows go up. The corners of the mouth go down. The eyes may look down or be wet.",
    "surprise": "The brows are raised high and the eyes are wide open. The jaw drops, and the mouth hangs open.",
}
"""What people who label faces are told to look for, by our names of expressions."""

_FOREIGN = {
    "anger": ("angry", "an"),
    "anxiety": ("anxious",),
    "contempt": ("contemptuous", "scorn"),
    "disgust": ("disgusted", "di"),
    "fear": ("fearful", "afraid", "scared", "af", "fe"),
    "happiness": ("happy", "joy", "joyful", "ha"),
    "neutral": ("neutrality", "calm", "normal", "no expression", "ne"),
    "sadness": ("sad", "sa"),
    "surprise": ("surprised", "su"),
}
"""Other names of expressions in databases, by our names; the names of two letters are JAFFE's and KDEF's."""

SYNONYMS = {name: ours for ours, foreign in _FOREIGN.items() for name in (ours, *foreign)}
"""Our name of an expression for every name that is known, in lower case."""


def canonical(name: str) -> str | None:
    """Our name of an expression for a database's name of it, apart from letter case, spaces, - and _; None where it is
    unknown.
    """
    return SYNONYMS.get(" ".join(name.lower().replace("_", " ").replace("-", " ").split()))


def canonical_names(names: Sequence[str], own: Mapping[str, str]) -> list[str | None]:
    """Our names of expressions for a database's `names`, in the same order; the user's `own` map goes first.

    That map may send a name to "" (unlabeled) or to a class of the user's own. Unknown names give None.
    """
    return [own[name] if name in own else canonical(name) for name in names]


def label_translation(source: Sequence[str], target: Sequence[str]) -> npt.NDArray[np.int64]:
    """A table (K + 1,) of numbers that turns labels of the K classes `source` into labels of the classes `target`.

    `label_translation(source, target)[labels]` translates labels (N,). Classes without counterpart become -1, and -1 stays -1.
    """
    places = {canonical(name) or name: place for place, name in enumerate(target)}
    return np.array([*(places.get(canonical(name) or name, -1) for name in source), -1], np.int64)
