"""Cameras by number, by device and by address."""

import io
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import cv2
import numpy as np
import pytest
from PIL import Image

from conftest import Command, refused
from mien.errors import MienError
from mien.faces.crop import CropSpec
from mien.recognize import camera
from mien.recognize.camera import Reconnecting, camera_frames, find_camera
from mien.recognize.watch import watch
from photographs import Photo, photo_of
from processes import WAIT


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A camera that these tests serve may take as long as the machine does."""
    monkeypatch.setattr(camera, "SECONDS", WAIT)


def jpeg(photo: Photo) -> bytes:
    content = io.BytesIO()
    Image.fromarray(photo).save(content, "JPEG", quality=95)
    return content.getvalue()


Answer = Callable[[BaseHTTPRequestHandler], None]


@contextmanager
def served(answer: Answer) -> Iterator[str]:
    """The address, without its scheme, of a server of this machine."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer(self)

        def log_message(self, *said: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def sends(count: int, step: int = 1) -> Answer:
    """So many pictures, as cameras send them over HTTP, then the end. From one to the next the face moves by `step` pixels."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        handler.end_headers()
        for number in range(count):
            content = jpeg(photo_of((5 + step * number, 8, 16), size=(64, 80)))
            head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(content)}\r\n\r\n".encode()
            try:
                handler.wfile.write(head + content + b"\r\n")
            except OSError:  # nobody asks any more
                return

    return answer


@pytest.mark.parametrize(
    ("given", "name", "number"),
    [
        ("0", "camera 0", 0),
        (3, "camera 3", 3),
        ("/dev/video2", "camera /dev/video2", 2),
        ("/dev/video99999", "camera /dev/video99999", 99999),
    ],
)
def test_cameras_of_this_computer(given: str | int, name: str, number: int) -> None:
    found = find_camera(given)
    assert (found.name, found.number, found.address) == (name, number, "")


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("rtsp://192.168.1.20/stream", "camera rtsp://192.168.1.20/stream"),
        ("RTSP://somebody:secret@host:8554/a", "camera rtsp://host:8554/a"),
        ("http://host/video?user=somebody&pwd=secret", "camera http://host/video"),
        ("https://[::1]:8080/", "camera https://[::1]:8080/"),
    ],
)
def test_addresses_are_shown_without_what_is_secret(address: str, name: str) -> None:
    found = find_camera(address)
    assert (found.name, found.number, found.address) == (name, None, address)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("ftp://host/a", "found ftp://"),
        ("file:///etc/passwd", "found file://"),
        ("rtsp://", "one without a host"),
        ("http://[1", "one without a host"),
        ("kitchen", "found 'kitchen'"),
        ("", "found ''"),
        ("-1", "found '-1'"),
        ("1.5", "found '1.5'"),
        ("²", "found '²'"),
        ("9" * 30, "its number from 0"),
        ("/dev/null", "found '/dev/null'"),
        ("/dev/video", "found '/dev/video'"),
    ],
)
def test_what_is_no_camera(given: str, told: str) -> None:
    with refused(told):
        camera_frames(given)


def test_a_file_is_read_by_predict(mien: Command, tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").write_bytes(b"")
    done = mien("watch", tmp_path / "clip.mp4")
    assert done.code == 2
    assert "read files with mien predict" in " ".join(done.err.split())


def test_a_link_to_a_device_is_one(tmp_path: Path) -> None:
    os.symlink("/dev/video7", tmp_path / "kitchen")
    assert find_camera(str(tmp_path / "kitchen")).number == 7


def test_a_device_is_opened_by_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, released = list[int](), list[int]()

    class None_:
        def __init__(self, number: int) -> None:
            asked.append(number)

        def isOpened(self) -> bool:
            return False

        def release(self) -> None:
            released.append(1)

    monkeypatch.setattr(cv2, "VideoCapture", None_)
    with pytest.raises(MienError, match="a camera at /dev/video2; found none that can be opened"):
        next(camera_frames("/dev/video2"))
    assert (asked, released) == ([2], [1])


def test_a_camera_at_an_address_is_read_until_it_ends() -> None:
    pictures = list[Photo]()

    def take(address: str) -> None:
        for frame in camera_frames(address):
            assert frame.number == len(pictures)
            pictures.append(frame.pixels)

    with served(sends(30)) as host, pytest.raises(MienError, match=f"frames of camera http://{host}/a; found none any more"):
        take(f"http://{host}/a?token=secret")
    assert 0 < len(pictures) <= 30
    assert {picture.shape for picture in pictures} == {(64, 80, 3)}
    assert np.abs(pictures[-1].astype(int) - photo_of((34, 8, 16), size=(64, 80))).mean() < 3, "the last one is the newest"


def test_a_camera_at_an_address_is_let_go() -> None:
    with served(sends(10**9)) as host:
        frames = camera_frames(f"http://{host}/a")
        assert next(frames).pixels.shape == (64, 80, 3)
        frames.close()  # type: ignore[attr-defined]  # a generator


def test_a_camera_at_an_address_is_watched(mien: Command) -> None:
    with served(sends(20)) as host:
        words = ("--align", "box", "--detector", "photographs:Bright", "--json", "--reconnect", 0)
        done = mien("watch", f"http://somebody:secret@{host}/a", *words)
    assert done.code == 1
    assert f'"photo": "camera http://{host}/a"' in done.out
    assert "secret" not in done.out + done.err
    assert f'"expected": "frames of camera http://{host}/a", "found": "none any more' in done.err


def test_a_camera_is_watched_from_python() -> None:
    # Which of the pictures are read depends on how fast both sides are.
    with served(sends(10**9, step=0)) as host:
        crop_spec = CropSpec("box", "photographs:Bright", "all")
        reads = watch(f"http://somebody:secret@{host}/a", crop_spec=crop_spec, device="cpu")
        first, second = next(reads), next(reads)
        reads.close()  # type: ignore[attr-defined]  # a generator
    assert first.photo.input.name == second.photo.input.name == f"camera http://{host}/a"
    assert [len(read.faces) for read in (first, second)] == [1, 1]
    assert first.faces[0].track == second.faces[0].track is not None
    with pytest.raises(MienError, match="a camera"):
        watch("kitchen", device="cpu")


def redirects(address: str) -> Answer:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(302)
        handler.send_header("Location", address)
        handler.end_headers()

    return answer


def lists(content: str) -> Answer:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "application/vnd.apple.mpegurl")
        handler.end_headers()
        handler.wfile.write(content.encode())

    return answer


def test_no_other_address_is_opened_than_the_one_that_is_named() -> None:
    asked = list[str]()

    def other(handler: BaseHTTPRequestHandler) -> None:
        asked.append(handler.path)
        sends(3)(handler)

    with served(other) as elsewhere:
        address = f"http://{elsewhere}/b"
        for answer in (redirects(address), lists(f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{address}\n")):
            with served(answer) as host, pytest.raises(MienError, match=f"a camera at http://{host}/a"):
                next(camera_frames(f"http://{host}/a"))
    assert asked == []


def test_where_nobody_answers_the_error_says_so() -> None:
    with socket.socket() as bound:  # and nobody listens there
        bound.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{bound.getsockname()[1]}"
        with pytest.raises(MienError, match=f"a camera at rtsp://{host}/a; found Connection refused") as caught:
            next(camera_frames(f"rtsp://somebody:secret@{host}/a"))
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_camera_that_is_lost_is_tried_again_and_its_time_goes_on() -> None:
    """It sends three pictures, answers nothing twice, sends three again, and then nothing any more."""
    asked, now, said = list[int](), [0.0], list[str]()

    def answer(handler: BaseHTTPRequestHandler) -> None:
        asked.append(1)
        if len(asked) in (1, 4):
            sends(3)(handler)
        else:
            handler.send_error(503)

    def wait(seconds: float) -> None:
        now[0] += seconds

    again = Reconnecting(20.0, said.append, wait, lambda: now[0])
    with served(answer) as host:
        frames = camera_frames(f"http://somebody:secret@{host}/a", again=again)
        found = list[float]()
        with pytest.raises(MienError, match="none any more"):
            found.extend(frame.time for frame in frames)
        assert len(set(found)) == 2, "no frame from before, or from after"
        assert found == sorted(found)
        assert found[-1] == 0.5 + 1 + 2, "after the third try"
        assert now[0] == 3.5 + 20, "from the last frame on"
        assert [line.split(f"{host}/a ")[1].split(" (")[0] for line in said] == ["is lost", "answers again", "is lost"]
        assert "secret" not in "".join(said)
        asked.clear()
        frames = camera_frames(f"http://{host}/a", 5.0, Reconnecting(100.0, said.append, wait, lambda: now[0]))
        asked.extend([1, 1, 1])  # the next one is answered
        assert list(frames)[-1].time < 5, "it ends by its time, though the camera is away"
