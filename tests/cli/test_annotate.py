"""`mien annotate`, `mien annotators` and `mien labels` as people type them."""

import csv
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conftest import Command, bright_faces
from mien import FaceSet
from mien.cli import app
from mien.labeling.page import serve
from mien.labeling.store.records import Question, Reply
from mien.labeling.store.store import Store


@pytest.fixture
def store(tmp_path: Path, stored: Path) -> Path:
    """Two people answered some of ten questions."""
    pool = FaceSet.open(stored)
    with Store.create(tmp_path / "labels.db", pool.classes, "bright", pool.info.checksum, per_face=2) as made:
        made.ask([Question(f"{n:07d}", gold=1 if n == 9 else None) for n in range(10)])
        for name, said in (("ann", (0, 1, 2, 1)), ("bob", (0, 1, 1))):
            made.accounts.add(name)
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
    (ready, _, guess, reached), = served  # fmt: skip
    assert (guess, reached.names, ready.new) == ("after", ["labels.example.org"], 5)
    with Store.open(labels) as opened:
        assert opened.accounts.signed_in(token) == "ann"
    done = mien("annotate", stored, "--store", labels, "--port", 0, "--add", "ann", "--show-guess", "never")
    assert done.code == 0, done.err
    assert "ann is known already; a new token: mien annotators renew ann --store" in done.out
    assert served[-1][2] == "never"


def test_a_page_with_tls_and_proxies(mien: Command, served: list[Any], stored: Path, tmp_path: Path) -> None:
    program = shutil.which("openssl")
    if program is None:
        pytest.skip("openssl is not installed")
    both = tmp_path / "both.pem"
    making = [program, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=mien"]
    making += ["-keyout", str(both), "-out", str(tmp_path / "c")]
    subprocess.run(making, check=True, capture_output=True)
    both.write_bytes(both.read_bytes() + (tmp_path / "c").read_bytes())
    words = ["--port", 0, "--host", "0.0.0.0", "--certificate", both, "--proxy", "10.0.0.0/8", "--proxy", "::1"]
    done = mien("annotate", stored, "--store", tmp_path / "labels.db", *words)
    assert (done.code, done.err) == (0, ""), "no warning"
    assert "open https://0.0.0.0:" in done.out
    reached = served[0][3]
    assert reached.tls is not None
    assert reached.proxies == ("10.0.0.0/8", "::1")


def test_a_third_answer_is_wanted_later(mien: Command, served: list[Any], store: Path, stored: Path) -> None:
    words = ["annotate", stored, "--store", store, "--port", 0, "--per-face"]
    done = mien(*words, 3)
    assert done.code == 0, done.err
    assert "faces on which people disagree (1 so far) want 3 answers, all others 2 as before" in done.out.splitlines()
    assert "0 new questions; 2 of 9 faces done, 11 answers left" in done.out
    assert mien(*words, 3).out.splitlines()[0].startswith("faces on which people disagree (1 so far)")
    refused = mien(*words, 2)
    assert (refused.code, refused.out) == (1, "")
    assert "at least the 3 answers to a face where people disagree that this store wants; found 2" in refused.err
    assert "3 of 9" not in mien("annotate", stored, "--store", store, "--port", 0).out


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
        (
            ["annotate", stored, "--store", store, "--port", 0, "--per-face", 1],
            "at least the 2 answers to a face that this store wants",
        ),
        (["annotate", stored, "--store", store, "--port", 0, "--show-guess", "soon"], "--show-guess among after, before, never"),
        (["annotate", stored, "--store", store, "--host", "no.such.host.invalid"], "to listen at no.such.host.invalid"),
        (["annotate", stored, "--store", "mysql://here/labels", "--port", 0], "the path of a file, or postgresql://"),
        (["annotate", stored, "--store", store, "--port", 0, "--name", "http://labels.example.org"], "without http:// or port"),
        (["annotate", stored, "--store", store, "--port", 0, "--proxy", "localhost"], "the IP address of a proxy, or a network"),
        (["annotate", stored, "--store", store, "--port", 0, "--key", store], "--certificate beside --key"),
        (["annotate", stored, "--store", store, "--port", 0, "--certificate", tmp_path / "c.pem"], "no such file or directory"),
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
    for number in ("99999", "99999999999999999999", "-1", "1.5", "nan", "x"):
        done = mien("annotate", stored, "--store", tmp_path / "none.db", "--port", number)
        assert (done.code, "Traceback" in done.err) == (2, False)
    assert not (tmp_path / "none.db").exists()


def test_people_are_added_listed_and_given_new_tokens(mien: Command, store: Path) -> None:
    token = json.loads(mien("annotators", "add", "Zoë B.", "--store", store, "--json").out)["token"]
    listed = json.loads(mien("annotators", "list", "--store", store, "--json").out)
    assert {name: one["answers"] for name, one in listed.items()} == {"Zoë B.": 0, "ann": 5, "bob": 4}
    assert "Zoë B." in mien("annotators", "list", "--store", store).out
    done = mien("annotators", "renew", "Zoë B.", "--store", store)
    with Store.open(store) as opened:
        assert opened.accounts.signed_in(token) is None
        assert opened.accounts.signed_in(done.out.split()[-1]) == "Zoë B."


def test_people_come_and_go(mien: Command, store: Path) -> None:
    def listed() -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = json.loads(mien("annotators", "list", "--store", store, "--json").out)
        return found

    assert mien("annotators", "add", "[/x]", "--store", store, "--days", 0).code == 0
    assert "[/x]" in mien("annotators", "list", "--store", store).out
    assert (listed()["[/x]"]["expires"], listed()["[/x]"]["state"]) == (None, "active")
    token = mien("annotators", "renew", "ann", "--store", store, "--days", 3).out.split()[-1]
    until = datetime.fromisoformat(listed()["ann"]["expires"])
    assert timedelta(days=2) < until - datetime.now(UTC) < timedelta(days=4)
    assert mien("annotators", "disable", "ann", "--store", store).out == "ann cannot answer any more; their answers stay\n"
    assert listed()["ann"]["state"] == "disabled"
    with Store.open(store) as opened:
        assert opened.accounts.signed_in(token) is None
        opened.accounts.note_sign_in("ann", "192.0.2.1", "disabled")
    assert mien("annotators", "enable", "ann", "--store", store).out == "ann is active\n"
    (row,) = json.loads(mien("annotators", "sign-ins", "--store", store, "--json").out)
    assert (row["name"], row["address"], row["outcome"]) == ("ann", "192.0.2.1", "disabled")
    assert "192.0.2.1" in mien("annotators", "sign-ins", "--store", store).out
    done = mien("annotators", "remove", "ann", "--store", store)
    assert (done.code, done.out) == (1, "")
    assert "nobody at a terminal to ask; give --yes" in done.err
    assert listed()["ann"]["answers"] == 5
    done = mien("annotators", "remove", "ann", "--store", store, "--yes", "--json")
    nobody = json.loads(done.out)["answers"]
    assert listed()[nobody] == {"answers": 5, "state": "removed", "expires": None}
    assert "ann" not in listed()
    assert mien("annotators", "remove", "bob", "--store", store, "--yes", "--answers").code == 0
    assert listed().keys() == {"[/x]", nobody}
    assert mien("labels", "check", store).code == 0


def test_stores_are_backed_up_and_looked_over(mien: Command, store: Path, tmp_path: Path) -> None:
    done = mien("labels", "backup", store, tmp_path / "backup.db")
    assert (done.code, done.out) == (0, f"9 answers -> {tmp_path / 'backup.db'}\n")
    assert "nothing at" in mien("labels", "backup", store, tmp_path / "backup.db").err
    assert mien("labels", "check", tmp_path / "backup.db").out == f"{tmp_path / 'backup.db'} is sound\n"
    assert mien("labels", "show", tmp_path / "backup.db").out == mien("labels", "show", store).out
    connection = sqlite3.connect(store)
    with connection:
        connection.execute("UPDATE mien_questions SET answered = 7")
        connection.execute("DROP TRIGGER mien_answers_DELETE")
    connection.close()
    done = mien("labels", "check", store)
    assert done.code == 1
    assert len(done.out.splitlines()) == 2
    told = json.loads(mien("labels", "check", store, "--json").out)
    assert (told["sound"], told["version"], told["faults"]) == (False, 3, done.out.splitlines())


def test_numbers_and_names_that_cannot_be_are_a_sentence(mien: Command, store: Path, stored: Path, tmp_path: Path) -> None:
    huge, strange = "9" * 30, os.fsdecode(b"\xff")
    for words in (
        ["annotators", "add", "max", "--store", store, "--days", huge],
        ["annotators", "add", strange, "--store", store],
        ["annotators", "renew", strange, "--store", store],
        ["annotators", "list", "--store", tmp_path / strange],
        ["annotators", "list", "--store", ""],
        ["labels", "check", tmp_path / strange],
        ["labels", "show", tmp_path],
    ):
        done = mien(*words)
        assert (done.code, done.out) == (1, ""), words
        assert done.err.startswith("mien: expected"), words
    for words in (
        ["annotate", stored, "--store", tmp_path / "new.db", "--port", 0, "--per-face", huge],
        ["labels", "export", store, tmp_path / "out.csv", "--min-answers", huge],
    ):
        done = mien(*words)
        assert (done.code, done.out, "less than or equal to" in done.err) == (2, "", True), words
    log = tmp_path / "log.csv"
    for time in ("9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+12:00", "yesterday"):
        log.write_text(f"face,annotator,kind,label,time,model,key,undoes\n0000000,eve,label,class1,{time},,k,\n")
        assert "a time" in mien("labels", "import", store, log).err


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
    code = "import sys, mien.labeling.page.serve, mien.labeling.page.setup; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False", "the page alone needs no network"


def test_every_group_is_documented() -> None:
    guides = Path(__file__).parents[2] / "docs" / "guides"
    guide = "".join((guides / name).read_text("utf-8") for name in ("annotate.md", "other_tools.md"))
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
        made.accounts.add("ann")
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
