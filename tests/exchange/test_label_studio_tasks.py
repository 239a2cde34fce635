"""Faces go to Label Studio as tasks, and what people answer there comes back as votes in a label store."""

import json
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from label_studio_schema import TASKS
from PIL import Image

from conftest import Command, bright_faces
from mien import FaceSet, MienError, Recognizer
from mien.data.convert import in_shape_of
from mien.exchange.label_studio_tasks import annotator, import_tasks, save_tasks, scores_of
from mien.labeling.store.store import Store
from mien.recognize.model_card import ModelCard
from mien.recognize.saved_networks import build_network, write_model


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> FaceSet:
    return bright_faces(6).save(tmp_path_factory.mktemp("pool") / "faces")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory, faces: FaceSet) -> Path:
    folder, network = tmp_path_factory.mktemp("run"), {"network": "mien_s", "width": 8, "depths": [1, 1, 1]}
    write_model(
        folder / "model",
        dict(build_network(network, 3, faces.info).state_dict()),
        ModelCard(network, faces.classes, faces.info, weights="0123456789abcdef"),
    )
    return folder / "model"


def annotation(number: int, by: Any, *choices: str, time: str = "2026-01-31T12:00:00.000000Z", **more: Any) -> dict[str, Any]:
    """As an export has it."""
    results = [{"from_name": "expression", "to_name": "picture", "type": "choices", "value": {"choices": list(choices)}}]
    return {"id": number, "completed_by": by, "result": results if choices else [], "created_at": time, **more}


def exported(path: Path, *annotations: list[dict[str, Any]]) -> Path:
    """A file with a task for each list of annotations: of the pool's faces, in order."""
    tasks = [{"id": n, "data": {"image": "x", "face": f"{n:07d}"}, "annotations": given} for n, given in enumerate(annotations)]
    path.write_text(json.dumps(tasks), "utf-8")
    return path


def test_tasks_have_pictures_and_predictions(faces: FaceSet, model: Path, tmp_path: Path, mien: Command) -> None:
    done = mien("labels", "tasks", faces.folder, tmp_path / "out", "--model", model, "--device", "cpu")
    assert (done.code, done.out) == (0, f"6 tasks -> {tmp_path / 'out'}\n"), done.err
    tasks = json.loads((tmp_path / "out" / "tasks.json").read_text("utf-8"))
    TASKS.validate_python(tasks)
    assert tasks[2]["data"] == {"image": "/data/local-files/?d=out/pictures/0000002.png", "face": "0000002"}
    np.testing.assert_array_equal(Image.open(tmp_path / "out" / "pictures" / "0000002.png"), faces.faces([2])[0])
    scores = Recognizer.load(model, "cpu").probabilities(faces)[2]
    said = tasks[2]["predictions"][0]
    assert said["result"][0]["value"]["choices"] == [faces.classes[scores.argmax()]]
    assert said["score"] == pytest.approx(scores.max(), abs=1e-4)
    view = ET.fromstring((tmp_path / "out" / "labeling_config.xml").read_text("utf-8"))
    assert [one.get("value") for one in view.iter("Choice")] == [*faces.classes, "not a face", "unsure"]
    with pytest.raises(MienError, match="nothing at"):
        save_tasks(faces, tmp_path / "out")


def test_faces_of_another_side_are_converted_for_the_model(faces: FaceSet, tmp_path: Path) -> None:
    names = ("anger", "happiness", "neutral")
    small = FaceSet.from_arrays(faces.faces(), faces.labels, names)
    mien_s = Recognizer.load("mien-s", "cpu")
    save_tasks(small, tmp_path / "out", mien_s)
    scores = mien_s.probabilities(in_shape_of(small, mien_s.card.faces))[:, [mien_s.classes.index(name) for name in names]]
    said = [task["predictions"][0]["score"] for task in json.loads((tmp_path / "out" / "tasks.json").read_text("utf-8"))]
    np.testing.assert_allclose(said, scores.max(axis=1), atol=1e-4)


def test_answers_come_into_a_store(faces: FaceSet, tmp_path: Path, mien: Command) -> None:
    given = exported(
        tmp_path / "export.json",
        [annotation(1, 7, "class0"), annotation(2, {"id": 8, "email": "ann@example.org"}, "class1")],
        [annotation(3, 7, "class2"), annotation(4, 8, "class2", was_cancelled=True)],
        [annotation(5, 7, "not a face"), annotation(6, 8)],
        [annotation(7, 7, "unsure")],
    )
    words = ["labels", "import", tmp_path / "labels.db", given, "--pool", faces.folder, "--json"]
    done = mien(*words)
    assert (done.code, json.loads(done.out)) == (0, {"rows": 5, "new": 5}), done.err
    assert json.loads(mien(*words).out) == {"rows": 5, "new": 0}
    with Store.open(tmp_path / "labels.db") as store:
        log = store.log()
        assert [(one.face[-1], one.annotator, one.kind, one.label) for one in log] == [
            ("0", "label-studio-7", "label", 0), ("0", "label-studio-8", "label", 1),
            ("1", "label-studio-7", "label", 2), ("2", "label-studio-7", "not_a_face", None),
            ("3", "label-studio-7", "unsure", None),
        ]  # fmt: skip
        changed = annotation(3, 7, "class1", updated_at="2026-02-01T12:00:00.000000Z")
        assert import_tasks(store, exported(tmp_path / "later.json", [], [changed])).new == 1
        found = store.consensus()
        assert dict(zip(found.faces, found.labels.tolist(), strict=True))["0000001"] == 1


@pytest.mark.parametrize(
    ("annotations", "said"),
    [
        ([annotation(1, 7, "clas0")], "did you mean class0"),
        ([annotation(1, 7, "class0", "class1")], "one choice in task 1"),
        ([annotation(1, 7, "class0", time="yesterday")], "a time like"),
        ([{"id": 1, "completed_by": 7}], "results with choices"),
        (["class0"], "a list of annotations"),
    ],
)
def test_what_is_no_answer_is_refused(faces: FaceSet, tmp_path: Path, annotations: list[Any], said: str) -> None:
    with Store.create(tmp_path / "labels.db", faces.classes, "pool", faces.info.checksum) as store:
        with pytest.raises(MienError, match=said):
            import_tasks(store, exported(tmp_path / "export.json", annotations), faces)
        assert store.log() == ()


def test_a_refused_file_leaves_no_store(faces: FaceSet, tmp_path: Path, mien: Command) -> None:
    given, store = exported(tmp_path / "export.json", [annotation(1, 7, "clas0")]), tmp_path / "labels.db"
    assert mien("labels", "import", store, given, "--pool", faces.folder).code == 1
    assert not store.exists()
    beyond = exported(tmp_path / "export.json", *([] for _ in range(7)))
    assert mien("labels", "import", store, beyond, "--pool", faces.folder).code == 1
    assert not store.exists()


def test_an_export_without_tasks_is_refused_before_a_store_is_made(faces: FaceSet, tmp_path: Path, mien: Command) -> None:
    given, store = exported(tmp_path / "export.json"), tmp_path / "labels.db"
    done = mien("labels", "import", store, given, "--pool", faces.folder)
    assert (done.code, f"expected tasks in {given}; found none" in done.err) == (1, True)
    assert not store.exists()


def test_without_a_store_its_pool_is_asked_for(tmp_path: Path, mien: Command) -> None:
    done = mien("labels", "import", tmp_path / "labels.db", exported(tmp_path / "export.json", []))
    assert (done.code, "found none there; check the address, or add --pool FACESET" in done.err) == (1, True)


@pytest.mark.parametrize(("name", "found"), [("", "a folder"), ("log.csv", "another file"), ("gone.json", "nothing")])
def test_what_is_no_export_is_not_laid_to_the_pool(faces: FaceSet, tmp_path: Path, mien: Command, name: str, found: str) -> None:
    (tmp_path / "log.csv").write_text("face\n")
    done = mien("labels", "import", tmp_path / "labels.db", tmp_path / name, "--pool", faces.folder)
    assert (done.code, "for LOG" in done.err or "LOG:" in done.err) == (2, True), done.err
    assert f"found {found} at {tmp_path / name}" in done.err


def test_a_person_is_the_same_by_number_and_by_record() -> None:
    assert annotator(8) == annotator({"id": 8, "email": "ann@example.org"}) == "label-studio-8"
    assert annotator({"email": "ann@example.org"}) == "ann@example.org"


def test_other_files_are_refused(faces: FaceSet, tmp_path: Path) -> None:
    with Store.create(tmp_path / "labels.db", faces.classes, "pool", faces.info.checksum) as store:
        for content, said in [("{}", "a list of tasks"), ('[{"image": "x", "expression": "class0"}]', "not as JSON-MIN")]:
            (tmp_path / "other.json").write_text(content)
            with pytest.raises(MienError, match=said):
                import_tasks(store, tmp_path / "other.json")
        with pytest.raises(MienError, match="tasks about faces of the pool"):
            import_tasks(store, exported(tmp_path / "export.json", *([] for _ in range(7))), faces)


def test_choices_are_matched_by_what_they_mean() -> None:
    assert scores_of({"happiness": 0.9, "anger": 0.1}, ["Happy", "anger", "bored"]) == {"Happy": 0.9, "anger": 0.1}
    with pytest.raises(MienError, match="among the model's classes"):
        scores_of({"happiness": 1.0}, ["bored"])
