"""Files that anybody may have written: what is no JSON, no TOML, no file at all, ends in a sentence."""

import json
import os
from pathlib import Path

import pytest
from pydantic.dataclasses import dataclass

from conftest import refused
from mien import MienError, Recipe
from mien.disk import MOST_BYTES, require_utf8_path
from mien.json_toml import MOST_TOML, parse_word, read_json, read_settings, read_toml

TODO = "write it again"


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "Expecting value"),
        (b"[" * 200_000, "deeper"),
        (b'{"a":' * 5000 + b"1" + b"}" * 5000, "deeper"),
        (b'{"a":' * 70 + b"1" + b"}" * 70, "deeper"),
        (b"[1, 2]", "list"),
        (b'{"a": 1, "a": 2}', "the key 'a' twice"),
        (b'{"a": ' + b"9" * 5000 + b"}", "integer string conversion"),
        (b'{"a": 99999999999999999999}', "a larger one"),
        (b'{"a": "\\ud800"}', r"'\ud800'"),
        (b'{"a\\u0000": 1}', r"'a\x00'"),
        (b'{"a": "\xff"}', "can't decode"),
        (b"\xff\xfe{\x00}\x00", "can't decode"),
    ],
)
def test_what_is_no_json_is_said(tmp_path: Path, content: bytes, found: str) -> None:
    file = tmp_path / "some.json"
    file.write_bytes(content)
    with refused(file, found, f"; {TODO}"):
        read_json(file, TODO)


def test_json_with_a_mark_of_its_order_is_read(tmp_path: Path) -> None:
    (tmp_path / "some.json").write_bytes(b"\xef\xbb\xbf" + json.dumps({"a": [1, 2.5, "é"]}).encode())
    assert read_json(tmp_path / "some.json", TODO) == {"a": [1, 2.5, "é"]}


def test_only_files_of_some_size_are_read(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "zero").symlink_to("/dev/zero")
    with (tmp_path / "large").open("wb") as file:
        file.truncate(MOST_BYTES + 1)
    for name, found in (
        ("folder", "a folder"),
        ("pipe", "a pipe or a device"),
        ("zero", "a pipe or a device"),
        ("loop", "symbolic links"),
        ("none", "No such file"),
        ("n" * 300, "name too long"),
        ("a\0b", "null (byte|character)"),  # Python 3.13 and later say character
        ("large", "a larger one"),
    ):
        with pytest.raises(MienError, match=found):
            read_json(tmp_path / name, TODO)


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"a = " + b"[" * 5000 + b"]" * 5000, "deeper"),
        (b"a." * 100 + b"b = 1", "deeper"),
        (b"a." * 10_000 + b"b = 1", "more in one"),
        (b"a = " + b"9" * 5000, "integer string conversion"),
        (b"a = 99999999999999999999", "a larger one"),
        (b"a = 1\na = 2", "overwrite"),
        (b"a = '\xff'", "can't decode"),
        (b'a = "\\u0000"', r"'\\x00'"),
        (b"#" * (MOST_TOML + 1), "a larger one"),
    ],
)
def test_what_is_no_toml_is_said(tmp_path: Path, content: bytes, found: str) -> None:
    file = tmp_path / "some.toml"
    file.write_bytes(content)
    for read in (lambda: read_toml(file, TODO), lambda: Recipe.load(file)):
        with pytest.raises(MienError, match=found):
            read()


@dataclass(frozen=True)
class Noted:
    """What a file should say."""

    count: int
    name: str = ""


def test_values_that_do_not_fit_are_said_with_their_file(tmp_path: Path) -> None:
    file = tmp_path / "noted.json"
    file.write_text('{"count": 3, "more": true}')
    assert read_settings(Noted, file, TODO) == Noted(3)
    for content, found in (('{"count": "many"}', "count = 'many'"), ("{}", "none"), ('{"count": NaN}', "count = nan")):
        file.write_text(content)
        with refused(file, found):
            read_settings(Noted, file, TODO)


def test_a_word_is_a_value_or_itself() -> None:
    assert [parse_word(word) for word in ("3", "[1, 2]", "balanced", "9" * 5000, '"x"')] == [
        3,
        [1, 2],
        "balanced",
        "9" * 5000,
        "x",
    ]
    for word in ("[" * 200_000, "[" * 100 + "]" * 100, "99999999999999999999", '"\\ud800"'):
        with pytest.raises(MienError):
            parse_word(word)


def test_a_path_is_of_whole_letters() -> None:
    require_utf8_path(Path("/tmp/é"))
    for path in (os.fsdecode(b"r\xff"), "a\0b"):
        with pytest.raises(MienError, match="a path"):
            require_utf8_path(Path(path))
