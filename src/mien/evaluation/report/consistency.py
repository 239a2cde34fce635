"""The files of `mien consistency`: a CSV of all faces, risk by coverage, pictures of unstable faces and failed sequences."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from mien.data.face_grid import BLUE, INK, RED, SOFT, GridNote, GridRow, GridTile, draw_face_grid, write_face_grid
from mien.disk import write_atomically
from mien.evaluation.consistency import Consistency
from mien.evaluation.failure_cases import CheckedSequences
from mien.evaluation.report.figures import draw_risks
from mien.evaluation.stability_summary import ScoredFaces, UnstableExamples
from mien.folders import require_own
from mien.wording import quantity

SIDE = 88
"""Side of a face in the pictures, in pixels."""
MOST = 16
"""Most sequences in the picture."""
NO_LABEL = "(no label)"
"""Name of the row of faces without label."""
LEAST = 1e-12
"""Least S against which the bars of S are drawn; else they are drawn against the highest S."""
COMMAND = "mien consistency"
"""The command that writes them."""
RISKS = "risk-coverage.svg"
"""Name of the diagram of risk by coverage."""
FILES = ("consistency.csv", RISKS, "unreliable.png", "failures.png")
"""Names of the files that are written."""


def write_consistency(found: Consistency, out: Path) -> list[str]:
    """Write consistency.csv and the pictures into the folder `out` in place of earlier ones, and give the files' names.

    Labeled faces have risk-coverage.svg. Faces with pixels have unreliable.png, and their sequences failures.png.
    Raises MienError as `require_own` does.
    """
    require_own(out, FILES, COMMAND)
    out.mkdir(parents=True, exist_ok=True)
    pictures = {}
    if found.scored.faces.info.kind == "faces":
        pictures["unreliable.png"] = draw_unreliable(found)
        if found.checked is not None:
            pictures["failures.png"] = draw_failures(found.scored, found.checked)
    write_atomically(out / "consistency.csv", consistency_rows(found.scored).encode())
    for name, picture in pictures.items():
        write_face_grid(picture, out / name)
    if found.risks:
        write_atomically(out / RISKS, draw_risks(found.risks))
    names = ["consistency.csv", *([RISKS] if found.risks else []), *pictures]
    for left_over in set(FILES) - set(names):
        (out / left_over).unlink(missing_ok=True)
    return names


def consistency_rows(scored: ScoredFaces) -> str:
    """The CSV of id, label, predicted, score and, where the set has sequences, sequence; the highest score comes first."""
    file, faces = io.StringIO(), scored.faces
    names = ["id", *(["sequence"] if "sequence" in faces.column_names else [])]
    columns = [faces.column(name).to_pylist() for name in names]
    writer, given = csv.writer(file, lineterminator="\n"), [*faces.classes, ""]
    writer.writerow(["id", "label", "predicted", "score", *names[1:]])
    labels = faces.labels
    for row in np.argsort(-scored.scores, kind="stable").tolist():
        said = [given[labels[row]], scored.classes[scored.predicted[row]], f"{scored.scores[row]:.6g}"]
        writer.writerow([columns[0][row], *said, *(values[row] or "" for values in columns[1:])])
    return file.getvalue()


def draw_unreliable(found: Consistency) -> Image.Image:
    """A picture with a row for each class: its least stable faces with S and prediction, and a neighbor beside each."""
    rows = [
        GridRow(example.name or NO_LABEL, tuple(_unreliable(found.scored, example)), f"{quantity(example.count, 'face')}")
        for example in found.examples
    ]
    title = "The most unreliable faces of each class. Red: predicted as something else than labeled"
    if any(example.neighbors is not None for example in found.examples):
        title += "; of a neighbor, something else than the face"
    return draw_face_grid(rows, SIDE, title)


def draw_failures(scored: ScoredFaces, checked: CheckedSequences) -> Image.Image:
    """A picture with a row for each of up to MOST failure cases, consistent ones first: frames and their predictions."""
    wrong = (scored.predicted[checked.near] != checked.labels[:, None]).sum(axis=1)
    order = np.lexsort((-wrong, ~checked.consistent))
    shown = order[checked.failed[order]][:MOST]
    rows = [
        GridRow(
            scored.classes[checked.labels[number]],
            tuple(_frames(scored, checked, number)),
            f"{checked.names[number]}{': consistent' if checked.consistent[number] else ''}",
        )
        for number in shown.tolist()
    ]
    failed, count = int(checked.failed.sum()), len(checked.labels)
    some = f" (here {len(shown)}, consistent ones first)" if failed > len(shown) else ""
    return draw_face_grid(
        rows, SIDE, f"{failed} of {quantity(count, 'sequence')} failed{some}. Blue: predicted as labeled; red: not"
    )


def _unreliable(scored: ScoredFaces, example: UnstableExamples) -> Iterator[GridTile]:
    """The faces of one class, with a neighbor after each."""
    wrong, highest = scored.wrong, max(float(scored.scores.max()), LEAST)
    for place, (row, face) in enumerate(zip(example.rows, scored.faces.faces(example.rows), strict=True)):
        score, said = scored.scores[row], scored.classes[scored.predicted[row]]
        about = GridNote(said, color=RED if wrong[row] else INK)
        yield GridTile(face, (GridNote(f"S {score:.3g}", score / highest), about), RED if wrong[row] else "")
        if example.neighbors is not None:
            other, same = scored.classes[example.predicted[place]], example.predicted[place] == scored.predicted[row]
            about = GridNote(other, color=SOFT if same else RED)
            yield GridTile(example.neighbors[place], (GridNote(f"neighbor {example.scores[place]:.2g}", color=SOFT), about))


def _frames(scored: ScoredFaces, checked: CheckedSequences, number: int) -> Iterator[GridTile]:
    """The checked frames of a sequence, and its last one."""
    near, label = checked.near[number], checked.labels[number]
    faces = [*scored.faces.faces(near), checked.peaks.faces([number])[0]]
    predicted = [*scored.predicted[near], checked.peaks_predicted[number]]
    under = [*(f"{left} before" for left in range(len(near), 0, -1)), "the last"]
    for face, said, text in zip(faces, predicted, under, strict=True):
        right = bool(said == label)
        notes = (GridNote(scored.classes[said], color=INK if right else RED), GridNote(text, color=SOFT))
        yield GridTile(face, notes, BLUE if right else RED)
