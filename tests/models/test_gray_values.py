"""Networks that take gray values as they are say so, and a recipe that gets one scales them so."""

from pathlib import Path

import pytest
import torch

from conftest import bright_faces
from mien import MienError, Recipe, TrainingSettings
from mien.models import FacePixels, architecture
from mien.progress import Silent
from mien.recipes.overrides import recipe_with_changes
from mien.registry import component_names
from mien.training.prepare_run import prepare_run
from mien.training.run import Run
from runs import Heard

BUILT = [name for name in component_names("mien.models") if name not in ("embedding", "onnx_facenet")]
"""All but the one for features, and the one that wants a file."""


@pytest.mark.parametrize("name", BUILT)
def test_who_takes_gray_values(name: str) -> None:
    settings = architecture({"network": name})
    with torch.device("meta"):
        network = settings.build(2, 1, 64)
    assert settings.takes_gray_values == any(isinstance(module, FacePixels) for module in network.modules())


def test_another_network_brings_its_scale_along(tmp_path: Path) -> None:
    """ST+SW's own network: the paper starts from VGG-Face, and normalizes each face."""
    heard = Heard()
    made = recipe_with_changes("st_sw", heard.say, "vgg16", settings={"model.side": 0, "model.hidden": 8})
    assert (Recipe.load("st_sw").normalize, made.normalize) == ("face", "fixed")
    assert heard.lines == ["st_sw scales gray values as vgg16 knows them: normalize = fixed"]
    data = prepare_run(bright_faces(60, side=32), None, made, TrainingSettings(), Silent()).data
    assert Run(made, data, 0, torch.device("cpu"), tmp_path).views.normalization == "fixed"
    with pytest.raises(
        MienError, match="normalize = fixed for vgg16, which knows gray values; found face; set normalize to fixed"
    ):
        Run(made.set("normalize", "face"), data, 0, torch.device("cpu"), tmp_path)
    quiet = Heard()
    assert recipe_with_changes("st_sw", quiet.say, "resnet18").normalize == "face"
    assert quiet.lines == []
