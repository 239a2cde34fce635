"""A process that does tasks: it is started, given tasks, watched for hanging, and ended."""

import os
import signal
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.resource_tracker import ensure_running
from time import monotonic

import cv2

from mien.errors import MienError
from mien.media.memory_limit import limit_memory
from mien.preparation.shards import ShardRecord, ShardTask, make_shard

PATIENCE = 30.0
"""A process is ended when nothing new begins for so many times the seconds that a photo may take."""

TICK = 1.0
"""Seconds between two looks at whether a process hangs."""


def hand_out(waiting: deque[ShardTask], crew: "list[WorkerProcess]", workers: int) -> None:
    """Give a task to each process without one, and start as many processes as that takes, up to `workers`."""
    there, free = len(crew), sum(one.task is None for one in crew)
    for _ in range(min(workers - there, len(waiting) - free)):
        crew.append(WorkerProcess())
    for one in crew[there:]:
        one.require_begun()
    for one in crew:
        if one.task is None and waiting:
            one.give(waiting.popleft())


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """A context in which new processes do not hear Ctrl-C. Windows has no such mask: there all hear it."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class WorkerProcess:
    """A process that does one task at a time."""

    def __init__(self) -> None:
        context = get_context("spawn")  # forked processes would share torch's threads
        self.pipe, theirs = context.Pipe()
        self.task: ShardTask | None = None
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
        """Wait until the process has started. Raises MienError where it ends at once."""
        try:
            self.pipe.recv()
        except EOFError as error:
            todo = 'see whether memory ran out; in a program of your own begin under `if __name__ == "__main__":`'
            raise MienError("worker processes that start", "one that ended at once", todo) from error

    def give(self, task: ShardTask) -> None:
        """Give a task to the process, which must be without one."""
        self.task, self._since = task, monotonic()
        with suppress(OSError):  # it is gone, which `take` finds
            self.pipe.send(task)

    def hangs(self) -> bool:
        """Whether nothing new has begun for too long."""
        now = monotonic()
        with suppress(EOFError, OSError):  # it is gone, which `take` finds
            while self._beats.poll():
                self._beats.recv_bytes()
                self._since = now
        return self.task is not None and now - self._since > PATIENCE * self.task.making.files.seconds

    def take(self) -> ShardRecord | None:
        """The record when the task is done; None where the process died or hangs. Raises what the task raised."""
        while not self.pipe.poll(TICK):
            if self.hangs():
                self.end()
                return None
        self.task = None
        try:
            made: ShardRecord | Exception = self.pipe.recv()
        except (EOFError, OSError):
            self.end()
            return None
        if isinstance(made, Exception):
            raise made
        return made

    def end(self) -> None:
        """End the process at once, whatever it does: what is not recorded is done again."""
        self._process.kill()
        self._process.join()
        self.pipe.close()
        self._beats.close()


def _serve(pipe: Connection, parent: int, beats: Connection) -> None:
    """Do task after task in one thread, until the process that started this one is gone: if it is killed, it ends nobody."""
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


def _outcome(task: ShardTask, beat: Callable[[], None]) -> ShardRecord | Exception:
    try:
        return make_shard(task, beat)
    except (MienError, OSError) as error:
        return error
    except Exception:  # of any kind, and of many a kind that no other process could make again
        return RuntimeError(f"in another process:\n{traceback.format_exc()}")
