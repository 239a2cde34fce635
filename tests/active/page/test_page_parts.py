"""Parts of the page on their own: writing together, who is signed in, attempts, listening."""

import asyncio
import socket
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import cast

import pytest

from mien import MienError
from mien.active.page.guard import LOOPBACK
from mien.active.page.serve import address, is_loopback, listen
from mien.active.page.signing import ATTEMPTS, MINUTE, MOST, REMEMBERED_SECONDS, Attempts, SignedIn
from mien.active.page.together import Together
from mien.active.store.records import Answer
from mien.active.store.store import Store
from processes import WAIT


class Log:
    """Stands for a store: remembers what was written together, and refuses some keys."""

    def __init__(self, refused: Sequence[str] = (), broken: bool = False) -> None:
        self.groups: list[list[str]] = []
        self._refused, self._broken = refused, broken

    def merge(self, entries: Sequence[Answer]) -> None:
        """As a store does, all or nothing."""
        keys = [entry.key for entry in entries]
        self.groups.append(keys)
        bad = [key for key in keys if key in self._refused]
        if self._broken:
            raise MienError("a disk", "none", "wait") from OSError("no disk")
        if bad:
            raise MienError("a good key", bad[0], "make another")


def entry(key: str) -> Answer:
    return Answer("f0", "ann", "label", 0, datetime.now(UTC), None, key)


def write(log: Log, keys: Sequence[Sequence[str]]) -> list[BaseException | None]:
    """What becomes of requests with these keys that come at the same moment."""

    async def run() -> list[BaseException | None]:
        together = Together(cast(Store, log))
        tasks = [together.write([entry(key) for key in request]) for request in keys]
        return await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), WAIT)

    return asyncio.run(run())


def test_answers_that_come_at_once_are_written_together() -> None:
    log = Log()
    assert write(log, [["a", "b"], ["c"], ["d"]]) == [None, None, None]
    assert [key for group in log.groups for key in group] == ["a", "b", "c", "d"]
    assert len(log.groups) < 3


def test_what_is_wrong_with_one_is_no_fault_of_the_others() -> None:
    log = Log(refused=["b"])
    results = write(log, [["a"], ["b", "c"], ["d"], ["e"]])
    assert [str(one) if one else None for one in results] == [None, "expected a good key; found b; make another", None, None]
    assert log.groups[-1] == ["e"]


def test_what_is_wrong_with_the_database_is_told_to_all_and_not_tried_again() -> None:
    log = Log(broken=True)
    results = write(log, [["a"], ["b"], ["c"]])
    assert all(isinstance(one, MienError) for one in results)
    assert sorted(key for group in log.groups for key in group) == ["a", "b", "c"]


def test_a_bug_is_told_to_all_who_wait() -> None:
    class Broken(Log):
        def merge(self, entries: Sequence[Answer]) -> None:
            raise ZeroDivisionError

    results = write(Broken(), [["a"], ["b"], ["c"]])
    assert [type(one) for one in results] == [ZeroDivisionError] * 3


class Tokens:
    """Stands for a store: counts how often it is asked."""

    def __init__(self) -> None:
        self.known, self.asked = {"t": "ann"}, 0

    def annotator_by_token(self, token: str) -> str | None:
        """As a store does."""
        self.asked += 1
        return self.known.get(token)


def test_a_token_is_remembered_for_a_moment() -> None:
    now, tokens = [0.0], Tokens()
    signed_in = SignedIn(cast(Store, tokens), lambda: now[0])

    async def run() -> None:
        for _ in range(5):
            assert await signed_in.name("t") == "ann"
        assert tokens.asked == 1
        assert await signed_in.name("") is None
        assert tokens.asked == 1
        for _ in range(2):
            assert await signed_in.name("wrong") is None
        assert tokens.asked == 3, "a wrong one is not remembered"
        tokens.known.clear()
        now[0] = REMEMBERED_SECONDS - 0.1
        assert await signed_in.name("t") == "ann"
        now[0] = REMEMBERED_SECONDS
        assert await signed_in.name("t") is None
        tokens.known |= {f"t{n}": "ann" for n in range(MOST + 5)}
        for n in range(MOST + 5):
            await signed_in.name(f"t{n}")
        assert len(signed_in._seen) == MOST

    asyncio.run(run())


def test_attempts_are_forgotten_after_a_minute() -> None:
    now = [0.0]
    attempts = Attempts(lambda: now[0])
    for _ in range(ATTEMPTS):
        assert not attempts.too_many("here")
        attempts.note("here")
        now[0] += 0.1
    assert attempts.too_many("here")
    assert not attempts.too_many("there")
    now[0] = MINUTE + 0.05
    assert not attempts.too_many("here"), "the first is a minute old"
    for n in range(2 * MOST):
        attempts.note(f"address {n}")
    assert len(attempts._wrong) == MOST


def test_listening() -> None:
    with listen("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        assert address(first) == f"http://127.0.0.1:{port}/"
        with pytest.raises(MienError, match=rf"to listen at 127.0.0.1, port {port}; found .*choose another --port"):
            listen("127.0.0.1", port)
    for host in ("no.such.host.invalid", "192.0.2.1"):
        with pytest.raises(MienError, match="to listen at"):
            listen(host, 0)
    if socket.has_ipv6:
        try:
            sixth = listen("::1", 0)
        except MienError:
            return
        with sixth:
            assert address(sixth).startswith("http://[::1]:")


def test_what_is_loopback() -> None:
    assert all(is_loopback(name) for name in (*LOOPBACK, "127.5.5.5"))
    assert not any(is_loopback(name) for name in ("0.0.0.0", "::", "192.168.1.5", "labels.example.org", ""))
