"""release.sh: what it refuses, and what it does; a stand-in plays Python."""

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "release.sh"
GIT = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull} | {
    f"GIT_{who}_{what}": "nobody" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
}
PYTHON = f"""#!/bin/sh
case "$*" in
*tomllib*) sed -n 's/^version = "\\(.*\\)"$/\\1/p' pyproject.toml;;
*npm.py*) exec '{sys.executable}' "$@";;
*) echo "$*" >>"$ASKED";;
esac
"""
READY = {
    "pyproject.toml": '[project]\nversion = "1.2.3"\n',
    "CITATION.cff": "cff-version: 1.2.0\nversion: 1.2.3\n",
    "CHANGELOG.md": "# Changelog\n\n## [1.2.3] - 2030-01-31\n",
    "locks/npm.py": (SCRIPT.parent / "locks" / "npm.py").read_text("utf-8"),
    "locks/npm.json": '{"onnxruntime-web": {"sha512": "a+b/c==", "files": ["dist/a.mjs"], "folder": "src/mien/browser/vendor"}}',
    "src/mien/browser/vendor/LICENSE": "MIT License\n",
    "src/mien/browser/vendor/.sha512": "a+b/c==\ndist/a.mjs\nLICENSE",
}


class Place:
    """A repository with a release that is ready."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.asked = folder / "repository", folder / "asked"
        (folder / "bin").mkdir()
        (folder / "bin" / "python").write_text(PYTHON)
        (folder / "bin" / "python").chmod(0o755)
        self.folder.mkdir()
        shutil.copy(SCRIPT, self.folder)
        self.environment = os.environ | GIT | {"BIN": str(folder / "bin"), "ASKED": str(self.asked)}
        self.git("init", "--quiet")
        self.write(READY)

    def git(self, *words: str) -> str:
        return subprocess.run(
            ["git", *words], cwd=self.folder, env=self.environment, check=True, capture_output=True, text=True
        ).stdout

    def write(self, files: dict[str, str]) -> None:
        for name, text in files.items():
            (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / name).write_text(text)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", "files")

    def release(self) -> subprocess.CompletedProcess[str]:
        words = ["bash", "release.sh"]
        return subprocess.run(words, cwd=self.folder, env=self.environment, check=False, capture_output=True, text=True)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    if not (shutil.which("git") and shutil.which("bash")):
        pytest.skip("git or bash is missing")
    return Place(tmp_path)


def test_a_release_is_built_checked_and_tagged_once(place: Place) -> None:
    done = place.release()
    assert done.returncode == 0, done.stderr
    assert place.git("tag").split() == ["v1.2.3"]
    assert [line.split()[1] for line in place.asked.read_text().splitlines()] == ["hatchling", "pytest"]
    assert "expected no tag v1.2.3 yet" in place.release().stderr


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("pyproject.toml", 'version = "1.2"\n', "a version of three numbers"),
        ("CITATION.cff", "version: 1.2.2\n", "'version: 1.2.3' in CITATION.cff"),
        ("CHANGELOG.md", "## [Unreleased]\n", "'## [1.2.3] - DATE' in CHANGELOG.md"),
    ],
)
def test_a_release_that_is_not_ready_is_refused(place: Place, name: str, text: str, said: str) -> None:
    place.write({name: text})
    done = place.release()
    assert done.returncode == 1
    assert said in done.stderr
    assert place.git("tag") == ""
    assert not place.asked.exists()


def test_what_is_not_committed_is_not_released(place: Place) -> None:
    (place.folder / "more.py").write_text("")
    assert "expected everything to be committed" in place.release().stderr


@pytest.mark.parametrize("stamp", ["a+b/c==\ndist/a.mjs\nLICENSE\na.mjs", "d+e/f==\ndist/a.mjs\nLICENSE", "a+b/c=="])
def test_a_release_without_the_page_s_runtime_is_refused(place: Place, stamp: str) -> None:
    place.write({"src/mien/browser/vendor/.sha512": stamp})
    done = place.release()
    assert done.returncode == 1
    assert "expected onnxruntime-web" in done.stderr
    assert not place.asked.exists()


def test_the_version_is_the_same_wherever_it_stands() -> None:
    root = SCRIPT.parent
    version = tomllib.loads((root / "pyproject.toml").read_text())["project"]["version"]
    assert f"\nversion: {version}\n" in (root / "CITATION.cff").read_text()
    first = next(line for line in (root / "CHANGELOG.md").read_text().splitlines() if line.startswith("## "))
    assert first == "## [Unreleased]" or first.startswith(f"## [{version}] - ")
