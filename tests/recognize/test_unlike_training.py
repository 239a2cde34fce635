"""Which faces are unlike those of training: the measure, the card that holds it, exports that give features, predictions."""

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter

from conftest import Command
from mien import FaceSet, MienError, Recognizer, evaluate, export
from mien.data.info import Info
from mien.faces.crop import CropSpec
from mien.faces.face import Face
from mien.recognize.last_layer import last_layer
from mien.recognize.model_card import ModelCard, read_card
from mien.recognize.model_folder import CARD
from mien.recognize.onnx_backend import OnnxBackend
from mien.recognize.prediction import Prediction, make_prediction
from mien.recognize.saved_networks import build_network, write_model
from mien.recognize.unlike_training import UnlikeTraining, find_centers, read_centers, write_centers
from mien.serving.answers import FaceAnswer

CLASSES = ("a", "b", "c")
INFO = Info(CLASSES, side=16, channels=1, alignment="whole")
NETWORK = {"network": "mien_s", "width": 4, "depths": [1, 1, 1]}
FACES = np.random.default_rng(0).integers(0, 256, (9, 16, 16), np.uint8)
WHOLE = CropSpec("whole")


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network with random weights, exported; its centers are its features of half of the faces."""
    folder = tmp_path_factory.mktemp("unlike")
    network = build_network(NETWORK, 3, INFO)
    write_model(folder / "run", dict(network.state_dict()), ModelCard(NETWORK, CLASSES, INFO))
    export(folder / "run", folder / "plain")
    features = Recognizer.load(folder / "plain", "cpu").logits_and_features(FACES)[1]
    measure = UnlikeTraining(1e-4, 0.05, features.shape[1], write_centers(features[:5]))
    stored = json.loads((folder / "plain" / CARD).read_text()) | {"unlike": asdict(measure)}
    (folder / "plain" / CARD).write_text(json.dumps(stored))
    return folder / "plain"


def test_distances_are_to_the_nearest_center() -> None:
    rng = np.random.default_rng(0)
    centers, features = rng.normal(size=(6, 10)), rng.normal(size=(20, 10))
    measure = UnlikeTraining(0.5, 0.1, 10, write_centers(centers))
    cosines = [
        [one @ other / np.linalg.norm(one) / np.linalg.norm(other) for other in centers] for one in features
    ]  # the naive reference
    found = measure.distances(features)
    np.testing.assert_allclose(found, 1 - np.max(cosines, axis=1), atol=0.01)
    np.testing.assert_allclose(measure.distances(7 * features), found, atol=1e-5)
    assert measure.are_unlike(features).tolist() == (found > 0.5).tolist()
    assert measure.distances(np.zeros((1, 10))).tolist() == [1.0]
    assert (measure.distances(centers) < 0.001).all()
    assert len(measure.centers) < 100


def test_centers_are_found_where_features_crowd() -> None:
    rng = np.random.default_rng(0)
    places = 10 * np.eye(4)
    features = np.repeat(places, 50, axis=0) + rng.normal(size=(200, 4))
    made = find_centers(features, 12)
    assert made.shape == (12, 4)
    assert ((made @ places.T / 10).max(axis=0) > 0.98).all(), "each crowd has one"
    np.testing.assert_allclose(np.linalg.norm(made, axis=1), 1, atol=1e-5)
    assert find_centers(features[:3], 128).shape == (3, 4)
    with pytest.raises(MienError, match="at least one face"):
        find_centers(features[:0])


@pytest.mark.parametrize("text", ["?", "", "AAAAAA=="])
def test_damaged_centers_are_refused(text: str) -> None:
    with pytest.raises(MienError, match="centers"):
        read_centers(text, 3)


def test_both_backends_give_the_same_features(exported: Path) -> None:
    onnx = Recognizer.load(exported, "cpu")
    assert isinstance(onnx.backend, OnnxBackend)
    in_torch = Recognizer.of(onnx.network, onnx.card, onnx.device)
    last = last_layer(onnx.network)
    assert last is not None
    for flip in (False, True):
        for one, other in zip(onnx.logits_and_features(FACES, flip), in_torch.logits_and_features(FACES, flip), strict=True):
            np.testing.assert_allclose(one, other, atol=2e-3)
        logits, features = onnx.logits_and_features(FACES, flip)
        np.testing.assert_allclose(logits, onnx.logits(FACES, flip), atol=1e-5)
        own = last(torch.from_numpy(features)).detach().numpy()
        np.testing.assert_allclose(own, logits, atol=2e-3, err_msg="features are what the last layer is given")


def test_threads_get_the_features_of_their_own_faces(exported: Path) -> None:
    onnx = Recognizer.load(exported, "cpu")
    in_torch = Recognizer.of(onnx.network, onnx.card, onnx.device)
    alone = [in_torch.logits_and_features(FACES[place : place + 1])[1] for place in (0, 7)]
    assert np.abs(alone[0] - alone[1]).max() > 1e-3
    with ThreadPoolExecutor(2) as threads:
        for _ in range(40):
            made = threads.map(lambda at: in_torch.logits_and_features(FACES[at : at + 1])[1], (0, 7))
            for found, wanted in zip(made, alone, strict=True):
                np.testing.assert_allclose(found, wanted, atol=np.abs(alone[0] - alone[1]).max() / 100)


def test_the_services_schema_knows_the_answer(exported: Path) -> None:
    found = Recognizer.load(exported, "cpu").read([np.repeat(FACES[0][..., None], 3, 2)], WHOLE)[0][0]
    assert TypeAdapter(FaceAnswer).validate_json(json.dumps(found.to_json())).unlike is False


def test_a_prediction_without_thresholds_is_not_smoothed() -> None:
    made = Prediction(Face((0.0, 0.0, 1.0, 1.0), None, 1.0), {"a": 0.4, "b": 0.6}, ("b",))
    with pytest.raises(MienError, match="conformal threshold"):
        made.with_scores({"a": 0.5, "b": 0.5})


def test_unlike_faces_are_unsure_and_more_is_possible(exported: Path) -> None:
    recognizer = Recognizer.load(exported, "cpu")
    assert recognizer.card.unlike is not None
    _, unlike = recognizer.logits_and_unlike(FACES)
    assert unlike is not None
    assert not unlike[:5].any(), "they are the centers"
    near, far = FACES[0], FACES[5 + int(np.argmax(unlike[5:]))]
    assert unlike[5:].any()
    known, strange = (recognizer.read([np.repeat(face[..., None], 3, 2)], WHOLE)[0][0] for face in (near, far))
    assert (known.unlike, strange.unlike) == (False, True)
    assert strange.unsure
    assert strange.conformal_thresholds == (0.05,) * 3
    assert known.conformal_thresholds == (0.5,) * 3
    assert strange.to_json()["unlike"] is True
    averaged = replace(strange, track=3).with_scores({"a": 1.0, "b": 0.0, "c": 0.0})
    assert (averaged.possible, averaged.unsure, averaged.track) == (("a",), True, 3)


def test_evaluation_judges_unlike_faces_as_predict_does(exported: Path, tmp_path: Path, mien: Command) -> None:
    """The share is said, and such an answer is not sure: neither where a photo is read nor where the face is measured."""
    labels = np.arange(len(FACES)) % 3
    columns = {"split": ["test"] * len(FACES)}
    faces = FaceSet.from_arrays(FACES, labels, CLASSES, columns)
    faces.save(tmp_path / "faces")
    recognizer = Recognizer.load(exported, "cpu")
    # A threshold that one class alone reaches in about half of the faces, and that none meets exactly.
    least = float(np.sort(recognizer.probabilities(FACES).max(axis=1))[3:5].mean())
    folder = tmp_path / "model"
    shutil.copytree(exported, folder)
    card = json.loads((folder / CARD).read_text()) | {"least": least, "sure": 0.0}
    (folder / CARD).write_text(json.dumps(card))
    photos = [np.repeat(face[..., None], 3, 2) for face in FACES]
    read = [one for (one,) in Recognizer.load(folder, "cpu").read(photos, WHOLE)]
    unlike, unsure = sum(bool(one.unlike) for one in read), sum(one.unsure for one in read)
    alone = [one for one in read if sum(score >= least for score in one.scores.values()) == 1]
    assert any(one.unlike for one in alone), "such an answer were sure of a face like the others"
    assert not all(one.unlike for one in alone)
    found = evaluate(folder, faces)
    assert found.unlike == pytest.approx(unlike / len(FACES))
    assert found.sure == pytest.approx(1 - unsure / len(FACES))
    done = mien("evaluate", folder, tmp_path / "faces", "--device", "cpu")
    assert f"unlike the training faces: {unlike / len(FACES):.1%} of the faces" in done.out
    done = mien("evaluate", folder, tmp_path / "faces", "--device", "cpu", "--json")
    assert json.loads(done.out)["unlike"] == pytest.approx(unlike / len(FACES))


def test_a_model_without_a_measure_does_not_tell(exported: Path, tmp_path: Path) -> None:
    recognizer = Recognizer.load(exported, "cpu")
    plain = Recognizer(recognizer.backend, replace(recognizer.card, unlike=None))
    assert plain.logits_and_unlike(FACES)[1] is None
    found = plain.read([np.repeat(FACES[0][..., None], 3, 2)], WHOLE)[0][0]
    assert found.unlike is None
    assert "unlike" not in found.to_json()
    with pytest.raises(MienError, match=r"features \(N, 5\)"):
        UnlikeTraining(0.1, 0.1, 5, write_centers(np.eye(5))).distances(np.zeros((2, 4)))


def test_a_card_has_a_threshold_for_each_class(exported: Path, tmp_path: Path) -> None:
    (tmp_path / CARD).write_text(json.dumps(json.loads((exported / CARD).read_text()) | {"least_by_class": [0.5, 0.1, 0.9]}))
    card = read_card(tmp_path)
    assert card.possible_from == (0.5, 0.1, 0.9)
    assert card.possible_where_unlike(True) == (0.05, 0.05, 0.05)
    assert card.possible_where_unlike(None) == card.possible_from
    face = Face((0.0, 0.0, 1.0, 1.0), None, 1.0)
    made = make_prediction(face, {"a": 0.4, "b": 0.15, "c": 0.45}, card.possible_from)
    assert made.possible == ("b",)
    (tmp_path / CARD).write_text(json.dumps(json.loads((exported / CARD).read_text()) | {"least_by_class": [0.5]}))
    with pytest.raises(MienError, match="least_by_class"):
        read_card(tmp_path)
    old = json.loads((exported / CARD).read_text())
    for key in ("least_by_class", "unlike"):
        del old[key]
    (tmp_path / CARD).write_text(json.dumps(old))
    assert read_card(tmp_path).possible_from == (0.5,) * 3
