"""Parts of the page on their own: writing together, who is signed in, attempts, listening."""

import asyncio
import socket
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import cast

import pytest

from mien import MienError
from mien.http_server.client_limits import ClientLimits
from mien.http_server.network import is_loopback, listen, page_address
from mien.http_server.recent_counts import MINUTE, MOST_KEYS
from mien.http_server.request_checks import LOOPBACK
from mien.labeling.page.batched_writes import BatchedWrites
from mien.labeling.page.sessions import MOST_REMEMBERED, REMEMBERED_SECONDS, SessionCache
from mien.labeling.page.wrong_tokens import TokenLookups, WrongTokens
from mien.labeling.store.accounts import Accounts
from mien.labeling.store.records import Answer
from mien.labeling.store.store import Store
from processes import WAIT


class Log:
    """Stands for a store: remembers what was written together, and refuses some keys."""

    def __init__(self, refused: Sequence[str] = (), broken: bool = False) -> None:
        self.groups: list[list[str]] = []
        self._refused, self._broken = refused, broken

    def append(self, entries: Sequence[Answer]) -> None:
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
        together = BatchedWrites(cast(Store, log))
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
        def append(self, entries: Sequence[Answer]) -> None:
            raise ZeroDivisionError

    results = write(Broken(), [["a"], ["b"], ["c"]])
    assert [type(one) for one in results] == [ZeroDivisionError] * 3


TOKEN, OTHER = "t" * 43, "x" * 43


class Tokens:
    """Stands for a store: counts how often it is asked, and by how many at a time."""

    def __init__(self, known: dict[str, str]) -> None:
        self.known, self.asked = known, 0
        self.at_once = self.most_at_once = 0
        self.meanwhile: Callable[[], None] = lambda: None
        self._turn = threading.Lock()

    def signed_in(self, secret: str) -> str | None:
        """As a store does."""
        with self._turn:
            self.asked += 1
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        found = self.known.get(secret)
        self.meanwhile()
        with self._turn:
            self.at_once -= 1
        return found


def signing(tokens: Tokens, clock: Callable[[], float], limits: ClientLimits) -> SessionCache:
    return SessionCache(cast(Accounts, tokens), TokenLookups(limits, clock), clock)


def test_a_token_is_remembered_for_a_moment_right_or_wrong() -> None:
    now, tokens = [0.0], Tokens({TOKEN: "ann"})
    signed_in = signing(tokens, lambda: now[0], ClientLimits())

    async def run() -> None:
        for _ in range(5):
            assert await signed_in.name(TOKEN, "here") == "ann"
            assert await signed_in.name(OTHER, "here") is None
        assert tokens.asked == 2
        for text in ("", "x", "t" * 300, TOKEN + " ", "é" * 43):
            assert await signed_in.name(text, "here") is None
        assert tokens.asked == 2, "what looks like no token"
        tokens.known = {OTHER: "bob"}
        now[0] = REMEMBERED_SECONDS - 0.1
        assert await signed_in.name(TOKEN, "here") == "ann"
        assert await signed_in.name(OTHER, "here") is None
        now[0] = REMEMBERED_SECONDS
        assert await signed_in.name(TOKEN, "here") is None
        assert await signed_in.name(OTHER, "here") == "bob"
        many = {f"{n:043}": "ann" for n in range(MOST_REMEMBERED + 5)}
        tokens.known = many
        for token in [*many, *(f"{n:044}" for n in range(MOST_REMEMBERED + 5))]:
            await signed_in.name(token, "here")
        assert (len(signed_in._right), len(signed_in._wrong)) == (MOST_REMEMBERED, MOST_REMEMBERED)

    asyncio.run(run())


def test_who_signs_out_is_out_at_once_even_while_the_store_is_asked() -> None:
    tokens = Tokens({TOKEN: "ann"})
    signed_in = signing(tokens, lambda: 0.0, ClientLimits())

    async def run() -> None:
        assert await signed_in.name(TOKEN, "here") == "ann"
        signed_in.end(TOKEN)
        assert await signed_in.name(TOKEN, "here") is None
        tokens.known, loop = {OTHER: "ann"}, asyncio.get_running_loop()

        def meanwhile() -> None:
            done = threading.Event()
            loop.call_soon_threadsafe(signed_in.end, OTHER)
            loop.call_soon_threadsafe(done.set)
            assert done.wait(WAIT)

        tokens.meanwhile = meanwhile
        assert await signed_in.name(OTHER, "here") is None, "the store said ann before she signed out"
        assert await signed_in.name(OTHER, "here") is None

    asyncio.run(run())


def test_an_address_that_sends_many_wrong_tokens_is_asked_about_one_at_a_time() -> None:
    tokens, limits = Tokens({TOKEN: "ann"}), ClientLimits(wrong_by_address=5)
    signed_in = signing(tokens, lambda: 0.0, limits)

    async def run() -> None:
        for n in range(5):
            await signed_in.name(f"{n:043}", "there")
        tokens.meanwhile = lambda: None
        tokens.most_at_once = 0
        await asyncio.gather(*(signed_in.name(f"{n:044}", "there") for n in range(30)))
        assert (tokens.asked, tokens.most_at_once) == (35, 1)
        assert await signed_in.name(TOKEN, "there") == "ann", "nobody is refused"
        meeting = threading.Barrier(2)

        def meet() -> None:
            meeting.wait(WAIT)

        tokens.meanwhile = meet
        await asyncio.gather(*(signed_in.name(f"{n:045}", "here") for n in range(2)))
        assert tokens.most_at_once == 2, "others do not wait for one another"

    asyncio.run(run())


def test_wrong_tokens_are_counted_by_name_and_address_for_a_minute() -> None:
    now, limits = [0.0], ClientLimits(wrong_by_name=3, wrong_by_address=8)
    attempts = WrongTokens(limits, lambda: now[0])
    assert [attempts.note("here", "ann") for _ in range(4)] == [False] * 3 + [True]
    assert not attempts.note("there", "ann"), "another address"
    assert not attempts.note("here", "bob"), "another name"
    now[0] = MINUTE - 0.1
    assert attempts.note("here", "ann")
    assert [attempts.note("here", f"name {n}") for n in range(3)] == [False, False, True], "eight from one address"
    assert not attempts.note("there", "eve")
    now[0] = MINUTE
    assert not attempts.note("here", "ann"), "the first is a minute old"
    for n in range(2 * MOST_KEYS):
        attempts.note(f"address {n}", f"name {n}" * 1000)
    assert (len(attempts._names), len(attempts._addresses)) == (MOST_KEYS, MOST_KEYS)


def test_listening() -> None:
    with listen("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        assert page_address(first) == f"http://127.0.0.1:{port}/"
        with pytest.raises(MienError, match=rf"to listen at 127.0.0.1, port {port}; found .*choose another `port`"):
            listen("127.0.0.1", port)
    for host in ("no.such.host.invalid", "192.0.2.1", "a" * 70, "\udcff", "a\0b"):
        with pytest.raises(MienError, match="to listen at"):
            listen(host, 0)
    if socket.has_ipv6:
        try:
            sixth = listen("::1", 0)
        except MienError:
            return
        with sixth:
            assert page_address(sixth).startswith("http://[::1]:")


def test_what_is_loopback() -> None:
    assert all(is_loopback(name) for name in (*LOOPBACK, "127.5.5.5"))
    assert not any(is_loopback(name) for name in ("0.0.0.0", "::", "192.168.1.5", "labels.example.org", ""))
