"""What the command line says of itself: groups on one screen, an example of each command, flags as other programs spell them."""

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import typer
from PIL import Image

from conftest import Command
from mien import FaceSet
from mien.cli import app
from mien.cli.command import SYNONYMS, our_words
from mien.cli.overview import EXAMPLES, SECTIONS
from mien.data.format import Info
from mien.errors import MienError
from mien.media.find_source_files import find_source_files
from mien.tabular.number_files import stream_lines

GROUP = typer.main.get_group(app)


def _commands(group: Any, above: str = "") -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _commands(command, f"{above}{name} ")
        else:
            yield above + name, command


COMMANDS = dict(_commands(GROUP))


def test_help_fits_a_screen(mien: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    lines = mien("--help").out.splitlines()
    assert len(lines) <= 40
    assert max(map(len, lines)) <= 80
    listed = [name for commands in SECTIONS.values() for name in commands]
    assert sorted(listed) == sorted(GROUP.commands)
    assert next(iter(SECTIONS.values())).keys() == {"predict", "train", "compare"}
    assert len(SECTIONS) == 6
    # Words of one column do not run into the next.
    texts = [text for commands in SECTIONS.values() for text in commands.values()]
    assert all(any(f"  {text}{end}" in line + "\n" for line in lines for end in ("  ", "\n")) for text in texts)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_an_example_that_it_takes(mien: Command, name: str) -> None:
    example = EXAMPLES[name]
    assert f"\n  Example:\n    {example}" in mien(*name.split(), "--help").out
    program, *words = shlex.split(example)
    given = words[len(name.split()) :]
    assert [program, *words] == ["mien", *name.split(), *given]
    COMMANDS[name].make_context(name, given)  # options that are not there, or values that do not fit, are errors


def test_no_example_is_left_over() -> None:
    assert EXAMPLES.keys() == COMMANDS.keys()


@pytest.mark.parametrize(
    ("command", "given", "ours"),
    [
        ("train", "faces --output run --batch-size 8 --random-state=3", "faces --out run --set batch=8 --seed=3"),
        ("train", "faces -o run --num-epochs 2", "faces --out run --epochs 2"),
        ("predict", "a.jpg --weights run", "a.jpg --model run"),
        ("export", "--output given run", "run given"),
        ("prepare", "photos --output-dir=faces --num-workers 2", "photos --workers 2 faces"),
        ("predict", "a.jpg --output b.csv", "a.jpg --output b.csv"),
        ("train", "-- --output", "-- --output"),
        ("train", "faces --output", "faces --out"),
    ],
)
def test_flags_of_other_programs(command: str, given: str, ours: str) -> None:
    arguments = [one for one in COMMANDS[command].params if one.param_type_name == "argument"]
    ends = "OUT" in (arguments[-1].metavar or arguments[-1].name.upper())
    assert our_words(given.split(), COMMANDS[command].flags(), ends) == ours.split()
    assert not any(flag in text for flag in SYNONYMS if len(flag) > 6 for text in EXAMPLES.values())


def test_synonyms_are_taken_and_not_listed(mien: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert mien("import", "synthetic", "--set", "faces=4", "--set", "people=2", "--image-size", 32, "--output", "faces").code == 0
    assert (tmp_path / "faces" / "faceset.json").is_file()
    assert "--output" not in mien("train", "--help").out


def test_settings_are_named_by_their_flags(mien: Command, tmp_path: Path) -> None:
    error = MienError("labels", "`odd`", "map each by `classes`, `keep` it")
    assert str(error.with_flags({"classes": "--classes"})) == "expected labels; found `odd`; map each by --classes, `keep` it"
    assert error.with_flags({}, "--set ").todo == "map each by --set classes, --set keep it"
    Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).save(tmp_path / "a.png")
    (tmp_path / "list.csv").write_text("path,label\na.png,grumpy\n")
    done = mien("import", "table", tmp_path / "list.csv", tmp_path / "faces")
    assert (done.code, "map each by --classes to an expression" in done.err) == (1, True), done.err
    done = mien("import", "ferplus", tmp_path, tmp_path / "faces", "--rule", "most")
    assert (done.code, "found --rule = 'most'" in done.err) == (1, True), done.err
    done = mien("import", "synthetic", tmp_path / "faces", "--set", "pepole=1")
    assert "'pepole' (did you mean people?)" in done.err


def test_errors_are_json_where_that_is_asked(mien: Command, tmp_path: Path) -> None:
    for words, code in ((("describe", tmp_path / "none"), 1), (("describe",), 2), (("describe", tmp_path, "--pictrue", "a"), 2)):
        done = mien(*words, "--json")
        assert (done.code, done.out) == (code, "")
        (line,) = done.err.splitlines()
        assert json.loads(line)["error"].keys() == {"expected", "found", "todo"}
        plain = mien(*words)
        assert (plain.code, plain.err.startswith(("mien: expected", "Usage:"))) == (code, True)
    assert "--picture" in mien("describe", tmp_path, "--pictrue", "a", "--json").err
    assert (mien("describe", "--help", "--json").code, mien("recipes", "few", "--json").code) == (0, 0)


def test_completion_is_offered(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("_MIEN_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", "mien tr")
    monkeypatch.setenv("COMP_CWORD", "1")
    with pytest.raises(SystemExit):
        GROUP.main([], prog_name="mien")
    assert capsys.readouterr().out.split() == ["train"]


@pytest.mark.parametrize(
    ("words", "content"),
    [
        (("import", "table", "list.csv", "faces"), ""),
        (("import", "table", "list.csv", "faces"), "path,label\n"),
        (("import", "fer2013", "list.csv", "faces"), "emotion,pixels,Usage\n"),
        (("train", "faces", "--out", "run", "--noise-matrix", "list.csv"), "\n"),
        (("prepare", "list.csv", "faces"), ""),
        (("prepare", "list.csv", "faces"), "path,label\n"),
    ],
)
def test_empty_files_are_named(mien: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: Any, content: str) -> None:
    monkeypatch.chdir(tmp_path)
    Path("list.csv").write_text(content)
    done = mien(*words)
    assert (done.code, "list.csv" in done.err) == (1, True), done.err


def test_lists_without_a_line_are_named(tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("")
    with pytest.raises(MienError, match=r"labels\.txt; found an empty file"):
        list(stream_lines(tmp_path / "labels.txt", 2, " "))


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["predict", ""], "INPUT..."),
        (["predict", "a.jpg", ""], "INPUT..."),
        (["predict", "a.jpg", "--draw="], "--draw"),
        (["evaluate", "", "set"], "MODEL"),
        (["train", "set", "--out", ""], "--out"),
    ],
)
def test_an_empty_path_is_not_the_current_folder(mien: Command, words: list[str], named: str) -> None:
    done = mien(*words)
    assert (done.code, done.err) == (
        1,
        f"mien: expected a path for {named}; found an empty word; name one: a variable may be unset\n",
    )
    with pytest.raises(MienError, match="found an empty one"):
        find_source_files([""])


def test_no_path_and_no_name_is_empty(mien: Command) -> None:
    """Every path and every name of every command, with nothing and with spaces; what is typed wrong beside it is said later."""
    seen = []
    for name, command in COMMANDS.items():
        hints = command.callback.__annotations__
        arguments = [one for one in command.params if one.param_type_name == "argument"]
        for one in command.params:
            if not _words(hints[one.name]) or one.default == "" or one.opts[0] == "--prefix":
                continue
            before = ["x"] * arguments.index(one) if one in arguments else [one.opts[0]]
            for word, found in (("", "an empty word"), ("  ", "a word of spaces")):
                done = mien(*name.split(), *before, word)
                assert done.code == 1, (name, before, done.err)
                assert re.fullmatch(rf"mien: expected a (path|word) for [^;]+; found {found}; name one: .*\n", done.err), done.err
            seen.append(f"{name} {one.opts[0]}")
    assert {"predict --model", "train --recipe", "compare --test-on", "train --also", "explain photo", "serve --host"} <= {*seen}


def _words(hint: Any) -> bool:
    """Whether an option of this type takes any word: neither a number nor one of a few."""
    return hint in (str, Path) or any(_words(part) for part in get_args(hint))


def test_the_word_help(mien: Command) -> None:
    for words in ([], ["train"], ["labels", "import"]):
        assert mien("help", *words).out == mien(*words, "--help").out


def test_a_mistyped_flag_is_no_hint_at_private_networks(mien: Command) -> None:
    done = mien("collect", "out", "--label", "anger")
    assert (done.code, "--classes" in done.err, "--local" in done.err) == (2, True, False)


def test_a_description_names_terms_and_citation(mien: Command, tmp_path: Path) -> None:
    info = Info(classes=("a", "b"), side=4, name="small", license="for research", citation="Somebody, 2020")
    FaceSet.from_arrays(np.zeros((4, 4, 4), np.uint8), np.arange(4) % 2, info=info).save(tmp_path / "faces")
    shown = mien("describe", tmp_path / "faces").out.splitlines()
    assert shown[:3] == ["4 faces of small", "terms: for research", "cite: Somebody, 2020"]


def test_the_list_of_tables_fits_a_screen(mien: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    lines = mien("tables", "list").out.splitlines()
    assert max(map(len, lines)) <= 80
    assert len(lines) < 90
    assert any("any of ferplus, fer2013, megaface" in line for line in lines), "a cell that is broken where it need not be"
