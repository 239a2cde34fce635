"""A folder of pictures with a folder for each class, as most people's own faces, and many databases, lie on disk."""

from collections.abc import Iterator
from dataclasses import dataclass as plain
from dataclasses import field
from pathlib import Path

import numpy as np
from pydantic.dataclasses import dataclass
from typing_extensions import override

from mien.class_words import is_unlabeled, split_folder, text_or_none
from mien.data.format import Info
from mien.data.source import FaceBlock, Source
from mien.errors import MienError
from mien.expressions import canonical_names
from mien.media.class_folders import folders_above_classes, look_on_disk, require_classes, splits_above_classes
from mien.media.face_pictures import SUFFIXES, common_side, picture_file_limits, read_picture_blocks
from mien.media.file_limits import LimitSwitch
from mien.media.rejections import Rejected
from mien.settings import STRICT, PictureSide


@plain(frozen=True)
class ClassFolder:
    """A folder of pictures of one class ("" for none) and one split ("" for none). `others`: files that are no pictures."""

    path: Path
    name: str
    split: str
    pictures: tuple[Path, ...]
    others: tuple[Path, ...]


@dataclass(frozen=True, config=STRICT)
class Folder(Source):
    """Pictures in class folders, at any depth below them; class names are those we know for the folders' names, sorted.

    `unlabeled/` holds faces without label, and so do folders named none, nan and the like. Above the classes there may be a
    level of splits (train, validation, test, with some other spellings); an `unlabeled/` beside those belongs to train. One
    folder that alone lies above all these is passed through. Hidden files are passed over.
    """

    input: Path
    """The folder above the class folders."""
    side: PictureSide | None = None
    """Crop the central square and resize it to this side; without, all pictures must be squares of one size."""
    color: bool = False
    """Keep color; gray otherwise."""
    classes: dict[str, str] = field(default_factory=dict)
    """Our class for a folder's name; "" for no label."""
    limits: LimitSwitch = "on"
    """Limits of the pictures' files: off, where they are known."""

    def info(self) -> Info:
        """Facts about the pictures. Raises MienError where there are no class folders or no picture can be read."""
        folders = self._folders()
        side = self.side or common_side(self.pictures(), picture_file_limits(self.limits))
        return Info(classes=_classes(folders), side=side, channels=3 if self.color else 1, name=f"folder {self.input.name}")

    def total(self) -> int:
        """The number of pictures."""
        return sum(len(folder.pictures) for folder in self._folders())

    @override
    def pictures(self) -> list[Path]:
        """The files of the pictures."""
        return [file for folder in self._folders() for file in folder.pictures]

    def blocks(self) -> Iterator[FaceBlock]:
        """Faces with id (the path within the folder), label and, where there are splits, split.

        A file that is no picture by its name, in a class folder, is rejected. Raises MienError for a class folder
        without pictures, or pictures of several sizes where no side is given.
        """
        folders = self._folders()
        classes = {name: label for label, name in enumerate(_classes(folders))}
        files = [(file, folder) for folder in folders for file in folder.pictures]
        paths = [file for file, _ in files]
        ids = np.array([_text(file.relative_to(self.input)) for file in paths], object)
        labels = np.array([classes.get(folder.name, -1) for _, folder in files], np.int64)
        splits = np.array([folder.split for _, folder in files], object)
        others = tuple(Rejected(str(file), "no picture by its name") for folder in folders for file in folder.others)
        for pictures in read_picture_blocks(paths, self.side, self.color, picture_file_limits(self.limits)):
            columns = {"id": ids[pictures.index], "label": labels[pictures.index]}
            if splits[0]:
                columns["split"] = splits[pictures.index]
            yield FaceBlock(pictures.faces, columns, others + pictures.rejected, pictures.notes)
            others = ()

    def _folders(self) -> list[ClassFolder]:
        """The class folders, by split and name."""
        look = look_on_disk(self.input, lambda name: _is_picture(Path(name)))
        above = folders_above_classes(look, self.input, self.classes)
        place, top = self.input.joinpath(*above), look(above).folders
        if not top:
            found = "nothing there" if not self.input.is_dir() else "no folders in it"
            raise MienError(f"a folder for each class in {self.input}", found, "sort the pictures into class folders")
        require_classes(look, above, self.input, self.classes)
        splits = splits_above_classes(look, above, self.input)
        if not splits:
            return self._checked([place / name for name in top], [""] * len(top))
        pairs = [(place / split / name, split_folder(split)) for split in splits for name in look((*above, split)).folders]
        pairs += [(place / name, "train") for name in top if name not in splits]
        return self._checked([folder for folder, _ in pairs], [split for _, split in pairs])

    def _checked(self, folders: list[Path], splits: list[str]) -> list[ClassFolder]:
        """The class folders with our names of classes. Raises MienError where one has no picture."""
        own = {folder.name: "" for folder in folders if is_unlabeled(folder.name)} | self.classes
        unknown = sorted(set(self.classes) - {folder.name for folder in folders})
        if unknown:
            listed = ", ".join(sorted({folder.name for folder in folders}))
            raise MienError(f"class folders {', '.join(unknown)} in {self.input}", listed, "change the map of classes")
        renamed = canonical_names([folder.name for folder in folders], own)
        made = [_read(*each) for each in zip(folders, renamed, splits, strict=True)]
        empty = [str(folder.path) for folder in made if not folder.pictures]
        if empty:
            raise MienError("a picture in every class folder", f"none in {', '.join(empty)}", "fill or remove it")
        return made


def _read(folder: Path, name: str | None, split: str) -> ClassFolder:
    left = {"thumbs.db", "desktop.ini"}
    files = [file for file in sorted(folder.rglob("*")) if file.is_file() and not file.name.startswith(".")]
    pictures = tuple(file for file in files if _is_picture(file))
    others = tuple(file for file in files if not _is_picture(file) and file.name.lower() not in left)
    return ClassFolder(folder, text_or_none(folder.name) if name is None else name, split, pictures, others)


def _is_picture(file: Path) -> bool:
    return file.suffix.lower() in SUFFIXES and not file.name.startswith(".")


def _classes(folders: list[ClassFolder]) -> tuple[str, ...]:
    return tuple(sorted({folder.name for folder in folders} - {""}))


def _text(path: Path) -> str:
    """A path as text, with bytes that are not UTF-8 written out."""
    return path.as_posix().encode("utf-8", "backslashreplace").decode()
