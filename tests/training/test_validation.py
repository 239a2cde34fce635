"""Whole people validate, or whole sequences: of no one is one face learned from and another looked at to choose the model."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import bright_faces, small_recipe
from mien import FaceSet, TrainingSettings, evaluate, train
from mien.data.identities import write_identities
from mien.data.label_budget import LabelBudget
from mien.data.splits import fold_view
from mien.progress import Silent
from mien.training.prepare_run import PreparedRun, prepare_run
from mien.wording import quantity
from runs import Heard

AGREE = small_recipe(unlabeled="conftest:Agree")
few = settings(max_examples=25, deadline=None, derandomize=True)


def filmed(faces: FaceSet) -> FaceSet:
    """Sequences of ten faces; nobody knows who is on them."""
    count = len(faces)
    return faces.with_column("subject", [None] * count).with_column("sequence", [f"s{n // 10}" for n in range(count)])


def among(made: PreparedRun, column: str) -> tuple[set[str], set[str]]:
    """Who is learned from, with labels and without, and who validates."""
    return set(made.data.faces.values(column)), set(made.data.validation.values(column))


@given(st.sampled_from(["subject", "sequence"]), st.sampled_from([None, 2, 8]), st.floats(0.05, 0.5), st.integers(0, 50))
@few
def test_nobody_is_on_both_sides(column: str, per_class: int | None, share: float, seed: int) -> None:
    faces, heard = bright_faces() if column == "subject" else filmed(bright_faces()), Heard()
    order = TrainingSettings(labels_per_class=per_class, seed=seed)
    made = prepare_run(faces, None, AGREE.set("validation", share), order, heard)
    learned, validates = among(made, column)
    assert validates
    assert learned.isdisjoint(validates)
    used = made.data.faces.select((made.data.labels >= 0).numpy()).values(column)
    people = len({*used, *validates})
    left_out = 96 - len(made.data.faces) - len(made.budget.validation)
    told = {"subject": "people", "sequence": "sequences"}[column]
    line = f"validation: {len(validates)} of {people} {told}, {quantity(len(made.budget.validation), 'face')}"
    assert heard.lines[0] == line + (
        f"; {quantity(left_out, 'other of theirs is', 'others of theirs are')} left out" if left_out else ""
    )


def test_where_nobody_validates_no_people_are_counted() -> None:
    heard = Heard()
    prepare_run(bright_faces(), None, AGREE.set("validation", 0.0), TrainingSettings(labels_per_class=5), heard)
    assert heard.lines[0] == "validation: none"


def test_a_set_that_names_nobody_is_parted_by_face() -> None:
    """As it always was."""
    bare = bright_faces()
    bare = FaceSet.from_arrays(bare.faces(), bare.labels, bare.classes, {"split": bare.column("split").to_pylist()})
    for faces in (bare, bright_faces().with_column("subject", [None] * 120), bright_faces().with_column("subject", [""] * 120)):
        heard = Heard()
        made = prepare_run(faces, None, AGREE, TrainingSettings(labels=30, seed=3), heard)
        assert made.budget.validation.tolist() == VALIDATE
        assert (made.facts["train"], made.facts["validation"], made.facts["unlabeled"]) == (24, 6, 66)
        assert heard.lines == []


VALIDATE = [13, 17, 32, 36, 75, 85]
"""Rows that an earlier version drew."""


def test_a_fold_tests_whom_it_always_tested(tmp_path: Path) -> None:
    faces = bright_faces().save(tmp_path / "set")
    made = train(faces, small_recipe(), tmp_path / "run", TrainingSettings(fold="2/5", threads=1))
    tested = fold_view(faces, "2/5").where(split="test")
    used = pq.read_table(tmp_path / "run" / "budget.parquet").to_pydict()
    ids = faces.values("id").astype(str)
    sides = [set(faces.values("subject")[np.isin(ids, np.array(used["id"])[np.array(used["role"]) == role])]) for role in ROLES]
    assert not sides[0] & sides[1]
    assert sides[0] | sides[1] == set(faces.values("subject")) - set(tested.values("subject"))
    assert evaluate(made, faces, fold="2/5").count == len(tested)


ROLES = ("train", "validation")


def test_people_who_are_classes_are_known_again(tmp_path: Path) -> None:
    """A recognizer of people is validated with other faces of the same ones."""
    made = prepare_run(write_identities(bright_faces(), tmp_path / "people"), None, small_recipe(), TrainingSettings(), Silent())
    learned, validates = among(made, "subject")
    assert validates <= learned


@pytest.mark.parametrize("asked", [{}, {"own_unlabeled": False}])
def test_whoever_gives_a_budget_has_parted_the_faces(asked: dict[str, Any]) -> None:
    heard, budget = Heard(), LabelBudget(np.array([0, 1, 2, 5]), np.array([3, 6]))
    made = prepare_run(bright_faces(), None, AGREE, TrainingSettings(**asked), heard, budget)
    assert made.facts["unlabeled"] == (90 if not asked else 0)
    assert not any("validation" in line for line in heard.lines)
