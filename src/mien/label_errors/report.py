"""Writes the list of probable label errors: a csv file, a picture of its first faces, and the figures as JSON."""

import csv
import io
import os
import shutil
import tempfile
from pathlib import Path

from PIL import Image

from mien.data.face_grid import INK, RED, SOFT, GridNote, GridRow, GridTile, draw_face_grid, write_face_grid
from mien.disk import replace_atomically
from mien.errors import MienError
from mien.folders import require_own
from mien.json_text import to_json
from mien.json_toml import read_json
from mien.label_errors.ranking import LabelErrors
from mien.wording import quantity

FILES = ("doubts.csv", "doubts.png", "doubts.json")
"""The files that are written."""
COMMAND = "mien label-errors"
MADE_BY = "mien doubts"
"""Stands in doubts.json, and says that the folder may be written anew: the command's first name, which older lists bear."""
PICTURED = 100
"""Faces in the picture, unless somebody asks for another number."""
ACROSS = 10
"""Faces in a row of the picture."""
SIDE = 88
"""Side of a face in the picture, in pixels."""


def require_own_list(out: Path) -> None:
    """Raises MienError where anything is at `out` but a list that `mien label-errors` left there."""
    found = require_own(out, FILES, COMMAND)
    if found and "doubts.json" in found:
        said = read_json(out / "doubts.json", "choose another --out, or move what is there")
        found = [] if said.get("made_by") == MADE_BY else ["doubts.json"]
    require_own(out, set(FILES) - set(found), COMMAND)


def write_label_errors(found: LabelErrors, out: Path | str, first: int = PICTURED) -> list[str]:
    """Write doubts.csv, doubts.json and, unless the faces are features, doubts.png with the `first` faces. Returns their names.

    The new files take the place of an earlier list once all are written. Raises MienError as `require_own_list` does, and for a
    picture without faces.
    """
    if first < 1:
        raise MienError("at least 1 face to show", f"{first}", "show more")
    out = Path(os.path.realpath(out))  # of links that lead in a circle, one of them
    require_own_list(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    new, old = aside / "new", aside / "old"
    try:
        new.mkdir()
        (new / "doubts.csv").write_text(label_error_rows(found), "utf-8")
        if found.faces.info.kind == "faces":
            write_face_grid(draw_label_errors(found, first), new / "doubts.png")
        figures = {"made_by": MADE_BY} | found.to_json()
        (new / "doubts.json").write_text(to_json(figures), "utf-8")
        _swap(new, out, old)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return [name for name in FILES if (out / name).is_file()]


def _swap(new: Path, out: Path, old: Path) -> None:
    """Put the folder `new` in the place of `out`, which may not exist; where that fails `out` is as it was."""
    try:
        if out.exists():
            out.rename(old)
        replace_atomically(new, out)
    except BaseException:
        if old.exists() and not out.exists():
            old.rename(out)
        raise


def label_error_rows(found: LabelErrors) -> str:
    """The list as csv text: id, given, suggested, score, flagged and rank (from 1), the most doubtful first."""
    file, names = io.StringIO(), [*found.classes, ""]
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["id", "given", "suggested", "score", "flagged", "rank"])
    columns = (found.given.tolist(), found.suggested.tolist(), found.scores.tolist(), found.flagged.tolist())
    for rank, (name, given, likely, score, flagged) in enumerate(zip(found.ids, *columns, strict=True), 1):
        writer.writerow([name, names[given], names[likely], f"{score:.6g}", str(flagged).lower(), rank])
    return file.getvalue()


def draw_label_errors(found: LabelErrors, first: int = PICTURED) -> Image.Image:
    """A picture of the `first` faces, ACROSS in a row. Under each stand its label and a likelier class, or else the score.

    A frame marks a label that is known to be wrong.
    """
    count, tiles = min(first, len(found.ids)), []
    for place, face in enumerate(found.faces.faces(range(count))):
        given, likely = int(found.given[place]), int(found.suggested[place])
        about = GridNote(f"-> {found.classes[likely]}", color=SOFT if likely == given else INK)
        under = about if likely >= 0 else GridNote(f"{found.scores[place]:.3g}", color=SOFT)
        wrong = found.wrong is not None and bool(found.wrong[place])
        tiles.append(GridTile(face, (GridNote(found.classes[given]), under), RED if wrong else ""))
    rows = [
        GridRow(f"{start + 1} to {min(start + ACROSS, count)}", tuple(tiles[start : start + ACROSS]))
        for start in range(0, count, ACROSS)
    ]
    title = f"The {count} most doubtful of {quantity(len(found.ids), 'label')}"
    return draw_face_grid(rows, SIDE, title + ("" if found.wrong is None else "; framed: known to be wrong"))
