"""The Dockerfile and the compose file, whose steps are tried without Docker; and `mien serve` in a process of its own."""

import json
import os
import re
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from conftest import Command
from mien.installed import EXTRAS
from processes import WAIT
from stub_service import TOKEN, picture

ROOT = Path(__file__).parents[2]
LINES = [line for line in (ROOT / "Dockerfile").read_text().splitlines() if line and not line.startswith("#")]
STEPS: list[tuple[str, str]] = [(step, what) for step, _, what in (line.partition(" ") for line in LINES)]
COMMAND: list[str] = json.loads(dict(STEPS)["CMD"])
HEAVY = ("torch", "scipy", "matplotlib", "pyarrow", "sqlalchemy", "jinja2", "onnx")
"""Packages that the image does not have."""
WITHOUT = f"import sys; sys.modules.update(dict.fromkeys({HEAVY})); from mien.cli import main; main()"


@contextmanager
def started(folder: Path, *words: str) -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    """The address of a command of mien, in a process without the packages that the image lacks, in a folder without files."""
    folder.mkdir()
    folder.chmod(stat.S_IRUSR | stat.S_IXUSR)
    environment = os.environ | {"PYTHONUNBUFFERED": "1", "HOME": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-c", WITHOUT, *words]
    with subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            said = iter(process.stdout.readline, "")
            yield next(found[0] for line in said if (found := re.search(r"http://[\d.]+:\d+/", line))), process
        finally:
            process.kill()


def test_the_image_has_the_extra_that_the_service_needs_and_a_user_who_may_write_nothing() -> None:
    assert STEPS[0] == ("FROM", "python:3.13-slim")
    (installs,) = [what for step, what in STEPS if step == "RUN" and "pip install" in what]
    assert '".[serve]"' in installs
    assert "--constraint constraints.txt" in installs
    (copied, *more) = [what.split() for step, what in STEPS if step == "COPY"]
    assert all((ROOT / name).exists() for name in copied[:-1])
    assert more == [["src", "./src"]]
    order = [step for step, _ in STEPS]
    assert order.index("USER") < order.index("CMD")
    assert "root" not in dict(STEPS)["USER"]
    assert not set(EXTRAS["serve"]) & set(HEAVY)
    ignored = (ROOT / ".dockerignore").read_text().split()
    assert ignored[0] == "*"
    assert {f"!{name.removeprefix('./')}" for name in copied[:-1]} <= set(ignored)


def test_the_compose_file_lets_nothing_be_written_and_nobody_else_in() -> None:
    lines = [line.strip() for line in (ROOT / "compose.yaml").read_text().splitlines()]
    assert {"read_only: true", "cap_drop: [ALL]", 'ports: ["127.0.0.1:8080:8080"]'} <= set(lines)


def test_the_command_starts_answers_and_ends_without_writing_a_file(tmp_path: Path) -> None:
    assert COMMAND[:3] == ["mien", "serve", "mien-s"]
    words = [word if word != "8080" else "0" for word in COMMAND[1:]]
    with started(tmp_path / "home", *words) as (where, process), httpx.Client(timeout=WAIT) as client:
        where = where.replace("0.0.0.0", "127.0.0.1")
        assert client.get(f"{where}health").json() == {"status": "ok"}
        answer = client.post(f"{where}v1/read", content=picture(size=(40, 40)))
        assert answer.json() == {"photos": [{"photo": "photo", "faces": []}]}
        assert client.get(f"{where}v1/model").json()["name"] == "mien-s"
        process.send_signal(signal.SIGTERM)
        assert process.wait(WAIT) == 128 + signal.SIGTERM
        assert not list((tmp_path / "home").iterdir())


def test_what_cannot_be_served_is_one_sentence(mien: Command, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("short")
    for words, told in (
        ((str(tmp_path / "none"),), "a run or a model"),
        (("--token", str(tmp_path / "token")), "a token of 16 to 1000 letters"),
        (("--host", "no such host"), "to listen at"),
        (("--root-path", "faces"), "a path such as"),
        (("--name", "http://a"), "a host name"),
        (("--bytes", "7"), "1024"),
        (("mien-s", "mien-s"), "mien-s"),
    ):
        done = mien("serve", "--port", "0", *words)
        assert done.code in (1, 2), words
        assert told in done.err + done.out, (words, done)


def test_a_service_whose_token_was_lost_is_not_open(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(TOKEN)
    with started(tmp_path / "home", "serve", "--port", "0", "--token", str(tmp_path / "token")) as (where, process):
        (tmp_path / "token").unlink()
        assert httpx.get(f"{where}v1/model", timeout=WAIT).status_code == 401
        process.kill()
        assert process.wait(WAIT) == -signal.SIGKILL
