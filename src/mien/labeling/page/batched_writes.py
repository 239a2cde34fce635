"""Writes the answers of many people in few transactions: those that come in while others are written share the next one."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from starlette.concurrency import run_in_threadpool

from mien.errors import MienError
from mien.labeling.store.records import Answer, Question
from mien.labeling.store.store import Store


@dataclass(frozen=True)
class _Waiting:
    """The answers of one request, and the future that is done when they are on disk."""

    entries: tuple[Answer, ...]
    written: asyncio.Future[None]


class BatchedWrites:
    """Reads questions from the store and writes answers to it, one transaction at a time. For one event loop.

    Once `write` is done, its answers are on disk; where it raises, none of them is.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._waiting: list[_Waiting] = []
        self._turn, self._asking = asyncio.Lock(), asyncio.Lock()

    async def next_questions(self, annotator: str, count: int) -> tuple[Question, ...]:
        """The next questions for an annotator, as `Store.next_questions` gives them, for one annotator at a time.

        So answers wait for one such question to the store at most.
        """
        async with self._asking:
            return await run_in_threadpool(self._store.next_questions, annotator, count)

    async def write(self, entries: Sequence[Answer]) -> None:
        """Append answers to the log, passing over those whose keys are there already. Raises MienError as `Store.append` does."""
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
