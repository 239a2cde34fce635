"""What is written for TensorBoard, read again by protobuf and a checksum of another kind."""

import struct
from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from mien.progress import Silent
from mien.training.tensorboard_log import TensorBoardLog

TYPES = {"double": 1, "float": 2, "int64": 3, "message": 11, "string": 9, "int32": 5}
MESSAGES = {
    "Value": {"tag": (1, "string"), "simple_value": (2, "float")},
    "Summary": {"value": (1, "Value")},
    "SessionLog": {"status": (1, "int32")},
    "Event": {
        "wall_time": (1, "double"),
        "step": (2, "int64"),
        "file_version": (3, "string"),
        "summary": (5, "Summary"),
        "session_log": (7, "SessionLog"),
    },
}
"""The fields of TensorFlow's event.proto and summary.proto that are written."""


def _event_type() -> Any:
    file = descriptor_pb2.FileDescriptorProto(name="event.proto", package="read")
    for name, fields in MESSAGES.items():
        message = file.message_type.add(name=name)
        for key, (number, kind) in fields.items():
            made = message.field.add(name=key, number=number, label=3 if (name, key) == ("Summary", "value") else 1)
            made.type = TYPES.get(kind, TYPES["message"])
            if kind in MESSAGES:
                made.type_name = f".read.{kind}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("read.Event"))


def _masked_crc(content: bytes) -> int:
    """CRC-32C bit by bit, as its definition says: the remainder of a division by a polynomial."""
    crc = 0xFFFFFFFF
    for byte in content:
        for bit in range(8):
            out = (crc ^ (byte >> bit)) & 1
            crc = crc >> 1 ^ (0x82F63B78 if out else 0)
    crc ^= 0xFFFFFFFF
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def _read(path: Path) -> list[Any]:
    kind, content, events = _event_type(), path.read_bytes(), []
    while content:
        (length,) = struct.unpack("<Q", content[:8])
        record = content[12 : 12 + length]
        assert struct.unpack("<I", content[8:12])[0] == _masked_crc(content[:8])
        assert struct.unpack("<I", content[12 + length : 16 + length])[0] == _masked_crc(record)
        events.append(kind.FromString(record))
        content = content[16 + length :]
    return events


def _figures(events: list[Any]) -> list[tuple[int, dict[str, float]]]:
    found = [(event.step, {one.tag: one.simple_value for one in event.summary.value}) for event in events]
    return [one for one in found if one[1]]


def test_epochs_are_written_once_and_runs_go_on(tmp_path: Path) -> None:
    history = [{"stage": 0, "epoch": number, "seconds": 1.0, "loss": 0.5 * number} for number in range(200)]
    log = TensorBoardLog(Silent(), tmp_path)
    log.epoch("autoencoder", history[:1])
    for count in (1, 2, 200):
        log.epoch("", history[:count])
    (file,) = (tmp_path / "tensorboard").iterdir()
    events = _read(file)
    assert events[0].file_version == "brain.Event:2"
    wanted = [(1, {"autoencoder/loss": 0.0}), *((number + 1, {"loss": 0.5 * number}) for number in range(200))]
    assert _figures(events) == wanted

    again = TensorBoardLog(Silent(), tmp_path)
    again.epoch("", history[:151])
    again.epoch("", history[:152])
    (other,) = {*(tmp_path / "tensorboard").iterdir()} - {file}
    events = _read(other)
    assert [(event.session_log.status, event.step) for event in events if event.HasField("session_log")] == [(1, 151)]
    assert _figures(events) == [(151, {"loss": 75.0}), (152, {"loss": 75.5})]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tensorboard"]


def test_all_that_is_heard_is_passed_on(tmp_path: Path) -> None:
    heard = list[tuple[object, ...]]()

    class Bar:
        def begin(self, title: str, total: int) -> None:
            heard.append((title, total))

        def part(self, text: str) -> None:
            heard.append((text,))

        def advance(self, faces: int) -> None:
            heard.append((faces,))

        def say(self, text: str) -> None:
            heard.append((text,))

        def epoch(self, name: str, history: object) -> None:
            heard.append((name,))

    log = TensorBoardLog(Bar(), tmp_path / "run")
    log.begin("stage", 3)
    log.part("epoch 1")
    log.advance(2)
    log.say("done")
    log.epoch("", [{"loss": 1.0}])
    assert heard == [("stage", 3), ("epoch 1",), (2,), ("done",), ("",)]
