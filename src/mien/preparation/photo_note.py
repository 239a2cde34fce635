"""A note beside a face set of where its photos lie, and the search for these photos again."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

from pydantic import Field
from pydantic.dataclasses import dataclass as checked

from mien.data.writer import FaceSetWriter
from mien.json_text import to_json
from mien.json_toml import read_settings
from mien.media.file_limits import FILE_LIMITS, FileLimits
from mien.media.find_source_files import find_source_files
from mien.media.source_files import SourceFile
from mien.settings import STRICT, plain_errors

FILE = "photos.json"
"""The name of the note in a set's folder. The set's checksum does not cover it."""


@plain_errors
@checked(frozen=True, config=STRICT)
class PhotoNote:
    """The inputs that a set was made from, as paths relative to the set, so that they tell no more of this computer than
    needed.
    """

    inputs: Annotated[tuple[Annotated[str, Field(max_length=10_000)], ...], Field(max_length=100_000)]
    """The inputs, as paths relative to the set's folder."""
    version: Annotated[int, Field(ge=1, le=1)] = 1
    """The version of the note's format."""


def write_photo_note(writer: FaceSetWriter, inputs: Sequence[str], folder: Path) -> None:
    """Write a note into a set that will lie at `folder` of the inputs it was made from, where they can be written down."""
    try:
        paths = tuple(os.path.relpath(one, folder.absolute()) for one in inputs)
        "".join(paths).encode()
    except ValueError:  # names that are no text, or another drive
        return
    writer.attach(FILE, [to_json(PhotoNote(paths)).encode()])


def read_photo_note(folder: Path) -> tuple[str, ...]:
    """The inputs that the set in a folder was made from; empty where there is no note.

    Raises MienError for a note that mien did not write.
    """
    file = folder / FILE
    if not file.is_file():
        return ()
    noted = read_settings(PhotoNote, file, "remove it: the set is whole without it")
    return tuple(os.path.normpath(folder.absolute() / one) for one in noted.inputs)


def photos_by_name(inputs: Sequence[str], names: set[str], limits: FileLimits = FILE_LIMITS) -> Mapping[str, SourceFile]:
    """The photos at `inputs` that have these names. Videos are passed over, and so are tar.gz, which would have to stay in
    memory.

    Raises MienError where an input is not there.
    """
    found = (one for one in find_source_files(inputs, limits=limits) if one.name in names)
    return {one.name: one for one in found if not (one.video or one.fault or one.content is not None)}
