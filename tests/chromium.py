"""A real browser for tests: the system's Chromium, by Playwright, with somebody signed in."""

import io
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright

CHROMIUM = next((path for path in (shutil.which("chromium"), shutil.which("chromium-browser"), "/usr/bin/chromium") if path), "")
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
)
DESK: dict[str, Any] = {"viewport": {"width": 1280, "height": 800}}
PHONE: dict[str, Any] = {
    "viewport": {"width": 390, "height": 844},
    "has_touch": True,
    "is_mobile": True,
    "device_scale_factor": 2,
}
PATIENCE = 180_000
"""Milliseconds to wait for what should be there, on a machine that is slow and busy."""


@contextmanager
def chromium(more: Sequence[str] = ()) -> Iterator[Browser]:
    """The browser, started with `more` flags, or a skipped test that says why."""
    if not os.path.exists(CHROMIUM):
        pytest.skip("no Chromium is installed: neither chromium is on the path nor /usr/bin/chromium there")
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, *more], timeout=PATIENCE)
        try:
            yield opened
        finally:
            opened.close()


@contextmanager
def visit(browser: Browser, where: str, token: str, how: dict[str, Any]) -> Iterator[Page]:
    """A page that somebody sees who is signed in; errors of its scripts fail the test."""
    context = browser.new_context(**how)
    context.set_default_timeout(PATIENCE)
    port = where.rstrip("/").rpartition(":")[2]
    context.add_cookies([{"name": f"mien-{port}", "value": token, "url": where, "httpOnly": True, "sameSite": "Strict"}])
    try:
        page, errors = context.new_page(), []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(where)
        yield page
        assert errors == []
    finally:
        context.close()


def sign_in(page: Page, name: str, token: str) -> None:
    """With the keyboard alone, once the form is there."""
    page.wait_for_function("() => document.activeElement?.id === 'name'")
    page.keyboard.type(name)
    page.keyboard.press("Tab")
    page.keyboard.type(token)
    page.keyboard.press("Enter")


SEEN = """number => {
  const image = document.querySelector("#face img");
  if (!image || !image.complete || !image.naturalWidth) return false;
  return number === null || new URL(image.src).pathname === "/faces/" + number;
}"""
LOADED = "count => performance.getEntriesByType('resource').filter((one) => one.name.includes('/faces/')).length >= count"


def see(page: Page, number: int | None = None) -> int:
    """Waits until a face is seen, this one or any; its number."""
    page.wait_for_function(SEEN, arg=number)
    source = page.locator("#face img").get_attribute("src", timeout=PATIENCE) or ""
    return int(urlsplit(source).path.rpartition("/")[2])


def ahead(page: Page, count: int = 10) -> None:
    """Waits until so many faces were loaded."""
    page.wait_for_function(LOADED, arg=count)


def saved(page: Page) -> None:
    """Waits until all is saved."""
    expect(page.locator("#saved")).to_have_text("all", timeout=PATIENCE)


def at(page: Page, moment: float) -> None:
    """From now on what somebody does is done at this moment, in milliseconds, however long the browser takes for it."""
    page.evaluate("now => Object.defineProperty(Event.prototype, 'timeStamp', { get: () => now, configurable: true })", moment)


def picture(page: Page, path: Path) -> None:
    """A small PNG of what is seen: half of its 256 colors are grays, the others those that are there most."""
    with Image.open(io.BytesIO(page.screenshot())) as image:
        seen = image.convert("RGB")
    found = sorted(seen.getcolors(seen.width * seen.height) or [], reverse=True)
    colors = [color for _, color in found if isinstance(color, tuple) and max(color) - min(color) > 2][:128]
    palette = Image.new("P", (1, 1))
    palette.putpalette([value for color in [*((gray, gray, gray) for gray in range(0, 256, 2)), *colors] for value in color])
    seen.quantize(palette=palette, dither=Image.Dither.NONE).save(path, optimize=True)
