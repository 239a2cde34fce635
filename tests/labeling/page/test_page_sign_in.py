"""Who signs in, from where: sessions that end on the server, wrong tokens that are counted, proxies that are believed or not."""

import asyncio
import math
import re
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import pytest
from served_page import PATIENT, asked_store, error_of, given, sent, served, signed_in, write_pool

from mien import FaceSet, MienError
from mien.http_server import recent_counts
from mien.http_server.client_limits import ClientLimits
from mien.http_server.network import NetworkSettings
from mien.labeling.page import sessions
from mien.labeling.store.store import Store
from processes import WAIT, wait_until

PROXY = "127.0.0.1"


@dataclass(frozen=True)
class Door:
    """A store with two people, and its pool."""

    store: Store
    pool: FaceSet
    tokens: dict[str, str]


@pytest.fixture
def door(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Door]:
    """Whatever a test does takes less than a minute by its clock."""
    monkeypatch.setattr(recent_counts, "MINUTE", math.inf)
    pool = write_pool(tmp_path / "pool")
    with asked_store(str(tmp_path / "labels.db"), pool) as store:
        yield Door(store, pool, {name: store.accounts.add(name) for name in ("ann", "bob")})


def try_in(where: str, name: str, token: str, **headers: str) -> int:
    """The status."""
    return httpx.post(f"{where}sign-in", data={"name": name, "token": token}, headers=headers, timeout=WAIT).status_code


def few(by_name: int = 3, by_address: int = 8) -> ClientLimits:
    return replace(PATIENT, wrong_by_name=by_name, wrong_by_address=by_address, wrong_seconds=0.0)


def test_wrong_tokens_lock_nobody_out_who_has_a_right_one(door: Door) -> None:
    with served(door.store, door.pool, reached=NetworkSettings(limits=few())) as where:
        assert [try_in(where, "ann", "wrong") for _ in range(5)] == [401] * 3 + [429] * 2
        late = httpx.post(f"{where}sign-in", timeout=WAIT, data={"name": "ann", "token": "w" * 43})
        assert (late.status_code, late.headers["retry-after"]) == (429, "60")
        assert try_in(where, "bob", "wrong") == 401
        assert [try_in(where, f"name {n}", "wrong") for n in range(4)] == [401, 429, 429, 429], "eight from one address"
        for name, token in door.tokens.items():
            assert try_in(where, name, token) == 303
        assert try_in(where, "bob", door.tokens["ann"]) == 429, "a token of somebody else's"


def test_the_headers_of_a_client_make_it_no_other_one(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "*")
    with served(door.store, door.pool, reached=NetworkSettings(limits=few())) as where:
        for n in range(8):
            forged = {"X-Forwarded-For": f"10.0.0.{n}", "Forwarded": f"for=10.0.0.{n}", "X-Real-IP": f"10.0.0.{n}"}
            assert try_in(where, "ann", "wrong", **forged) == (401 if n < 3 else 429)
        done = httpx.post(
            f"{where}sign-in",
            timeout=WAIT,
            data={"name": "ann", "token": door.tokens["ann"]},
            headers={"X-Forwarded-Proto": "https", "Forwarded": "proto=https"},
        )
        assert "Secure" not in done.headers["set-cookie"]
        assert "__Host-" not in done.headers["set-cookie"]


def test_many_wrong_ones_at_once_are_counted_too(door: Door) -> None:
    with served(door.store, door.pool, reached=NetworkSettings(limits=few(20, 200))) as where, ThreadPoolExecutor(10) as threads:
        found = list(threads.map(lambda n: try_in(where, "ann", f"{n:043}"), range(60)))
        assert Counter(found) == {401: 20, 429: 40}
        assert try_in(where, "ann", door.tokens["ann"]) == 303


def test_a_proxy_that_is_named_says_who_the_client_is(door: Door) -> None:
    reached = NetworkSettings(proxies=[PROXY, "10.0.0.0/8"], limits=few())
    with served(door.store, door.pool, reached=reached) as where:
        for n in range(5):
            # The client's own part is on the left; two proxies added what is on the right.
            forged = {"X-Forwarded-For": f"1.2.3.{n}, 192.0.2.7, 10.0.0.1"}
            assert try_in(where, "ann", "wrong", **forged) == (401 if n < 3 else 429)
        assert try_in(where, "ann", "wrong", **{"X-Forwarded-For": "192.0.2.8"}) == 401, "somebody else behind the proxy"
        wait_until(lambda: {one.address for one in door.store.accounts.sign_ins()} == {"192.0.2.7", "192.0.2.8"})


def test_behind_tls_the_cookie_is_for_this_host_alone(door: Door) -> None:
    with served(door.store, door.pool, reached=NetworkSettings(proxies=[PROXY])) as where:
        port, secure = where.rstrip("/").rpartition(":")[2], {"X-Forwarded-Proto": "https"}
        data = {"name": "ann", "token": door.tokens["ann"]}
        done = httpx.post(f"{where}sign-in", timeout=WAIT, data=data, headers=secure)
        cookie = done.headers["set-cookie"]
        assert cookie.startswith(f"__Host-mien-{port}=")
        assert {"HttpOnly", "SameSite=strict", "Path=/", "Secure"} <= set(cookie.split("; "))
        assert "domain" not in cookie.lower()
        named, _, secret = cookie.partition(";")[0].partition("=")
        asked = httpx.get(f"{where}questions", timeout=WAIT, headers=secure | {"Cookie": f"{named}={secret}"})
        assert asked.status_code == 200
        for name, headers in ((f"mien-{port}", secure), (named, {})):
            assert (
                httpx.get(f"{where}questions", timeout=WAIT, headers=headers | {"Cookie": f"{name}={secret}"}).status_code == 401
            )
        out = httpx.post(f"{where}sign-out", timeout=WAIT, headers=secure | {"Cookie": f"{named}={secret}"})
        assert out.headers["set-cookie"].startswith(f'{named}="";')
        assert "Secure" in out.headers["set-cookie"], "a browser refuses to forget it otherwise"
        plain = httpx.post(f"{where}sign-in", timeout=WAIT, data=data)
        assert plain.headers["set-cookie"].startswith(f"mien-{port}=")


def test_a_browser_has_a_secret_of_its_own_which_ends_with_it(door: Door) -> None:
    with served(door.store, door.pool) as where, served(door.store, door.pool) as elsewhere:
        with signed_in(where, "ann", door.tokens["ann"]) as ann, signed_in(where, "ann", door.tokens["ann"]) as phone:
            (name, secret), *_ = ann.cookies.items()
            assert secret not in (*door.tokens.values(), phone.cookies[name])
            stolen = httpx.Client(base_url=where, cookies={name: secret}, timeout=WAIT)
            assert stolen.get("/questions").status_code == 200
            assert ann.post("/sign-out").headers["location"] == "sign-in"
            assert not ann.cookies
            assert stolen.get("/questions").status_code == 401, "at once"
            stolen.close()
            port = elsewhere.rstrip("/").rpartition(":")[2]
            assert httpx.get(f"{elsewhere}questions", timeout=WAIT, cookies={f"mien-{port}": secret}).status_code == 401
            assert phone.get("/questions").status_code == 200, "another browser of hers"
        outcomes = ["in", "in", "out"]
        wait_until(lambda: [one.outcome for one in door.store.accounts.sign_ins()] == outcomes)
        assert {(one.name, one.address) for one in door.store.accounts.sign_ins()} == {("ann", "127.0.0.1")}


def test_a_token_in_the_cookie_is_taken_and_signing_out_leaves_it(door: Door) -> None:
    with served(door.store, door.pool) as where:
        port = where.rstrip("/").rpartition(":")[2]
        held = {f"mien-{port}": door.tokens["ann"]}
        assert httpx.get(f"{where}questions", timeout=WAIT, cookies=held).status_code == 200
        assert httpx.post(f"{where}sign-out", timeout=WAIT, cookies=held).status_code == 303
        assert httpx.get(f"{where}questions", timeout=WAIT, cookies=held).status_code == 200


def test_who_may_not_sign_in_is_told_why_and_it_is_listed(door: Door) -> None:
    door.store.accounts.disable("bob")
    with served(door.store, door.pool, reached=NetworkSettings(limits=few(1, 100))) as where:
        for name, token, told in (
            ("bob", door.tokens["bob"], "You may not answer at present"),
            ("nobody", "w" * 43, "do not belong together"),
            ("ann", door.tokens["bob"], "do not belong together"),
            ("ann", "wrong", "Too many attempts"),
        ):
            said = httpx.post(f"{where}sign-in", timeout=WAIT, data={"name": name, "token": token}).text
            assert told in said
            assert token not in said
        listed = [("bob", "disabled"), (None, "wrong"), ("ann", "wrong")]
        wait_until(lambda: [(one.name, one.outcome) for one in door.store.accounts.sign_ins()] == listed)


def test_who_is_disabled_or_removed_is_out_and_no_answer_is_refused_for_good(door: Door) -> None:
    """The page drops an answer that gets 409, and keeps one that gets 401."""
    with served(door.store, door.pool) as where, ExitStack() as opened:
        people = [opened.enter_context(signed_in(where, name, token)) for name, token in door.tokens.items()]
        for one in people:
            assert one.get("/questions").status_code == 200
        door.store.accounts.disable("ann")
        door.store.accounts.remove("bob", answers=True)
        for one in people:
            response = one.post("/answers", json=sent(door.store, given(0)))
            assert response.status_code == 401
            assert error_of(response)["todo"] == "sign in"
            assert one.get("/questions").status_code == 401
    assert not door.store.log()


def test_signing_in_does_not_wait_for_the_list_nor_fail_with_it(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise MienError("labels that can be written", "readonly", "make it writable") from OSError("readonly")

    monkeypatch.setattr(door.store.accounts, "note_sign_in", fail)
    with served(door.store, door.pool, reached=NetworkSettings(limits=few())) as where:
        for _ in range(3):
            assert try_in(where, "ann", door.tokens["ann"]) == 303
            assert try_in(where, "ann", "wrong") == 401


def test_the_list_takes_no_more_than_it_can(door: Door) -> None:
    notes, written = sessions.SignInNotes(door.store.accounts), []

    class Loop:
        """Never gets to it."""

        def create_task(self, given: object) -> "Loop":
            written.append(given)
            given.close()  # type: ignore[attr-defined]
            return self

        def done(self) -> bool:
            return False

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(asyncio, "get_running_loop", Loop)
        for n in range(sessions.MOST_NOTES + 5):
            notes.add(f"name {n}", "here", "wrong")
    assert len(written) == 1
    assert (len(notes._waiting), notes._waiting[0][0]) == (sessions.MOST_NOTES, "name 5")


def test_a_right_token_and_a_store_that_cannot_be_written(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        place = f"labels that can be written at {door.pool.folder}"
        raise MienError(place, "attempt to write a readonly database", "x") from OSError("readonly")

    with served(door.store, door.pool) as where, signed_in(where, "ann", door.tokens["ann"]) as ann:
        monkeypatch.setattr(door.store.accounts, "begin_session", fail)
        monkeypatch.setattr(door.store.accounts, "end_session", fail)
        said = httpx.post(f"{where}sign-in", timeout=WAIT, data={"name": "ann", "token": door.tokens["ann"]})
        assert said.status_code == 503
        assert "labels that are read-only" in re.sub(r"\s+", " ", said.text)
        assert str(door.pool.folder) not in said.text
        assert ann.get("/questions").status_code == 200
        out = ann.post("/sign-out")
        assert out.status_code == 503
        assert "This browser is signed out" in out.text
        assert not ann.cookies
