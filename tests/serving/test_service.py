"""What a service answers, refuses and survives."""

import asyncio
import io
import json
import shutil
from contextlib import suppress
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from threading import Event
from typing import Any

import httpx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pydantic import TypeAdapter

from mien import MienError, Recognizer
from mien.data.info import Info
from mien.http_server.client_limits import ClientLimits
from mien.http_server.network import NetworkSettings, listen
from mien.media.source_files import SourceFile
from mien.recognize.bundled import BUNDLED, name_of
from mien.recognize.predict_files import predict_files
from mien.serving import batches, held_bodies
from mien.serving.answers import EXAMPLE, Answer
from mien.serving.batches import Asked, BatchedReader, Ended, is_reading
from mien.serving.figures import BOUNDS, Figures
from mien.serving.serve import read_token, serve
from mien.serving.settings import ServiceSettings
from processes import WAIT
from stub_service import CARD, QUICK, TOKEN, Built, Raw, Slow, Stub, answering, built, picture, running

ANSWERS = TypeAdapter(Answer)


def require_error(response: httpx.Response, status: int, part: str = "") -> dict[str, str]:
    """What a refusal says, which has all its parts."""
    assert response.status_code == status, response.text
    found: dict[str, str] = response.json()
    assert found.keys() == {"expected", "found", "todo"}
    assert part in "; ".join(found.values()), found
    return found


def test_photos_are_answered_in_the_words_of_predict() -> None:
    async def ask() -> None:
        async with built() as one:
            alone = await one.client.post("/v1/read", content=picture(250))
            assert alone.status_code == 200
            (told,) = alone.json()["photos"]
            expected = Recognizer(answering(), CARD)(picture(250))[0].to_json()
            assert told == {"photo": "photo", "faces": [expected]}
            assert told["faces"][0]["top"] == "bright"
            several = [
                ("photos", (name, body)) for name, body in (("a.png", picture(5)), ("b", b"no"), ("c.gif", picture(250, "GIF")))
            ]
            answer = await one.client.post("/v1/read", files=several)
            assert answer.status_code == 200
            dark, broken, bright = answer.json()["photos"]
            assert [each["photo"] for each in (dark, broken, bright)] == ["a.png", "b", "c.gif"]
            assert (dark["faces"][0]["top"], bright["faces"][0]["top"]) == ("dark", "bright")
            assert broken == {"photo": "b", "fault": "no picture of a known format"}
            for text in (alone.text, answer.text, json.dumps(EXAMPLE)):
                ANSWERS.validate_json(text)
            assert one.figures.photos == 4
            assert (one.figures.faces, one.figures.unreadable) == (3, 1)
            assert (one.figures.waiting, one.figures.held) == (0, 0)

    asyncio.run(ask())


def test_odd_pictures_are_read_upright_and_broken_ones_are_told() -> None:
    turned, content = Image.Exif(), io.BytesIO()
    turned[0x0112] = 6  # to be shown turned to the right
    wide = np.zeros((8, 24), np.uint8)
    Image.fromarray(wide).save(content, "JPEG", exif=turned)
    moving = io.BytesIO()
    Image.new("L", (12, 10), 250).save(moving, "GIF", save_all=True, append_images=[Image.new("L", (12, 10), 0)])

    async def ask() -> None:
        async with built(pixels=10_000) as one:
            rotated = (await one.client.post("/v1/read", content=content.getvalue())).json()["photos"][0]
            assert rotated["faces"][0]["box"] == [0.0, 0.0, 8.0, 24.0]
            animated = (await one.client.post("/v1/read", content=moving.getvalue())).json()["photos"][0]
            assert animated["faces"][0]["top"] == "bright"
            for body in (picture(0, size=(101, 100)), picture()[:40], b"\0" * 1000, b"GIF89a", b"<svg/>"):
                answer = await one.client.post("/v1/read", content=body)
                assert answer.status_code == 422, body[:20]
                assert answer.json()["photos"][0]["fault"]
            empty = await one.client.post("/v1/read", files=[("photos", ("empty.jpg", b""))])
            assert empty.json()["photos"][0]["fault"]

    asyncio.run(ask())


def test_bad_requests_are_one_sentence() -> None:
    form = {"content-type": "multipart/form-data; boundary=x"}

    async def ask() -> None:
        async with built(bytes=4096, photos=2) as one:
            post = one.client.post
            require_error(await post("/v1/read"), 422, "an empty body")
            require_error(await post("/v1/read", content=b"x" * 5000), 413)
            require_error(await post("/v1/read", content=b"x", headers={"content-length": "9" * 30}), 413)
            require_error(await post("/v1/read", json={"photo": "/etc/passwd"}), 415, "application/json")
            require_error(await post("/v1/read", data={"photo": "/etc/passwd"}), 415, "Content-Type: image/jpeg")
            require_error(await post("/v1/read", content=b"--", headers={"content-type": "multipart/form-data"}), 422)
            require_error(await post("/v1/read", content=b"no form", headers=form), 422)
            nameless = b"--x\r\nContent-Disposition: form-data\r\n\r\nabc\r\n--x--\r\n"
            require_error(await post("/v1/read", content=nameless, headers=form), 422)
            field = b'--x\r\nContent-Disposition: form-data; name="photos"\r\n\r\n/etc/passwd\r\n--x--\r\n'
            require_error(await post("/v1/read", content=field, headers=form), 422, "as a file")
            whole = b'--x\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\n' + picture() + b"\r\n--x--\r\n"
            assert (await post("/v1/read", content=whole, headers=form)).status_code == 200
            for cut in (4, 8, 40):
                require_error(await post("/v1/read", content=whole[:-cut], headers=form), 400, "closing boundary")
            three = [("photos", (f"{number}.png", picture())) for number in range(3)]
            require_error(await post("/v1/read", files=three), 422, "at most 2 photos; more; send fewer at a time")
            require_error(await post("/v1/read?model=other", content=picture()), 409, "other")
            require_error(await post("/v1/read?model=stub&model=other", content=picture()), 409, "stub, other")
            require_error(await post("/v1/read?" + "model=a&" * 17, content=picture()), 422)
            assert (await post("/v1/read?model=stub", content=picture())).status_code == 200
            require_error(await one.client.get("/v1/read"), 405)
            require_error(await one.client.get("/etc/passwd"), 404)
            require_error(await post("/v1/read", content=picture(), headers={"host": "evil.example"}), 421)
            require_error(await post("/v1/read", content=picture(), headers={"origin": "http://evil.example"}), 403)
            assert (one.figures.waiting, one.figures.held) == (0, 0)

    asyncio.run(ask())


def test_a_token_is_asked_for_but_to_see_whether_it_is_up() -> None:
    async def ask() -> None:
        async with built(token=TOKEN) as one:
            assert (await one.client.get("/health")).json() == {"status": "ok"}
            for said in (b"", b"Bearer wrong", b"Basic " + TOKEN.encode(), b"Bearer \xff"):
                sent = {b"authorization": said} if said else {}
                for method, place in (("POST", "/v1/read"), ("GET", "/v1/model"), ("GET", "/metrics")):
                    refused = await one.client.request(method, place, headers=sent)
                    require_error(refused, 401)
                    assert refused.headers["WWW-Authenticate"] == "Bearer"
            right = {"Authorization": f"Bearer {TOKEN}"}
            assert (await one.client.post("/v1/read", content=picture(), headers=right)).status_code == 200
            before, wrong = one.figures.wrong_tokens, {"Authorization": "Bearer wrong"}
            statuses = [(await one.client.get("/metrics", headers=wrong)) for _ in range(QUICK.wrong_by_address)]
            assert {each.status_code for each in statuses[-before:]} == {429}
            assert statuses[0].status_code == 401
            assert statuses[-1].headers["Retry-After"] == "60"
            assert one.figures.wrong_tokens == before + len(statuses)
            card = (await one.client.get("/v1/model", headers=right)).json()
            assert card["name"] == "stub"
            assert card["card"]["classes"] == ["dark", "bright"]

    asyncio.run(ask())


@pytest.mark.parametrize("token", ["", TOKEN])
def test_it_describes_a_token_where_there_is_one(token: str) -> None:
    async def ask() -> None:
        async with built(token=token) as one:
            paths = (await one.client.get("/openapi.json")).json()["paths"]
            wanted = {place: operation.get("security") for place, each in paths.items() for operation in each.values()}
            bearer: list[dict[str, list[str]]] | None = [{"HTTPBearer": []}] if token else None
            assert wanted == {"/v1/read": bearer, "/v1/model": bearer, "/metrics": bearer, "/health": None}

    asyncio.run(ask())


def test_it_describes_itself_below_the_path_of_a_proxy() -> None:
    async def ask() -> None:
        async with built(path="/faces") as one:
            for place in ("/openapi.json", "/faces/openapi.json"):
                described = (await one.client.get(place)).json()
                assert described["servers"] == [{"url": "/faces"}]
            assert set(described["paths"]) == {"/v1/read", "/v1/model", "/metrics", "/health"}
            read = described["paths"]["/v1/read"]["post"]
            assert {"400", "401", "403", "409", "413", "415", "421", "422", "429", "431", "503"} < set(read["responses"])
            assert {"401", "429"} < set(described["paths"]["/v1/model"]["get"]["responses"])
            metrics = described["paths"]["/metrics"]["get"]["responses"]
            assert {"401", "429"} < set(metrics)
            assert (set(metrics["200"]["content"]), set(metrics["401"]["content"])) == ({"text/plain"}, {"application/json"})
            head = await one.client.head("/health")
            assert (head.status_code, head.content) == (200, b"")
            assert set(read["requestBody"]["content"]) == {"image/*", "application/octet-stream", "multipart/form-data"}
            assert read["responses"]["200"]["content"]["application/json"]["example"] == EXAMPLE
            assert (await one.client.post("/faces/v1/read", content=picture())).status_code == 200

    asyncio.run(ask())


async def begun(one: Built, count: int) -> None:
    """Until so many requests wait for their answer."""
    while one.figures.waiting < count:
        await asyncio.sleep(0)


def test_requests_that_wait_are_read_together_and_thousands_more_are_asked_to_come_again() -> None:
    async def ask() -> None:
        async with built(Stub(), waiting=20, batch=8, seconds=WAIT) as one:
            first = asyncio.create_task(one.client.post("/v1/read", content=picture(250)))
            await asyncio.to_thread(one.stub.begun.acquire)
            others = [asyncio.create_task(one.client.post("/v1/read", content=picture(8 * n))) for n in range(19)]
            await begun(one, 20)
            more = {"type": "http.request", "body": b"more", "more_body": False}
            refused = await asyncio.gather(*(Raw([more]).ask(one.app) for _ in range(10_000)))
            heads = [each.heard[0] for each in refused]
            assert {head["status"] for head in heads} == {429}
            assert all(1 <= int(dict(head["headers"])[b"retry-after"]) <= 60 for head in heads)
            assert one.figures.waiting == 20
            one.stub.go.set()
            answers = await asyncio.gather(first, *others)
            assert [each.status_code for each in answers] == [200] * 20
            assert one.stub.batches == [1, 8, 8, 3]
            shares = [each.json()["photos"][0]["faces"][0]["scores"]["bright"] for each in answers[1:]]
            assert shares == sorted(shares), "somebody got another one's answer"
            assert (await one.client.post("/v1/read", content=picture())).status_code == 200

    asyncio.run(ask())


def shot(value: int = 200, name: str = "photo") -> SourceFile:
    """A photo in memory."""
    return SourceFile(name, Path(), content=picture(value))


def test_who_waits_too_long_is_told_while_others_are_read() -> None:
    async def ask() -> None:
        async with built(Stub(), seconds=0.01) as one:
            first = one.reader.ask([shot()])
            await asyncio.to_thread(one.stub.begun.acquire)
            refused = await one.client.post("/v1/read", content=picture())
            require_error(refused, 503, "to begin within 0.01 s")
            assert int(refused.headers["Retry-After"]) >= 1
            assert (one.figures.waiting, one.figures.waiting_photos, one.figures.held) == (0, 0, 0)
            one.stub.go.set()
            assert await asyncio.wrap_future(first.answers)
            assert one.stub.batches == [1]

    asyncio.run(ask())


def test_who_leaves_is_not_read_and_its_bytes_count_while_they_are_in_memory() -> None:
    async def ask() -> None:
        async with built(Stub(), batch=1) as one:
            posts = [asyncio.create_task(one.client.post("/v1/read", content=picture())) for _ in range(2)]
            await asyncio.to_thread(one.stub.begun.acquire)
            await begun(one, 2)
            assert one.figures.held == 2 * len(picture())
            for post in posts:
                post.cancel()
            await asyncio.wait(posts)
            assert one.figures.waiting == 0
            assert one.figures.held == len(picture()), "one is being read, the other is gone"
            one.stub.go.set()
            while one.figures.held:
                await asyncio.sleep(0)
            assert one.stub.batches == [1]

    asyncio.run(ask())


def test_no_further_photo_of_a_request_is_read_once_its_client_left(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def one_by_one(recognizer: Any, files: Any, *words: Any, **more: Any) -> Any:
        for file in files:
            seen.append(file.name)
            asked.left = True
            yield from predict_files(recognizer, [file], *words, **more)

    monkeypatch.setattr(batches, "predict_files", one_by_one)
    asked = Asked([shot(name="a"), shot(name="b")])
    figures = Figures()
    reader = BatchedReader(Recognizer(answering(), CARD), ServiceSettings(), figures)
    reader._answer([asked])
    assert seen == ["a"]
    assert asked.answers.done()
    assert (figures.photos, figures.faces) == (1, 1)


def test_the_end_waits_for_no_photo_and_refuses_what_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "ENDING_SECONDS", 0.0)
    stub = Stub()
    with BatchedReader(Recognizer(stub, CARD), ServiceSettings(), Figures()) as reader:
        read = reader.ask([shot(), shot()])
        stub.begun.acquire()
        reader.ask([shot()]).answers.cancel()  # whoever asked has just given up
        waits = reader.ask([shot()])
    assert isinstance(waits.answers.exception(WAIT), Ended)
    assert isinstance(reader.ask([shot()]).answers.exception(WAIT), Ended)
    assert is_reading()
    stub.go.set()
    read.answers.exception(WAIT)


def test_a_client_that_leaves_in_the_middle_leaves_nothing_behind() -> None:
    async def ask() -> None:
        async with built() as one:
            part = {"type": "http.request", "body": b"half a photo", "more_body": True}
            await Raw([part]).ask(one.app)
            assert one.figures.held == 0
            whole = {"type": "http.request", "body": picture(), "more_body": False}
            await Raw([whole]).ask(one.app)
            while one.figures.held:
                await asyncio.sleep(0)
            assert one.figures.waiting == 0
            assert one.figures.requests[499] >= 1
            assert one.figures.requests.total() == 2

    asyncio.run(ask())


@pytest.mark.parametrize("stalled", [0.0, 1e9])
def test_uploads_that_stall_make_room_and_others_leave_half(monkeypatch: pytest.MonkeyPatch, stalled: float) -> None:
    monkeypatch.setattr(held_bodies, "STALLED_SECONDS", stalled)

    async def ask() -> None:
        async with built(held=4096) as one:
            slow = [Slow([{"type": "http.request", "body": b"x" * 1500, "more_body": True}]) for _ in range(2)]
            tasks = [asyncio.create_task(each.ask(one.app)) for each in slow]
            while not all(each.stalls.is_set() or each.heard for each in slow):
                await asyncio.sleep(0)
            content = picture() + b"x" * 1500
            answer = await one.client.post("/v1/read", content=content)
            other = await Raw([{"type": "http.request", "body": content, "more_body": False}], "192.0.2.7").ask(one.app)
            assert other.heard[0]["status"] in (200, 499)
            if stalled:  # the second from the same address came too late, since the first holds its half
                assert [bool(each.heard) for each in slow] == [False, True]
                require_error(answer, 429)
                assert int(answer.headers["Retry-After"]) >= stalled
            else:
                assert answer.status_code == 200
                assert slow[0].heard[0]["status"] == 429
            for each in slow:
                each.leave.set()
            await asyncio.gather(*tasks)
            while one.figures.held:
                await asyncio.sleep(0)

    asyncio.run(ask())


def test_more_bytes_than_fit_are_refused_and_let_go() -> None:
    async def ask() -> None:
        async with built(Stub(), held=10_000) as one:
            noise = np.random.default_rng(0).integers(0, 256, (80, 80), np.uint8)
            content = io.BytesIO()
            Image.fromarray(noise).save(content, "PNG")
            first = asyncio.create_task(one.client.post("/v1/read", content=content.getvalue()))
            await asyncio.to_thread(one.stub.begun.acquire)
            require_error(await one.client.post("/v1/read", content=content.getvalue()), 429)
            assert (await one.client.post("/v1/read", content=b"x" * 20_000)).status_code == 429
            one.stub.go.set()
            assert (await first).status_code == 200
            assert one.figures.held == 0

    asyncio.run(ask())


def test_a_model_that_fails_at_one_photo_spoils_no_other() -> None:
    class Failing(Stub):
        """Fails where a picture is quite dark."""

        def logits(self, card: Any, faces: Any, flip: bool) -> Any:
            """Raises RuntimeError."""
            if (faces.faces(np.arange(len(faces))).reshape(len(faces), -1).mean(axis=1) < 5).any():
                raise RuntimeError("a bug")
            return super().logits(card, faces, flip)

    stub = Failing()
    stub.go.set()

    async def ask() -> None:
        async with built(stub) as one:
            answer = await one.client.post("/v1/read", files=[("f", ("a", picture(250))), ("f", ("b", picture(0)))])
            good, bad = answer.json()["photos"]
            assert good["faces"][0]["top"] == "bright"
            assert "a bug" in bad["fault"]
            assert (one.figures.photos, one.figures.faces, one.figures.unreadable) == (2, 1, 1)

    asyncio.run(ask())


def test_the_pixels_of_a_request_are_limited_before_any_is_decoded() -> None:
    async def ask() -> None:
        async with built(pixels=10_000, request_pixels=15_000) as one:
            for count, status in ((1, 200), (2, 413)):
                form = [("f", ("a.png", picture(size=(100, 90))))] * count
                answer = await one.client.post("/v1/read", files=[*form, ("f", ("large", picture(size=(200, 200))))])
                assert answer.status_code == status, "a photo that is refused alone does not count"
            require_error(answer, 413, "18,000")
            assert len(one.stub.batches) == 1

    asyncio.run(ask())


def test_who_sends_a_small_photo_does_not_wait_for_a_large_one(monkeypatch: pytest.MonkeyPatch) -> None:
    go, begun, loops = Event(), asyncio.Event(), list[asyncio.AbstractEventLoop]()

    def reading(recognizer: Any, files: Any, *words: Any, **more: Any) -> Any:
        for file in files:
            if len(file.content) == len(large):
                loops[0].call_soon_threadsafe(begun.set)
                assert go.wait(WAIT)
            yield from predict_files(recognizer, [file], *words, **more)

    monkeypatch.setattr(batches, "predict_files", reading)
    large = picture(size=(2000, 2000))

    async def ask() -> None:
        loops.append(asyncio.get_running_loop())
        async with built() as one:
            waits = asyncio.create_task(one.client.post("/v1/read", content=large))
            await begun.wait()
            answer = await one.client.post("/v1/read", content=picture())
            assert (answer.status_code, waits.done()) == (200, False)
            go.set()
            assert len((await waits).json()["photos"][0]["faces"]) == 1
            assert one.figures.photos == 2

    asyncio.run(ask())


NAMES = st.text(st.characters(codec="utf-8"), max_size=20)
FRAGMENTS = (
    b"--x\r\n", b"--x", b"\r\n", b"\r\n--x--\r\n", b"/etc/passwd", picture(), picture()[:30],
    b'Content-Disposition: form-data; name="a"; filename="b"\r\n\r\n',
    b"Content-Disposition: form-data; name*=utf-16''%00; filename=\"\xff\\ud800\"\r\n\r\n",
    b"Content-Type: multipart/mixed; boundary=y\r\n", b"Content-Transfer-Encoding: base64\r\n",
)  # fmt: skip
PARTS = st.lists(st.one_of(st.binary(max_size=60), st.sampled_from(FRAGMENTS)), max_size=8)
FORM = "multipart/form-data"
KINDS = st.sampled_from([
    "", "image/jpeg", "image/*", "application/octet-stream", "application/json", "text/plain", "MULTIPART/FORM-DATA;BOUNDARY=x",
    FORM, f"{FORM}; boundary=x", f"{FORM}; boundary={'x' * 300}", f"{FORM}; boundary=x; charset=utf-7",
    f"{FORM}; boundary=x; charset=unicode_escape", f"{FORM}; boundary=x; charset=zlib",
])  # fmt: skip


def test_no_body_whatever_is_an_error_of_the_service() -> None:
    with asyncio.Runner() as loop:
        service = built(bytes=20_000)
        one = loop.run(service.__aenter__())
        try:

            @settings(max_examples=150)
            @given(PARTS, KINDS, NAMES)
            def ask(parts: list[bytes], kind: str, query: str) -> None:
                sent = one.client.post("/v1/read", content=b"".join(parts), headers={"content-type": kind}, params={"q": query})
                response = loop.run(sent)
                assert response.status_code in (200, 400, 413, 415, 422)
                assert b"root:" not in response.content
                response.json()

            ask()
            assert (one.figures.waiting, one.figures.held) == (0, 0)
        finally:
            loop.run(service.__aexit__(None, None, None))


def test_figures_add_up_and_only_grow() -> None:
    figures = Figures()
    for number, seconds in enumerate((0.001, 0.01, 0.3, 99.0)):
        figures.answered(200 + number % 2, seconds)
    lines = [line for line in figures.text().splitlines() if not line.startswith("#")]
    values = {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}
    buckets = [values[f'mien_request_seconds_bucket{{le="{bound}"}}'] for bound in (*BOUNDS, "+Inf")]
    assert buckets[0] == 2
    assert all(one <= other for one, other in pairwise(buckets))
    assert buckets[-1] == values["mien_request_seconds_count"] == 4
    assert values['mien_requests_total{status="200"}'] == values['mien_requests_total{status="201"}'] == 2
    assert figures.retry_after() == 1


def test_tokens_are_read_from_a_file_of_one_line(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    assert read_token(file) == TOKEN
    for content in (b"short", b"x" * 1001, b"two lines of\nmany letters", "ünïcödé of many letters".encode(), b""):
        file.write_bytes(content)
        with pytest.raises(MienError, match="a token of 16 to 1000 letters"):
            read_token(file)
    with pytest.raises(MienError, match="no such file"):
        read_token(tmp_path / "none")


def test_it_is_served_at_a_socket_with_limits() -> None:
    patient = ClientLimits(head_seconds=WAIT, body_seconds=WAIT, idle_seconds=WAIT, unread_seconds=WAIT)
    with running(Recognizer(answering(), CARD), NetworkSettings(limits=patient), bytes=4096) as where:
        with httpx.Client(base_url=where, timeout=WAIT) as client:
            assert client.get("health").json() == {"status": "ok"}
            assert client.post("v1/read", content=picture()).status_code == 200
            require_error(client.post("v1/read", content=b"x" * 5000), 413)
            require_error(client.get("health", headers={"host": "evil.example"}), 421)
            assert client.get("metrics").headers["content-type"].startswith("text/plain; version=0.0.4")
        with httpx.Client(base_url=where, timeout=WAIT) as client:
            with suppress(httpx.HTTPError):  # closed before its end, or after the refusal was read
                require_error(client.post("v1/read", content=(b"x" * 4096 for _ in range(256))), 413)
            assert client.get("health").status_code == 200


def test_models_of_features_are_refused_and_names_have_no_folder(tmp_path: Path) -> None:
    features = Recognizer(answering(), replace(CARD, faces=Info(CARD.classes, kind="features", channels=8)))
    with listen("127.0.0.1", 0) as listening, pytest.raises(MienError, match="a model of faces"):
        serve(features, listening)
    assert name_of(tmp_path / "mine") == "mine"
    assert name_of(None) == "model"


def test_a_model_whose_folder_is_changed_or_gone_answers_as_before(tmp_path: Path) -> None:
    shutil.copytree(BUNDLED["mien-s"], tmp_path / "mine")
    with running(Recognizer.load(tmp_path / "mine", "cpu")) as where, httpx.Client(base_url=where, timeout=WAIT) as client:
        before = client.get("v1/model").json()
        assert before["name"] == "mine"
        (tmp_path / "mine" / "model.safetensors").write_bytes(b"another")
        shutil.rmtree(tmp_path / "mine")
        assert client.post("v1/read?model=mine", content=picture(size=(40, 40))).status_code == 200
        assert client.get("v1/model").json() == before
