"""Compares recipes on a grid: trains and tests every run once, resumably; tables and report grow as it goes on."""

import time
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from mien.data.faceset import FaceSet
from mien.disk import write_atomically
from mien.errors import MienError
from mien.evaluation.evaluation_result import few_faces_caution
from mien.experiments.comparison_result import Comparison
from mien.experiments.folds import pooled
from mien.experiments.grid import ComparisonPlan, Job, make_plan
from mien.experiments.job_cluster import run_on_cluster
from mien.experiments.job_processes import run_in_processes
from mien.experiments.one_run import Work, do_run, open_work
from mien.experiments.published import published_on
from mien.experiments.report import write_comparison
from mien.experiments.run_results import RunResult, read_result, write_result
from mien.experiments.same_labels import LabelsOfCell, require_same_labels
from mien.experiments.seed_statistics import LEAST, summarize_seeds
from mien.experiments.settings import Grid
from mien.experiments.time_left import RunClock
from mien.folders import claim, exclusive
from mien.progress import Progress, Quiet, Silent, duration
from mien.recognize.device import choose_device
from mien.settings import Count, require_fitting
from mien.wording import percent

REPORT_SECONDS = 10.0
"""Least seconds between two drawings of report.html while runs go on; tables are written after every run."""
REPORT_SHARE = 0.05
"""Most of the time that is spent on drawing report.html, as a share."""


def compare(
    faces: FaceSet | Path | str,
    grid: Grid,
    out: Path | str,
    progress: Progress | None = None,
    jobs: int = 1,
    cluster: str | None = None,
) -> Comparison:
    """Train every run of `grid` on the stored set `faces`, and test it there or on the grid's `test_on`, into the folder `out`.

    Writes runs/ (a folder for each run), runs.csv, table.csv, report.html with its diagrams as SVG files, and grid.json.
    Finished runs are not done again, and an interrupted run is resumed: the same grid, or a larger one, goes on in the same
    folder. Where it is tested on other faces than before, finished runs are tested again, not trained. A run that fails with a
    MienError is recorded as failed.

    `jobs`: runs at a time, each in a process of its own, with its share of the processors unless the grid names threads.
    `cluster`: each run is a task of the Ray cluster at this address instead, as in `run_on_cluster`.

    Raises MienError where another process works in `out`, where it holds other things or the grid of another set, where a set is
    not stored, a recipe is wrong, the split to test on was trained on, two recipes did not get the same labels in a cell, a
    process dies, or no cluster answers.
    """
    require_fitting(Count, jobs=jobs)
    choose_device(grid.device)
    work, bar = open_work(faces, grid, Path(out)), progress or Silent()
    plan = make_plan(work.grid, work.faces, work.others, work.also)
    with exclusive(work.out):
        _claim(work)
        for note in (*plan.notes, *work.tested.notes):
            bar.say(note)
        for caution in _cautions(work):
            bar.say(f"warning: {caution}")
        return _run(work, plan, bar, jobs, cluster)


def _run(work: Work, plan: ComparisonPlan, bar: Progress, processes: int, cluster: str | None) -> Comparison:
    """Do the runs that are not done yet, with tables and report after each."""
    done, clock, seen = dict[str, RunResult](), RunClock(), dict[Any, LabelsOfCell]()
    jobs, due = plan.jobs, -np.inf
    for job in jobs:
        found = _own_result(work.out / "runs" / job.folder, job)
        if found is not None and not found.failed and _is_tested(work, found):
            require_same_labels(work.out / "runs", job, seen)
            done[job.folder] = found
            clock.took(job, found.seconds)
    if done:
        bar.say(f"{len(done)} of {len(jobs)} runs are finished already")
    missing = [job for job in jobs if job.folder not in done]
    count = min(processes, len(missing))
    if cluster is not None and missing:
        results = run_on_cluster(work, missing, cluster)
    elif count > 1:
        results = run_in_processes(work, missing, count, bar)
    else:
        results = _one_by_one(work, jobs, missing, bar)
    with closing(results):  # what runs elsewhere ends with this, whatever happens here
        for job, result in results:
            if not result.failed:
                require_same_labels(work.out / "runs", job, seen)
            write_result(work.out / "runs" / job.folder, result)
            done[job.folder] = result
            clock.took(job, result.seconds)
            left = clock.left([job for job in jobs if job.folder not in done]) / max(1, count)
            bar.say(_line(job, result, len(done), len(jobs), left))
            due = _write(work, _gather(work, plan, done), due)
    comparison = _gather(work, plan, done)
    _write(work, comparison, -np.inf)
    return comparison


def _one_by_one(work: Work, jobs: Sequence[Job], missing: Sequence[Job], bar: Progress) -> Generator[tuple[Job, RunResult]]:
    """The results of missing jobs, in order, made in this process."""
    said, places = set[str](), {job.folder: number for number, job in enumerate(jobs, 1)}
    for job in missing:
        yield job, do_run(work, job, Quiet(bar, f"{places[job.folder]}/{len(jobs)} {job.recipe}", said))


def _own_result(folder: Path, job: Job) -> RunResult | None:
    """The result in a run's folder; None where there is none. Raises MienError for another run's result."""
    found = read_result(folder)
    if found is not None and found.run != job.folder:
        raise MienError(f"the result of {job.folder} in {folder}", f"that of {found.run}", "remove it, and the run is done again")
    return found


def _is_tested(work: Work, found: RunResult) -> bool:
    """Whether a result is of the faces that are tested on now; old results do not say their split."""
    return found.tested_checksum == work.tested.checksum and found.tested_split in ("", work.tested.split)


def _line(job: Job, result: RunResult, done: int, total: int, left: float) -> str:
    """A finished run in words, with how many are done and the time that is left."""
    if result.failed:
        return f"{job}: failed: {result.failed} ({done} of {total})"
    figures = f"accuracy {percent(result.accuracy or 0)}, average {percent(result.average_accuracy or 0)}"
    rest = f", about {duration(left)} left" if done < total and np.isfinite(left) else ""
    return f"{job}: {figures} ({done} of {total}, {duration(result.seconds or 0)}{rest})"


def _gather(work: Work, plan: ComparisonPlan, done: dict[str, RunResult]) -> Comparison:
    """The comparison so far: a row for each cell of the grid whose run is done."""
    cells = [(cell, [done[job.folder] for job in cell.jobs if job.folder in done]) for cell in plan.cells]
    finished = [(cell, pooled(found) if work.grid.folds else found[0]) for cell, found in cells if len(found) == len(cell.jobs)]
    rows = tuple(replace(result, varied=dict(cell.point.varied)) for cell, result in finished)
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
        classes=work.faces.classes,
        arms=plan.arms,
        tested_on=work.tested.name,
    )


def _cautions(work: Work) -> tuple[str, ...]:
    """Sentences on too few test faces or too few seeds."""
    seeds, few = work.grid.seeds, few_faces_caution(work.tested.counts)
    alone = f"{seeds} seed{'s' * (seeds != 1)}: intervals and p need {LEAST}" if seeds < LEAST else ""
    return tuple(text for text in (few, alone) if text)


def _write(work: Work, found: Comparison, due: float) -> float:
    """Write the tables, and the report if it is `due`; gives when it is due next."""
    write_atomically(work.out / "runs.csv", found.runs_csv().encode())
    write_atomically(work.out / "table.csv", found.table_csv().encode())
    began = time.monotonic()
    if began < due:
        return due
    write_comparison(found, work.out)
    took = time.monotonic() - began
    return began + max(REPORT_SECONDS, took / REPORT_SHARE)


def _claim(work: Work) -> None:
    """Take the folder for this grid: a new one, an empty one, or an earlier grid's on the same faces."""
    info = work.faces.info
    asked = {"faces": str(work.faces.folder), "name": info.name, "checksum": info.checksum, "asked": asdict(work.grid)}
    claim(work.out / "grid.json", asked, lambda written: {"the face set's checksum": written.get("checksum")}, "an earlier grid")
    (work.out / "runs").mkdir(exist_ok=True)
