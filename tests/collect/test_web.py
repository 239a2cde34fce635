"""The web is asked politely, and nothing that it answers does harm."""

import shutil
import ssl
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest
from web_server import Served, packed, serving

from mien.collect.addresses import is_public, web_address
from mien.collect.request import RefusedError
from mien.collect.web import Web, user_agent

pytest_plugins = ("web_fixtures",)


def refused(web: Web, address: str, most: int = 10_000) -> RefusedError:
    with pytest.raises(RefusedError) as caught:
        web.get(address, most)
    return caught.value


def test_what_lies_there_is_fetched_under_a_name_of_ones_own(served: Served, web: Web) -> None:
    served.put("/a b.png", b"content")
    served.answers["/a%20b.png"] = served.answers["/a b.png"]
    assert web.get(f"{served.root}/a b.png#top", 10) == b"content"
    assert served.agents == {user_agent()}
    assert "mien/" in user_agent("me@example.org")
    assert "me@example.org" in user_agent("me@example.org")
    assert served.headers == {"host", "accept-encoding", "connection", "user-agent", "accept"}


@pytest.mark.parametrize(("status", "passing"), [(404, False), (403, False), (410, False), (429, True), (500, True), (503, True)])
def test_errors_are_said(served: Served, web: Web, status: int, passing: bool) -> None:
    served.answers["/x"] = (status, {}, b"no")
    error = refused(web, f"{served.root}/x")
    assert (error.reason, error.passing) == (f"status {status}", passing)


def test_redirects_are_followed_five_times(served: Served, web: Web) -> None:
    served.put("/5", b"there")
    for number in range(5):
        served.answers[f"/{number}"] = (302, {"Location": f"/{number + 1}"}, b"")
    served.answers["/round"] = (301, {"Location": "/round"}, b"")
    assert web.get(f"{served.root}/0", 10) == b"there"
    assert refused(web, f"{served.root}/round").reason == "more than 5 redirects"
    assert served.asked["/round"] == 6
    served.answers["/file"] = (302, {"Location": "file:///etc/hosts"}, b"")
    assert "not of http" in refused(web, f"{served.root}/file").reason


def test_much_slow_packed_and_short_answers_are_refused(served: Served, web: Web) -> None:
    served.put("/much", bytes(1_000_000))
    assert refused(web, f"{served.root}/much").reason == "more than 10,000 bytes"
    served.answers["/lying"] = (200, {"Content-Length": "5000000000"}, b"x")
    assert refused(web, f"{served.root}/lying").reason == "more than 10,000 bytes"
    served.answers["/short"] = (200, {"Content-Length": "500"}, b"x")
    assert refused(web, f"{served.root}/short").passing
    served.answers["/packed"] = packed(b"x")
    assert "packed" in refused(web, f"{served.root}/packed").reason
    served.answers["/slow"] = (200, {"X-Slow": "yes"}, bytes(200))
    error = refused(web, f"{served.root}/slow")
    assert (error.reason, error.passing) == ("no answer within 0.5 s", True)


def test_https_is_spoken_with_those_who_are_who_they_say(tmp_path: Path) -> None:
    program = shutil.which("openssl")
    if program is None:
        pytest.skip("openssl is not installed")
    certificate, key = tmp_path / "own.pem", tmp_path / "own.key"
    how = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=mien"]
    named = ["-addext", "subjectAltName=IP:127.0.0.1", "-out", str(certificate), "-keyout", str(key)]
    subprocess.run([program, "req", "-x509", *how, *named], check=True, capture_output=True)
    own = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    own.load_cert_chain(certificate, key)
    with serving(own) as served:
        served.put("/a", b"content")
        served.answers["/slow"] = (200, {"X-Slow": "yes"}, bytes(200))
        trusting = Web(0.001, 0.5, "", True, secure=ssl.create_default_context(cafile=str(certificate)))
        assert trusting.get(f"{served.root}/a", 10) == b"content"
        assert refused(trusting, f"{served.root}/slow").reason == "no answer within 0.5 s"
        other = served.root.replace("127.0.0.1", "localhost")
        for web, root in ((Web(0.001, 0.5, "", True), served.root), (trusting, other)):
            with pytest.raises(RefusedError, match="SSLCertVerificationError"):
                web.get(f"{root}/a", 10, robots=False)


def test_robots_are_obeyed_and_asked_once(served: Served, web: Web) -> None:
    served.robots = "User-agent: *\nDisallow: /closed\n\nUser-agent: other\nDisallow: /\n"
    served.put("/open", b"x")
    served.put("/closed", b"x")
    assert web.get(f"{served.root}/open", 10) == b"x"
    served.answers["/way"] = (302, {"Location": "/closed"}, b"")
    for path in ("/closed", "/way"):
        assert "robots.txt forbids" in refused(web, f"{served.root}{path}").reason
    assert (served.asked["/robots.txt"], served.asked["/closed"]) == (1, 0)
    assert web.get(f"{served.root}/closed", 10, robots=False) == b"x"


@pytest.mark.parametrize("status", [401, 403, 500, 503])
def test_a_host_that_does_not_say_is_left_alone(served: Served, web: Web, status: int) -> None:
    served.answers["/there"] = (302, {"Location": "/nowhere"}, b"")
    served.answer = lambda path, query: (status, {}, b"")  # type: ignore[method-assign]
    assert "does not say" in refused(web, f"{served.root}/there").reason
    assert served.asked["/there"] == 0


BROKEN = ("Crawl-delay: ²", "Disallow: http://[", "Crawl-delay: " + "9" * 400, "Request-rate: ²/³", "\0\xff:", ":")


@pytest.mark.parametrize("text", BROKEN)
def test_a_robots_txt_that_is_none_ends_nothing(served: Served, web: Web, text: str) -> None:
    served.robots = f"User-agent: *\n{text}\n"
    served.put("/a", b"x")
    with suppress(RefusedError):
        assert web.get(f"{served.root}/a", 10) == b"x"


def test_a_host_gets_its_pause(served: Served) -> None:
    waited = list[float]()
    web = Web(rate=3, local=True, sleep=waited.append)
    served.robots = "User-agent: mien\nCrawl-delay: 20\n"
    served.put("/a", b"x")
    for _ in range(2):
        web.get(f"{served.root}/a", 10)
    assert [round(seconds) for seconds in waited] == [3, 20]
    served.answers["/busy"] = (429, {"Retry-After": "999999"}, b"")
    refused(web, f"{served.root}/busy")
    web.get(f"{served.root}/a", 10)
    assert round(waited[-1]) == 60


@pytest.mark.parametrize(
    "text", ["http://127.0.0.1/", "http://localhost:8000/", "http://[::1]/", "http://0/", "http://2130706433/"]
)
def test_this_computer_is_not_asked_unless_it_may_be(text: str) -> None:
    assert "this computer" in refused(Web(), text).reason


@pytest.mark.parametrize(
    ("number", "public"),
    [
        ("93.184.216.34", True),
        ("2606:4700::1", True),
        ("10.0.0.1", False),
        ("172.16.3.4", False),
        ("192.168.1.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("fe80::1%eth0", False),
        ("fc00::1", False),
        ("::ffff:10.0.0.1", False),
        ("64:ff9b::a00:1", False),
        ("2002:a00:1::", False),
        ("fec0::1", False),
        ("64:ff9b:1::7f00:1", False),
        ("::127.0.0.1", False),
        ("::ffff:0:127.0.0.1", False),
        ("192.0.0.8", False),
    ],
)
def test_private_numbers_are_known(number: str, public: bool) -> None:
    assert is_public(number) == public


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ftp://a/b",
        "file:///etc/hosts",
        "data:image/png;base64,AA",
        "http://",
        "http://a:b@c/",
        "http://a\nb/",
        "http://a/" + "x" * 3000,
        "http://a b/",
        "http://a:99999/",
        "http://[::1/",
        "javascript:alert(1)",
    ],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    assert isinstance(refused(Web(), text), RefusedError)


def test_addresses_are_written_in_ascii() -> None:
    assert str(web_address("https://Bücher.example/ä b?q=ü%20#x")) == "https://xn--bcher-kva.example/%C3%A4%20b?q=%C3%BC%20"
