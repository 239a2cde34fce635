"""Videos: real files with bytes exchanged, boxes and elements that lie, counts beyond all measure, and lists of other files."""

import io
import struct
from collections.abc import Callable
from functools import cache
from pathlib import Path

import av
import numpy as np

from mien.media.find_source_files import find_source_files
from mien.media.video_frames import read_frames

Generator = np.random.Generator

FRAMES = 200
"""The most that are read of one."""
KINDS = (
    ("mp4", ".mp4", "mpeg4", "yuv420p"),
    ("mp4", ".mp4", "h264", "yuv420p"),
    ("mov", ".mov", "mjpeg", "yuvj420p"),
    ("mov", ".mov", "png", "rgb24"),
    ("avi", ".avi", "mpeg4", "yuv420p"),
    ("avi", ".avi", "rawvideo", "yuv420p"),
    ("matroska", ".mkv", "ffv1", "yuv420p"),
    ("webm", ".webm", "vp8", "yuv420p"),
    ("webm", ".webm", "vp9", "yuv420p"),
)
"""Container, ending, codec and pixels; those that this FFmpeg cannot write are left out."""


def make(generator: Generator, folder: Path) -> None:
    """One video."""
    how: list[Callable[[Generator], tuple[str, bytes]]] = [_harmed, _harmed, _harmed, _lying, _lying, _doubled, _listed]
    ending, content = how[generator.integers(len(how))](generator)
    (folder / f"a{ending}").write_bytes(content)
    (folder / "other.txt").write_text("nobody asked for this")


def read(folder: Path) -> None:
    """As `predict` does."""
    for one in find_source_files([folder]):
        for number, _ in enumerate(read_frames(one, 0.04)):
            if number >= FRAMES:
                break


@cache
def seeds() -> tuple[tuple[str, bytes], ...]:
    """Endings and files."""
    made = list[tuple[str, bytes]]()
    for form, ending, codec, pixels in KINDS:
        for size in ((64, 48), (320, 240)):
            for flags in ("", "frag_keyframe+empty_moov") if form == "mp4" else ("",):
                if codec in av.codecs_available:
                    made.append((ending, _written(form, codec, pixels, size, flags)))
    return tuple(made)


def _written(form: str, codec: str, pixels: str, size: tuple[int, int], flags: str) -> bytes:
    file = io.BytesIO()
    with av.open(file, "w", format=form, options={"movflags": flags} if flags else {}) as container:
        stream = container.add_stream(codec, rate=10)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = (*size, pixels)
        stream.codec_context.thread_count = 1
        noise = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), np.uint8)
        for place in range(6):
            frame = av.VideoFrame.from_ndarray(np.roll(noise // 4 + 20 * place, place, axis=1).astype(np.uint8))
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return file.getvalue()


def _any(generator: Generator) -> tuple[str, bytearray]:
    ending, content = seeds()[generator.integers(len(seeds()))]
    return ending, bytearray(content)


def _harmed(generator: Generator) -> tuple[str, bytes]:
    ending, made = _any(generator)
    where = generator.integers(3)  # anywhere, near the beginning, near the end
    for _ in range(generator.integers(1, 30)):
        near = int(generator.integers(min(len(made), 900)))
        at = int(generator.integers(len(made))) if where == 0 else near if where == 1 else len(made) - 1 - near
        made[at] = generator.choice([0, 1, 127, 128, 255, int(generator.integers(256))])
    return ending, bytes(made[: generator.integers(1, len(made))] if generator.random() < 0.25 else made)


BOXES = (
    b"stsz",
    b"stts",
    b"stsc",
    b"stco",
    b"trun",
    b"tfhd",
    b"tkhd",
    b"mvhd",
    b"mdhd",
    b"elst",
    b"stsd",
    b"ctts",
    b"avcC",
    b"esds",
)
ELEMENTS = (
    b"idx1",
    b"strh",
    b"strf",
    b"avih",
    b"movi",
    b"\x2a\xd7\xb1",
    b"\x1c\x53\xbb\x6b",
    b"\xa3",
    b"\xb0",
    b"\xba",
    b"\x44\x89",
    b"\xe7",
)


def _lying(generator: Generator) -> tuple[str, bytes]:
    """Numbers after the names of boxes, chunks and elements, where sizes, counts and times stand."""
    ending, made = _any(generator)
    there = [name for name in (*BOXES, *ELEMENTS) if name in made]
    for _ in range(generator.integers(1, 5)):
        name = there[generator.integers(len(there))]
        if (found := made.find(name)) < 0:
            continue
        at = found + len(name) + 4 * int(generator.integers(0, 8))
        value = int(generator.choice([0, 1, 2**16, 10**6, 2 * 10**7, 10**8, 10**9, 2**31 - 1, 2**31, 2**32 - 1]))
        made[at : at + 4] = struct.pack(">I" if generator.random() < 0.7 else "<I", value)
        if generator.random() < 0.3:
            before = max(0, found - 4)
            made[before : before + 4] = struct.pack(">I", value)
    return ending, bytes(made)


def _doubled(generator: Generator) -> tuple[str, bytes]:
    """A part many times, or of another video."""
    ending, made = _any(generator)
    first, last = sorted(generator.integers(len(made) + 1, size=2).tolist())
    part = made[first:last] if generator.random() < 0.7 else _any(generator)[1]
    times = int(generator.choice([0, 2, 30, max(1, 3_000_000 // max(1, len(part)))]))
    return ending, bytes(made[:first] + part * times + made[last:])


def _listed(generator: Generator) -> tuple[str, bytes]:
    """What FFmpeg would open other files or addresses for."""
    other = str(
        generator.choice(
            ["other.txt", "/etc/hostname", "http://127.0.0.1:9/a.mp4", "file:other.txt", "concat:other.txt|other.txt"]
        )
    )
    texts = (
        f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{other}\n#EXT-X-ENDLIST\n",
        f"ffconcat version 1.0\nfile '{other}'\n",
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=a\nc=IN IP4 127.0.0.1\nm=video 9 RTP/AVP 96\na=rtpmap:96 H264/90000\n",
        f"<?xml version='1.0'?><MPD><BaseURL>{other}</BaseURL></MPD>",
        f"RTSPtextRTSP://127.0.0.1:9/{other}",
        f"[playlist]\nFile1={other}\n",
    )
    text = texts[generator.integers(len(texts))]
    ending = str(generator.choice([".mp4", ".avi", ".mkv", ".webm", ".mov"]))
    if generator.random() < 0.3:  # a movie that refers to another
        inside = b"".join(
            (struct.pack(">I", 8 + 12 + len(other)), b"rdrf", bytes(4), b"url ", struct.pack(">I", len(other)), other.encode())
        )
        for name in (b"rmda", b"rmra", b"moov"):
            inside = struct.pack(">I", 8 + len(inside)) + name + inside
        return ".mov", inside
    return ending, text.encode() * int(generator.choice([1, 1, 3000]))
