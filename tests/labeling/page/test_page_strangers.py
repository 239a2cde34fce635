"""Clients that send half a request, too much, too slowly or nothing: they are ended, and everybody else is answered."""

import json
import re
import resource
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from served_page import PATIENT, Process, asked_store, error_of, given, running, sent, served, signed_in, write_pool

from mien import FaceSet
from mien.http_server.network import NetworkSettings
from mien.http_server.request_checks import HEADERS
from mien.labeling.page.setup import PreparedPage
from mien.labeling.store.store import Store
from processes import WAIT, wait_until

HALF = b"GET /sign-in HTTP/1.1\r\nHost: 127.0.0.1\r\n"


@pytest.fixture
def pool(tmp_path: Path) -> FaceSet:
    return write_pool(tmp_path / "pool")


@pytest.fixture
def store(tmp_path: Path, pool: FaceSet) -> Iterator[Store]:
    with asked_store(str(tmp_path / "labels.db"), pool) as made:
        yield made


@contextmanager
def line(where: str, said: bytes = b"") -> Iterator[socket.socket]:
    """A connection, over which this is sent."""
    port = int(where.rstrip("/").rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=WAIT) as opened:
        opened.sendall(said)
        yield opened


def rest(opened: socket.socket) -> bytes:
    """What the page says until it ends the connection."""
    found = b""
    try:
        while part := opened.recv(1 << 16):
            found += part
    except ConnectionError:
        pass
    return found


def refused(said: bytes) -> int:
    """The status of a reply that says why, is complete, and ends the connection."""
    head, _, body = said.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert "connection: close" in lines
    assert f"content-length: {len(body)}" in lines
    assert json.loads(body).keys() == {"expected", "found", "todo"}
    return int(lines[0].split()[1])


def test_those_who_are_at_work_and_those_who_come_get_in_among_any_number_of_strangers(store: Store, pool: FaceSet) -> None:
    token, limits = store.accounts.add("ann"), replace(PATIENT, connections=30, per_address=20)
    with served(store, pool, reached=NetworkSettings(limits=limits)) as where, ExitStack() as held:
        ann = held.enter_context(signed_in(where, "ann", token))
        assert ann.get("/questions").status_code == 200
        strangers = [held.enter_context(line(where, HALF if n % 2 else b"")) for n in range(60)]
        for stranger in strangers[:30]:
            assert rest(stranger) == b""
        assert ann.post("/answers", json=sent(store, given(0))).status_code == 200
        again = held.enter_context(signed_in(where, "ann", token))
        for _ in range(60):
            held.enter_context(line(where, HALF + b"\r\n"))
        for one in (ann, again):
            assert one.get("/questions").status_code == 200
    assert len(store.log()) == 1


def test_a_process_that_may_open_few_files_serves_all_the_same(tmp_path: Path, pool: FaceSet, store: Store) -> None:
    token = store.accounts.add("ann")
    words = (tmp_path / "pool", str(tmp_path / "labels.db"), "--port", 0)
    with Process(*words, files=64, log=tmp_path / "log") as server:
        with ExitStack() as held, signed_in(server.where, "ann", token) as ann:
            for _ in range(300):
                held.enter_context(line(server.where, HALF))
            assert ann.post("/answers", json=sent(store, given(0))).status_code == 200
            with signed_in(server.where, "ann", token) as again:
                assert again.get("/questions").status_code == 200
        server.end(signal.SIGINT)
    assert (tmp_path / "log").stat().st_size < 10_000
    assert len(store.log()) == 1


def test_half_a_request_ends_after_its_time(store: Store, pool: FaceSet) -> None:
    post = b"POST /sign-in HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9\r\n\r\nname"
    chunk = b"GET /questions HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n"
    for limits, halves in (
        (replace(PATIENT, head_seconds=0.2), (b"", b"\r\n\r\n", HALF)),
        (replace(PATIENT, body_seconds=0.2), (post, chunk)),
    ):
        with served(store, pool, reached=NetworkSettings(limits=limits)) as where, ExitStack() as held:
            for opened in [held.enter_context(line(where, said)) for said in halves]:
                assert rest(opened) == b""


def test_a_later_request_has_its_time_too(store: Store, pool: FaceSet) -> None:
    limits = replace(PATIENT, idle_seconds=0.5)
    with served(store, pool, reached=NetworkSettings(limits=limits)) as where, line(where, HALF + b"\r\n") as opened:
        assert rest(opened).startswith(b"HTTP/1.1 200"), "kept, and closed when nothing more came"


LONG = b"x" * 3000
TOO_MUCH = {
    "a long header": (431, HALF + b"X-A: " + b"a" * 40_000 + b"\r\n\r\n"),
    "many headers": (431, HALF + b"".join(b"X-%d: a\r\n" % n for n in range(200)) + b"\r\n"),
    "long headers": (431, HALF + b"".join(b"X-%d: %s\r\n" % (n, LONG) for n in range(20)) + b"\r\n"),
    "a header without end": (431, HALF + b"X-A: " + b"a" * 700_000),
    "headers without end": (431, HALF + b"".join(b"X-%d: %s\r\n" % (n, LONG) for n in range(500))),
    "a long name": (431, HALF + b"a" * 700_000),
    "many cookies": (431, HALF + b"Cookie: " + b"a=b; " * 10_000 + b"\r\n\r\n"),
    "empty lines": (431, b"\r\n" * 200_000),
    "a long address": (414, b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n\r\n"),
    "an address without end": (414, b"GET /" + b"a" * 700_000),
    "no HTTP": (400, b"hello\r\n\r\n"),
    "TLS": (400, bytes.fromhex("16030100f8010000f40303") + bytes(200)),
    "no path": (400, b"CONNECT example.org:80 HTTP/1.1\r\nHost: example.org\r\n\r\n"),
    "a path that is not ASCII": (400, b"GET /\xff\xfe HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"),
}


@pytest.mark.parametrize("name", TOO_MUCH)
def test_what_is_too_much_or_no_request_is_refused_with_a_reason(store: Store, pool: FaceSet, name: str) -> None:
    status, said = TOO_MUCH[name]
    with served(store, pool) as where, line(where, said) as opened:
        opened.shutdown(socket.SHUT_WR)
        assert refused(rest(opened)) == status
        assert httpx.get(f"{where}sign-in", timeout=WAIT).status_code == 200


def test_what_is_sent_without_end_is_not_kept(store: Store, pool: FaceSet) -> None:
    """Memory of the whole process, which is the client, too."""
    with served(store, pool) as where, line(where, HALF) as opened:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        sends(opened, b"X-A: " + b"a" * 65_000 + b"\r\n", 130_000_000)
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000


FORM = b"Content-Type: application/x-www-form-urlencoded\r\n"
CHUNKED = b"POST /sign-in HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n" + FORM
ENOUGH = 10**10
"""Bytes that no machine sends within the moment in which what a refused client sends is thrown away."""
ENDLESS = {
    "extensions": (b"1;", b"x" * 1000),
    "a long size": (b"0", b"0" * 1000),
    "small parts": (b"", b"1\r\na\r\n" * 100),
    "a long header after it": (b"0\r\nX-A: ", b"a" * 1000),
    "headers after it": (b"0\r\n", b"X-A: a\r\n" * 100),
}


@pytest.mark.parametrize("name", ENDLESS)
def test_a_body_in_parts_without_end_is_ended(store: Store, pool: FaceSet, name: str) -> None:
    begin, more = ENDLESS[name]
    limits = replace(PATIENT, linger_seconds=0.1)
    with served(store, pool, reached=NetworkSettings(limits=limits)) as where, line(where, CHUNKED + b"\r\n" + begin) as opened:
        assert sends(opened, more, ENOUGH) < ENOUGH
        assert httpx.get(f"{where}sign-in", timeout=WAIT).status_code == 200


def sends(opened: socket.socket, part: bytes, most: int) -> int:
    """Bytes of this part, again and again, that could be sent, at most so many."""
    for done in range(0, most, len(part)):
        try:
            opened.sendall(part)
        except ConnectionError:
            return done
    return most


def test_a_body_in_small_parts_is_read(store: Store, pool: FaceSet) -> None:
    token = store.accounts.add("ann")
    text = f"name=ann&token={token}".encode()
    parts = b"".join(b"1;a=b\r\n%c\r\n" % letter for letter in text) + b"0\r\nX-A: b\r\n\r\n"
    with served(store, pool) as where, line(where, CHUNKED + b"Connection: close\r\n\r\n" + parts) as opened:
        assert rest(opened).startswith(b"HTTP/1.1 303")


def test_headers_after_a_body_are_nobodys(store: Store, pool: FaceSet) -> None:
    """A cookie, or the address of a proxy's client, has to come before what is checked by it."""
    token = store.accounts.add("ann")
    with served(store, pool) as where:
        port = where.rstrip("/").rpartition(":")[2]
        head = b"GET /questions HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
        with line(where, head + f"0\r\nCookie: mien-{port}={token}\r\n\r\n".encode()) as opened:
            assert rest(opened).startswith(b"HTTP/1.1 401")


def test_a_body_that_is_too_long_is_not_waited_for(store: Store, pool: FaceSet) -> None:
    for method in (b"GET", b"POST", b"PUT"):
        head = method + b" /sign-in HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n\r\n"
        for length in (70_000, 10**12, 10**18):
            with served(store, pool) as where, line(where, head % length) as opened:
                assert opened.recv(1000).startswith(b"HTTP/1.1 413")
    with served(store, pool) as where:
        response = httpx.request("GET", f"{where}sign-in", timeout=WAIT, content=b"x" * 70_000)
        assert response.status_code == 413
        error_of(response)
        assert httpx.request("GET", f"{where}sign-in", timeout=WAIT, content=b"x" * 60_000).status_code == 200


def test_requests_that_come_before_the_reply_are_answered_in_turn_a_few_at_a_time(store: Store, pool: FaceSet) -> None:
    request = HALF + b"\r\n"
    last = HALF + b"Connection: close\r\n\r\n"
    with served(store, pool) as where:
        with line(where, request * 9 + last) as opened:
            assert rest(opened).count(b"HTTP/1.1 200") == 10
        with line(where, request * 5000) as opened:
            assert rest(opened).count(b"HTTP/1.1 200") < 5000
        assert httpx.get(f"{where}sign-in", timeout=WAIT).status_code == 200


def test_an_upgrade_is_passed_over(store: Store, pool: FaceSet) -> None:
    for protocol in (b"websocket", b"h2c"):
        with served(store, pool) as where:
            upgrade = HALF + b"Connection: Upgrade\r\nUpgrade: " + protocol + b"\r\n\r\n"
            with line(where, upgrade) as opened:
                assert opened.recv(1000).startswith(b"HTTP/1.1 200")


def test_a_refusal_has_the_headers_of_the_page_and_no_others(store: Store, pool: FaceSet) -> None:
    with served(store, pool) as where:
        response = httpx.get(f"{where}sign-in", timeout=WAIT, headers={"X-A": "a" * 40_000})
        assert response.status_code == 431
        assert "cookies" in error_of(response)["todo"]
        assert {name: response.headers.get(name) for name in HEADERS} == HEADERS
        assert response.headers["cache-control"] == "no-store"
        assert "server" not in response.headers


def test_wrong_tokens_are_waited_for_only_as_long_as_their_clients_wait(store: Store, pool: FaceSet) -> None:
    limits = replace(PATIENT, wrong_seconds=10 * WAIT)
    body = b"name=ann&token=wrong"
    asked = b"POST /sign-in HTTP/1.1\r\nHost: 127.0.0.1\r\n" + FORM + b"Content-Length: %d\r\n\r\n" % len(body) + body
    with running(PreparedPage(store, pool, 0), "after", NetworkSettings(limits=limits)) as page:
        tasks = page.server.server_state.tasks
        with ExitStack() as held:
            for _ in range(20):
                held.enter_context(line(page.where, asked))
            wait_until(lambda: len(tasks) == 20)
        wait_until(lambda: not tasks)  # they are gone with their clients


def test_a_burst_of_strangers_writes_no_log(tmp_path: Path, pool: FaceSet, store: Store) -> None:
    with Process(tmp_path / "pool", str(tmp_path / "labels.db"), "--port", 0, log=tmp_path / "log") as server:
        for _ in range(200):
            with line(server.where, b"nonsense\r\n\r\n") as opened:
                rest(opened)
        server.end(signal.SIGINT)
    said = (tmp_path / "log").read_text()
    assert len(re.findall("Invalid HTTP request", said)) <= 11
    assert "190 more lines of this kind were left out" in said
