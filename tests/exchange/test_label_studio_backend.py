"""mien answers Label Studio's requests as they are documented, from pictures of one folder alone, and learns from answers."""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from label_studio_schema import HEALTH, PREDICTED, SET_UP
from opentelemetry.trace import NoOpTracer, Tracer, TracerProvider
from PIL import Image

from conftest import bright_faces
from mien import FaceSet, MienError, Recognizer
from mien.exchange.label_studio_backend import MOST_BYTES, Backend, Labeling, build_backend, local_picture
from mien.exchange.label_studio_tasks import labeling_config
from mien.exchange.label_studio_training import FILE, AnnotationTraining, agreed_faces
from mien.recognize.model_card import ModelCard
from mien.recognize.saved_networks import build_network, write_model

FACES = bright_faces(12)
CONFIG = labeling_config(FACES.classes)


@pytest.fixture(scope="module")
def recognizer(tmp_path_factory: pytest.TempPathFactory) -> Recognizer:
    folder, network = tmp_path_factory.mktemp("run"), {"network": "mien_s", "width": 8, "depths": [1, 1, 1]}
    card = ModelCard(network, FACES.classes, FACES.info)
    write_model(folder / "model", dict(build_network(network, 3, FACES.info).state_dict()), card)
    return Recognizer.load(folder / "model", "cpu")


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    (tmp_path / "root" / "in").mkdir(parents=True)
    for number, pixels in enumerate(FACES.faces()):
        Image.fromarray(pixels).save(tmp_path / "root" / "in" / f"{number}.png")
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


def event(action: str, address: str = "", choice: str = "", person: int = 1, **more: Any) -> dict[str, Any]:
    result = [{"from_name": "expression", "to_name": "picture", "type": "choices", "value": {"choices": [choice]}}]
    annotation = {"id": 1, "completed_by": person, "result": result if choice else [], "was_cancelled": False, **more}
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
    recipe, said = tmp_path / "quick.toml", list[str]()
    small = '{ network = "mien_s", width = 8, depths = [1, 1, 1] }'
    recipe.write_text(f'base = "supervised_small"\nmodel = {small}\ndraw = "shuffled"\nstages = [{{ epochs = 1, lr = 0.01 }}]\n')
    training = AnnotationTraining(tmp_path / "learned", str(recipe), said.append)
    backend, before = Backend(recognizer, pictures, training), Backend(recognizer, pictures).version
    events = [event("ANNOTATION_CREATED", f"in/{n}.png", FACES.classes[label]) for n, label in enumerate(FACES.labels)]
    more = [event("ANNOTATION_UPDATED", "in/0.png", "class1"), event("ANNOTATION_CREATED", "/etc/passwd", "class1")]
    replies = asked(backend, *(("POST", "/webhook", one) for one in [*events, *more, event("START_TRAINING")]))
    assert {reply.status_code for reply in replies} == {201}
    assert replies[-1].json() == {"status": "ok", "result": {"training": True}}
    training.wait()
    assert said == [f"learned from 12 pictures: {tmp_path / 'learned' / 'model-1'}"]
    assert backend.version != before
    answers = json.loads((tmp_path / "learned" / FILE).read_text())
    assert (len(answers), answers[str(pictures / "in" / "0.png")]) == (12, {"1": "class1"})
    again = AnnotationTraining(tmp_path / "learned", tell=said.append)
    again.remember(pictures / "in" / "0.png", event("ANNOTATION_UPDATED", was_cancelled=True)["annotation"])
    assert json.loads((tmp_path / "learned" / FILE).read_text())[str(pictures / "in" / "0.png")] == {}


def test_without_answers_nothing_is_learned(recognizer: Recognizer, pictures: Path, tmp_path: Path) -> None:
    said = list[str]()
    training = AnnotationTraining(tmp_path / "learned", tell=said.append)
    asked(Backend(recognizer, pictures, training), ("POST", "/webhook", event("START_TRAINING")))
    training.wait()
    assert "not trained: expected answers of two classes" in said[0]
    (reply,) = asked(Backend(recognizer, pictures), ("POST", "/webhook", event("START_TRAINING")))
    assert reply.json()["result"] == {"training": False}


def test_an_earlier_folder_teaches_nothing_of_other_places(recognizer: Recognizer, pictures: Path, tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes((pictures / "in" / "1.png").read_bytes())
    (tmp_path / "learned").mkdir()
    answers = {str(tmp_path / "a.png"): {"1": "class0"}, str(tmp_path / "b.png"): {"1": "class1"}}
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
    answers = {"0": {"a": "class0", "b": "class1"}, "1": {"a": "class1"}, "2": {"a": "class2", "b": "class2", "c": "class0"}}
    found = agreed_faces(recognizer, FACES.classes, answers, lambda by, path: FACES.faces([int(path.name)])[0])
    assert isinstance(found, FaceSet)
    assert (found.values("id").tolist(), found.classes, found.labels.tolist()) == (["1", "2"], ("class1", "class2"), [0, 1])
    with pytest.raises(MienError, match="answers of two classes"):
        agreed_faces(recognizer, FACES.classes, {"1": {"a": "class1"}}, lambda by, path: np.zeros((16, 16), np.uint8))


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
