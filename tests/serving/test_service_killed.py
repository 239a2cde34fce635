"""`mien serve` is killed while clients ask: another one at the same port answers them at once."""

import json
import re
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from processes import WAIT, held_port, started, wait_until
from stub_service import picture

SERVE = "from mien.cli import main; main()"
CLIENTS, EACH = 4, 6


@contextmanager
def service(port: int) -> "Iterator[subprocess.Popen[str]]":
    """One that listens; it is killed at the end."""
    with started("-uc", SERVE, "serve", "--port", str(port)) as process:
        assert process.stdout is not None
        try:
            assert re.search(rf":{port}/", process.stdout.readline())
            yield process
        finally:
            process.kill()


class Client:
    """Asks again and again, until it was answered `EACH` times before and after."""

    def __init__(self, port: int, restarted: threading.Event) -> None:
        self.answers: list[bytes] = []
        self.before = 0
        self._port, self._restarted = port, restarted
        self.thread = threading.Thread(target=self._work)
        self.thread.start()

    def _work(self) -> None:
        ends = time.monotonic() + WAIT
        while self.before < EACH or len(self.answers) - self.before < EACH:
            assert time.monotonic() < ends
            try:
                answer = httpx.post(f"http://127.0.0.1:{self._port}/v1/read", content=picture(size=(64, 48)), timeout=WAIT)
            except httpx.TransportError:
                time.sleep(0.02)
                continue
            assert answer.status_code == 200
            self.answers.append(answer.content)
            self.before += not self._restarted.is_set()


def test_a_service_killed_under_load_starts_again_and_answers() -> None:
    with held_port() as port:
        restarted = threading.Event()
        with service(port) as first:
            clients = [Client(port, restarted) for _ in range(CLIENTS)]
            wait_until(lambda: all(one.before >= EACH for one in clients), first)
            first.send_signal(signal.SIGKILL)
            assert first.wait(WAIT) == -signal.SIGKILL
        with service(port):
            restarted.set()
            for one in clients:
                one.thread.join()
        assert all(len(one.answers) - one.before >= EACH for one in clients)
        assert {content for one in clients for content in one.answers} == {clients[0].answers[0]}
        assert json.loads(clients[0].answers[0])["photos"][0]["photo"] == "photo"
