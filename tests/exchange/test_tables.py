"""Face sets go to pandas, to the layout of Hugging Face datasets and to torch, and come back as they were."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from torch.utils.data import DataLoader

from conftest import bright_faces
from mien import FaceSet, MienError
from mien.exchange.tables import from_arrow, from_pandas, open_dataset, save_dataset, to_arrow, to_pandas
from mien.exchange.torch_dataset import FaceDataset
from processes import WAIT
from runs import features

FACES = bright_faces(40).with_column("label", np.where(np.arange(40) < 30, np.arange(40) % 3, -1))
COLORED = FaceSet.from_arrays(np.random.default_rng(0).integers(0, 256, (5, 8, 8, 3), np.uint8), [0, 1, 1, -1, 0], ["a", "b"])


def require_same(made: FaceSet, given: FaceSet) -> None:
    assert made.classes == given.classes
    np.testing.assert_array_equal(made.faces(), given.faces())
    assert made.labels.tolist() == given.labels.tolist()
    for name in given.column_names:
        assert made.column(name).to_pylist() == given.column(name).to_pylist(), name


@pytest.mark.parametrize("faces", [FACES, COLORED], ids=["gray", "color"])
def test_tables_come_back_as_they_were(faces: FaceSet) -> None:
    pytest.importorskip("pandas", reason="the extra frames is not installed")
    require_same(from_arrow(to_arrow(faces)), faces)
    frame = to_pandas(faces)
    assert frame["class"][0] == faces.classes[faces.labels[0]]
    require_same(from_pandas(frame, faces.faces(), faces.classes), faces)
    require_same(from_pandas(frame.drop(columns="class"), faces.faces(), faces.classes), faces)


def test_a_folder_has_a_file_for_each_split(tmp_path: Path) -> None:
    files = save_dataset(FACES, tmp_path / "dataset")
    assert [path.name for path in files] == [f"{split}-00000-of-00001.parquet" for split in ("test", "train")]
    assert [path.name for path in tmp_path.iterdir()] == ["dataset"]
    schema = pq.read_schema(files[0])
    said = json.loads(schema.metadata[b"huggingface"])["info"]["features"]
    assert said["image"] == {"_type": "Image"}
    assert said["label"] == {"names": ["class0", "class1", "class2"], "_type": "ClassLabel"}
    assert said["votes"] == {"feature": {"dtype": "float32", "_type": "Value"}, "length": -1, "_type": "List"}
    assert list(said) == schema.names
    order = np.argsort(FACES.values("split"), kind="stable")
    require_same(open_dataset(tmp_path / "dataset"), FACES.select(order))
    with pytest.raises(MienError, match="nothing at"):
        save_dataset(FACES, tmp_path / "dataset")


def test_hugging_face_reads_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "HF_HUB_DISABLE_TELEMETRY", "DO_NOT_TRACK"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    datasets = pytest.importorskip("datasets", reason="datasets is no dependency of mien")
    made = datasets.Dataset(to_arrow(FACES))
    assert made.features["label"].names == list(FACES.classes)
    np.testing.assert_array_equal(np.array(made[3]["image"]), FACES.faces([3])[0])
    require_same(from_arrow(made.select(range(7)).with_format("arrow")[:], FACES.classes), FACES.select(range(7)))


def test_what_holds_no_faces_is_refused(tmp_path: Path) -> None:
    table = to_arrow(COLORED)
    with pytest.raises(MienError, match="names of the classes"):
        from_arrow(table.replace_schema_metadata(None))
    with pytest.raises(MienError, match="pictures as bytes in column image"):
        from_arrow(table.drop_columns("image"))
    paths = pa.array([{"bytes": None, "path": "a.png"}], table.schema.field("image").type)
    with pytest.raises(MienError, match="none, or a path"):
        from_arrow(pa.table({"image": paths}))
    with pytest.raises(MienError, match="no picture of a known format"):
        from_arrow(pa.table({"image": pa.array([b"none"])}))
    with pytest.raises(MienError, match="square pictures of one size"):
        from_arrow(pa.table({"image": pa.concat_arrays([table["image"].combine_chunks(), to_arrow(FACES)["image"].chunk(0)])}))
    with pytest.raises(MienError, match="a set of faces"):
        to_arrow(features())
    with pytest.raises(MienError, match="Parquet files in"):
        open_dataset(tmp_path)


def test_torch_draws_batches() -> None:
    batches = list(DataLoader(FaceDataset(FACES), batch_size=16))
    assert [tuple(faces.shape) for faces, _ in batches] == [(16, 1, 16, 16), (16, 1, 16, 16), (8, 1, 16, 16)]
    assert torch.cat([labels for _, labels in batches]).tolist() == FACES.labels.tolist()
    face, label = FaceDataset(COLORED)[-2]
    assert (face.dtype, tuple(face.shape), label) == (torch.uint8, (3, 8, 8), -1)
    np.testing.assert_array_equal(face.permute(1, 2, 0).numpy(), COLORED.faces([3])[0])
    assert tuple(FaceDataset(features())[0][0].shape) == (1, 6)
    with pytest.raises(IndexError, match="rows from 0 to 4"):
        FaceDataset(COLORED)[5]


@pytest.mark.parametrize(
    ("module", "package", "extra"),
    [("tables", "pyarrow", "frames"), ("torch_dataset", "torch", "train")],
    ids=["tables", "torch"],
)
def test_a_missing_package_is_said_with_its_extra(module: str, package: str, extra: str) -> None:
    code = f"import sys; sys.modules[{package!r}] = None; import mien.exchange.{module}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=WAIT)
    assert f"MienError: expected the package {package}, " in done.stderr
    assert f"pip install 'mien[{extra}]'" in done.stderr.splitlines()[-1]
