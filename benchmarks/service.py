"""Clients of `mien serve` on this machine: errors, latencies, faces a second, growth of memory, and what batches are worth.

    python benchmarks/service.py --photo photo.jpg [--clients 50] [--seconds 60] [--side 128] [--model mien-s]

The photo is scaled so that its longer side has --side pixels, and sent again and again by so many clients. Each waits for its
answer before it asks again. This is done twice, with `--batch 16` and with `--batch 1`. Before, one client alone asks a hundred
times, and `Recognizer.read` reads the same photo as often in this process, for the ratio of their 95th percentiles. Memory is
what the server's process holds (VmRSS) after a tenth of the time and at the end. Clients share the machine with the server.
"""

import argparse
import http.client
import io
import json
import re
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from mien import Recognizer

SERVE = "from mien.cli import main; main()"
ALONE = 100
"""Requests of one client alone."""


@dataclass
class Heard:
    """What clients were answered."""

    seconds: list[float] = field(default_factory=list)
    statuses: Counter[str] = field(default_factory=Counter)
    faces: int = 0


@contextmanager
def server(model: str, batch: int, clients: int) -> Iterator[tuple[int, int]]:
    """The port and the process id of a service."""
    words = [sys.executable, "-uc", SERVE, "serve", model, "--port", "0", "--batch", str(batch), "--waiting", str(2 * clients)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield next(int(found[1]) for line in process.stdout if (found := re.search(r":(\d+)/", line))), process.pid
        finally:
            process.kill()


def ask(port: int, photo: bytes, heard: Heard, until: float, most: int) -> None:
    """One client, until a time or for so many requests."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    for _ in range(most):
        if time.monotonic() > until:
            break
        began = time.perf_counter()
        try:
            connection.request("POST", "/v1/read", photo, {"Content-Type": "image/png"})
            response = connection.getresponse()
            content = json.loads(response.read())
        except (OSError, ValueError, http.client.HTTPException) as error:
            heard.statuses[type(error).__name__] += 1
            connection.close()
            continue
        heard.seconds.append(time.perf_counter() - began)
        heard.statuses[str(response.status)] += 1
        heard.faces += sum(len(one.get("faces", ())) for one in content.get("photos", ()))


def memory(process: int) -> float:
    """Megabytes that a process holds."""
    (line,) = [line for line in Path(f"/proc/{process}/status").read_text().splitlines() if line.startswith("VmRSS")]
    return int(line.split()[1]) / 1024


def crowd(asked: argparse.Namespace, photo: bytes, batch: int) -> float:
    """Many clients; prints what they were answered, and gives the faces a second."""
    heard = [Heard() for _ in range(asked.clients)]
    with server(asked.model, batch, asked.clients) as (port, process):
        ask(port, photo, Heard(), np.inf, 3)
        began = time.monotonic()
        words = [(port, photo, one, began + asked.seconds, 10**9) for one in heard]
        threads = [threading.Thread(target=ask, args=each) for each in words]
        for thread in threads:
            thread.start()
        time.sleep(asked.seconds / 10)
        early = memory(process)
        for thread in threads:
            thread.join()
        took, late = time.monotonic() - began, memory(process)
    seconds = np.concatenate([one.seconds for one in heard])
    speed = sum(one.faces for one in heard) / took
    statuses = dict(sum((one.statuses for one in heard), Counter()))
    middle, high, highest = np.percentile(seconds, [50, 95, 99]) * 1e3
    print(f"--batch {batch}: {asked.clients} clients, {took:.0f} s, answers {statuses}")
    print(f"  {speed:.1f} faces/s; latencies 50/95/99 %: {middle:.0f}, {high:.0f}, {highest:.0f} ms")
    print(f"  memory {early:.0f} MB, then {late:.0f} MB: {100 * (late / early - 1):+.1f} %")
    return speed


def main() -> None:
    """Print all figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photo", type=Path, required=True)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--side", type=int, default=128)
    parser.add_argument("--model", default="mien-s")
    asked = parser.parse_args()
    content = io.BytesIO()
    with Image.open(asked.photo) as opened:
        opened.thumbnail((asked.side, asked.side))
        opened.convert("RGB").save(content, "PNG")
    photo, recognizer, bare = content.getvalue(), Recognizer.load(asked.model, "cpu"), list[float]()
    for number in range(ALONE + 5):
        began = time.perf_counter()
        recognizer.read([photo])
        bare += [time.perf_counter() - began] if number >= 5 else []
    alone = Heard()
    with server(asked.model, 16, 1) as (port, _):
        ask(port, photo, Heard(), np.inf, 5)
        ask(port, photo, alone, np.inf, ALONE)
    ours, theirs = (float(np.percentile(one, 95)) * 1e3 for one in (alone.seconds, bare))
    print(f"one client: 95 % within {ours:.1f} ms, the bare call within {theirs:.1f} ms: {ours / theirs:.2f} times")
    together, single = crowd(asked, photo, 16), crowd(asked, photo, 1)
    print(f"batches: {together / single:.2f} times one at a time")


if __name__ == "__main__":
    main()
