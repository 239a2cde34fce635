"""Who makes the shards: this process, several of this machine, or those of a cluster. They take a task and give its record."""

import os
import signal
import socket
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.resource_tracker import ensure_running
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from typing import Any

import cv2
import numpy as np

from mien.errors import MienError
from mien.media.memory_limit import limit_memory
from mien.media.source_files import SourceFile
from mien.preparation.own_cluster import own_homes, own_place, without_other_clusters
from mien.preparation.shards import Record, Task, make_shard
from mien.telemetry import changed_environment

AHEAD, AHEAD_BYTES = 2, 1 << 27
"""Tasks drawn ahead for each process, and bytes of photos after which no more are drawn: those of a tar.gz come in the tasks."""
WINDOW, WINDOW_BYTES = 1000, 1 << 30
"""Tasks that a cluster is given at a time, and bytes after which there are no more of them."""
ENDED = "reading it ended the process"
"""Why a photo is rejected whose decoder, or whatever looks at it, takes the process along."""
MEMORY = "see whether memory ran out, take fewer --workers, and give the same command again: it goes on"
PATIENCE = 30.0
"""A process that begins with nothing new for so many times the seconds that a photo may take is ended."""
TICK = 1.0
"""Seconds between two looks at whether that is so."""
SECONDS = 10.0
"""How long the head of a cluster may take to answer at all."""
RAY_TRIES = "RAY_gcs_server_port_wait_time_s"
"""In the environment: how often Ray tries to reach the head. Unless told, it takes a quarter of an hour to give up."""


def work(tasks: Iterator[Task], workers: int, cluster: str | None) -> Iterator[Record]:
    """Records as tasks are done, in any order. `cluster`: the address of a Ray cluster, `local` for one that is started here.

    On a machine of the cluster an address is `auto`, or HOST:PORT of its head; Ray's client (ray://) cannot do Ray Data. A task
    in which a process died is tried again in one of its own, and then photo by photo: those that end a process again are
    rejected. Of several processes the others wait meanwhile; this process itself, where it is the only one, has to be begun
    again. Of several, each may take as much memory as the limits of its tasks say, and one that hangs counts as died.

    Raises MienError where processes die without such a photo, Ray is not installed, or no cluster answers.
    """
    if cluster is not None:
        yield from _on_cluster(tasks, cluster)
    elif workers == 1:
        yield from map(_warily, tasks)
    else:
        yield from _in_processes(tasks, workers)


def _warily(task: Task) -> Record:
    """The record of a task; one in which a process died is done in another."""
    begun = task.record.with_suffix(".begun")
    alone = begun.exists()
    begun.touch()
    try:
        return _alone(task) if alone else make_shard(task)
    finally:
        begun.unlink(missing_ok=True)


def _in_processes(tasks: Iterator[Task], workers: int) -> Iterator[Record]:
    waiting, lost, crew = deque[Task](), list[Task](), list[_Worker]()
    try:
        while True:
            held = [*waiting, *lost, *_busy(crew).values()]
            waiting.extend(_drawn(tasks, AHEAD * workers - len(held), AHEAD_BYTES * workers - sum(map(_bytes_in, held))))
            if not lost:
                _hand_out(waiting, crew, workers)
            busy = _busy(crew)
            if not busy and not lost:
                return
            if not busy:
                yield _alone(lost.pop())
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


def _busy(crew: "list[_Worker]") -> "dict[_Worker, Task]":
    return {one: task for one in crew if (task := one.task) is not None}


def _hand_out(waiting: deque[Task], crew: "list[_Worker]", workers: int) -> None:
    """A task for each process without one; there are as many processes as that takes."""
    there, free = len(crew), sum(one.task is None for one in crew)
    for _ in range(min(workers - there, len(waiting) - free)):
        crew.append(_Worker())
    for one in crew[there:]:
        one.require_begun()
    for one in crew:
        if one.task is None and waiting:
            one.give(waiting.popleft())


def _alone(task: Task) -> Record:
    """The record of a task whose process died. If it does again with none beside it, the photos that are to blame are rejected.

    Raises MienError where none of them is: a process dies of any photo, or of several together.
    """
    (record,) = _tried([task])
    if record is not None:
        return record
    with TemporaryDirectory(dir=task.folder) as folder:
        trial = _tried(replace(task, inputs=(one,), folder=folder) for one in (_plain(), *task.inputs))
        if next(trial) is not None:
            marked = [one if made else replace(one, fault=ENDED) for one, made in zip(task.inputs, trial, strict=True)]
            (record,) = _tried([replace(task, inputs=tuple(marked))])
    if record is None:
        raise MienError("processes that live until they are done", "one that ended twice", MEMORY)
    return record


def _plain() -> SourceFile:
    """A gray photo, which nothing dies of."""
    return SourceFile("gray", Path(), content=cv2.imencode(".png", np.full((96, 96), 128, np.uint8))[1].tobytes())


def _tried(tasks: Iterable[Task]) -> Iterator[Record | None]:
    """Records of tasks, done one at a time, by one process as long as it lives; None for a task that it died in."""
    crew = list[_Worker]()
    try:
        for task in tasks:
            _hand_out(deque([task]), crew, 1)
            record = crew[0].take()
            if record is None:
                crew.clear()
            yield record
    finally:
        for one in crew:
            one.end()


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Processes that begin meanwhile do not hear Ctrl-C. Windows has no such mask: there all hear it."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class _Worker:
    """A process that does a task at a time."""

    def __init__(self) -> None:
        context = get_context("spawn")  # forked processes would share torch's threads
        self.pipe, theirs = context.Pipe()
        self.task: Task | None = None
        self._beats, beats = context.Pipe(duplex=False)  # shared memory would be a file
        self._since = monotonic()
        self._process = context.Process(target=_serve, args=(theirs, os.getpid(), beats), daemon=True)
        ensure_running()  # a process of Python's own, which would undo what follows
        # Ctrl-C in a terminal goes to all processes: this one, which hears it, ends the others.
        with _without_interrupts():
            self._process.start()
        theirs.close()
        beats.close()

    def require_begun(self) -> None:
        """Wait until it is there. Raises MienError where it never is."""
        try:
            self.pipe.recv()
        except EOFError as error:
            todo = 'see whether memory ran out; in a program of your own begin under `if __name__ == "__main__":`'
            raise MienError("processes that begin", "one that ended at once", todo) from error

    def give(self, task: Task) -> None:
        """A task for a process without one."""
        self.task, self._since = task, monotonic()
        with suppress(OSError):  # it is gone, which `take` finds
            self.pipe.send(task)

    def hangs(self) -> bool:
        """Whether it has begun with nothing new for too long."""
        now = monotonic()
        with suppress(EOFError, OSError):  # it is gone, which `take` finds
            while self._beats.poll():
                self._beats.recv_bytes()
                self._since = now
        return self.task is not None and now - self._since > PATIENCE * self.task.making.files.seconds

    def take(self) -> Record | None:
        """The record, when the task is done; None, and an end, where the process died or hangs. Raises what the task did."""
        while not self.pipe.poll(TICK):
            if self.hangs():
                self.end()
                return None
        self.task = None
        try:
            made: Record | Exception = self.pipe.recv()
        except (EOFError, OSError):
            self.end()
            return None
        if isinstance(made, Exception):
            raise made
        return made

    def end(self) -> None:
        """At once, whatever it does: what is not recorded is done again."""
        self._process.kill()
        self._process.join()
        self.pipe.close()
        self._beats.close()


def _serve(pipe: Connection, parent: int, beats: Connection) -> None:
    """Do task after task, one thread each, until the process that began this one is gone: a killed one ends nobody."""
    # Read when torch is imported, which waits for a detector that needs it.
    os.environ["OMP_NUM_THREADS"] = "1"
    cv2.setNumThreads(1)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()

    last = 0.0

    def beat() -> None:
        nonlocal last
        if time.monotonic() - last > TICK:
            last = time.monotonic()
            beats.send_bytes(b".")

    pipe.send(None)
    with suppress(EOFError):
        task = pipe.recv()
        limit_memory(task.making.files.worker)
        while True:
            pipe.send(_outcome(task, beat))
            task = pipe.recv()


def _outcome(task: Task, beat: Callable[[], None]) -> Record | Exception:
    try:
        return make_shard(task, beat)
    except (MienError, OSError) as error:
        return error
    except Exception:  # of any kind, and of many a kind that no other process could make again
        return RuntimeError(f"in another process:\n{traceback.format_exc()}")


def _drawn(tasks: Iterator[Task], most: int, room: int) -> Iterator[Task]:
    """The next `most` tasks, or fewer: up to the one that fills `room`, the bytes that photos in them may have."""
    while most > 0 and room > 0 and (task := next(tasks, None)) is not None:
        yield task
        most, room = most - 1, room - _bytes_in(task)


def _bytes_in(task: Task) -> int:
    return sum(len(one.content or b"") for one in task.inputs)


def _on_cluster(tasks: Iterator[Task], address: str) -> Iterator[Record]:
    """Ray Data spreads the tasks, and gives those of a lost worker to others. Folders have to be the same on all machines."""
    with own_place() if address == "local" else nullcontext() as place:
        ray, begun = _connected(address, place)
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


def _connected(address: str, place: str | None) -> tuple[Any, bool]:
    """Ray, and whether it was begun here; with a folder for it, a cluster of its own. Raises MienError where Ray is missing."""
    homes = own_homes()
    with without_other_clusters(place) if place else nullcontext():
        try:
            import ray
            import ray.data
        except ImportError as error:
            raise MienError("Ray, which speaks to clusters", "it is not installed", "pip install 'mien[cluster]'") from error
        if ray.is_initialized():
            return ray, False
        if place:
            own = {"env_vars": homes}
            ray.init(address=address, include_dashboard=False, log_to_driver=False, runtime_env=own, _temp_dir=place)
        else:
            _connect(address)
        ray.data.DataContext.get_current().enable_progress_bars = False  # there is a bar already
    return ray, True


def _connect(address: str) -> None:
    """Begin to work with a cluster. Raises MienError where none answers at that address."""
    import ray

    todo = "on a machine of the cluster give auto, or HOST:PORT of its head"
    if address.startswith("ray://"):
        raise MienError("an address that Ray Data works with", f"Ray's client, {address}, with which it does not", todo)
    try:
        _require_answer(address)
        with changed_environment({RAY_TRIES: os.environ.get(RAY_TRIES, "1")}):
            ray.init(address=address, log_to_driver=False)
    except Exception as error:  # Ray says what is wrong with errors of many kinds; none of them is hidden.
        found = (isinstance(error, OSError) and error.strerror) or str(error).partition("\n")[0]
        asked = "set RAY_AUTH_MODE=token where it asks for a token"
        raise MienError(f"a Ray cluster at {address}", found, f"{todo}; {asked}") from error


def _require_answer(address: str) -> None:
    """Raises OSError where nothing listens at HOST:PORT, which Ray itself would find out in minutes."""
    host, _, port = address.rpartition(":")
    if port.isdecimal() and "/" not in host:
        socket.create_connection((host.strip("[]"), int(port)), SECONDS).close()


def _make(row: dict[str, Any]) -> dict[str, Record | MienError]:
    """The record, or what a user can mend, of which Ray would give the words in a trace of its own."""
    try:
        return {"record": _warily(row["task"])}
    except MienError as error:
        return {"record": error}
