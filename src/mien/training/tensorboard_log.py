"""Figures of a run's epochs as TensorBoard reads them: a folder beside history.json, to which each epoch adds.

The format is a few bytes around a few fields, and has not changed for ten years. Libraries that write it were looked at:
tensorboardX imports comet_ml, boto3 and google.cloud where these are installed, tensorboard tensorflow; both write the computer's
name into the name of the file. MLflow brings a server, and reports its use to its makers.
"""

import struct
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from mien.progress import Progress, tell_epoch, tell_part

FOLDER = "tensorboard"
"""The folder in a run."""
NOT_SHOWN = ("stage", "epoch", "seconds")
"""Figures that say where an epoch stands, not what it came to."""


class TensorBoardLog:
    """A `Progress` that writes figures of epochs for TensorBoard, and passes on to `bar` all that it hears.

    `train(faces, recipe, run, progress=TensorBoardLog(bar, run))` writes into `RUN/tensorboard`; `tensorboard --logdir RUN` shows
    it. A run that goes on adds a file.
    """

    def __init__(self, bar: Progress, run: Path | str) -> None:
        self.bar = bar
        self.folder = Path(run) / FOLDER
        self._file: Path | None = None
        self._written = dict[str, int]()

    def begin(self, title: str, total: int) -> None:
        """Begin a bar."""
        self.bar.begin(title, total)

    def part(self, text: str) -> None:
        """Show the current part of the work, where the bar shows parts."""
        tell_part(self.bar, text)

    def advance(self, faces: int) -> None:
        """Advance the bar by some faces."""
        self.bar.advance(faces)

    def say(self, text: str) -> None:
        """Show a sentence."""
        self.bar.say(text)

    def epoch(self, name: str, history: Sequence[Mapping[str, float]]) -> None:
        """Write the epochs of `history` that are not written yet. `name`: a part that is trained before the run, or ""."""
        tell_epoch(self.bar, name, history)
        now = time.time()
        first = self._written.get(name, 0)
        if self._file is None:
            goes_on = self.folder.is_dir()
            self._file = _new_file(self.folder, now)
            first = len(history) - 1 if goes_on else 0
            # What an interrupted run wrote of later epochs, which are trained again, is no longer shown.
            _append(self._file, [_event(now, _text(3, b"brain.Event:2"))])
            if goes_on:
                _append(self._file, [_event(now, _number(2, first + 1) + _text(7, _number(1, 1)))])
        _append(self._file, [_figures(now, step + 1, name, history[step]) for step in range(first, len(history))])
        self._written[name] = len(history)


def _new_file(folder: Path, now: float) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"events.out.tfevents.{int(now)}.{len(list(folder.iterdir()))}"


def _append(path: Path, events: Sequence[bytes]) -> None:
    """Add events to a file, each as a record: its length and its bytes, each followed by a checksum."""
    with path.open("ab") as file:
        for event in events:
            length = struct.pack("<Q", len(event))
            file.write(length + _checksum(length) + event + _checksum(event))


def _figures(now: float, step: int, name: str, figures: Mapping[str, float]) -> bytes:
    """An event with the figures of one epoch; `step` is its number from 1 on."""
    told = {key: value for key, value in figures.items() if key not in NOT_SHOWN}
    values = [_text(1, f"{name}/{key}".lstrip("/").encode()) + b"\x15" + struct.pack("<f", value) for key, value in told.items()]
    return _event(now, _number(2, step) + _text(5, b"".join(_text(1, value) for value in values)))


# Messages of protocol buffers: each field is its number and kind, then its value.


def _event(now: float, fields: bytes) -> bytes:
    return b"\x09" + struct.pack("<d", now) + fields


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _text(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    """A whole number in groups of seven bits, the lowest first."""
    groups = bytearray()
    while value > 0x7F:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*groups, value])


def _crc_table() -> list[int]:
    table = list[int]()
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return table


_CRC = _crc_table()


def _checksum(content: bytes) -> bytes:
    """The checksum of a record: CRC-32C, rotated and moved so that checksums of checksums are no trivial ones."""
    crc = 0xFFFFFFFF
    for byte in content:
        crc = crc >> 8 ^ _CRC[(crc ^ byte) & 0xFF]
    crc ^= 0xFFFFFFFF
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)
