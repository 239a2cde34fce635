"""S of every face against loops over faces and neighbors, in both spaces, and which neighbors are taken."""

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.special import softmax
from torch import nn

from mien import FaceSet, MienError, Recognizer
from mien.data.format import Info
from mien.evaluation import neighborhood_stability
from mien.evaluation.neighborhood_stability import NeighborSpace, find_space, score_faces
from mien.models import Network
from mien.neighbors.kinds import features as features_kind
from mien.neighbors.kinds.features import NearFeatures
from mien.neighbors.look import Drawn
from mien.neighbors.semantic_neighbors import SemanticNeighbors
from moving import moving_faces, told, untrained_autoencoder, untrained_recognizer

CPU = torch.device("cpu")


@pytest.fixture
def faces() -> FaceSet:
    return moving_faces(6)


@pytest.fixture
def recognizer(tmp_path: Path, faces: FaceSet) -> Recognizer:
    return Recognizer.load(untrained_recognizer(tmp_path / "run", faces), "cpu")


def deviation(space: NeighborSpace) -> torch.Tensor:
    """How the features deviate by which neighbors are drawn."""
    assert isinstance(space.fitted, NearFeatures)
    assert space.fitted.deviation is not None
    return space.fitted.deviation


def symmetric_kl(one: torch.Tensor, other: torch.Tensor) -> float:
    """Eq. 13 of two rows of logits, number by number."""
    p, q = softmax(one.double().numpy()), softmax(other.double().numpy())
    return 0.5 * sum(float(a * np.log(a / b) + b * np.log(b / a)) for a, b in zip(p, q, strict=True))


@torch.no_grad()
def test_scores_by_an_autoencoder_are_those_of_a_loop(tmp_path: Path, faces: FaceSet, recognizer: Recognizer) -> None:
    folder = untrained_autoencoder(tmp_path / "nb", faces.info)
    space, said = find_space(recognizer, faces, folder, 0.7)
    assert (space.kind, said) == ("autoencoder", f"the autoencoder {folder}")
    found = score_faces(space, faces, 3, 5, CPU)
    made, network = SemanticNeighbors.load(folder, CPU).network.eval(), recognizer.network
    generator = torch.Generator().manual_seed(5)
    noise = [torch.randn(len(faces), 8, generator=generator) for _ in range(3)]
    for row, face in enumerate(faces.faces()):
        inputs = (torch.from_numpy(face).float()[None, None] / 255 - 0.5) * 4
        own, code = network(inputs)[0], made.features(inputs, "code")
        scores, kept = [], 0
        for draw in noise:
            x = code + 0.7 * torch.linspace(0.5, 1.5, 8) * draw[row]
            for name in ("from_code", "tconv_c", "tconv_b", "tconv_a", "tconv_t"):
                x = made.blocks[name](x)
            beside = network(made.head(x).clamp(-2, 2))[0]
            scores.append(symmetric_kl(own, beside))
            kept += int(beside.argmax() == own.argmax())
        assert found.predicted[row] == own.argmax()
        assert found.scores[row] == pytest.approx(np.mean(scores), rel=1e-3, abs=1e-6)
        assert found.kept[row] == pytest.approx(kept / 3)
    assert np.ptp(found.scores) > 0.01


@torch.no_grad()
def test_scores_in_features_are_those_of_a_loop(faces: FaceSet, recognizer: Recognizer) -> None:
    space, said = find_space(recognizer, faces, None, 0.4)
    assert space.kind == "features"
    assert "features of the network's last block, stage3_1" in said
    found = score_faces(space, faces, 2, 9, CPU)
    network = recognizer.network
    inputs = (torch.from_numpy(faces.faces()).float()[:, None] / 255 - 0.5) * 4
    features = torch.stack([network.features(x[None], "stage3_1")[0] for x in inputs])
    deviation = torch.from_numpy(np.std(features.numpy(), axis=0))
    generator = torch.Generator().manual_seed(9)
    drawn = torch.Generator().manual_seed(int(torch.randint(2**62, (), generator=generator)))
    noise = [torch.randn(features.shape, generator=drawn) for _ in range(2)]
    for row, feature in enumerate(features):
        own = network.head(feature[None])[0]
        beside = [network.head((feature + 0.4 * deviation * draw[row])[None])[0] for draw in noise]
        assert found.scores[row] == pytest.approx(np.mean([symmetric_kl(own, one) for one in beside]), rel=1e-3, abs=1e-7)
    assert found.scores.max() > 1e-6


def test_features_and_predictions_do_not_depend_on_batches(
    faces: FaceSet, recognizer: Recognizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    space, _ = find_space(recognizer, faces, None, 0.2)
    whole = score_faces(space, faces, 1, 0, CPU)
    monkeypatch.setattr(neighborhood_stability, "BATCH", 7)
    monkeypatch.setattr(features_kind, "BATCH", 7)
    other, _ = find_space(recognizer, faces, None, 0.2)
    parts = score_faces(other, faces, 1, 0, CPU)
    assert torch.allclose(deviation(space), deviation(other), atol=1e-6)
    assert (parts.predicted == whole.predicted).all()
    assert (whole.predicted == recognizer.logits(faces).argmax(axis=1)).all()
    assert len(parts.scores) == len(faces)


@pytest.mark.parametrize("kind", ["views", "autoencoder", "mirror"])
def test_many_neighbors_are_drawn_in_parts(
    kind: str, faces: FaceSet, recognizer: Recognizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same ones, as memory has no room for all."""
    untrained_autoencoder(tmp_path / "run" / "parts" / "neighbors", faces.info)
    space, _ = find_space(recognizer, faces, kind)
    asked = (space, faces, 7, 0, CPU, None, faces.labels)
    whole, most = score_faces(*asked), list[int]()
    monkeypatch.setattr(neighborhood_stability, "ROOM", len(faces) * 16 * 16 * 3)
    monkeypatch.setattr(neighborhood_stability, "ONCE", 1)
    look = NeighborSpace.look

    def counted(self: NeighborSpace, drawn: Drawn) -> tuple[torch.Tensor, torch.Tensor]:
        most.append(0 if drawn.near is None else len(drawn.near))
        return look(self, drawn)

    monkeypatch.setattr(NeighborSpace, "look", counted)
    parts = score_faces(*asked)
    assert most == ([1] if kind == "mirror" else [3, 3, 1])
    for name, values in vars(whole).items():
        assert np.allclose(values, vars(parts)[name], atol=1e-6), name


def test_the_seed_draws_the_neighbors(faces: FaceSet, recognizer: Recognizer) -> None:
    space, _ = find_space(recognizer, faces, None, 0.2)
    first, again, other = (score_faces(space, faces, 2, seed, CPU).scores for seed in (0, 0, 1))
    assert (first == again).all()
    assert (first != other).any()


def test_a_network_with_dropout_is_scored_without(faces: FaceSet, recognizer: Recognizer) -> None:
    """And leaves no trace in it, batch statistics included."""
    before = {name: value.clone() for name, value in recognizer.network.state_dict().items()}
    recognizer.network.train()
    assert any(isinstance(module, nn.Dropout) for module in recognizer.network.modules())
    space, _ = find_space(recognizer, faces, None, 1e-9)
    assert score_faces(space, faces, 2, 0, CPU).scores.max() < 1e-9
    assert all(torch.equal(value, before[name]) for name, value in recognizer.network.state_dict().items())


def test_heads_of_several_are_decided_by_the_last(faces: FaceSet, recognizer: Recognizer) -> None:
    class Three(nn.Module):
        def __init__(self, head: nn.Module) -> None:
            super().__init__()
            self.head = head

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            one: torch.Tensor = self.head(x)
            return torch.stack([one * 0, one * -3, one])

    network = recognizer.network
    several = Recognizer.of(Network(dict(network.blocks.items()), Three(network.head), network.shape), recognizer.card, CPU)
    found = [score_faces(find_space(one, faces, None, 0.5)[0], faces, 2, 0, CPU) for one in (recognizer, several)]
    assert np.allclose(found[0].scores, found[1].scores)


def test_cached_features_need_no_autoencoder() -> None:
    recognizer, features = told([0, 1, 2, 0, 1])
    space, _ = find_space(recognizer, features, None, 0.1)
    assert space.kind == "features"
    found = score_faces(space, features, 4, 0, CPU)
    assert found.predicted.tolist() == [0, 1, 2, 0, 1]
    assert (found.scores > 0).all()
    with pytest.raises(MienError, match="two faces or more"):
        find_space(recognizer, features.select([0]), None, 0.1)


def test_the_runs_own_autoencoder_is_taken_unless_another_is_named(
    tmp_path: Path, faces: FaceSet, recognizer: Recognizer
) -> None:
    own = untrained_autoencoder(tmp_path / "run" / "parts" / "neighbors", faces.info)
    assert find_space(recognizer, faces, None, 0.2)[1] == f"the autoencoder of the run, {own}"
    other = untrained_autoencoder(tmp_path / "other", faces.info)
    assert find_space(recognizer, faces, other, 0.2)[1] == f"the autoencoder {other}"
    in_memory = Recognizer.of(recognizer.network, recognizer.card, CPU)
    assert find_space(in_memory, faces, None, 0.2)[0].kind == "features"


def test_neighbors_of_other_faces_are_refused(tmp_path: Path, faces: FaceSet, recognizer: Recognizer) -> None:
    larger = untrained_autoencoder(tmp_path / "larger", Info((), side=32))
    with pytest.raises(MienError, match=r"faces of side 32.*found 16"):
        find_space(recognizer, faces, larger, 0.2)
    aligned = untrained_autoencoder(tmp_path / "aligned", Info((), side=16, alignment="eyes"))
    with pytest.raises(MienError, match=r"aligned as the autoencoder's \(eyes\)"):
        find_space(recognizer, faces, aligned, 0.2)
    with pytest.raises(MienError, match="an autoencoder at"):
        find_space(recognizer, faces, tmp_path / "run", 0.2)
    with pytest.raises(MienError, match=r"or an autoencoder's folder; found"):
        find_space(recognizer, faces, tmp_path / "nothing", 0.2)
    with pytest.raises(MienError, match="faces of side 16"):
        find_space(recognizer, moving_faces(2, side=32), None, 0.2)


def test_deviation_is_zero_where_features_never_change(recognizer: Recognizer, faces: FaceSet) -> None:
    same = faces.select([3] * 10)
    assert deviation(find_space(recognizer, same, None, 0.2)[0]).max() < 1e-5
