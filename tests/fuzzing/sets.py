"""Face sets that are damaged: every file cut, flipped, emptied, replaced, or stating what cannot be."""

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from mien import FaceSet, MienError, Recipe, TrainingSettings
from mien.data.describe import describe
from mien.data.format import Info, checksum
from mien.json_toml import read_json
from mien.settings import settings_from
from mien.training.train import train

Damage = Callable[[np.random.Generator, Path], None]
FACES, SIDE, CLASSES = 24, 16, ("anger", "joy", "calm")
RECIPE = {
    "model": {"network": "mien_s", "width": 8, "depths": [1, 1, 1]},
    "stages": [{"epochs": 1, "lr": 0.05}],
    "draw": "shuffled",
    "batch": 8,
    "precision": "float32",
}
"""A run of some hundredths of a second."""
VALUES: Sequence[Any] = (
    None, True, -1, 0, 1, 2, 10**9, 10**20, -(10**20), 1e308, 1e-308, float("nan"), float("inf"), "", "x", "\x1b[2J", "a\0b",
    "\ud800", "é" * 70_000, [], {}, [[]], [None], ["a", "a"], [1, 2], {"a": {"b": []}}, "../../etc", "/dev/null",
)  # fmt: skip
"""What somebody may write where something else belongs."""


def make(generator: np.random.Generator, folder: Path) -> None:
    """A set in `folder`/set with one or two faults; half of them with a checksum that fits."""
    torch.set_num_threads(1)
    made = folder / "set"
    small_set(generator).save(made)
    for _ in range(int(generator.integers(1, 3))):
        if not all(_is_small(made / name) for name in NAMES):
            return
        try:
            DAMAGES[int(generator.integers(len(DAMAGES)))](generator, made)
        except (OSError, LookupError, ValueError, RecursionError, pa.ArrowException):
            continue  # an earlier fault left nothing to damage
    if generator.random() < 0.5:
        _sign(made)


def read(folder: Path) -> None:
    """What describe, train and evaluate make of it."""
    torch.set_num_threads(1)
    refused = None
    for use in (_describe, _columns, _train):
        try:
            use(folder)
        except MienError as error:
            refused = refused or error
    if refused:
        raise refused


def _describe(folder: Path) -> None:
    describe(FaceSet.open(folder / "set", verify=True))


def _columns(folder: Path) -> None:
    faces = FaceSet.open(folder / "set")
    faces.faces()
    assert faces.labels.max(initial=-1) < len(faces.classes)
    assert faces.votes is None or np.isfinite(faces.votes).all()
    for name in faces.column_names:
        faces.values(name)
    faces.save(folder / "copy")


def _train(folder: Path) -> None:
    model: dict[str, Any] = {"model": "embedding"} if FaceSet.open(folder / "set").info.kind == "features" else {}
    train(FaceSet.open(folder / "set"), Recipe.parse(RECIPE | model), folder / "run", TrainingSettings(threads=1)).logits(
        FaceSet.open(folder / "set")
    )


def small_set(generator: np.random.Generator, count: int = FACES) -> FaceSet:
    """Some faces of noise, or features of them, with the columns that most sets have."""
    labels = np.arange(count) % len(CLASSES)
    columns = {
        "split": ["test" if n % 4 == 3 else "train" for n in range(count)],
        "subject": [f"p{n // 2}" for n in range(count)],
        "votes": np.eye(len(CLASSES))[labels] * 4 + 1,
    }
    if generator.random() < 0.2:
        info = Info(CLASSES, "features", channels=6, views=("clean", "mirror"))
        return FaceSet.from_arrays(generator.random((count, 2, 6)).astype(np.float16), labels, CLASSES, columns, info)
    faces = generator.integers(0, 256, (count, SIDE, SIDE), np.uint8)
    return FaceSet.from_arrays(faces, labels, CLASSES, columns)


def _sign(folder: Path) -> None:
    """Give the set the checksum of what it holds now, where it holds a set at all."""
    try:
        if all(_is_small(folder / name) for name in NAMES):
            values = read_json(folder / "faceset.json", "")
            info = settings_from(Info, values)
            (folder / "faceset.json").write_text(json.dumps(values | {"checksum": checksum(folder, info)}), "utf-8")
    except (MienError, OSError, ValueError, TypeError, AttributeError):
        return


def _is_small(file: Path) -> bool:
    """Whether it is a file, which may be read whole."""
    return file.is_file() and file.stat().st_size < 1 << 26


# Any file.


def cut(generator: np.random.Generator, file: Path) -> None:
    """Its end is missing."""
    content = file.read_bytes()
    file.write_bytes(content[: int(generator.integers(0, len(content) + 1))])


def flip(generator: np.random.Generator, file: Path) -> None:
    """Some bytes are others."""
    content = bytearray(file.read_bytes())
    for place in generator.integers(0, max(1, len(content)), int(generator.integers(1, 9))):
        content[place : place + 1] = bytes([int(generator.integers(256))])
    file.write_bytes(bytes(content))


def swap_kind(generator: np.random.Generator, file: Path) -> None:
    """Something that is no file, or leads nowhere, or is very large, is in its place."""
    file.unlink()
    kind = int(generator.integers(7))
    if kind == 0:
        file.mkdir()
    elif kind == 1:
        os.mkfifo(file)
    elif kind == 2:
        file.symlink_to(file.name)
    elif kind == 3:
        file.symlink_to("/dev/zero")
    elif kind == 4:
        with file.open("wb") as large:
            large.truncate(1 << 30)
    elif kind == 5:
        file.write_bytes(b"")
    # else it is gone


def odd_json(generator: np.random.Generator, file: Path) -> None:
    """JSON that is none, or says odd things."""
    kind = int(generator.integers(8))
    if kind == 0:
        file.write_text("[" * 200_000)
    elif kind == 1:
        file.write_text('{"a":' * 5000 + "1" + "}" * 5000)
    elif kind == 2:
        file.write_bytes(b"\xff\xfe" + file.read_bytes())
    elif kind == 3:
        file.write_text("9" * 5000)
    elif kind == 4:
        file.write_text(json.dumps(VALUES[int(generator.integers(len(VALUES)))]))
    elif kind == 5:
        content = file.read_text("utf-8")
        file.write_text(content.replace("{", '{"version": 1, "version": 1, ', 1), "utf-8")
    else:
        values = json.loads(file.read_text("utf-8"))
        _put_odd(generator, values)
        file.write_text(json.dumps(values))


def _put_odd(generator: np.random.Generator, values: Any) -> None:
    """Somewhere in nested values another one, or none."""
    while isinstance(values, dict | list):
        keys = list(values) if isinstance(values, dict) else list(range(len(values)))
        if not keys:
            return
        key = keys[int(generator.integers(len(keys)))]
        inner = values[key]
        if isinstance(inner, dict | list) and inner and generator.random() < 0.7:
            values = inner
        elif generator.random() < 0.2:
            del values[key]
            return
        else:
            values[key] = VALUES[int(generator.integers(len(VALUES)))]
            return


# The files of a set.


def _file(name: str, damage: Damage) -> Damage:
    return lambda generator, folder: damage(generator, folder / name)


def _header(generator: np.random.Generator, folder: Path) -> None:
    """A header of faces.npy that states something else."""
    content = (folder / "faces.npy").read_bytes()
    data = content[128:]
    shapes = (
        "(24, 16, 16)", "(-1, 16, 16)", "()", "(24,)", "(10**9, 10**9)", "(99999999999999999999, 16, 16)", "(24, 16)", "None",
        "(24.0, 16, 16)", "('a',)", "(0, 16, 16)",
    )  # fmt: skip
    kinds = ("|u1", "|O", "<f8", ">u2", "V0", "|S0", "[('a', '|u1')]", "nothing", "<f2", "M8[ns]")
    shape, kind = shapes[generator.integers(len(shapes))], kinds[generator.integers(len(kinds))]
    told = f"{{'descr': '{kind}', 'fortran_order': {bool(generator.integers(2))}, 'shape': {shape}, }}"
    if generator.random() < 0.2:
        told = "(" * 4000
    header = told.encode().ljust(118 if len(told) < 118 else len(told))
    version, length = bytes([int(generator.choice([1, 1, 1, 2, 3, 9]))]), len(header)
    sizes = length.to_bytes(2, "little") if version == b"\x01" else (2**32 - 1).to_bytes(4, "little")
    (folder / "faces.npy").write_bytes(b"\x93NUMPY" + version + b"\0" + sizes + header + data)


def _archive(generator: np.random.Generator, folder: Path) -> None:
    """Arrays of another kind: pickled, in an archive, column by column."""
    with (folder / "faces.npy").open("wb") as file:
        kind = int(generator.integers(4))
        if kind == 0:
            np.save(file, np.array([{"a": 1}] * FACES, object), allow_pickle=True)
        elif kind == 1:
            np.savez(file, faces=np.zeros((FACES, SIDE, SIDE), np.uint8))
        elif kind == 2:
            np.save(file, np.asfortranarray(generator.integers(0, 9, (FACES, SIDE, SIDE)).astype(np.uint8)))
        else:
            np.save(file, np.full((FACES, 2, 6), np.nan, np.float16))


def _not_finite(generator: np.random.Generator, folder: Path) -> None:
    """Features of which one is no number, or infinite."""
    pixels = np.load(folder / "faces.npy")
    if pixels.dtype == np.float16:
        pixels.flat[generator.integers(pixels.size)] = generator.choice([np.nan, np.inf, -np.inf])
        np.save(folder / "faces.npy", pixels)


def _columns_of(count: int, generator: np.random.Generator) -> dict[str, Sequence[pa.Array]]:
    """Columns in place of known ones."""
    long = int(generator.integers(1, 50)) << 20
    bad = pa.StringArray.from_buffers(
        count, pa.py_buffer(np.arange(count + 1, dtype=np.int32).tobytes()), pa.py_buffer(b"\xff" * count)
    )
    return {
        "label": (
            pa.array([99] * count), pa.array([-2] * count), pa.array([0.5] * count), pa.array([float("nan")] * count),
            pa.array(["anger"] * count), pa.array([None] * count, pa.int16()), pa.array([10**12] * count),
            pa.array([[0]] * count), pa.array([True] * count),
        ),
        "id": (
            pa.array(["same"] * count), bad, pa.array(range(count)), pa.array(["\x1b[31m\n" * 9] * count),
            pa.array(["x" * long] * count).dictionary_encode(), pa.array([None] * count, pa.string()),
            pa.array([b"\xff"] * count),
        ),
        "votes": (
            pa.array([[1.0]] * count), pa.array([[1.0, -1.0, 2.0]] * count), pa.array([[1.0, float("nan"), 2.0]] * count),
            pa.array([[1.0, None, 2.0]] * count), pa.array([[1.0], [1.0, 2.0, 3.0, 4.0, 5.0]] * (count // 2)),
            pa.array(["a"] * count), pa.array([[0.0] * 100_000] * count), pa.array([[0.0] * 3] * count),
        ),
        "split": (pa.array([None] * count, pa.string()), pa.array([1] * count), bad, pa.array(["all"] * count)),
        "subject": (pa.array([None] * count, pa.string()), pa.array([{"a": 1}] * count), bad, pa.array([""] * count)),
        "true_label": (
            pa.array([99] * count), pa.array(["x"] * count), pa.array([None] * count, pa.int64()), pa.array([0.5] * count),
        ),
        "frame": (pa.array(["one"] * count), pa.array([10**15] * count)),
    }  # fmt: skip


def _table(generator: np.random.Generator, folder: Path) -> None:
    """A table with another column, without one, or of other rows."""
    table = pq.read_table(folder / "table.parquet")
    kind = int(generator.integers(6))
    if kind == 0:
        table = table.drop_columns([table.column_names[generator.integers(table.num_columns)]])
    elif kind == 1:
        table = table.slice(0, int(generator.integers(0, len(table))))
    elif kind == 2:
        table = pa.concat_tables([table, table])
    else:
        columns = _columns_of(len(table), generator)
        name = list(columns)[generator.integers(len(columns))]
        column = columns[name][int(generator.integers(len(columns[name])))]
        place = table.column_names.index(name) if name in table.column_names else None
        table = table.append_column(name, column) if place is None else table.set_column(place, name, column)
    pq.write_table(table, folder / "table.parquet", compression="zstd")


def _twice(generator: np.random.Generator, folder: Path) -> None:
    """Two columns of one name."""
    table = pq.read_table(folder / "table.parquet")
    pq.write_table(table.append_column("label", table.column("label")), folder / "table.parquet")


NAMES = ("faceset.json", "faces.npy", "table.parquet")
DAMAGES: Sequence[Damage] = (
    *(_file(name, damage) for name in NAMES for damage in (cut, flip, flip, swap_kind)),
    *[_file("faceset.json", odd_json)] * 8,
    *[_header] * 4,
    *[_table] * 10,
    _archive, _archive, _not_finite, _twice,
)  # fmt: skip
