"""Rounds: what they ask, charge, learn and leave; killed anywhere they go on as if nothing had been; people and their store."""

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from conftest import Interrupted, StopAfter, bright_faces
from mien import FaceSet, MienError, Recognizer, evaluate
from mien.active import first_round, human_annotators
from mien.active import rounds as module
from mien.active.learning_curve import LearningCurve, RoundResult
from mien.active.oracle import Oracle
from mien.active.pool import DISPUTED, NOT_A_FACE, UNDECIDED, AllFaces, KnownLabels
from mien.active.resolved_settings import Recipes, build_strategy
from mien.active.rounds import rounds
from mien.active.rounds_settings import RoundsSettings, folder_name
from mien.data.format import Info
from mien.folders import exclusive
from mien.labeling.store.records import Reply
from mien.labeling.store.store import Store
from mien.recognize.run_records import read_used_ids
from runs import Heard, features

HEAD = """
model = { network = "embedding" }
draw = "shuffled"
batch = 16
average = 0.0
precision = "float32"
stages = [{ epochs = 2, lr = 0.02 }, { epochs = 2, lr = 0.05 }]
"""
TINY = HEAD.replace('"embedding"', '"mien_s", width = 8, depths = [1, 1, 1]').replace("lr = 0.05", "lr = 0.02")

Plans = Callable[..., RoundsSettings]


@pytest.fixture
def plan(tmp_path: Path) -> Plans:
    """Plans whose recipe trains in a moment, on features unless `recipe` says otherwise."""
    (tmp_path / "head.toml").write_text(HEAD)

    def make(**asked: Any) -> RoundsSettings:
        given: dict[str, Any] = {"acquire": ("worthiness",), "per_round": 10, "rounds": 2, "start_labels_per_class": 4}
        given |= {"recipe": str(tmp_path / "head.toml"), "oracle": 0.0, "split_to_test": "test", "threads": 1}
        return RoundsSettings(**given | asked)

    return make


@pytest.fixture(autouse=True)
def _undrawn(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing takes longer than all the rest: one test looks at the diagram."""
    if request.function is not test_the_table_against_a_loop:
        monkeypatch.setattr(module, "draw_learning_curve", lambda found: b"a diagram")


def cached(count: int = 120, seed: int = 0) -> FaceSet:
    """Features in two views whose classes overlap; a fourth is the split `test`."""
    generator = np.random.default_rng(seed)
    labels = np.arange(count) % 3
    values = generator.normal(size=(count, 2, 6)) + 1.2 * np.eye(3, 6)[labels][:, None]
    info = Info(classes=("class0", "class1", "class2"), kind="features", channels=6, views=("clean", "mirror"))
    splits = ["test" if n % 4 == 3 else "train" for n in range(count)]
    return FaceSet.from_arrays(values.astype(np.float16), labels, columns={"split": splits}, info=info)


@pytest.fixture
def faceset(tmp_path: Path) -> Path:
    cached().save(tmp_path / "faces")
    return tmp_path / "faces"


def asked(round_: Path) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = pq.read_table(round_ / "asked.parquet").to_pydict()
    return found


def used(round_: Path, role: str) -> set[str]:
    """Ids of the faces that a round's run trained on or validated with."""
    table = pq.read_table(round_ / "run" / "budget.parquet").to_pydict()
    return {name for name, what in zip(table["id"], table["role"], strict=True) if what == role}


def weights(out: Path) -> dict[str, bytes]:
    """Of all models, by where they are."""
    return {str(file.relative_to(out)): file.read_bytes() for file in sorted(out.rglob("model.safetensors"))}


def test_every_label_is_charged_once(faceset: Path, plan: Plans, tmp_path: Path) -> None:
    """Two rounds of ten after four labels a class: who was asked about, what trains, what validates, and that nothing is counted
    twice; both strategies begin with the same model.
    """
    heard, out = Heard(), tmp_path / "out"
    found = rounds(faceset, plan(acquire=("random", "entropy")), out, heard)
    assert [(point.strategy, point.round, point.labels) for point in found.points] == [
        (name, number, 12 + 10 * number) for name in ("random", "entropy") for number in range(3)
    ]
    assert [point.pool for point in found.points[:3]] == [78, 68, 58], "90 faces of the training split"
    assert found.points[0].accuracy == found.points[3].accuracy
    assert {point.tested for point in found.points} == {30}
    tested = set(FaceSet.open(faceset).where(split="test").values("id"))
    for name in ("random", "entropy"):
        first, second = (out / f"{name}-seed0" / f"round-{number:02d}" for number in (1, 2))
        start, validation = read_used_ids(out / "start-seed0" / "run"), used(second, "validation")
        new = set(asked(first)["id"]) | set(asked(second)["id"])
        assert (len(start), len(new)) == (12, 20)
        assert not new & (start | tested)
        assert used(first, "validation") <= validation <= start | new
        assert 5 <= len(validation) <= 9, "a fifth, class by class, in each of the three: at most one of each class"
        assert not validation & used(second, "train")
        warned = evaluate(second / "run", faceset, split="train").notes["warning"]
        assert warned.startswith("32 of these faces"), "those of all rounds, also where H and Z alone were learned from"
        last = next(point for point in found.points if (point.strategy, point.round) == (name, 2))
        assert (last.train, last.validation) == (32 - len(validation), len(validation))
    assert sum(line.startswith("start, seed 0: 12 labels") for line in heard.lines) == 1, "strategies share it"
    assert not any("epoch" in line for line in heard.lines)
    assert "entropy, seed 0, round 2 of 2: 32 labels, validation accuracy" in heard.lines[-1]


@pytest.mark.parametrize("learn", ["new", "all", "afresh"])
def test_what_a_round_learns_from(faceset: Path, plan: Plans, tmp_path: Path, learn: str) -> None:
    """H and Z from the last model by the last stage, all labels from the last model, or all from the start; H against a loop."""
    found = rounds(faceset, plan(learn=learn), tmp_path / "out")
    faces, missed = FaceSet.open(faceset), 0
    labels = dict(zip(faces.values("id"), faces.labels, strict=True))
    places = {name: row for row, name in enumerate(faces.values("id"))}
    before, run = used(tmp_path / "out" / "start-seed0", "train"), tmp_path / "out" / "start-seed0" / "run"
    for number in (1, 2):
        folder = tmp_path / "out" / "worthiness-seed0" / f"round-{number:02d}"
        model = Recognizer.load(run)
        wrong = {name for name in before if model.logits(faces.select([places[name]])).argmax() != labels[name]}
        new = set(asked(folder)["id"]) - used(folder, "validation")
        assert used(folder, "train") == ((wrong | new) if learn == "new" else (before | new))
        assert found.points[number].missed == len(wrong)
        recipe = json.loads((folder / "run" / "run.json").read_text())["recipe"]
        if learn == "afresh":
            assert (recipe["start"]["technique"], len(recipe["stages"])) == ("scratch", 2)
        else:
            assert recipe["start"] == {"technique": "weights", "path": str(run)}
            assert [stage["lr"] for stage in recipe["stages"]] == [0.05], "the last stage"
        before, run, missed = before | new, folder / "run", missed + len(wrong)
    assert missed, "or the test says nothing of H"
    source = json.loads((run / "sources.json").read_text()) if learn != "afresh" else []
    assert [len(set(entry["used"]) & set(asked(folder)["id"])) for entry in source] == ([0, 0] if source else [])


def test_a_single_stage_goes_on_at_a_tenth(plan: Plans, tmp_path: Path) -> None:
    (tmp_path / "single.toml").write_text(HEAD.replace("{ epochs = 2, lr = 0.02 }, ", ""))
    for recipe, rate in (("single", 0.005), ("head", 0.05)):
        made = Recipes.of(plan(recipe=str(tmp_path / f"{recipe}.toml")))
        assert [stage.lr for stage in made.tuning.stages] == [pytest.approx(rate)]
        assert made.whole.stages[-1].lr == 0.05


def test_a_recipe_of_its_own_goes_on_from_the_last_model(faceset: Path, plan: Plans, tmp_path: Path) -> None:
    (tmp_path / "tune.toml").write_text(HEAD.replace("epochs = 2, lr = 0.02", "epochs = 1, lr = 0.001"))
    rounds(faceset, plan(tune=str(tmp_path / "tune.toml"), rounds=1), tmp_path / "out")
    run = json.loads((tmp_path / "out" / "worthiness-seed0" / "round-01" / "run" / "run.json").read_text())
    assert [stage["lr"] for stage in run["recipe"]["stages"]] == [0.001, 0.05]
    (tmp_path / "other.toml").write_text(HEAD.replace("embedding", "mien_s"))
    with pytest.raises(MienError, match="whose network is embedding"):
        rounds(faceset, plan(tune=str(tmp_path / "other.toml")), tmp_path / "none")


@pytest.mark.usefixtures("checkpoint_each_batch")
def test_killed_again_and_again(faceset: Path, plan: Plans, tmp_path: Path) -> None:
    """Within scoring, training and between both: the same curve, the same weights, bit for bit, and nothing is done twice."""
    given = plan(acquire=("random", "worthiness"))
    whole = rounds(faceset, given, tmp_path / "whole")
    kills, written = 0, dict[Path, int]()
    for _ in range(50):
        try:
            found = rounds(faceset, given, tmp_path / "killed", StopAfter(1))
            break
        except Interrupted:
            kills += 1
            kept = [*(tmp_path / "killed").rglob("asked.parquet"), *(tmp_path / "killed").rglob("point.json")]
            now = {file: file.stat().st_mtime_ns for file in kept}
            assert written.items() <= now.items(), "what is there is not made again"
            written = now
    assert kills > 10
    assert found == whole
    assert weights(tmp_path / "killed") == weights(tmp_path / "whole")
    for name in ("curve.csv", "table.csv"):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


@pytest.mark.parametrize("where", ["score_pool", "measure_round", "write_round_result", "write_curve_tables"])
def test_killed_before_each_step(faceset: Path, plan: Plans, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    """The second time that it is called: in the first round."""
    given, calls, real = plan(rounds=1), list[int](), getattr(module, where)

    def dying(*words: Any, **named: Any) -> Any:
        calls.append(1)
        if len(calls) == (1 if where == "score_pool" else 2):
            raise Interrupted
        return real(*words, **named)

    monkeypatch.setattr(module, where, dying)
    with pytest.raises(Interrupted):
        rounds(faceset, given, tmp_path / "killed")
    monkeypatch.setattr(module, where, real)
    found = rounds(faceset, given, tmp_path / "killed")
    assert found == rounds(faceset, given, tmp_path / "whole")
    assert weights(tmp_path / "killed") == weights(tmp_path / "whole")


def test_what_is_finished_is_read(faceset: Path, plan: Plans, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = rounds(faceset, plan(seeds=2), tmp_path / "out")
    for name in ("score_pool", "train_or_resume", "measure_round"):
        monkeypatch.setattr(module, name, None)
    heard = Heard()
    assert rounds(faceset, plan(seeds=2), tmp_path / "out", heard) == found
    assert not heard.lines


def test_more_is_added_to_what_is_there(faceset: Path, plan: Plans, tmp_path: Path) -> None:
    """Other strategies, seeds and rounds, with an oracle; the chains that are there stay as they are."""
    first = rounds(faceset, plan(rounds=1), tmp_path / "out")
    before = weights(tmp_path / "out")
    more = plan(acquire=("random", "worthiness"), rounds=2, seeds=2)
    second = rounds(faceset, more, tmp_path / "out")
    assert set(first.points) <= set(second.points)
    assert len(second.points) == 2 * 2 * 3
    assert before.items() <= weights(tmp_path / "out").items()
    assert second == rounds(faceset, more, tmp_path / "at_once")


def test_seeds_decide(faceset: Path, plan: Plans, tmp_path: Path) -> None:
    both = rounds(faceset, plan(seeds=2, rounds=1), tmp_path / "both")
    second = rounds(faceset, plan(seed=1, rounds=1), tmp_path / "second")
    assert both.points[2:] == second.points
    starts = [read_used_ids(tmp_path / "both" / f"start-seed{seed}" / "run") for seed in (0, 1)]
    assert starts[0] != starts[1]
    names = [asked(tmp_path / "both" / f"worthiness-seed{seed}" / "round-01") for seed in (0, 1)]
    assert names[0]["id"] != names[1]["id"]


def test_hidden_labels_and_test_labels_are_never_seen(plan: Plans, tmp_path: Path) -> None:
    """With other labels on the test split, and on all faces of the pool but those asked about, the same models come out."""
    faces, pool, strategies = cached(60), cached(80, seed=5), ("worthiness", "diverse")
    faces.save(tmp_path / "faces_a")
    pool.save(tmp_path / "pool_a")
    rounds(tmp_path / "faces_a", plan(acquire=strategies, pool=tmp_path / "pool_a"), tmp_path / "a")
    names = {
        name.removeprefix("pool:") for file in (tmp_path / "a").glob("*/*/asked.parquet") for name in asked(file.parent)["id"]
    }
    assert 20 < len(names) <= 40
    hidden, tested = ~np.isin(pool.values("id").astype(str), list(names)), faces.values("split") == "test"
    faces.with_column("label", np.where(tested, (faces.labels + 1) % 3, faces.labels)).save(tmp_path / "faces_b")
    pool.with_column("label", np.where(hidden, (pool.labels + 1) % 3, pool.labels)).save(tmp_path / "pool_b")
    rounds(tmp_path / "faces_b", plan(acquire=strategies, pool=tmp_path / "pool_b"), tmp_path / "b")
    assert weights(tmp_path / "a") == weights(tmp_path / "b")


def test_an_oracle_may_be_wrong_as_often_as_is_said(faceset: Path, plan: Plans, tmp_path: Path) -> None:
    """The same flips for all strategies; labels of the start are as they were."""
    rounds(faceset, plan(acquire=("random", "entropy"), oracle=0.3, per_round=100, rounds=1), tmp_path / "out")
    faces = FaceSet.open(faceset)
    truth = dict(zip(faces.values("id"), faces.labels.tolist(), strict=True))
    answers = []
    for name in ("random", "entropy"):
        table = pq.read_table(tmp_path / "out" / f"{name}-seed0" / "round-01" / "answers.parquet").to_pydict()
        answers.append(dict(zip(table["id"], table["answer"], strict=True)))
    assert answers[0] == answers[1]
    wrong = sum(truth[name] != answer for name, answer in answers[0].items())
    assert (len(answers[0]), wrong) == (78, round(0.3 * 90) - sum(_flipped_at_start(tmp_path / "out", faces, 0.3)))
    start = pq.read_table(tmp_path / "out" / "start-seed0" / "run" / "budget.parquet").to_pydict()
    assert all(truth[name] == label for name, label in zip(start["id"], start["label"], strict=True))


def _flipped_at_start(out: Path, faces: FaceSet, noise: float) -> list[bool]:
    """Whether the oracle would have been wrong of the faces that the start had already."""
    world = AllFaces.of(faces, None, True)
    flips = Oracle.of(world, noise, 0).labels != world.faces.labels
    begun = np.isin(world.faces.values("id").astype(str), list(read_used_ids(out / "start-seed0" / "run")))
    return [bool(value) for value in flips[begun]]


def test_a_pool_that_is_smaller_than_a_round_and_then_empty(faceset: Path, plan: Plans, tmp_path: Path) -> None:
    heard = Heard()
    found = rounds(faceset, plan(per_round=50, rounds=5), tmp_path / "out", heard)
    assert [(point.asked, point.pool) for point in found.points] == [(0, 78), (50, 28), (28, 0)]
    assert heard.lines[-1] == "worthiness, seed 0: the pool is empty after round 2"
    heard = Heard()
    all_given = rounds(faceset, plan(start_labels_per_class=None), tmp_path / "all", heard)
    assert [point.labels for point in all_given.points] == [90]
    assert heard.lines[-1] == "worthiness, seed 0: the pool is empty after round 0"


def test_ends_where_too_little_is_gained(faceset: Path, plan: Plans, tmp_path: Path) -> None:
    """By what the new model and the last one make of the same validation faces."""
    heard = Heard()
    found = rounds(faceset, plan(min_gain=1.0, rounds=4), tmp_path / "out", heard)
    assert len(found.points) == 2
    assert "ended after round 1, which gained" in heard.lines[-1]
    last = found.points[-1]
    faces = FaceSet.open(faceset)
    folder = tmp_path / "out" / "worthiness-seed0" / "round-01"
    view = faces.select(np.isin(faces.values("id").astype(str), list(used(folder, "validation"))))
    hits = [
        (Recognizer.load(run).logits(view).argmax(1) == view.labels).mean()
        for run in (tmp_path / "out" / "start-seed0" / "run", folder / "run")
    ]
    assert last.validation_accuracy == pytest.approx(hits[1], abs=1e-6)
    assert last.gain == pytest.approx(hits[1] - hits[0], abs=1e-6)
    with pytest.raises(MienError, match="validation faces, to measure a gain"):
        rounds(faceset, plan(min_gain=0.0, settings={"validation": 0}), tmp_path / "none")


def test_another_set_is_the_pool(faceset: Path, plan: Plans, tmp_path: Path) -> None:
    """Its ids are those of other faces; its test split and faces without label stay outside; only the start is from the set."""
    other = cached(80, seed=5)
    other.with_column("label", np.where(np.arange(80) < 6, -1, other.labels)).save(tmp_path / "pool")
    found = rounds(faceset, plan(pool=tmp_path / "pool", per_round=100, rounds=1), tmp_path / "out")
    assert (found.points[0].pool, found.points[1].asked) == (55, 55), "60 not in its test split, 5 of them without label"
    start, folder = read_used_ids(tmp_path / "out" / "start-seed0" / "run"), tmp_path / "out" / "worthiness-seed0" / "round-01"
    new = set(asked(folder)["id"])
    assert new == {f"pool:{n:07d}" for n in range(6, 80) if n % 4 != 3}
    assert used(folder, "validation") <= start | new
    assert not any(name.startswith("pool:") for name in start)
    card = json.loads((folder / "run" / "model" / "model.json").read_text())
    assert card["faces"]["checksum"] == FaceSet.open(faceset).info.checksum


def test_a_pools_classes_are_taken_by_name(faceset: Path, plan: Plans, tmp_path: Path) -> None:
    """In whatever order: the same answers and weights. A class that the set has not is not asked about, which is said."""
    pool = cached(80, seed=5)
    pool.save(tmp_path / "pool")
    turned = FaceSet.from_arrays(
        pool.faces(),
        (pool.labels + 1) % 3 + (np.arange(80) == 0),
        columns={"split": pool.values("split"), "votes": np.ones((80, 4), np.float32).tolist()},
        info=replace(pool.info, classes=("class2", "class0", "class1", "bored"), count=80, checksum=""),
    )
    labels = turned.labels.copy()
    labels[[1, 2]] = 3
    turned.with_column("label", labels).save(tmp_path / "turned")
    lacking = pool.labels.copy()
    lacking[[1, 2]] = -1
    lacking[0] = 1
    pool.with_column("label", lacking).save(tmp_path / "lacking")
    heard = Heard()
    rounds(faceset, plan(pool=tmp_path / "turned", rounds=1), tmp_path / "a", heard)
    assert "classes of the pool that the face set has not: bored; 2 faces of theirs cannot be asked about" in heard.lines
    rounds(faceset, plan(pool=tmp_path / "lacking", rounds=1), tmp_path / "b")
    assert weights(tmp_path / "a") == weights(tmp_path / "b")
    heard = Heard()
    less = replace(pool, info=replace(pool.info, classes=("class0", "class1")))
    less.with_column("label", np.minimum(pool.labels, 1)).save(tmp_path / "less")
    rounds(faceset, plan(pool=tmp_path / "less", rounds=1), tmp_path / "c", heard)
    assert "classes of the face set that the pool has not: class2" in heard.lines


def test_a_changed_pool_is_refused(faceset: Path, plan: Plans, tmp_path: Path) -> None:
    cached(80, seed=5).save(tmp_path / "pool")
    given = plan(pool=tmp_path / "pool")
    rounds(faceset, given, tmp_path / "out")
    before = {str(file): file.stat().st_mtime_ns for file in (tmp_path / "out").rglob("*")}
    with (tmp_path / "pool" / "faces.npy").open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"\x07")
    with pytest.raises(MienError, match="it was changed"):
        rounds(faceset, given, tmp_path / "out")
    cached(80, seed=6).save(tmp_path / "new")
    with pytest.raises(MienError, match="was begun with, pool = "):
        rounds(faceset, plan(pool=tmp_path / "new"), tmp_path / "out")
    assert {str(file): file.stat().st_mtime_ns for file in (tmp_path / "out").rglob("*")} == before


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"per_round": 11}, "per_round = 10; found per_round = 11"),
        ({"start_labels_per_class": 5}, "start_labels_per_class = 4"),
        ({"learn": "all"}, "learn = new"),
        ({"oracle": 0.1}, "oracle = 0.0"),
        ({"settings": {"batch": 8}}, r"recipe\.batch = 16; found recipe\.batch = 8 \(and 1 more\)"),
        ({"split_to_test": None}, "split_to_test = test; found split_to_test = None"),
        ({"min_gain": 0.0}, "min_gain = None"),
    ],
)
def test_another_plan_is_refused(
    faceset: Path, plan: Plans, tmp_path: Path, other: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    monkeypatch.setattr(module, "train_or_resume", lambda *words, **named: (_ for _ in ()).throw(Interrupted))
    with pytest.raises(Interrupted):
        rounds(faceset, plan(), out)
    before = (out / "rounds.json").read_bytes()
    with pytest.raises(MienError, match=message):
        rounds(faceset, plan(**other), out)
    assert (out / "rounds.json").read_bytes() == before
    with pytest.raises(Interrupted):
        rounds(faceset, plan(), out)


def test_an_opened_set_is_taken_and_one_in_memory_refused(faceset: Path, plan: Plans, tmp_path: Path) -> None:
    faces = FaceSet.open(faceset)
    assert rounds(faces, plan(rounds=1), tmp_path / "out") == rounds(faceset, plan(rounds=1), tmp_path / "out")
    with pytest.raises(MienError, match="a stored face set; found one in memory"):
        rounds(faces.select(range(len(faces))), plan(), tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_what_cannot_be_asked_leaves_nothing(faceset: Path, plan: Plans, tmp_path: Path) -> None:
    features(60).save(tmp_path / "narrow")
    for asked_, message in (
        ({"classes": ("a", "b")}, "a face set without classes, to name them; found class0, class1, class2"),
        ({"pool": faceset}, "another set for `pool`"),
        ({"pool": tmp_path / "narrow"}, "joined sets of one views"),
        ({"split_to_test": "train"}, "a split to test on that nothing is trained on"),
        ({"split_to_test": "validation"}, "a split among test, train"),
        ({"acquire": ("no_such",)}, "in active/acquire; found 'no_such'"),
        ({"acquire": ("worthiness extension",)}, "a strategy as NAME KEY=VALUE"),
        ({"acquire": ("worthiness no_such=1",)}, "no_such"),
        ({"settings": {"no_such": 1}}, "no_such"),
        ({"oracle": None, "store": str(tmp_path / "labels.db")}, "faces that people can look at"),
    ):
        with pytest.raises(MienError, match=message):
            rounds(faceset, plan(**asked_), tmp_path / "out")
        assert not [file for file in (tmp_path / "out").rglob("*") if file.name != "rounds.json"]
        assert asked_.get("store") or not (tmp_path / "out").exists()
    assert not (tmp_path / "labels.db").exists()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    with pytest.raises(MienError, match="or that of these rounds; found other files"):
        rounds(faceset, plan(), tmp_path / "mine")
    with pytest.raises(MienError, match="a folder at"):
        rounds(faceset, plan(), tmp_path / "mine" / "letter.txt")


def test_plans_that_cannot_be(plan: Plans) -> None:
    for asked_, message in (
        ({"oracle": None}, "found neither"),
        ({"store": "labels.db"}, "found both"),
        ({"oracle": None, "store": "labels.db", "seeds": 2}, "one strategy and one seed"),
        ({"acquire": ("random", "random")}, "different strategies"),
        ({"acquire": ("worthiness share=.5", "worthiness_share=.5")}, "different strategies"),
    ):
        with pytest.raises(MienError, match=message):
            plan(**asked_)
    assert plan(acquire=("margin", "random")).reference == "random"
    assert plan(acquire=("margin", "entropy")).reference == "margin"
    assert vars(build_strategy("worthiness extension=1 normalize=literal"))["extension"] == 1
    with pytest.raises(MienError, match=r"a subclass of mien\.active\.acquire\.Acquire for strategy = photographs:Bright"):
        build_strategy("photographs:Bright")
    assert folder_name("a b:C/..") == "a_b_C_.."


# Before there is a model.


def test_from_nothing(faceset: Path, plan: Plans, tmp_path: Path) -> None:
    """No label at first: typical faces are asked about, or random ones; the first model learns from the answers alone."""
    heard, given = Heard(), plan(acquire=("worthiness", "typical", "random"), start_labels_per_class=0)
    found = rounds(faceset, given, tmp_path / "out", heard)
    assert [point.labels for point in found.points] == 3 * [0, 10, 20]
    assert (found.points[0].accuracy, found.points[0].pool, found.points[1].gain) == (None, 90, None)
    assert all(point.accuracy is not None for point in found.points if point.round)
    assert "there is no model yet: faces are chosen by typical" in heard.lines
    names = [f"{name}-seed0" for name in ("worthiness", "typical", "random")]
    first = [asked(tmp_path / "out" / name / "round-01") for name in names]
    assert first[0]["id"] == first[1]["id"] != first[2]["id"]
    assert {guess for one in first for guess in one["guess"]} == {UNDECIDED}
    assert not (tmp_path / "out" / "start-seed0" / "run").exists()
    run = json.loads((tmp_path / "out" / names[0] / "round-01" / "run" / "run.json").read_text())
    assert (run["recipe"]["start"]["technique"], len(run["recipe"]["stages"])) == ("scratch", 2)
    again = json.loads((tmp_path / "out" / names[0] / "round-02" / "run" / "run.json").read_text())
    assert again["recipe"]["start"]["technique"] == "weights"
    assert rounds(faceset, given, tmp_path / "out") == found


@pytest.mark.usefixtures("checkpoint_each_batch")
def test_killed_before_there_is_a_model(faceset: Path, plan: Plans, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(first_round, "BATCH", 200)  # Features are computed in one go, and are not kept.
    given, kills = plan(start_labels_per_class=0, rounds=1), 0
    whole = rounds(faceset, given, tmp_path / "whole")
    for _ in range(50):
        try:
            found = rounds(faceset, given, tmp_path / "killed", StopAfter(1))
            break
        except Interrupted:
            kills += 1
    assert kills
    assert found == whole
    assert weights(tmp_path / "killed") == weights(tmp_path / "whole")


def test_answers_of_one_class_make_no_model(plan: Plans, tmp_path: Path) -> None:
    """The next round is asked without one, and its figures are those of none."""
    faces = cached()
    faces.with_column("label", np.where(faces.values("split") == "test", faces.labels, -1)).save(tmp_path / "faces")
    alike = cached(40, seed=3)
    alike.with_column("label", np.ones(40, np.int64)).save(tmp_path / "pool")
    given = plan(pool=tmp_path / "pool", start_labels_per_class=None, acquire=("typical",))
    found = rounds(tmp_path / "faces", given, tmp_path / "out")
    assert [(point.labels, point.accuracy) for point in found.points] == [(0, None), (10, None), (20, None)]
    with pytest.raises(MienError, match="labeled faces to train on"):
        rounds(tmp_path / "faces", plan(pool=tmp_path / "pool"), tmp_path / "none")


def test_without_a_face_net_the_first_faces_are_random(
    pictures: RoundsSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """People are asked about faces that no class is known of: classes are named, and the page opens without a model."""
    monkeypatch.setattr(first_round, "package_folder", lambda name: None)
    pool = bright_faces(30, seed=3)
    nameless = replace(pool, info=replace(pool.info, classes=()))
    FaceSet.from_arrays(nameless.faces(), columns={"split": ["train"] * 30}).save(tmp_path / "nameless")
    given = replace(pictures, pool=None, start_labels_per_class=None, split_to_test=None, per_face=1)
    with pytest.raises(MienError, match="classes to choose from; found none in the face set; name them: `classes`"):
        rounds(tmp_path / "nameless", given, tmp_path / "out")
    heard, named = Heard(), replace(given, classes=("dark", "gray", "bright"))
    with pytest.raises(MienError, match=r"open the page: mien annotate \S+ --store"):
        rounds(tmp_path / "nameless", named, tmp_path / "out", heard, go_on=True)
    assert any(line.startswith("there is no model yet: faces are drawn at random; to ask about typical") for line in heard.lines)
    with Store.open(tmp_path / "labels.db") as store:
        assert store.info.classes == ("dark", "gray", "bright")
        assert {(question.model, question.guess) for question in store.questions(1)} == {(None, None)}
        store.accounts.add("ann")
        for number, question in enumerate(store.next_questions("ann", 8)):
            store.answer("ann", Reply(question.face, label=number % 3))

    def stop(store: Store) -> None:
        raise Interrupted

    answering(monkeypatch, tmp_path / "labels.db", stop)
    with pytest.raises(Interrupted):
        rounds(tmp_path / "nameless", named, tmp_path / "out", heard, go_on=True)
    run = tmp_path / "out" / "worthiness-seed0" / "round-01" / "run"
    assert f"mien annotate {tmp_path / 'nameless'} --model {run} --store" in heard.lines[-1]


# What is known.


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.integers(0, 29), st.integers(-3, 2)), max_size=40), st.integers(1, 5), st.integers(0, 3))
def test_answers_are_counted_once(said: list[tuple[int, int]], size: int, seed: int) -> None:
    """Whatever is answered in whatever portions: every face has one use, and the charge is what was decided."""
    labels = np.arange(40) % 3
    faces = FaceSet.from_arrays(np.zeros((40, 4, 4), np.uint8), labels, ["a", "b", "c"])
    world = AllFaces(faces, 40, np.arange(30))
    nobody = np.zeros(0, np.int64)
    begun = np.arange(30, 40)
    known = KnownLabels(np.where(np.arange(40) >= 30, labels, -1), begun, begun[2:], begun[:2], nobody, nobody)
    decided: dict[int, int] = {}
    for start in range(0, len(said), size):
        portion = {row: answer for row, answer in said[start : start + size] if row in world.open(known)}
        rows, answers = np.array(list(portion), np.int64), np.array(list(portion.values()), np.int64)
        known = known.with_answers(rows, answers, 0.2, seed)
        decided |= {row: answer for row, answer in portion.items() if answer != UNDECIDED}
    uses = np.concatenate([known.train, known.validation, known.rejected, known.disputed])
    assert len(uses) == len(set(uses.tolist())) == known.charged == 10 + len(decided)
    assert set(known.rejected) == {row for row, answer in decided.items() if answer == NOT_A_FACE}
    assert set(known.disputed) == {row for row, answer in decided.items() if answer == DISPUTED}
    assert {row: known.labels[row] for row in decided if decided[row] >= 0} == {r: a for r, a in decided.items() if a >= 0}
    assert set(world.open(known)) == set(range(30)) - set(decided)
    view = world.view(known)
    assert (view.labels >= 0).sum() == len(known.train) + len(known.validation)
    assert set(np.flatnonzero(view.values("split") != "train")) == set(known.rejected)


def test_votes_are_those_of_the_start_alone() -> None:
    faces = bright_faces(30).with_column("split", ["train"] * 30)
    world = AllFaces.of(faces, None, True)
    known = world.start(2, 0.2, 0)
    known = known.with_answers(world.open(known)[:5], np.ones(5, np.int64), 0.2, 0)
    votes = world.view(known).votes
    assert votes is not None
    assert set(np.flatnonzero(votes.sum(axis=1))) == set(known.start)


# The curve.


def test_the_table_against_a_loop(faceset: Path, plan: Plans, tmp_path: Path) -> None:
    found = rounds(faceset, plan(acquire=("entropy", "random"), seeds=3, rounds=1), tmp_path / "out")
    with (tmp_path / "out" / "curve.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 12
    with (tmp_path / "out" / "table.csv").open() as file:
        table = list(csv.DictReader(file))
    assert [(row["strategy"], row["round"], row["labels"]) for row in table] == [
        (name, str(number), str(12 + 10 * number)) for name in ("entropy", "random") for number in (0, 1)
    ]
    for row in table:
        mine = [
            float(point["accuracy"]) for point in rows if (point["strategy"], point["round"]) == (row["strategy"], row["round"])
        ]
        theirs = [float(point["accuracy"]) for point in rows if (point["strategy"], point["round"]) == ("random", row["round"])]
        assert float(row["accuracy"]) == pytest.approx(np.mean(mine), abs=1e-5)
        assert float(row["accuracy_sd"] or 0) == pytest.approx(np.std(mine, ddof=1), abs=1e-5)
        if row["strategy"] == "random":
            assert row["difference"] == ""
            continue
        differences = np.subtract(mine, theirs)
        half = 4.302653 * differences.std(ddof=1) / np.sqrt(3)
        assert float(row["difference"]) == pytest.approx(differences.mean(), abs=1e-5)
        assert float(row["difference_high"]) - float(row["difference"]) == pytest.approx(half, abs=1e-4)
    assert json.loads(json.dumps(found.to_json()))["table"][1]["difference_pairs"] == 3
    with Image.open(tmp_path / "out" / "curve.png") as picture:
        assert picture.format == "PNG"
        assert picture.width > 1000


def test_without_a_split_to_test_figures_are_those_on_validation(faceset: Path, plan: Plans, tmp_path: Path) -> None:
    found = rounds(faceset, plan(split_to_test=None), tmp_path / "out")
    assert {point.accuracy for point in found.points} == {None}
    assert [line.accuracy.mean for line in found.lines] == pytest.approx([point.validation_accuracy for point in found.points])


def test_the_split_to_test_is_the_sets_own(faceset: Path, plan: Plans, tmp_path: Path) -> None:
    """Where nobody says, and as the rounds were begun, in whatever folder; validation where there is none, which is said."""
    found = rounds(faceset, plan(split_to_test="auto"), tmp_path / "out")
    assert (found.tested, {point.tested for point in found.points}) == ("test", {30})
    assert rounds(faceset, plan(split_to_test="test"), tmp_path / "out") == found
    rounds(faceset, plan(split_to_test=None, rounds=1), tmp_path / "old")
    again = rounds(faceset, plan(split_to_test="auto"), tmp_path / "old")
    assert (again.tested, {point.accuracy for point in again.points}) == (None, {None})
    faces = cached()
    for number, column in enumerate((np.where(faces.values("split") == "test", "dev", "train"), np.full(120, "train"))):
        faces.with_column("split", column).save(tmp_path / f"faces{number}")
        heard = Heard()
        said = rounds(tmp_path / f"faces{number}", plan(split_to_test="auto", rounds=1), tmp_path / f"out{number}", heard)
        assert said.tested is None
        assert "no labeled split to test on: figures are those on validation; name a split with --split-to-test" in heard.lines
    unlabeled = faces.with_column("label", np.where(faces.values("split") == "test", -1, faces.labels))
    unlabeled.save(tmp_path / "unlabeled")
    assert rounds(tmp_path / "unlabeled", plan(split_to_test="auto", rounds=1), tmp_path / "out2").tested is None


def test_epochs_and_a_start_are_asked_for(tmp_path: Path, plan: Plans) -> None:
    """Of the first model's recipe; going on has its last stage's share, and the same network."""
    whole = Recipes.of(plan(epochs=10))
    assert [stage.epochs for stage in whole.whole.stages] == [5, 5]
    assert [stage.epochs for stage in whole.tuning.stages] == [5]
    begun = Recipes.of(plan(start="mien-s", tune="supervised"))
    assert begun.whole.start == {"technique": "weights", "path": "mien-s"}
    assert begun.whole.model == begun.tuning.model == {"network": "mien_s"}
    assert begun.whole.normalize == begun.tuning.normalize == "face"
    assert begun.going_on(tmp_path).start == {"technique": "weights", "path": str(tmp_path)}
    with pytest.raises(MienError, match="at least 2 epochs"):
        Recipes.of(plan(epochs=1))


def test_chains_that_ended_early_are_compared_where_both_are() -> None:
    points = [
        RoundResult("random", seed, number, labels=10 * number, accuracy=0.5, average_accuracy=0.4)
        for seed in (0, 1)
        for number in (0, 1)
    ]
    points += [RoundResult("margin", 0, number, labels=10 * number, accuracy=0.6, average_accuracy=0.4) for number in (0, 1, 2)]
    found = LearningCurve(("random", "margin"), "random", "test", tuple(points))
    pairs = {(line.strategy, line.round): line.difference.pairs for line in found.lines}
    assert pairs == {("random", 0): 0, ("random", 1): 0, ("margin", 0): 1, ("margin", 1): 1, ("margin", 2): 0}
    assert found.lines[-1].accuracy.mean == 0.6


# People.


@pytest.fixture
def pictures(tmp_path: Path, plan: Plans, stored: Path) -> RoundsSettings:
    """A plan for `stored`, whose pool is another set, on pixels; people answer."""
    (tmp_path / "tiny.toml").write_text(TINY + 'unlabeled = "conftest:Agree"\n')
    bright_faces(40, seed=3).save(tmp_path / "pool")
    made = plan(recipe=str(tmp_path / "tiny.toml"), oracle=None, store=str(tmp_path / "labels.db"), pool=tmp_path / "pool")
    return replace(made, per_face=2, per_round=8)


def answering(monkeypatch: pytest.MonkeyPatch, address: Path, answers: Callable[[Store], None]) -> list[int]:
    """While mien waits, `answers` is called instead of time passing; counts how often."""
    waited = list[int]()

    def sleep(seconds: float) -> None:
        waited.append(1)
        with Store.open(address) as store:
            answers(store)

    monkeypatch.setattr(human_annotators, "time", SimpleNamespace(sleep=sleep))
    return waited


def test_people_are_asked_and_waited_for(
    stored: Path, pictures: RoundsSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two of them, face by face: labels, a face that is none, one they do not agree on; each charged as it has to be."""
    truth = dict(zip(FaceSet.open(tmp_path / "pool").values("id"), FaceSet.open(tmp_path / "pool").labels.tolist(), strict=True))
    odd: list[str] = []

    def reply(store: Store) -> None:
        for name in ("ann", "bob"):
            if name not in store.accounts.names():
                store.accounts.add(name)
            for question in store.next_questions(name, 3):
                if question.round == 1 and len(odd) < 2 and question.face not in odd:
                    odd.append(question.face)
                kind = {face: place for place, face in enumerate(odd)}.get(question.face)
                if kind == 0:
                    store.answer(name, Reply(question.face, "not_a_face"))
                elif kind == 1:
                    store.answer(name, Reply(question.face, label=0 if name == "ann" else 1))
                else:
                    store.answer(name, Reply(question.face, label=truth[question.face]))

    waited, heard = answering(monkeypatch, tmp_path / "labels.db", reply), Heard()
    found = rounds(stored, pictures, tmp_path / "out", heard)
    assert len(waited) > 3
    first, second = found.points[1:]
    assert (first.asked, first.labels, first.rejected, first.disputed, first.undecided) == (8, 20, 1, 1, 0)
    assert first.train + first.validation == 12 + 6
    assert (second.labels, second.rejected, second.disputed, second.pool) == (28, 1, 1, 32 - 16)
    folder = tmp_path / "out" / "worthiness-seed0"
    table = pq.read_table(folder / "round-01" / "answers.parquet").to_pydict()
    answers = {name.removeprefix("pool:"): answer for name, answer in zip(table["id"], table["answer"], strict=True)}
    assert answers == {name: truth[name] for name in answers} | {odd[0]: NOT_A_FACE, odd[1]: DISPUTED}
    assert not set(odd) & {name.removeprefix("pool:") for name in asked(folder / "round-02")["id"]}
    with Store.open(tmp_path / "labels.db") as store:
        questions = store.questions(1)
        assert [question.face for question in questions] == [
            name.removeprefix("pool:") for name in asked(folder / "round-01")["id"]
        ]
        assert {question.model for question in questions} == {
            Recognizer.load(tmp_path / "out" / "start-seed0" / "run").card.weights
        }
        assert [question.guess for question in questions] == asked(folder / "round-01")["guess"]
    told = next(line for line in heard.lines if line.startswith("round 1: 8 of 8 faces wait for answers"))
    assert f"mien annotate {tmp_path / 'pool'} --model {tmp_path / 'out' / 'start-seed0' / 'run'} --store" in told
    budget = json.loads((folder / "round-02" / "run" / "model" / "model.json").read_text())["budget"]
    learned = len(used(folder / "round-02", "train"))
    assert budget["unlabeled"] == 96 + 32 - 1 - learned - second.validation, "a face that is none is not learned from at all"
    assert rounds(stored, pictures, tmp_path / "out") == found


def test_stopped_while_waiting_and_told_to_go_on(
    stored: Path, pictures: RoundsSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Faces with too few answers stay in the pool, uncharged; the next round waits again."""
    given = replace(pictures, split_to_test=None)

    def stop(store: Store) -> None:
        raise Interrupted

    answering(monkeypatch, tmp_path / "labels.db", stop)
    with pytest.raises(Interrupted):
        rounds(stored, given, tmp_path / "out")
    with pytest.raises(
        MienError, match="an answer to go on with; found none to the 8 faces of round 1; open the page: mien annot"
    ):
        rounds(stored, given, tmp_path / "out", go_on=True)
    with Store.open(tmp_path / "labels.db") as store:
        store.accounts.add("ann")
        for question in store.next_questions("ann", 5):
            store.answer("ann", Reply(question.face, label=1))
        last = store.questions(1)[5]
        store.answer("ann", Reply(last.face, "unsure"))
    with pytest.raises(Interrupted):
        rounds(stored, given, tmp_path / "out", go_on=True)
    folder = tmp_path / "out" / "worthiness-seed0"
    answers = pq.read_table(folder / "round-01" / "answers.parquet").column("answer").to_pylist()
    assert sorted(answers) == [UNDECIDED] * 3 + [1] * 5
    point = json.loads((folder / "round-01" / "point.json").read_text())
    assert (point["labels"], point["undecided"], point["pool"]) == (12 + 5, 3, 32 - 5)
    assert (folder / "round-02" / "asked.parquet").is_file()
    assert not (folder / "round-02" / "answers.parquet").exists()


def test_a_store_of_something_else_is_refused(stored: Path, pictures: RoundsSettings, tmp_path: Path) -> None:
    Store.create(tmp_path / "labels.db", ["class0", "class1", "class2"], "another", "0" * 64, 2).close()
    with pytest.raises(MienError, match="the pool 'another' as it was when"):
        rounds(stored, pictures, tmp_path / "out")
    info = FaceSet.open(tmp_path / "pool").info
    Store.create(tmp_path / "three.db", info.classes, info.name, info.checksum, 3).close()
    with pytest.raises(MienError, match="a store made for 2 answers to a face; found 3"):
        rounds(stored, replace(pictures, store=str(tmp_path / "three.db")), tmp_path / "other")
    twins = bright_faces(20, seed=4).with_column("id", [f"{n // 2}" for n in range(20)])
    twins.save(tmp_path / "twins")
    with pytest.raises(MienError, match="faces with ids of their own"):
        rounds(stored, replace(pictures, pool=tmp_path / "twins", store=str(tmp_path / "new.db")), tmp_path / "third")


def test_passwords_are_not_written_down() -> None:
    pytest.importorskip("psycopg")
    assert (
        human_annotators.address_without_password("postgresql://ann:secret@host/labels")
        == "postgresql+psycopg://ann:***@host/labels"
    )
    assert human_annotators.address_without_password("labels.db") == "labels.db"


def test_two_processes_do_not_work_in_one_folder(faceset: Path, plan: Plans, tmp_path: Path) -> None:
    with exclusive(tmp_path / "out"), pytest.raises(MienError, match=r"to work in .* alone; found another process that does"):
        rounds(faceset, plan(), tmp_path / "out")
    assert not (tmp_path / "out").exists(), "nothing was written"
