"""The page over HTTP: who may do what, what is written, and what cannot be had through it."""

import hashlib
import html
import io
import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import httpx
import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import given as drawn
from hypothesis import strategies as st
from PIL import Image
from served_page import PATIENT, ask_raw, asked_store, error_of, given, sent, served, signed_in, undoing, write_pool

from mien import FaceSet, MienError
from mien.http_server.network import NetworkSettings
from mien.labeling.page import app, responses
from mien.labeling.page.new_questions import GIVEN
from mien.labeling.store.records import Question, Reply
from mien.labeling.store.store import Store
from processes import WAIT

QUESTIONS = (
    Question("f0", model="m1", guess=2),
    Question("f1", gold=1),
    Question("f2", model=GIVEN, guess=0),
    *(Question(f"f{n}") for n in range(3, 10)),
)
"""Two faces of the pool are not asked about."""


QUICK = NetworkSettings(limits=replace(PATIENT, wrong_seconds=0.0))


@dataclass(frozen=True)
class Place:
    """A page, its store and two people."""

    where: str
    store: Store
    pool: FaceSet
    tokens: dict[str, str]
    ann: httpx.Client
    bob: httpx.Client


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    pool = write_pool(tmp_path / "pool")
    with asked_store(str(tmp_path / "labels.db"), pool, QUESTIONS) as store:
        tokens = {name: store.accounts.add(name) for name in ("ann", "bob")}
        with served(store, pool, reached=QUICK) as where:
            people = [signed_in(where, name, token) for name, token in tokens.items()]
            with people[0] as ann, people[1] as bob:
                yield Place(where, store, pool, tokens, ann, bob)


def said(store: Store) -> list[tuple[str, str, str, int | None]]:
    """The log."""
    return [(entry.annotator, entry.face, entry.kind, entry.label) for entry in store.log()]


def test_who_signs_in_gets_a_cookie_that_nothing_else_can_use(place: Place) -> None:
    with httpx.Client(base_url=place.where, timeout=WAIT) as client:
        assert client.get("/").headers["location"] == "sign-in"
        assert client.get("/grid").headers["location"] == "sign-in"
        form = client.get("/sign-in")
        assert form.status_code == 200
        assert '<label for="token">' in form.text
        done = client.post("/sign-in", data={"name": " ann ", "token": place.tokens["ann"]})
        assert (done.status_code, done.headers["location"]) == (303, "./")
        cookie = done.headers["set-cookie"]
        assert {"HttpOnly", "SameSite=strict"} <= set(cookie.split("; "))
        assert "Secure" not in cookie
        page = client.get("/")
        assert page.status_code == 200
        assert place.tokens["ann"] not in page.text
        assert "ann" in page.text
        out = client.post("/sign-out")
        assert out.headers["location"] == "sign-in"
        assert client.get("/").status_code == 303


@pytest.mark.parametrize("name", ["", "bob", "Ann", '"><b id="x">'])
def test_a_wrong_token_is_a_clear_page(place: Place, name: str) -> None:
    with httpx.Client(base_url=place.where, timeout=WAIT) as client:
        for token in ("wrong", "", place.tokens["ann"], "\udc80".encode("utf-8", "surrogatepass").decode("latin-1")):
            done = client.post("/sign-in", data={"name": name, "token": token})
            assert done.status_code == 401
            assert "do not belong together" in done.text
            assert f'value="{html.escape(name, quote=True).replace("&quot;", "&#34;")}"' in done.text, "the name stays there"
            assert "set-cookie" not in done.headers
        assert client.get("/").status_code == 303


def test_nothing_without_a_token(place: Place) -> None:
    for cookies in ({}, {next(iter(place.ann.cookies)): "wrong"}):
        with httpx.Client(base_url=place.where, cookies=cookies, timeout=WAIT) as client:
            answers = [
                client.get("/questions"),
                client.get("/faces/0"),
                client.post("/answers", json=sent(place.store, given(0))),
                client.post("/undo", json=undoing(place.store, "k")),
            ]
        for response in answers:
            assert response.status_code == 401
            assert error_of(response)["todo"] == "sign in"
    assert not place.store.log()


def test_answers_are_written_once(place: Place) -> None:
    asked = place.ann.get("/questions?count=3").json()
    assert [one["number"] for one in asked["questions"]] == [0, 1, 2]
    assert (asked["progress"]["questions"], asked["progress"]["remaining"], asked["progress"]["yours"]) == (10, 10, 0)
    body = sent(place.store, given(0, 2), given(1, None, kind="unsure"), given(2, None, kind="not_a_face"))
    for _ in range(3):
        assert [one["number"] for one in place.ann.post("/answers", json=body).json()["answers"]] == [0, 1, 2]
    assert said(place.store) == [
        ("ann", "f0", "label", 2),
        ("ann", "f1", "unsure", None),
        ("ann", "f2", "not_a_face", None),
    ]
    assert place.store.log()[0].model == "m1"
    other = place.ann.post("/answers", json=sent(place.store, given(0, 1)))
    assert other.status_code == 409
    assert "key 0" in error_of(other)["found"]
    assert [one["number"] for one in place.ann.get("/questions?count=2").json()["questions"]] == [3, 4]
    assert len(place.store.log()) == 3


def test_two_people_on_one_face_are_both_kept(place: Place) -> None:
    for person in (place.ann, place.bob):
        assert person.post("/answers", json=sent(place.store, given(5, 1, "same key"))).status_code == 200
    assert said(place.store) == [("ann", "f5", "label", 1), ("bob", "f5", "label", 1)]


def test_the_last_answer_is_taken_back(place: Place) -> None:
    nothing = place.ann.post("/undo", json=undoing(place.store, "u0"))
    assert (nothing.status_code, error_of(nothing)["expected"]) == (409, "an answer to take back")
    place.ann.post("/answers", json=sent(place.store, given(0), given(4)))
    place.bob.post("/answers", json=sent(place.store, given(6)))
    for _ in range(2):
        assert place.ann.post("/undo", json=undoing(place.store, "u1")).json() == {
            "question": {"number": 4, "guess": None, "photo": False}
        }
    assert [one.kind for one in place.store.log()] == ["label", "label", "label", "undo"]
    assert place.store.log()[-1].undoes == "key 4"
    assert 4 in [one["number"] for one in place.ann.get("/questions").json()["questions"]]


def test_the_answer_that_is_meant_is_taken_back(place: Place) -> None:
    place.ann.post("/answers", json=sent(place.store, given(0), given(4), given(6)))
    place.bob.post("/answers", json=sent(place.store, given(5)))
    for _ in range(2):
        undone = place.ann.post("/undo", json=undoing(place.store, "u1", "key 4"))
        assert undone.json() == {"question": {"number": 4, "guess": None, "photo": False}}
    for key, undoes, found in (
        ("u2", "key 4", "taken back already"),
        ("u2", "key 5", "none of key"),
        ("u1", "key 6", "another undo"),
    ):
        refused = place.ann.post("/undo", json=undoing(place.store, key, undoes))
        assert refused.status_code == 409
        assert found in error_of(refused)["found"]
    assert [(one.key, one.undoes) for one in place.store.log()[4:]] == [("u1", "key 4")]


def test_requests_about_another_store_are_refused(place: Place, tmp_path: Path) -> None:
    place.ann.post("/answers", json=sent(place.store, given(0)))
    with asked_store(str(tmp_path / "other.db"), place.pool) as other:
        assert other.id != place.store.id
        assert place.ann.get("/questions").json()["store"] == place.store.id
        assert all(f'data-store="{place.store.id}"' in place.ann.get(page).text for page in ("/", "/grid"))
        for response in (
            place.ann.post("/answers", json=sent(other, given(1))),
            place.ann.post("/answers", json=sent(other, given(99))),
            place.ann.post("/undo", json=undoing(other, "u")),
            place.ann.get(f"/faces/0?store={other.id}"),
        ):
            assert response.status_code == 409
            assert response.headers["Mien-Store"] == place.store.id
            assert error_of(response)["expected"] == "the store that this page was opened for"
    assert said(place.store) == [("ann", "f0", "label", 0)]
    assert place.ann.get(f"/faces/0?store={place.store.id}").status_code == 200
    other_key = place.ann.post("/answers", json=sent(place.store, given(1, key="key 0")))
    assert (other_key.status_code, "Mien-Store" in other_key.headers) == (409, False)


def test_a_store_that_became_newer_takes_answers_again_later(place: Place, tmp_path: Path) -> None:
    def become(version: int) -> None:
        with closing(sqlite3.connect(tmp_path / "labels.db")) as connection, connection:
            connection.execute("UPDATE mien_store SET version = ?", (version,))

    become(99)
    for response in (
        place.ann.post("/answers", json=sent(place.store, given(0), given(1))),
        place.ann.post("/undo", json=undoing(place.store, "u")),
        place.ann.get("/questions"),
    ):
        assert response.status_code == 503
        assert error_of(response)["found"] == "version 99, which is newer"
    become(2)
    assert place.ann.post("/answers", json=sent(place.store, given(0), given(1))).status_code == 200
    assert len(place.store.log()) == 2


def test_several_servers_of_one_store_know_what_any_of_them_asked(place: Place) -> None:
    with served(place.store, place.pool) as where, signed_in(where, "bob", place.tokens["bob"]) as bob:
        place.store.ask([Question("f11", round=1)])
        assert place.ann.get("/questions?count=60").json()["questions"][-1]["number"] == 10
        assert bob.post("/answers", json=sent(place.store, given(0), given(10, 1))).status_code == 200
        assert said(place.store) == [("bob", "f0", "label", 0), ("bob", "f11", "label", 1)]
        place.store.ask([Question("f10", round=2)])
        assert [bob.get(f"/faces/{number}").status_code for number in (11, 12)] == [200, 404]


BAD: list[tuple[int, Any, str]] = [
    (404, {"answers": [given(10)]}, "nothing"),
    (404, {"answers": [given(-1)]}, "nothing"),
    (404, {"answers": [given(0), given(10**30)]}, "nothing"),
    (422, {"answers": [given(0, 3)]}, "another"),
    (422, {"answers": [given(0), given(1, -1)]}, "another"),
    (422, {"answers": [given(0, None)]}, "another"),
    (422, {"answers": [given(0, 1, kind="unsure")]}, "another"),
    (422, {"answers": [given(0, kind="undo")]}, "'undo'"),
    (422, {"answers": [given(0) | {"key": ""}]}, "''"),
    (422, {"answers": [given(0) | {"key": "k" * 81}]}, "kkk"),
    (422, {"answers": [given(0) | {"face": "f0"}]}, "'f0'"),
    (422, {"answers": [given(0) | {"number": "zero"}]}, "'zero'"),
    (422, {"answers": []}, "[]"),
    (422, {"answers": [given(n % 9, key=str(n)) for n in range(101)]}, "number"),
    (422, {"answers": [given(0)], "store": None}, "None"),
    (422, {}, "{}"),
    (422, [], "[]"),
    (422, None, "None"),
    (409, {"answers": [given(0, key="a\0b")]}, "a\\x00b"),
    (409, {"answers": [given(0), given(1, key="key 0")]}, "another answer of key"),
]


@pytest.mark.parametrize(("status", "body", "found"), BAD)
def test_what_cannot_be_an_answer_is_refused_and_none_of_it_kept(place: Place, status: int, body: Any, found: str) -> None:
    if isinstance(body, dict) and body:
        body = {"store": place.store.id} | body
    response = place.ann.post("/answers", json=body)
    assert response.status_code == status, response.text
    assert found in error_of(response)["found"]
    assert not place.store.log()


@pytest.mark.parametrize(
    "body", [b"", b"{", b"\xff\xfe", b"[" * 5000, b'{"answers": [NaN]}', b'{"answers": [{"number": 1e999}]}']
)
def test_malformed_json_is_refused(place: Place, body: bytes) -> None:
    for address in ("/answers", "/undo"):
        response = place.ann.post(address, content=body, headers={"Content-Type": "application/json"})
        assert response.status_code in (400, 422)
        error_of(response)
    assert not place.store.log()


def test_too_much_is_not_read(place: Place) -> None:
    long = b'{"answers": ' + b" " * 70_000 + b"[]}"
    for content in (long, iter([long[:40_000], long[40_000:]])):
        response = place.ann.post("/answers", content=content, headers={"Content-Type": "application/json"})
        assert response.status_code == 413
        assert "65536 bytes" in error_of(response)["expected"]
    for count in ("0", "61", "x", "-1"):
        assert place.ann.get(f"/questions?count={count}").status_code == 422
    assert place.ann.put("/answers", content=b"{}").status_code == 405
    form = place.ann.post("/answers", data={"answers": "[]"})
    assert form.status_code == 422


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["answers", "store", "number", "kind", "label", "key"]), inner)
    ),
    max_leaves=10,
)


@settings(
    derandomize=True,
    deadline=None,
    max_examples=40,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@drawn(body=ANYTHING, wrapped=st.booleans())
def test_no_json_breaks_it(place: Place, body: Any, wrapped: bool) -> None:
    response = place.ann.post("/answers", json=sent(place.store, body) if wrapped else body)
    assert response.status_code in (404, 409, 422)
    error_of(response)
    assert not place.store.log()


@pytest.mark.parametrize("guess", ["after", "before", "never"])
def test_the_guess_is_seen_when_it_may_be(tmp_path: Path, guess: Any) -> None:
    pool = write_pool(tmp_path / "pool")
    model, label = {"label": 2, "by": "model"}, {"label": 0, "by": "label"}
    with asked_store(str(tmp_path / "labels.db"), pool, QUESTIONS) as store:
        token = store.accounts.add("ann")
        with served(store, pool, guess) as where, signed_in(where, "ann", token) as ann:
            asked = ann.get("/questions?count=4").json()["questions"]
            assert [one["guess"] for one in asked] == ([model, None, label, None] if guess == "before" else [None] * 4)
            assert {tuple(one) for one in asked} == {("number", "guess", "photo")}, "gold questions look like any other"
            told = ann.post("/answers", json=sent(store, given(0), given(1), given(2))).json()["answers"]
            assert [one["guess"] for one in told] == ([None] * 3 if guess == "never" else [model, None, label])
            undone = ann.post("/undo", json=undoing(store, "u")).json()["question"]
            assert undone == {"number": 2, "guess": label if guess == "before" else None, "photo": False}


def test_a_face_is_the_pools(place: Place) -> None:
    response = place.ann.get("/faces/7")
    assert response.headers["content-type"] == "image/png"
    assert response.headers["cache-control"] == "no-store"
    with Image.open(io.BytesIO(response.content)) as picture:
        assert np.array_equal(np.asarray(picture), place.pool.faces([7])[0])
    assert place.ann.get("/faces/7?2").content == response.content


def test_no_path_can_be_read(place: Place, tmp_path: Path) -> None:
    """Neither files nor faces that nobody is asked about, whichever way an address is written."""
    secret = "not for the page"
    (tmp_path / "secret.txt").write_text(secret)
    cookie = "; ".join(f"{name}={value}" for name, value in place.ann.cookies.items())
    files = ["secret.txt", "labels.db", "pool/table.parquet", "../../../../../../etc/passwd", "etc/passwd", "app.py"]
    places = ["/faces/", "/static/", "/", "/faces/0/", "/static/page.css/", "//"]
    ups = [
        "",
        "../",
        "../" * 8,
        "..%2f" * 8,
        "%2e%2e/" * 8,
        "%2e%2e%2f" * 8,
        "..%252f" * 8,
        "..\\",
        "%5c..%5c",
        ".%00/",
        "....//" * 4,
    ]
    targets = [start + up + file for start in places for up in ups for file in files]
    targets += [f"/{kind}/{quote(str(tmp_path / 'secret.txt'), safe='')}" for kind in ("faces", "static")]
    targets += [f"/{kind}/{tmp_path}/secret.txt" for kind in ("faces", "static")]
    targets += [
        f"/faces/{number}" for number in ("10", "11", "-1", "f0", "+1", "1.0", "1e0", " 1", "%201", "²", "0x1", "9" * 400)
    ]
    targets += ["/faces/", "/faces", "/static/", "/static", "/static/.", "/static/..", "/docs", "/redoc", "/openapi.json"]
    targets = [quote(target, safe="/%\\") for target in targets]
    kept = [target for target in targets if target not in ("/static/page.css/",)]
    assert len(kept) > 400
    for target in kept:
        heard = ask_raw(place.where, target, cookie)
        assert heard.status == 404, target
        assert set(json.loads(heard.body)) == {"expected", "found", "todo"}, target
        assert secret.encode() not in heard.body
    assert ask_raw(place.where, "/faces/9", cookie).status == 200
    assert ask_raw(place.where, "/static/page.css", cookie).status == 200


def test_ids_may_be_anything(tmp_path: Path) -> None:
    names = ["a/b c.png", "../x", "Zoë\u0301/😀.png", "/etc/passwd"]
    pool = write_pool(tmp_path / "pool", 4, ids=names)
    with asked_store(str(tmp_path / "labels.db"), pool) as store:
        token = store.accounts.add("ann")
        with served(store, pool) as where, signed_in(where, "ann", token) as ann:
            for number in range(4):
                assert ann.get(f"/faces/{number}").status_code == 200
                assert ann.post("/answers", json=sent(store, given(number))).status_code == 200
        assert [entry.face for entry in store.log()] == names


def test_it_answers_to_its_names_alone(place: Place, tmp_path: Path) -> None:
    port = place.where.rstrip("/").rpartition(":")[2]
    for name in (f"evil.example:{port}", "evil.example", "127.0.0.1.evil.example", "", "[", "localhost@evil.example:1"):
        response = place.ann.get("/questions", headers={"Host": name})
        assert response.status_code == 421, name
        assert "--name" in error_of(response)["todo"]
    for name in (f"localhost:{port}", f"127.0.0.1:{port}", f"[::1]:{port}", f"LOCALHOST:{port}"):
        assert place.ann.get("/questions", headers={"Host": name}).status_code == 200, name
    with served(place.store, place.pool, reached=NetworkSettings(names=["labels.example.org"])) as where:
        assert httpx.get(where, headers={"Host": "labels.example.org"}, timeout=WAIT).status_code == 303
        assert httpx.get(where, headers={"Host": "evil.example"}, timeout=WAIT).status_code == 421


def test_other_sites_cannot_send_for_somebody(place: Place) -> None:
    own = place.where.rstrip("/")
    body = sent(place.store, given(0))
    for headers in (
        {"Origin": "http://evil.example"},
        {"Origin": own.replace("http://", "http://evil.example/")},
        {"Origin": f"{own}.evil.example"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site", "Origin": own},
    ):
        for address in ("/answers", "/sign-out", "/sign-in", "/undo"):
            response = place.ann.post(address, json=body, headers=headers)
            assert response.status_code == 403, (address, headers)
            assert error_of(response)["expected"] == "a request from this address's own pages"
    assert not place.store.log()
    for headers in ({"Origin": own, "Sec-Fetch-Site": "same-origin"}, {"Origin": own.replace("http:", "https:")}):
        assert place.ann.post("/answers", json=body, headers=headers).status_code == 200


def test_every_answer_has_the_headers_that_keep_it(place: Place) -> None:
    for response in (
        place.ann.get("/"),
        place.ann.get("/grid"),
        place.ann.get("/sign-in"),
        place.ann.get("/questions"),
        place.ann.get("/faces/0"),
        place.ann.get("/static/page.css"),
        place.ann.get("/nothing"),
        place.ann.get("/", headers={"Host": "evil.example"}),
        place.ann.post("/answers", content=b"{"),
        place.ann.post("/answers", content=b" " * 70_000),
    ):
        headers = response.headers
        assert headers["content-security-policy"].startswith("default-src 'self';")
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert headers["cache-control"] == ("no-cache" if "/static/" in str(response.url) else "no-store")
        assert "server" not in headers


def test_pages_are_small_and_need_nothing_from_elsewhere(place: Place) -> None:
    weight = 0
    for address in ("/", "/grid", "/sign-in"):
        page = place.ann.get(address).text
        assert not re.search(r"<script(?![^>]*\ssrc=)|\son\w+=|\sstyle=|https?://", page)
        for name in re.findall(r'(?:src|href)="(/static/[^"]+)"', page):
            response = place.ann.get(name)
            assert response.status_code == 200
            weight += len(response.content)
        weight += len(page)
    assert weight < 50_000
    scripts = [name for name in app._static() if name.endswith(".js")]
    assert len(scripts) >= 4
    for name in scripts:
        text = place.ann.get(f"/static/{name}").text
        assert "http" not in text
        assert "innerHTML" not in text
        for other in re.findall(r'from "\./([^"]+)"', text):
            assert place.ann.get(f"/static/{other}").headers["content-type"].startswith("text/javascript")


def test_names_are_shown_as_they_are(tmp_path: Path) -> None:
    """What is in a pool's or a person's name or a class is text, never markup."""
    pool, evil = write_pool(tmp_path / "pool"), "<script>alert('&\"')</script>"
    with Store.create(tmp_path / "labels.db", (evil, "b"), evil, pool.info.checksum) as store:
        token = store.accounts.add(evil)
        with served(store, pool) as where, signed_in(where, evil, token) as person:
            for address in ("/", "/grid"):
                page = person.get(address).text
                assert "<script>" not in page
                found = re.search(r'data-classes="([^"]*)"', page)
                assert found
                assert json.loads(html.unescape(found[1])) == [evil, "b"]


def test_questions_that_come_later_are_asked_too(place: Place) -> None:
    place.ann.post("/answers", json=sent(place.store, *(given(n) for n in range(10))))
    assert place.ann.get("/questions").json()["questions"] == []
    assert place.ann.get("/faces/10").status_code == 404
    place.store.ask([Question("f11", round=1)])
    assert place.ann.get("/questions").json()["questions"] == [{"number": 10, "guess": None, "photo": False}]
    assert place.ann.get("/faces/10").status_code == 200
    assert place.ann.post("/answers", json=sent(place.store, given(10, 2))).status_code == 200
    assert said(place.store)[-1] == ("ann", "f11", "label", 2)


def test_a_store_about_other_faces_is_refused(place: Place, tmp_path: Path) -> None:
    other = write_pool(tmp_path / "other", 4)
    with pytest.raises(MienError, match=r"questions about faces of this pool; found 'f4'"):
        app.build(place.store, other)


def test_what_the_database_cannot_take_may_be_sent_again(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object, undoes: str = "") -> None:
        try:
            raise OSError("no space")
        except OSError as error:
            raise MienError("labels that can be written", "disk full", "free space, then send it again") from error

    with monkeypatch.context() as patched:
        patched.setattr(place.store, "append", fail)
        patched.setattr(place.store, "undo", fail)
        for address, body in (("/answers", sent(place.store, given(0, 1))), ("/undo", undoing(place.store, "u"))):
            response = place.ann.post(address, json=body)
            assert response.status_code == 503
            assert error_of(response)["found"] == "a full disk"
    assert place.ann.post("/answers", json=sent(place.store, given(0, 1))).status_code == 200
    assert said(place.store) == [("ann", "f0", "label", 1)]


def test_progress_says_nothing_of_others_but_sums(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pool, moments = write_pool(tmp_path / "pool", 6), iter((100.0, 100.25, 100.5))
    monkeypatch.setattr(responses, "time", SimpleNamespace(monotonic=lambda: next(moments)))
    with asked_store(str(tmp_path / "labels.db"), pool, per_face=2) as store:
        tokens = {name: store.accounts.add(name) for name in ("ann", "bob")}
        for name, answers in (("ann", (0, 1, 2)), ("bob", (0, 1, 1))):
            for number, label in enumerate(answers):
                store.answer(name, Reply(f"f{number}", label=label))
        with served(store, pool) as where, signed_in(where, "ann", tokens["ann"]) as ann:
            found = ann.get("/questions").json()["progress"]
    assert found.pop("age") == 0.5, "from before it was counted until it is told"
    alpha = found.pop("alpha")
    assert alpha == pytest.approx(store_alpha(), abs=1e-3)
    assert found == {"questions": 6, "done": 3, "remaining": 6, "per_face": 2, "yours": 3, "people": 2}


def store_alpha() -> float:
    """Of (0, 0), (1, 1), (2, 1): observed 1/3, expected 1 - (2*1 + 3*2) / 30 for values 0 twice, 1 thrice, 2 once."""
    return 1 - (1 / 3) / (1 - 8 / 30)


def test_the_token_is_kept_by_nobody(place: Place) -> None:
    digest = hashlib.sha256(place.tokens["ann"].encode()).hexdigest()
    state = str(vars(place.store)) + place.ann.get("/").text + place.ann.get("/questions").text
    assert place.tokens["ann"] not in state
    assert digest not in state
