"""Reads the photos of many requests together: a thread takes what waits, and another one the large photos."""

import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from threading import Condition, Thread
from threading import enumerate as enumerate_threads
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
Outcome = PredictedPhoto | UnreadableFile
"""What became of a photo."""
ENDING_SECONDS = 3.0
"""How long the end waits for the photo that is being read; the process ends without it."""
READER = "mien-reader"
"""The name of the threads that read photos."""
LARGE = 4_000_000
"""Pixels from which on a request goes to the thread for large photos. Finding small faces among so many takes half a second."""


class Ended(Exception):
    """The reader was ended before it read a request."""


@dataclass(eq=False)
class Asked:
    """Photos of a request, and the answers about them once they are there."""

    files: Sequence[SourceFile]
    answers: "Future[Answers]" = field(default_factory=Future)
    left: bool = False
    """Whether nobody wants the answers any more."""


class BatchedReader:
    """Reads photos in a thread of its own. To be entered as a context, whose end ends the thread.

    Photos of requests that wait are read together, `settings.batch` at most. A photo that cannot be read spoils no other.
    """

    def __init__(self, recognizer: Recognizer, settings: ServiceSettings, figures: Figures) -> None:
        self._recognizer, self._settings, self._figures = recognizer, settings, figures
        self._crop_spec = recognizer.crop_spec
        self._waiting, self._there, self._over = deque[Asked](), Condition(), False
        self._thread = Thread(target=self._run, name=READER, daemon=True)

    def __enter__(self) -> "BatchedReader":
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.end()
        self.join(ENDING_SECONDS)

    def end(self) -> None:
        """Refuse what waits and what will come. A photo that is being read is read to its end."""
        with self._there:
            self._over = True
            unread = list(self._waiting)
            self._waiting.clear()
            self._there.notify()
        for one in unread:
            if one.answers.set_running_or_notify_cancel():
                one.answers.set_exception(Ended())

    def join(self, seconds: float) -> None:
        """Wait so long at most for the photo that is being read."""
        self._thread.join(seconds)

    def ask(self, files: Sequence[SourceFile]) -> Asked:
        """Ask for the answers about photos that are in memory, in their order; they raise Ended where the reader ends before."""
        one = Asked(files)
        with self._there:
            over = self._over
            if not over:
                self._waiting.append(one)
                self._there.notify()
        if over:
            one.answers.set_exception(Ended())
        return one

    def withdraw(self, one: Asked) -> bool:
        """Forget a request with its photos, unless it was begun; whether it was not. Its answers are cancelled then."""
        with self._there:
            if one not in self._waiting:
                return False
            self._waiting.remove(one)
        one.answers.cancel()
        return True

    def leave(self, one: Asked) -> None:
        """Say that nobody wants the answers any more: no further photo of the request is read."""
        if not self.withdraw(one):
            one.left = True

    def _run(self) -> None:
        while self._turn():  # which holds no photos while it waits for others
            pass

    def _turn(self) -> bool:
        taken = self._take()
        if begun := [one for one in taken if one.answers.set_running_or_notify_cancel()]:
            self._answer(begun)
        return bool(taken)

    def _take(self) -> list[Asked]:
        """The next requests that are read together; none at the end."""
        most, gather = self._settings.batch, self._settings.gather
        with self._there:
            while not self._over and not self._waiting:  # also where all that waited were withdrawn meanwhile
                self._there.wait_for(lambda: self._waiting or self._over)
                if most > 1 and gather:
                    self._there.wait_for(lambda: self._over or self._photos() >= most, gather)
            if self._over:
                return []
            taken = [self._waiting.popleft()]
            while self._waiting and sum(len(one.files) for one in (*taken, self._waiting[0])) <= most:
                taken.append(self._waiting.popleft())
        return taken

    def _photos(self) -> int:
        return sum(len(one.files) for one in self._waiting)

    def _answer(self, requests: Sequence[Asked]) -> None:
        began = time.monotonic()
        try:
            found = self._read(self._wanted(requests))
        except Exception:  # one of them: the others are read without it
            found = {}
            for file in self._wanted(requests):
                found |= self._alone(file)
        self._note(list(found.values()), time.monotonic() - began)
        for one in requests:
            read = [found[id(file)].to_json() for file in one.files if id(file) in found]
            if one.left or len(read) == len(one.files):
                one.answers.set_result(read)
            else:
                one.answers.set_exception(Ended())

    def _wanted(self, requests: Sequence[Asked]) -> Iterator[SourceFile]:
        """The photos of requests, as long as somebody waits for them."""
        for one in requests:
            for file in one.files:
                if not one.left and not self._over:
                    yield file

    def _alone(self, file: SourceFile) -> dict[int, Outcome]:
        try:
            return self._read([file])
        except Exception as error:  # libraries meet odd pictures with exceptions of many kinds
            reason = error.found if isinstance(error, MienError) else reason_of(error)
            return {id(file): UnreadableFile(file, reason)}

    def _read(self, files: Iterable[SourceFile]) -> dict[int, Outcome]:
        """What was found in each file, by the file's identity."""
        faults, found, limits = list[UnreadableFile](), dict[int, Outcome](), self._settings.file_limits
        for read in predict_files(self._recognizer, files, 1.0, faults, self._crop_spec, limits=limits):
            found[id(read.photo.input)] = _surest(read, self._settings.faces)
        return found | {id(fault.input): fault for fault in faults}

    def _note(self, outcomes: Sequence[Outcome], seconds: float) -> None:
        """Count photos and faces once all of a batch are read: those of a batch that fails are read a second time."""
        faces = sum(len(one.faces) for one in outcomes if isinstance(one, PredictedPhoto))
        self._figures.batch(len(outcomes), seconds, faces, sum(isinstance(one, UnreadableFile) for one in outcomes))


class Readers:
    """Two readers of one model, so that nobody with a small photo waits for a large one. To be entered as a context."""

    def __init__(self, recognizer: Recognizer, settings: ServiceSettings, figures: Figures) -> None:
        self.small, self.large = (BatchedReader(recognizer, settings, figures) for _ in range(2))

    def of(self, pixels: int) -> BatchedReader:
        """The reader of requests with so many pixels."""
        return self.large if pixels >= LARGE else self.small

    def __enter__(self) -> "Readers":
        self.small.__enter__()
        self.large.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        both, last = (self.small, self.large), time.monotonic() + ENDING_SECONDS
        for one in both:
            one.end()
        for one in both:
            one.join(max(0.0, last - time.monotonic()))


def is_reading() -> bool:
    """Whether a reader that was ended is still at a photo. Python's own end would then abort the process."""
    return any(thread.name == READER for thread in enumerate_threads())


def _surest(read: PredictedPhoto, most: int) -> PredictedPhoto:
    """The photo with so many of its faces, the detector's surest, and a note where there are more."""
    more = len(read.faces) - most
    if more <= 0:
        return read
    note = f"{quantity(more, 'face')} more than the {most} that are told"
    return PredictedPhoto(replace(read.photo, notes=(*read.photo.notes, note)), read.faces[:most])
