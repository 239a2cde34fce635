"""The page as people use it: pictures, the camera, the table, bad files; and that nothing is sent."""

import base64
import functools
import http.server
import io
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from page_visits import READY, Opener
from PIL import Image
from playwright.sync_api import Page, expect

from chromium import DESK, PHONE
from drawn import drawings
from mien import Recognizer
from mien.browser.static_page import export_page
from mien.http_server.network import NetworkSettings
from stub_service import running

pytest_plugins = ("opened_page",)

AXE = Path(__file__).parents[2] / "build" / "axe-core" / "axe.min.js"
FOUND = "() => document.querySelector('#faces .share') !== null"
FAILS = "(name) => { navigator.mediaDevices.getUserMedia = async () => { throw new DOMException('none', name); }; }"
GONE = "() => Object.defineProperty(navigator, 'mediaDevices', { value: undefined, configurable: true })"
PAINTED = """() => {
  const context = document.getElementById("strip").getContext("2d");
  return context.getImageData(0, 0, 2000, 200).data.some(Boolean);
}"""
HIDE = """(hidden) => {
  Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
}"""
GIVE = """([kind, name, bytes]) => {
  const given = new DataTransfer(), how = { bubbles: true, cancelable: true };
  given.items.add(new File([Uint8Array.from(bytes)], name));
  return !document.body.dispatchEvent(kind === "drop" ? new DragEvent(kind, { ...how, dataTransfer: given })
    : new ClipboardEvent(kind, { ...how, clipboardData: given }));
}"""
SLOW = """if (navigator.mediaDevices) {
  const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  self.opened = new Promise((done) => { self.allow = done; }).then(() => open({ video: true }));
  navigator.mediaDevices.getUserMedia = () => self.opened;
}"""
OPENED = """async () => {
  self.allow();
  const [track] = (await self.opened).getVideoTracks();
  await new Promise((done) => setTimeout(done));
  return track.readyState;
}"""
COUNT = """() => {
  self.changes = 0;
  const everything = { subtree: true, characterData: true, childList: true, attributes: true };
  new MutationObserver(() => self.changes++).observe(document.getElementById("faces"), everything);
}"""
TRIED = "a picture"
"""What tests send themselves, to see whether the policy forbids it."""
TRY = """async ([address, body]) => {
  const told = new Promise((done) => addEventListener("securitypolicyviolation", done, { once: true }));
  try { await fetch(address, { method: "POST", mode: "no-cors", body }); } catch {
    return `blocked: ${(await told).effectiveDirective}`;
  }
  return "sent";
}"""
LATE = """async () => {
  const { Reader } = await import("./app/reader.js");
  const reader = new Reader(), faults = [], asked = reader.ask("open");
  addEventListener("error", ({ message }) => faults.push(message));
  reader.worker.dispatchEvent(new Event("error", { cancelable: true }));
  const answered = new Promise((done) => reader.worker.addEventListener("message", done, { once: true }));
  const said = await asked.catch(({ message }) => message);
  await answered;
  return [said, faults, await reader.ask("open").catch(({ message }) => message)];
}"""
SIZED = """async ([bytes, most]) => {
  const { bitmapOf } = await import("./app/pictures.js"), decode = self.createImageBitmap;
  let decoded = 0;
  self.createImageBitmap = (...given) => { decoded += 1; return decode(...given); };
  try {
    await bitmapOf(new Blob([Uint8Array.from(atob(bytes), (letter) => letter.charCodeAt(0))]), most);
  } catch ({ message }) { return [message, decoded]; } finally { self.createImageBitmap = decode; }
}"""
ELSEWHERE = "http://127.0.0.1:9/"
NO_PICTURE = "it is no picture that this browser knows"


def content(form: str = "PNG", photo: Any = None, **how: Any) -> bytes:
    """The file of a picture: of two faces unless said."""
    file = io.BytesIO()
    Image.fromarray(drawings()[0].photo if photo is None else photo).save(file, form, **how)
    return file.getvalue()


def choose(page: Page, name: str, body: bytes) -> None:
    """Gives the page a file, and waits until it has read or refused it."""
    page.evaluate("document.getElementById('state').textContent = ''")
    page.set_input_files("#files", {"name": name, "mimeType": "image/png", "buffer": body})
    expect(page.locator("#state")).to_have_text(re.compile(r"face|^Ready"))


def require_no_violations(page: Page, what: str) -> None:
    """axe finds nothing that keeps people out."""
    if not AXE.is_file():
        pytest.skip("axe-core is not there: make web fetches it")
    if not page.evaluate("typeof axe === 'object'"):
        page.evaluate(AXE.read_text("utf-8") + "; undefined")
    found = page.evaluate("async () => (await axe.run()).violations.map((one) => [one.id, one.nodes.map((node) => node.html)])")
    assert found == [], what


def saved(page: Page) -> list[list[str]]:
    """The rows of the table that is downloaded."""
    with page.expect_download() as download:
        page.click("#save")
    assert download.value.suggested_filename == "faces.csv"
    return [line.split(",") for line in Path(download.value.path()).read_text("utf-8").splitlines()]


@pytest.mark.parametrize("how", [DESK, DESK | {"color_scheme": "dark"}, PHONE], ids=["desk", "dark", "phone"])
def test_a_picture_is_read_and_nobody_is_kept_out(
    opener: Opener, where: str, recognizer: Recognizer, how: dict[str, Any]
) -> None:
    with opener.open(where, how) as page:
        page.wait_for_function(READY)
        require_no_violations(page, "before a picture")
        choose(page, "two.png", content())
        expect(page.locator("#state")).to_have_text("two.png: 2 faces.")
        ours = recognizer(content())
        told = [one.split("face")[0].strip() for one in page.locator("#faces h3").all_inner_texts()]
        assert [text.startswith("unsure") for text in told] == [one.unsure for one in ours] == [False, True]
        assert told[0].startswith(ours[0].top)
        shares = page.locator("#faces li").first.locator(".share").all_inner_texts()
        assert shares == [f"{100 * score:.0f}%" for score in ours[0].scores.values()]
        expect(page.locator("#said")).to_have_text(re.compile("sadness 89%; unsure"))
        require_no_violations(page, "with faces")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "nothing is beside the screen"
        assert page.evaluate("crossOriginIsolated"), "threads are allowed"
        rows = saved(page)
        assert rows[0] == [
            *["photo", "path", "member", "frame", "time", "track", "x0", "y0", "x1", "y1", "top", "confidence", "unsure"],
            *recognizer.classes,
        ]
        assert [(row[0], row[10], row[12]) for row in rows[1:]] == [("two.png", one.top, str(int(one.unsure))) for one in ours]


def test_a_picture_comes_by_keyboard_by_drop_and_by_paste(opener: Opener, where: str) -> None:
    """In a page of its own, where nothing was clicked: the first key leads to the first button."""
    with opener.open(where) as page:
        page.wait_for_function(READY)
        page.on("filechooser", lambda chooser: None)  # from now on choosers are not shown, but told
        order = []
        for _ in range(2):
            page.keyboard.press("Tab")
            order.append(page.evaluate("document.activeElement.id"))
        assert order == ["start", "files"]
        with page.expect_file_chooser() as chooser:
            page.keyboard.press("Enter")
        chooser.value.set_files({"name": "one.png", "mimeType": "image/png", "buffer": content(photo=drawings()[2].photo)})
        expect(page.locator("#state")).to_have_text("one.png: 1 face.")
        for kind in ("drop", "paste"):
            page.evaluate(GIVE, [kind, f"{kind}.png", list(content())])
            expect(page.locator("#state")).to_have_text(f"{kind}.png: 2 faces.")


def test_what_comes_early_waits_and_a_camera_that_is_stopped_stays_off(opener: Opener, where: str) -> None:
    """Before the model is loaded, and while the camera opens."""
    with opener.open(where, before=SLOW) as page:
        assert page.evaluate(GIVE, ["drop", "early.png", list(content())]), "the browser does not show it instead of the page"
        expect(page.locator("#state")).to_have_text("early.png: 2 faces.")
        page.click("#start")
        assert page.evaluate(GIVE, ["drop", "meanwhile.png", list(content())])
        expect(page.locator("#state")).to_have_text("meanwhile.png: 2 faces.")
        assert page.evaluate(OPENED) == "ended"
        assert page.evaluate("document.getElementById('camera').srcObject === null")
        assert page.locator("#photo").is_visible()
        assert page.locator("#start:enabled").inner_text() == "Start camera"


def huge() -> bytes:
    """The head of a PNG that would have 2.5 billion pixels."""
    made = bytearray(content())
    made[16:24] = (50_000).to_bytes(4, "big") * 2
    return bytes(made)


@pytest.mark.parametrize(
    ("name", "body", "said"),
    [
        ("text.png", b"no picture at all, but a text of some length", f"text.png cannot be read: {NO_PICTURE}."),
        ("empty.png", b"", "empty.png cannot be read: it is empty."),
        ("huge.png", huge(), "huge.png cannot be read: it has 50,000 x 50,000 pixels, and at most 32,000,000 are read."),
        ("half.png", content()[:2000], f"half.png cannot be read: {NO_PICTURE}."),
        ("<b>\x1b\u202e.png", b"x", f"<b>\\x1b\\u202e.png cannot be read: {NO_PICTURE}."),
    ],
    ids=["text", "empty", "huge", "half", "name"],
)
def test_what_is_no_picture_is_refused_in_a_sentence(page: Page, name: str, body: bytes, said: str) -> None:
    choose(page, name, body)
    expect(page.locator("#trouble")).to_have_text(said)
    choose(page, "after.png", content())
    expect(page.locator("#state")).to_have_text("after.png: 2 faces.")
    expect(page.locator("#trouble")).to_be_hidden()


def test_what_is_too_large_is_refused_undecoded_where_the_head_tells_its_size(page: Page) -> None:
    photo = np.zeros((30, 40, 3), np.uint8)
    early = [content(form, photo) for form in ("PNG", "GIF", "BMP", "WEBP", "JPEG")]
    late = content("JPEG", photo, icc_profile=bytes(300_000))  # its size is behind the profile
    for body, decoded in [*((body, 0) for body in early), (late, 1)]:
        given = [base64.b64encode(body).decode(), 1199]
        assert page.evaluate(SIZED, given) == ["it has 40 x 30 pixels, and at most 1,199 are read", decoded]


def test_what_a_lost_worker_still_answers_is_passed_over(page: Page) -> None:
    lost = "its scripts cannot be loaded"
    assert page.evaluate(LATE) == [lost, [], lost]


def test_of_an_animation_the_first_picture_is_read(page: Page) -> None:
    frames = [Image.fromarray(drawings()[2].photo), Image.new("RGB", (401, 300))]
    file = io.BytesIO()
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:])
    choose(page, "film.gif", file.getvalue())
    expect(page.locator("#state")).to_have_text("film.gif: 1 face.")
    choose(page, "gray.jpg", content("JPEG", np.full((40, 4000, 3), 90, np.uint8)))
    expect(page.locator("#state")).to_have_text("gray.jpg: no face.")


def test_the_camera_is_read_paused_and_stopped(page: Page) -> None:
    page.click("#start")
    page.wait_for_function(FOUND)
    expect(page.locator("#state")).to_have_text("The camera is read.")
    expect(page.locator("#pace")).to_have_text(re.compile(r"^\d+ pictures a second$"))
    expect(page.locator("#faces h3 .soft")).to_have_text(re.compile(r"^face \d+$"))
    require_no_violations(page, "with the camera")
    assert page.locator("#strip").is_visible()
    page.wait_for_function(PAINTED)
    page.evaluate(HIDE, True)
    expect(page.locator("#state")).to_have_text("Paused while this tab is in the background.")
    page.evaluate(COUNT)
    page.evaluate(HIDE, False)
    expect(page.locator("#state")).to_have_text("The camera is read.")
    page.wait_for_function("() => self.changes > 0")
    page.click("#start")
    expect(page.locator("#start")).to_have_text("Start camera")
    assert page.evaluate("document.getElementById('camera').srcObject === null")
    rows = [row for row in saved(page)[1:] if row[0] == "camera"]
    assert [int(row[3]) for row in rows] == sorted({int(row[3]) for row in rows})
    assert [float(row[4]) for row in rows] == sorted(float(row[4]) for row in rows)
    # Where pictures are far apart in time, as after a pause or on a slow machine, a face may get a new number; later its old one.
    numbers = list(dict.fromkeys(int(row[5]) for row in rows))
    assert numbers == list(range(1, len(numbers) + 1))


def test_without_a_camera_pictures_are_read(opener: Opener, where: str) -> None:
    reasons = {
        "": "This browser was not allowed to use the camera.",
        "NotFoundError": "No camera was found.",
        "NotReadableError": "The camera cannot be read: another program may use it.",
        GONE: "This browser shows no camera to pages.",
    }
    with opener.open(where, allowed=()) as page:
        page.wait_for_function(READY)
        for reason, said in reasons.items():
            if reason:
                page.evaluate(GONE if reason == GONE else FAILS, None if reason == GONE else reason)
            page.click("#start:enabled")
            expect(page.locator("#trouble")).to_have_text(f"{said} You can still choose, drop or paste pictures.")
        choose(page, "two.png", content())
        expect(page.locator("#state")).to_have_text("two.png: 2 faces.")
        page.click("#start:enabled")
        expect(page.locator("#trouble")).to_be_visible()
        assert page.locator("#photo").is_visible(), "the picture stays"


def test_without_webassembly_the_page_says_so(opener: Opener, where: str) -> None:
    with opener.open(where, before="delete globalThis.WebAssembly;") as page:
        expect(page.locator("#trouble")).to_have_text(
            "This browser has no WebAssembly, which the model runs on: take a newer one."
        )
        assert page.locator("#start").is_disabled()


def test_below_a_path_of_a_proxy_it_works_too(opener: Opener, recognizer: Recognizer) -> None:
    with running(recognizer, NetworkSettings(path="/faces")) as address, opener.open(f"{address}faces/") as page:
        page.wait_for_function(READY)
        choose(page, "two.png", content())
        expect(page.locator("#state")).to_have_text("two.png: 2 faces.")


class Quiet(http.server.SimpleHTTPRequestHandler):
    """A plain server of files, which knows nothing of mien."""

    def log_message(self, format: str, *values: object) -> None:
        """Nothing."""


@contextmanager
def plain_server(folder: Path) -> Iterator[str]:
    """The address of a plain server."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/"
        finally:
            server.shutdown()
            thread.join()


def test_as_files_it_works_at_any_server(opener: Opener, tmp_path: Path) -> None:
    export_page("mien-s", tmp_path / "page")
    with plain_server(tmp_path / "page") as address, opener.open(address, tried=ELSEWHERE) as page:
        page.wait_for_function(READY)
        assert not page.evaluate("crossOriginIsolated")
        choose(page, "two.png", content())
        expect(page.locator("#state")).to_have_text("two.png: 2 faces.")
        (worker,) = page.workers
        for where in (page, worker):
            assert where.evaluate(TRY, [ELSEWHERE, TRIED]) == "blocked: connect-src", "by the policy in the page itself"


def test_nothing_is_sent(opener: Opener, where: str) -> None:
    """Every request of this page, and of those that were opened before, is for a file of the page's own."""
    before = len(opener.asked)
    with opener.open(where) as page:
        page.wait_for_function(READY)
        choose(page, "two.png", content())
        page.click("#start")
        page.wait_for_function("() => document.getElementById('pace').textContent !== ''")
        saved(page)
    for name in (".wasm", "onet.onnx", "page.js"):
        assert any(one.url.endswith(name) for one in opener.asked[before:]), "the worker's requests are seen, too"
    for one in opener.asked:
        parts = urlsplit(one.url)
        if parts.scheme in ("blob", "data") or one.post_data == TRIED:
            continue
        assert (one.method, one.post_data, parts.query) == ("GET", None, "")
        assert parts.hostname == "127.0.0.1"
        assert re.fullmatch(r"(/faces)?/(app/[\w./-]+)?", parts.path), one.url


def test_the_page_cannot_ask_the_service_itself(opener: Opener, where: str) -> None:
    with opener.open(where, tried="v1/model") as page:
        assert page.evaluate(TRY, ["v1/model", TRIED]).startswith("blocked")
        assert page.evaluate(TRY, ["app/page.js", TRIED]) == "sent"
