"""Predictions as tables: CSV with frames, data frames, py-feat's columns, and stretches of time for ELAN."""

import csv
import io
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import Command
from mien import MienError, Readings
from mien.data.format import Info
from mien.faces.face import Face
from mien.media.photos_and_frames import PhotoOrFrame
from mien.media.source_files import SourceFile
from mien.recognize.elan_rows import HEADER, ElanRows, clock_time
from mien.recognize.model_card import ModelCard
from mien.recognize.predict_files import PredictedPhoto
from mien.recognize.prediction import Prediction, make_prediction
from mien.recognize.prediction_rows import FIELDS, Columns
from mien.recognize.prediction_writer import Form, PredictionWriter, is_predictions_csv
from mien.recognize.saved_networks import build_network, write_model

CLASSES = ("happy", "anger", "contempt")
FACE = Face((1.25, 2.0, 11.25, 22.0), None, 0.9)
PIXELS = np.zeros((8, 8, 3), np.uint8)


def shown(top: str, track: int | None = None) -> Prediction:
    scores = {name: 0.8 if name == top else 0.1 for name in CLASSES}
    made = make_prediction(FACE, scores, 0.5)
    return Prediction(made.face, made.scores, made.possible, track)


def photo(name: str, *tops: str) -> PredictedPhoto:
    return PredictedPhoto(PhotoOrFrame(SourceFile(name, Path("/in", name)), PIXELS), tuple(map(shown, tops)))


def frame(number: int, *faces: tuple[str, int], name: str = "film.mp4") -> PredictedPhoto:
    """Of ten a second, of which every second one is read."""
    read = PhotoOrFrame(SourceFile(name, Path("/in", name), video=True), PIXELS, number // 2, number / 10, number)
    return PredictedPhoto(read, tuple(shown(*face) for face in faces))


READ = [photo("a.png", "anger", "happy"), photo("b.png"), frame(0, ("happy", 1)), frame(612, ("happy", 1), ("contempt", 2))]


def written(form: Form, read: Sequence[PredictedPhoto], columns: Columns = "mien") -> str:
    file = io.StringIO()
    writer = PredictionWriter(form, CLASSES, file, columns=columns)
    for one in read:
        writer.write(one)
    writer.close()
    return file.getvalue()


def test_csv_tells_frame_and_track() -> None:
    rows = list(csv.DictReader(io.StringIO(written("csv", READ))))
    assert list(rows[0]) == [*FIELDS, *CLASSES]
    assert [(row["photo"], row["frame"], row["time"], row["track"]) for row in rows] == [
        ("a.png", "", "", ""), ("a.png", "", "", ""),
        ("film.mp4", "0", "0.000", "1"), ("film.mp4", "612", "61.200", "1"), ("film.mp4", "612", "61.200", "2"),
    ]  # fmt: skip
    assert (rows[0]["top"], rows[0]["unsure"], rows[0]["x1"], rows[0]["anger"]) == ("anger", "0", "11.2", "0.8")


def test_data_frames_hold_what_the_csv_holds() -> None:
    pandas = pytest.importorskip("pandas", reason="the extra frames is not installed")
    readings = Readings.of(iter(READ))
    table, data = readings.to_arrow(), readings.to_pandas()
    said = pandas.read_csv(io.StringIO(written("csv", READ)))
    assert len(readings) == len(table) == len(data) == len(said) == 5
    assert table.column_names == list(data.columns) == list(said.columns)
    assert table.schema.field("frame").type == pa.int64()
    assert table["track"].to_pylist() == [None, None, 1, 1, 2]
    assert str(data["frame"].dtype) == "Int64"
    assert data["unsure"].tolist() == said["unsure"].astype(bool).tolist()
    for name in ("time", "x0", "confidence", *CLASSES):
        np.testing.assert_allclose(data[name].to_numpy(float), said[name].to_numpy(float), atol=0.051)


def test_nothing_read_is_a_table_without_rows() -> None:
    assert Readings.of([photo("b.png")]).to_arrow().column_names == list(FIELDS)
    empty = Readings.of([], "mien", CLASSES).to_arrow()
    assert (empty.num_rows, empty.column_names) == (0, [*FIELDS, *CLASSES])


def test_columns_are_those_of_py_feat() -> None:
    rows = list(csv.DictReader(io.StringIO(written("csv", READ, "fex"))))
    emotions = ["anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral"]
    box = ["FaceRectX", "FaceRectY", "FaceRectWidth", "FaceRectHeight"]
    assert list(rows[0]) == ["input", "frame", "approx_time", *box, "FaceScore", "Identity", *emotions, "contempt"]
    assert [(row["input"], row["frame"], row["approx_time"], row["Identity"]) for row in rows] == [
        ("/in/a.png", "0", "", ""), ("/in/a.png", "0", "", ""),
        ("/in/film.mp4", "0", "00:00", "Person_1"),
        ("/in/film.mp4", "612", "01:01", "Person_1"), ("/in/film.mp4", "612", "01:01", "Person_2"),
    ]  # fmt: skip
    assert [rows[0][name] for name in (*box, "FaceScore")] == ["1.2", "2.0", "10.0", "20.0", "0.9"]
    assert [(row["anger"], row["happiness"], row["disgust"], row["contempt"]) for row in rows[-2:]] == [
        ("0.1", "0.8", "", "0.1"),
        ("0.1", "0.1", "", "0.8"),
    ]


def test_elan_gets_a_row_for_each_stretch() -> None:
    read = [frame(0, ("happy", 1)), frame(2, ("happy", 1), ("anger", 2)), frame(4, ("anger", 1)), frame(6, ("anger", 1))]
    rows = list(csv.reader(io.StringIO(written("elan", read)), delimiter="\t"))
    assert rows == [
        list(HEADER),
        ["face 1", "00:00:00.000", "00:00:00.400", "happy"],
        ["face 2", "00:00:00.200", "00:00:00.400", "anger"],
        ["face 1", "00:00:00.400", "00:00:00.800", "anger"],
    ]
    assert written("elan", read[:1]).splitlines()[1] == "face 1\t00:00:00.000\t00:00:00.040\thappy"
    assert clock_time(3723.4996) == "01:02:03.500"


@pytest.mark.parametrize("read", [READ, []], ids=["faces", "none"])
def test_unknown_columns_are_refused(read: list[PredictedPhoto]) -> None:
    unknown: Any = "foo"
    with pytest.raises(MienError, match=r"`columns` among mien, fex; found 'foo'"):
        Readings.of(iter(read), unknown)


def test_elan_takes_one_video() -> None:
    for read in ([photo("a.png", "anger")], [frame(0, ("happy", 1)), frame(0, ("happy", 1), name="other.mp4")]):
        with pytest.raises(MienError, match="one video, whose expressions ELAN shows"):
            written("elan", read)
    file = io.StringIO()
    with pytest.raises(MienError, match="one video"):
        PredictionWriter("elan", CLASSES, file).write(photo("a.png", "anger"))
    assert file.getvalue() == ""


@given(st.lists(st.dictionaries(st.integers(1, 3), st.sampled_from(CLASSES), max_size=3), min_size=1, max_size=12))
def test_stretches_tell_each_frame_once(frames: list[dict[int, str]]) -> None:
    """As a naive count of frames does: the rows of a face, frame by frame, are what its frames show."""
    stretches, rows = ElanRows(), list[tuple[str, str, str, str]]()
    for number, faces in enumerate(frames):
        rows += stretches.add(float(number), [shown(top, track) for track, top in faces.items()])
    rows += stretches.close()
    end = len(frames) if len(frames) > 1 else 1
    for track in (1, 2, 3):
        tops = [faces.get(track) for faces in frames]
        wanted, place = [], 0
        for top, some in groupby(tops):
            length = len(list(some))
            last = clock_time(place + length) if len(frames) > 1 else clock_time(0.04)
            wanted += [(f"face {track}", clock_time(place), last, top)] if top else []
            place += length
        assert place == end
        assert [row for row in rows if row[0] == f"face {track}"] == wanted


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    info = Info(CLASSES, side=16, alignment="whole")
    network = {"network": "mien_s", "width": 8, "depths": [1, 1, 1]}
    write_model(folder / "model", dict(build_network(network, 3, info).state_dict()), ModelCard(network, CLASSES, info))
    return folder / "model"


def test_the_command_prints_each_table(mien: Command, model: Path, tmp_path: Path) -> None:
    from PIL import Image

    picture = Image.fromarray(np.arange(256, dtype=np.uint8).reshape(16, 16))
    picture.save(tmp_path / "a.png")
    words = ["predict", tmp_path / "a.png", "--model", model, "--align", "whole", "--device", "cpu"]
    for more in (["--csv"], ["--csv", "--columns", "fex"]):
        done = mien(*words, *more)
        assert (done.code, len(done.out.splitlines())) == (0, 2), done.err
        (tmp_path / "table.csv").write_text(done.out, "utf-8")
        assert is_predictions_csv(tmp_path / "table.csv")
    done = mien(*words, "--elan")
    said = "expected exactly one video with --elan, and no photos; found 0 videos and 1 photo; give one video alone"
    assert (done.code, done.out, said in done.err) == (1, "", True)
    assert "expected one of --json, --csv and --elan" in mien(*words, "--csv", "--elan").err
    assert "expected --csv with it" in mien(*words, "--columns", "fex").err
    assert "did you mean fex?" in mien(*words, "--csv", "--columns", "fox").err
