"""The page in headless Chromium with a fake camera: frames a second, seconds to the first answer, bytes over the wire.

Before, the sizes of the page's files by compression.

    python benchmarks/browser.py [--model mien-s] [--seconds 10] [--times 3]

`mien serve` runs beside the browser. The camera shows one drawn face at 640 x 480, 30 frames a second. The first answer is the
first face that is listed, counted from the moment that the page is asked for; the camera is started as soon as its button can be
pressed. Bytes are those that the server sent, as the browser counted them, with nothing in its cache. Chromium runs on the
processors that this process may use: `taskset -c 0,1` before the command takes two.
"""

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Request

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from chromium import chromium
from films import one_face, write_y4m
from mien import Recognizer
from mien.browser.network_files import network_files
from mien.browser.page_files import page_files
from mien.browser.vendored import LICENSES

SERVE = "from mien.cli import main; main()"
FACE = "() => document.querySelector('#faces .share') !== null"


@contextmanager
def serving(model: str) -> Iterator[str]:
    """The address of `mien serve`, which is ended at last."""
    words = [sys.executable, "-c", SERVE, "serve", model, "--port", "0"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            found = re.search(r"http://[\d.:]+/", server.stdout.readline())
            assert found is not None, "mien serve did not begin"
            yield found[0]
        finally:
            server.terminate()


def sizes(model: str) -> dict[str, int]:
    """Bytes of the page's files without the licenses, which no page loads: plain, and as `mien serve` sends them compressed."""
    recognizer = Recognizer.load(model, "cpu")
    assert recognizer.folder is not None
    files = page_files(recognizer.card, recognizer.crop_spec, network_files(recognizer.folder, recognizer.card), model)
    loaded = [file for name, file in files.items() if Path(name).name not in LICENSES]
    return {
        "plain": sum(len(file.content) for file in loaded),
        "gzip": sum(len(file.packed.get("gzip", file.content)) for file in loaded),
        "Brotli": sum(min(map(len, (file.content, *file.packed.values()))) for file in loaded),
    }


def visit(browser: Browser, where: str, seconds: float) -> tuple[float, float, float]:
    """Seconds to the first answer, frames a second after it, and millions of bytes that came over the wire."""
    context = browser.new_context(viewport={"width": 1280, "height": 800}, permissions=["camera"])
    page = context.new_page()
    requests = list[Request]()
    page.on("requestfinished", lambda request: requests.append(request))  # Playwright marks what it is given
    began = time.perf_counter()
    page.goto(where, wait_until="commit")
    page.click("#start:enabled", timeout=60_000)
    page.wait_for_function(FACE, timeout=60_000)
    first = time.perf_counter() - began
    page.wait_for_timeout(1000 * seconds)
    pace = float((page.text_content("#pace") or "0").split()[0])
    sizes = {one.url: one.sizes() for one in requests}
    sent = sum(size["responseBodySize"] + size["responseHeadersSize"] for size in sizes.values())
    assert any(url.endswith(".wasm") for url in sizes), "the worker's requests were not seen"
    context.close()
    return first, pace, sent / 1e6


def main() -> None:
    """Prints each visit, and the medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="mien-s")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--times", type=int, default=3)
    asked = parser.parse_args()
    print("files of the page: " + ", ".join(f"{name} {size / 1e6:.2f} MB" for name, size in sizes(asked.model).items()))
    with tempfile.TemporaryDirectory() as folder, serving(asked.model) as where:
        film = write_y4m(Path(folder, "face.y4m"), one_face())
        camera = (
            "--use-fake-ui-for-media-stream",
            "--use-fake-device-for-media-stream",
            f"--use-file-for-fake-video-capture={film}",
        )
        with chromium(camera) as browser:
            print(f"Chromium {browser.version}, {len(os.sched_getaffinity(0))} processors, load {os.getloadavg()[0]:.1f}")
            visits = [visit(browser, where, asked.seconds) for _ in range(asked.times)]
    for first, pace, sent in visits:
        print(f"first answer after {first:.2f} s, {pace:.0f} frames a second, {sent:.2f} MB")
    first, pace, sent = (statistics.median(values) for values in zip(*visits, strict=True))
    print(f"median: first answer after {first:.2f} s, {pace:.0f} frames a second, {sent:.2f} MB")


if __name__ == "__main__":
    main()
