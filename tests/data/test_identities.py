"""Face sets whose label is the person."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import bright_faces
from mien import FaceSet, MienError
from mien.data.identities import draw_identities, find_people, write_identities
from mien.data.importing import import_source, source_from


def people(subjects: list[str | None], **columns: object) -> FaceSet:
    faces = np.arange(len(subjects), dtype=np.uint8)[:, None, None].repeat(4, 1).repeat(4, 2)
    return FaceSet.from_arrays(faces, columns={"subject": subjects, **columns})


def test_nobody_is_nobody() -> None:
    person, names = find_people(people(["b", None, "", "a", " ", "b ", "a"]))
    assert names == ("a", "b")
    assert person.tolist() == [1, -1, -1, 0, -1, 1, 0]


def test_people_are_known_across_parts() -> None:
    person, names = find_people(people(["c", "a"]).join(people([None, "b", "c"])))
    assert [names[n] if n >= 0 else None for n in person] == ["c", "a", None, "b", "c"]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from(["ann", "bob", "cy", "dee", "eve", "", None]), min_size=12, max_size=60),
    st.integers(1, 4),
    st.sampled_from([0.0, 0.2, 0.5]),
    st.integers(0, 3),
)
def test_as_counted_one_by_one(subjects: list[str | None], least: int, test: float, seed: int) -> None:
    counts = Counter(name for name in subjects if name)
    chosen = {name for name, count in counts.items() if count >= least}
    held_out = max(1, round(test * len(chosen))) if test else 0
    if len(chosen) - held_out < 2:
        with pytest.raises(MienError, match="two people"):
            draw_identities(people(subjects), least, test, seed)
        return
    found = draw_identities(people(subjects), least, test, seed)
    assert found.rows.tolist() == [row for row, name in enumerate(subjects) if name in chosen]
    assert found.people == len(chosen)
    assert len(found.names) == len(chosen) - held_out
    assert list(found.names) == sorted(found.names)
    for row, label in zip(found.rows, found.labels, strict=True):
        name = subjects[row]
        assert (found.names[label] == name) if label >= 0 else (name not in found.names)


def test_written_sets_keep_what_was_known(tmp_path: Path) -> None:
    faces = bright_faces(120)  # 20 people with 6 faces each, in order
    made = write_identities(faces, tmp_path / "people", test=0.25, seed=1, split="all")
    assert len(made) == 120
    assert len(made.classes) == 15
    held_out = set(made.select(made.labels < 0).values("subject"))
    assert len(held_out) == 5
    assert not held_out & set(made.classes)
    assert [made.classes[n] for n in made.labels if n >= 0] == [name for name in faces.values("subject") if name not in held_out]
    assert ((made.labels < 0) == (made.values("split") == "test")).all()
    assert np.array_equal(made.faces(), faces.faces())
    assert made.values("source_split").tolist() == faces.values("split").tolist()
    assert made.values("source_label").tolist() == [faces.classes[n] for n in faces.labels]
    assert made.votes is None, "votes were for other classes"
    assert made.column("source_votes").to_pylist() == faces.column("votes").to_pylist()
    assert FaceSet.open(tmp_path / "people", verify=True).info.name.startswith("identities of")


def test_the_seed_draws_who_is_held_out() -> None:
    first, again, other = (draw_identities(bright_faces(120), seed=seed).names for seed in (0, 0, 1))
    assert first == again
    assert first != other


def test_one_split_alone() -> None:
    faces = bright_faces(120)
    found = draw_identities(faces, least=3, split="train")
    assert set(faces.values("split")[found.rows]) == {"train"}
    assert len(found.rows) == 96


def test_synthetic_people(tmp_path: Path) -> None:
    """Who is drawn in a picture without a face is nobody, and expression truth is no truth about people."""
    import_source(source_from("synthetic", {"faces": 80, "people": 6, "not_faces": 0.2, "side": 32}), tmp_path / "set")
    made = write_identities(FaceSet.open(tmp_path / "set"), tmp_path / "people")
    assert made.values("face").all()
    assert "true_label" not in made.column_names


def test_what_cannot_be() -> None:
    with pytest.raises(MienError, match="no column subject"):
        draw_identities(FaceSet.from_arrays(np.zeros((3, 4, 4), np.uint8)))
    with pytest.raises(MienError, match="most faces of one are 2"):
        draw_identities(people(["a", "a", "b", "c"]))
    with pytest.raises(MienError, match="share of people"):
        draw_identities(bright_faces(120), test=1.0)
    with pytest.raises(MienError, match="most faces of one are 0"):
        draw_identities(people([None, ""]), least=1)


def test_an_existing_folder_is_left_alone(tmp_path: Path) -> None:
    with pytest.raises(MienError, match="nothing at"):
        write_identities(bright_faces(120), tmp_path)


def test_faces_held_out_for_tests_are_left_out_unless_asked(tmp_path: Path) -> None:
    faces = bright_faces(120)
    held_out = set(faces.where(split="test").values("id"))
    assert not held_out & set(write_identities(faces, tmp_path / "some", least=2).values("id"))
    assert held_out <= set(write_identities(faces, tmp_path / "all", least=2, split="all").values("id"))
