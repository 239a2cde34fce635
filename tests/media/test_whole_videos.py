"""Of a video all that can be read is read, as a player shows it, and what is missing is told."""

import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import av
import numpy as np
import pytest
from av.stream import Disposition
from PIL import Image

from conftest import Command
from mien.errors import MienError
from mien.media import video_frames
from mien.media.file_limits import FileLimits
from mien.media.source_files import SourceFile
from mien.media.video_frames import Frame, read_frames
from mien.media.video_gaps import GapCounter
from photographs import Photo, photo_of

BRIGHT = ("--align", "box", "--detector", "photographs:Bright")


def read(path: Path, every: float = 0.1, **options: Any) -> tuple[list[Frame], str]:
    """The frames, and what is told at their end."""
    found: list[Frame] = []
    try:
        for frame in read_frames(SourceFile(path.name, path, video=True), every, **options):
            found.append(frame)  # noqa: PERF402  # what was read before an error counts
    except MienError as error:
        return found, error.found
    return found, ""


def write(path: Path, photos: Sequence[Photo], ratio: Fraction = Fraction(1), codec: str = "libx264", between: int = 0) -> Path:
    """Ten frames a second; a key frame every ten; so many frames that are made from those before and after them."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=10, options={"g": "10", "bf": str(between)})
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = photos[0].shape[1], photos[0].shape[0], "yuv420p"
        stream.codec_context.sample_aspect_ratio = ratio
        stream.codec_context.thread_count = 1
        for photo in photos:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(photo, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def moving(count: int) -> list[Photo]:
    return [photo_of((10 + abs(3 - n % 6), 8, 16), size=(64, 80)) for n in range(count)]


def harm(path: Path, *packets: int) -> Path:
    """Zeros in these packets, but for their first bytes."""
    with av.open(str(path)) as container:
        places = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    content = bytearray(path.read_bytes())
    for at, size in (places[number] for number in packets):
        assert at is not None
        content[at + 6 : at + size] = bytes(max(0, size - 6))
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("between", [0, 2])
@pytest.mark.parametrize("ending", [".mp4", ".mov"])
def test_reading_goes_on_after_damaged_packets(tmp_path: Path, ending: str, between: int) -> None:
    found, reason = read(harm(write(tmp_path / f"a{ending}", moving(60), between=between), *range(20, 30)))
    assert [frame.time for frame in found] == pytest.approx([n / 10 for n in range(60) if not 20 <= n < 30])
    assert [frame.number for frame in found] == [n for n in range(60) if not 20 <= n < 30]
    assert reason == "left out as damaged: 10 frames between 1.90 and 3.00 s"


@pytest.mark.parametrize(
    ("packets", "reason"),
    [
        ([*range(10)], "10 frames before all others"),
        ([*range(50, 60)], "10 frames after 4.90 s, up to the end"),
        ([5], "1 frame between 0.40 and 0.60 s"),
        ([5, 17], "1 frame between 0.40 and 0.60 s, 1 frame between 1.60 and 1.80 s"),
        (
            [5, 17, 25, 35, 45, 46],
            "1 frame between 0.40 and 0.60 s, 1 frame between 1.60 and 1.80 s, 1 frame between 2.40 and 2.60 s, 3 frames in 2"
            " more places",
        ),
    ],
)
def test_every_gap_is_told(tmp_path: Path, packets: list[int], reason: str) -> None:
    found, told = read(harm(write(tmp_path / "a.mp4", moving(60)), *packets))
    assert told == f"left out as damaged: {reason}"
    assert len(found) == 60 - len(packets)
    assert [frame.number for frame in found] == [n for n in range(60) if n not in packets]


def test_nothing_that_can_be_decoded_is_told_as_such(tmp_path: Path) -> None:
    found, reason = read(harm(write(tmp_path / "a.mp4", moving(10)), *range(10)))
    assert (found, reason) == ([], "no frame that can be decoded")


@pytest.mark.parametrize("ending", [".webm", ".mkv"])
def test_what_a_matroska_file_loses_without_a_word_is_told(tmp_path: Path, ending: str) -> None:
    path = write(tmp_path / f"a{ending}", moving(300), codec="libvpx")
    assert read(path)[1] == ""
    content = bytearray(path.read_bytes())
    middle, part = len(content) // 2, len(content) // 20
    content[middle : middle + part] = bytes(part)
    path.write_bytes(content)
    found, reason = read(path)
    assert 200 < len(found) < 300
    times = [frame.time for frame in found]
    assert times[-1] == pytest.approx(29.9)
    place = int(np.diff(times).argmax())
    assert reason.startswith("left out as damaged: ")
    assert f"between {times[place]:.2f} and {times[place + 1]:.2f} s" in reason


def test_frames_of_any_rate_are_not_missing(tmp_path: Path) -> None:
    """As where a screen is recorded, whose frames come when something moves."""
    with av.open(str(tmp_path / "a.mkv"), "w") as container:
        stream = container.add_stream("libvpx", rate=30)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 80, 64, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for number, time in enumerate((0, 33, 70, 4000, 4033, 9000, 9040)):
            frame = av.VideoFrame.from_ndarray(moving(7)[number], format="rgb24")
            frame.pts, frame.time_base = time, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    found, reason = read(tmp_path / "a.mkv", 0.001)
    assert (len(found), reason) == (7, "")


@pytest.mark.parametrize("ending", [".webm", ".mkv"])
def test_a_video_that_begins_without_its_key_frame(tmp_path: Path, ending: str) -> None:
    """As cameras cut them that record in a circle."""
    whole = write(tmp_path / f"whole{ending}", moving(30), codec="libvpx")
    with av.open(str(whole)) as container, av.open(str(tmp_path / f"a{ending}"), "w") as made:
        stream = made.add_stream_from_template(container.streams.video[0])
        for packet in [one for one in container.demux(video=0) if one.size][1:]:
            packet.stream = stream
            made.mux(packet)
    found, reason = read(tmp_path / f"a{ending}")
    assert len(found) == 20
    assert reason == "left out as damaged: 9 frames before all others"
    assert (found[0].time, found[0].number) == (0, 9)


def test_frames_that_the_decoder_calls_corrupt_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    timed = video_frames._timed

    def spoiled(*given: Any) -> Iterator[Any]:
        for one in timed(*given):
            bad = 5 <= one.number < 8
            yield replace(one, picture=cast(av.VideoFrame, SimpleNamespace(is_corrupt=True))) if bad else one

    monkeypatch.setattr(video_frames, "_timed", spoiled)
    found, reason = read(write(tmp_path / "a.mp4", moving(20)))
    assert [frame.number for frame in found] == [*range(5), *range(8, 20)]
    assert reason == "left out as damaged: 3 frames between 0.40 and 0.80 s"


def test_where_a_file_cannot_be_taken_apart_what_follows_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, demux, calls = write(tmp_path / "a.mp4", moving(20)), av.container.InputContainer.demux, list[int]()

    def broken(container: Any, stream: Any) -> Iterator[Any]:
        calls.append(0)
        for number, packet in enumerate(demux(container, stream)):
            yield packet
            if len(calls) == 1 and number == 7:
                raise av.InvalidDataError(-1, "made up")

    with av.open(str(path)) as container:
        fake = SimpleNamespace(demux=lambda stream: broken(container, stream))
        gaps = GapCounter()
        packets = [
            packet.size for packet in video_frames._packets(cast(Any, fake), container.streams.video[0], gaps) if packet.size
        ]
        assert (len(packets), len(calls), gaps.before(None)) == (20, 2, 1)


def test_frames_that_went_with_skipped_bytes_are_counted_by_their_times() -> None:
    gaps = GapCounter()
    gaps.step, gaps.longest = 0.1, 1.0
    gaps.sound(1.9)
    gaps.skipped()
    gaps.undecoded(None)
    assert gaps.before(30) == 1
    gaps.sound(3.0)
    assert gaps.tell(to_the_end=True) == "left out as damaged: 10 frames between 1.90 and 3.00 s"


def test_a_file_that_cannot_be_taken_apart_at_all_ends() -> None:
    def nothing(stream: Any) -> Iterator[Any]:
        raise av.InvalidDataError(-1, "made up")
        yield

    with pytest.raises(av.InvalidDataError):
        list(video_frames._packets(cast(Any, SimpleNamespace(demux=nothing)), cast(Any, None), GapCounter()))


def test_commands_tell_what_is_left_out(mien: Command, tmp_path: Path) -> None:
    clip = harm(write(tmp_path / "clip.mp4", moving(60)), *range(20, 30))
    told = "left out as damaged: 10 frames between 1.90 and 3.00 s"
    done = mien("predict", clip, *BRIGHT, "--json")
    *lines, last = [json.loads(line) for line in done.out.splitlines()]
    assert (done.code, len(lines), last["fault"]) == (0, 50, told)
    assert done.err.endswith(f"mien: clip.mp4: {told}\n")
    assert {one["track"] for line in lines for one in line["faces"]} == {1}
    done = mien("prepare", clip, tmp_path / "faces", *BRIGHT, "--every", 0.1)
    assert done.code == 0, done.err
    assert (tmp_path / "faces" / "rejected.csv").read_text().splitlines()[1] == f"clip.mp4,{told}"


@pytest.mark.parametrize("ending", [".mp4", ".mov", ".mkv"])
@pytest.mark.parametrize("ratio", [Fraction(4, 3), Fraction(12, 11), Fraction(1, 2), Fraction(2)])
def test_pixels_are_stretched_as_a_player_shows_them(tmp_path: Path, ending: str, ratio: Fraction) -> None:
    photo = photo_of((24, 16, 32), size=(64, 96))
    stored = np.asarray(Image.fromarray(photo).resize((round(48 / ratio) * 2, 64)))
    found, reason = read(write(tmp_path / f"a{ending}", [stored] * 3, ratio))
    assert reason == ""
    assert found[0].pixels.shape[0] == 64
    assert found[0].pixels.shape[1] == pytest.approx(96, abs=1)
    assert found[0].pixels.flags["C_CONTIGUOUS"]
    if ratio < 1:
        return  # the edges of so wide a picture are soft
    columns = (found[0].pixels[32, :, 0] > 145).nonzero()[0]
    assert (columns[0], columns[-1]) == pytest.approx((24, 55), abs=2)


def test_what_is_stretched_is_turned_after_that(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", [photo_of((0, 0, 8), size=(48, 64))] * 2, Fraction(3, 2))
    content = path.read_bytes()
    upright = b"".join(each.to_bytes(4, signed=True) for each in (65536, 0, 0, 0, 65536, 0, 0, 0, 1 << 30))
    turned = b"".join(each.to_bytes(4, signed=True) for each in (0, 65536, 0, -65536, 0, 0, 0, 0, 1 << 30))
    at = content.find(upright, content.find(b"tkhd"))
    path.write_bytes(content[:at] + turned + content[at + 36 :])
    found, _ = read(path)
    assert found[0].pixels.shape == (96, 48, 3)
    assert found[0].pixels[4, 43, 0] > 200


def test_limits_hold_for_what_is_shown(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", [photo_of(size=(48, 64))] * 2, Fraction(4))
    assert read(path, limits=FileLimits(frame_pixels=48 * 256 - 1)) == ([], "256 x 48 pixels, more than 12,287")
    assert len(read(path, limits=FileLimits(frame_pixels=48 * 256))[0]) == 2
    path = write(tmp_path / "b.mp4", [photo_of(size=(48, 64))] * 2, Fraction(1, 4))
    assert read(path, limits=FileLimits(frame_pixels=48 * 64 - 1)) == ([], "64 x 48 pixels, more than 3,071")


def several(path: Path, sizes: Sequence[tuple[int, int]], cover: tuple[int, int] | None = None) -> Path:
    """A video of each size, gray that grows from one to the next, and a picture that belongs to the file."""
    with av.open(str(path), "w") as container:
        streams = []
        for width, height in sizes:
            streams.append(container.add_stream("mpeg4", rate=10))
            streams[-1].width, streams[-1].height, streams[-1].pix_fmt = width, height, "yuv420p"
        for _ in range(3):
            for number, stream in enumerate(streams):
                gray = np.full((stream.height, stream.width, 3), 60 + 60 * number, np.uint8)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(gray, format="rgb24")))
        for stream in streams:
            container.mux(stream.encode(None))
    if cover is None:
        return path
    picture = io.BytesIO()
    Image.new("RGB", cover).save(picture, "JPEG")
    with av.open(str(path), "r") as source, av.open(str(path.with_name(f"covered{path.suffix}")), "w") as made:
        copies = {one.index: made.add_stream_from_template(one) for one in source.streams.video}
        with av.open(io.BytesIO(picture.getvalue()), "r", format="jpeg_pipe") as still:
            own = made.add_stream_from_template(still.streams.video[0])
            own.disposition = Disposition.attached_pic
            for packet in source.demux(*source.streams.video):
                if packet.size:
                    packet.stream = copies[packet.stream.index]
                    made.mux(packet)
            for part in still.demux(still.streams.video[0]):
                if part.size:
                    part.stream = own
                    made.mux(part)
    return path.with_name(f"covered{path.suffix}")


@pytest.mark.parametrize("ending", [".mp4", ".mkv"])
def test_of_several_videos_the_largest_is_read(tmp_path: Path, ending: str) -> None:
    found, reason = read(several(tmp_path / f"a{ending}", [(64, 48), (128, 96), (96, 64)]))
    assert reason == "3 videos in one file, of which the largest is read, 128 x 96 pixels"
    assert [frame.pixels.shape for frame in found] == [(96, 128, 3)] * 3
    assert found[0].pixels.mean() == pytest.approx(120, abs=3)


def test_of_equal_videos_the_first_is_read(tmp_path: Path) -> None:
    found, _ = read(several(tmp_path / "a.mp4", [(64, 48), (64, 48)]))
    assert found[0].pixels.mean() == pytest.approx(60, abs=3)


def test_a_cover_is_no_video(tmp_path: Path) -> None:
    found, reason = read(several(tmp_path / "a.mp4", [(64, 48)], cover=(320, 240)))
    assert ([frame.pixels.shape for frame in found], reason) == ([(48, 64, 3)] * 3, "")
