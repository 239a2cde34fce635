"""Tables and lists as programs of all countries write them: separators, encodings, paths of Windows."""

import codecs
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mien import MienError
from mien.data.importing import import_source, source_from
from mien.media.find_source_files import find_source_files
from mien.preparation.preparation_settings import PreparationSettings
from mien.preparation.prepare import prepare_faces
from mien.tabular.csv_files import read_csv, stream_csv
from mien.tabular.csv_header import csv_format
from mien.training.settings import read_matrix

CODINGS = {
    "UTF-8": b"",
    "UTF-8 with a mark": codecs.BOM_UTF8,
    "UTF-16-LE": b"",
    "UTF-16-LE with a mark": codecs.BOM_UTF16_LE,
    "UTF-16-BE with a mark": codecs.BOM_UTF16_BE,
}


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for name in ("a", "b,;é"):
        (tmp_path / "p").mkdir(exist_ok=True)
        Image.fromarray(np.full((8, 8), 99, np.uint8)).save(tmp_path / "p" / f"{name}.png")
    return tmp_path


def _write(path: Path, rows: list[list[str]], separator: str, coding: str, ending: str = "\r\n", first: str = "") -> Path:
    text = first + "".join(separator.join(f'"{cell}"' if separator in cell else cell for cell in row) + ending for row in rows)
    path.write_bytes(CODINGS[coding] + text.encode(coding.split(" ")[0]))
    return path


ROWS = [["path", "label", "subject"], ["p\\a.png", "happy", "x"], ["p/b,;é.png", "sad", "y"]]


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("name", ["list.csv", "list.tsv", "list.txt", "LIST.CSV"])
def test_a_table_is_read_however_it_is_written(photos: Path, separator: str, coding: str, name: str) -> None:
    path = _write(photos / name, ROWS, separator, coding)
    found = [(one.path, one.label, one.subject, one.fault) for one in find_source_files([path])]
    assert found == [(photos / "p" / "a.png", "happy", "x", ""), (photos / "p" / "b,;é.png", "sad", "y", "")]
    if not name.endswith(".txt"):
        faces = import_source(source_from("table", {"input": path, "side": 8}), photos / "faces").faces
        assert faces.column("id").to_pylist() == ["p/a.png", "p/b,;é.png"]
        assert [faces.classes[label] for label in faces.labels] == ["happiness", "sadness"]


@pytest.mark.parametrize(("ending", "first"), [("\n", ""), ("\r", ""), ("\n", "sep=;\n"), ("\r\n", '"sep=;"\r\n')])
def test_lines_end_in_all_ways_and_excel_may_say_the_separator(photos: Path, ending: str, first: str) -> None:
    path = _write(photos / "list.csv", ROWS, ";", "UTF-8 with a mark", ending, first)
    assert [one.label for one in find_source_files([path])] == ["happy", "sad"]
    assert read_csv(path, {"path": None})["path"].to_pylist() == ["p\\a.png", "p/b,;é.png"]
    assert sum(len(block) for block in stream_csv(path, ["label"])) == 2


@pytest.mark.parametrize("coding", CODINGS)
def test_a_text_has_a_path_a_line(photos: Path, coding: str) -> None:
    path = _write(photos / "list.txt", [["p\\a.png"], ["p/b,;é.png"]], "\0", coding)
    assert [one.path.name for one in find_source_files([path])] == ["a.png", "b,;é.png"]


def test_a_file_whose_name_has_a_backslash_is_itself(photos: Path) -> None:
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(photos / "p\\a.png")
    (photos / "list.csv").write_text("path\np\\a.png\n")
    assert [one.path for one in find_source_files([photos / "list.csv"])] == [photos / "p\\a.png"]


def test_quotes_and_blanks_around_a_path_are_none_of_it(photos: Path) -> None:
    (photos / "list.txt").write_text('"p\\a.png"\n  p/a.png \n"none.png"\n"\n')
    (photos / "list.csv").write_text("path , label\n p/a.png , happy\n")
    assert [one.path.name for one in find_source_files([photos / "list.txt"])] == ["a.png", "a.png", '"none.png"', '"']
    assert [one.path for one in find_source_files([photos / "list.csv"])] == [photos / "p" / "a.png"]


def test_what_is_not_there_says_why(photos: Path) -> None:
    (photos / "list.csv").write_text("path\nC:\\photos\\a.png\n..\\p\\a.png\nc.png\n")
    faults = [one.fault for one in find_source_files([photos / "list.csv"])]
    assert ["backslashes" in fault for fault in faults] == [True, True, False]
    (photos / "list.txt").write_bytes("p/b,;é.png\n".encode("latin-1"))
    assert "another encoding" in next(find_source_files([photos / "list.txt"])).fault
    (photos / "labels.csv").write_bytes("path,label\np/é.png,happy\n".encode("latin-1"))
    with pytest.raises(MienError, match=r"photos in class folders; found none; .*labels.csv: .*another encoding"):
        prepare_faces(PreparationSettings((str(photos / "labels.csv"),), labeled=True), photos / "out")
    (photos / "table.csv").write_text("path,label\nC:\\photos\\a.png,happy\np/a.png,sad\n")
    with pytest.raises(MienError, match="backslashes"):
        import_source(source_from("table", {"input": photos / "table.csv", "side": 8}), photos / "faces")
    (photos / "table.csv").write_text("path,label\n..\\..\\a.png,happy\n")
    with pytest.raises(MienError):
        import_source(source_from("table", {"input": photos / "table.csv", "side": 8}), photos / "faces")


@pytest.mark.parametrize("text", ["path;lächeln\np/a.png;happy\n", "path;label\np/é.png;happy\n"])
def test_another_encoding_is_said(photos: Path, text: str) -> None:
    (photos / "list.csv").write_bytes(text.encode("latin-1"))
    with pytest.raises(MienError, match=r"UTF-8.*found letters of another encoding; save it as UTF-8"):
        read_csv(photos / "list.csv", {"path": None, csv_format(photos / "list.csv").names[1]: None})


def test_a_matrix_of_noise_with_semicolons(tmp_path: Path) -> None:
    for content in (b"0.75,0.25\n0,1\n", codecs.BOM_UTF8 + b"0,75;0,25\r\n0;1\r\n", "0.75\t0.25\n0\t1\n".encode("utf-16")):
        (tmp_path / "matrix.csv").write_bytes(content)
        assert read_matrix(tmp_path / "matrix.csv") == ((0.75, 0.25), (0.0, 1.0))
