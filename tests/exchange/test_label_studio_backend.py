"""mien answers Label Studio's requests as they are documented, from pictures of one folder alone, and learns from answers."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from label_studio_schema import HEALTH, PREDICTED, SET_UP
from opentelemetry.trace import NoOpTracer, Tracer, TracerProvider
from PIL import Image

from mien import FaceSet, MienError, Recognizer
from mien.exchange.label_studio_backend import MOST_BYTES, Backend, Labeling, build_backend, local_picture
from mien.exchange.label_studio_tasks import labeling_config
from mien.exchange.label_studio_training import FILE, AnnotationTraining, agreed_faces
from mien.faces.crop import WHOLE
from mien.recognize.model_card import ModelCard
from mien.recognize.saved_networks import build_network, write_model

LABELS = np.arange(36) % 3
FACES = FaceSet.from_arrays(
    np.random.default_rng(0).integers(0, 60, (36, 16, 16), dtype=np.uint8)
    + np.uint8(80) * LABELS[:, None, None].astype(np.uint8),
    LABELS,
    ["class0", "class1", "class2"],
)
"""Dark, gray and bright ones: a last layer on a network that learned nothing tells them apart."""
CONFIG = labeling_config(FACES.classes)


@pytest.fixture(scope="module")
def recognizer(tmp_path_factory: pytest.TempPathFactory) -> Recognizer:
    folder, network = tmp_path_factory.mktemp("run"), {"network": "mien_s", "width": 8, "depths": [1, 1, 1]}
    card = ModelCard(network, FACES.classes, replace(FACES.info, alignment=WHOLE))
    write_model(folder / "model", dict(build_network(network, 3, FACES.info).state_dict()), card)
    return Recognizer.load(folder / "model", "cpu")


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    (tmp_path / "root" / "in").mkdir(parents=True)
    for number, pixels in enumerate(FACES.faces()):
        Image.fromarray(pixels).save(tmp_path / "root" / "in" / f"{number}.png")
    Image.fromarray(FACES.faces([3])[0]).resize((40, 40)).save(tmp_path / "root" / "large.png")
    return (tmp_path / "root").resolve()


def task(address: object, number: int = 1) -> dict[str, Any]:
    """As Label Studio sends one."""
    return {"id": number, "data": {"image": address}, "meta": {}, "is_labeled": False, "annotations": [], "predictions": []}


def request(*addresses: object, config: str = CONFIG) -> dict[str, Any]:
    return {
        "tasks": [task(address, number) for number, address in enumerate(addresses)],
        "model_version": None,
        "project": "1.1694809921",
        "label_config": config,
        "params": {"login": None, "password": None, "context": None},
    }


def event(action: str, address: str = "", choice: str = "", person: Any = 1, n: int = 1, **more: Any) -> dict[str, Any]:
    result = [{"from_name": "expression", "to_name": "picture", "type": "choices", "value": {"choices": [choice]}}]
    annotation = {"id": n, "completed_by": person, "result": result if choice else [], "was_cancelled": False, **more}
    return {"action": action, "annotation": annotation, "task": task(address), "project": {"id": 1, "label_config": CONFIG}}


def asked(backend: Backend, *requests: tuple[str, str, Any], headers: Mapping[str, str] | None = None) -> list[httpx.Response]:
    """The replies to requests: method, path and body each."""

    async def ask() -> list[httpx.Response]:
        transport = httpx.ASGITransport(build_backend(backend))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", headers=headers) as client:
            return [await client.request(method, path, json=body) for method, path, body in requests]

    return asyncio.run(ask())


def test_requests_are_answered_as_documented(recognizer: Recognizer, pictures: Path) -> None:
    backend = Backend(recognizer, pictures)
    setup = {"project": "1.1", "schema": CONFIG, "hostname": "http://203.0.113.7", "access_token": "x", "extra_params": None}
    addresses = ["/data/local-files/?d=in/3.png", "in/4.png", "http://203.0.113.7/in/3.png", "../run/model.json", 7]
    health, ready, made = asked(
        backend, ("GET", "/health", None), ("POST", "/setup", setup), ("POST", "/predict", request(*addresses))
    )
    HEALTH.validate_python(health.json())
    SET_UP.validate_python(ready.json())
    PREDICTED.validate_python(made.json())
    first, second, *others = made.json()["results"]
    scores = recognizer.probabilities(FACES.select([3, 4]))
    for said, row in zip((first, second), scores, strict=True):
        assert said["result"][0]["value"]["choices"] == [FACES.classes[row.argmax()]]
        assert said["score"] == pytest.approx(row.max(), abs=1e-4)
        assert (said["result"][0]["from_name"], said["result"][0]["to_name"]) == ("expression", "picture")
    assert [one["result"] for one in others] == [[], [], []]


def test_other_requests_are_refused(recognizer: Recognizer, pictures: Path) -> None:
    backend = Backend(recognizer, pictures)
    bomb = '<!DOCTYPE x [<!ENTITY a "b">]><View/>'
    replies = asked(
        backend,
        ("POST", "/predict", request(config="<View>")),
        ("POST", "/predict", request(config=bomb)),
        ("POST", "/predict", request(config=labeling_config(["bored"]).replace("unsure", "tired"))),
        ("POST", "/predict", {"tasks": 3}),
        ("POST", "/predict", request("x" * MOST_BYTES)),
        ("POST", "/webhook", {"action": "TASK_CREATED"}),
        ("GET", "/docs", None),
    )
    assert [reply.status_code for reply in replies] == [400, 400, 400, 422, 413, 200, 404]
    assert "declares entities" in replies[1].text
    (foreign,) = asked(backend, ("GET", "/health", None), headers={"Host": "example.org"})
    assert foreign.status_code == 421
    assert "open the address that mien printed" in foreign.json()["todo"]


@pytest.mark.parametrize(
    "address",
    [
        "in",
        "in/none.png",
        "/data/local-files/?d=../out.png",
        "in/../../out.png",
        "file:///x",
        "//host/x",
        "in/\0.png",
        "in/link.png",
    ],
)
def test_no_other_file_is_read(pictures: Path, address: str) -> None:
    (pictures.parent / "out.png").write_bytes((pictures / "in" / "1.png").read_bytes())
    (pictures / "in" / "link.png").symlink_to(pictures.parent / "out.png")
    assert local_picture({"image": "/in/1.png"}, "image", pictures) == pictures / "in" / "1.png"
    assert local_picture({"image": address}, "image", pictures) is None


def test_answers_teach_the_next_model(recognizer: Recognizer, pictures: Path, tmp_path: Path) -> None:
    said, learned = list[str](), tmp_path / "learned"
    assert recognizer.folder is not None
    training = AnnotationTraining(learned, recognizer.folder, "cpu", said.append)
    backend, before = Backend(training.recognizer(), pictures, training), Backend(recognizer, pictures).version
    assert backend.version == before
    events = [event("ANNOTATION_CREATED", f"in/{n}.png", FACES.classes[label], n=n) for n, label in enumerate(FACES.labels)]
    more = [event("ANNOTATION_UPDATED", "in/0.png", "class1", n=0), event("ANNOTATION_CREATED", "/etc/passwd", "class1")]
    more += [event("ANNOTATION_CREATED", f"in/{n}.png", "unsure", 2, n=90 + n) for n in range(9)]
    more += [
        event("ANNOTATION_UPDATED", "in/1.png", "not a face", n=1),
        {"action": "ANNOTATIONS_DELETED", "annotations": [{"id": 2}]},
    ]
    replies = asked(backend, *(("POST", "/webhook", one) for one in [*events, *more, event("START_TRAINING")]))
    assert {reply.status_code for reply in replies} == {201}
    assert replies[-1].json() == {"status": "ok", "result": {"training": True}}
    training.wait()
    assert said == [f"learned from 34 pictures: {learned / 'model-1'}"]
    assert backend.version != before
    (made,) = asked(backend, ("POST", "/predict", request("in/3.png", "in/4.png", "large.png")))
    scores = Recognizer.load(learned / "model-1", "cpu").probabilities(FACES.select([3, 4]))
    results = made.json()["results"]
    assert [one["score"] for one in results[:2]] == pytest.approx(scores.max(axis=1).tolist(), abs=1e-4)
    assert results[2]["result"], "faces are found in photos as by the model before"
    answers = json.loads((learned / FILE).read_text())
    assert len(answers) == 36
    assert answers[str(pictures / "in" / "0.png")] == {
        "label-studio-1": {"choice": "class1", "annotation": "0"}, "label-studio-2": {"choice": "unsure", "annotation": "90"},
    }  # fmt: skip
    assert list(answers[str(pictures / "in" / "2.png")]) == ["label-studio-2"]
    again = AnnotationTraining(learned, recognizer.folder, "cpu", said.append)
    assert Backend(again.recognizer(), pictures).version == backend.version
    assert AnnotationTraining(learned, "mien-s", "cpu", said.append).recognizer().classes == Recognizer.load("mien-s").classes
    assert "came from another model" in said[-1]
    again.remember(pictures / "in" / "3.png", event("ANNOTATION_UPDATED", was_cancelled=True)["annotation"])
    assert json.loads((learned / FILE).read_text())[str(pictures / "in" / "3.png")] == {
        "label-studio-2": {"choice": "unsure", "annotation": "93"}
    }


def test_a_model_that_gets_no_better_is_not_taken(
    recognizer: Recognizer, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every answer is drawn by chance, and then training fails in a way that nobody foresaw."""
    said = list[str]()
    training = AnnotationTraining(tmp_path / "learned", recognizer.folder or "", "cpu", said.append)
    backend = Backend(recognizer, pictures, training)
    for n, label in enumerate(np.random.default_rng(0).integers(0, 2, 36)):
        training.remember(pictures / "in" / f"{n}.png", event("", choice=FACES.classes[label])["annotation"])
    before = backend.version
    nothing: dict[int, Any] = {}
    for way in ("expected", "KeyError: 7"):
        assert backend.train(Labeling.parse(CONFIG))
        training.wait()
        assert said.pop().startswith(f"not trained, and the model stays: {way}")
        monkeypatch.setattr(backend, "_find", lambda recognizer, path: nothing[7])
    assert (backend.version, list((tmp_path / "learned").glob("model-*"))) == (before, [])


def test_without_answers_nothing_is_learned(recognizer: Recognizer, pictures: Path, tmp_path: Path) -> None:
    said = list[str]()
    training = AnnotationTraining(tmp_path / "learned", tell=said.append)
    asked(Backend(recognizer, pictures, training), ("POST", "/webhook", event("START_TRAINING")))
    training.wait()
    assert "the model stays: expected answers of two classes" in said[0]
    (reply,) = asked(Backend(recognizer, pictures), ("POST", "/webhook", event("START_TRAINING")))
    assert reply.json()["result"] == {"training": False}


def test_an_earlier_folder_teaches_nothing_of_other_places(recognizer: Recognizer, pictures: Path, tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes((pictures / "in" / "1.png").read_bytes())
    (tmp_path / "learned").mkdir()
    one, other = ({"1": {"choice": choice, "annotation": "1"}} for choice in ("class0", "class1"))
    answers = {str(tmp_path / "a.png"): one, str(tmp_path / "b.png"): other}
    (tmp_path / "learned" / FILE).write_text(json.dumps(answers))
    said = list[str]()
    backend = Backend(recognizer, pictures, AnnotationTraining(tmp_path / "learned", tell=said.append))
    assert backend.train(Labeling.parse(CONFIG))
    assert backend.training is not None
    backend.training.wait()
    assert "found none" in said[0]
    (tmp_path / "learned" / FILE).write_text("[]")
    with pytest.raises(MienError, match="answers by picture and person"):
        AnnotationTraining(tmp_path / "learned")


def test_people_who_disagree_give_no_label(recognizer: Recognizer) -> None:
    answers = {
        "0": {"a": "class0", "b": "class1"},
        "1": {"a": "class1", "b": "unsure", "c": "unsure"},
        "2": {"a": "class2", "b": "class2", "c": "class0"},
        "3": {"a": "not a face"},
        "4": {"a": "unsure"},
        "5": {"a": "not a face", "b": "class0"},
        "6": {"a": "of another project"},
    }
    asked_for = Labeling.parse(CONFIG).choices
    found = agreed_faces(recognizer, asked_for, answers, lambda by, path: FACES.faces([int(path.name)])[0])
    assert isinstance(found, FaceSet)
    assert (found.values("id").tolist(), found.classes, found.labels.tolist()) == (["1", "2"], ("class1", "class2"), [0, 1])
    with pytest.raises(MienError, match="answers of two classes"):
        agreed_faces(recognizer, asked_for, {"1": {"a": "class1"}}, lambda by, path: np.zeros((16, 16), np.uint8))


def test_a_choice_of_the_same_expression_is_the_models_class() -> None:
    mien_s = Recognizer.load("mien-s", "cpu")
    answers = {"0": {"a": "Happy"}, "1": {"a": "bored"}}
    found = agreed_faces(mien_s, ("Happy", "bored"), answers, lambda by, path: np.zeros((48, 48), np.uint8))
    assert set(found.classes) == {"bored", "happiness"}
    assert found.info.alignment == mien_s.card.faces.alignment


def test_torch_is_loaded_only_to_learn() -> None:
    code = "import sys, mien.exchange.label_studio_backend; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


def test_a_configuration_says_what_is_asked() -> None:
    assert Labeling.parse(CONFIG) == Labeling("expression", "picture", "image", (*FACES.classes, "not a face", "unsure"))


def test_no_tracer_is_told(recognizer: Recognizer, pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = list[str]()

    class Tracers(TracerProvider):
        def get_tracer(self, instrumenting_module_name: str, *more: Any, **settings: Any) -> Tracer:
            told.append(instrumenting_module_name)
            return NoOpTracer()

    monkeypatch.setattr("opentelemetry.trace.get_tracer_provider", Tracers)
    (reply,) = asked(Backend(recognizer, pictures), ("GET", "/health", None))
    assert (reply.status_code, told) == (200, [])
