"""The server is killed while people answer: what it had confirmed is in the store, once, on both databases."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from served_page import Process, given, write_pool

from mien import FaceSet
from mien.labeling.store.store import Store
from processes import WAIT, held_port, wait_until
from stores import Fresh

pytest_plugins = ("databases",)


@pytest.fixture
def port() -> Iterator[int]:
    """For one server after another."""
    with held_port() as held:
        yield held


@pytest.fixture
def held() -> Iterator[ExitStack]:
    """Servers, which end with the test however that ends."""
    with ExitStack() as stack:
        yield stack


class Person:
    """Answers one face after another, each when it may and until it is confirmed, until there are `count`."""

    def __init__(self, where: str, store: str, token: str, count: int, may: threading.Semaphore) -> None:
        self.confirmed: list[str] = []
        self._may = may
        port = where.rstrip("/").rpartition(":")[2]
        self._browser: dict[str, Any] = {"base_url": where, "cookies": {f"mien-{port}": token}, "timeout": WAIT}
        self._store, self._count = store, count
        self.thread = threading.Thread(target=self._work)
        self.thread.start()

    def _work(self) -> None:
        ends = time.monotonic() + WAIT
        with httpx.Client(**self._browser) as client:
            for number in range(self._count):
                self._may.acquire()
                body = {"store": self._store, "answers": [given(number, number % 3)]}
                while time.monotonic() < ends:
                    try:
                        if client.post("/answers", json=body).status_code == 200:
                            self.confirmed.append(f"key {number}")
                            break
                    except httpx.TransportError:
                        time.sleep(0.05)


def log(address: str) -> list[tuple[str, str, str, int | None]]:
    with Store.open(address) as store:
        return [(entry.annotator, entry.key, entry.face, entry.label) for entry in store.log()]


def test_a_kill_loses_no_confirmed_answer(fresh: Fresh, port: int, tmp_path: Path, held: ExitStack) -> None:
    address, count = fresh(), 60
    write_pool(tmp_path / "pool", count)
    may = threading.Semaphore(2 * count)  # of 3 * count answers: it is killed in the middle
    server = held.enter_context(Process(tmp_path / "pool", address, "--port", port, "--per-face", 3))
    with Store.open(address) as store:
        tokens, identity = {name: store.accounts.add(name) for name in ("ann", "bob", "eve")}, store.id
    people = {name: Person(server.where, identity, token, count, may) for name, token in tokens.items()}
    try:
        wait_until(lambda: sum(len(one.confirmed) for one in people.values()) >= count)
        assert server.end(signal.SIGKILL) == -signal.SIGKILL
        confirmed = {(name, key) for name, one in people.items() for key in list(one.confirmed)}
        assert count <= len(confirmed) <= 2 * count
        found = log(address)
        assert confirmed <= {(name, key) for name, key, _, _ in found}
        server = held.enter_context(Process(tmp_path / "pool", address, "--port", port))
        assert "0 new questions" in server.said
    finally:
        may.release(3 * count)
        for one in people.values():
            one.thread.join()
    assert {name: len(one.confirmed) for name, one in people.items()} == dict.fromkeys(people, count)
    found = log(address)
    assert len(found) == 3 * count
    assert set(found) == {(name, f"key {n}", f"f{n}", n % 3) for name in people for n in range(count)}
    assert server.end(signal.SIGINT) == 0
    assert "60 of 60 faces done, 0 answers left" in server.said


@pytest.mark.parametrize(("how", "code"), [(signal.SIGINT, 0), (signal.SIGTERM, 128 + signal.SIGTERM)])
def test_a_polite_end_keeps_all_and_says_how_far_it_came(tmp_path: Path, held: ExitStack, how: signal.Signals, code: int) -> None:
    pool = write_pool(tmp_path / "pool", 5)
    assert isinstance(pool, FaceSet)
    words = (tmp_path / "pool", str(tmp_path / "labels.db"), "--port", 0, "--add", "ann", "--add", "bob")
    server = held.enter_context(Process(*words))
    assert "5 new questions; 0 of 5 faces done, 5 answers left" in server.said
    token = next(line.rpartition(" ")[2].strip() for line in server.said.splitlines() if line.startswith("token of ann"))
    with httpx.Client(base_url=server.where, cookies={f"mien-{server.port}": token}, timeout=WAIT) as client:
        identity = client.get("/questions").json()["store"]
        assert client.post("/answers", json={"store": identity, "answers": [given(0)]}).status_code == 200
        assert server.end(how) == code
    assert ("1 of 5 faces done" in server.said) == (how == signal.SIGINT)
    with Store.open(tmp_path / "labels.db") as store:
        assert len(store.log()) == 1
        assert store.accounts.names() == ("ann", "bob")
