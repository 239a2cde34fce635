"""Fixtures: a server that plays the web, and a way to ask it. A test module says `pytest_plugins = ("web_fixtures",)`."""

from collections.abc import Iterator

import pytest
from web_server import Served, serving

from mien.collect.web import Web


@pytest.fixture
def served() -> Iterator[Served]:
    """A server, which ends with the test."""
    with serving() as place:
        yield place


@pytest.fixture
def web() -> Web:
    """The web with loopback in it, and without pauses."""
    return Web(rate=0.001, timeout=0.5, local=True, sleep=lambda seconds: None)
