"""How fast photos and videos are read: from nothing to the first face, a photo when warm, and a video, end to end.

    python benchmarks/reading.py PHOTO [--model mien-s] [--rounds 9] [--threads 2]

PHOTO holds a face; what is read is a canvas of 640 x 480 with that photo, half of it high. Cold: `mien predict` of that
file as a process of its own, imports, weights and all. Warm: `Recognizer` on the array, and on the file's bytes. Video: frames
in which the face moves, as `mien predict` reads them.
"""

import argparse
import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import av
import numpy as np
import numpy.typing as npt
from PIL import Image

if TYPE_CHECKING:
    from mien import Recognizer

Array = npt.NDArray[np.uint8]
SIZE = (640, 480)
FRAMES = 150


def canvas(face: Image.Image, x: int) -> Array:
    """The photo, 240 pixels high, on gray."""
    picture = Image.new("RGB", SIZE, (110, 120, 130))
    height = 240
    picture.paste(face.resize((face.width * height // face.height, height)), (x, 120))
    return np.asarray(picture)


def write_video(path: Path, face: Image.Image) -> None:
    """Six seconds of 25 frames."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height = SIZE
        for number in range(FRAMES):
            frame = av.VideoFrame.from_ndarray(canvas(face, 150 + number % 50), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def seconds(work: Callable[[], object]) -> float:
    """That it takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def told(name: str, times: list[float], unit: float = 1000) -> None:
    """A line with median and range, in milliseconds unless said."""
    values = sorted(unit * value for value in times)
    print(json.dumps({name: round(values[len(values) // 2], 1), "least": round(values[0], 1), "most": round(values[-1], 1)}))


def told_of_video(recognizer: "Recognizer", video: Path, whole_every: int) -> None:
    """A line on a video in this process, with this many frames from one search of the whole frame to the next."""
    from mien.media.find_source_files import find_source_files
    from mien.recognize.predict_files import predict_files

    def read() -> list[int]:
        inputs = find_source_files([video])
        return [len(one.faces) for one in predict_files(recognizer, inputs, 0.04, [], whole_every=whole_every)]

    faces = sum(read())
    speed = FRAMES / sorted(seconds(read) for _ in range(3))[1]
    print(json.dumps({"whole_every": whole_every, "frames_a_second": round(speed, 1), "faces": faces, "frames": FRAMES}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photo", type=Path)
    parser.add_argument("--model", default="mien-s")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = str(given.threads)
    from mien import Recognizer
    from mien.faces.between_frames import WHOLE_EVERY

    with TemporaryDirectory() as folder:
        face = Image.open(given.photo).convert("RGB")
        photo, video = Path(folder) / "photo.jpg", Path(folder) / "video.mp4"
        Image.fromarray(canvas(face, 200)).save(photo, quality=92)
        write_video(video, face)
        command = [sys.executable, "-c", "from mien.cli import main; main()", "predict", "--model", given.model, "--json"]

        def said(path: Path) -> str:
            return subprocess.run([*command, str(path)], capture_output=True, text=True, check=True).stdout

        assert json.loads(said(photo))["faces"], "no face was found in the photo"
        told("cold_ms", [seconds(lambda: said(photo)) for _ in range(given.rounds)])
        recognizer = Recognizer.load(given.model, "cpu")
        pixels, content = np.asarray(Image.open(io.BytesIO(photo.read_bytes()))), photo.read_bytes()
        for name, picture in (("warm_ms", pixels), ("warm_from_bytes_ms", content)):
            recognizer(picture)
            told(name, [seconds(lambda picture=picture: recognizer(picture)) for _ in range(10 * given.rounds)])  # type: ignore[misc]
        crops = np.zeros((1, recognizer.card.faces.side, recognizer.card.faces.side), np.uint8)
        told("named_only_ms", [seconds(lambda: recognizer.probabilities(crops)) for _ in range(10 * given.rounds)])
        times = [seconds(lambda: said(video)) for _ in range(3)]
        speed = FRAMES / sorted(times)[1]
        print(json.dumps({"video_frames_a_second": round(speed, 1), "times_real_time": round(speed / 25, 2)}))
        for whole_every in (1, WHOLE_EVERY):
            told_of_video(recognizer, video, whole_every)


if __name__ == "__main__":
    main()
