"""Compares recipes on a grid: trains and tests every run once, resumably; tables and report grow as it goes on."""

import shutil
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from mien.data.faceset import FaceSet
from mien.disk import write_atomically
from mien.errors import MienError
from mien.evaluation.evaluate import evaluate
from mien.evaluation.evaluation_result import few_faces_caution
from mien.evaluation.sample_weights import flip_auroc, read_weighted_faces
from mien.experiments.comparison_result import Comparison
from mien.experiments.grid import ComparisonPlan, Job, make_plan
from mien.experiments.published import published_on
from mien.experiments.report import write_comparison
from mien.experiments.run_results import RunResult, read_result, write_result
from mien.experiments.same_labels import LabelsOfCell, require_same_labels
from mien.experiments.seed_statistics import LEAST, summarize_seeds
from mien.experiments.settings import Grid
from mien.experiments.tested_set import TestedSet, choose_tested_set
from mien.experiments.time_left import RunClock
from mien.folders import claim
from mien.json_toml import read_settings
from mien.progress import Progress, Quiet, Silent, duration
from mien.recognize.device import choose_device
from mien.recognize.recognizer import Recognizer
from mien.recognize.run_records import read_history
from mien.tabular.parquet_files import read_table
from mien.training.train import RunFile, drop_checkpoint, train_or_resume
from mien.wording import percent

REPORT_SECONDS = 10.0
"""Least seconds between two drawings of report.html while runs go on; tables are written after every run."""
REPORT_SHARE = 0.05
"""Most of the time that is spent on drawing report.html, as a share."""


def compare(faces: FaceSet | Path | str, grid: Grid, out: Path | str, progress: Progress | None = None) -> Comparison:
    """Train every run of `grid` on the stored set `faces`, and test it there or on the grid's `test_on`, into the folder `out`.

    Writes runs/ (a folder for each run), runs.csv, table.csv, report.html with its diagrams as SVG files, and grid.json.
    Finished runs are not done again, and an interrupted run is resumed: the same grid, or a larger one, goes on in the same
    folder. Where it is tested on other faces than before, finished runs are tested again, not trained. A run that fails with a
    MienError is recorded as failed. Raises MienError where `out` holds other things or the grid
    of another set, where a set is not stored, a recipe is wrong, the split to test on was trained on, or two recipes did not
    get the same labels in a cell.
    """
    choose_device(grid.device)
    opened = _stored(faces)
    others, other = (None if given is None else _stored(given) for given in (grid.unlabeled, grid.test_on))
    tested = choose_tested_set(opened, others, other, grid.split)
    work = _Work(opened, others, tested, replace(grid, split=tested.split), Path(out), progress or Silent())
    plan = make_plan(work.grid, opened, others)
    _claim(work)
    for note in (*plan.notes, *tested.notes):
        work.bar.say(note)
    for caution in _cautions(work):
        work.bar.say(f"warning: {caution}")
    return _run(work, plan)


@dataclass(frozen=True)
class _Work:
    """What a comparison works on."""

    faces: FaceSet
    others: FaceSet | None
    tested: TestedSet
    grid: Grid
    out: Path
    bar: Progress


def _run(work: _Work, plan: ComparisonPlan) -> Comparison:
    """Do the runs that are not done yet, with tables and report after each."""
    done, clock, seen, said = dict[str, RunResult](), RunClock(), dict[Any, LabelsOfCell](), set[str]()
    jobs, due = plan.jobs, -np.inf
    for job in jobs:
        found = _own_result(work.out / "runs" / job.folder, job)
        if found is not None and not found.failed and _is_tested(work, found):
            require_same_labels(work.out / "runs", job, seen)
            done[job.folder] = found
            clock.took(job, found.seconds)
    if done:
        work.bar.say(f"{len(done)} of {len(jobs)} runs are finished already")
    for number, job in enumerate(jobs, 1):
        if job.folder in done:
            continue
        result = _do(work, job, Quiet(work.bar, f"{number}/{len(jobs)} {job.recipe}", said))
        if not result.failed:
            require_same_labels(work.out / "runs", job, seen)
        write_result(work.out / "runs" / job.folder, result)
        done[job.folder] = result
        clock.took(job, result.seconds)
        left = clock.left([job for job in jobs if job.folder not in done])
        work.bar.say(_line(job, result, len(done), len(jobs), left))
        due = _write(work, _gather(work, plan, done), due)
    comparison = _gather(work, plan, done)
    _write(work, comparison, -np.inf)
    return comparison


def _own_result(folder: Path, job: Job) -> RunResult | None:
    """The result in a run's folder; None where there is none. Raises MienError for another run's result."""
    found = read_result(folder)
    if found is not None and found.run != job.folder:
        raise MienError(f"the result of {job.folder} in {folder}", f"that of {found.run}", "remove it, and the run is done again")
    return found


def _is_tested(work: _Work, found: RunResult) -> bool:
    """Whether a result is of the faces that are tested on now; old results do not say their split."""
    return found.tested_checksum == work.tested.checksum and found.tested_split in ("", work.tested.split)


def _do(work: _Work, job: Job, bar: Quiet) -> RunResult:
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
    )
    try:
        recognizer = _trained(work, job, folder, bar)
        found = evaluate(recognizer, work.tested.faces, work.tested.split)
    except MienError as error:
        folder.mkdir(parents=True, exist_ok=True)
        return replace(blank, failed=str(error))
    drop_checkpoint(folder)
    budget = recognizer.card.budget
    return replace(
        blank,
        train_labels=budget["train"],
        validation_labels=budget["validation"],
        unlabeled_faces=budget["unlabeled"],
        accuracy=found.accuracy,
        average_accuracy=found.average_accuracy,
        macro_f1=found.macro_f1,
        ece_after=found.ece_after,
        tested=found.count,
        left_out=work.tested.left_out,
        validation_accuracy=recognizer.card.metrics.get("validation_accuracy"),
        weight_auroc=_auroc(folder, work.faces, bar),
        transductive=bool(recognizer.card.recipe.get("transductive")),
        # Of a resumed run, what came before is in its history.
        seconds=round(max(time.monotonic() - began, sum(epoch["seconds"] for epoch in read_history(folder))), 2),
        machine=found.notes["machine"],
    )


def _trained(work: _Work, job: Job, folder: Path, bar: Progress) -> Recognizer:
    if folder.exists() and not _is_resumable(folder, work.faces):
        shutil.rmtree(folder)
    others = work.others if job.settings.checksums[1] else None
    return train_or_resume(work.faces, job.made, folder, job.settings, others, bar)


def _is_resumable(folder: Path, faces: FaceSet) -> bool:
    """Whether a run was begun in this folder on these faces, which are still where they were."""
    if not (folder / "run.json").is_file():
        return False
    settings = read_settings(RunFile, folder / "run.json", f"remove {folder}").order
    here = faces.folder is not None and settings.faces == faces.folder.resolve()
    return here and (settings.unlabeled is None or settings.unlabeled.is_dir())


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


def _line(job: Job, result: RunResult, done: int, total: int, left: float) -> str:
    """A finished run in words, with how many are done and the time that is left."""
    if result.failed:
        return f"{job}: failed: {result.failed} ({done} of {total})"
    figures = f"accuracy {percent(result.accuracy or 0)}, average {percent(result.average_accuracy or 0)}"
    rest = f", about {duration(left)} left" if done < total and np.isfinite(left) else ""
    return f"{job}: {figures} ({done} of {total}, {duration(result.seconds or 0)}{rest})"


def _gather(work: _Work, plan: ComparisonPlan, done: dict[str, RunResult]) -> Comparison:
    """The comparison so far: a row for each cell of the grid whose run is done."""
    rows = tuple(replace(done[cell.job.folder], varied=dict(cell.point.varied)) for cell in plan.cells if cell.job.folder in done)
    return Comparison(
        faces=work.faces.info.name or "unnamed",
        others="" if work.others is None else work.others.info.name or "unnamed",
        grid=work.grid,
        runs=len(plan.jobs),
        done=len(done),
        results=rows,
        lines=summarize_seeds(rows, work.grid.names[0]),
        published=() if work.tested.checksum else published_on(work.faces.info),
        notes=(*plan.notes, *work.tested.notes),
        cautions=_cautions(work),
        arms=plan.arms,
        tested_on=work.tested.name,
    )


def _cautions(work: _Work) -> tuple[str, ...]:
    """Sentences on too few test faces or too few seeds."""
    seeds, few = work.grid.seeds, few_faces_caution(work.tested.counts)
    alone = f"{seeds} seed{'s' * (seeds != 1)}: intervals and p need {LEAST}" if seeds < LEAST else ""
    return tuple(text for text in (few, alone) if text)


def _write(work: _Work, found: Comparison, due: float) -> float:
    """Write the tables, and the report if it is `due`; gives when it is due next."""
    write_atomically(work.out / "runs.csv", found.runs_csv().encode())
    write_atomically(work.out / "table.csv", found.table_csv().encode())
    began = time.monotonic()
    if began < due:
        return due
    write_comparison(found, work.out)
    took = time.monotonic() - began
    return began + max(REPORT_SECONDS, took / REPORT_SHARE)


def _stored(faces: FaceSet | Path | str) -> FaceSet:
    faces = FaceSet.of(faces)
    faces.require_stored()
    return faces


def _claim(work: _Work) -> None:
    """Take the folder for this grid: a new one, an empty one, or an earlier grid's on the same faces."""
    info = work.faces.info
    asked = {"faces": str(work.faces.folder), "name": info.name, "checksum": info.checksum, "asked": asdict(work.grid)}
    claim(work.out / "grid.json", asked, lambda written: {"the face set's checksum": written.get("checksum")}, "an earlier grid")
    (work.out / "runs").mkdir(exist_ok=True)
