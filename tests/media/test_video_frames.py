"""Reading videos: a frame every so many seconds, upright, with its time; what is damaged ends with a reason."""

import os
import pickle
import random
import resource
import socket
import tarfile
import warnings
import zipfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memory import peak
from mien.errors import MienError
from mien.media.file_limits import FILE_LIMITS, NO_LIMITS, Deadline, FileLimits
from mien.media.find_source_files import find_source_files
from mien.media.photos_and_frames import read_photos_and_frames
from mien.media.source_files import SourceFile
from mien.media.video_frames import Frame, _timed, _Told, read_frames
from mien.media.video_gaps import GapCounter

CODECS = {".mp4": "mpeg4", ".mov": "libx264", ".avi": "mpeg4", ".mkv": "libx264", ".webm": "libvpx-vp9"}

ONE, NONE, MINUS = 65536, 0, -65536
UPRIGHT = (ONE, NONE, NONE, NONE, ONE, NONE, NONE, NONE, 1 << 30)


def picture(place: int, width: int, height: int) -> npt.NDArray[np.uint8]:
    """Gray that grows with the frame's place; red above left, green above right, blue below left."""
    pixels = np.full((height, width, 3), min(255, 10 * place), np.uint8)
    pixels[:16, :16] = 255, 0, 0
    pixels[:16, -16:] = 0, 255, 0
    pixels[-16:, :16] = 0, 0, 255
    return pixels


def video(path: Path, frames: int = 20, rate: int = 10, size: tuple[int, int] = (64, 48), first: bool = False) -> Path:
    """A video; `first`: an MP4 whose directory comes before its pictures."""
    with av.open(str(path), "w", options={"movflags": "faststart"} if first else {}) as container:
        stream = container.add_stream(CODECS[path.suffix], rate=rate)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height = size
        stream.pix_fmt, stream.codec_context.thread_count = "yuv420p", 1
        for place in range(frames):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture(place, *size))))
        container.mux(stream.encode(None))
    return path


def of(path: Path) -> SourceFile:
    return SourceFile(path.name, path, video=True)


def read(path: Path, every: float = 0.1, **options: Any) -> tuple[list[Frame], str]:
    """The frames, and why they end."""
    frames: list[Frame] = []
    try:
        for frame in read_frames(of(path), every, **options):
            frames.append(frame)  # noqa: PERF402  # what was read before an error counts
    except MienError as error:
        return frames, error.found
    return frames, ""


def turned(path: Path, matrix: tuple[int, ...]) -> Path:
    """The same MP4, to be shown by another matrix (ISO/IEC 14496-12, 8.3.2)."""
    content = path.read_bytes()
    at = content.find(b"".join(each.to_bytes(4, signed=True) for each in UPRIGHT), content.find(b"tkhd"))
    made = path.with_name("turned.mp4")
    made.write_bytes(content[:at] + b"".join(each.to_bytes(4, signed=True) for each in matrix) + content[at + 36 :])
    return made


def tone(frame: Frame) -> float:
    height, width, _ = frame.pixels.shape
    return float(frame.pixels[height // 2, width // 2].mean())


@pytest.mark.parametrize("ending", sorted(CODECS))
def test_a_frame_every_so_many_seconds(tmp_path: Path, ending: str) -> None:
    frames, reason = read(video(tmp_path / f"a{ending}"), 0.5)
    assert reason == ""
    assert [frame.time for frame in frames] == pytest.approx([0, 0.5, 1.0, 1.5], abs=1e-6)
    assert [frame.number for frame in frames] == [0, 5, 10, 15]
    assert [tone(frame) for frame in frames] == pytest.approx([0, 50, 100, 150], abs=6)
    assert {frame.pixels.shape for frame in frames} == {(48, 64, 3)}
    assert frames[0].pixels.dtype == np.uint8
    assert np.abs(frames[0].pixels[8, 8].astype(int) - (255, 0, 0)).max() < 40


@pytest.mark.parametrize(
    ("every", "expected"),
    [(0.01, 20), (0.1, 20), (0.3, 7), (0.25, 8), (1.9, 2), (7.0, 1)],
)
def test_the_first_frame_at_or_after_each_time(tmp_path: Path, every: float, expected: int) -> None:
    frames, _ = read(video(tmp_path / "a.mp4"), every)
    times = np.arange(20) / 10
    due = [next(time for time in times if time >= step - 1e-6) for step in np.arange(0, 1.9 + 1e-6, every)]
    assert [frame.time for frame in frames] == pytest.approx(list(dict.fromkeys(due)))
    assert len(frames) == expected


@pytest.mark.parametrize("every", [0.0, -1.0, float("nan"), float("inf")])
def test_seconds_have_to_be_positive(tmp_path: Path, every: float) -> None:
    with pytest.raises(MienError, match="seconds between frames above 0"):
        read_frames(of(tmp_path / "a.mp4"), every)


def test_frames_are_upright(tmp_path: Path) -> None:
    path = video(tmp_path / "a.mp4", frames=1)
    stored = read(path)[0][0].pixels
    expected = {
        (ONE, NONE, NONE, NONE, ONE): stored,
        (NONE, ONE, NONE, MINUS, NONE): np.rot90(stored, -1),  # a phone held upright
        (NONE, MINUS, NONE, ONE, NONE): np.rot90(stored),
        (MINUS, NONE, NONE, NONE, MINUS): np.rot90(stored, 2),
        (MINUS, NONE, NONE, NONE, ONE): np.fliplr(stored),
        (ONE, NONE, NONE, NONE, MINUS): np.flipud(stored),
        (NONE, ONE, NONE, ONE, NONE): np.swapaxes(stored, 0, 1),
        (NONE, MINUS, NONE, MINUS, NONE): np.swapaxes(np.rot90(stored, 2), 0, 1),
    }
    for matrix, pixels in expected.items():
        found = read(turned(path, (*matrix, NONE, NONE, NONE, 1 << 30)))[0][0].pixels
        assert found.shape == pixels.shape
        assert (found == pixels).all()
        assert found.flags["C_CONTIGUOUS"]


@pytest.mark.parametrize("ending", [".mp4", ".mov", ".avi", ".mkv", ".webm"])
def test_a_truncated_video_gives_what_comes_before(tmp_path: Path, ending: str) -> None:
    path = video(tmp_path / f"a{ending}", frames=40, first=ending in (".mp4", ".mov"))
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 8 // 10])
    frames, reason = read(path)
    assert 0 < len(frames) < 40
    assert [frame.time for frame in frames] == pytest.approx([place / 10 for place in range(len(frames))], abs=1e-3)
    assert "a truncated file" in reason
    assert reason.endswith(f"after {frames[-1].time:.2f} s")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "an empty file"),
        (b"a text that somebody called .mp4", "no video of a known format"),
        (b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nother.mp4\n#EXT-X-ENDLIST\n", "no video of a known format"),
        (b"ffconcat version 1.0\nfile other.mp4\n", "no video of a known format"),
        (b"\x00\x00\x00\x18ftypisom", "a truncated file of 12 bytes where 24 are stated"),
    ],
)
def test_what_is_no_video(tmp_path: Path, content: bytes, reason: str) -> None:
    video(tmp_path / "other.mp4", frames=2)
    path = tmp_path / "a.mp4"
    path.write_bytes(content)
    with pytest.raises(MienError, match=f"expected a video at a.mp4; found {reason}; replace or remove it"):
        next(read_frames(of(path), 1))


def test_sound_alone_is_no_video(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=8000)
        assert isinstance(stream, av.AudioStream)
        stream.layout = "mono"
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        sound.sample_rate = 8000
        container.mux(stream.encode(sound))
        container.mux(stream.encode(None))
    assert read(tmp_path / "a.mp4") == ([], "no video in it")


def test_what_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.mp4")
    assert "a pipe" in read(tmp_path / "a.mp4")[1]
    assert "a folder" in read(tmp_path)[1]
    assert "No such file" in read(tmp_path / "gone.mp4")[1]


def test_a_large_picture_is_refused(tmp_path: Path) -> None:
    path = video(tmp_path / "a.mp4", frames=2)
    assert read(path, limits=FileLimits(frame_pixels=64 * 48 - 1)) == ([], "64 x 48 pixels, more than 3,071")
    assert len(read(path, limits=FileLimits(frame_pixels=64 * 48))[0]) == 2


@pytest.mark.parametrize("form", ["zip", "stored.zip", "tar", "tgz"])
def test_videos_in_archives(tmp_path: Path, form: str) -> None:
    inside = tmp_path / "in"
    inside.mkdir()
    made = [video(inside / name, frames=4 + place) for place, name in enumerate(["a.mp4", "b.mkv"])]
    path = tmp_path / f"set.{form}"
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED if form == "stored.zip" else zipfile.ZIP_DEFLATED) as zipping:
            for file in made:
                zipping.write(file, file.name)
    else:
        with tarfile.open(path, "w:gz" if form == "tgz" else "w") as taping:
            for file in made:
                taping.add(file, file.name)
    found: list[SourceFile] = pickle.loads(pickle.dumps(list(find_source_files([path]))))
    assert [(each.name, each.video, each.content) for each in found] == [("a.mp4", True, None), ("b.mkv", True, None)]
    for each, file in zip(found, made, strict=True):
        expected = [frame.pixels for frame in read_frames(of(file), 0.1)]
        frames = [frame.pixels for frame in read_frames(each, 0.1)]
        assert len(frames) == 4 + made.index(file)
        assert (np.stack(frames) == np.stack(expected)).all()


def test_frames_come_one_by_one(tmp_path: Path) -> None:
    path = video(tmp_path / "a.mp4", frames=200, size=(320, 240))
    frames = read_frames(of(path), 0.1)
    assert isinstance(frames, Iterator)
    assert sum(1 for _ in frames) == 200
    # A few frames, of 200.
    assert peak(lambda: sum(1 for _ in read_frames(of(path), 0.1))) < 10 * 320 * 240 * 3
    # Files are closed where somebody stops early (a warning of an open file would be an error here).
    early = read_frames(of(path), 0.1)
    assert next(early).time == 0
    early.close()  # type: ignore[attr-defined]  # a generator


@pytest.fixture(scope="module")
def seeds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("videos")
    return {ending: video(folder / f"a{ending}", frames=12).read_bytes() for ending in CODECS}


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.sampled_from(sorted(CODECS)), st.integers(0, 2**32 - 1), st.sampled_from(["bit", "bits", "cut", "tail"]))
def test_any_video_gives_frames_or_a_reason(
    seeds: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory, ending: str, seed: int, harm: str
) -> None:
    chance, content = random.Random(seed), bytearray(seeds[ending])
    for _ in range({"bit": 1, "bits": 20}.get(harm, 0)):
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    if harm == "tail":
        content[len(content) // 2 :] = chance.randbytes(300)
    if harm == "cut":
        del content[chance.randrange(len(content)) :]
    path = tmp_path_factory.getbasetemp() / "harmed.mp4"
    path.write_bytes(content)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        frames, reason = read(path, 0.2, limits=FileLimits(frame_pixels=1_000_000))
    assert not said
    assert frames or reason
    assert all(frame.pixels.shape[2] == 3 and np.isfinite(frame.time) for frame in frames)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(
    st.binary(max_size=400), st.sampled_from([b"", b"\0\0\0\x10ftypisom\0\0\0\0", b"RIFF\xff\0\0\0AVI LIST", b"\x1a\x45\xdf\xa3"])
)
def test_noise_is_refused(content: bytes, head: bytes) -> None:
    with pytest.raises(MienError):
        next(read_frames(SourceFile("a.mp4", Path("/nowhere"), content=head + content, video=True), 1))


def test_reading_a_video_says_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = video(tmp_path / "a.mp4")
    capfd.readouterr()
    content = bytearray(path.read_bytes())
    content[100:300] = b"\xaa" * 200
    path.write_bytes(content)
    read(path)
    assert capfd.readouterr() == ("", "")


LISTS = ("#EXTM3U\n#EXTINF:1,\n{0}\n", "ffconcat version 1.0\nfile '{0}'\n", "<MPD><BaseURL>{0}</BaseURL></MPD>")


@pytest.mark.parametrize("form", LISTS)
@pytest.mark.parametrize("ending", [".mp4", ".mkv", ".avi", ".mov"])
def test_no_other_file_and_no_address_is_opened(tmp_path: Path, form: str, ending: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        address = f"http://127.0.0.1:{server.getsockname()[1]}/a.mp4"
        for other in (address, str(video(tmp_path / "other.mp4", frames=2)), "other.mp4"):
            path = tmp_path / f"a{ending}"
            path.write_text(form.format(other))
            assert read(path) == ([], "no video of a known format")
        with pytest.raises(BlockingIOError):
            server.accept()


def boxed(kind: bytes, *parts: bytes) -> bytes:
    return (8 + sum(map(len, parts))).to_bytes(4) + kind + b"".join(parts)


def test_a_movie_that_refers_to_another_file(tmp_path: Path) -> None:
    """By a data reference, as QuickTime has them; FFmpeg would open it if it were told to."""
    whole = video(tmp_path / "whole.mp4", frames=3).read_bytes()
    own = boxed(b"dref", bytes(7) + b"\1", boxed(b"url ", b"\0\0\0\1"))
    assert own in whole
    other = boxed(b"url ", bytes(4), str(tmp_path / "whole.mp4").encode() + b"\0")
    longer = boxed(b"dref", bytes(7) + b"\1", other)
    made = whole.replace(own, longer)
    for name in (b"dinf", b"minf", b"mdia", b"trak", b"moov"):
        at = made.index(name) - 4
        made = made[:at] + (int.from_bytes(made[at : at + 4]) + len(longer) - len(own)).to_bytes(4) + made[at + 4 :]
    first, last = made.index(b"mdat") + 4, made.index(b"moov") - 4
    assert first < last
    (tmp_path / "refers.mp4").write_bytes(made[:first] + bytes(last - first) + made[last:])
    assert read(tmp_path / "refers.mp4")[0] == [], "its own bytes show nothing"


def test_so_many_samples_take_no_more_memory_than_a_video_may(tmp_path: Path) -> None:
    made = bytearray(video(tmp_path / "a.mp4", frames=3).read_bytes())
    for name, at in ((b"stsz", 12), (b"stsc", 16), (b"stts", 12)):
        start = made.index(name)
        made[start + at : start + at + 4] = (100_000_000).to_bytes(4)
    start = made.index(b"stsz")
    made[start + 8 : start + 12] = (1).to_bytes(4)
    (tmp_path / "b.mp4").write_bytes(made)
    before = resource.getrlimit(resource.RLIMIT_DATA)
    frames, reason = read(tmp_path / "b.mp4", limits=FileLimits(memory=300_000_000))
    assert not frames
    assert reason
    assert resource.getrlimit(resource.RLIMIT_DATA) == before


def test_the_next_frame_may_take_so_many_seconds(tmp_path: Path) -> None:
    path = video(tmp_path / "a.mkv", frames=30)
    assert len(read(path, clock=lambda: 7.0)[0]) == 30
    for begun in (1, 2, 5, 9):
        ticks = (0.0 if tick < begun else 16.0 * (tick - begun + 1) for tick in count())
        frames, reason = read(path, clock=lambda ticks=ticks: next(ticks))
        assert len(frames) < 30
        assert "more than 15 seconds of decoding" in reason
    ticks = (1e3 * tick for tick in count())
    assert len(read(path, limits=NO_LIMITS, clock=lambda: next(ticks))[0]) == 30


def test_frames_that_share_their_bytes_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where all entries of an index name one place."""
    path = video(tmp_path / "a.mp4", frames=9)
    there = path.stat().st_size
    monkeypatch.setattr("mien.media.video_frames.missing_bytes", lambda file: "")
    with av.open(str(path)) as container:
        some = list(_timed(container, FILE_LIMITS, Deadline(60), there, _Told(GapCounter())))
    assert len(some) == 9
    with av.open(str(path)) as container, pytest.raises(ValueError, match="frames that share their bytes"):
        list(_timed(container, FILE_LIMITS, Deadline(60), there // 3, _Told(GapCounter())))


def test_somebody_hears_of_frames_that_are_not_taken(tmp_path: Path) -> None:
    """Or else whoever decodes a long video would seem to hang."""
    path, beats = video(tmp_path / "a.mkv", frames=30), list[int]()
    (shot,) = read_photos_and_frames([of(path)], 1000.0, [], beat=lambda: beats.append(1))
    assert shot.frame == 0
    assert len(beats) > 30
