"""Counts what lies at the inputs of a preparation, before anything is read, and checks that it fits the settings."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from mien.errors import MienError
from mien.expressions import canonical_names
from mien.media.file_limits import FILE_LIMITS, FileLimits
from mien.media.file_names import escaped_name
from mien.media.find_source_files import find_source_files
from mien.media.source_files import SourceFile
from mien.preparation.preparation_settings import PreparationSettings

MOST_NAMED = 12
"""The most classes that a message names."""


@dataclass(frozen=True)
class Survey:
    """What lies at the inputs of a preparation."""

    photos: int
    """The number of photos and videos."""
    labels: Mapping[str, int]
    """How many photos and videos lie in the folders of each name; "": in none."""
    loose: int
    """How many lie directly in the one folder that was given."""
    splits: bool
    """Whether some have a split."""
    fault: str = ""
    """Why the first input known to be unreadable cannot be read; "" for none."""


def survey_inputs(asked: PreparationSettings, limits: FileLimits = FILE_LIMITS) -> Survey:
    """Count what lies at the inputs. Raises MienError where an input is not there."""
    labels, loose, splits, faulty = Counter[str](), 0, False, ""
    for one in source_files_of(asked, limits):
        labels[one.label] += 1
        loose += not one.label and "/" not in one.name
        splits, faulty = splits or bool(one.split), faulty or (one.fault and f"{one.name}: {one.fault}")
    return Survey(labels.total(), labels, loose if len(asked.inputs) == 1 else 0, splits, faulty)


def classes_of(labels: Iterable[str], own: Mapping[str, str] = MappingProxyType({})) -> dict[str, str]:
    """Our class for each name of a class folder, where it has one; the user's `own` map goes first."""
    names = sorted(set(labels) - {""})
    return {name: name if one is None else one for name, one in zip(names, canonical_names(names, own), strict=True) if one != ""}


def source_files_of(asked: PreparationSettings, limits: FileLimits) -> Iterator[SourceFile]:
    """The photos and videos that the settings name."""
    return find_source_files(asked.inputs, labeled=asked.labeled, limits=limits, mapped=asked.classes, keep=asked.keep)


def require_fitting_inputs(asked: PreparationSettings, found: Survey) -> int:
    """The number of photos and videos. Raises MienError where they do not fit the settings."""
    if not found.photos:
        named = ", ".join(escaped_name(one) for one in asked.inputs[:3]) + (", …" if len(asked.inputs) > 3 else "")
        raise MienError("at least one photo or video", f"none in {named}", "check the inputs")
    if asked.labeled and not classes_of(found.labels, asked.classes):
        loose = f", but {found.loose} in {escaped_name(asked.inputs[0])} itself, without a class folder" if found.loose else ""
        loose = f"; {found.fault}" if found.fault else loose
        todo = "give the folder that holds the class folders, or leave out --labeled"
        raise MienError("photos in class folders", f"none{loose}", todo)
    if unknown := sorted(set(asked.classes) - set(found.labels)):
        listed = ", ".join(sorted({name for name in found.labels if name})[:MOST_NAMED]) or "none"
        raise MienError(f"labels {', '.join(unknown)} in the inputs", listed, "change the map of classes")
    if asked.test and found.splits:
        raise MienError("inputs without splits, to make a test split", "some with splits", "leave `test` out")
    return found.photos
