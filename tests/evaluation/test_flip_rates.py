"""Flip rates against a loop over faces and moves; two runs on the same moves; what is refused."""

import json
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Generator

import runs
from conftest import Command, bright_faces, refused, small_recipe
from mien import FaceSet, TrainingSettings, train
from mien.data.augment import distort, to_unit
from mien.data.info import Faces, Info
from mien.evaluation.flip_rates import STILL, MoveSizes, flip_differences, mean_interval, measure_flip_rates
from mien.evaluation.metrics import COVERAGE
from mien.recognize.model_card import ModelCard
from mien.recognize.recognizer import Recognizer

CLASSES = ("class0", "class1", "class2")


@dataclass(frozen=True)
class Where:
    """Stands for a network: it says where a face is brightest, left, middle or right, or always one class."""

    constant: bool = False

    def logits(self, card: ModelCard, faces: Faces, flip: bool) -> npt.NDArray[np.float32]:
        """Logits (N, 3): mean gray of three strips."""
        pixels = faces.faces(np.arange(len(faces)))
        strips = np.array_split(pixels.reshape(*pixels.shape[:3], -1).mean(axis=3), 3, axis=2)
        found = np.stack([strip.mean(axis=(1, 2)) for strip in strips], axis=1).astype(np.float32)
        return np.tile(np.eye(3, dtype=np.float32)[0], (len(faces), 1)) if self.constant else found

    def machine(self) -> str:
        """None."""
        return "none"


def recognizer(channels: int = 1, side: int = 12, **how: Any) -> Recognizer:
    info = Info(classes=CLASSES, side=side, channels=channels)
    return Recognizer(Where(**how), ModelCard(network={}, classes=CLASSES, faces=info))


def noise(count: int = 300, channels: int = 1, side: int = 12) -> FaceSet:
    """More faces than are moved at a time."""
    shape = (count, side, side, *([3] if channels == 3 else []))
    pixels = np.random.default_rng(0).integers(100, 130, shape, dtype=np.uint8)
    return FaceSet.from_arrays(pixels, np.arange(count) % 3, CLASSES, {"split": ["test"] * count})


@pytest.mark.parametrize("channels", [1, 3])
def test_flip_rates_against_a_loop(channels: int) -> None:
    faces, judge, sizes = noise(channels=channels), recognizer(channels), MoveSizes(pixels=1.5, degrees=20, light=0.2)
    found = measure_flip_rates(judge, faces, sizes=sizes, draws=2, seed=4)
    assert (found.split, found.overall["all"].count, len(found.ids)) == ("test", 300, 300)
    for kind, changed in {
        "shift": {"shift": 0.125},
        "turn": {"rotation": 20.0},
        "light": {"contrast": 0.2, "brightness": 0.2},
    }.items():
        generator, shares = Generator().manual_seed(4), []
        for start in (0, 256):
            pixels = faces.faces(np.arange(start, min(300, start + 256)))
            own, flipped = judge.logits(pixels).argmax(axis=1), np.zeros(len(pixels))
            for _ in range(2):
                moved = distort(to_unit(torch.from_numpy(pixels)), replace(STILL, **changed), generator)
                stored = (moved.permute(0, 2, 3, 1) * 255).round().numpy().astype(np.uint8)
                flipped += judge.logits(stored if channels == 3 else stored[..., 0]).argmax(axis=1) != own
            shares += (flipped / 2).tolist()
        assert found.flips[kind].tolist() == shares
        assert found.overall[kind].share == pytest.approx(np.mean(shares))
        assert found.classes["class1"][kind].share == pytest.approx(np.mean(shares[1::3]))
    assert found.flips["all"] == pytest.approx(np.mean([found.flips[kind] for kind in ("shift", "turn", "light")], axis=0))
    assert found.overall["shift"].share > 0
    told = found.to_json()
    assert told["sizes"] == {"pixels": 1.5, "degrees": 20, "light": 0.2}
    assert told["classes"]["class2"]["turn"]["count"] == 100


def test_faces_that_do_not_move_and_answers_that_never_change() -> None:
    still = measure_flip_rates(recognizer(), noise(20), sizes=MoveSizes(pixels=0, degrees=0, light=0))
    constant = measure_flip_rates(recognizer(constant=True), noise(20))
    for found in (still, constant):
        assert [rate.share for rate in found.overall.values()] == [0] * 4


def test_an_interval_against_resampled_faces() -> None:
    values = np.repeat([0.0, 0.25, 1.0], [60, 30, 10])
    found = mean_interval(values, 0)
    drawn = np.random.default_rng(1).choice(values, (4000, 100)).mean(axis=1)
    wanted = np.quantile(drawn, [(1 - COVERAGE) / 2, (1 + COVERAGE) / 2])
    assert (found.low, found.high) == pytest.approx(wanted.tolist(), abs=0.01)
    assert math.isnan(mean_interval(values[:0], 0).low)


def test_two_recognizers_on_the_same_moves() -> None:
    one, other = (measure_flip_rates(recognizer(constant=how), noise(60), seed=1) for how in (True, False))
    assert one.seed == other.seed
    found = flip_differences(one, other)
    for kind, difference in found.items():
        assert difference.mean == pytest.approx(one.overall[kind].share - other.overall[kind].share)
        assert difference.interval.low <= difference.mean <= difference.interval.high
    assert found["shift"].interval.high < 0
    same = flip_differences(other, other)["all"]
    assert (same.mean, same.interval.low, same.interval.high) == (0, 0, 0)
    changes: list[dict[str, Any]] = [{"seed": 2}, {"draws": 3}, {"sizes": MoveSizes(pixels=1)}]
    for changed in changes:
        with refused(f"other {next(iter(changed))}"):
            flip_differences(one, measure_flip_rates(recognizer(), noise(60), **{"seed": 1, **changed}))
    with refused("other ids"):
        flip_differences(one, measure_flip_rates(recognizer(), noise(61), seed=1))


def test_a_class_without_faces_and_faces_without_labels() -> None:
    faces = noise(9).with_column("label", np.array([0, 0, 0, 1, 1, 1, -1, -1, -1]))
    found = measure_flip_rates(recognizer(), faces)
    assert [rates["all"].count for rates in found.classes.values()] == [3, 3, 0]
    assert found.overall["all"].count == 9
    assert found.to_json()["classes"]["class2"]["all"]["share"] is None


def test_what_is_refused(tmp_path: Path) -> None:
    with refused("faces in all; found none"):
        measure_flip_rates(recognizer(), noise(3).select(np.arange(0)), "all")
    with refused("faces to move; found features"):
        train(runs.features(), small_recipe(model={"network": "embedding"}), tmp_path / "f", TrainingSettings(split="all"))
        measure_flip_rates(tmp_path / "f", runs.features(), "all")
    with refused("draws that fits"):
        measure_flip_rates(recognizer(), noise(3), draws=0)
    with refused("degrees"):
        MoveSizes(degrees=181)


def test_on_the_command_line(mien: Command, tmp_path: Path) -> None:
    bright_faces().save(tmp_path / "set")
    once = small_recipe(stages=[{"epochs": 1, "lr": 0.01}])
    for seed, name in enumerate(("one", "two")):
        train(tmp_path / "set", once, tmp_path / name, TrainingSettings(seed=seed, threads=1))
    asked = ("consistency", tmp_path / "one", tmp_path / "set", "--moves", "--draws", 2)
    done = mien(*asked, "--against", tmp_path / "two")
    assert done.code == 0, done.err
    assert done.out.count("95 %") == 5, "of each class"
    words = ("shifted", "class1", "24", "95 % interval", "minus the flip rates of", "difference", "2 moves of each kind")
    assert [word for word in words if word not in done.out] == []
    values = json.loads(mien(*asked, "--json").out)
    assert values["overall"]["all"]["count"] == 24
    refusal = mien("consistency", tmp_path / "one", tmp_path / "set", "--against", tmp_path / "two")
    assert "add --moves" in refusal.err
    for option in (("--neighbors", "views"), ("--sigma", 0.1), ("--nearest", 4), ("--out", tmp_path / "out")):
        refusal = mien(*asked, *option)
        assert f"found {option[0]}; leave that out" in refusal.err
    assert not (tmp_path / "one" / "consistency-test").exists()
