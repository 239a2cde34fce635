"""Nobody who answers can tell gold questions from others, before or after an answer."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from mien import FaceSet
from mien.labeling.page.responses import GuessTiming, ProgressFigures
from mien.labeling.store.records import Question, Reply
from mien.labeling.store.store import Store
from serving import given, sent, served, signed_in, undoing, write_pool

PEOPLE = ("ann", "bob")
GOLD = (1, 4)


def asked(tmp_path: Path, per_face: int) -> Store:
    pool = FaceSet.open(tmp_path / "pool") if (tmp_path / "pool").exists() else write_pool(tmp_path / "pool", 6)
    store = Store.create(tmp_path / f"{per_face}.db", pool.classes, "a pool", pool.info.checksum, per_face)
    store.ask([Question(f"f{n}", gold=2 if n in GOLD else None, model="m", guess=n % 3) for n in range(6)])
    return store


def figures(store: Store, who: str) -> tuple[int, ...]:
    """As the page shows them, counted just now."""
    found = ProgressFigures(store).json(who)
    return tuple(found[name] for name in ("questions", "done", "remaining", "yours"))


@pytest.mark.parametrize("per_face", [1, 2, 3])
def test_an_answer_to_a_gold_question_changes_the_figures_as_any_other(tmp_path: Path, per_face: int) -> None:
    with asked(tmp_path, per_face) as store:
        for name in PEOPLE:
            store.accounts.add(name)
        changes: dict[str, list[tuple[int, ...]]] = {}
        for number in range(6):
            before = figures(store, "ann")
            store.answer("ann", Reply(f"f{number}", label=0, key=f"{number}"))
            after = figures(store, "ann")
            changes.setdefault("gold" if number in GOLD else "others", []).append(
                tuple(new - old for old, new in zip(before, after, strict=True))
            )
        assert set(changes["gold"]) == set(changes["others"]) == {(0, int(per_face == 1), -1, 1)}
        before = figures(store, "ann")
        store.undo("ann", undoes="1")
        assert figures(store, "ann") == (before[0], before[1] - (per_face == 1), before[2] + 1, before[3] - 1)
        if per_face == 1:
            # What others have answered waits for Bob as if nobody had.
            assert figures(store, "bob")[:3] == (6, 4, 2)
            store.answer("bob", Reply("f4", label=0))
            assert figures(store, "bob")[:3] == (6, 5, 1)


@pytest.mark.parametrize("when", ["before", "after", "never"])
def test_all_that_is_said_of_questions_is_of_one_kind(tmp_path: Path, when: GuessTiming) -> None:
    with asked(tmp_path, 1) as store:
        token = store.accounts.add("ann")
        with served(store, FaceSet.open(tmp_path / "pool"), when) as where, signed_in(where, "ann", token) as ann:
            kinds = {"gold": set[str](), "others": set[str]()}
            listed = ann.get("/questions?count=60").json()["questions"]
            assert [one["number"] for one in listed] == list(range(6))
            for one in listed:
                kind, number = "gold" if one["number"] in GOLD else "others", one["number"]
                kinds[kind].add(f"asked {plain(one)}")
                picture = ann.get(f"/faces/{number}")
                kinds[kind].add(f"picture {picture.status_code} {headers(picture)}")
                replied = ann.post("/answers", json=sent(store, given(number, 1, f"k{number}")))
                kinds[kind].add(f"replied {plain(replied.json())} {headers(replied)}")
                undone = ann.post("/undo", json=undoing(store, f"u{number}", f"k{number}"))
                kinds[kind].add(f"undone {plain(undone.json())} {headers(undone)}")
                assert undone.json()["question"]["number"] == number
            assert kinds["gold"] == kinds["others"]
            assert len(kinds["gold"]) == 4


def plain(said: Any) -> Any:
    """What is said, without which number and which class."""
    if isinstance(said, dict):
        return {name: "" if name in ("number", "label") else plain(value) for name, value in said.items()}
    return [plain(one) for one in said] if isinstance(said, list) else said


def headers(response: httpx.Response) -> list[str]:
    """Their names."""
    return sorted(response.headers)
