"""While a store fails, nobody is told where it is, and everybody what helps; the log has all of it."""

import logging
import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from served_page import PATIENT, asked_store, error_of, given, sent, served, signed_in, undoing, write_pool

from mien import FaceSet, MienError
from mien.http_server.network import NetworkSettings
from mien.labeling.page.sessions import REMEMBERED_SECONDS
from mien.labeling.page.store_failures import EXPECTED, public_error
from mien.labeling.store.store import Store
from processes import WAIT
from stores import Postgres

pytest_plugins = ("databases",)

QUICK = NetworkSettings(limits=replace(PATIENT, wrong_seconds=0.0))


@pytest.fixture
def pool(tmp_path: Path) -> FaceSet:
    return write_pool(tmp_path / "pool")


def all_said(where: str, store: Store, cookies: list[dict[str, str]], token: str) -> Iterator[httpx.Response]:
    """What everybody is told, on all ways to the store."""
    for held in cookies:
        with httpx.Client(base_url=where, cookies=held, timeout=WAIT) as client:
            for address in ("/", "/grid", "/questions", "/faces/0", "/sign-in", "/nothing"):
                yield client.get(address)
            yield client.post("/answers", json=sent(store, given(0)))
            yield client.post("/undo", json=undoing(store, "u"))
            for name, secret in (("ann", "wrong"), ("ann", "w" * 43), ("ann", token)):
                yield client.post("/sign-in", data={"name": name, "token": secret})
            yield client.post("/sign-out")


def test_where_the_database_is_stays_unsaid_while_it_is_away(
    postgres: Postgres, tmp_path: Path, pool: FaceSet, caplog: pytest.LogCaptureFixture
) -> None:
    address = postgres.new_schema()
    with asked_store(address, pool) as store, served(store, pool, reached=QUICK) as where:
        token = store.accounts.add("ann")
        name = f"mien-{where.rstrip('/').rpartition(':')[2]}"
        with ExitStack() as opened:
            ann = opened.enter_context(signed_in(where, "ann", token))
            assert ann.get("/questions").status_code == 200
            cookies = [{}, {name: "x"}, {name: "w" * 43}, {name: token}, dict(ann.cookies)]
        folder = re.search(r"host=([^&]+)", address)
        assert folder
        secrets = [folder[1], "postgres", "psycopg", "mien@", "5432", "socket", "sqlalchemy", str(tmp_path)]
        postgres.stop()
        try:
            statuses, texts = set[int](), ""
            for response in all_said(where, store, cookies, token):
                statuses.add(response.status_code)
                texts += response.text + str(response.headers)
                assert not [word for word in secrets if word in response.text.lower()], response.url
            assert statuses <= {200, 303, 401, 404, 503}
            assert "a database that is away" in texts
            away = httpx.get(f"{where}questions", timeout=WAIT, cookies={name: "v" * 43})
            assert (away.status_code, error_of(away)["expected"]) == (503, EXPECTED)
            assert folder[1] in caplog.text, "the log says where"
        finally:
            postgres.start()
        assert httpx.get(f"{where}questions", timeout=WAIT, cookies={name: token}).status_code == 200


def test_where_the_file_is_stays_unsaid_when_it_is_gone(tmp_path: Path, pool: FaceSet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mien.labeling.page.sessions.REMEMBERED_SECONDS", 0.0)
    with asked_store(str(tmp_path / "inside-of-it" / "labels.db"), pool) as store, served(store, pool, reached=QUICK) as where:
        token = store.accounts.add("ann")
        name = f"mien-{where.rstrip('/').rpartition(':')[2]}"
        (tmp_path / "inside-of-it").rename(tmp_path / "elsewhere")
        texts = ""
        for response in all_said(where, store, [{}, {name: token}], token):
            assert response.status_code in (200, 303, 401, 404, 503)
            assert not [word for word in ("inside-of-it", "labels.db", str(tmp_path), "sqlite") if word in response.text.lower()]
            texts += response.text
        assert EXPECTED in texts
    assert REMEMBERED_SECONDS == 10.0


def test_who_has_no_token_asks_nothing_of_the_store(tmp_path: Path, pool: FaceSet, monkeypatch: pytest.MonkeyPatch) -> None:
    with asked_store(str(tmp_path / "labels.db"), pool) as store, served(store, pool, reached=QUICK) as where:
        name, asked = f"mien-{where.rstrip('/').rpartition(':')[2]}", []

        def signed(secret: str) -> None:
            asked.append(secret)

        monkeypatch.setattr(store.accounts, "signed_in", signed)
        for held in ({}, {name: ""}, {name: "x"}, {name: "'; DROP TABLE" * 20}, {"other": "w" * 43}):
            for _ in range(3):
                assert httpx.get(f"{where}questions", timeout=WAIT, cookies=held).status_code == 401
        assert asked == []
        for _ in range(3):
            assert httpx.get(f"{where}questions", timeout=WAIT, cookies={name: "w" * 43}).status_code == 401
        assert asked == ["w" * 43], "once, for a moment"


def test_pictures_that_cannot_be_read_name_no_file(
    tmp_path: Path, pool: FaceSet, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    place = str(tmp_path / "pool" / "pixels.npy")
    for error in (
        MienError(f"pixels at {place}", "none", "import it"),
        FileNotFoundError(2, "No such file", place),
        ValueError(place),
    ):

        def fail(*_: object, error: Exception = error) -> None:
            raise error

        with asked_store(str(tmp_path / f"{type(error).__name__}.db"), pool) as store, served(store, pool) as where:
            with monkeypatch.context() as patched, signed_in(where, "ann", store.accounts.add("ann")) as ann:
                patched.setattr(FaceSet, "faces", fail)
                response = ann.get("/faces/0")
            assert response.status_code == 503
            assert error_of(response)["expected"] == "the picture of a face"
            assert place not in response.text
            assert place in caplog.text
            caplog.clear()


SAID = {
    "database or disk is full; nothing of this was kept": "a full disk",
    "[Errno 28] No space left on device": "a full disk",
    "database is locked": "others who are writing",
    "canceling statement due to lock timeout": "others who are writing",
    "attempt to write a readonly database": "labels that are read-only",
    "permission denied for table answers of user mien": "labels that are read-only",
    "none there: it was removed, renamed or replaced": "labels that were moved away",
    "damaged ones (page 7 of /home/me/labels.db)": "damaged labels",
    'connection to server on socket "/run/postgresql/.s.PGSQL.5432" failed': "a database that is away",
    "could not connect to server at 10.0.0.7, port 5432": "a database that is away",
    "something else at /home/me": "labels that cannot be reached",
}


@pytest.mark.parametrize(("found", "told"), SAID.items())
def test_what_is_told_of_a_database(found: str, told: str, caplog: pytest.LogCaptureFixture) -> None:
    error = MienError("labels that can be written at postgresql://me@10.0.0.7/labels", found, "check it at 10.0.0.7")
    error.__cause__ = OSError(found)
    with caplog.at_level(logging.ERROR):
        said = public_error(error)
    assert (said.expected, said.found) == (EXPECTED, told)
    assert not re.search(r"10\.0|/home|me@", str(said))
    assert str(error) in caplog.text
