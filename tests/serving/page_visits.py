"""A browser that visits the page, for tests: what it is asked for is noted."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Request

from chromium import DESK, PATIENCE
from mien import MienError
from mien.browser.vendored import require_vendored

READY = "() => !document.getElementById('start').disabled"


def skip_without_runtime() -> None:
    """Skips a test where onnxruntime-web is not there."""
    try:
        require_vendored()
    except MienError as error:
        pytest.skip(str(error))


@dataclass
class Opener:
    """Opens pages, and notes what they ask for."""

    browser: Browser
    asked: list[Request] = field(default_factory=list)

    @contextmanager
    def open(
        self, where: str, how: dict[str, Any] = DESK, before: str = "", allowed: Sequence[str] = ("camera",), tried: str = "-"
    ) -> Iterator[Page]:
        """A page; errors of its scripts, and what its policy forbids, fail the test, but for the address that is `tried`.

        `before`: a script that runs first. `allowed`: what it may use; all else is denied.
        """
        context = self.browser.new_context(**how, permissions=list(allowed))
        context.set_default_timeout(PATIENCE)
        try:
            page, errors = context.new_page(), list[str]()
            page.on("pageerror", lambda error: errors.append(str(error)))
            page.on("console", lambda said: errors.append(said.text) if "Content Security Policy" in said.text else None)
            page.on("request", lambda request: self.asked.append(request))
            if before:
                page.add_init_script(before)
            page.goto(where)
            yield page
            assert [one for one in errors if tried not in one] == []
        finally:
            context.close()
