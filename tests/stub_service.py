"""A service for tests: its model is a stub that answers at once, or when it is let."""

import asyncio
import io
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from queue import Queue
from threading import Event, Semaphore, Thread
from typing import Any

import httpx
import numpy as np
import numpy.typing as npt
import uvicorn
from PIL import Image

from mien import Recognizer
from mien.data.info import Faces, Info
from mien.http_server.client_limits import ClientLimits
from mien.http_server.network import LOCAL, NetworkSettings, listen, page_address
from mien.http_server.request_checks import RequestChecks
from mien.recognize.model_card import ModelCard
from mien.serving.app import Service, build
from mien.serving.batches import BatchedReader, Readers
from mien.serving.figures import Figures
from mien.serving.serve import serve
from mien.serving.settings import ServiceSettings
from processes import WAIT

CLASSES = ("dark", "bright")
CARD = ModelCard({"network": "mien_s"}, CLASSES, Info(CLASSES, side=8, alignment="whole"))
QUICK = ClientLimits(wrong_by_address=12, wrong_seconds=0.0)
TOKEN = "a-token-of-many-letters"


@dataclass
class Stub:
    """Tells bright pictures from dark ones. `batches` notes how many it saw together."""

    batches: list[int] = field(default_factory=list)
    begun: Semaphore = field(default_factory=lambda: Semaphore(0))
    """Released whenever it is asked."""
    go: Event = field(default_factory=Event)
    """It answers no sooner than this is set."""

    def logits(self, card: ModelCard, faces: Faces, flip: bool) -> npt.NDArray[np.float32]:
        """Logits (N, 2) by the mean of the pixels."""
        self.batches.append(len(faces))
        self.begun.release()
        assert self.go.wait(WAIT)
        means = faces.faces(np.arange(len(faces))).reshape(len(faces), -1).mean(axis=1) / 32 - 4
        return np.stack([-means, means], axis=1).astype(np.float32)

    def machine(self) -> str:
        """None."""
        return "a stub"


def answering() -> Stub:
    """A stub that answers at once."""
    stub = Stub()
    stub.go.set()
    return stub


@dataclass(frozen=True)
class Built:
    """A service in this process, without a socket."""

    app: RequestChecks
    client: httpx.AsyncClient
    figures: Figures
    stub: Stub
    reader: BatchedReader


@asynccontextmanager
async def built(stub: Stub | None = None, token: str = "", path: str = "", **settings: Any) -> AsyncIterator[Built]:
    """A service whose application is asked in this event loop."""
    stub, figures, asked = stub or answering(), Figures(), ServiceSettings(**settings)
    recognizer = Recognizer(stub, CARD)
    with Readers(recognizer, asked, figures) as readers:
        app = build(Service("stub", CARD.to_json(), readers, figures, asked, token, QUICK), path=path)
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", timeout=WAIT) as client:
            try:
                yield Built(app, client, figures, stub, readers.small)
            finally:
                stub.go.set()


@contextmanager
def running(recognizer: Recognizer, reached: NetworkSettings = LOCAL, **settings: Any) -> Iterator[str]:
    """The address of a service that a thread serves at a socket."""
    servers: Queue[uvicorn.Server] = Queue()
    with listen("127.0.0.1", 0) as listening:
        words = (recognizer, listening, ServiceSettings(**settings), reached, "", servers.put)
        thread = Thread(target=serve, args=words)
        thread.start()
        server = servers.get(timeout=WAIT)
        try:
            yield page_address(listening)
        finally:
            server.should_exit = True
            thread.join()


def picture(value: int = 200, form: str = "PNG", size: tuple[int, int] = (12, 10), **how: Any) -> bytes:
    """The file of a picture of one gray."""
    content = io.BytesIO()
    Image.new("L", size, value).save(content, form, **how)
    return content.getvalue()


@dataclass
class Raw:
    """A request without a client of HTTP: what is said to the application, and what it says."""

    said: list[dict[str, Any]]
    address: str = "127.0.0.1"
    heard: list[Any] = field(default_factory=list)

    async def ask(self, app: RequestChecks) -> "Raw":
        """Send it; after the last message the client is gone."""
        scope = {
            "type": "http", "method": "POST", "path": "/v1/read", "raw_path": b"/v1/read", "query_string": b"",
            "http_version": "1.1", "headers": [(b"host", b"127.0.0.1")], "scheme": "http", "server": ("127.0.0.1", 80),
            "client": (self.address, 1), "root_path": "",
        }  # fmt: skip
        await app(scope, self.receive, self._send)
        return self

    async def receive(self) -> Any:
        return self.said.pop(0) if self.said else {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        self.heard.append(message)


class Slow(Raw):
    """A client that stalls after its last message, until it is let go."""

    def __init__(self, said: list[dict[str, Any]]) -> None:
        super().__init__(said)
        self.stalls, self.leave = asyncio.Event(), asyncio.Event()

    async def receive(self) -> Any:
        """A message, or the client's end."""
        if not self.said:
            self.stalls.set()
            await self.leave.wait()
        return await super().receive()
