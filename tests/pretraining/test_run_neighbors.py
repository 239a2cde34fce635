"""Neighbors of a run's faces: strangers among them."""

from pathlib import Path

import numpy as np
import pytest
import torch

from conftest import small_recipe
from mien import FaceSet, TrainingSettings
from mien.neighbors.choose import kind_from
from mien.neighbors.found_faces import FoundFaces
from mien.pretraining.run_neighbors import fit_neighbors
from mien.progress import Silent
from mien.training.prepare_run import prepare_run
from mien.training.run import Run
from moving import CLASSES, moving_faces

CPU = torch.device("cpu")


def numbered(seed: int) -> FaceSet:
    """Faces of a set that numbers them, as many do; each comes twice."""
    pixels = np.random.default_rng(seed).integers(0, 255, (18, 8, 8)).repeat(4, axis=1).repeat(4, axis=2).astype(np.uint8)
    return FaceSet.from_arrays(np.concatenate([pixels, pixels]), np.arange(36) % 3, CLASSES)


@pytest.mark.parametrize("name", ["frames", "twins"])
def test_strangers_with_the_ids_of_the_sets_faces_are_their_own_neighbors(name: str, tmp_path: Path) -> None:
    faces, others = (moving_faces(), moving_faces()) if name == "frames" else (numbered(0), numbered(1))
    assert set(others.values("id")) <= set(faces.values("id"))
    recipe = small_recipe(unlabeled={"technique": "neighbor_consistency", "neighbors": name})
    data = prepare_run(faces, others, recipe, TrainingSettings(labels=20), Silent()).data
    fitted = fit_neighbors(Run(recipe, data, 0, CPU, tmp_path / "run"), kind_from(name))
    assert isinstance(fitted, FoundFaces)
    names = data.faces.column("id").to_pylist()
    own = next(row for row in range(1, len(names)) if names[row] in names[:row])
    assert int((fitted.each[:own] > 0).sum()) > own / 2
    assert fitted.each[own:].tolist() == [0] * (len(names) - own)
