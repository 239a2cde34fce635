"""What people write for classes and splits, in folders' names and in tables: read the same way by every command."""

import unicodedata
from collections.abc import Collection

from mien.expressions import canonical

UNLABELED = "unlabeled"
"""The folder of faces without label."""

_NOTHING = {
    *("", "nan", "-nan", "na", "n/a", "n a", "#n/a", "<na>", "none", "null", "nil", "nat", "?", "-"),
    *(UNLABELED, "unlabelled", "not labeled", "not labelled", "no label"),
}
"""What tables, and the programs that write them, put where there is nothing; in lower case."""

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
"""The splits that folders may be."""


def text_or_none(written: str | None) -> str:
    """A label, a person or a sequence, without spaces around it and in Unicode's form NFC; "" for what says that there is none:
    nothing, nan, None, NA, null, unlabeled, ? and their like, in any letter case."""
    text = unicodedata.normalize("NFC", (written or "").strip())
    return "" if _words(text) in _NOTHING else text


def label_or_none(written: str | None, own: Collection[str] = ()) -> str:
    """As `read_text`, but for the names that the user's own map has."""
    return written if written and written in own else text_or_none(written)


def split_name(written: str | None) -> str:
    """Our name of a split (train, validation, test) for those that people use (Train, TEST, val); "" for none; others as they
    are written."""
    text = text_or_none(written)
    return known_split(text) or text


def known_split(written: str) -> str:
    """Our name of a split; "" where it is none that is known."""
    plain = _words(written)
    for ending in (" set", " split", " data", "set"):
        plain = plain.removesuffix(ending)
    return _OURS.get(plain, "")


def split_folder(name: str) -> str:
    """Our name of the split that a folder's name stands for; "" where it is none."""
    found = known_split(name)
    return found if found in FOLDERS else ""


def is_unlabeled(name: str) -> bool:
    """Does a folder's name say that its faces have no label?"""
    return not text_or_none(name)


def is_named(name: str) -> bool:
    """Does a folder's name say by itself what it is: an expression, a split, or what has no label?"""
    return bool(canonical(name) or split_folder(name)) or is_unlabeled(name)


def _words(text: str) -> str:
    return " ".join(text.lower().replace("_", " ").split()).strip()
