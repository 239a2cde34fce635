"""The photo around a face, the help, and the page below a path."""

import http.client
import http.server
import io
import json
import re
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, expect
from served_page import CLASSES, PATIENT, error_of, given, sent, served, signed_in

from chromium import DESK, PATIENCE, saved, see, sign_in, visit
from mien import FaceSet, MienError
from mien.data.format import Info
from mien.data.writer import FaceSetWriter
from mien.http_server.network import NetworkSettings, listen, network_settings, page_address
from mien.labeling.page.numbered_faces import NumberedFaces
from mien.labeling.page.settings import PageSettings
from mien.labeling.page.setup import PreparedPage, prepare_page
from mien.labeling.page.source_photos import AROUND, SIDE, SourcePhotos, find_source_photos
from mien.labeling.store.records import Question
from mien.labeling.store.store import Store
from mien.preparation.photo_note import FILE, photos_by_name, read_photo_note, write_photo_note
from processes import WAIT

pytest_plugins = ("opened",)

BOX = (40.0, 30.0, 60.0, 50.0)
RED, BLUE = (220, 10, 10), (10, 10, 220)


def write_photos(folder: Path, count: int) -> None:
    """Red ones, blue where the face is."""
    folder.mkdir()
    for n in range(count):
        picture = Image.new("RGB", (200, 100), RED)
        picture.paste(BLUE, (40, 30, 60, 50))
        picture.save(folder / f"p{n}.png")


def write_set(folder: Path, photos: list[str | None], noted: str = "") -> FaceSet:
    """A face for each photo, `f0`, `f1`, ..., as mien prepare would write it."""
    info = Info(CLASSES, side=16, name="a pool")
    with FaceSetWriter(folder, info) as writer:
        columns: dict[str, Any] = {"id": [f"f{n}" for n in range(len(photos))], "label": [-1] * len(photos)}
        columns |= {"photo": photos, "box": [BOX] * len(photos)}
        writer.add(np.zeros((len(photos), 16, 16), np.uint8), columns)
        if noted:
            write_photo_note(writer, [noted], folder)
    return FaceSet.open(folder)


@pytest.fixture
def known(tmp_path: Path) -> FaceSet:
    """Four faces with their photos beside."""
    write_photos(tmp_path / "pictures", 4)
    return write_set(tmp_path / "pool", [f"p{n}.png" for n in range(4)], str(tmp_path / "pictures"))


@pytest.fixture
def ready(known: FaceSet, tmp_path: Path) -> Iterator[PreparedPage]:
    found = prepare_page(PageSettings(tmp_path / "pool", str(tmp_path / "labels.db")))
    with found.store:
        for name in ("ann", "bob"):
            found.store.accounts.add(name)
        yield found


def token(store: Store, name: str = "ann") -> str:
    return store.accounts.renew_token(name)


def test_where_the_photos_were_is_noted_without_the_way_there(known: FaceSet, tmp_path: Path) -> None:
    noted = (tmp_path / "pool" / FILE).read_text()
    assert json.loads(noted) == {"inputs": ["../pictures"], "version": 1}
    assert read_photo_note(tmp_path / "pool") == (str(tmp_path / "pictures"),)
    known.verify()
    (tmp_path / "pool").rename(tmp_path / "elsewhere")
    assert len(find_source_photos(FaceSet.open(tmp_path / "elsewhere")) or ()) == 4, "moved beside it"
    (tmp_path / "elsewhere" / FILE).write_text("{}")
    assert find_source_photos(FaceSet.open(tmp_path / "elsewhere")) is None
    with pytest.raises(MienError, match="remove it"):
        read_photo_note(tmp_path / "elsewhere")


def test_photos_are_where_somebody_says_or_are_not_shown(tmp_path: Path) -> None:
    write_photos(tmp_path / "pictures", 2)
    pool = write_set(tmp_path / "pool", ["p0.png", "p1.png", None])
    assert find_source_photos(pool) is None, "nothing is noted"
    found = find_source_photos(pool, str(tmp_path / "pictures"))
    assert found is not None
    assert [found.knows(row) for row in range(3)] == [True, True, False]
    assert find_source_photos(pool, "none") is None
    with pytest.raises(MienError, match=r"the photos of these faces at .*; found none of them"):
        find_source_photos(pool, str(tmp_path / "pool"))
    with pytest.raises(MienError, match="a file, folder or pattern"):
        find_source_photos(pool, str(tmp_path / "nowhere"))


def test_what_is_shown_is_around_the_face_and_small(tmp_path: Path) -> None:
    write_photos(tmp_path / "pictures", 1)
    Image.new("RGB", (9000, 6000), RED).save(tmp_path / "pictures" / "huge.png")
    names, boxes = (
        ["p0.png", "p0.png", "huge.png", "p0.png"],
        [BOX, (-10.0, -10.0, 2000.0, 50.0), BOX, (900.0, 900.0, 950.0, 950.0)],
    )
    found = SourcePhotos("here", names, boxes, photos_by_name([str(tmp_path / "pictures")], set(names)))
    with Image.open(io.BytesIO(found.around(0))) as picture:
        pixels = np.asarray(picture.convert("RGB")).astype(int)
        assert picture.format == "JPEG"
        assert not picture.getexif()
    # From x 10 to 91 and y 0 to 81, with the face in it, whose frame is yellow.
    assert pixels.shape[:2] == (81, 81) == (int(20 * AROUND) + 1,) * 2
    assert abs(pixels[40, 40] - BLUE).max() < 60
    assert abs(pixels[75, 75] - RED).max() < 60
    with Image.open(io.BytesIO(found.around(1))) as picture:
        assert max(picture.size) <= SIDE
    with pytest.raises(MienError, match="9000 x 6000 pixels, more than 50,000,000"):
        found.around(2)
    with pytest.raises(MienError, match="a photo with the face in it"):
        found.around(3)


def test_a_photo_is_for_who_was_given_the_face(ready: PreparedPage, tmp_path: Path) -> None:
    store = ready.store
    with served(store, ready.pool, photos=ready.photos) as where:
        assert httpx.get(f"{where}photos/0", timeout=WAIT).status_code == 401
        with signed_in(where, "ann", token(store)) as ann, signed_in(where, "bob", token(store, "bob")) as bob:
            asked = ann.get("/questions?count=2").json()["questions"]
            assert [(one["number"], one["photo"]) for one in asked] == [(0, True), (1, True)]
            shown = ann.get(f"/photos/0?store={store.id}")
            assert (shown.status_code, shown.headers["content-type"]) == (200, "image/jpeg")
            assert shown.headers["cache-control"] == "no-store"
            for number in ("2", "99", "-1", "0x1", "../0", "9" * 40):
                assert ann.get(f"/photos/{number}").status_code == 404
            assert bob.get("/photos/0").status_code == 404, "ann has it"
            assert ann.get("/photos/0?store=other").status_code == 409
            ann.post("/answers", json=sent(store, given(1)))
            ann.get("/questions?count=1")
            assert ann.get("/photos/1").status_code == 200, "answered by her"
            (tmp_path / "pictures" / "p0.png").write_bytes(b"no picture")
            (tmp_path / "pictures" / "p2.png").unlink()
            assert ann.get("/photos/0").status_code == 200, "kept since it was shown"
            bob.get("/questions?count=4")
            gone = bob.get("/photos/2")
            assert gone.status_code == 503
            assert str(tmp_path) not in gone.text
            assert "p2" not in gone.text
            assert error_of(gone)["found"] == "none that can be read"


@pytest.mark.parametrize("gold_row", [1, 2])
def test_gold_questions_cannot_be_told_by_their_photos(tmp_path: Path, gold_row: int) -> None:
    write_photos(tmp_path / "pictures", 3)
    write_set(tmp_path / "pool", ["p0.png", "p1.png", "lost.png"], str(tmp_path / "pictures"))
    (tmp_path / "gold.csv").write_text(f"id,label\nf{gold_row},calm\n")
    asking = PageSettings(tmp_path / "pool", str(tmp_path / "labels.db"))
    for gold, expected in ((None, [True, True, False]), (tmp_path / "gold.csv", [False] * 3)):
        found = prepare_page(replace(asking, gold=gold, store=str(tmp_path / f"{gold is None}.db")))
        with found.store:
            faces = NumberedFaces(found.store, found.pool, found.photos)
            assert [faces.has_photo(faces.number(f"f{n}")) for n in range(3)] == expected


def test_everybody_reads_the_definitions_of_the_store(ready: PreparedPage, tmp_path: Path) -> None:
    asking, file = PageSettings(tmp_path / "pool", str(tmp_path / "labels.db")), tmp_path / "words.toml"
    file.write_text('question = "What is <meant>?"\n[definitions]\nglad = "Cheeks up."\n', "utf-8")
    prepare_page(replace(asking, definitions=file)).store.close()
    told = ready.store.guidelines()
    assert (told.question, dict(told.definitions)["glad"]) == ("What is <meant>?", "Cheeks up.")
    with served(ready.store, ready.pool) as where, signed_in(where, "ann", token(ready.store)) as ann:
        for page in ("/", "/grid"):
            assert "What is &lt;meant&gt;?" in ann.get(page).text
            assert "<dd>Cheeks up.</dd>" in ann.get(page).text
    for content, said in (
        ('[definitions]\njoy = "Up."', "definitions of calm, glad, sad in .*; found 'joy'"),
        ('[definitions]\nglad = ""', "a definition of glad of 1 to 1000 letters"),
        ("[definitions]\nglad = 3", "glad"),
        ("glad = 'Up.'", "words.toml"),
        ('question = ""\n[definitions]', "a question to people"),
        ("[definitions", "TOML in"),
    ):
        file.write_text(content)
        with pytest.raises(MienError, match=said):
            prepare_page(replace(asking, definitions=file))
    assert ready.store.guidelines().question == "What is <meant>?"


def test_the_usual_expressions_are_defined(tmp_path: Path) -> None:
    classes = ("happy", "fear", "bored")
    with Store.create(tmp_path / "labels.db", classes, "p", "c") as store:
        assert [name for name, _ in store.guidelines().definitions] == ["happy", "fear"]


def test_help_and_photo_open_on_keys_that_answer_nothing(browser: Browser, ready: PreparedPage) -> None:
    store = ready.store
    with served(store, ready.pool, photos=ready.photos) as where, visit(browser, where, token(store), DESK) as page:
        see(page, 0)
        sheet, photo = page.locator("#help"), page.locator("#photo")
        page.keyboard.press("?")
        expect(sheet).to_be_visible(timeout=PATIENCE)
        expect(sheet.get_by_role("heading", level=2)).to_have_text("Which expression does this face show?")
        page.keyboard.press("1")
        page.keyboard.press("?")
        expect(sheet).to_be_hidden()
        page.keyboard.press("p")
        expect(photo.get_by_role("img")).to_be_visible(timeout=PATIENCE)
        page.keyboard.press("2")
        page.keyboard.press("p")
        expect(photo).to_be_hidden()
        page.get_by_role("button", name="photo", exact=True).click()
        expect(photo).to_be_visible()
        page.keyboard.press("Escape")
        expect(photo).to_be_hidden()
        page.keyboard.press("3")
        see(page, 1)
        saved(page)
        assert [(one.face, one.label) for one in store.log()] == [("f0", 2)], "keys that were pressed over a sheet answer nothing"
        expect(page.locator("#said")).to_contain_text("The last face: you said sad.")
        expect(page.locator("#last-face img")).to_have_attribute("src", re.compile("faces/0"))
        page.get_by_role("link", name="Grid").click()
        expect(page.locator(".tile")).to_have_count(3, timeout=PATIENCE)
        page.wait_for_function(
            "() => [...document.querySelectorAll('.tile img')].every((one) => one.complete && one.naturalWidth)"
        )
        page.keyboard.press("ArrowRight")
        page.keyboard.press("p")
        expect(photo.get_by_role("img")).to_be_visible(timeout=PATIENCE)
        page.keyboard.press("p")
        page.keyboard.press("u")
        expect(page.get_by_role("heading", level=1)).to_have_text("Mark the faces that you are unsure of")
        page.keyboard.press("Space")
        page.keyboard.press("Enter")
        saved(page)
        assert [(one.face, one.kind) for one in store.log()][1:] == [("f1", "unsure")]


def test_a_face_without_photo_says_so(browser: Browser, ready: PreparedPage) -> None:
    with served(ready.store, ready.pool) as where, visit(browser, where, token(ready.store), DESK) as page:
        see(page, 0)
        expect(page.locator("#around")).to_have_text("pno photo")
        page.keyboard.press("p")
        expect(page.locator("#photo")).to_contain_text("No photo is known around this face.", timeout=PATIENCE)


LONG = (
    "happiness",
    "a class whose name goes on and on",
    "Unbreakablenamesofclassesthatarelong",
    *(f"class {n}" for n in range(9)),
)
WIDE = """() => Math.max(document.documentElement.scrollWidth,
    ...[...document.querySelectorAll("dialog[open]")].map((one) => one.scrollWidth))"""


def test_a_small_phone_scrolls_down_alone(browser: Browser, tmp_path: Path) -> None:
    faces = FaceSet.from_arrays(np.zeros((30, 16, 16), np.uint8), classes=LONG, columns={"id": [f"f{n}" for n in range(30)]})
    pool = faces.save(tmp_path / "a_pool_with_a_name_that_is_longer_than_any_phone_is_wide")
    how = {"viewport": {"width": 320, "height": 568}, "has_touch": True, "is_mobile": True, "device_scale_factor": 2}
    with Store.create(tmp_path / "labels.db", LONG, "p", pool.info.checksum, 2) as store:
        store.ask([Question(f"f{n}") for n in range(30)])
        name = "Somebody with a long name"
        secret = store.accounts.add(name)
        with served(store, pool) as where, visit(browser, where, secret, how) as page:
            see(page, 0)
            assert page.evaluate("innerWidth") == 320
            page.context.set_offline(True)
            page.get_by_role("button", name=LONG[2], exact=True).tap()
            expect(page.get_by_role("alert")).to_be_visible(timeout=PATIENCE)
            assert page.evaluate(WIDE) <= 320
            page.context.set_offline(False)
            saved(page)
            for view in ("one", "grid"):
                if view == "grid":
                    page.get_by_role("link", name="Grid").click()
                    expect(page.locator(".tile")).to_have_count(24, timeout=PATIENCE)
                assert page.evaluate(WIDE) <= 320, view
                page.get_by_role("button", name="Help").tap()
                expect(page.locator("#help")).to_be_visible()
                assert page.evaluate(WIDE) <= 320, view
                page.locator("#help .close").tap()
            page.get_by_role("button", name="Sign out").tap()
            page.wait_for_function("() => document.getElementById('token') !== null")
            assert page.evaluate(WIDE) <= 320


class Proxy:
    """Shows a page below /label at a port of its own, with or without that path in what it asks the page for."""

    def __init__(self, page: str, strips: bool) -> None:
        inside = int(page.rstrip("/").rpartition(":")[2])

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if not self.path.startswith("/label/"):
                    self.send_response(404)
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                target = self.path.removeprefix("/label") if strips else self.path
                headers = {name: value for name, value in self.headers.items() if name.lower() != "connection"}
                with closing(http.client.HTTPConnection("127.0.0.1", inside, timeout=WAIT)) as connection:
                    connection.request(self.command, target, body, headers)
                    response = connection.getresponse()
                    content = response.read()
                with suppress(ConnectionError):  # the browser may have left
                    self.send_response(response.status)
                    for name, value in response.getheaders():
                        if name.lower() not in ("content-length", "transfer-encoding", "connection", "date"):
                            self.send_header(name, value)
                    self.send_header("Content-Length", str(len(content)))
                    self.end_headers()
                    self.wfile.write(content)

            do_POST = do_GET

            def log_message(self, *words: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever)
        self.where = f"http://127.0.0.1:{self._server.server_address[1]}/label/"

    def __enter__(self) -> "Proxy":
        self._thread.start()
        return self

    def __exit__(self, *given: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.mark.parametrize(("path", "strips"), [("", True), ("/label", True), ("/label", False)])
def test_the_page_works_below_a_path(browser: Browser, ready: PreparedPage, path: str, strips: bool) -> None:
    store, secret = ready.store, token(ready.store)
    with served(store, ready.pool, reached=NetworkSettings(limits=PATIENT, path=path), photos=ready.photos) as where:
        context = browser.new_context(**DESK)
        context.set_default_timeout(PATIENCE)
        with Proxy(where, strips) as proxy, closing(context):
            page = context.new_page()
            strange: list[str] = []
            page.on("request", lambda one: None if one.url.startswith(proxy.where) else strange.append(one.url))
            page.goto(f"{proxy.where}grid")
            sign_in(page, "ann", secret)
            see(page)
            assert page.url == proxy.where
            (cookie,) = context.cookies()
            assert cookie.get("path") == "/label"
            page.keyboard.press("2")
            page.keyboard.press("z")
            page.keyboard.press("3")
            saved(page)
            page.keyboard.press("p")
            expect(page.locator("#photo").get_by_role("img")).to_be_visible(timeout=PATIENCE)
            page.keyboard.press("p")
            page.get_by_role("link", name="Grid").click()
            expect(page.locator(".tile")).to_have_count(3, timeout=PATIENCE)
            page.get_by_role("link", name="One by one").click()
            see(page)
            page.get_by_role("button", name="Sign out").click()
            page.wait_for_function("() => document.activeElement?.id === 'name'")
            assert page.url == f"{proxy.where}sign-in"
            assert context.cookies() == []
            assert strange == []
    assert [(one.kind, one.label) for one in store.log()][-1] == ("label", 2)


def test_a_path_that_was_said(ready: PreparedPage) -> None:
    proxy = {"X-Forwarded-Proto": "https", "Host": "labels.example.org"}
    reached = replace(network_settings(["labels.example.org"], ["127.0.0.1"], path="/a/label/"), limits=PATIENT)
    assert reached.path == "/a/label"
    with served(ready.store, ready.pool, reached=reached) as where:
        moved = httpx.get(f"{where}a/label", timeout=WAIT)
        assert (moved.status_code, moved.headers["location"]) == (307, "label/")
        assert httpx.get(f"{where}a/label/sign-in", timeout=WAIT).status_code == 200
        assert httpx.get(f"{where}sign-in", timeout=WAIT).status_code == 200
        assert httpx.get(f"{where}a/labels/sign-in", timeout=WAIT).status_code == 404
        done = httpx.post(f"{where}sign-in", data={"name": "ann", "token": token(ready.store)}, headers=proxy, timeout=WAIT)
        cookie = done.headers["set-cookie"]
        assert cookie.startswith("__Secure-mien-token=")
        assert "Path=" not in cookie
    with listen("127.0.0.1", 0) as listening:
        assert page_address(listening, path="/a/label").endswith("/a/label/")
    for wrong in ("label", "/a b", "//evil.example.org", "/..", "/a/./b", "/a?b", "http://here/label", "/a\r\nX: y"):
        with pytest.raises(MienError, match="a path such as /label"):
            network_settings((), (), path=wrong)
