"""The recipes that mien brings: each paper's own settings and its small brother, and resuming in the middle of every one."""

from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
import torch

from conftest import Interrupted, StopAfter, bright_faces
from mien import Recipe, TrainingSettings, resume, train
from mien.data.augment import Distortion
from mien.models import architecture
from mien.recipes.recipe import QUESTIONS
from mien.recipes.recipe_files import recipe_names
from mien.recognize.run_records import read_history
from mien.techniques.start.distill import Distill
from mien.techniques.weigh.neighborhood import Neighborhood
from mien.training.components import Components, looks_at_unlabeled
from runs import changed

SYSTEMS = ("supervised", "pl", "pl_alrao", "alt", "st", "sw", "st_sw", "fixmatch", "self_supervised")
"""What stands in comparisons: each in the settings of its paper, and small."""
SMALL = [f"{name}_small" for name in SYSTEMS]
FROM_FACE_NETS = ("scratch_bn", "dal", "fn2en")
"""Papers with a network of their own: their small brothers keep it, and so differ in more than a technique."""
FACE = ("pl_face", "alt_face", "st_sw_face", "fixmatch_face")
"""From the good start that face_finetune makes."""
SNA = ("two_scale", "sna", "sna_threshold", "sna_label")
"""Of one paper: its network, its mask by either threshold, and the one that reads labels."""
NOISE = ("self_cure_small", "eac_small", "pruned_small")
"""Against wrong labels: as two_scale_small, but for one technique each."""
COMPOSED = ("few_small", "adabn_small", "consistent_small")
"""Small, and of no paper alone: few's knowledge in a small network, AdaBN, and consistency with neighbors."""


def text(name: str) -> str:
    return (resources.files("mien.recipes") / f"{name}.toml").read_text("utf-8")


def answer(name: str, question: str) -> dict[str, Any]:
    """A recipe's answer to a question in its last stage, which is where its technique is at work."""
    recipe = Recipe.load(name)
    found = (recipe.stages[-1].answers or {}).get(question, getattr(recipe, question))
    return dict(found[0] if isinstance(found, tuple) else found)


def header(name: str) -> str:
    """The comment above the first setting."""
    lines = text(name).splitlines()
    return " ".join(lines[: next(number for number, line in enumerate(lines) if not line.startswith("#"))])


def test_every_system_has_both_brothers() -> None:
    known = set(recipe_names())
    others = {f"{name}_small" for name in (*FROM_FACE_NETS, *SNA)}
    assert known >= {*SYSTEMS, *SMALL, *FROM_FACE_NETS, *SNA, *others}
    assert {name for name in known if name.endswith("_small")} == {*SMALL, *others, *NOISE, *COMPOSED}


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_loads_with_all_its_techniques(name: str) -> None:
    recipe = Recipe.load(name)
    assert Recipe.parse(recipe.table()) == recipe
    for stage in recipe.stages:
        made = Components.of(recipe, stage)
        assert all(callable(technique) for technique in (made.draw, made.targets, *made.weigh, made.unlabeled, made.step))


@pytest.mark.parametrize("name", [*SMALL, *(name for name in SYSTEMS if name != "supervised")])
def test_a_header_says_what_it_changes(name: str) -> None:
    assert len(header(name)) > 80


@pytest.mark.parametrize("name", FROM_FACE_NETS)
def test_brothers_with_a_network_of_their_own(name: str) -> None:
    """The same stages and loss, in 30 epochs, on as many views and batches as the other small ones."""
    big, small, plain = (Recipe.load(which) for which in (name, f"{name}_small", "supervised_small"))
    assert small.model["network"].removesuffix("_small") == big.model["network"]
    assert small.start["technique"] == big.start["technique"]
    assert small.loss == big.loss
    assert sum(stage.epochs for stage in small.stages) == (12 if name == "fn2en" else 30)
    for key in ("batch", "unlabeled_batch", "normalize", "validation", "choose", "average", "augment", "precision", "draw"):
        assert getattr(small, key) == getattr(plain, key), key
    assert "Beside these" in header(f"{name}_small")
    assert len(header(name)) > 80


def test_sna_as_its_paper_says() -> None:
    """50 epochs at 1e-2, a tenth after every 10, equal classes in batches of 63; the recipes differ in the mask alone."""
    baseline = Recipe.load("two_scale")
    (stage,) = baseline.stages
    assert (stage.epochs, stage.lr, stage.weight_decay, stage.optimizer) == (50, 1e-2, 2e-3, "sgd")
    assert [round(drop * stage.epochs) for drop in stage.drops] == [10, 20, 30, 40]
    assert (baseline.batch, baseline.draw["technique"], baseline.loss["technique"]) == (63, "balanced", "focal")
    assert (baseline.average, baseline.choose) == (0.0, "accuracy")
    assert (baseline.model, baseline.weigh) == ({"network": "two_scale"}, ({"technique": "equal"},))
    for size in ("", "_small"):
        plain, preset = Recipe.load(f"two_scale{size}"), "small" if size else "paper"
        for name, threshold in (("sna", "batch"), ("sna_threshold", "calibrated")):
            masked = Recipe.load(f"{name}{size}")
            (mask,) = Components.of(masked, masked.stages[0]).weigh
            assert isinstance(mask, Neighborhood)
            assert (mask.threshold, mask.autoencoder, mask.space, mask.scoring) == (threshold, preset, "autoencoder", "eval")
            same = {"weigh": list(plain.weigh), "title": plain.title}
            assert Recipe.parse(masked.table() | same) == plain
            assert len(header(f"{name}{size}")) > 80
        masked = Recipe.load(f"sna_label{size}")
        (mask,) = Components.of(masked, masked.stages[0]).weigh
        assert isinstance(mask, Neighborhood)
        assert (mask.neighbors, mask.score, mask.threshold) == ("views", "label", "batch")
        assert Recipe.parse(masked.table() | same) == plain


def test_the_small_ones_of_sna_can_be_compared_with_the_others() -> None:
    small, other = Recipe.load("two_scale_small"), Recipe.load("supervised_small")
    for key in ("batch", "unlabeled_batch", "normalize", "validation", "choose", "average", "augment", "precision", "stages"):
        assert getattr(small, key) == getattr(other, key), key
    assert small.draw["at_least"] == other.draw["at_least"]
    assert all("Beside these: two_scale" in header(f"{name}_small") for name in SNA)


@pytest.mark.parametrize(
    ("name", "answers"),
    [
        ("self_cure_small", {"weigh": ["self_cure"], "targets": "relabeled"}),
        ("eac_small", {"unlabeled": "attention_consistency", "unlabeled_batch": 64}),
        ("pruned_small", {"weigh": ["pruned"]}),
    ],
)
def test_baselines_against_wrong_labels_differ_in_their_technique_alone(name: str, answers: dict[str, Any]) -> None:
    made, plain = Recipe.load(name), Recipe.load("two_scale_small")
    assert Recipe.parse(plain.table() | answers | {"title": made.title}) == made
    assert not looks_at_unlabeled(made), "no face beyond the labeled ones"
    assert len(header(name)) > 80


def test_consistency_differs_from_the_masks_in_its_loss_alone() -> None:
    made, plain = Recipe.load("consistent_small"), Recipe.load("two_scale_small")
    assert Recipe.parse(plain.table() | {"title": made.title, "unlabeled": "neighbor_consistency"}) == made
    assert looks_at_unlabeled(made)
    assert len(header("consistent_small")) > 80


def test_two_scale_long_mirrors_and_does_nothing_else() -> None:
    made, plain = Recipe.load("two_scale_long"), Recipe.load("two_scale_small")
    assert made.augment.weak == Distortion(0.5, *[0.0] * 7)
    assert [(stage.epochs, stage.lr) for stage in made.stages] == [(50, plain.stages[0].lr)]
    for key in ("model", "draw", "weigh", "loss", "batch", "average", "normalize"):
        assert getattr(made, key) == getattr(plain, key), key


def test_two_stages_as_dal_says() -> None:
    """The lowest three frozen, then none, at a tenth of the rate."""
    for name in ("dal", "dal_small"):
        first, second = Recipe.load(name).stages
        assert first.frozen == ("conv1", "conv2", "conv3")
        assert not second.frozen
        assert Recipe.load(name).start["teacher"]["network"] == "facenet_dlib"
        assert second.lr == pytest.approx(first.lr / 10)
        assert Recipe.load(name).loss["gradient"] == "paper"


@pytest.mark.parametrize(
    ("name", "side"),
    [
        ("scratch_bn", 224),
        ("scratch_bn_small", 48),
        ("dal", 144),
        ("dal_small", 48),
        ("face_finetune", 48),
        *((name, 48) for name in FACE),
        ("few_small", 48),
        ("fn2en", 224),
        ("fn2en_small", 48),
        ("sna", 112),
        ("sna_small", 48),
    ],
)
def test_networks_and_frozen_blocks_fit_the_faces(name: str, side: int) -> None:
    recipe = Recipe.load(name)
    with torch.device("meta"):
        network = architecture(recipe.model).build(7, 1, side)
    assert {block for stage in recipe.stages for block in stage.frozen} <= set(network.blocks)


def test_fn2en_as_its_paper_says() -> None:
    """300 epochs of regression, slower after 100; 50 on labels at 1e-4, slower after 20; the map of the fine-tuned net."""
    recipe = Recipe.load("fn2en")
    start = Components.of(recipe, recipe.stages[0]).start
    assert isinstance(start, Distill)
    (regression,) = start.stages
    assert (regression.epochs, regression.lr) == (300, 4.1e-4)
    assert regression.lr == pytest.approx(1e-7 * 128 * 8 * 8 / 2, rel=1e-2), "Caffe's 1/(2N) sum, of a map of 8,192 numbers"
    assert regression.drops == pytest.approx((1 / 3,), abs=1e-3)
    (labels,) = recipe.stages
    assert (labels.epochs, labels.lr, labels.drops, recipe.batch) == (50, 1e-4, (0.4,), 64)
    assert recipe.start["teacher"] == Recipe.load("fn2en_small").start["teacher"] == "face_finetune"
    assert recipe.model["channels"] == 128, "those of dlib's block9 and block10"


@pytest.mark.parametrize("name", SYSTEMS)
def test_brothers_use_the_same_techniques(name: str) -> None:
    for question in QUESTIONS:
        big, small = answer(name, question), answer(f"{name}_small", question)
        assert big["technique"] == small["technique"], question
        keys = (big.keys() | small.keys()) - {"at_least"}
        if any(big.get(key) != small.get(key) for key in keys):
            said = "Beside these" in header(f"{name}_small") or "As pl_small, but" in header(f"{name}_small")
            assert said, f"{question} is set otherwise, and the header does not say so"
            assert "keeps every setting" not in header(f"{name}_small")


def test_small_ones_can_be_compared() -> None:
    """One network, one number of epochs, batches, views and weights' average; what differs is the technique."""
    recipes = [Recipe.load(name) for name in SMALL]
    assert {sum(stage.epochs for stage in recipe.stages) for recipe in recipes} == {30}
    for key in ("batch", "unlabeled_batch", "normalize", "validation", "choose", "average", "augment", "precision"):
        assert len({str(getattr(recipe, key)) for recipe in recipes}) == 1, key
    assert {recipe.model["network"] for recipe in recipes} == {"mien_s"}
    assert {recipe.draw["at_least"] for recipe in recipes} == {40}


@pytest.mark.parametrize("name", FACE)
def test_techniques_from_the_good_start(name: str) -> None:
    """The network, start and first stage of face_finetune; its second stage, longer; the technique works in that alone."""
    made, plain = Recipe.load(name), Recipe.load("face_finetune")
    for key in (
        "model",
        "start",
        "draw",
        "weigh",
        "unlabeled",
        "step",
        "loss",
        "normalize",
        "batch",
        "average",
        "augment",
        "validation",
    ):
        assert getattr(made, key) == getattr(plain, key), key
    assert made.targets["technique"] == ("smoothed" if name == "st_sw_face" else "hard")
    first, second = made.stages
    assert first == plain.stages[0]
    assert replace(second, answers=None) == replace(plain.stages[1], epochs=20)
    for question in second.answers or {}:
        assert answer(name, question)["technique"] == answer(name.replace("face", "small"), question)["technique"]
    assert answer(name, "unlabeled").get("start", 8) == first.epochs, "pseudo-labels begin with the second stage"
    assert (looks_at_unlabeled(made), made.unlabeled_batch) == (True, 128)
    assert "Beside these" in header(name)


def test_few_small_is_taught_by_few() -> None:
    """Its teacher's last map has the form of its own; what the two are taught with is one temperature."""
    made, teacher = Recipe.load("few_small"), Recipe.load("few")
    start = Components.of(made, made.stages[0]).start
    assert isinstance(start, Distill)
    assert (start.teacher, start.keep_logits, start.head, made.validation) == ("few", True, "teacher", 0)
    with torch.device("meta"):
        student, taught = (architecture(recipe.model).build(8, 1, 48) for recipe in (made, teacher))
    assert list(student.shapes().values())[-1] == taught.shapes()[start.block]
    assert start.block == list(taught.blocks)[-1]


def test_who_looks_at_unlabeled_faces() -> None:
    looking = {name for name in SYSTEMS if looks_at_unlabeled(Recipe.load(name))}
    assert looking == set(SYSTEMS) - {"supervised", "sw"}
    assert {name for name in SMALL if looks_at_unlabeled(Recipe.load(name))} == {f"{name}_small" for name in looking}


def test_the_papers_numbers() -> None:
    """As papers/README.md gives them; ALRAO's interval of rates is a tenth of its paper's, for momentum."""
    alt, st_sw, alrao = (Recipe.load(name) for name in ("alt", "st_sw", "pl_alrao"))
    assert [(stage.epochs, stage.lr, stage.optimizer) for stage in alt.stages] == [(50, lr, "sgd") for lr in (1e-3, 1e-4, 1e-5)]
    step = answer("alt", "step")
    assert (step["temperature"], step["slope"], step.get("noise", "gradient")) == (0.2, 0.75, "gradient")
    assert alt.unlabeled["weight"] == 1
    assert (st_sw.batch, st_sw.validation, st_sw.normalize) == (32, 0.1, "face")
    assert {(stage.lr, stage.optimizer) for stage in st_sw.stages} == {(1e-4, "adam")}
    assert st_sw.targets["epsilon"] == 0.05
    assert answer("st_sw", "targets")["alpha"] == 0.7
    assert answer("st_sw", "draw") == {"technique": "replace", "share": 0.02, "threshold": 0.9}
    assert answer("st_sw", "weigh") == {"technique": "importance", "c": 0.3, "sigma": 2.0, "window": 3}
    assert answer("pl_alrao", "step") == {"technique": "random_rates", "low": 1e-6, "high": 1.0}, (
        "a tenth of its interval, for momentum"
    )
    assert alrao.model["copies"] == 10
    assert Recipe.load("fixmatch").unlabeled["threshold"] == 0.95


# Resuming.


WITHIN_REACH = {"start": 1, "ramp": 1, "threshold": 0.34, "share": 0.3, "window": 1, "at_least": 4}
"""Settings by which techniques are at work within six epochs of three classes."""

NOTED: dict[str, tuple[str, ...]] = {
    "supervised": (),
    "pl": ("pseudo_label_share",),
    "pl_alrao": ("pseudo_label_share",),
    "alt": ("temperature", "acceptance"),
    "st": ("replaced",),
    "sw": ("weight",),
    "st_sw": ("replaced", "weight"),
    "fixmatch": ("pseudo_label_share",),
    "self_supervised": (),
}
"""What each notes over its epochs where it is at work."""


def tiny(name: str) -> Recipe:
    """The recipe on a network of 8 channels, float32, 3 epochs a stage (6 in one), everything within reach of them."""
    table = Recipe.load(name).with_network("mien_s").table()
    table["model"] |= {"width": 8, "depths": [1, 1, 1]}
    table |= {"batch": 16, "unlabeled_batch": 16, "average": 0.8, "precision": "float32"}
    if table["start"]["technique"] == "transfer":
        table["start"] = {"technique": "scratch"}
    for stage in table["stages"]:
        stage |= {"frozen": ["stem"] if stage["frozen"] else []}
        stage["epochs"] = 6 // len(table["stages"])
        # Fine-tuning's rates move hardly anything in so few steps, and validation losses are to rise.
        stage["lr"] = max(stage["lr"], 0.01) if name.endswith("_face") else stage["lr"]
    for answers in (table, *((stage["answers"] or {}) for stage in table["stages"])):
        for question in ("draw", "weigh", "unlabeled"):
            given = answers.get(question, {})
            for technique in given if isinstance(given, list | tuple) else [given]:
                technique |= {key: value for key, value in WITHIN_REACH.items() if key in technique}
    table["draw"]["at_least"] = 4
    table["start"] |= {key: value for key, value in {"epochs": 2, "width": 16}.items() if key in table["start"]}
    return Recipe.parse(table)


@pytest.mark.parametrize("name", [*SMALL, *FACE, "alt", "st_sw"])
@pytest.mark.usefixtures("checkpoint_each_batch")
def test_resumed_in_the_middle(name: str, tmp_path: Path) -> None:
    """Big brothers too where optimizer or stages are others. Flipped labels make validation losses rise, and so weights move."""
    recipe, order = tiny(name), TrainingSettings(seed=4, labels=80, noise=0.7, threads=1)
    bright_faces(120).save(tmp_path / "set")
    whole = train(tmp_path / "set", recipe, tmp_path / "whole", order)
    with pytest.raises(Interrupted):
        train(tmp_path / "set", recipe, tmp_path / "killed", order, progress=StopAfter(18))
    assert (tmp_path / "killed" / "checkpoint.safetensors").is_file()
    assert not (tmp_path / "killed" / "model").exists()
    again = resume(tmp_path / "killed")
    assert changed(whole.network.state_dict(), again.network.state_dict()) == set()
    histories = [read_history(tmp_path / folder) for folder in ("whole", "killed")]
    timeless = [[{k: v for k, v in epoch.items() if k != "seconds"} for epoch in history] for history in histories]
    assert timeless[0] == timeless[1]
    assert len(histories[0]) == 6
    for figure in NOTED[name.removesuffix("_small").removesuffix("_face")]:
        assert any(figure in epoch for epoch in histories[0]), f"no {figure}: the technique was not at work"
    if "replaced" in NOTED[name.removesuffix("_small").removesuffix("_face")]:
        assert any(epoch.get("replaced", 0) > 0 for epoch in histories[0])
    if "weight" in NOTED[name.removesuffix("_small").removesuffix("_face")]:
        assert any(epoch.get("weight", 1) < 1 for epoch in histories[0])
