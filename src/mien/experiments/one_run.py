"""One run of a comparison: trained or resumed, tested, its result in its folder."""

import shutil
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from mien.data.faceset import FaceSet
from mien.errors import MienError
from mien.evaluation.evaluate import evaluate
from mien.evaluation.sample_weights import flip_auroc, read_weighted_faces
from mien.experiments.folds import judged
from mien.experiments.grid import Job
from mien.experiments.run_results import RunResult
from mien.experiments.settings import Grid
from mien.experiments.tested_set import TestedSet, all_folds, choose_tested_set
from mien.json_toml import read_settings
from mien.progress import Progress, Quiet
from mien.recognize.recognizer import Recognizer
from mien.recognize.run_records import read_history
from mien.tabular.parquet_files import read_table
from mien.training.train import RunFile, drop_checkpoint, train_or_resume


@dataclass(frozen=True)
class Work:
    """What a comparison works on."""

    faces: FaceSet
    others: FaceSet | None
    tested: TestedSet
    grid: Grid
    out: Path
    also: FaceSet | None = None
    """A further set whose labels join the training."""


def open_work(faces: FaceSet | Path | str, grid: Grid, out: Path) -> Work:
    """The sets that a grid is run on. Raises MienError where one is not stored, or the split to test on was trained on."""
    opened = _stored(faces)
    further = (grid.unlabeled, grid.test_on, grid.also)
    others, other, also = (None if given is None else _stored(given) for given in further)
    if grid.folds:
        return Work(opened, others, all_folds(opened, grid.folds), grid, out, also)
    tested = choose_tested_set(opened, others, other, grid.split, also, grid.shared_classes)
    return Work(opened, others, tested, replace(grid, split=tested.split), out, also)


def do_run(work: Work, job: Job, bar: Quiet) -> RunResult:
    """Train or resume one run, or read a finished one, test it, and delete its checkpoint."""
    folder, began = work.out / "runs" / job.folder, time.monotonic()
    blank = RunResult(
        recipe=job.recipe,
        network=str(job.made.model["network"]),
        labels_per_class=job.point.labels,
        noise=job.point.noise,
        seed=job.settings.seed,
        run=job.folder,
        varied=dict(job.point.varied),
        control_of=job.control_of,
        labels=job.point.total,
        tested_on=work.tested.name,
        tested_split=work.tested.split,
        tested_checksum=work.tested.checksum,
        fold=job.settings.fold or "",
    )
    try:
        recognizer = _trained(work, job, folder, bar)
        fold = job.settings.fold
        found = (
            evaluate(recognizer, work.tested.faces, work.tested.split)
            if fold is None
            else evaluate(recognizer, work.faces, by="subject", fold=fold)
        )
    except MienError as error:
        folder.mkdir(parents=True, exist_ok=True)
        return replace(blank, failed=str(error))
    drop_checkpoint(folder)
    if "warning" in found.notes:
        bar.warn(f"warning: {job}: {found.notes['warning']}")
    return replace(
        judged(blank, recognizer, found),
        left_out=work.tested.left_out,
        weight_auroc=_auroc(folder, work.faces, bar),
        # Of a resumed run, what came before is in its history.
        seconds=round(max(time.monotonic() - began, sum(epoch["seconds"] for epoch in read_history(folder))), 2),
    )


def _trained(work: Work, job: Job, folder: Path, bar: Progress) -> Recognizer:
    if folder.exists() and not _is_resumable(folder, work.faces):
        shutil.rmtree(folder)
    others = work.others if job.settings.checksums[1] else None
    return train_or_resume(work.faces, job.made, folder, job.settings, others, bar, also=work.also)


def _is_resumable(folder: Path, faces: FaceSet) -> bool:
    """Whether a run was begun in this folder on these faces, which are still where they were."""
    if not (folder / "run.json").is_file():
        return False
    settings = read_settings(RunFile, folder / "run.json", f"remove {folder}").order
    here = faces.folder is not None and settings.faces == faces.folder.resolve()
    return here and all(place is None or place.is_dir() for place in (settings.unlabeled, settings.also))


def _auroc(run: Path, faces: FaceSet, bar: Quiet) -> float | None:
    """The AUROC of finding flipped labels by a low sample weight; None where nothing is flipped or all weights are equal."""
    file = run / "weights.parquet"
    try:
        if not file.is_file() or len(read_table(file, {"weight": pa.float64()}, "train again").column(0).unique()) < 2:
            return None
        weighed = read_weighted_faces(run, faces)
    except MienError as error:
        bar.warn(f"no AUROC of sample weights: {error}")
        return None
    found = flip_auroc(weighed.weights, weighed.flipped)
    return None if np.isnan(found) else found


def _stored(faces: FaceSet | Path | str) -> FaceSet:
    faces = FaceSet.of(faces)
    faces.require_stored()
    return faces
