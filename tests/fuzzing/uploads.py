"""Uploads to `mien serve`: harmed photos as bodies and in forms, forms that are none, and whatever its OpenAPI lets one ask.

A fault is an answer of the 500s, one that its OpenAPI does not describe, or one with what stands in another file. While each is
answered, somebody else sends a photo of a size of its own: the answer to that has to be about it.
"""

import functools
import http.client
import json
import threading
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
from pydantic import TypeAdapter

from fuzzing import images
from fuzzing._served import PATIENCE, Served, pick
from fuzzing.requests import BYTES
from mien import MienError, Recognizer
from mien.http_server.network import LOCAL
from mien.serving.answers import Answer, ErrorAnswer
from mien.serving.serve import serve
from mien.serving.settings import ServiceSettings
from stub_service import CARD, answering, picture

ASKED, BODY = "asked.json", "body.bin"
SETTINGS = ServiceSettings(bytes=1 << 20, pixels=1_000_000, request_pixels=2_000_000, photos=4)
"""Limits that bombs reach soon."""
SECRETS = (b"root:", b"mien_requests_total")
"""What stands in other files, and at other addresses."""
Generator = np.random.Generator

KINDS = (
    *("", "image/jpeg", "image/*", "application/octet-stream", "application/json", "text/plain", "video/mp4", "\xff"),
    *("multipart/form-data", "multipart/form-data; boundary=", f"multipart/form-data; boundary={'x' * 300}"),
    *(f"multipart/form-data; boundary=x; charset={name}" for name in ("utf-7", "unicode_escape", "zlib", "nothing")),
)
FORM = "multipart/form-data; boundary=x"
NAMES = (
    *("a.jpg", "", "../../etc/passwd", "/etc/passwd", "C:\\a.png", "a\\0b", "\u202e", "a" * 5000, "%00", "file:///etc/passwd"),
    *('"', "\\", "a.zip", "a.mp4", "-", "|id", "\ud83d\ude00", "\x1b[2J"),
)
HEADS = (
    'Content-Disposition: form-data; name="photos"; filename="{name}"', 'Content-Disposition: form-data; name="{name}"',
    'Content-Disposition: form-data; name="photos"; filename*=utf-8\'\'%2fetc%2fpasswd', "Content-Disposition: form-data",
    'Content-Disposition: attachment; filename="{name}"', "Content-Type: image/png", "",
    'Content-Disposition: form-data; name="photos"; filename="{name}"\r\nContent-Type: multipart/mixed; boundary=y',
    'Content-Disposition: form-data; name="photos"; filename="{name}"\r\nContent-Transfer-Encoding: base64',
)  # fmt: skip
VALUES = ("stub", "", "a", "\0", "\u20ac", "9" * 3000, "../model", "NaN", "<b>", "%")


def make(generator: Generator, folder: Path) -> None:
    """A request, most of them to read photos, and its body."""
    content, kind = (_form if generator.random() < 0.6 else _photo)(generator, folder)
    for _ in range(pick(generator, [0, 0, 0, 1, 2])):
        content = pick(generator, BYTES)(generator, content)
    asked = {
        "address": int(generator.integers(1 << 30)) if generator.random() < 0.15 else -1,
        "query": [["model" if generator.random() < 0.7 else "x", pick(generator, VALUES)] for _ in range(_few(generator))],
        "kind": kind if generator.random() < 0.85 else pick(generator, KINDS),
    }
    (folder / ASKED).write_text(json.dumps(asked))
    (folder / BODY).write_bytes(content)


def read(folder: Path) -> None:
    """Send it beside a photo of somebody else's, and look at both answers. Raises MienError where it is refused."""
    service, asked = _service(), json.loads((folder / ASKED).read_text())
    size, answers = (16 + len(asked["kind"]) % 7, 16 + int(folder.name[-6:], 36) % 89), list[tuple[int, bytes]]()
    other = threading.Thread(target=lambda: answers.append(service.ask("POST", "/v1/read", picture(size=size))))
    other.start()
    method, path = service.operation(asked["address"])
    query = "&".join(f"{quote(name)}={quote(value)}" for name, value in asked["query"])
    status, said = service.ask(method, f"{path}?{query}", (folder / BODY).read_bytes(), asked["kind"])
    other.join()
    (their_status, theirs), expected = answers[0], [0.0, 0.0, *map(float, size)]
    if their_status != 200 or [face["box"] for face in json.loads(theirs)["photos"][0]["faces"]] != [expected]:
        raise AssertionError(f"somebody else was answered {their_status}: {theirs[:2000]!r}")
    service.require_well()
    service.require_described(method, path, status, said)
    if status >= 400:
        raise MienError("a request that the service takes", f"one that it answers with {status}", "send another")


def begin() -> None:
    """Serve a stub, so that this counts as no input's time or memory."""
    _service().require_well()


def _photo(generator: Generator, folder: Path) -> tuple[bytes, str]:
    """A photo as it is sent alone."""
    images.make(generator, folder)
    (file,) = folder.iterdir()
    content = file.read_bytes()
    file.unlink()
    return content, "image/png"


def _form(generator: Generator, folder: Path) -> tuple[bytes, str]:
    """A form of some photos and other things."""
    made = b""
    for _ in range(pick(generator, [0, 1, 1, 2, 3, 6])):
        head = pick(generator, HEADS[:1] * 6 + HEADS).format(name=pick(generator, NAMES)).encode("utf-8", "surrogatepass")
        content = picture() if generator.random() < 0.3 else _photo(generator, folder)[0]
        made += b"--x\r\n" + head + b"\r\n\r\n" + content + b"\r\n"
    return made + pick(generator, [b"--x--\r\n"] * 5 + [b"", b"--x", b"--x--", b"--y--\r\n"]), FORM


def _few(generator: Generator) -> int:
    return pick(generator, [0, 0, 0, 0, 1, 2, 20])


class _Service(Served):
    """A service that is there as long as the process lives."""

    def __init__(self) -> None:
        recognizer = Recognizer(answering(), CARD)
        super().__init__(lambda listening, told: serve(recognizer, listening, SETTINGS, LOCAL, "", told), "/health")
        self._spec = json.loads(self.ask("GET", "/openapi.json")[1])
        self._operations = [(method.upper(), path) for path, all_ in self._spec["paths"].items() for method in all_]

    def ask(self, method: str, path: str, body: bytes = b"", kind: str = "image/png") -> tuple[int, bytes]:
        """Status and body of an answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            connection.request(method, path, body, {"Content-Type": kind})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def operation(self, number: int) -> tuple[str, str]:
        """An address of its OpenAPI; below 0 that which reads photos."""
        return ("POST", "/v1/read") if number < 0 else self._operations[number % len(self._operations)]

    def require_described(self, method: str, path: str, status: int, said: bytes) -> None:
        """Raises AssertionError for an answer that its OpenAPI does not describe, or that tells more than it may."""
        known = self._spec["paths"][path][method.lower()]["responses"]
        if status >= 500 or str(status) not in known or (path != "/metrics" and any(one in said for one in SECRETS)):
            raise AssertionError(f"{method} {path} answered {status}: {said[:2000]!r}")
        if path != "/v1/read":
            return
        told: dict[str, Any] = json.loads(said)
        TypeAdapter(Answer if "photos" in told else ErrorAnswer).validate_python(told)


@functools.cache
def _service() -> _Service:
    return _Service()
