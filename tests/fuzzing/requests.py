"""Requests to the page of `mien annotate`, as bytes over a socket; a page is served for them in a thread of the process.

A fault is an answer of the 500s, a line of an error in the log, a request that is never done with, or a page that answers nobody
afterwards. A request that is refused counts as refused.
"""

import functools
import json
import socket
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fuzzing._served import PATIENCE, Item, Served, pick
from mien import FaceSet, MienError
from mien.http_server.client_limits import ClientLimits
from mien.http_server.network import NetworkSettings
from mien.labeling.page.serve import serve
from mien.labeling.page.setup import PreparedPage
from mien.labeling.store.records import Question
from mien.labeling.store.store import Store

COOKIE, STORE, PORT = b"@COOKIE@", b"@STORE@", b"@PORT@"
"""Replaced by those of the page that is served."""
FILE = "request.bin"
QUIET = 0.1
"""Seconds without another byte, after which nothing more is waited for."""
FACES = 6

Generator = np.random.Generator


def make(generator: Generator, folder: Path) -> None:
    """One to three requests over one connection, most of them mutated."""
    sent = b"".join(_request(generator) for _ in range(pick(generator, [1, 1, 1, 1, 2, 3])))
    for _ in range(pick(generator, [0, 0, 0, 0, 0, 0, 1, 1, 3, 20])):
        sent = pick(generator, BYTES)(generator, sent)
    (folder / FILE).write_bytes(sent)


def read(folder: Path) -> None:
    """Send it, and see that the page is as before. Raises MienError where it is refused."""
    page = _page()
    sent = (folder / FILE).read_bytes()
    for name, value in ((COOKIE, page.cookie), (STORE, page.store.id.encode()), (PORT, str(page.port).encode())):
        sent = sent.replace(name, value)
    said = page.answer(sent)
    page.require_well()
    statuses = [int(part[:3]) for part in said.split(b"HTTP/1.1 ")[1:] if part[:3].isdigit()]
    if any(status >= 500 for status in statuses):
        raise AssertionError(f"answered {statuses}: {said[-2000:]!r}")
    if any(status >= 400 for status in statuses) or not statuses:
        raise MienError("a request that the page takes", f"one that it answers with {statuses or 'nothing'}", "send another")


def begin() -> None:
    """Serve the page, so that this counts as no input's time or memory."""
    _page().require_well()


class _Page(Served):
    """A page that is served as long as the process lives."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory()
        pixels = np.random.default_rng(0).integers(0, 256, (FACES, 8, 8), np.uint8)
        ids = [f"f{n}" for n in range(FACES)]
        pool = FaceSet.from_arrays(pixels, classes=("a", "b"), columns={"id": ids}).save(Path(self._folder.name, "pool"))
        self.store = Store.create(Path(self._folder.name, "labels.db"), ("a", "b"), "", pool.info.checksum)
        self.store.ask([Question(name) for name in ids])
        token = self.store.accounts.add("ann")
        limits = ClientLimits(wrong_by_name=10**9, wrong_by_address=10**9, wrong_seconds=0.0, log_lines=10**9)
        ready, reached = PreparedPage(self.store, pool, 0), NetworkSettings(limits=limits)
        super().__init__(lambda listening, told: serve(ready, listening, "after", reached, told), "/sign-in")
        self.cookie = f"mien-{self.port}={token}".encode()

    def answer(self, sent: bytes) -> bytes:
        """What it says to this."""
        said = b""
        with socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE) as connection:
            try:
                connection.sendall(sent)
                connection.settimeout(QUIET)
                while part := connection.recv(1 << 16):
                    said += part
            except (ConnectionError, TimeoutError):
                pass
        return said


@functools.cache
def _page() -> _Page:
    return _Page()


def _bytes(generator: Generator, most: int) -> bytes:
    return generator.bytes(int(generator.integers(most + 1)))


PATHS = (
    *("/faces/99999999999999999999", "/faces/-1", "/faces/%00", "/faces/..%2f..%2fetc%2fpasswd", "/static/..%5c..%5capp.py"),
    *("//", "/%ff%fe", "/%", "/%zz", "/\\", "/a b", "/faces/0/../../labels.db", "/faces/²", "*", "", "http://127.0.0.1/"),
    *("http://[::1", "/faces/" + "9" * 400, "/\u202e", "/docs", "/openapi.json", "/;/faces/0", "/faces/0?store=@STORE@#x"),
)
KNOWN = dict.fromkeys(("/", "/grid", "/questions", "/faces/0", "/faces/5", "/static/page.css"), "GET") | dict.fromkeys(
    ("/answers", "/undo", "/sign-in", "/sign-out"), "POST"
)
QUERIES = (
    *("?", "?count=3", "?count=-1", "?count=", "?count=1e9", "?count=" + "9" * 5000, "?count=3&count=4", "?count=²"),
    *("?store=@STORE@", "?store=%00", "?store=%ff", "?count=%F0%9F%98%80", "?" + "a=b&" * 1500, "?%", "?count[]=1", "?a=%u1234"),
)
METHODS = (
    "GET",
    "GET",
    "POST",
    "POST",
    "POST",
    "HEAD",
    "PUT",
    "DELETE",
    "OPTIONS",
    "PATCH",
    "TRACE",
    "CONNECT",
    "get",
    "PRI",
    "",
)
VERSIONS = ("HTTP/1.0", "HTTP/2.0", "HTTP/0.9", "HTTP/1.1x", "")
HOSTS = (
    *("localhost", "[::1]", "[", "]", "", "127.0.0.1:99999"),
    *(
        "127.0.0.1:-1",
        "127.0.0.1:x",
        "evil.example",
        "127.0.0.1:0",
        "127.0.0.1:80:80",
        "a" * 3000,
        "\xff\xfe",
        "127.0.0.1@x",
        " ",
    ),
)
COOKIES = (
    *("@COOKIE@; @COOKIE@", "mien-@PORT@=", "mien-@PORT@=" + "w" * 43, "=", ";;;", "mien-@PORT@=\xff"),
    *(
        "a=b; " * 2000,
        'mien-@PORT@="@COOKIE@"',
        "mien-@PORT@=%00",
        "mien-@PORT@=\x01",
        '"',
        "mien-@PORT@",
        "__Host-mien-@PORT@=x",
    ),
)
HEADERS = (
    *("Content-Length: 5", "Content-Length: -1", "Content-Length: 9" + "9" * 30, "Content-Length: 0x10", "Content-Length: 5, 6"),
    *("Transfer-Encoding: chunked", "Transfer-Encoding: gzip, chunked", "Transfer-Encoding: identity", "Transfer-Encoding: x"),
    *(
        "Expect: 100-continue",
        "Connection: close",
        "Connection: Upgrade\r\nUpgrade: websocket",
        "Connection: Upgrade, HTTP2-Settings",
    ),
    *("Origin: null", "Origin: http://127.0.0.1:@PORT@", "Origin: \xff", "Sec-Fetch-Site: cross-site", "Sec-Fetch-Site: \xff"),
    *("X-Forwarded-For: 1.2.3.4", "X-Forwarded-Proto: https", "Forwarded: for=x", "Accept-Encoding: \x00", "Range: bytes=0-0"),
    *("X: " + "a" * 40_000, "\r\n".join(f"X-{n}: a" for n in range(300)), "a b: c", ": x", "X:\r\n folded", "Host: 127.0.0.1"),
    *(
        "Content-Type: application/x-www-form-urlencoded; charset=utf-7",
        "Content-Type: multipart/form-data",
        "Date: x",
        "Cookie: a",
    ),
)


def _request(generator: Generator) -> bytes:
    kind, body = _body(generator)
    path = _mostly(generator, 0.75, pick(generator, [*KNOWN, "/answers", "/answers", "/undo"]), PATHS)
    method = _mostly(generator, 0.85, KNOWN.get(path, "GET"), METHODS)
    query, version = _mostly(generator, 0.7, "", QUERIES), _mostly(generator, 0.95, "HTTP/1.1", VERSIONS)
    lines = [f"{method} {path}{query} {version}", f"Host: {_mostly(generator, 0.8, '127.0.0.1:@PORT@', HOSTS)}"]
    lines += [f"Cookie: {_mostly(generator, 0.7, '@COOKIE@', COOKIES)}", f"Content-Type: {kind}"]
    lines += [pick(generator, HEADERS) for _ in range(pick(generator, [0, 0, 0, 0, 0, 1, 2, 4]))]
    if generator.random() < 0.2:
        return _head([*lines, "Transfer-Encoding: chunked"]) + _chunked(generator, body)
    # An id of a store has 32 letters.
    length = len(body) + body.count(STORE) * (32 - len(STORE))
    return _head([*lines, f"Content-Length: {length}"]) + body


def _mostly(generator: Generator, share: float, usual: Item, others: Sequence[Item]) -> Item:
    return usual if generator.random() < share else pick(generator, others)


def _head(lines: list[str]) -> bytes:
    return "\r\n".join(lines).encode("utf-8", "surrogateescape") + b"\r\n\r\n"


def _chunked(generator: Generator, body: bytes) -> bytes:
    parts, size = [], int(generator.integers(1, 2000))
    for start in range(0, min(len(body), 40 * size), size):
        part = body[start : start + size]
        length = len(part) if generator.random() < 0.97 else int(generator.integers(0, 1 << 40))
        extension = pick(generator, [b"", b"", b"", b";a=b", b";" + b"x" * 5000, b" "])
        parts.append(b"%x%s\r\n%s\r\n" % (length, extension, part))
    return b"".join(parts) + pick(
        generator, [b"0\r\n\r\n", b"0\r\n\r\n", b"", b"0\r\nX: y\r\n\r\n", b"ffffffffffffffffff\r\n", b"-1\r\n"]
    )


def _body(generator: Generator) -> tuple[str, bytes]:
    """Its type, and what it is."""
    which = generator.random()
    if which < 0.25:
        fields = [
            f"{pick(generator, ['name', 'token', 'x'])}={pick(generator, FIELDS)}" for _ in range(int(generator.integers(4)))
        ]
        return "application/x-www-form-urlencoded", "&".join(fields).encode("utf-8", "surrogateescape")
    if which < 0.35:
        part = f'--b\r\nContent-Disposition: form-data; name="{pick(generator, FIELDS)[:500]}"{pick(generator, FILES)}\r\n\r\n'
        text = part.encode("utf-8", "surrogateescape") + _bytes(generator, 50) + b"\r\n"
        return "multipart/form-data; boundary=b", text * pick(generator, [1, 2, 400]) + pick(generator, [b"--b--\r\n", b""])
    if which < 0.6:
        return "application/json", pick(generator, TEXTS)
    return "application/json", _json(generator)


FIELDS = (
    "ann",
    "",
    "%00",
    "%ff",
    "%",
    "a" * 2000,
    "%ED%B0%80",
    "<b>",
    "{{7*7}}",
    "\udcff",
    "&&",
    "=",
    "w" * 43,
    "%0d%0aX: y",
    "+" * 90,
)
FILES = ("", "", '; filename="x"', '; filename="../../x"\r\nContent-Type: x', "; filename*=utf-8''%ff")
TEXTS = (
    b"[" * 30_000,
    b"[" * 30_000 + b"]" * 30_000,
    b"[" * 900 + b"]" * 900,
    b'{"a":' * 10_000,
    b'{"answers":' + b"[" * 500 + b"]" * 500 + b"}",
    b'{"answers":[' + b"{}," * 20_000 + b"{}]}",
    b'{"store":"@STORE@","answers":[{"number":' + b"9" * 5000 + b',"kind":"label","key":"k"}]}',
    b'{"store":"@STORE@","answers":[{"number":' + b"9" * 4000 + b',"kind":"label","label":0,"key":"k"}]}',
    b'{"store":"@STORE@","answers":[{"number":NaN,"kind":"label","label":-Infinity,"key":"k"}]}',
    b'{"store":"@STORE@","answers":[{"number":1e999,"kind":"label","label":1e-999,"key":"k"}]}',
    b'{"store":"\\ud800","key":"\\udfff","undoes":"\\u0000"}',
    b'{"store":"@STORE@","store":"@STORE@","key":"a","key":"b"}',
    b"\xef\xbb\xbf{}",
    b"\xff\xfe{\x00}\x00",
    b'"\xff"',
    b"nul",
    b"-",
    b'{"store":"@STORE@","key":"k","undoes":' + b'"k"' * 2 + b"}",
)


def _json(generator: Generator) -> bytes:
    """Answers or an undo as the page sends them, some of their values replaced."""
    key = "".join(pick(generator, "abcdef0123456789") for _ in range(8))
    answer: dict[str, Any] = {"number": int(generator.integers(FACES)), "kind": "label", "label": 1, "key": key}
    body: dict[str, Any] = {"store": STORE.decode(), "answers": [answer] * pick(generator, [1, 1, 2, 100, 101])}
    if generator.random() < 0.3:
        body = answer = {"store": STORE.decode(), "key": key, "undoes": None}
    for _ in range(pick(generator, [0, 1, 1, 2])):
        where = pick(generator, [body, answer])
        where[pick(generator, [*where, "extra", "", "\ud800"])] = pick(generator, VALUES)
    return json.dumps(body, ensure_ascii=bool(generator.random() < 0.8)).encode("utf-8", "surrogatepass")


VALUES: tuple[Any, ...] = (
    *(None, True, 0, -1, 2**31, 2**63, 2**64, 10**40, 1.5, 1e308, float("nan"), float("inf"), "", "0", "\0", "\ud800", "😀", "'"),
    *(
        "k" * 81,
        "a" * 50_000,
        [],
        {},
        [[[[]]]],
        {"a": {"a": {"a": None}}},
        ["x"] * 1000,
        "label",
        "undo",
        "not_a_face",
        "\x1b[2J",
    ),
)


def _cut(generator: Generator, sent: bytes) -> bytes:
    return sent[: int(generator.integers(len(sent) + 1))]


def _flip(generator: Generator, sent: bytes) -> bytes:
    place = int(generator.integers(max(1, len(sent))))
    return sent[:place] + generator.bytes(1) + sent[place + 1 :]


def _insert(generator: Generator, sent: bytes) -> bytes:
    place = int(generator.integers(len(sent) + 1))
    return (
        sent[:place] + pick(generator, [b"\r\n", b"\n", b"\r", b"\0", b":", b" ", b"\xff", _bytes(generator, 9)]) + sent[place:]
    )


def _repeat(generator: Generator, sent: bytes) -> bytes:
    begin, end = sorted(int(place) for place in generator.integers(len(sent) + 1, size=2))
    return sent[:end] + sent[begin:end] * pick(generator, [1, 3, 50]) + sent[end:] if len(sent) < 100_000 else sent


def _noise(generator: Generator, sent: bytes) -> bytes:
    return pick(generator, [_bytes(generator, 3000) + sent, sent + _bytes(generator, 3000)])


BYTES = (_cut, _flip, _flip, _flip, _insert, _insert, _repeat, _noise)
