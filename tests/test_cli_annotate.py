"""`mien annotate`, `mien annotators` and `mien labels` as people type them."""

import csv
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conftest import Command, bright_faces
from mien import FaceSet
from mien.active.page import serve
from mien.active.store.records import Question, Reply
from mien.active.store.store import Store
from mien.cli import app


@pytest.fixture
def store(tmp_path: Path, stored: Path) -> Path:
    """Two people answered some of ten questions."""
    pool = FaceSet.open(stored)
    with Store.create(tmp_path / "labels.db", pool.classes, "bright", pool.info.checksum, per_face=2) as made:
        made.ask([Question(f"{n:07d}", gold=1 if n == 9 else None) for n in range(10)])
        for name, said in (("ann", (0, 1, 2, 1)), ("bob", (0, 1, 1))):
            made.add_annotator(name)
            for number, label in enumerate(said):
                made.answer(name, Reply(f"{number:07d}", label=label, key=f"{number}"))
        made.answer("ann", Reply("0000009", label=1))
        made.answer("bob", Reply("0000004", "unsure"))
    return tmp_path / "labels.db"


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[Sequence[Any]]:
    """What `mien annotate` would serve, until Ctrl-C."""
    calls: list[Sequence[Any]] = []

    def note(*given: Any) -> None:
        calls.append(given)
        raise KeyboardInterrupt

    monkeypatch.setattr(serve, "serve", note)
    return calls


def test_the_page_is_served_for_a_new_store(mien: Command, served: list[Any], stored: Path, tmp_path: Path) -> None:
    labels = tmp_path / "labels.db"
    done = mien("annotate", stored, "--store", labels, "--port", 0, "--first", 5, "--add", "ann", "--name", "labels.example.org")
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    assert lines.pop(0) == f"a new label store: {labels}"
    token = lines[0].removeprefix("token of ann, said this once: ")
    assert lines[1] == "5 new questions; 0 of 5 faces done, 5 answers left"
    assert lines[2].startswith("open http://127.0.0.1:")
    assert lines[3] == "0 of 5 faces done, 5 answers left"
    assert done.err == ""
    (ready, _, guess, names), = served  # fmt: skip
    assert (guess, names, ready.new) == ("after", ["labels.example.org"], 5)
    with Store.open(labels) as opened:
        assert opened.annotator_by_token(token) == "ann"
    done = mien("annotate", stored, "--store", labels, "--port", 0, "--add", "ann", "--show-guess", "never")
    assert done.code == 0, done.err
    assert "ann is known already; a new token: mien annotators renew ann --store" in done.out
    assert served[-1][2] == "never"


def test_what_is_missing_is_said(mien: Command, served: list[Any], stored: Path, tmp_path: Path) -> None:
    done = mien("annotate", stored, "--store", tmp_path / "labels.db", "--port", 0, "--host", "0.0.0.0")
    assert "nobody can sign in yet: mien annotators add NAME --store" in done.out
    assert "warning: the network can reach this page" in done.err
    pool = FaceSet.open(stored)
    Store.create(tmp_path / "waiting.db", pool.classes, "", pool.info.checksum).close()
    done = mien("annotate", stored, "--store", tmp_path / "waiting.db", "--port", 0)
    assert "0 new questions; no questions yet: mien rounds asks them" in done.out


def test_doubts_are_shown_with_their_labels(mien: Command, served: list[Any], stored: Path, tmp_path: Path) -> None:
    (tmp_path / "doubts.csv").write_text("id,given,suggested\n0000003,class0,class1\n0000001,class1,class2\n")
    done = mien("annotate", stored, "--store", tmp_path / "labels.db", "--doubts", tmp_path / "doubts.csv", "--port", 0)
    assert done.code == 0, done.err
    assert "2 new questions" in done.out
    assert served[0][2] == "before"
    with Store.open(tmp_path / "labels.db") as opened:
        assert [(one.face, one.guess) for one in opened.questions()] == [("0000003", 0), ("0000001", 1)]


def test_what_cannot_be_is_one_sentence(mien: Command, served: list[Any], store: Path, stored: Path, tmp_path: Path) -> None:
    bright_faces(seed=1).save(tmp_path / "other")
    for words, told in (
        (["annotate", tmp_path / "none", "--store", store, "--port", 0], "a face set at"),
        (["annotate", tmp_path / "other", "--store", store, "--port", 0], "as it was when this store was made"),
        (["annotate", stored, "--store", store, "--port", 0, "--per-face", 1], "labels with 1 answers to a face; found 2"),
        (["annotate", stored, "--store", store, "--port", 0, "--show-guess", "soon"], "--show-guess among after, before, never"),
        (["annotate", stored, "--store", store, "--host", "no.such.host.invalid"], "to listen at no.such.host.invalid"),
        (["annotate", stored, "--store", "mysql://here/labels", "--port", 0], "the path of a file, or postgresql://"),
        (["annotate", stored, "--store", store, "--port", 0, "--name", "http://labels.example.org"], "without http:// or port"),
        (["annotators", "add", "ann", "--store", store], "a name that nobody has yet; found 'ann'"),
        (["annotators", "renew", "eve", "--store", store], "a known annotator; found 'eve'"),
        (["annotators", "list", "--store", tmp_path / "none.db"], "a label store at"),
        (["labels", "show", tmp_path / "none.db"], "a label store at"),
        (["labels", "export", store, tmp_path / "out.txt"], "a file named .csv or .parquet"),
        (["labels", "export", store, tmp_path / "out.csv", "--what", "all"], "--what among consensus, log; found 'all'"),
        (["labels", "import", store, tmp_path / "none.csv"], "a CSV file at"),
    ):
        done = mien(*words)
        assert (done.code, done.out) == (1, ""), words
        assert told in done.err
    assert not served
    assert not (tmp_path / "none.db").exists()
    assert not (tmp_path / "out.csv").exists()
    assert mien("annotate", stored).code == 2
    assert mien("annotate", stored, "--store", store, "--port", 99999).code == 2


def test_people_are_added_listed_and_given_new_tokens(mien: Command, store: Path) -> None:
    token = json.loads(mien("annotators", "add", "Zoë B.", "--store", store, "--json").out)["token"]
    assert json.loads(mien("annotators", "list", "--store", store, "--json").out) == {"Zoë B.": 0, "ann": 5, "bob": 4}
    assert "Zoë B." in mien("annotators", "list", "--store", store).out
    done = mien("annotators", "renew", "Zoë B.", "--store", store)
    with Store.open(store) as opened:
        assert opened.annotator_by_token(token) is None
        assert opened.annotator_by_token(done.out.split()[-1]) == "Zoë B."


def test_what_people_said_is_shown(mien: Command, store: Path) -> None:
    done = mien("labels", "show", store)
    assert done.code == 0, done.err
    assert "bright: 3 of 9 faces done, 10 answers left, 1 gold" in done.out
    assert "agreement (Krippendorff's alpha): 0.545" in done.out
    assert "100.0%" in done.out, "ann on gold"
    found = json.loads(mien("labels", "show", store, "--json").out)
    assert (found["progress"]["done"], found["progress"]["remaining"], found["per_face"]) == (3, 10, 2)
    assert [(one["name"], one["answers"], one["right"]) for one in found["annotators"]] == [("ann", 5, 1.0), ("bob", 4, None)]


def test_labels_leave_and_enter_a_store(mien: Command, store: Path, stored: Path, tmp_path: Path) -> None:
    done = mien("labels", "export", store, tmp_path / "labels.csv", "--min-agreement", 0.6)
    assert done.code == 0, done.err
    assert "10 faces ->" in done.out
    with (tmp_path / "labels.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["label"] for row in rows[:5]] == ["class0", "class1", "", "class1", ""]
    assert rows[2]["state"] == "disputed"
    done = mien("labels", "export", store, tmp_path / "log.parquet", "--what", "log", "--json")
    assert json.loads(done.out) == {"rows": 9, "out": str(tmp_path / "log.parquet")}
    pool = FaceSet.open(stored)
    with Store.create(tmp_path / "copy.db", pool.classes, "bright", pool.info.checksum) as copy:
        copy.ask([Question(f"{n:07d}") for n in range(10)])
    for new in (9, 0):
        done = mien("labels", "import", tmp_path / "copy.db", tmp_path / "log.parquet")
        assert done.out == f"{new} of 9 answers are new\n"
    assert mien("labels", "show", tmp_path / "copy.db", "--json").code == 0


def test_nothing_heavy_is_loaded_before_it_is_needed() -> None:
    heavy = {"fastapi", "uvicorn", "starlette", "jinja2", "sqlalchemy", "torch", "numpy", "rich.table"}
    code = f"import sys, mien.cli; print(sorted({heavy!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    code = "import sys, mien.active.page.serve, mien.active.page.prepare; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False", "the page alone needs no network"


def test_every_group_is_documented() -> None:
    guide = (Path(__file__).parents[1] / "docs" / "guides" / "annotate.md").read_text("utf-8")
    groups = {group.name: group.typer_instance for group in app.registered_groups}
    for name in ("annotators", "labels"):
        commands = groups[name].registered_commands  # type: ignore[union-attr]
        assert len(commands) >= 3
        for command in commands:
            word = command.name or command.callback.__name__  # type: ignore[union-attr]
            assert f"mien {name} {word}" in guide


def test_labels_go_back_into_a_face_set(mien: Command, store: Path, stored: Path, tmp_path: Path) -> None:
    done = mien("labels", "apply", store, stored, tmp_path / "labeled", "--min-answers", 2, "--json")
    assert done.code == 0, done.err
    told = json.loads(done.out)
    faces = FaceSet.open(told["out"], verify=True)
    assert faces.labels[:4].tolist() == [0, 1, -1, 0]
    assert (told["faces"], told["agreed"], told["changed"], told["disputed"]) == (len(faces), 2, 0, 1)
    done = mien("labels", "apply", store, stored, tmp_path / "labeled")
    assert (done.code, "nothing at" in done.err) == (1, True)


def test_labels_may_be_parted_into_train_and_test_as_they_are_applied(mien: Command, stored: Path, tmp_path: Path) -> None:
    """A split that was drawn before anyone labeled has hardly a labeled face in it."""
    pool = FaceSet.open(stored)
    with Store.create(tmp_path / "labels.db", pool.classes, "bright", pool.info.checksum) as made:
        made.ask([Question(name) for name in pool.values("id")[:90]])
        made.add_annotator("ann")
        for number in range(60):
            made.answer("ann", Reply(f"{number:07d}", label=number % 3))
    words = ["labels", "apply", tmp_path / "labels.db", stored]
    done = mien(*words, tmp_path / "new" / "parted", "--test", 0.3, "--json")
    assert done.code == 0, done.err
    faces = FaceSet.open(json.loads(done.out)["out"], verify=True)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["parted"], "nothing is left beside it"
    test, people = faces.values("split") == "test", faces.values("subject")
    assert set(people[test]).isdisjoint(people[~test])
    counts = np.bincount(faces.labels[test & (faces.labels >= 0)], minlength=3)
    assert f"only {counts.sum()} test faces" in done.err or f"whose figures say little: class0 ({counts[0]})" in done.err
    shares = counts / np.bincount(faces.labels[faces.labels >= 0], minlength=3)
    assert (np.abs(shares - 0.3) < 0.15).all()
    again = mien(*words, tmp_path / "again", "--test", 0.3)
    assert (FaceSet.open(tmp_path / "again").values("split") == faces.values("split")).all(), "drawn by seed"
    assert again.out.startswith(f"{len(faces)} faces -> ")
    done = mien(*words, tmp_path / "again", "--test", 0.3)
    assert (done.code, "nothing at" in done.err) == (1, True)
