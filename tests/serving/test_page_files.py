"""The page's files: which there are, how they are sent, and what is said where there is none."""

import asyncio
import errno
import gzip
import json
import re
from dataclasses import replace
from pathlib import Path

import httpx
import numpy as np
import pytest
from page_visits import skip_without_runtime

from conftest import Command, bright_faces, face, refused
from mien import MienError, Recognizer
from mien.browser import vendored
from mien.browser.network_files import network_files
from mien.browser.page_files import CONTENT, content_policy, page_files
from mien.browser.page_settings import page_settings
from mien.browser.static_page import export_page
from mien.faces.crop import CropSpec
from mien.http_server.request_checks import HEADERS
from mien.onnx_file import open_session
from mien.recognize.bundled import BUNDLED
from mien.recognize.model_card import read_card
from mien.recognize.model_folder import WEIGHTS
from mien.serving.page import WITH_TOKEN, page_of
from moving import untrained_recognizer
from processes import WAIT
from stub_service import CARD, TOKEN, built, running


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    """The model in the box."""
    return Recognizer.load("mien-s", "cpu")


def test_files_are_sent_compressed_and_with_headers_of_their_own(recognizer: Recognizer) -> None:
    skip_without_runtime()
    with running(recognizer) as where, httpx.Client(base_url=where, timeout=WAIT) as client:
        page = client.get("")
        assert page.headers["content-security-policy"] == content_policy(httpx.URL(where).netloc.decode())
        assert page.headers["permissions-policy"].startswith("camera=(self)")
        assert page.headers["cross-origin-embedder-policy"] == "require-corp"
        assert page.headers["x-content-type-options"] == "nosniff"
        assert f'content="{CONTENT}"' in page.text
        links = re.findall(r'(?:src|href)="([^"]+)"', page.text)
        assert links
        assert all(client.get(link).status_code == 200 for link in links)
        tags = set[str]()
        for accepted, coding in (
            *(("gzip, br;q=0.9", "br"), ("gzip", "gzip"), ("identity", None), ("*", "br")),
            *(("br;q=0, gzip", "gzip"), ("gzip;q=0.0, BR ; Q=0, *", None)),
        ):
            program = client.head("app/vendor/ort-wasm-simd-threaded.wasm", headers={"Accept-Encoding": accepted})
            assert program.headers.get("content-encoding") == coding
            assert program.headers["content-type"] == "application/wasm", "or it is not compiled while it comes"
            tags.add(program.headers["etag"])
        assert len(tags) == 3, "one for each coding"
        known = {"If-None-Match": f'"other", W/{client.head("app/model/onet.onnx").headers["etag"]}'}
        again = client.get("app/model/onet.onnx", headers=known)
        assert (again.status_code, again.content) == (304, b"")
        assert client.get("app/model/onet.onnx", headers=known | {"Accept-Encoding": "identity"}).status_code == 200
        for name in ("app/", "app/../app.py", "app/nothing.js", "app/%2e%2e/serve.py"):
            gone = client.get(name)
            assert (gone.status_code, set(gone.json())) == (404, {"expected", "found", "todo"})
        other = client.get("health")
        assert {name: other.headers[name] for name in HEADERS} == HEADERS, "others are as before"
        assert "/" not in client.get("openapi.json").json()["paths"]


def test_the_policy_lets_a_page_ask_for_its_own_files_alone() -> None:
    def asked(*where: str) -> str:
        (found,) = (one for one in content_policy(*where).split("; ") if one.startswith("connect-src"))
        return found.removeprefix("connect-src ")

    assert asked("127.0.0.1:8080") == "127.0.0.1:8080/app/"
    assert asked("my-photos.example.org", "/faces") == "my-photos.example.org/app/ my-photos.example.org/faces/app/"
    for host in ("", "[::1]:8080", "10.0.0.7", "a b", "a;b", "a,b", "*", "localhost:*", "a/b", "localhost\n"):
        assert asked(host) == "'self'", "what a policy cannot name, or may be no host"
    assert content_policy("") == f"{CONTENT}; frame-ancestors 'none'"


def test_without_a_page_the_service_says_why_and_answers(recognizer: Recognizer, tmp_path: Path) -> None:
    assert page_of(recognizer, TOKEN) == WITH_TOKEN
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vendored, "FOLDER", tmp_path)
        said = page_of(recognizer, "")
        assert "onnxruntime-web" in str(said)
        with refused("onnxruntime-web", "make web"):
            export_page("mien-s", tmp_path / "page")
    assert not (tmp_path / "page").exists()

    async def ask() -> list[httpx.Response]:
        async with built() as service:
            return [await service.client.get(path) for path in ("/", "/app/page.js", "/health")]

    page, script, health = asyncio.run(ask())
    assert (page.status_code, script.status_code, health.status_code) == (503, 404, 200)
    assert "There is no page here" in page.text


def test_models_that_the_page_cannot_show_are_refused() -> None:
    card = replace(CARD, faces=replace(CARD.faces, alignment="eyes; haar; largest"))
    with refused("found by mtcnn", "haar"):
        page_settings(card, CropSpec("box", "haar"), "mine")
    with refused("eyes, box, whole", "outline"):
        page_settings(card, CropSpec("outline", "mtcnn"), "mine")
    with refused("a model of faces"):
        network_files(Path("nowhere"), replace(CARD, faces=replace(CARD.faces, kind="features")))
    told = page_settings(CARD, CropSpec("whole", "haar"), "mine")
    assert told["align"] == {"way": "whole"}
    assert len(set(told["colors"])) == len(CARD.classes)


def test_a_run_that_was_not_exported_is_shown_in_single_precision(tmp_path: Path) -> None:
    folder = untrained_recognizer(tmp_path / "run", bright_faces())
    card = read_card(folder)
    graph, weights = network_files(folder, card)
    shown = np.stack([face(seed, 16) for seed in range(3)])
    made = open_session(graph, 1, {WEIGHTS: weights}).run(None, {"faces": shown})[0]
    np.testing.assert_allclose(made, Recognizer.load(folder, "cpu").logits(shown), atol=1e-4)


def test_export_writes_the_page_once(mien: Command, tmp_path: Path) -> None:
    skip_without_runtime()
    out = tmp_path / "page"
    done = mien("export", "mien-s", out, "--web", "--json")
    assert done.code == 0, done.err
    told = json.loads(done.out)
    assert told["bytes"] == sum(file.stat().st_size for file in out.rglob("*") if file.is_file())
    card = read_card(BUNDLED["mien-s"])
    files = page_files(card, Recognizer.load("mien-s", "cpu").crop_spec, network_files(BUNDLED["mien-s"], card), "mien-s")
    assert {file.relative_to(out).as_posix() for file in out.rglob("*") if file.is_file()} == set(files)
    assert all((out / name).read_bytes() == file.content for name, file in files.items())
    assert all(gzip.decompress(file.packed["gzip"]) == file.content for file in files.values() if "gzip" in file.packed)
    assert [name for name, file in files.items() if name.endswith("safetensors") and file.packed] == []
    assert b"MIT License" in (out / "app" / "vendor" / "LICENSE").read_bytes()
    assert "a new or an empty folder" in mien("export", "mien-s", out, "--web").err
    assert "Invalid value for --web" in mien("export", "mien-s", tmp_path / "other", "--web", "--one-file").err


def test_a_page_that_cannot_be_written_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    skip_without_runtime()
    whole = Path.write_bytes

    def write(path: Path, content: bytes) -> int:
        if path.suffix == ".safetensors":
            raise OSError(errno.ENOSPC, "no space left")
        return whole(path, content)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", write)
        with refused(str(tmp_path / "page"), "no space left"):
            export_page("mien-s", tmp_path / "page")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "page").mkdir()
    export_page("mien-s", tmp_path / "page")
    assert [one.name for one in tmp_path.iterdir()] == ["page"]
    assert (tmp_path / "page" / "index.html").is_file()


def test_scripts_stay_short() -> None:
    for script in (Path(vendored.__file__).parent / "page").glob("*.js"):
        lines = script.read_text("utf-8").splitlines()
        assert len(lines) < 250, script
        assert max(map(len, lines)) <= 130, script


def test_missing_files_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vendored, "FOLDER", tmp_path)
    with pytest.raises(MienError, match=r"no ort\.wasm\.min\.mjs"):
        vendored.require_vendored()
