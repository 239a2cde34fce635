"""People who answer on the page of `mien annotate` as fast as it allows: how long an answer takes, and whether one is lost.

    python benchmarks/page_load.py [--people 20] [--seconds 120] [--per-face 5] [--store postgresql://me@/labels] [--kill]
        [--strangers 1000]

Each of them does what the page does: takes ten questions, fetches their faces, sends an answer at a time with a key of its own,
sends it again with the same key where no confirmation came, and asks for more when five are left. Timed is an answer, from
before it is sent until its confirmation is read. At the end the store is read past the page: every confirmed answer has to be
there, on its face and with its label (lost counts the others), and no key twice, no answer that nobody sent (double). Somebody
who was refused, or got no answer for a minute, ends it with an error. With --kill the server is killed
(SIGKILL) half-way and started again, and the answers confirmed by then are looked for before it starts. The clients share the
machine with the server. With --strangers that many connections more are held by other processes, half of them without a byte
and half with half a request; those that the page closes are opened again, at most a hundred a second. --store: a database of
PostgreSQL without labels; else a SQLite file, made for this.
"""

import argparse
import http.client
import json
import math
import os
import re
import secrets
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.synchronize import Event
from pathlib import Path

import numpy as np

from mien import FaceSet
from mien.labeling.store.store import Store

CLASSES = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt")
SERVE = "from mien.cli import main; main()"
PATIENCE = 60
STRANGERS = 250
"""Connections of strangers that a process holds, so that its limit of files does not bind."""
AGAIN = 100
"""Connections that all strangers together open again in a second."""


@dataclass
class Person:
    """Somebody who answers, and what became of it."""

    name: str
    token: str
    number: int
    sent: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Numbers of questions, and labels, by the keys of answers."""
    confirmed: dict[str, float] = field(default_factory=dict)
    """Seconds that an answer took, by its key; nan for one that was sent again."""
    repeated: int = 0
    """Requests that were sent again."""
    trouble: str = ""
    """Why they ended early."""


def write_pool(folder: Path, faces: int, side: int) -> None:
    """Gray noise, which compresses worse than faces."""
    pixels = np.random.default_rng(0).integers(0, 256, (faces, side, side), np.uint8)
    FaceSet.from_arrays(pixels, classes=CLASSES).save(folder)


class Server:
    """`mien annotate` in a process of its own."""

    def __init__(self, pool: Path, store: str, per_face: int, port: int = 0) -> None:
        words = ["annotate", str(pool), "--store", store, "--per-face", str(per_face), "--port", str(port)]
        self.process = subprocess.Popen([sys.executable, "-c", SERVE, *words], stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        found = None
        for line in self.process.stdout:
            found = re.search(r"http://127\.0\.0\.1:(\d+)/", line)
            if found:
                break
        if not found:
            raise SystemExit(f"the server ended with {self.process.wait()}")
        self.port = int(found[1])

    def kill(self) -> None:
        """At once."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        """As a person would."""
        self.process.send_signal(signal.SIGINT)
        self.process.wait(PATIENCE)


class Refused(Exception):
    """What a person cannot go on after."""


class Client:
    """A connection that is kept, and opened again where it broke."""

    def __init__(self, port: int, person: Person) -> None:
        self._port, self._person = port, person
        self._headers = {"Cookie": f"mien-{port}={person.token}", "Content-Type": "application/json"}
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)

    def ask(self, method: str, address: str, body: object = None) -> bytes:
        """What the server says, asked until it says something."""
        content = None if body is None else json.dumps(body)
        ends = time.monotonic() + PATIENCE
        while True:
            try:
                self._connection.request(method, address, content, self._headers)
                response = self._connection.getresponse()
                said = response.read()
                if response.status == 200:
                    return said
                if response.status < 500:
                    raise Refused(f"{method} {address}: {response.status} {said!r}")
            except (OSError, http.client.HTTPException):
                self._connection.close()
            if time.monotonic() > ends:
                raise Refused(f"{method} {address}: no answer in {PATIENCE} seconds")
            self._person.repeated += 1
            time.sleep(0.05)


def work(port: int, person: Person, until: float) -> None:
    """Answer until it is that late, and note what ended it before."""
    try:
        answer(port, person, until)
    except Refused as refused:
        person.trouble = str(refused)


def answer(port: int, person: Person, until: float) -> None:
    """Answer until it is that late. Raises Refused where that cannot be, or nothing is left to answer."""
    client, waiting, generator = Client(port, person), list[int](), np.random.default_rng(person.number)
    store = ""
    answered: set[int] = set()
    while time.monotonic() < until:
        if len(waiting) <= 5:
            found = json.loads(client.ask("GET", "/questions?count=10"))
            store = found["store"]
            new = [one["number"] for one in found["questions"] if one["number"] not in {*waiting, *answered}]
            if not waiting and not new:
                raise Refused("no questions are left: give more --faces")
            for number in new:
                client.ask("GET", f"/faces/{number}")
            waiting += new
        number, key, label = waiting.pop(0), secrets.token_hex(16), int(generator.integers(len(CLASSES)))
        person.sent[key] = number, label
        given = {"number": number, "kind": "label", "label": label, "key": key}
        repeated, began = person.repeated, time.perf_counter()
        client.ask("POST", "/answers", {"answers": [given], "store": store})
        person.confirmed[key] = time.perf_counter() - began if person.repeated == repeated else math.nan
        answered.add(number)


class Strangers:
    """Connections of one process that send nothing, or half a request."""

    def __init__(self, port: int) -> None:
        self._port, self._all, self._opened = port, selectors.DefaultSelector(), 0

    def open(self) -> None:
        """One more; none where the page takes none just now."""
        self._opened += 1
        try:
            connection = socket.create_connection(("127.0.0.1", self._port), timeout=1)
            if self._opened % 2:
                connection.sendall(b"GET /sign-in HTTP/1.1\r\nHost: 127.0.0.1\r\n")
        except OSError:
            return
        connection.setblocking(False)
        self._all.register(connection, selectors.EVENT_READ)

    def drop_closed(self) -> int:
        """Let go of those that the page closed; how many are left."""
        for key, _ in self._all.select(0):
            assert isinstance(key.fileobj, socket.socket)
            self._all.unregister(key.fileobj)
            key.fileobj.close()
        return len(self._all.get_map())


def hold(port: int, count: int, again: float, ready: Event, ended: Event) -> None:
    """So many strangers until it has ended, of whom so many are opened again in a second."""
    strangers = Strangers(port)
    for _ in range(count):
        strangers.open()
    ready.set()
    while not ended.wait(1 / again):
        if strangers.drop_closed() < count:
            strangers.open()


@contextmanager
def strangers_at(port: int, count: int) -> Iterator[None]:
    """So many of them beside what is done meanwhile."""
    context = get_context("spawn")
    ended, processes = context.Event(), []
    for first in range(0, count, STRANGERS):
        ready, held = context.Event(), min(STRANGERS, count - first)
        process = context.Process(target=hold, args=(port, held, AGAIN * held / count, ready, ended))
        process.start()
        processes.append((process, ready))
    try:
        for _, ready in processes:
            if not ready.wait(PATIENCE):
                raise SystemExit("the strangers did not come")
        yield
    finally:
        ended.set()
        for process, _ in processes:
            process.join()


@dataclass(frozen=True)
class Loss:
    """What the store lacks of the confirmed answers, and what it has too much."""

    lost: int
    double: int


def compare(address: str, people: list[Person]) -> Loss:
    """The store's log beside what people know."""
    confirmed = [(person.name, key, *person.sent[key]) for person in people for key in list(person.confirmed)]
    with Store.open(address) as store:
        numbers = {question.face: number for number, question in enumerate(store.questions())}
        log = Counter((entry.annotator, entry.key, numbers[entry.face], entry.label) for entry in store.log())
    sent = {(person.name, key, *said) for person in people for key, said in list(person.sent.items())}
    lost = sum(one not in log for one in confirmed)
    return Loss(lost, sum(count - 1 for count in log.values()) + sum(one not in sent for one in log))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--per-face", type=int, default=5)
    parser.add_argument("--faces", type=int, default=20_000)
    parser.add_argument("--side", type=int, default=48)
    parser.add_argument("--store")
    parser.add_argument("--kill", action="store_true")
    parser.add_argument("--strangers", type=int, default=0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        pool, address = Path(folder, "pool"), given.store or str(Path(folder, "labels.db"))
        write_pool(pool, given.faces, given.side)
        server = Server(pool, address, given.per_face)
        with Store.open(address) as store:
            people = [Person(f"person {n}", store.accounts.add(f"person {n}"), n) for n in range(given.people)]
        killed = ""
        with strangers_at(server.port, given.strangers):
            began = time.monotonic()
            threads = [threading.Thread(target=work, args=(server.port, one, began + given.seconds)) for one in people]
            for thread in threads:
                thread.start()
            if given.kill:
                time.sleep(given.seconds / 2)
                server.kill()
                before = sum(len(one.confirmed) for one in people)
                killed = f"killed after {before:,} answers: lost {compare(address, people).lost}"
                server = Server(pool, address, given.per_face, server.port)
            for thread in threads:
                thread.join()
            took = time.monotonic() - began
        loss = compare(address, people)
        server.stop()
    troubles = [f"{one.name}: {one.trouble}" for one in people if one.trouble]
    if troubles:
        raise SystemExit("\n".join(troubles))
    where = f"{given.store or 'SQLite'}".partition(":")[0]
    report(people, took, loss, killed, f"{where}, {given.strangers} strangers" if given.strangers else where)


def report(people: list[Person], took: float, loss: Loss, killed: str, where: str) -> None:
    """Print the figures."""
    times = np.array([seconds for one in people for seconds in one.confirmed.values()]) * 1000
    once = times[~np.isnan(times)]
    middle, most, nearly = np.percentile(once, [50, 95, 99])
    speed = f"{len(times):,} answers in {took:.1f} s, {len(times) / took:.0f} a second"
    print(f"{where}, {os.cpu_count()} cores: {len(people)} people, {speed}")
    print(f"an answer took: 50 % {middle:.1f} ms, 95 % {most:.1f} ms, 99 % {nearly:.1f} ms, most {once.max():.0f} ms")
    print(f"lost {loss.lost}, double {loss.double}, requests sent again {sum(one.repeated for one in people)}")
    if killed:
        print(killed)


if __name__ == "__main__":
    main()
