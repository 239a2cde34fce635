"""Measures whether an expression's probability grows with its intensity, as a column of the set states it (ST+SW, Fig. 2a)."""

from pathlib import Path

from mien.data.face_grid import write_face_grid
from mien.data.faceset import FaceSet
from mien.data.splits import test_split
from mien.disk import write_atomically
from mien.errors import MienError
from mien.evaluation.evaluate import count_known
from mien.evaluation.intensity_correlation import (
    IntensityCorrelations,
    find_intensity_faces,
    sequence_correlations,
    summarize_intensity,
)
from mien.evaluation.report.intensity import draw_intensity, intensity_rows
from mien.recognize.recognizer import Recognizer


def inspect_intensity(
    recognizer: Recognizer | Path | str,
    faces: FaceSet | Path | str,
    split: str | None = None,
    column: str = "intensity",
    out: Path | str | None = None,
    device: str = "auto",
) -> IntensityCorrelations:
    """Spearman's rank correlation of the labeled class's probability with the intensity in `column`, over a split's faces.

    Faces without a number there are left out, and so is neutral, which has no intensity. For all frames of a sequence the class
    of its peak frame counts. Writes intensity.csv and, for faces with pixels, intensity.png (a few sequences of each class,
    frames in order of intensity) into `out`, or else into `intensity` in the run's folder. Raises MienError without the column,
    and where no intensities differ.
    """
    if not isinstance(recognizer, Recognizer):
        recognizer = Recognizer.load(recognizer, device)
    faces = FaceSet.of(faces)
    if out is None and recognizer.folder is None:
        raise MienError("a folder for the results", "a recognizer in memory and no `out`", "give `out`")
    split = split or test_split(faces)
    shown = find_intensity_faces(recognizer, faces, split, column)
    known = count_known(recognizer, shown.faces, faces)
    folder = Path(out) if out is not None else Path(recognizer.folder or "") / "intensity"
    folder.mkdir(parents=True, exist_ok=True)
    within = sequence_correlations(shown)
    write_atomically(folder / "intensity.csv", intensity_rows(shown).encode())
    if faces.info.kind == "faces":
        write_face_grid(draw_intensity(shown, within), folder / "intensity.png")
    warning = f"{known} of these faces gave the run their labels: this is no test of it" if known else ""
    return summarize_intensity(shown, within, faces.info.name or "unnamed", split, column, warning)
