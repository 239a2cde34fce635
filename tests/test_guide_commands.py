"""Each command in the docs is run here, or by the test of its page, or names something that its reader has: then it needs data.

What a reader has is listed in NEEDS by the words that pages take for it. Where no word says it, a comment behind the command
does: `# needs: WHAT`.
"""

import re
import shlex
from collections.abc import Iterator
from itertools import pairwise, takewhile
from pathlib import Path

import pytest

from conftest import Command

ROOT = Path(__file__).parents[1]
PAGES = sorted([*(ROOT / "docs").rglob("*.md"), ROOT / "README.md"])
BEGIN = "begin"
"""The folder of pages of which tests/test_begin_pages.py runs every command."""
SHELL = ("", "bash", "sh")
"""Languages of blocks in which each line is a command. In `console` those after `$` are; other blocks hold none."""

NEEDS = {
    "a face set": """faces my_faces children ferplus peaks moving others clean people here labeled measured my_labeled_faces rafd
        affectnet web/faces FACES/ferplus_choose pool raf web web_parted""",
    "features of a face set": "features my_features what_it_knows",
    "a run, or a model": """run my_run my_model small head head_known steady folds noisy alt dal known st_sw masked scratch
        student fr_feature vgg_face run:stage3_1 fr_feature:block10 vgg_face:stage5 my_small.onnx""",
    "photos": "my_pictures my_photos photos my_labeled_photos examples.png pictures_root",
    "a video": "my_video.mp4 film.mp4",
    "a label store": "labels.db my_labels.db",
    "a published database": "FER FER/fer2013.csv legend.csv WEB/legend.csv basic IMDB_WIKI MEGAFACE CKPLUS databases",
    "a file of another program": "package/model/fr_feature.onnx vgg_face.mat",
    "a face network of an extra": "facenet_dlib:block9 facenet_dlib:block10",
}
"""What readers have, and the words for it in commands: each input that no test brings."""
ELSEWHERE = {
    "serve": "serving/test_service.py",
    "watch": "recognize/test_camera.py",
    "annotate": "labeling/page/test_page_setup.py",
    "collect": "collect/test_collect.py",
    "runs": "experiments/test_list_runs.py",
}
"""Commands that stay until they are told, ask the web, or look for what is in the folder; and the tests that run them."""
SHORT = {"import synthetic": ["--set", "faces=28", "--set", "people=7", "--set", "sequences=2"]}
"""What is added to a command that is run here, by its first words, so that it takes a moment."""
FIRST = re.compile(r"""^(?:(?:[A-Z_]+=(?:"[^"]*"|[^\s"]+)|time) )*(\S+)""")
PROGRAMS = {".", "cp", "curl", "docker", "for", "grep", "mkdir", "mv", "npm", "openssl"}
PROGRAMS |= {"tar", "tensorboard", "unshare", "unzip"}
"""Programs of others: what they do is theirs."""


def commands(page: Path) -> Iterator[str]:
    """Each command of a page, on one line."""
    for kind, block in re.findall(r"^```(\w*)\n(.*?)^```$", page.read_text("utf-8"), re.DOTALL | re.MULTILINE):
        for line in block.replace("\\\n", " ").splitlines():
            if kind in SHELL and line.strip():
                yield line
            elif kind == "console" and line.startswith("$ "):
                yield line[2:]


def words_of(command: str) -> list[str]:
    """The words after `mien`, without a comment and without the file that is printed into."""
    return shlex.split(command[command.index("mien ") :].partition(" > ")[0], comments=True)[1:]


def inputs(command: str) -> set[str]:
    """What a command of mien is given, but for its own name and the folder that it makes."""
    name, *words = words_of(command)
    if name == "import":
        places = list(takewhile(lambda word: not word.startswith("-"), words))
        del words[len(places) - 1]
    given = [word for before, word in pairwise(["", *words]) if before != "--out"]
    return {part for word in given for part in word.rpartition("=")[2].split(",")}


def needed(command: str) -> str:
    """What a command of mien needs; "" where it needs nothing."""
    if said := re.search(r"# needs: (.+)", command):
        return said[1]
    given = inputs(command)
    return next((what for what, names in NEEDS.items() if given & {*names.split()}), "")


def of_mien(page: Path) -> list[str]:
    return [one for one in commands(page) if FIRST.match(one) and FIRST.match(one)[1] == "mien"]  # type: ignore[index]


ALONE = sorted({one.partition(" #")[0].strip() for page in PAGES if page.parent.name != BEGIN for one in of_mien(page)
    if words_of(one)[0] not in ELSEWHERE and not needed(one)})  # fmt: skip
"""The commands that need nothing."""


def test_what_needs_nothing_runs(mien: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert {"mien databases", "mien recipes", "mien tables show alt-1b", "mien databases rafdb"} <= {*ALONE}
    for number, command in enumerate(ALONE):
        place = tmp_path / str(number)
        place.mkdir()
        monkeypatch.chdir(place)
        words = words_of(command)
        done = mien(*words, *SHORT.get(" ".join(words[:2]), []))
        assert done.code == 0, (command, done.err)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_other_commands_are_known(page: Path) -> None:
    """Programs of this repository are there, as are goals of make and extras; a block of output says so by its language."""
    goals = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text("utf-8"), re.M)
    extras = re.findall(r"^(\w+) = \[", (ROOT / "pyproject.toml").read_text("utf-8"), re.M)
    for command in commands(page):
        first = FIRST.match(command)
        assert first, command
        if first[1] in ("python", "bash", ".venv/bin/python"):
            if page.parent.name != BEGIN:
                files = re.findall(r"\b(?:benchmarks|tests)/\S+\.(?:py|sh)\b", command)
                assert [file for file in files if not (ROOT / file).is_file()] == []
                assert files or re.search(r"python -(c|m (fuzzing|http.server|pytest)) ", command), command
        elif first[1] == "make":
            assert {*command.split()[1:]} <= {*goals}, command
        elif first[1] == "pip":
            assert {*re.findall(r"\[(\w+)\]", command)} <= {*extras}, command
        else:
            assert first[1] in {"mien", *PROGRAMS}, f"{command}: a block of output has the language text"


def test_nothing_is_listed_that_no_page_says() -> None:
    said = [one for page in PAGES for one in of_mien(page)]
    given = set[str]().union(*map(inputs, said))
    assert [name for names in NEEDS.values() for name in names.split() if name not in given] == []
    begin = (ROOT / "tests" / "test_begin_pages.py").read_text("utf-8")
    assert [page.name for page in PAGES if page.parent.name == BEGIN and page.name not in begin] == []
    assert {*ELSEWHERE} <= {words_of(one)[0] for one in said}
    assert [file for file in ELSEWHERE.values() if not (ROOT / "tests" / file).is_file()] == []
