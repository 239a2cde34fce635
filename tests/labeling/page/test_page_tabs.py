"""Several tabs, and several stores at one address: what is said is for the store and the answer that were meant."""

import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route, expect
from served_page import asked_store, served

from chromium import DESK, PATIENCE, ahead, saved, see, sign_in, visit
from mien import FaceSet
from mien.labeling.store.consensus import standing
from mien.labeling.store.records import Question
from mien.labeling.store.store import Store
from processes import held_port

pytest_plugins = ("opened",)

PICTURES = "() => [...document.querySelectorAll('.tile img')].filter((one) => one.complete && one.naturalWidth).length === 24"


@dataclass(frozen=True)
class Labels:
    """A store, and ann's token there."""

    store: Store
    token: str

    def stands(self) -> dict[str, int | None]:
        """The label of each face that was not taken back."""
        return {one.face: one.label for one in standing(self.store.log())}


@pytest.fixture
def labels(tmp_path: Path, pool: FaceSet) -> Iterator[Labels]:
    with asked_store(str(tmp_path / "labels.db"), pool) as made:
        yield Labels(made, made.accounts.add("ann"))


@pytest.fixture
def others(tmp_path: Path, pool: FaceSet) -> Iterator[Labels]:
    """Of the same pool, from its end."""
    with asked_store(str(tmp_path / "others.db"), pool, [Question(f"f{59 - n}") for n in range(30)]) as made:
        yield Labels(made, made.accounts.add("ann"))


@dataclass(frozen=True)
class Left:
    """A tab with answers that are not saved, whose server is gone."""

    page: Page
    where: str
    port: int

    def hold(self, token: str) -> None:
        """Be signed in, as by another tab."""
        self.page.context.add_cookies([{"name": f"mien-{self.port}", "value": token, "url": self.where}])


@contextmanager
def left(browser: Browser, labels: Labels, pool: FaceSet) -> Iterator[Left]:
    """Answers 1 and 2 to the first two faces are in the tab."""
    with held_port() as port, ExitStack() as server:
        where = server.enter_context(served(labels.store, pool, port=port))
        with visit(browser, where, labels.token, DESK) as page:
            page.on("dialog", lambda dialog: dialog.accept())
            ahead(page)
            server.close()
            for number in range(2):
                see(page, number)
                page.keyboard.press(str(number + 1))
            see(page, 2)
            expect(page.locator("#saved")).to_have_text("all but 2")
            yield Left(page, where, port)


def test_who_signs_in_to_another_store_gives_it_no_answers_of_the_first(
    browser: Browser, labels: Labels, others: Labels, pool: FaceSet
) -> None:
    with left(browser, labels, pool) as tab:
        with served(others.store, pool, port=tab.port):
            tab.page.get_by_role("link", name="sign in again").click(timeout=PATIENCE)
            sign_in(tab.page, "ann", others.token)
            see(tab.page, 0)
            tab.page.keyboard.press("3")
            saved(tab.page)
            assert others.stands() == {"f59": 2}
            assert labels.stands() == {}
        with served(labels.store, pool, port=tab.port):
            tab.hold(labels.token)
            tab.page.goto(tab.where)
            see(tab.page, 2)
            saved(tab.page)
        assert labels.stands() == {"f0": 0, "f1": 1}, "what waited in the tab"
        assert others.stands() == {"f59": 2}


def test_a_tab_of_another_store_says_so_and_waits(browser: Browser, labels: Labels, others: Labels, pool: FaceSet) -> None:
    with left(browser, labels, pool) as tab:
        with served(others.store, pool, port=tab.port):
            tab.hold(others.token)
            trouble = tab.page.get_by_role("alert")
            expect(trouble).to_contain_text("Another label store is open at this address now", timeout=PATIENCE)
            expect(trouble).to_contain_text("2 answers are not saved, and will be when the one of before is back")
            tab.page.keyboard.press("3")
            expect(tab.page.locator("#saved")).to_have_text("all but 3")
            with tab.page.expect_response("**/answers"):
                """They are sent again."""
            assert others.store.log() == ()
            tab.page.get_by_role("link", name="load its page").click()
            see(tab.page, 0)
            saved(tab.page)
            assert others.store.log() == ()
        with served(labels.store, pool, port=tab.port):
            tab.hold(labels.token)
            tab.page.goto(tab.where)
            see(tab.page, 3)
            saved(tab.page)
        assert labels.stands() == {"f0": 0, "f1": 1, "f2": 2}


def test_a_tab_shows_no_faces_of_another_store(browser: Browser, labels: Labels, others: Labels, pool: FaceSet) -> None:
    with left(browser, labels, pool) as tab, served(others.store, pool, port=tab.port):
        tab.hold(others.token)
        with tab.page.expect_response("**/questions*") as asked:
            for number in range(2, 10):
                see(tab.page, number)
                tab.page.keyboard.press("1")
        assert asked.value.json()["questions"]
        expect(tab.page.get_by_role("alert")).to_contain_text("Another label store is open", timeout=PATIENCE)
        expect(tab.page.locator("#face img")).to_have_count(0)
        assert others.store.log() == ()


def test_a_store_that_became_newer_gets_its_answers_later(
    browser: Browser, labels: Labels, pool: FaceSet, tmp_path: Path
) -> None:
    def become(version: int) -> None:
        with closing(sqlite3.connect(tmp_path / "labels.db")) as connection, connection:
            connection.execute("UPDATE mien_store SET version = ?", (version,))

    with served(labels.store, pool) as where, visit(browser, where, labels.token, DESK) as page:
        ahead(page)
        become(99)
        for number in range(2):
            see(page, number)
            page.keyboard.press("1")
        expect(page.get_by_role("alert")).to_contain_text("2 answers are not saved yet: version 99", timeout=PATIENCE)
        become(1)
        saved(page)
    assert labels.stands() == {"f0": 0, "f1": 0}


@pytest.mark.parametrize("status", [400, 403, 413, 421, 429, 500])
def test_what_may_succeed_later_stays_in_the_tab(browser: Browser, labels: Labels, pool: FaceSet, status: int) -> None:
    def refuse(route: Route) -> None:
        route.fulfill(status=status, json={"expected": "another request", "found": "this one", "todo": "wait"})

    with served(labels.store, pool) as where, visit(browser, where, labels.token, DESK) as page:
        page.route("**/answers", refuse)
        see(page, 0)
        page.keyboard.press("2")
        expect(page.get_by_role("alert")).to_contain_text("1 answer is not saved yet: this one", timeout=PATIENCE)
        page.unroute("**/answers")
        saved(page)
    assert labels.stands() == {"f0": 1}


def test_an_undo_in_the_grid_takes_back_its_sweep_and_nothing_else(browser: Browser, labels: Labels, pool: FaceSet) -> None:
    with served(labels.store, pool) as where, visit(browser, where, labels.token, DESK) as page:
        grid = page.context.new_page()
        grid.goto(f"{where}grid")
        grid.wait_for_function(PICTURES)
        for place in range(2):
            grid.locator(".tile").nth(place).click()
        grid.keyboard.press("Enter")
        saved(grid)
        page.bring_to_front()
        page.reload()
        for number in (2, 3):
            see(page, number)
            page.keyboard.press("3")
        saved(page)
        assert labels.stands() == {"f0": 0, "f1": 0, "f2": 2, "f3": 2}
        grid.bring_to_front()
        grid.keyboard.press("z")
        saved(grid)
        expect(grid.locator("#said")).to_have_text("Taken back: 2 faces.")
        assert labels.stands() == {"f2": 2, "f3": 2}


@pytest.mark.parametrize("view", ["", "grid"])
def test_an_undo_of_what_was_taken_back_elsewhere_is_said(browser: Browser, labels: Labels, pool: FaceSet, view: str) -> None:
    with served(labels.store, pool) as where, visit(browser, where, labels.token, DESK) as page:
        page.goto(where + view)
        if view:
            page.wait_for_function(PICTURES)
            page.locator(".tile").first.click()
            page.keyboard.press("Enter")
        else:
            see(page, 0)
            page.keyboard.press("1")
        saved(page)
        other = page.context.new_page()
        other.goto(where)
        see(other, 1)
        other.keyboard.press("2")
        saved(other)
        for number in (1, 0):
            other.keyboard.press("z")
            see(other, number)
        other.keyboard.press("3")
        saved(other)
        assert labels.stands() == {"f0": 2}
        page.bring_to_front()
        page.keyboard.press("z")
        said = "Nothing was taken back: that answer was taken back before, or never saved."
        expect(page.locator("#said")).to_have_text(said, timeout=PATIENCE)
        assert labels.stands() == {"f0": 2}
