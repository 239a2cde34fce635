"""Who makes the shards: this process, several of this machine, or those of a cluster."""

from collections import deque
from collections.abc import Iterator
from multiprocessing.connection import wait

from mien.preparation.ray_cluster import work_on_cluster
from mien.preparation.retries import make_again, make_carefully
from mien.preparation.shards import ShardRecord, ShardTask, bytes_in_task, draw_tasks
from mien.preparation.worker_process import TICK, WorkerProcess, hand_out

AHEAD, AHEAD_BYTES = 2, 1 << 27
"""Tasks drawn ahead for each process, and the bytes of photos in them at which no more are drawn."""


def make_shards(tasks: Iterator[ShardTask], workers: int, cluster: str | None) -> Iterator[ShardRecord]:
    """The records of tasks as they are done, in any order.

    `cluster`: None, the address of a Ray cluster (`auto` on one of its machines, or HOST:PORT of its head; Ray's client,
    ray://, does not work with Ray Data), or `local` for one that is started here.

    A task of which a process died is tried again alone, and then photo by photo; photos that end a process again are rejected.
    Where this process is the only one, it has to be started again for that. Of several processes each may take as much memory
    as the limits say, and one that hangs counts as dead.

    Raises MienError where processes die and no photo is to blame, Ray is not installed, or no cluster answers.
    """
    if cluster is not None:
        yield from work_on_cluster(tasks, cluster)
    elif workers == 1:
        yield from map(make_carefully, tasks)
    else:
        yield from _in_processes(tasks, workers)


def _in_processes(tasks: Iterator[ShardTask], workers: int) -> Iterator[ShardRecord]:
    waiting, lost, crew = deque[ShardTask](), list[ShardTask](), list[WorkerProcess]()
    try:
        while True:
            held = [*waiting, *lost, *_busy(crew).values()]
            waiting.extend(draw_tasks(tasks, AHEAD * workers - len(held), AHEAD_BYTES * workers - sum(map(bytes_in_task, held))))
            if not lost:
                hand_out(waiting, crew, workers)
            busy = _busy(crew)
            if not busy and not lost:
                return
            if not busy:
                yield make_again(lost.pop())
                continue
            ready = wait([one.pipe for one in busy], TICK)
            for one, task in busy.items():
                if one.pipe not in ready and not one.hangs():
                    continue
                record = one.take()
                if record is None:
                    lost.append(task)
                    crew.remove(one)
                else:
                    yield record
    finally:
        for one in crew:
            one.end()


def _busy(crew: "list[WorkerProcess]") -> "dict[WorkerProcess, ShardTask]":
    return {one: task for one in crew if (task := one.task) is not None}
