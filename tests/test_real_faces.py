"""The main job on real faces, where they are at hand: FER2013's, beside the checkout in ../shared/data."""

from pathlib import Path

import numpy as np
import pyarrow.csv as pc
import pytest
from PIL import Image

from conftest import SHARED
from mien import FaceSet, Recipe, TrainingSettings, evaluate, train
from mien.data.importing import import_source, source_from

FER = SHARED / "fer2013"
TILES = (0, 1, 29, 30)
"""Some pictures of 32 x 32 faces: from the Training and from the PublicTest end."""

pytestmark = pytest.mark.skipif(not FER.is_dir(), reason="real faces are not at hand: ../shared/data/fer2013")


@pytest.fixture(scope="module")
def ferplus(tmp_path_factory: pytest.TempPathFactory) -> FaceSet:
    """Four thousand faces, laid out as FER2013 and FER+ publish them, and imported."""
    folder = tmp_path_factory.mktemp("real")
    table = pc.read_csv(FER / "labels.csv").to_pydict()
    votes = [name for name in table if name not in ("name", "usage", "fer2013")]
    faces, labels = ["emotion,pixels,Usage"], [",".join(["Usage", "Image name", *votes])]
    for tile in TILES:
        with Image.open(FER / f"tile-{tile:03d}.webp") as picture:
            crops = np.asarray(picture.convert("L")).reshape(32, 48, 32, 48).swapaxes(1, 2).reshape(-1, 48 * 48)
        for row, crop in enumerate(crops, start=1024 * tile):
            faces.append(f"{table['fer2013'][row]},{' '.join(map(str, crop))},{table['usage'][row]}")
            labels.append(",".join(str(table[name][row]) for name in ("usage", "name", *votes)))
    (folder / "fer2013.csv").write_text("\n".join(faces))
    (folder / "fer2013new.csv").write_text("\n".join(labels))
    return import_source(source_from("ferplus", {"input": folder, "rule": "probability"}), folder / "set").faces


def test_better_than_the_most_frequent_class_in_seconds(ferplus: FaceSet, tmp_path: Path) -> None:
    recipe = Recipe.load("ferplus").with_settings({"average": "0.9", "model.width": 16}).with_epochs(3)
    recognizer = train(ferplus, recipe, tmp_path / "run", TrainingSettings(threads=1))
    found = evaluate(recognizer, ferplus, "PublicTest")
    always = found.confusion.sum(axis=1).max() / found.count
    assert found.count > 1000
    assert found.intervals["accuracy"].low > always
