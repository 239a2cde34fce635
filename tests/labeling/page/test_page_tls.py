"""TLS of the page's own, with certificates that OpenSSL makes for the test."""

import shutil
import socket
import ssl
import subprocess
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from served_page import PATIENT, asked_store, served, write_pool

from mien import MienError
from mien.http_server.client_limits import ClientLimits
from mien.http_server.network import NetworkSettings, network_settings
from mien.http_server.tls import tls_context
from processes import WAIT


def made(folder: Path, name: str, *words: str) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 and its key."""
    program = shutil.which("openssl")
    if program is None:
        pytest.skip("openssl is not installed")
    certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
    how = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", *(words or ["-nodes"])]
    command = [program, "req", "-x509", *how, "-days", "2", "-subj", "/CN=mien", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([*command, "-out", str(certificate), "-keyout", str(key)], check=True, capture_output=True)
    return certificate, key


def test_the_page_speaks_tls_and_its_cookie_is_for_it_alone(tmp_path: Path) -> None:
    certificate, key = made(tmp_path, "own")
    pool = write_pool(tmp_path / "pool")
    trusting = ssl.create_default_context(cafile=str(certificate))
    with asked_store(str(tmp_path / "labels.db"), pool) as store:
        token = store.accounts.add("ann")
        with served(store, pool, reached=network_settings((), (), certificate, key)) as where:
            assert where.startswith("https://127.0.0.1:")
            with httpx.Client(base_url=where, verify=trusting, timeout=WAIT) as client:
                done = client.post("/sign-in", data={"name": "ann", "token": token})
                assert (done.status_code, done.headers["location"]) == (303, "./")
                assert done.headers["set-cookie"].startswith("__Host-mien-")
                assert "Secure" in done.headers["set-cookie"]
                assert "strict-transport-security" not in done.headers
                assert client.get("/questions").status_code == 200
                assert client.get("/sign-in", headers={"X-A": "a" * 40_000}).status_code == 431


def test_tls_is_no_older_than_1_2(tmp_path: Path) -> None:
    context = tls_context(*made(tmp_path, "own"))
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2


def test_those_who_speak_no_tls_are_ended_and_take_no_place(tmp_path: Path) -> None:
    certificate, key = made(tmp_path, "own")
    pool = write_pool(tmp_path / "pool")
    trusting = ssl.create_default_context(cafile=str(certificate))
    limits = replace(PATIENT, connections=10, per_address=10)
    reached = NetworkSettings(tls=tls_context(certificate, key), limits=limits)
    with asked_store(str(tmp_path / "labels.db"), pool) as store, served(store, pool, reached=reached) as where:
        port = int(where.rstrip("/").rpartition(":")[2])
        with httpx.Client(base_url=where, verify=trusting, timeout=WAIT) as client:
            assert client.get("/sign-in").status_code == 200
            held = [socket.create_connection(("127.0.0.1", port), timeout=WAIT) for _ in range(40)]
            try:
                held[0].settimeout(WAIT)
                for stranger in held[:25]:
                    assert stranger.recv(10) == b"", "closed to make room for others"
                assert client.get("/sign-in").status_code == 200
                assert httpx.get(f"{where}sign-in", verify=trusting, timeout=WAIT).status_code == 200
                held[-1].sendall(b"GET / HTTP/1.1\r\n\r\n")
                while held[-1].recv(1000):
                    pass
            finally:
                for stranger in held:
                    stranger.close()


def test_a_handshake_has_its_time(tmp_path: Path) -> None:
    certificate, key = made(tmp_path, "own")
    pool = write_pool(tmp_path / "pool")
    reached = NetworkSettings(tls=tls_context(certificate, key), limits=ClientLimits(head_seconds=0.2))
    with asked_store(str(tmp_path / "labels.db"), pool) as store, served(store, pool, reached=reached) as where:
        port = int(where.rstrip("/").rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port), timeout=WAIT) as stranger:
            assert stranger.recv(10) == b""


def test_a_key_may_be_in_the_file_of_its_certificate(tmp_path: Path) -> None:
    certificate, key = made(tmp_path, "own")
    both = tmp_path / "both.pem"
    both.write_bytes(key.read_bytes() + certificate.read_bytes())
    assert network_settings((), (), both).tls is not None


def test_files_that_cannot_be_used_are_one_sentence(tmp_path: Path) -> None:
    certificate, key = made(tmp_path, "own")
    _, other = made(tmp_path, "other")
    _, locked = made(tmp_path, "locked", "-passout", "pass:secret")
    (tmp_path / "text").write_text("no certificate")
    (tmp_path / "empty").touch()
    for first, second, told in (
        (tmp_path / "none.pem", None, "no such file or directory; check --certificate"),
        (certificate, tmp_path / "none.key", "no such file or directory; check --key"),
        (tmp_path, None, "is a directory; check --certificate"),
        (tmp_path / "a\0b", None, "a name that no file can have; check --certificate"),
        (certificate, other, "a key of another certificate"),
        (certificate, locked, "a key with a password; take the password off"),
        (tmp_path / "text", None, "no key; give a key's PEM file with --key"),
        (tmp_path / "empty", key, "give PEM files"),
        (certificate, tmp_path / "text", "no key"),
        (certificate, None, "no key; give a key's PEM file with --key"),
        (key, key, "give PEM files"),
    ):
        with pytest.raises(MienError) as raised:
            tls_context(first, second)
        assert told in str(raised.value), (first, second)
        assert "\n" not in str(raised.value)
    with pytest.raises(MienError, match="`certificate` beside `key`"):
        network_settings((), (), None, key)
