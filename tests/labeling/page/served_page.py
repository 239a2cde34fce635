"""The page for tests: served by a thread of this process, or by a process that may be killed."""

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import Queue
from typing import Any

import httpx
import numpy as np
import uvicorn

from mien import FaceSet
from mien.http_server.client_limits import ClientLimits
from mien.http_server.network import NetworkSettings, listen, page_address
from mien.labeling.page.responses import GuessTiming
from mien.labeling.page.serve import serve
from mien.labeling.page.setup import PreparedPage
from mien.labeling.page.source_photos import SourcePhotos
from mien.labeling.store.records import Question
from mien.labeling.store.store import Store
from processes import WAIT

CLASSES = ("calm", "glad", "sad")
PATIENT = ClientLimits(head_seconds=WAIT, body_seconds=WAIT, idle_seconds=WAIT, unread_seconds=WAIT, linger_seconds=WAIT)
"""As long as a machine takes for a request."""
SLOWLY = NetworkSettings(limits=PATIENT)


@dataclass(frozen=True)
class Running:
    """A page that is served."""

    where: str
    server: uvicorn.Server


def write_pool(folder: Path, count: int = 12, side: int = 16, ids: Sequence[str] = ()) -> FaceSet:
    """Faces of noise without labels, `f0`, `f1`, ... unless said."""
    pixels = np.random.default_rng(0).integers(0, 256, (count, side, side), np.uint8)
    names = list(ids) or [f"f{n}" for n in range(count)]
    return FaceSet.from_arrays(pixels, classes=CLASSES, columns={"id": names}).save(folder)


def asked_store(place: str, pool: FaceSet, questions: Sequence[Question] = (), per_face: int = 1) -> Store:
    """A new store that asks about all faces of the pool, or these questions."""
    store = Store.create(place, CLASSES, "a pool", pool.info.checksum, per_face)
    store.ask(questions or [Question(str(face)) for face in pool.values("id")])
    return store


@contextmanager
def running(ready: PreparedPage, guess: GuessTiming, reached: NetworkSettings, port: int = 0) -> Iterator[Running]:
    """The page, served by a thread."""
    servers: Queue[uvicorn.Server] = Queue()
    with listen("127.0.0.1", port) as listening:
        where = page_address(listening, reached.tls is not None)
        thread = threading.Thread(target=serve, args=(ready, listening, guess, reached, servers.put))
        thread.start()
        server = servers.get(timeout=WAIT)
        try:
            yield Running(where, server)
        finally:
            server.should_exit = True
            thread.join()


@contextmanager
def served(
    store: Store,
    pool: FaceSet,
    guess: GuessTiming = "after",
    reached: NetworkSettings = SLOWLY,
    port: int = 0,
    photos: SourcePhotos | None = None,
) -> Iterator[str]:
    """The address of the page, served by a thread."""
    with running(PreparedPage(store, pool, 0, photos=photos), guess, reached, port) as page:
        yield page.where


@contextmanager
def signed_in(where: str, name: str, token: str) -> Iterator[httpx.Client]:
    """Somebody's browser."""
    with httpx.Client(base_url=where, timeout=WAIT) as client:
        response = client.post("/sign-in", data={"name": name, "token": token})
        assert response.status_code == 303, response.text
        yield client


def given(number: int, label: int | None = 0, key: str = "", kind: str = "label") -> dict[str, Any]:
    """An answer as the page sends it."""
    return {"number": number, "kind": kind, "label": label, "key": key or f"key {number}"}


def sent(store: Store, *answers: dict[str, Any]) -> dict[str, Any]:
    """A request with answers as the page sends it."""
    return {"store": store.id, "answers": list(answers)}


def undoing(store: Store, key: str, undoes: str | None = None) -> dict[str, Any]:
    """A request to take back an answer as the page sends it."""
    return {"store": store.id, "key": key, "undoes": undoes}


@dataclass(frozen=True)
class Heard:
    """What a server said."""

    status: int
    body: bytes


def ask_raw(where: str, target: str, cookie: str = "") -> Heard:
    """GET this very target, which no client has tidied."""
    host, port = re.fullmatch(r"http://(.+):(\d+)/", where).groups()  # type: ignore[union-attr]
    connection = http.client.HTTPConnection(host, int(port), timeout=WAIT)
    try:
        connection.putrequest("GET", target, skip_accept_encoding=True)
        if cookie:
            connection.putheader("Cookie", cookie)
        connection.endheaders()
        response = connection.getresponse()
        return Heard(response.status, response.read())
    finally:
        connection.close()


class Process:
    """`mien annotate` in a process of its own, which may open so many `files` and says what is wrong in `log`.

    A `with` leaves none behind, whatever happens in it: a process that a failing test forgets would fail another one.
    """

    def __init__(self, pool: Path, store: str, *words: object, files: int = 1024, log: Path = Path(os.devnull)) -> None:
        # All that a test does is within a minute by its log.
        main = f"import resource; resource.setrlimit(resource.RLIMIT_NOFILE, ({files}, {files})); "
        main += "from mien.http_server import log_limits; log_limits.MINUTE = float('inf'); from mien.cli import main; main()"
        command = [sys.executable, "-c", main, "annotate", str(pool), "--store", store, *map(str, words)]
        with log.open("wb") as errors:
            self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True)
        self.said = ""
        try:
            self.port = self._port()
        except BaseException:
            self._kill()
            raise

    def __enter__(self) -> "Process":
        return self

    def __exit__(self, *error: object) -> None:
        self._kill()

    def _port(self) -> int:
        """Where it listens, once it says so."""
        assert self._process.stdout is not None
        while line := self._process.stdout.readline():
            self.said += line
            if found := re.search(r"http://127\.0\.0\.1:(\d+)/", line):
                return int(found[1])
        raise AssertionError(f"it ended: {self.said}")

    @property
    def where(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}/"

    def end(self, how: signal.Signals) -> int:
        """Its exit code after this signal."""
        self._process.send_signal(how)
        self.said += self._process.communicate(timeout=WAIT)[0]
        return self._process.returncode

    def _kill(self) -> None:
        """At once, if it still runs; what it said is let go."""
        self._process.kill()
        if self._process.stdout is not None and not self._process.stdout.closed:
            self._process.communicate()


def error_of(response: httpx.Response) -> dict[str, str]:
    """What an error says, which has all its parts."""
    found: dict[str, str] = json.loads(response.text)
    assert found.keys() == {"expected", "found", "todo"}
    assert all(isinstance(part, str) and part for part in found.values())
    return found
