"""Trained teachers: their common word by hand, what students are taught of it, and what is refused."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from conftest import Interrupted, StopAfter, bright_faces, small_recipe
from mien import FaceSet, MienError, Recipe, Recognizer, TrainingSettings, evaluate, export, resume, train
from mien.pretraining.soft_targets import read_logits
from mien.recognize.run_records import note_sources, read_sources
from runs import begun

ORDER = TrainingSettings(seed=3, labels=60, threads=1)


@pytest.fixture(scope="module")
def teachers(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """Two small networks that saw other faces."""
    folder = tmp_path_factory.mktemp("teachers")
    for seed in (1, 2):
        recipe = small_recipe(stages=[{"epochs": 3, "lr": 0.1}], precision="float32")
        train(bright_faces(seed=9), recipe, folder / f"{seed}", TrainingSettings(seed=seed, threads=1))
    return str(folder / "1"), str(folder / "2")


def taught_by(models: tuple[str, ...], **changed: Any) -> Recipe:
    """A student of trained teachers."""
    start = {"technique": "teachers", "models": list(models)}
    return small_recipe(start=start, targets={"technique": "soft_targets", **changed}, precision="float32")


def log_softmax(values: np.ndarray) -> np.ndarray:
    """A naive one, row by row."""
    rows = [[value - np.log(sum(np.exp(row))) for value in row] for row in values.astype(np.float64)]
    return np.array(rows)


def test_the_kept_word_is_the_geometric_mean(teachers: tuple[str, str], tmp_path: Path) -> None:
    """Each teacher at its own temperature, the face and its mirror image together."""
    faces = bright_faces(120)
    run, _ = begun(tmp_path, faces, taught_by(teachers), ORDER)
    models = [Recognizer.load(one) for one in teachers]
    each = [log_softmax(model.logits(run.data.faces, flip=True) / model.card.temperature) for model in models]
    assert np.allclose(read_logits(run).numpy(), (each[0] + each[1]) / 2, atol=1e-4)
    assert not np.allclose(each[0], each[1], atol=0.01)
    assert [entry["weights"] for entry in read_sources(tmp_path)] == [model.card.weights for model in models]


def test_votes_and_the_teachers_word_are_mixed(teachers: tuple[str, str], tmp_path: Path) -> None:
    """A quarter of the teacher's word beside the shares of votes."""
    run, _ = begun(tmp_path, bright_faces(120), taught_by(teachers, labels="votes", share=0.25), ORDER)
    assert run.data.votes is not None
    row = int(run.labeled[0])
    shares = run.data.votes[row] / run.data.votes[row].sum()
    assert torch.allclose(run.targets[row], 0.75 * shares + 0.25 * torch.softmax(read_logits(run)[row], dim=0), atol=1e-5)
    assert not run.targets[run.unlabeled].any()


def test_votes_that_are_not_there(teachers: tuple[str, str], tmp_path: Path) -> None:
    voted = bright_faces(120)
    faces = FaceSet.from_arrays(voted.faces(np.arange(120)), voted.labels, voted.classes)
    with pytest.raises(MienError) as error:
        train(faces, taught_by(teachers, labels="votes"), tmp_path / "run", ORDER)
    assert error.value.expected == "a face set with votes"


def test_teachers_of_other_classes_or_faces(teachers: tuple[str, str], tmp_path: Path) -> None:
    named = bright_faces(120)
    other = FaceSet.from_arrays(named.faces(np.arange(120)), named.labels, [f"other_{name}" for name in named.classes])
    with pytest.raises(MienError) as error:
        train(other, taught_by(teachers), tmp_path / "classes", ORDER)
    assert error.value.expected.startswith("a teacher of other_")
    with pytest.raises(MienError) as error:
        train(bright_faces(120), taught_by(("nowhere",)), tmp_path / "nowhere", ORDER)
    assert error.value.expected == "a run or a model at nowhere"
    with pytest.raises(MienError):
        taught_by(())


@pytest.mark.parametrize("technique", ["teachers", "weights"])
def test_a_resumed_run_has_the_models_that_it_began_with(teachers: tuple[str, str], tmp_path: Path, technique: str) -> None:
    """Interrupted in its first epoch, it would learn the word of one teacher and name another, or begin with other weights."""
    for number, name in enumerate(("first", "second")):
        shutil.copytree(teachers[number], tmp_path / name)
    named = {"models": [str(tmp_path / "first")]} if technique == "teachers" else {"path": str(tmp_path / "first")}
    targets = {"technique": "soft_targets"} if technique == "teachers" else "hard"
    recipe = small_recipe(start={"technique": technique, **named}, targets=targets, precision="float32")
    bright_faces(120).save(tmp_path / "faces")
    with pytest.raises(Interrupted):
        train(tmp_path / "faces", recipe, tmp_path / "run", ORDER, progress=StopAfter(1))
    (tmp_path / "first").rename(tmp_path / "kept")
    (tmp_path / "second").rename(tmp_path / "first")
    was, other = (Recognizer.load(tmp_path / name).card.weights[:12] for name in ("kept", "first"))
    with pytest.raises(MienError) as error:
        resume(tmp_path / "run")
    assert error.value.expected == f"the models that {tmp_path / 'run'} began with, weights {was}"
    assert error.value.found == f"weights {other}"
    assert "put the same models back" in error.value.todo
    assert [entry["weights"][:12] for entry in read_sources(tmp_path / "run")] == [was]
    (tmp_path / "first").rename(tmp_path / "second")
    (tmp_path / "kept").rename(tmp_path / "first")
    assert [source["weights"][:12] for source in resume(tmp_path / "run").card.sources] == [was]


def test_a_run_has_as_many_teachers_as_it_began_with(teachers: tuple[str, str], tmp_path: Path) -> None:
    """The first is the same; a second one is not."""
    note_sources(tmp_path, [Path(teachers[0])])
    note_sources(tmp_path, [Path(teachers[0])])
    with pytest.raises(MienError, match="no further one; found weights"):
        note_sources(tmp_path, [Path(one) for one in teachers])


def test_runs_that_earlier_versions_began_with_an_exported_model_go_on(teachers: tuple[str, str], tmp_path: Path) -> None:
    """They did not write down the models that its card alone names: these are added, and all others have to be the same."""
    recipe = small_recipe(start={"technique": "weights", "path": teachers[0]}, precision="float32")
    train(bright_faces(120), recipe, tmp_path / "own", ORDER)
    export(tmp_path / "own", tmp_path / "given")
    own = Recognizer.load(tmp_path / "given").card
    given, run, file = tmp_path / "given", tmp_path / "run", tmp_path / "run" / "sources.json"
    run.mkdir()
    note_sources(run, [given, Path(teachers[1])])
    whole = json.loads(file.read_text())
    assert [entry["weights"] for entry in whole[:2]] == [own.weights, own.sources[0]["weights"]]
    file.write_text(json.dumps([whole[0], whole[2]]))
    with pytest.raises(MienError, match=f"weights {whole[2]['weights'][:12]}; found weights {own.sources[0]['weights'][:12]}"):
        note_sources(run, [given, Path(teachers[0])])
    note_sources(run, [given, Path(teachers[1])])
    assert json.loads(file.read_text()) == whole
    for other in (whole[:1], [whole[0], whole[1]], [*whole, whole[0]]):
        file.write_text(json.dumps(other))
        with pytest.raises(MienError, match=r"the models that .* began with"):
            note_sources(run, [given, Path(teachers[1])])


def test_the_sets_that_taught_an_exported_teacher_are_named(tmp_path: Path) -> None:
    """Of the model itself, and of the one that it began with: only the card still knows that."""
    sets = []
    for seed, name in enumerate(("lab", "street", "own")):
        faces = bright_faces(120, seed=seed)
        sets.append(replace(faces, info=replace(faces.info, name=name)).save(tmp_path / name))
    plain = small_recipe(precision="float32")
    first = train(sets[0], plain, tmp_path / "first", TrainingSettings(labels=30, threads=1))
    begun_with = plain.set("start", {"technique": "weights", "path": str(tmp_path / "first")})
    train(sets[1], begun_with, tmp_path / "second", TrainingSettings(labels=60, threads=1))
    export(tmp_path / "second", tmp_path / "given")
    taught = train(sets[2], taught_by((str(tmp_path / "given"),)), tmp_path / "run", ORDER)
    wanted = [sets[1].info.checksum, sets[0].info.checksum]
    assert [source["faces"] for source in read_sources(tmp_path / "run")] == wanted
    assert [source["faces"] for source in taught.card.sources] == wanted
    assert taught.card.sources[1]["weights"] == first.card.weights
    began = evaluate(taught, sets[0]).notes["began with"].split("; ")
    assert began[0].endswith("60 more labels of street")
    assert began[1].endswith("30 more labels of this set")
