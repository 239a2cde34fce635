"""What people said becomes a face set: their labels and votes, without what is no face, and all else as it was."""

from pathlib import Path

import numpy as np
import pytest

from conftest import bright_faces
from mien import FaceSet, MienError
from mien.labeling.store.apply_labels import LabeledSet, apply_labels
from mien.labeling.store.records import Question, Reply
from mien.labeling.store.store import Store

ANSWERS = {
    "0000000": ("class0", "class0"),
    "0000001": ("class2", "class2"),
    "0000002": ("class0", "class1"),
    "0000003": ("x", "x"),
    "0000004": ("u", "u"),
    "0000005": ("class1",),
}
"""By two people."""


def applied(folder: Path, faces: FaceSet, classes: tuple[str, ...]) -> LabeledSet:
    """With the answers above to the first faces; the seventh is asked about and not answered."""
    with Store.create(folder / "labels.db", classes, "faces", faces.info.checksum, per_face=2) as store:
        store.ask([Question(face, 1) for face in [*ANSWERS, "0000006"]])
        for number, name in enumerate(("ann", "bob")):
            store.accounts.add(name)
            for face, given in ANSWERS.items():
                if number < len(given):
                    kind = {"x": "not_a_face", "u": "unsure"}.get(given[number], "label")
                    label = classes.index(given[number]) if kind == "label" else None
                    store.answer(name, Reply(face, kind, label))  # type: ignore[arg-type]
        return apply_labels(store, faces, folder / "labeled", 0.6, 2)


def test_labels_and_votes_are_those_of_people(tmp_path: Path) -> None:
    faces = bright_faces(12).save(tmp_path / "faces")
    done = applied(tmp_path, faces, faces.classes)
    assert (done.agreed, done.changed, done.disputed, done.not_a_face, done.unsure, done.open) == (2, 1, 1, 1, 1, 2)
    made = FaceSet.open(tmp_path / "labeled", verify=True)
    kept = np.delete(np.arange(12), 3)
    assert made.column("id").to_pylist() == faces.select(kept).column("id").to_pylist()
    np.testing.assert_array_equal(made.faces(), faces.faces(kept))
    np.testing.assert_array_equal(made.labels[:3], [0, 2, -1])
    np.testing.assert_array_equal(made.labels[3:], faces.labels[4:])
    assert made.votes is not None
    assert faces.votes is not None
    np.testing.assert_array_equal(made.votes[:3], [[2, 0, 0], [0, 0, 2], [1, 1, 0]])
    np.testing.assert_array_equal(made.votes[3:], faces.votes[4:])
    assert made.column("answered").to_pylist()[:6] == ["agreed", "agreed", "disputed", None, None, None]
    assert made.column("source_label").to_pylist()[:3] == ["class0", "class1", "class2"]
    assert made.column("split").to_pylist() == faces.select(kept).column("split").to_pylist()


def test_labels_of_other_classes_replace_the_sets(tmp_path: Path) -> None:
    faces = bright_faces(12).save(tmp_path / "faces")
    done = applied(tmp_path, faces, ("class2", "class0", "class1", "class3"))
    made = done.faces
    assert made.classes == ("class2", "class0", "class1", "class3")
    np.testing.assert_array_equal(made.labels, [1, 0, *[-1] * 9])
    assert made.votes is not None
    np.testing.assert_array_equal(made.votes[[0, 2]], [[0, 2, 0, 0], [0, 1, 1, 0]])
    assert made.votes[4:].sum() == 0
    assert made.column("source_label").to_pylist()[4:6] == ["class2", "class0"]
    assert done.changed == 2


def test_another_set_is_refused(tmp_path: Path) -> None:
    faces = bright_faces(12).save(tmp_path / "faces")
    store = Store.create(tmp_path / "labels.db", faces.classes, "faces", "another")
    with store, pytest.raises(MienError, match="the pool 'faces' as it was"):
        apply_labels(store, faces, tmp_path / "labeled")
    assert not (tmp_path / "labeled").exists()
