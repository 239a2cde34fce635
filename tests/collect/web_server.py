"""A web of one server on loopback: an engine's pages of results, and addresses of every bad kind."""

import gzip
import io
import json
import ssl
import struct
import threading
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import numpy as np
from PIL import Image
from typing_extensions import override

from mien.collect.settings import CollectSettings

Answer = tuple[int, dict[str, str], bytes]
"""Status, headers and body."""


def picture(number: int, side: int = 64, brighter: int = 0) -> bytes:
    """A PNG with blots of its own; brighter copies look the same."""
    small = np.random.default_rng(number).integers(20, 220, (6, 6), np.uint8)
    blots = Image.fromarray(small).resize((side, side), Image.Resampling.BICUBIC)
    file = io.BytesIO()
    Image.fromarray(np.clip(np.asarray(blots).astype(int) + brighter, 0, 255).astype(np.uint8)).save(file, "PNG")
    return file.getvalue()


def bomb(side: int = 40_000) -> bytes:
    """A small PNG of more pixels than anybody may decode."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    rows = zlib.compress(bytes(1_000_000), 9)
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@dataclass
class Served:
    """A server that plays hosts and an engine."""

    server: ThreadingHTTPServer
    found: dict[str, list[str]] = field(default_factory=dict)
    """Paths or addresses that a search finds, by its words."""
    answers: dict[str, Answer | Callable[[], Answer]] = field(default_factory=dict)
    """What lies at a path."""
    robots: str = ""
    """The robots.txt; there is none where it is empty."""
    asked: Counter[str] = field(default_factory=Counter)
    """How often each path was asked for."""
    agents: set[str] = field(default_factory=set)
    """The names that requests bore."""
    headers: set[str] = field(default_factory=set)
    """The names of all headers that were sent."""

    @property
    def root(self) -> str:
        kind = "https" if isinstance(self.server.socket, ssl.SSLSocket) else "http"
        return f"{kind}://127.0.0.1:{self.server.server_address[1]}"

    def put(self, path: str, content: bytes) -> str:
        """A picture at a path."""
        self.answers[path] = (200, {"Content-Type": "image/png"}, content)
        return path

    def answer(self, path: str, query: dict[str, list[str]]) -> Answer:
        if path == "/robots.txt":
            return (200, {}, self.robots.encode()) if self.robots else (404, {}, b"")
        if path == "/search":
            paths = self.found.get(query["q"][0], [])[int(query["first"][0]) - 1 :][: int(query["count"][0])]
            links = [{"murl": self.whole(one), "purl": f"{self.root}/page"} for one in paths]
            return 200, {}, "".join(f'<a class="iusc" m="{escape(json.dumps(one))}">x</a>' for one in links).encode()
        made = self.answers.get(path, (404, {}, b""))
        return made if isinstance(made, tuple) else made()

    def whole(self, address: str) -> str:
        return self.root + address if address.startswith("/") else address


@contextmanager
def serving(secure: ssl.SSLContext | None = None) -> Iterator[Served]:
    """A context with a server. `secure`: how it speaks https."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            place.asked[parts.path] += 1
            place.agents.add(self.headers["User-Agent"])
            place.headers |= {name.lower() for name in self.headers}
            status, headers, body = place.answer(parts.path, parse_qs(parts.query))
            try:
                self.send_response(status)
                for name, value in {"Content-Length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                for byte in body if headers.get("X-Slow") else ():
                    self.wfile.write(bytes([byte]))
                    self.wfile.flush()
                    time.sleep(0.05)
                self.wfile.write(b"" if headers.get("X-Slow") else body)
            except OSError:  # who asked has gone
                self.close_connection = True

        @override
        def log_message(self, format: str, *values: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if secure is not None:
        server.socket = secure.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    place = Served(server)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield place
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def asking(served: Served, **more: object) -> CollectSettings:
    """Settings for a collection from the server; a picture is a face."""
    values = {
        "engines": (f"bing address={served.root}/search",),
        "languages": ("en",),
        "align": "whole",
        "side": 32,
        "local": True,
    }
    return CollectSettings(**{**values, "rate": 0.001, "timeout": 0.5, **more})  # type: ignore[arg-type]


def packed(content: bytes) -> Answer:
    """Content in gzip, which nobody asked for."""
    return 200, {"Content-Encoding": "gzip"}, gzip.compress(content)
