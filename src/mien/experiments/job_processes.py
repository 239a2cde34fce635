"""Several runs of a comparison at a time, each in a process of its own, which goes on with run after run."""

import os
import threading
import time
import traceback
from collections.abc import Generator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from pathlib import Path

from mien.errors import MienError
from mien.experiments.grid import Job, make_plan
from mien.experiments.one_run import Work, do_run, open_work
from mien.experiments.run_results import RunResult
from mien.experiments.settings import Grid
from mien.progress import Progress, Quiet
from mien.registry import import_named, own_names


@dataclass(frozen=True)
class Order:
    """What a process is told when it starts; all else it reads for itself."""

    faces: Path
    grid: Grid
    out: Path
    names: tuple[str, ...]
    """The user's own components, `package.module:Name`, which whoever started the comparison trusts."""


def threads_of_each(grid: Grid, jobs: int) -> int:
    """Threads of each of so many runs at a time: those asked for, or its share of the processors that this process may use."""
    here = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return grid.threads or max(1, here // jobs)


def order_for(work: Work, jobs: Sequence[Job], threads: int) -> Order:
    """What other processes are told of a comparison whose runs take so many threads each."""
    assert work.faces.folder is not None  # as open_work sees to
    names = tuple(dict.fromkeys(own_names([job.made.table() for job in jobs])))
    grid = work.grid
    recipes = tuple(str(Path(name).resolve()) if name.endswith(".toml") else name for name in grid.recipes)
    start = str(Path(grid.start).resolve()) if grid.start and Path(grid.start).exists() else grid.start
    # Other processes may stand in another folder.
    sets = (grid.unlabeled, grid.test_on, grid.also)
    unlabeled, test_on, also = (None if path is None else path.resolve() for path in sets)
    asked = replace(grid, threads=threads, recipes=recipes, start=start, unlabeled=unlabeled, test_on=test_on, also=also)
    return Order(work.faces.folder.resolve(), asked, work.out.resolve(), names)


def run_in_processes(work: Work, jobs: Sequence[Job], count: int, bar: Progress) -> Generator[tuple[Job, RunResult]]:
    """The results of jobs as they are done, in any order, `count` at a time; a checkpoint is left of those that were stopped.

    Raises MienError where a process dies: what it had done is on disk, and the same comparison goes on there.
    """
    order = order_for(work, jobs, threads_of_each(work.grid, count))
    crew, left, said = list[JobProcess](), list(jobs), set[str]()
    listening = Quiet(bar, "", said)
    try:
        while left or any(one.job for one in crew):
            crew += [JobProcess(order) for _ in range(min(count - len(crew), len(left)))]
            for one in crew:
                if one.job is None and left:
                    one.give(left.pop(0))
            busy = [one for one in crew if one.job is not None]
            for pipe in wait([one.pipe for one in busy]):
                one = next(one for one in busy if one.pipe is pipe)
                found = one.hear()
                if isinstance(found, str):
                    listening.warn(found)
                else:
                    yield found
    finally:
        for one in crew:
            one.end()


class JobProcess:
    """A process that does one run at a time."""

    def __init__(self, order: Order) -> None:
        context = get_context("spawn")  # forked processes would share torch's threads
        self.pipe, theirs = context.Pipe()
        self.job: Job | None = None
        self._process = context.Process(target=_serve, args=(theirs, os.getpid(), order), daemon=True)
        self._process.start()
        theirs.close()

    def give(self, job: Job) -> None:
        """Give a run to the process, which must be without one."""
        self.job = job
        with suppress(OSError):  # it is gone, which `hear` finds
            self.pipe.send(job.folder)

    def hear(self) -> str | tuple[Job, RunResult]:
        """What the process says next: a sentence for people, or its run's result. Raises what the run raised."""
        job = self.job
        assert job is not None
        try:
            said: str | RunResult | Exception = self.pipe.recv()
        except (EOFError, OSError) as error:
            todo = "see whether memory ran out, and give the same command again, with fewer --jobs: it goes on where it was"
            raise MienError("processes that do their runs to the end", f"one that died in {job}", todo) from error
        if isinstance(said, Exception):
            raise said
        if isinstance(said, str):
            return said
        self.job = None
        return job, said

    def end(self) -> None:
        """End the process; a run in it leaves its last checkpoint."""
        self.pipe.close()
        self._process.kill()
        self._process.join()


class _Said:
    """The progress of a run in another process: what is said is sent on, once training has not begun."""

    def __init__(self, pipe: Connection) -> None:
        self.pipe = pipe

    def begin(self, title: str, total: int) -> None:
        """Nothing: several bars at a time would take each other's place."""

    def advance(self, faces: int) -> None:
        """Nothing."""

    def say(self, text: str) -> None:
        """Send a sentence."""
        self.pipe.send(text)


def _serve(pipe: Connection, parent: int, order: Order) -> None:
    """Do run after run, until the process that started this one is gone."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
    with suppress(EOFError, KeyboardInterrupt, BrokenPipeError):  # whoever started it hears Ctrl-C, too, and says so
        try:
            import_named(order.names)
            work = open_work(order.faces, order.grid, order.out)
            jobs = {job.folder: job for job in make_plan(work.grid, work.faces, work.others, work.also).jobs}
            while True:
                job = jobs[pipe.recv()]
                pipe.send(do_run(work, job, Quiet(_Said(pipe), job.recipe, set())))
        except (MienError, OSError) as error:
            pipe.send(error)
        except Exception:  # of any kind, and of many a kind that no other process could make again
            pipe.send(RuntimeError(f"in another process:\n{traceback.format_exc()}"))
