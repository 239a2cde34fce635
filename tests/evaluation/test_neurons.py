"""Neurons: entropies against scipy, top faces against a naive sort, planted neurons, pictures that excite, the folder."""

import csv
import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import scipy.stats
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from conftest import bright_faces, small_recipe
from mien import FaceSet, MienError, Recognizer, train
from mien.data.views import Views
from mien.evaluation import neuron_responses, neurons
from mien.evaluation.activation_maximization import blur, excitement, maximize
from mien.evaluation.neuron_responses import StrongestResponses, label_entropy, mean_faces, scan
from mien.evaluation.neurons import inspect_neurons
from mien.evaluation.report.neurons import write_neurons
from mien.models import Network
from mien.progress import Silent
from mien.recognize.features import Tap, tap
from runs import Heard, features
from teachers import tiny_onnx

few = settings(max_examples=30, deadline=None, derandomize=True)
MIEN_S = {"network": "mien_s", "width": 8, "depths": [1, 1, 1]}


class Rows(nn.Module):
    """Channel k is the mean of the rows that class k of `bright_faces` is bright in; the last channel is always 0."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.classes, self.unused = classes, nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        """(B, 1, S, S) to (B, classes + 1, 1, S)."""
        found = [x[:, 0, 2 + 4 * k : 5 + 4 * k].mean(dim=1) for k in range(self.classes)]
        return torch.stack([*found, torch.zeros_like(found[0])], dim=1).unsqueeze(2)


def planted(faces: FaceSet) -> Tap:
    """A network whose neuron k answers to class k; its second block makes a vector of it."""
    blocks: dict[str, nn.Module] = {
        "rows": Rows(len(faces.classes)),
        "vector": nn.Sequential(nn.AvgPool2d((1, 16)), nn.Flatten()),
    }
    network = Network(blocks, nn.Linear(len(faces.classes) + 1, len(faces.classes)), (1, faces.info.side, faces.info.side))
    return Tap(network.eval(), "vector", Views(faces.info), "planted, block vector")


@few
@given(st.lists(st.lists(st.integers(0, 50), min_size=4, max_size=4).filter(any), min_size=1, max_size=6))
def test_entropy_is_that_of_scipy(counts: list[list[int]]) -> None:
    assert np.allclose(label_entropy(counts), scipy.stats.entropy(counts, axis=1))


@few
@given(st.integers(0, 1000), st.integers(1, 12), st.integers(1, 20))
def test_merging_batch_by_batch_keeps_the_strongest(seed: int, top: int, batch: int) -> None:
    responses = torch.from_numpy(np.random.default_rng(seed).permuted(np.tile(np.arange(30.0), (4, 1)), axis=1)).t()
    best = StrongestResponses(torch.empty(4, 0, dtype=torch.float64), torch.empty(4, 0, dtype=torch.int64), responses[0])
    for rows in torch.arange(30).split(batch):
        best = best.merge(responses[rows], rows, top)
    assert torch.equal(best.rows, responses.argsort(dim=0, descending=True)[:top].t())
    assert torch.equal(best.weakest, torch.zeros(4, dtype=torch.float64))


def test_one_pass_over_a_real_network_finds_what_a_naive_look_at_every_layer_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neuron_responses, "BATCH", 16)
    monkeypatch.setattr(neuron_responses, "VALUES", 5000)  # a few faces at a time
    faces = bright_faces()
    found = inspect_neurons({**MIEN_S, "width": 4}, faces, top=10, drawn=0)
    source = tap({**MIEN_S, "width": 4}, None, faces.info, 0, torch.device("cpu"))
    assert [layer.name for layer in found.after.layers] == list(source.network.blocks)
    inputs = source.views.clean(torch.from_numpy(faces.faces()))
    for layer in found.after.layers:
        with torch.no_grad():
            responses = source.network.features(inputs, layer.name).flatten(2).amax(dim=2)
        for neuron, rows in enumerate(layer.top):
            strongest = responses[:, neuron].sort(descending=True).values[:10]
            # Within rounding: another batch size or precision may swap faces that are next to equal.
            assert torch.allclose(responses[rows, neuron], strongest, atol=0.05, rtol=0.05)
            assert len(set(rows.tolist())) == 10
            counts = np.bincount(faces.labels[rows], minlength=3)
            assert np.array_equal(layer.counts[neuron], counts)
            assert layer.entropy[neuron] == pytest.approx(scipy.stats.entropy(counts))


@pytest.mark.parametrize("layer", ["rows", "vector"])
def test_a_planted_neuron_is_found_by_its_class(layer: str) -> None:
    faces = bright_faces()
    (found,) = scan(planted(faces), faces, [layer], 20, 0, Silent())
    for label in range(3):
        assert found.selective(label, 1).tolist() == [label]
        assert found.counts[label].tolist() == [20 * (n == label) for n in range(3)]
        assert found.entropy[label] == 0
    assert found.silent.tolist() == [False, False, False, True]
    assert 3 not in found.selective(0, 10), "a silent neuron prefers nothing"


def test_a_silent_neuron_says_nothing_of_the_order_of_the_faces() -> None:
    sorted_faces = bright_faces(300).select(np.argsort(bright_faces(300).labels, kind="stable"))
    (found,) = scan(planted(sorted_faces), sorted_faces, ["rows"], 60, 0, Silent())
    assert found.entropy[3] > 0.9 * np.log(3), "the first 60 faces are all of one class"


def test_low_neurons_are_below_the_lowest_average_of_any_layer_of_either_network() -> None:
    found = inspect_neurons(MIEN_S, bright_faces(), top=10, before={**MIEN_S, "dropout": 0.5}, seed=3, drawn=0)
    assert found.before is not None
    averages = [float(layer.entropy.mean()) for one in (found.after, found.before) for layer in one.layers]
    assert found.threshold == min(averages)
    for layer in found.after.layers:
        assert found.low(layer) == sum(entropy < min(averages) for entropy in layer.entropy.tolist())
    assert sum(map(found.low, found.after.layers)) > 0


@pytest.mark.parametrize("channels", [1, 3])
def test_mean_faces(channels: int) -> None:
    shape = (12, 16, 16) if channels == 1 else (12, 16, 16, 3)
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    faces = FaceSet.from_arrays(pixels, np.arange(12) % 2, ["a", "b"])
    layer = inspect_neurons(MIEN_S, faces, ["stem"], top=5, drawn=0).after.layers[0]
    means = mean_faces(faces, layer, [3, 0])
    for mean, neuron in zip(means, (3, 0), strict=True):
        assert np.abs(mean - np.mean([pixels[row] for row in layer.top[neuron]], axis=0)).max() <= 0.5


def test_a_maximized_picture_excites_its_neuron_more_than_any_face_and_is_the_same_for_a_seed() -> None:
    faces = bright_faces()
    source = planted(faces)
    pictures = maximize(source, "vector", np.array([2, 0]), 0, Silent())
    assert pictures.shape == (2, 16, 16)
    assert pictures.dtype == np.uint8
    with torch.no_grad():
        excited, by_faces = (
            source.network.features(source.views.clean(torch.from_numpy(given)), "vector") for given in (pictures, faces.faces())
        )
    assert excited[0, 2] > by_faces[:, 2].max()
    assert excited[1, 0] > by_faces[:, 0].max()
    assert np.array_equal(maximize(source, "vector", np.array([2, 0]), 0, Silent()), pictures)
    assert not np.array_equal(maximize(source, "vector", np.array([2, 0]), 1, Silent()), pictures)
    assert all(p.grad is None for p in source.network.parameters())


def test_blur_keeps_the_mean_of_a_dot_and_spreads_it_like_a_gaussian() -> None:
    dot = torch.zeros(1, 2, 31, 31)
    dot[:, 0, 15, 15], dot[:, 1] = 1, 0.3
    spread = blur(dot, 2.0)
    steps = torch.arange(31.0) - 15
    assert float(spread[0, 0].sum()) == pytest.approx(1, abs=1e-5)
    assert float((spread[0, 0].sum(dim=0) * steps**2).sum()) == pytest.approx(4, rel=0.05)
    assert torch.allclose(spread[0, 1], torch.tensor(0.3))
    maps = torch.arange(24.0).view(2, 3, 2, 2)
    assert excitement(maps, torch.tensor([1, 2])).tolist() == [7, 23], "a response is the map's largest value"
    assert excitement(maps[..., 0, 0], torch.tensor([1, 2])).tolist() == [4, 20]


def test_the_climb_is_towards_the_maximum_of_the_map() -> None:
    """A neuron that one bright place excites fully: the mean would light up all of the map, the maximum need not."""
    source = Tap(
        Network({"square": Square()}, nn.Linear(1, 2), (1, 16, 16)).eval(), "square", Views(bright_faces().info), "square"
    )
    (picture,) = maximize(source, "square", np.array([0]), 0, Silent())
    with torch.no_grad():
        found = source.network.features(source.views.clean(torch.from_numpy(picture[None])), "square")[0, 0]
    assert float(found.max()) > 2.5
    assert float(found.median()) < 0.5, "places that are not the largest were left as they were"


class Square(nn.Module):
    """One map, of mean squares of 4 x 4 pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        """(B, 1, S, S) to (B, 1, S / 4, S / 4)."""
        return nn.functional.avg_pool2d(x.square(), 4)


def test_class_outputs_are_looked_at_and_drawn_one_for_each_class(tmp_path: Path) -> None:
    faces = bright_faces(90)
    recognizer = train(faces, small_recipe(stages=[{"epochs": 8, "lr": 0.05}]), tmp_path / "run")
    found = inspect_neurons(tmp_path / "run", faces, ["head", "stem"], top=30, drawn=1)
    layer, (drawn, _) = found.after.layers[0], found.after.drawn
    logits = recognizer.logits(faces)
    for label in range(3):
        assert sorted(layer.top[label].tolist()) == sorted(logits[:, label].argsort()[::-1][:30].tolist())
    assert drawn.neurons.tolist() == drawn.labels.tolist() == [0, 1, 2]
    assert recognizer.logits(drawn.pictures).argmax(axis=1).tolist() == [0, 1, 2]
    write_neurons(found, tmp_path / "out")
    assert (tmp_path / "out" / "means_head.png").is_file()


def test_the_model_in_the_box_is_looked_at_by_its_name() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (24, 48, 48), np.uint8)
    faces = FaceSet.from_arrays(pixels, np.arange(24) % 2, ["sadness", "anger"])
    (drawn,) = inspect_neurons("mien-s", faces, ["head"], top=5).after.drawn
    assert [Recognizer.load("mien-s", "cpu").classes[neuron] for neuron in drawn.neurons] == ["sadness", "anger"]


def test_class_outputs_go_by_their_names_and_those_that_the_faces_lack_are_left_out(tmp_path: Path) -> None:
    faces = bright_faces(60)
    train(faces, small_recipe(stages=[{"epochs": 1, "lr": 0.05}]), tmp_path / "run")
    others = FaceSet.from_arrays(faces.faces(), faces.labels, ["class2", "awe", "class0"])
    (drawn,) = inspect_neurons(tmp_path / "run", others, ["head"], top=5).after.drawn
    assert (drawn.neurons.tolist(), drawn.labels.tolist()) == ([2, 0], [0, 2])
    with pytest.raises(MienError, match=r"a trained model, whose head has classes; found mien_s, random weights"):
        inspect_neurons("mien_s", faces, ["head"], top=5)
    with pytest.raises(MienError, match=r"a trained model, whose head has classes; found mien_s, random weights"):
        inspect_neurons(tmp_path / "run", faces, ["head"], before="mien_s", top=5)


def test_the_folder_holds_everything_and_says_the_same(tmp_path: Path) -> None:
    found = inspect_neurons(MIEN_S, bright_faces(), ["stage2_1", "stem"], before=MIEN_S, top=10, drawn=2)
    files = write_neurons(found, tmp_path / "out")
    wanted = {"histograms.png", "means_stem.png", "means_stage2_1.png", "maximized.png", "maximized_before.png"}
    assert set(files) == wanted | {"neurons.csv", "summary.json", "report.html"}
    assert {path.name for path in (tmp_path / "out").iterdir()} == set(files)
    assert [path.name for path in tmp_path.iterdir()] == ["out"], "nothing is left aside"
    with (tmp_path / "out" / "neurons.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    after = [row for row in rows if row["network"] == "after"]
    assert [row["layer"] for row in after] == ["stage2_1"] * 16 + ["stem"] * 8
    layer = found.after.layers[0]
    for row, entropy, shares in zip(after, layer.entropy, layer.shares, strict=False):
        assert float(row["entropy"]) == pytest.approx(entropy, abs=1e-5)
        assert row["prefers"] == found.faces.classes[int(shares.argmax())]
        assert float(row["share"]) == pytest.approx(shares.max(), abs=1e-3)
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["after"]["layers"] == summary["before"]["layers"], "the same network before"
    assert summary["after"]["layers"]["stem"]["low"] == sum(row["low"] == "true" for row in after if row["layer"] == "stem")
    page = (tmp_path / "out" / "report.html").read_text()
    assert page.count("data:image/png") == len(wanted)
    with pytest.raises(MienError, match=r"nothing at .*out yet"):
        write_neurons(found, tmp_path / "out")


def test_fewer_faces_than_top_and_as_many_of_each_class() -> None:
    faces = bright_faces(30)
    found = inspect_neurons(MIEN_S, faces, ["stem"], top=100, drawn=0)
    assert found.top == 30
    assert "30 labeled faces" in found.warning
    assert np.array_equal(found.after.layers[0].counts, np.full((8, 3), 10))
    assert not inspect_neurons(MIEN_S, faces, ["stem"], top=5, drawn=0).warning
    drawn = inspect_neurons(MIEN_S, faces, ["stem"], per_class=4, top=5, drawn=0)
    assert np.bincount(drawn.faces.labels).tolist() == [4, 4, 4]


def without_labels(faces: FaceSet) -> FaceSet:
    return FaceSet.from_arrays(faces.faces(), None, faces.classes)


@pytest.mark.parametrize(
    ("given", "settings_", "what"),
    [
        (features(), {}, "features"),
        (bright_faces(), {"layers": ["stem", "fc7"]}, "a layer among stem, stage1_1"),
        (bright_faces(), {"split": "nowhere"}, "a split among"),
        (bright_faces(), {"before": "resnet18", "layers": ["stage4_1"]}, "a layer among stem"),
        (bright_faces(), {"top": 0}, "top that fits"),
        (without_labels(bright_faces()), {}, "labeled faces of two classes"),
    ],
)
def test_what_cannot_be_looked_at_is_said(given: FaceSet, settings_: dict[str, object], what: str) -> None:
    with pytest.raises(MienError, match=what):
        inspect_neurons(MIEN_S, given, **settings_)  # type: ignore[arg-type]


def test_a_diverged_network_is_said() -> None:
    source = planted(bright_faces())
    source.network.blocks["vector"] = nn.Sequential(source.network.blocks["vector"], nn.Hardtanh(float("-inf"), 0.0), Broken())
    with pytest.raises(MienError, match="finite responses in vector"):
        scan(source, bright_faces(), ["vector"], 5, 0, Silent())


class Broken(nn.Module):
    """Numbers that are none."""

    def forward(self, x: Tensor) -> Tensor:
        """nan of the shape of `x`."""
        return x * float("nan")


def test_faces_without_a_label_are_not_among_the_top_faces() -> None:
    labels: npt.NDArray[np.int64] = np.where(np.arange(60) < 20, -1, np.arange(60) % 3)
    faces = FaceSet.from_arrays(bright_faces(60).faces(), labels, ["a", "b", "c"])
    found = inspect_neurons(MIEN_S, faces, ["stem"], top=40, drawn=0)
    assert len(found.faces) == 40
    assert found.after.layers[0].counts.sum(axis=1).tolist() == [40] * 8


def test_before_has_the_runs_own_settings(tmp_path: Path) -> None:
    """`--before NETWORK` beside a run on that network: the same width, so that neurons can be set side by side."""
    faces = bright_faces(60)
    train(faces, small_recipe(stages=[{"epochs": 1, "lr": 0.01}]), tmp_path / "run")
    found = inspect_neurons(tmp_path / "run", faces, ["stem"], before="mien_s", top=5, drawn=0)
    assert found.before is not None
    assert len(found.before.layers[0].entropy) == len(found.after.layers[0].entropy) == 8


def test_before_is_normalized_like_the_run(tmp_path: Path) -> None:
    faces = bright_faces(60)
    train(faces, small_recipe(stages=[{"epochs": 1, "lr": 0.01}], normalize="face"), tmp_path / "run")
    run, other = neurons._sources(tmp_path / "run", "mien_s", faces, 0, torch.device("cpu"))
    assert run.views == other.views == Views(faces.info, "face")
    run, other = neurons._sources(tmp_path / "run", {"network": "mien_s"}, faces, 0, torch.device("cpu"))
    assert other.views == Views(faces.info, "fixed")


def test_larger_faces_than_there_are_are_said(tmp_path: Path) -> None:
    network = {"network": "onnx_facenet", "path": str(tiny_onnx(tmp_path / "net.onnx", side=32)), "output": "map"}
    heard = Heard()
    inspect_neurons(network, bright_faces(30), top=5, drawn=0, progress=heard)
    assert [line.partition(" for ")[0] for line in heard.lines] == ["faces of 16 pixels are upscaled to 32"]


def test_no_pictures_without_gradients(tmp_path: Path) -> None:
    network = {"network": "onnx_facenet", "path": str(tiny_onnx(tmp_path / "net.onnx")), "output": "map"}
    with pytest.raises(MienError, match="`drawn` 0"):
        inspect_neurons(network, bright_faces(30), top=5)
    assert len(inspect_neurons(network, bright_faces(30), top=5, drawn=0).after.layers[0].entropy) == 5
