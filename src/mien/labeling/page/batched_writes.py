"""Turns at the store for many people: answers that come in while others are written share the next transaction."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from starlette.concurrency import run_in_threadpool

from mien.errors import MienError
from mien.labeling.store.records import Answer, Question
from mien.labeling.store.store import Store


@dataclass(frozen=True)
class _Waiting:
    """Answers of one request, and where to say that they are on disk."""

    entries: tuple[Answer, ...]
    written: asyncio.Future[None]


class BatchedWrites:
    """What is awaited is on disk, or not there at all where something is raised. For one event loop."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._waiting: list[_Waiting] = []
        self._turn, self._asking = asyncio.Lock(), asyncio.Lock()

    async def next_questions(self, annotator: str, count: int) -> tuple[Question, ...]:
        """As `Store.next_questions`, for one annotator after another: an answer waits for one of them at most."""
        async with self._asking:
            return await run_in_threadpool(self._store.next_questions, annotator, count)

    async def write(self, entries: Sequence[Answer]) -> None:
        """Append these answers to the log; those whose keys are there already are the same answers.

        Raises MienError as `Store.append` does.
        """
        mine = _Waiting(tuple(entries), asyncio.get_running_loop().create_future())
        self._waiting.append(mine)
        async with self._turn:
            if not mine.written.done():
                batch, self._waiting = self._waiting, []
                await self._write(batch)
        await mine.written

    async def _write(self, batch: Sequence[_Waiting]) -> None:
        try:
            await run_in_threadpool(self._store.append, [entry for one in batch for entry in one.entries])
        except BaseException as error:
            # What is wrong with one request is no fault of the others; what is wrong with the database is.
            if len(batch) > 1 and isinstance(error, MienError) and error.__cause__ is None:
                for one in batch:
                    await self._write([one])
                return
            for one in batch:
                if not one.written.done():
                    one.written.set_exception(error)
            if not isinstance(error, MienError):
                raise
        else:
            for one in batch:
                if not one.written.done():
                    one.written.set_result(None)
