"""Compare recipes on a grid: every run trained and tested once, resumable, with tables and a report that grow as it runs."""

import hashlib
import shutil
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from mien.data.faceset import FaceSet
from mien.data.splits import require_untrained, split_rows, test_split
from mien.disk import require_utf8_path, write_atomically
from mien.errors import MienError
from mien.evaluation.evaluate import evaluate
from mien.evaluation.result import thin
from mien.evaluation.sample_weights import flip_auroc, read_weighed
from mien.experiments.comparison import Comparison
from mien.experiments.grid import ComparisonSettings, Grid, Job, make_plan
from mien.experiments.published import published_on
from mien.experiments.report import write_report
from mien.experiments.results import RunResult, read_result, write_result
from mien.experiments.statistics import LEAST, summarize
from mien.json_text import plain_values, to_json
from mien.json_toml import read_json, read_settings
from mien.progress import Progress, Quiet, Silent, duration
from mien.recognize.device import choose_device
from mien.recognize.model_card import read_history
from mien.recognize.recognizer import Recognizer
from mien.tabular.parquet_files import LABEL_COLUMNS, read_table
from mien.training.train import Written, resume, train
from mien.wording import quantity

REPORT_SECONDS = 10.0
"""While it runs, report.html is not drawn anew more often, nor for more than REPORT_SHARE of the time; the tables are."""
REPORT_SHARE = 0.05


def compare(faces: FaceSet | Path | str, grid: Grid, out: Path | str, progress: Progress | None = None) -> Comparison:
    """Train and test every run of `grid` on the stored set `faces`, into the folder `out`.

    Leaves runs/ (a folder for each run), runs.csv, table.csv, report.html with its curves as SVG files, and grid.json. Runs
    that are finished are not done again, an interrupted one is resumed: the same grid, or a larger one, goes on in the
    same folder. A run that fails with a MienError is recorded as failed. Raises MienError where `out` holds other things or
    the grid of another set, where the sets are not stored, a recipe is wrong, the split to test on was trained on, or two
    recipes did not get the same labels in a cell.
    """
    choose_device(grid.device)
    opened = _stored(faces)
    grid = replace(grid, split=grid.split or test_split(opened))
    work = _Work(opened, None if grid.unlabeled is None else _stored(grid.unlabeled), grid, Path(out), progress or Silent())
    plan = make_plan(grid, work.faces, work.others)
    require_untrained(work.faces, work.split)
    _claim(work)
    for note in plan.notes:
        work.bar.say(note)
    for caution in _cautions(work):
        work.bar.say(f"warning: {caution}")
    return _run(work, plan)


@dataclass(frozen=True)
class _Work:
    faces: FaceSet
    others: FaceSet | None
    grid: Grid
    out: Path
    bar: Progress

    @property
    def split(self) -> str:
        """That is tested on."""
        return self.grid.split or test_split(self.faces)


class _Clock:
    """Tells how long the rest will take, from what runs took so far."""

    def __init__(self) -> None:
        self._seconds: dict[Any, list[float]] = {}

    def took(self, job: Job, seconds: float | None) -> None:
        """A run is finished."""
        for key in self._keys(job) if seconds is not None else ():
            self._seconds.setdefault(key, []).append(seconds or 0.0)

    def left(self, jobs: list[Job]) -> float:
        """Seconds for these runs: each as others of its recipe and place, or its recipe, or any; nan if there is none."""
        known = [next((self._seconds[key] for key in self._keys(job) if key in self._seconds), [np.nan]) for job in jobs]
        return float(sum(np.mean(seconds) for seconds in known))

    @staticmethod
    def _keys(job: Job) -> tuple[Any, ...]:
        return (job.recipe, job.group), job.recipe, None


def _run(work: _Work, plan: ComparisonSettings) -> Comparison:
    """Do what is not done yet; tables and report after every run."""
    done, clock, seen, said = dict[str, RunResult](), _Clock(), dict[Any, _Used](), set[str]()
    jobs, due = plan.jobs, -np.inf
    for job in jobs:
        found = _own_result(work.out / "runs" / job.folder, job)
        if found is not None and not found.failed:
            _require_same_labels(work, job, seen)
            done[job.folder] = found
            clock.took(job, found.seconds)
    if done:
        work.bar.say(f"{len(done)} of {len(jobs)} runs are finished already")
    for number, job in enumerate(jobs, 1):
        if job.folder in done:
            continue
        result = _do(work, job, Quiet(work.bar, f"{number}/{len(jobs)} {job.recipe}", said))
        if not result.failed:
            _require_same_labels(work, job, seen)
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
    """The result in a run's folder, None where there is none. Raises MienError for that of another run."""
    found = read_result(folder)
    if found is not None and found.run != job.folder:
        raise MienError(f"the result of {job.folder} in {folder}", f"that of {found.run}", "remove it, and the run is done again")
    return found


def _do(work: _Work, job: Job, bar: Quiet) -> RunResult:
    """Train (or go on training) and test one run; its checkpoint is deleted."""
    folder, began = work.out / "runs" / job.folder, time.monotonic()
    blank = RunResult(
        recipe=job.recipe,
        network=str(job.made.model["network"]),
        labels_per_class=job.group.labels,
        noise=job.group.noise,
        seed=job.order.seed,
        run=job.folder,
        varied=dict(job.group.varied),
    )
    try:
        recognizer = _trained(work, job, folder, bar)
        found = evaluate(recognizer, work.faces, work.split)
    except MienError as error:
        folder.mkdir(parents=True, exist_ok=True)
        return replace(blank, failed=str(error))
    (folder / "checkpoint.safetensors").unlink(missing_ok=True)
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
        validation_accuracy=recognizer.card.metrics.get("validation_accuracy"),
        weight_auroc=_auroc(folder, work.faces, bar),
        transductive=bool(recognizer.card.recipe.get("transductive")),
        # Of a resumed run, what came before is in its history.
        seconds=round(max(time.monotonic() - began, sum(epoch["seconds"] for epoch in read_history(folder))), 2),
        machine=found.notes["machine"],
    )


def _trained(work: _Work, job: Job, folder: Path, bar: Progress) -> Recognizer:
    if _is_resumable(folder, work.faces):
        return resume(folder, bar)
    if folder.exists():
        shutil.rmtree(folder)
    others = work.others if job.order.checksums[1] else None
    return train(work.faces, job.made, folder, job.order, others, bar)


def _is_resumable(folder: Path, faces: FaceSet) -> bool:
    """Whether a run was begun here on these faces where they still are."""
    if not (folder / "run.json").is_file():
        return False
    order = read_settings(Written, folder / "run.json", f"remove {folder}").order
    here = faces.folder is not None and order.faces == faces.folder.resolve()
    return here and (order.unlabeled is None or order.unlabeled.is_dir())


def _auroc(run: Path, faces: FaceSet, bar: Quiet) -> float | None:
    """How well a low sample weight finds flipped labels; None where nothing is flipped or all weigh the same."""
    file = run / "weights.parquet"
    try:
        if not file.is_file() or len(read_table(file, {"weight": pa.float64()}, "train again").column(0).unique()) < 2:
            return None
        weighed = read_weighed(run, faces)
    except MienError as error:
        bar.warn(f"no AUROC of sample weights: {error}")
        return None
    found = flip_auroc(weighed.weights, weighed.flipped)
    return None if np.isnan(found) else found


@dataclass(frozen=True)
class _Used:
    """The first run of a cell, and a hash of the labels that it used."""

    folder: Path
    digest: str


def _require_same_labels(work: _Work, job: Job, seen: dict[Any, _Used]) -> None:
    """Raises MienError where another run of the cell used other labels, in training and validation together."""
    folder = work.out / "runs" / job.folder
    labels = _labels_used(folder)
    digest = hashlib.sha256(repr(labels).encode()).hexdigest()
    other = seen.setdefault((job.group.labels, job.group.noise, job.order.seed), _Used(folder, digest))
    if digest != other.digest:
        count = len(set(labels) - set(_labels_used(other.folder)))
        found = f"{count} of {quantity(len(labels), 'label')} of {folder} not in {other.folder}"
        raise MienError("the same labels for every recipe of a cell", found, "remove both folders: they are done again")


def _labels_used(folder: Path) -> list[tuple[str, int]]:
    """Ids and labels, sorted."""
    file = folder / "budget.parquet"
    if not file.is_file():
        raise MienError(f"the labels that a run used in {file}", "no such file", f"remove {folder}: it is done again")
    table = read_table(file, LABEL_COLUMNS, f"remove {folder}: it is done again")
    return sorted(zip(table.column("id").to_pylist(), table.column("label").to_pylist(), strict=True))


def _line(job: Job, result: RunResult, done: int, total: int, left: float) -> str:
    """A finished run in words."""
    if result.failed:
        return f"{job}: failed: {result.failed} ({done} of {total})"
    figures = f"accuracy {result.accuracy or 0:.1%}, average {result.average_accuracy or 0:.1%}"
    rest = f", about {duration(left)} left" if done < total and np.isfinite(left) else ""
    return f"{job}: {figures} ({done} of {total}, {duration(result.seconds or 0)}{rest})"


def _gather(work: _Work, plan: ComparisonSettings, done: dict[str, RunResult]) -> Comparison:
    """What is known so far: a row for each place of the grid whose run is done."""
    rows = tuple(
        replace(done[place.job.folder], varied=dict(place.group.varied)) for place in plan.places if place.job.folder in done
    )
    return Comparison(
        faces=work.faces.info.name or "unnamed",
        others="" if work.others is None else work.others.info.name or "unnamed",
        grid=work.grid,
        runs=len(plan.jobs),
        done=len(done),
        results=rows,
        lines=summarize(rows, work.grid.names[0]),
        published=published_on(work.faces.info),
        notes=plan.notes,
        cautions=_cautions(work),
    )


def _cautions(work: _Work) -> tuple[str, ...]:
    """Where there are too few test faces, or too few seeds."""
    faces, seeds = work.faces, work.grid.seeds
    labels = faces.labels[split_rows(faces, work.split)]
    few = thin({name: int((labels == number).sum()) for number, name in enumerate(faces.classes)})
    alone = f"{seeds} seed{'s' * (seeds != 1)}: intervals and p need {LEAST}" if seeds < LEAST else ""
    return tuple(text for text in (few, alone) if text)


def _write(work: _Work, found: Comparison, due: float) -> float:
    """Tables, and the report if it is due; when it is due next."""
    write_atomically(work.out / "runs.csv", found.runs_csv().encode())
    write_atomically(work.out / "table.csv", found.table_csv().encode())
    began = time.monotonic()
    if began < due:
        return due
    write_report(found, work.out)
    took = time.monotonic() - began
    return began + max(REPORT_SECONDS, took / REPORT_SHARE)


def _stored(faces: FaceSet | Path | str) -> FaceSet:
    if not isinstance(faces, FaceSet):
        return FaceSet.open(faces, verify=True)
    if faces.folder is None:
        raise MienError("a stored face set", "one in memory", "save it first: runs are resumed from disk")
    return faces


def _claim(work: _Work) -> None:
    """Take the folder for this grid: a new one, an empty one, or an earlier grid's on the same faces."""
    out, file = work.out, work.out / "grid.json"
    require_utf8_path(out)
    if out.exists() and not out.is_dir():
        raise MienError(f"a folder at {out}", "a file", "choose another --out")
    if file.is_file():
        before = read_json(file, "choose another --out").get("checksum")
        if before != work.faces.info.checksum:
            raise MienError(f"the grid of {work.faces.folder} in {out}", "that of another face set", "choose another --out")
    elif out.is_dir() and any(out.iterdir()):
        raise MienError(f"an empty folder or an earlier grid at {out}", "other files", "choose another --out")
    (out / "runs").mkdir(parents=True, exist_ok=True)
    info, asked = work.faces.info, plain_values(asdict(work.grid))
    written = {"faces": str(work.faces.folder), "name": info.name, "checksum": info.checksum, "asked": asked}
    write_atomically(file, to_json(written).encode())
