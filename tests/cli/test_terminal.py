"""Names in tables, bars and lines are text: brackets are no markup, control characters are written out."""

import io
import json
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from rich.console import Console

from conftest import Command, bright_faces, small_recipe
from mien import FaceSet, TrainingSettings, train
from mien.cli.tables import TextTable, show_table
from mien.data.format import Info
from mien.faces.face import Face
from mien.progress import Quiet, Silent, progress_bar, tell_part
from mien.recognize.prediction import make_prediction, sentence
from mien.recognize.timeline import Timeline
from mien.terminal import live, terminal
from mien.training import loop

NAMES = ["calm [/]", "happy [posed]", "[/b]", ":smiley:", "\x1b]0;title\x07\x1b[2J", "gnp.‮exe", "a\nb", "[red]red"]
SHOWN = ["calm [/]", "happy [posed]", "[/b]", ":smiley:", "\\x1b]0;title\\x07\\x1b[2J", "gnp.\\u202eexe", "[red]red"]


def is_plain(text: str) -> bool:
    return all(letter == "\n" or letter.isprintable() for letter in text)


def test_cells_headers_and_titles_are_text(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    table = TextTable(*NAMES, title=" ".join(NAMES))
    table.add_row(*NAMES)
    show_table(table)
    out = capsys.readouterr().out
    assert is_plain(out)
    assert all(out.count(name) == 3 for name in SHOWN), out


def test_a_name_without_end_does_not_fill_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    table = TextTable("class")
    table.add_row("x" * 10**6)
    show_table(table)
    assert len(capsys.readouterr().out) < 2000


def test_bars_show_titles_and_lines_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    file = io.StringIO()

    def console(**settings: object) -> Console:
        return Console(file=file, force_terminal=True, width=200, markup=False, emoji=False, color_system=None)

    monkeypatch.setattr("mien.terminal.terminal", console)
    with progress_bar() as bar:
        for name in NAMES:
            bar.begin(name, 2)
            bar.say(name)
            bar.advance(2)
    text = file.getvalue()
    assert all(name in text for name in SHOWN)
    assert "\x07" not in text
    assert "‮" not in text
    assert "\x1b[2J" not in text
    assert live().console is not None
    assert terminal().render_str("[b]x[/b] :smiley:").plain == "[b]x[/b] :smiley:"


def test_a_bar_says_what_of_it_is_done_how_fast_and_until_when(monkeypatch: pytest.MonkeyPatch) -> None:
    file = io.StringIO()
    monkeypatch.setattr(
        "mien.terminal.terminal",
        lambda **settings: Console(file=file, force_terminal=True, width=200, markup=False, color_system=None),
    )
    with progress_bar() as bar:
        seconds = iter(range(10**6))
        monkeypatch.setattr(bar._progress, "get_time", lambda: float(next(seconds)))
        bar.begin("2/3 alt, stage 1", 1000)
        tell_part(Quiet(bar, "", set()), "epoch 3 of 40")
        for _ in range(3):
            bar.advance(100)
        bar._progress.refresh()
    assert "2/3 alt, stage 1, epoch 3 of 40" in file.getvalue()
    assert re.search(r"\d/s .*\d+:\d\d:\d\d to the bar's end", file.getvalue())


def test_a_run_says_epoch_speed_and_what_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Heard(Silent):
        def __init__(self) -> None:
            self.said, self.parts = list[str](), list[str]()

        def say(self, text: str) -> None:
            self.said.append(text)

        def part(self, text: str) -> None:
            self.parts.append(text)

    heard, clock = Heard(), iter(range(0, 10**6, 30))
    monkeypatch.setattr(loop, "time", SimpleNamespace(monotonic=lambda: float(next(clock))))
    recipe = small_recipe(stages=[{"epochs": 2, "lr": 0.01}, {"epochs": 3, "lr": 0.01}])
    train(bright_faces(), recipe, tmp_path / "run", TrainingSettings(threads=1, device="cpu"), progress=heard)
    lines = [line for line in heard.said if "epoch" in line]
    assert [re.match(r"stage \d of 2, epoch \d of \d: loss ", line) is not None for line in lines] == [True] * 5
    assert [re.sub(r".*; [\d,]+ faces/s", "", line) for line in lines] == [
        ", about 2 min left for all",
        ", about 90 s left for all",
        ", about 60 s left for all",
        ", about 30 s left for all",
        "",
    ]
    assert heard.parts == ["epoch 1 of 2", "epoch 2 of 2", "epoch 1 of 3", "epoch 2 of 3", "epoch 3 of 3"]


def test_sentences_of_readings_are_plain() -> None:
    face = Face((0.0, 0.0, 1.0, 1.0), None, 1.0)
    for name in [*NAMES, "x" * 10**6]:
        said = sentence(make_prediction(face, {name: 1.0}, 0.5))
        assert said.isprintable()
        assert len(said) < 100


def test_pictures_take_any_name() -> None:
    names = [*NAMES, "_hidden", "$\\frac{", "x" * 10**5, ""]
    line = Timeline(names)
    one = make_prediction(Face((0.0, 0.0, 1.0, 1.0), None, 1.0), dict.fromkeys(names, 1 / len(names)), 0.5)
    for second in (0.0, 0.1):
        line.add(second, [type(one)(one.face, one.scores, one.possible, 1)])
    assert line.picture().startswith(b"\x89PNG")


@pytest.fixture
def odd(tmp_path: Path) -> Path:
    """A set whose classes have such names."""
    pixels = np.random.default_rng(0).integers(0, 256, (64, 16, 16), np.uint8)
    columns = {"subject": [f"{NAMES[n % 8]}{n // 8}" for n in range(64)], "split": [["train", "[/]"][n % 2] for n in range(64)]}
    info = Info(tuple(NAMES), side=16, name="[/set]\x1b[2J", license="[b]free")
    FaceSet.from_arrays(pixels, np.arange(64) % 8, columns=columns, info=info).save(tmp_path / "odd")
    return tmp_path / "odd"


def test_describe_shows_all_classes(odd: Path, mien: Command) -> None:
    done = mien("describe", odd, "--picture", odd.parent / "a.png")
    assert (done.code, done.err) == (0, "")
    assert is_plain(done.out)
    assert all(name in done.out for name in SHOWN)
    assert "[/set]\\x1b[2J\nterms: [b]free\n" in done.out
    as_json = mien("describe", odd, "--json")
    assert json.loads(as_json.out)["info"]["classes"] == NAMES
    assert is_plain(as_json.out)


def test_names_of_people_and_groups_are_shown(odd: Path, mien: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    done = mien("duplicates", odd, "--distance", 16)
    assert is_plain(done.out + done.err)
    assert done.code == 0
    wrong = mien("describe", "[/b]\x1b[2J")
    assert wrong.err.startswith("mien: expected a face set at [/b]\\x1b[2J; found")
    assert is_plain(wrong.err)


@pytest.mark.parametrize(
    "words", [["[/b]"], ["predict", "--[/b]\x1b[2J"], ["predict", "[/b]"], ["compare", "f", "--set", "[/b]"]]
)
def test_what_a_user_mistypes_ends_no_error(words: list[str], mien: Command) -> None:
    done = mien(*words)
    assert done.code in (1, 2)
    assert "[/b]" in done.err or "Missing" in done.err
    assert "\x1b[2J" not in done.err


def test_recipes_with_brackets_are_told(tmp_path: Path, mien: Command) -> None:
    bright_faces(60).save(tmp_path / "set")
    lines = ['title = "[/b] \\u001b[2J"', 'model = { network = "mien_s", width = 4, depths = [1, 1, 1] }']
    recipe = tmp_path / "odd [b].toml"
    recipe.write_text("\n".join([*lines, "stages = [{ epochs = 1, lr = 0.05 }]"]))
    done = mien("compare", tmp_path / "set", "--recipes", recipe, "--out", tmp_path / "out", "--seeds", 1)
    assert done.code == 0, done.err
    assert "odd [b]" in done.out
    shown = mien("recipes", recipe)
    assert is_plain(shown.out)
    assert json.loads(shown.out)["title"] == "[/b] \x1b[2J"


def test_a_curve_stands_below_the_bar_on_a_terminal_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    history = [{"loss": 3.0 - number, "validation_accuracy": number / 4} for number in range(3)]
    with progress_bar() as bar:
        bar.epoch("", history)
    assert capsys.readouterr() == ("", "")
    file = io.StringIO()
    made = Console(file=file, force_terminal=True, width=60, markup=False, emoji=False, color_system=None)
    monkeypatch.setattr("mien.terminal.terminal", lambda **settings: made)
    with progress_bar() as bar:
        bar.begin("stage 1", 3)
        bar.epoch("a\nb", history)
    assert "a\\nb: validation accuracy in 3 epochs, the best in epoch 3" in file.getvalue()
    assert "50.0%" in file.getvalue()
