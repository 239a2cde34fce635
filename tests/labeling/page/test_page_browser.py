"""The page in a real Chromium: somebody labels faces by keyboard, by touch, offline, and sees what they should."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, Route, expect
from served_page import asked_store, served

from chromium import DESK, PATIENCE, PHONE, ahead, at, saved, see, sign_in, visit
from mien import FaceSet
from mien.labeling.page import sessions
from mien.labeling.page.new_questions import GIVEN
from mien.labeling.page.responses import GuessTiming
from mien.labeling.store.consensus import standing
from mien.labeling.store.records import Question
from mien.labeling.store.store import Store

pytest_plugins = ("opened",)


@pytest.fixture
def store(tmp_path: Path, pool: FaceSet) -> Iterator[Store]:
    with asked_store(str(tmp_path / "labels.db"), pool, [Question(f"f{n}", model="m", guess=n % 3) for n in range(60)]) as made:
        yield made


class Visiting:
    """Opens the page for ann."""

    def __init__(self, browser: Browser, store: Store, pool: FaceSet, open_until_end: ExitStack) -> None:
        self._browser, self._store, self._pool, self._stack = browser, store, pool, open_until_end
        self.token = store.accounts.add("ann")

    def __call__(self, how: dict[str, Any] = DESK, guess: GuessTiming = "after") -> Page:
        where = self._stack.enter_context(served(self._store, self._pool, guess))
        return self._stack.enter_context(visit(self._browser, where, self.token, how))


@pytest.fixture
def visiting(browser: Browser, store: Store, pool: FaceSet) -> Iterator[Visiting]:
    with ExitStack() as stack:
        yield Visiting(browser, store, pool, stack)


def stands(store: Store) -> dict[str, int | str]:
    """What was said of each face and not taken back: a label, or the kind of another answer."""
    return {one.face: one.kind if one.label is None else one.label for one in standing(store.log())}


def press(page: Page, number: int, key: str) -> None:
    """A key, once the face of that number is seen."""
    see(page, number)
    page.keyboard.press(key)


def test_fifty_faces_by_keyboard_and_three_taken_back(visiting: Visiting, store: Store) -> None:
    page = visiting()
    page.context.clear_cookies()
    page.reload()
    sign_in(page, "ann", visiting.token)
    keys = [str(key) for key in np.random.default_rng(0).choice(["1", "2", "3", "x", "u"], 50, p=[0.3, 0.3, 0.3, 0.05, 0.05])]
    said: dict[str, str | int] = {"x": "not_a_face", "u": "unsure", "1": 0, "2": 1, "3": 2}
    for number, key in enumerate(keys):
        press(page, number, key)
    for number in (49, 48, 47):
        page.keyboard.press("z")
        see(page, number)
    saved(page)
    expected = {f"f{n}": said[key] for n, key in enumerate(keys[:47])}
    assert stands(store) == expected
    log = store.log()
    assert [entry.kind for entry in log[50:]] == ["undo"] * 3
    assert [entry.face for entry in log] == [f"f{n}" for n in (*range(50), 49, 48, 47)]
    assert len({entry.key for entry in log}) == 53
    for number in (47, 48, 49):
        press(page, number, "1")
    saved(page)
    assert stands(store) == expected | {"f47": 0, "f48": 0, "f49": 0}
    expect(page.locator("#yours")).to_have_text("50", timeout=PATIENCE)
    assert float(page.locator("#pace").text_content() or 0) > 0


def test_the_guess_comes_after_the_answer(visiting: Visiting) -> None:
    page = visiting()
    press(page, 0, "3")
    expect(page.locator("#said")).to_have_text("The last face: you said sad. The model says calm.", timeout=PATIENCE)
    see(page, 1)
    assert page.locator(".guessed").count() == 0
    page.keyboard.press("Enter")
    assert see(page) == 1, "there is no guess to confirm"


def test_labels_in_doubt_are_confirmed_with_one_key(browser: Browser, tmp_path: Path, pool: FaceSet) -> None:
    questions = [Question(f"f{n}", model=GIVEN, guess=n % 3) for n in (5, 3, 1)]
    with asked_store(str(tmp_path / "doubts.db"), pool, questions) as store:
        token = store.accounts.add("ann")
        with served(store, pool, "before") as where, visit(browser, where, token, DESK) as page:
            see(page, 0)
            assert page.locator(".guessed").inner_text().split() == ["3", "sad", "label"]
            page.keyboard.press("Enter")
            press(page, 1, "2")
            press(page, 2, "Enter")
            expect(page.locator("#said")).to_contain_text("The last face: you said glad. It was labeled glad.", timeout=PATIENCE)
            expect(page.locator("#waiting")).to_have_text("No faces are left for you. New ones appear here by themselves.")
            saved(page)
        assert stands(store) == {"f5": 2, "f3": 1, "f1": 1}


def test_a_phone_labels_by_tapping(visiting: Visiting, store: Store) -> None:
    page = visiting(PHONE)
    names = ["sad", "calm", "not a face", "glad", "unsure", "sad"]
    for number, name in enumerate(names):
        see(page, number)
        button = page.get_by_role("button", name=name, exact=True)
        box = button.bounding_box()
        assert box
        assert box["height"] >= 44, "large enough for a thumb"
        assert box["width"] >= 44
        assert box["y"] + box["height"] <= 844, "without scrolling"
        assert 0 <= box["x"] <= 390 - box["width"]
        at(page, 150 * number)
        button.tap()
    see(page, 6)
    at(page, 150 * 6)
    page.get_by_role("button", name="undo", exact=True).tap()
    see(page, 5)
    saved(page)
    assert stands(store) == {"f0": 2, "f1": 0, "f2": "not_a_face", "f3": 1, "f4": "unsure"}
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_a_press_that_bounces_is_one(visiting: Visiting, store: Store) -> None:
    page = visiting()
    see(page, 0)
    at(page, 1000)
    page.get_by_role("button", name="glad").dblclick()
    see(page, 1)
    page.keyboard.press("Enter")
    page.keyboard.down("2")
    page.keyboard.down("2")
    page.keyboard.down("2")
    page.keyboard.up("2")
    see(page, 2)
    saved(page)
    assert stands(store) == {"f0": 1, "f1": 1}, "a click, and a key that was held down"


def test_offline_nothing_is_lost(visiting: Visiting, store: Store) -> None:
    page = visiting()
    for number in range(3):
        press(page, number, "1")
    saved(page)
    ahead(page)
    page.context.set_offline(True)
    for number in range(3, 8):
        press(page, number, "2")
    page.keyboard.press("z")
    see(page, 7)
    trouble = page.get_by_role("alert")
    expect(trouble).to_contain_text("not saved yet: no connection", timeout=PATIENCE)
    expect(page.locator("#saved")).to_have_text("all but 6")
    assert len(store.log()) == 3
    with page.expect_event("dialog") as caught:
        page.evaluate("setTimeout(() => location.reload(), 0)")
    assert caught.value.type == "beforeunload", "leaving with answers that are not saved asks first"
    caught.value.dismiss()
    page.context.set_offline(False)
    saved(page)
    expect(trouble).to_be_hidden()
    assert stands(store) == {**{f"f{n}": 0 for n in range(3)}, **{f"f{n}": 1 for n in range(3, 7)}}
    assert len(store.log()) == 9
    press(page, 7, "3")
    press(page, 8, "3")


def test_a_page_loaded_anew_sends_what_was_left(visiting: Visiting, store: Store) -> None:
    page = visiting()
    page.route("**/answers", lambda route: route.abort())
    for number in range(4):
        press(page, number, "3")
    page.on("dialog", lambda dialog: dialog.accept())
    page.reload()
    page.unroute("**/answers")
    saved(page)
    see(page, 4)
    assert stands(store) == {f"f{n}": 2 for n in range(4)}


def test_faces_that_were_taken_back_stay_though_the_server_counted_before(visiting: Visiting, store: Store) -> None:
    page = visiting()

    def stale(route: Route) -> None:
        response = route.fetch()
        given = response.json()
        given["questions"] = [one for one in given["questions"] if one["number"] > 2]
        route.fulfill(response=response, json=given)

    for number in range(3):
        press(page, number, "1")
    saved(page)
    page.route("**/questions?*", stale)
    with page.expect_response("**/questions?*", timeout=PATIENCE):
        for number in (2, 1, 0):
            page.keyboard.press("z")
            see(page, number)
    for number in range(4):
        press(page, number, "2")
    saved(page)
    assert stands(store) == dict.fromkeys(("f0", "f1", "f2", "f3"), 1)


def test_a_lost_confirmation_does_not_double_an_answer(visiting: Visiting, store: Store) -> None:
    page = visiting()
    lost: list[int] = []

    def lose(route: Route) -> None:
        response = route.fetch()
        if len(lost) < 2:
            lost.append(response.status)
            route.abort()
        else:
            route.fulfill(response=response)

    page.route("**/answers", lose)
    press(page, 0, "1")
    press(page, 1, "2")
    saved(page)
    assert lost == [200, 200]
    assert [(entry.face, entry.label) for entry in store.log()] == [("f0", 0), ("f1", 1)]


def test_a_refused_answer_is_said_and_the_others_go_on(visiting: Visiting, store: Store) -> None:
    page = visiting()

    def spoil(route: Route) -> None:
        given = json.loads(route.request.post_data or "")
        for answer in given["answers"]:
            if answer["number"] == 1:
                answer["label"] = 99
        route.continue_(post_data=json.dumps(given))

    ahead(page)
    page.context.set_offline(True)
    for number in range(4):
        press(page, number, "1")
    page.route("**/answers", spoil)
    page.context.set_offline(False)
    saved(page)
    expect(page.get_by_role("alert")).to_contain_text("An answer was refused (calm): expected a label from 0 to 2")
    assert stands(store) == {"f0": 0, "f2": 0, "f3": 0}


def test_a_token_that_is_renewed_asks_to_sign_in_and_loses_nothing(
    visiting: Visiting, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "REMEMBERED_SECONDS", 0.0)
    page = visiting()
    press(page, 0, "1")
    saved(page)
    token = store.accounts.renew_token("ann")
    press(page, 1, "2")
    link = page.get_by_role("link", name="sign in again")
    link.click(timeout=PATIENCE)
    sign_in(page, "ann", token)
    see(page, 2)
    saved(page)
    assert stands(store) == {"f0": 0, "f1": 1}


def test_an_undo_reaches_answers_from_before(visiting: Visiting, store: Store) -> None:
    page = visiting()
    page.keyboard.press("z")
    expect(page.locator("#said")).to_have_text("There is nothing to take back.", timeout=PATIENCE)
    press(page, 0, "1")
    saved(page)
    page.reload()
    see(page, 1)
    page.keyboard.press("z")
    see(page, 0)
    assert stands(store) == {}
    page.keyboard.press("3")
    saved(page)
    assert stands(store) == {"f0": 2}


def test_a_grid_is_swept_class_by_class(visiting: Visiting, store: Store) -> None:
    page = visiting()
    page.get_by_role("link", name="Grid").click()
    tiles = page.locator(".tile")
    expect(tiles).to_have_count(24, timeout=PATIENCE)
    assert tiles.first.get_attribute("aria-pressed") == "false", "guesses are not shown before"
    page.keyboard.press("2")
    expect(page.get_by_role("heading")).to_have_text("Mark the faces that show glad")
    page.wait_for_function("() => [...document.querySelectorAll('.tile img')].every((one) => one.complete && one.naturalWidth)")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Space")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Space")
    tiles.nth(7).click()
    tiles.nth(9).click()
    tiles.nth(9).click()
    assert tiles.evaluate_all("all => all.map((one) => one.ariaPressed).indexOf('true')") == 0
    page.keyboard.press("Enter")
    saved(page)
    expect(page.locator("#said")).to_have_text("The last 3 faces: glad.")
    assert stands(store) == {"f0": 1, "f2": 1, "f7": 1}
    expect(tiles).to_have_count(24, timeout=PATIENCE)
    page.keyboard.press("x")
    tiles.first.click()
    page.keyboard.press("Enter")
    saved(page)
    assert stands(store) == {"f0": 1, "f2": 1, "f7": 1, "f1": "not_a_face"}
    page.keyboard.press("z")
    page.keyboard.press("z")
    saved(page)
    expect(page.locator("#said")).to_have_text("Taken back: 3 faces.")
    assert stands(store) == {}
    expect(page.locator("#yours")).to_have_text("0", timeout=PATIENCE)


def test_a_grid_marks_the_guesses_that_may_be_seen(visiting: Visiting, store: Store) -> None:
    page = visiting(guess="before")
    page.get_by_role("link", name="Grid").click()
    expect(page.locator(".tile")).to_have_count(24, timeout=PATIENCE)
    page.wait_for_function("() => [...document.querySelectorAll('.tile img')].every((one) => one.complete && one.naturalWidth)")
    page.keyboard.press("3")
    expect(page.get_by_role("button", name="save 8 as sad")).to_be_enabled()
    page.locator(".tile").nth(2).click()
    page.keyboard.press("Enter")
    saved(page)
    assert stands(store) == {f"f{n}": 2 for n in range(5, 24, 3)}


CONTRAST = """() => {
  const channels = (color) => color.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const behind = (element) => {
    for (let one = element; one; one = one.parentElement) {
      const color = channels(getComputedStyle(one).backgroundColor);
      if (color.length < 4 || color[3] > 0) return color;
    }
    return [255, 255, 255];
  };
  const found = [];
  for (const element of document.querySelectorAll("body *")) {
    const text = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    if (!text || !element.checkVisibility() || element.closest(":disabled, noscript")) continue;
    const [a, b] = [light(channels(getComputedStyle(element).color)), light(behind(element))].sort((x, y) => y - x);
    found.push([element.textContent.trim().slice(0, 30), (a + 0.05) / (b + 0.05)]);
  }
  return found;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_can_be_read(visiting: Visiting, scheme: str) -> None:
    """Contrast of all texts 4.5 at least; landmarks, names and states that a screen reader finds; nothing but names on faces."""
    page = visiting(DESK | {"color_scheme": scheme, "reduced_motion": "reduce"}, guess="before")
    see(page, 0)
    page.context.set_offline(True)
    page.keyboard.press("1")
    expect(page.get_by_role("alert")).to_be_visible(timeout=PATIENCE)
    for view in ("one", "grid"):
        if view == "grid":
            page.context.set_offline(False)
            saved(page)
            page.get_by_role("link", name="Grid").click()
            expect(page.locator(".tile")).to_have_count(24, timeout=PATIENCE)
        expect(page.locator(".pressed")).to_have_count(0)
        contrasts = page.evaluate(CONTRAST)
        assert len(contrasts) > 12
        assert [one for one in contrasts if one[1] < 4.5] == []
        for role in ("banner", "navigation", "main", "contentinfo"):
            assert page.get_by_role(role).count() == 1
        assert page.get_by_role("heading", level=1).count() == 1
        assert page.get_by_role("status").count() == 1
        assert set(page.get_by_role("img").evaluate_all("all => all.map((one) => one.alt)")) <= {"A face"}
    assert page.get_by_role("button", name="glad").get_attribute("aria-keyshortcuts") == "2"


def test_the_keyboard_reaches_all_and_shows_where_it_is(visiting: Visiting) -> None:
    page = visiting()
    see(page, 0)
    reached = []
    for _ in range(10):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.textContent.trim().replace(/\\s+/g, ' ')"))
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    assert reached == ["One by one", "Grid", "? Help", "Sign out", "1calm", "2glad", "3sad", "xnot a face", "uunsure", "zundo"]
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    see(page, 1)
    expect(page.locator("#said")).to_have_text("The last face: you said unsure. The model says calm.", timeout=PATIENCE)


def test_new_questions_appear_by_themselves(browser: Browser, tmp_path: Path, pool: FaceSet) -> None:
    with asked_store(str(tmp_path / "later.db"), pool, [Question("f0")]) as store:
        token = store.accounts.add("ann")
        with served(store, pool) as where, visit(browser, where, token, DESK) as page:
            page.clock.install()
            press(page, 0, "1")
            expect(page.locator("#waiting")).to_contain_text("No faces are left", timeout=PATIENCE)
            store.ask([Question("f7", round=1)])
            page.clock.run_for(11_000)
            see(page, 1)
            press(page, 1, "2")
            saved(page)
        assert stands(store) == {"f0": 0, "f7": 1}
