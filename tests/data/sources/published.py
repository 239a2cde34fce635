"""What the tests of published databases share: small pictures in trees of their layout, and that each missing thing is said."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from mien import FaceSet, MienError
from mien.data.importing import Imported, import_source, known_databases, source_from

Write = Callable[[Path], object]
"""Writes a small tree of the published layout into a folder."""


def write_picture(path: Path, size: tuple[int, int] = (20, 20), shade: int = 128, mode: str = "L") -> None:
    """A picture of one shade, width times height, with a white pixel in its corner; its folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.new(mode, size, shade if mode == "L" else (shade,) * 3)
    image.putpixel((0, 0), 255 if mode == "L" else (255,) * 3)
    image.save(path)


def write_text(path: Path, text: str, encoding: str = "utf-8") -> None:
    """A text file; its folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode(encoding))


def imported(name: str, tree: Path, out: Path, **settings: Any) -> Imported:
    """A face set of a tree, with faces of 16 pixels unless another `side` is given; `side=None`: the source has one alone."""
    asked = {"input": tree, "side": 16, **settings}
    return import_source(source_from(name, {key: value for key, value in asked.items() if value is not None}), out)


def labels_by_id(faces: FaceSet) -> dict[str, str]:
    """The class of each face, by its id; empty for none."""
    names = [*faces.classes, ""]
    return {str(id_): names[label] for id_, label in zip(faces.values("id"), faces.labels, strict=True)}


def each_missing(name: str, write: Write, folder: Path, leave: tuple[str, ...] = (), **settings: Any) -> None:
    """Without any one of its folders and files, a tree is refused, and the message names the place.

    `leave`: beginnings of paths whose absence is no fault.
    """
    write(folder / "whole")
    things = [thing.relative_to(folder / "whole") for thing in sorted((folder / "whole").rglob("*"))]
    assert things
    for number, thing in enumerate(things):
        if thing.as_posix().startswith(leave):
            continue
        tree, out = folder / f"tree{number}", folder / f"out{number}"
        write(tree)
        shutil.rmtree(tree / thing) if (tree / thing).is_dir() else (tree / thing).unlink()
        with pytest.raises(MienError) as refused:
            imported(name, tree, out, **settings)
        assert str(tree / thing) in str(refused.value), f"{thing}: {refused.value}"
        assert not out.exists()


def facts_are_whole(name: str) -> None:
    """What `mien databases` says of it is there; its protocols are settings that it takes."""
    facts = known_databases()[name]
    assert all((facts.title, facts.about, facts.citation, facts.terms, facts.get, facts.places))
    for protocol in facts.protocols.values():
        source_from(name, {"input": Path(), **protocol.settings}).info()
