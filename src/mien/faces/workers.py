"""Who makes the shards: this process, several of this machine, or those of a cluster. They take a task and give its record."""

import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import Any

from mien.errors import MienError
from mien.faces.shards import Record, Task, make_shard

AHEAD, AHEAD_BYTES = 2, 1 << 27
"""Tasks drawn ahead for each process, and bytes of photos after which no more are drawn: those of a tar.gz come in the tasks."""
WINDOW, WINDOW_BYTES = 1000, 1 << 30
"""Tasks that a cluster is given at a time, and bytes after which there are no more of them."""


def work(tasks: Iterator[Task], workers: int, cluster: str | None) -> Iterator[Record]:
    """Records as tasks are done, in any order. `cluster`: the address of a Ray cluster, `local` for one that is started here.

    Raises MienError where a process was killed, or Ray is not installed.
    """
    if cluster is not None:
        yield from _on_cluster(tasks, cluster)
    elif workers == 1:
        yield from map(make_shard, tasks)
    else:
        yield from _in_processes(tasks, workers)


def _in_processes(tasks: Iterator[Task], workers: int) -> Iterator[Record]:
    # Forked processes would share torch's threads.
    pool = ProcessPoolExecutor(workers, get_context("spawn"), _begin, (os.getpid(),))
    carried = dict[Future[Record], int]()
    """Bytes of the photos in each task that is not done."""

    def draw() -> None:
        for task in _drawn(tasks, AHEAD * workers - len(carried), AHEAD_BYTES * workers - sum(carried.values())):
            carried[pool.submit(make_shard, task)] = _bytes_in(task)

    try:
        draw()
        while carried:
            done = wait(carried, return_when=FIRST_COMPLETED).done
            for one in done:
                del carried[one]
            draw()
            for one in done:
                yield one.result()
    except BrokenProcessPool as error:
        todo = "see whether memory ran out, take fewer --workers, and give the same command again: it goes on"
        raise MienError("processes that live until they are done", "one was killed", todo) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _drawn(tasks: Iterator[Task], most: int, room: int) -> Iterator[Task]:
    """The next `most` tasks, or fewer: up to the one that fills `room`, the bytes that photos in them may have."""
    while most > 0 and room > 0 and (task := next(tasks, None)) is not None:
        yield task
        most, room = most - 1, room - _bytes_in(task)


def _bytes_in(task: Task) -> int:
    return sum(len(one.content or b"") for one in task.inputs)


def _begin(parent: int) -> None:
    """One thread each, and an end when the process that began it is gone: a killed one ends nobody."""
    import cv2

    # Read when torch is imported, which waits for a detector that needs it.
    os.environ["OMP_NUM_THREADS"] = "1"
    cv2.setNumThreads(1)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _on_cluster(tasks: Iterator[Task], address: str) -> Iterator[Record]:
    """Ray Data spreads the tasks, and gives those of a lost worker to others. Folders have to be the same on all machines."""
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise MienError("Ray, which speaks to clusters", "it is not installed", "pip install 'mien[cluster]'") from error
    begun = not ray.is_initialized()
    if begun:
        ray.init(address=None if address == "local" else address, include_dashboard=False, log_to_driver=False)
    try:
        while items := [{"task": task} for task in _drawn(tasks, WINDOW, WINDOW_BYTES)]:
            made = ray.data.from_items(items, override_num_blocks=len(items)).map(_make)
            items.clear()  # Ray has copies of them.
            for row in made.iter_rows():
                if isinstance(row["record"], MienError):
                    raise row["record"]
                yield row["record"]
    finally:
        if begun:
            ray.shutdown()


def _make(row: dict[str, Any]) -> dict[str, Record | MienError]:
    """The record, or what a user can mend, of which Ray would give the words in a trace of its own."""
    try:
        return {"record": make_shard(row["task"])}
    except MienError as error:
        return {"record": error}
