"""The pages to begin with: all that they show is run in order, on fewer faces and for one epoch."""

import re
import shlex
from pathlib import Path

import pytest

from conftest import Command

PAGES = Path(__file__).parents[1] / "docs" / "begin"
FEWER = {
    '"faces": 150': '"faces": 9',
    '"sequences": 50': '"sequences": 3',
    '"faces": 1400, "people": 70': '"faces": 140, "people": 14',
}
"""What is read in place of what a page's Python says; all of it has to be there."""
SHORT = {
    "import": ["--set", "faces=140", "--set", "people=14"],
    "train": ["--epochs", "1", "--set", "draw=shuffled", "--threads", "1"],
    "compare": ["--epochs", "1", "--seeds", "1", "--labels-per-class", "5", "--set", "draw=shuffled", "--threads", "1"],
}
"""What is added to a command, so that it takes a moment."""


def run_page(page: str, mien: Command) -> str:
    """What the commands of a page said; its Python is run, and output that it shows is passed over."""
    said = ""
    text = (PAGES / page).read_text("utf-8")
    for kind, block in re.findall(r"^```(\w*)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE):
        if kind == "python":
            for many, fewer in FEWER.items():
                block = block.replace(many, fewer)
            exec(compile(block, page, "exec"), {"__name__": "example"})
        elif not kind:
            for line in block.splitlines():
                words = shlex.split(line.partition(" > ")[0])
                if words[0] == "mien":
                    short = SHORT.get(words[1], []) if words[2] != "folder" else []
                    done = mien(*words[1:], *short)
                    assert done.code == 0, done.err
                    said += done.out + done.err
                else:
                    assert re.fullmatch(r"python draw_\w+\.py", line)  # it ran above
    return said


def test_what_is_shortened_is_there() -> None:
    text = "".join(page.read_text("utf-8") for page in PAGES.glob("*.md"))
    assert [many for many in FEWER if many not in text] == []


def test_reading_a_video(mien: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = (PAGES / "read-my-videos.md").read_text("utf-8")
    (drawing,) = re.findall(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    for many, fewer in FEWER.items():
        drawing = drawing.replace(many, fewer)
    exec(compile(drawing, "read-my-videos.md", "exec"), {"__name__": "example"})  # the page shows what it reads first
    said = run_page("read-my-videos.md", mien)
    assert "my_video.mp4: 0.3 s, 3 faces" in said
    assert said.splitlines()[-1].startswith("my_video.mp4,")
    assert (tmp_path / "drawn" / "000001-my_video.png").is_file()


def test_training(mien: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    said = run_page("train-on-my-faces.md", mien)
    assert "140 faces -> my_faces" in said
    assert "starts from mien-s: the last layer begins anew, for 7 classes" in said
    assert re.search(r"accuracy .*%.* to ", said)
    assert re.search(r"^\d{4}\.png: ", said, re.M)
    assert (tmp_path / "my_run" / "evaluation-test" / "report.html").is_file()


def test_comparing(mien: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    said = run_page("compare-recipes.md", mien)
    assert "140 faces x 6 views x 128 features -> my_features" in said
    assert "fixmatch_small, 5 labels per class, seed 0: accuracy" in said
    assert (tmp_path / "comparison" / "report.html").is_file()
