"""Which connections are closed to make room, without any."""

import os
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from mien import MienError
from mien.http_server.client_addresses import client_key, is_among, require_proxies
from mien.http_server.connections import FEWEST, Connections, most_connections


@dataclass(eq=False)
class Line:
    """Stands for a connection."""

    name: str
    address: str
    closed: list[str] = field(repr=False)
    deadline: float = 100.0

    def abort(self) -> None:
        """Notes it."""
        self.closed.append(self.name)


class Desk:
    """Connections, and the names of those that were closed."""

    def __init__(self, most: int = 4, per_address: int = 3, proxy: str = "") -> None:
        self.now, self.closed, self.open = 0.0, list[str](), dict[str, Line]()
        self.all = Connections(most, per_address, lambda address: address == proxy, lambda: self.now)

    def come(self, names: str, address: str = "") -> None:
        """One for each letter, each from an address of its own unless it is said."""
        for name in names:
            self.open[name] = Line(name, address or f"address of {name}", self.closed)
            self.all.admit(self.open[name])

    def answer(self, names: str, known: bool = False) -> None:
        """Requests of these are answered."""
        for name in names:
            self.all.answered(self.open[name], known)


def test_those_that_never_asked_go_first_then_guests_then_people_who_wait_longest() -> None:
    desk = Desk()
    desk.come("abcd")
    desk.answer("ab", known=True)
    desk.answer("c")
    desk.answer("a", known=True)
    desk.come("e")
    assert desk.closed == ["d"], "the only one that never asked"
    desk.come("f")
    assert desk.closed == ["d", "e"], "the next one that never asked"
    desk.answer("f")
    desk.come("g")
    assert desk.closed == ["d", "e", "c"], "a guest"
    desk.answer("g", known=True)
    desk.come("h")
    desk.answer("h", known=True)
    desk.come("i")
    assert desk.closed == ["d", "e", "c", "f", "b"], "who waits longest"
    assert len(desk.all) == 4


def test_who_signed_in_once_is_no_guest_again() -> None:
    desk = Desk(most=2)
    desk.come("ab")
    desk.answer("a", known=True)
    desk.answer("b")
    desk.answer("a")
    desk.come("c")
    assert desk.closed == ["b"]


def test_an_address_makes_room_for_its_own() -> None:
    desk = Desk(most=10, per_address=3)
    desk.come("abc", "there")
    desk.come("x", "here")
    desk.answer("b", known=True)
    desk.come("d", "there")
    assert desk.closed == ["a"]
    desk.answer("d")
    desk.come("e", "there")
    desk.come("f", "there")
    assert desk.closed == ["a", "c", "e"]


def test_the_address_with_most_strangers_makes_room_for_others() -> None:
    desk = Desk(most=5, per_address=4)
    desk.come("x", "here")
    desk.come("abcd", "there")
    desk.come("yz")
    assert desk.closed == ["a", "b"]


def test_a_proxy_that_was_named_has_no_limit_of_its_own() -> None:
    desk = Desk(most=5, per_address=2, proxy="proxy")
    desk.come("abcde", "proxy")
    assert desk.closed == []
    desk.come("f", "proxy")
    assert desk.closed == ["a"]


def test_those_that_waited_too_long_are_closed() -> None:
    desk = Desk()
    desk.come("abc")
    desk.open["b"].deadline = 5.0
    desk.now = 4.9
    desk.all.expire()
    assert desk.closed == []
    desk.now = 5.0
    desk.all.expire()
    desk.all.expire()
    assert desk.closed == ["b"]
    desk.all.lost(desk.open["b"])
    desk.answer("b")
    desk.all.close_one()
    assert desk.closed == ["b", "a"]
    desk.all.lost(desk.open["c"])
    desk.all.close_one()
    assert (desk.closed, len(desk.all)) == (["b", "a"], 0)


@contextmanager
def files(allowed: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_there_are_no_more_than_the_process_may_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "listdir", lambda folder: ["file"] * 30)
    for allowed, wanted, there in ((300, 50, 50), (300, 400, 230), (64, 400, FEWEST)):
        with files(allowed):
            assert most_connections(wanted) == there


def test_on_windows_sockets_are_no_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setitem(sys.modules, "resource", None)
    assert most_connections(400) == 400


def test_what_counts_as_one_client() -> None:
    assert client_key("192.0.2.7") == client_key("::ffff:192.0.2.7") == "192.0.2.7"
    assert client_key("2001:db8::1") == client_key("2001:db8:0:0:ffff::2") != client_key("2001:db8:0:1::1")
    assert client_key("fe80::1%eth0") == "fe80::/64"
    assert len(client_key("what a proxy says " * 100)) == 100


def test_proxies_are_given_by_their_numbers() -> None:
    assert require_proxies(["127.0.0.1", " 10.1.2.3/8", "::1", "2001:db8::/32"]) == (
        *("127.0.0.1", "10.0.0.0/8", "::1", "2001:db8::/32"),
    )
    for name in ("", "*", "localhost", "127.0.0.1:80", "http://127.0.0.1", "10.0.0.0/33", "300.0.0.1"):
        with pytest.raises(MienError, match="the IP address of a proxy, or a network; found"):
            require_proxies([name])
    assert is_among("10.9.9.9", ["127.0.0.1", "10.0.0.0/8"])
    assert not any(is_among(address, ["127.0.0.1", "10.0.0.0/8"]) for address in ("11.0.0.1", "::1", "unknown", ""))
