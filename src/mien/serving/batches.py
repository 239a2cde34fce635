"""Reads the photos of many requests together: one thread with one model takes what waits."""

import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from threading import Condition, Thread
from typing import Any

from mien.errors import MienError
from mien.media.rejections import reason_of
from mien.media.source_files import SourceFile
from mien.recognize.predict_files import PredictedPhoto, UnreadableFile, predict_files
from mien.recognize.recognizer import Recognizer
from mien.serving.figures import Figures
from mien.serving.settings import ServiceSettings
from mien.wording import quantity

Answers = list[dict[str, Any]]
"""What `mien predict --json` prints, for one photo after the other."""


class TooLate(Exception):
    """A request has waited too long."""


@dataclass(frozen=True, eq=False)
class _Request:
    files: Sequence[SourceFile]
    until: float
    """When it is too late to begin, by the clock."""
    answers: "Future[Answers]" = field(default_factory=Future)


class BatchedReader:
    """Reads photos in a thread of its own. To be entered as a context, whose end ends the thread.

    Photos of requests that wait are read together, `settings.batch` at most. A photo that cannot be read spoils no other.
    """

    def __init__(
        self,
        recognizer: Recognizer,
        settings: ServiceSettings,
        figures: Figures,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._recognizer, self._settings, self._figures, self._clock = recognizer, settings, figures, clock
        self._crop_spec = recognizer.crop_spec
        self._waiting, self._there, self._over = deque[_Request](), Condition(), False
        self._thread = Thread(target=self._run, name="mien-reader", daemon=True)

    def __enter__(self) -> "BatchedReader":
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        with self._there:
            self._over = True
            self._there.notify()
        self._thread.join()
        for one in self._waiting:
            one.answers.cancel()

    def ask(self, files: Sequence[SourceFile]) -> "Future[Answers]":
        """The answers about photos that are in memory, in their order, once they are there.

        Whoever cancels the future is not answered, and costs nothing where nobody has begun yet. Ends with TooLate where the
        request has waited too long.
        """
        one = _Request(files, self._clock() + self._settings.seconds)
        with self._there:
            self._waiting.append(one)
            self._there.notify()
        return one.answers

    def _run(self) -> None:
        while taken := self._take():
            begun = [one for one in taken if one.answers.set_running_or_notify_cancel()]
            late = [one for one in begun if one.until < self._clock()]
            for one in late:
                one.answers.set_exception(TooLate())
            if kept := [one for one in begun if one not in late]:
                self._answer(kept)

    def _take(self) -> list[_Request]:
        """The next requests that are read together; none at the end."""
        most = self._settings.batch
        with self._there:
            self._there.wait_for(lambda: self._waiting or self._over)
            if most > 1 and self._settings.gather:
                self._there.wait_for(lambda: self._over or self._photos() >= most, self._settings.gather)
            if self._over:
                return []
            taken = [self._waiting.popleft()]
            while self._waiting and sum(len(one.files) for one in (*taken, self._waiting[0])) <= most:
                taken.append(self._waiting.popleft())
        return taken

    def _photos(self) -> int:
        return sum(len(one.files) for one in self._waiting)

    def _answer(self, requests: Sequence[_Request]) -> None:
        files = [file for one in requests for file in one.files]
        began = time.monotonic()
        try:
            found = self._read(files)
        except Exception:  # one of them: the others are read without it
            found = {}
            for file in files:
                found |= self._alone(file)
        self._figures.batch(len(files), time.monotonic() - began)
        for one in requests:
            one.answers.set_result([found[id(file)] for file in one.files])

    def _alone(self, file: SourceFile) -> dict[int, dict[str, Any]]:
        try:
            return self._read([file])
        except Exception as error:  # libraries meet odd pictures with exceptions of many kinds
            reason = error.found if isinstance(error, MienError) else reason_of(error)
            return {id(file): UnreadableFile(file, reason).to_json()}

    def _read(self, files: Sequence[SourceFile]) -> dict[int, dict[str, Any]]:
        """What `mien predict --json` prints for each file, by the file's identity."""
        faults, found = list[UnreadableFile](), dict[int, dict[str, Any]]()
        limits = self._settings.file_limits
        for read in predict_files(self._recognizer, files, 1.0, faults, self._crop_spec, limits=limits):
            told = _surest(read, self._settings.faces)
            found[id(read.photo.input)] = told.to_json()
            self._figures.faces += len(told.faces)
        for fault in faults:
            found[id(fault.input)] = fault.to_json()
            self._figures.unreadable += 1
        return found


def _surest(read: PredictedPhoto, most: int) -> PredictedPhoto:
    """The photo with so many of its faces, the detector's surest, and a note where there are more."""
    more = len(read.faces) - most
    if more <= 0:
        return read
    note = f"{quantity(more, 'face')} more than the {most} that are told"
    return PredictedPhoto(replace(read.photo, notes=(*read.photo.notes, note)), read.faces[:most])
