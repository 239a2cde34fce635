"""Ten steps of every recipe, and a hash of the weights that they give: `python tests/same_weights.py` writes them down.

Sums differ between processors and versions of torch, so the file of hashes says on which machine it was written.
"""

import hashlib
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mien import FaceSet, Recipe, TrainingSettings, train
from mien.data.format import Info
from mien.recipes.recipe_files import recipe_names

FILE = Path(__file__).parent / "same_weights.json"
SIDE = 48
AT_WORK = {"start": 0, "ramp": 1, "share": 0.3, "window": 1, "after": 0.0}
"""Settings by which techniques act within ten steps."""
BRIEF = {"epochs": 1, "width": 16, "batch": 32}
"""Settings of a start that trains something first."""


def machine() -> str:
    """What the last bits of a weight depend on."""
    told = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").is_file() else []
    model = next((line.partition(":")[2].strip() for line in told if line.startswith("model name")), platform.processor())
    return f"torch {torch.__version__}, {torch.backends.cpu.get_cpu_capability()}, {model}"


def drawn(features: bool) -> FaceSet:
    """96 rows of three classes: gray faces of 48 pixels whose classes differ, or features of six numbers."""
    generator = np.random.default_rng(7)
    labels = np.arange(96) % 3
    names = tuple(f"class{n}" for n in range(3))
    if features:
        values = generator.normal(size=(96, 1, 6)) + np.eye(3, 6)[labels][:, None]
        info = Info(classes=names, kind="features", channels=6, views=("clean",))
        return FaceSet.from_arrays(values.astype(np.float16), labels, info=info)
    faces = generator.integers(0, 120, (96, SIDE, SIDE), dtype=np.uint8)
    for face, label in zip(faces, labels, strict=True):
        face[4 + 14 * label : 14 + 14 * label] += 60
    votes = generator.integers(0, 3, (96, 3)) + 5 * np.eye(3, dtype=np.int64)[labels]
    return FaceSet.from_arrays(faces, labels, names).with_column("votes", votes.astype(np.float32))


def light(model: dict[str, Any], start: str) -> dict[str, Any]:
    """The recipe's network, or a small one that stands in for it where no technique knows its blocks."""
    name = model["network"]
    if name in ("dalnet", "two_scale"):
        return model | {"width": 0.25}
    if name in ("facenet_dlib", "embedding", "exprnet_small") or start == "distill":
        return {"network": "exprnet_small", "channels": 128, "grid": 3} if name == "exprnet" else model
    return {"network": "mien_s", "width": 8, "depths": [1, 1, 1]} | {k: v for k, v in model.items() if k == "copies"}


def ten_steps(name: str) -> Recipe:
    """The recipe in five epochs of two steps, shared among its stages, each at least one."""
    table = Recipe.load(name).with_epochs(5).table()
    table["model"] = light(table["model"], table["start"]["technique"])
    table |= {"batch": 24, "unlabeled_batch": 24, "precision": "float32", "average": min(table["average"], 0.8)}
    table["draw"]["at_least"] = 2
    for answers in (table, *((stage["answers"] or {}) for stage in table["stages"])):
        for question in ("draw", "weigh", "unlabeled"):
            given = answers.get(question, {})
            for technique in given if isinstance(given, list | tuple) else [given]:
                technique |= {key: value for key, value in AT_WORK.items() if key in technique}
                if isinstance(technique.get("threshold"), float):
                    technique["threshold"] = 0.34
                if "autoencoder" in technique:
                    technique["autoencoder"] = brief_autoencoder(technique["autoencoder"])
    table["start"] |= {key: value for key, value in BRIEF.items() if key in table["start"]}
    if table["start"].get("teacher") == "face_finetune":
        short = {"stages.0.epochs": 1, "stages.1.epochs": 1, "draw.at_least": 1, "batch": 32}
        table["start"]["settings"] = {**table["start"].get("settings", {}), **short}
    for stage in table["start"].get("stages", ()):
        stage["epochs"] = 1
    return Recipe.parse(table)


def brief_autoencoder(preset: str) -> dict[str, Any]:
    """The preset's autoencoder, both phases in an epoch each and small; its expression network in one too."""
    stage = {"epochs": 1, "lr": 1e-3}
    settings = {"preset": preset, "stages": [stage], "batch": 32, "at_least": 2, "refine_batch": 16}
    return settings | {
        "model": {"network": "asymmetric_autoencoder", "latent": 8, "residuals": [1, 0, 0, 0, 0]},
        "refine_stages": [stage],
        "perceptual": {"conv1_b": 1.0},
        "expression": str(EXPRESSION),
    }


EXPRESSION = Path(tempfile.gettempdir()) / "expression_of_ten_steps.toml"


def hash_of(name: str, folder: Path) -> str:
    """sha256 of the weights after ten steps of a recipe, by name, and of those of the stages before."""
    found = hashlib.sha256()
    EXPRESSION.write_text('model = { network = "two_scale", width = 0.25 }\nbatch = 32\nstages = [{ epochs = 1, lr = 0.01 }]\n')
    recipe = Recipe.load(name)
    # Flipped labels would put votes aside.
    order = TrainingSettings(seed=4, labels=60, noise=0.0 if recipe.targets["technique"] == "votes" else 0.3, threads=1)
    faces = drawn(features=recipe.model["network"] == "embedding")
    network = train(faces, ten_steps(name), folder, order).network
    for key, value in network.state_dict().items():
        found.update(key.encode() + value.numpy().tobytes())
    return found.hexdigest()


def hashes(names: list[str], told: Callable[[str], None]) -> dict[str, str]:
    """By recipe; `told` hears of each when it is done."""
    made = {}
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_CACHE_HOME"] = f"{folder}/cache"
        for name in names:
            began = time.monotonic()
            made[name] = hash_of(name, Path(folder) / name)
            told(f"{name}: {made[name][:12]} in {time.monotonic() - began:.1f} s")
    return made


if __name__ == "__main__":
    names = sys.argv[1:] or recipe_names()
    FILE.write_text(
        json.dumps({"machine": machine(), "hashes": hashes(names, lambda line: print(line, flush=True))}, indent=1) + "\n"
    )
