"""Which recipe is chosen where nobody names one: by table, and never one that cannot run."""

from functools import cache
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from conftest import refused
from mien import MienError, Recipe
from mien.models import architecture
from mien.recipes.automatic import CANDIDATES, FEW_PER_CLASS, INSTALL, PLAIN, RunFacts, choose, choose_by_changes
from mien.recipes.recipe_files import recipe_names
from mien.training.components import looks_at_unlabeled

ALL = [one.name for one in CANDIDATES]
THERE = [name for name in ALL if name in recipe_names()]


def few(**more: Any) -> RunFacts:
    """Facts of a run with 25 labels a class."""
    return RunFacts(200, 8, **more)


def many(**more: Any) -> RunFacts:
    """Facts of a run with thousands of labels a class."""
    return RunFacts(30_000, 8, **more)


@pytest.mark.parametrize(
    ("facts", "name"),
    [
        (few(unlabeled=9000, face_net=True), "few"),
        (few(unlabeled=0, face_net=True), "few"),
        (few(unlabeled=9000, face_net=True, side=224, votes=True), "few"),
        (few(unlabeled=9000), "fixmatch_small"),
        (few(unlabeled=999), "supervised"),
        (few(unlabeled=9000, side=24, face_net=True), "supervised"),
        (few(unlabeled=1, face_net=True), "supervised"),
        (few(unlabeled=5, further=True), "fixmatch_small"),
        (RunFacts(8 * FEW_PER_CLASS, 8, face_net=True), "few"),
        (RunFacts(8 * FEW_PER_CLASS + 1, 8, face_net=True), "supervised"),
        (many(unlabeled=9000, face_net=True), "supervised"),
        (many(votes=True, face_net=True), "ferplus"),
        (many(votes=True, further=True, unlabeled=50, face_net=True), "few"),
        (many(votes=True, further=True, unlabeled=50), "fixmatch_small"),
        (few(side=0, face_net=True), "linear_head"),
        (few(side=0, unlabeled=500), "few_cached"),
        (many(side=0, unlabeled=500, votes=True), "linear_head"),
        (many(side=0, unlabeled=500, further=True), "few_cached"),
    ],
)
def test_the_facts_decide(facts: RunFacts, name: str) -> None:
    choice = choose(facts, ALL)
    assert choice.name == name
    assert f"found: {facts}" in choice.reasons


def test_a_recipe_that_is_not_there_is_not_chosen() -> None:
    facts = few(side=0, unlabeled=500)
    assert choose(facts, set(ALL) - {"few_cached"}).name == "linear_head"
    assert choose(few(face_net=True), ["supervised"]).name == "supervised"
    with refused("a recipe that learns from unlabeled faces", "cached features", "`recipe`"):
        choose(few(side=0, unlabeled=500, further=True), set(ALL) - {"few_cached"})


def test_a_recipe_that_was_not_meant_for_the_run_gives_no_reason_of_its_own() -> None:
    for facts in (many(further=True, unlabeled=50, face_net=True), many(side=0, unlabeled=500, further=True)):
        assert choose(facts, ALL).reasons[0] == "of the recipes that can run on this, the first: none is meant for it"
    assert choose(few(unlabeled=1, face_net=True), ALL).reasons[1] == "one face without a label alone cannot be normalized"


def test_what_would_be_better_is_offered() -> None:
    without, with_net = few(unlabeled=9000), few(face_net=True)
    said = choose(without, ALL)
    assert any(INSTALL in offer for offer in said.offers)
    assert any("--start mien-s" in offer for offer in said.offers)
    assert "no face-recognition network is installed" in said.reasons
    assert [offer.split()[0] for offer in choose(with_net, ALL).offers] == ["--unlabeled"]
    assert "--recipe few_small" in choose(with_net, [*ALL, "few_small"]).offers[-1]
    assert choose(many(), ALL).offers == ()
    assert choose(few(side=16), ALL).offers == (), "too small for a face net"


@pytest.mark.parametrize(
    ("model", "start", "keys", "told"),
    [
        ("resnet18", None, [], "--model"),
        (None, "mien-s", ["batch"], "--start"),
        (None, None, ["model.width", "batch"], "--set model.width"),
        (None, None, ["start"], "--set start"),
        (None, None, ["batch", "stages.0.lr", "modelled"], None),
    ],
)
def test_another_network_or_start_is_the_plain_recipes(
    model: str | None, start: str | None, keys: list[str], told: str | None
) -> None:
    choice = choose_by_changes(model, start, keys)
    assert (None if choice is None else choice.reasons[0].split(" without")[0]) == told
    assert choice is None or choice.name == PLAIN


@cache
def learns_from(name: str) -> bool:
    return looks_at_unlabeled(Recipe.load(name))


@cache
def builds(name: str, side: int, channels: int) -> bool:
    with torch.device("meta"):  # no weights are drawn
        made = architecture(Recipe.load(name).model).build(2, channels, side)
    return made.shape == ((channels, side, side) if side else (channels,))


@given(
    st.builds(
        RunFacts,
        labels=st.integers(2, 50_000),
        classes=st.integers(2, 8),
        unlabeled=st.one_of(st.integers(0, 3), st.integers(0, 10**6)),
        further=st.booleans(),
        side=st.sampled_from([0, 16, 31, 32, 48, 112]),
        votes=st.booleans(),
        face_net=st.booleans(),
    ),
    st.sampled_from([1, 3]),
    st.sets(st.sampled_from(THERE), min_size=1),
)
def test_no_recipe_is_chosen_that_cannot_run(facts: RunFacts, channels: int, known: set[str]) -> None:
    try:
        name = choose(facts, known).name
    except MienError:
        assert known != set(THERE) or (facts.further and not facts.side and "few_cached" not in THERE)
        return
    recipe = Recipe.load(name)
    assert name in known
    assert builds(name, facts.side, channels)
    assert facts.face_net or "facenet_dlib" not in (recipe.model["network"], recipe.start.get("source"))
    assert not facts.further or learns_from(name)
    assert facts.votes or recipe.targets["technique"] != "votes"
    assert facts.unlabeled != 1 or "grid" not in recipe.model, "one face alone cannot be normalized"


def test_more_labels_never_lead_from_many_to_few() -> None:
    for net in (False, True):
        names = [
            choose(RunFacts(8 * count, 8, unlabeled=5000, face_net=net), THERE).name for count in (2, 25, 250, 500, 501, 4000)
        ]
        assert len(set(names[:4])) == len(set(names[4:])) == 1
        assert names[0] != names[-1] == "supervised"
