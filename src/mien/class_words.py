"""Words that people write for classes and splits, in folders' names and in tables; every command reads them the same way."""

import unicodedata
from collections.abc import Collection

from mien.expressions import canonical

UNLABELED = "unlabeled"
"""The name of the folder for faces without label."""

_NOTHING = {
    *("", "nan", "-nan", "na", "n/a", "n a", "#n/a", "<na>", "none", "null", "nil", "nat", "?", "-"),
    *(UNLABELED, "unlabelled", "not labeled", "not labelled", "no label"),
}
"""What tables hold where there is no value, in lower case."""

_SPLITS = {
    "train": ("train", "training", "trn"),
    "validation": ("validation", "val", "valid", "dev", "development"),
    "test": ("test", "testing", "tst"),
    "PublicTest": ("publictest",),
    "PrivateTest": ("privatetest",),
}
"""Other names of a split, in lower case; the last two are FER2013's."""

_OURS = {written: ours for ours, names in _SPLITS.items() for written in names}

FOLDERS = ("train", "validation", "test")
"""The splits that a folder may be named for."""


def text_or_none(written: str | None) -> str:
    """A label, a person or a sequence as written, without spaces around it and in Unicode's form NFC.

    Returns "" for words that mean no value, in any letter case: nothing, nan, None, NA, null, unlabeled, ? and the like.
    """
    text = unicodedata.normalize("NFC", (written or "").strip())
    return "" if _words(text) in _NOTHING else text


def label_or_none(written: str | None, own: Collection[str] = ()) -> str:
    """A label as written, or "" for words that mean no label; a label among the user's `own` stays, whatever it means."""
    return written if written and written in own else text_or_none(written)


def split_name(written: str | None) -> str:
    """Our name of a split (train, validation, test) for a common spelling of it (Train, TEST, val).

    Returns "" for words that mean no split, and other names as they are written.
    """
    text = text_or_none(written)
    return known_split(text) or text


def known_split(written: str) -> str:
    """Our name of a split for a common spelling of it; "" for an unknown split."""
    plain = _words(written)
    for ending in (" set", " split", " data", "set"):
        plain = plain.removesuffix(ending)
    return _OURS.get(plain, "")


def split_folder(name: str) -> str:
    """Our name of the split that a folder is named for; "" for any other folder."""
    found = known_split(name)
    return found if found in FOLDERS else ""


def is_unlabeled(name: str) -> bool:
    """Whether a folder's name says that its faces have no label."""
    return not text_or_none(name)


def is_named(name: str) -> bool:
    """Whether a folder's name is that of an expression, a split, or faces without label."""
    return bool(canonical(name) or split_folder(name)) or is_unlabeled(name)


def _words(text: str) -> str:
    return " ".join(text.lower().replace("_", " ").split()).strip()
