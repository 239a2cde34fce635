"""Nothing leaves the computer: commands are watched while telemetry is switched on, and so is who watches them."""

import ast
import asyncio
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import av
import httpx
import numpy as np
import pytest
import typer
from opentelemetry.trace import NoOpTracer, Tracer, TracerProvider
from PIL import Image

from mien import FaceSet
from mien.cli import app
from mien.data.importing import source_from
from mien.labeling.page.app import build
from mien.labeling.store.store import Store
from mien.preparation import prepare as room
from mien.preparation.preparation_settings import PreparationSettings
from mien.preparation.prepare import prepare_faces
from mien.recognize.device import choose_device
from mien.telemetry import OFF, changed_environment, import_onnxruntime, own_cache, switch_off_telemetry
from moving import FRAMES, moving_faces
from photographs import write_folder
from processes import ENVIRONMENT, PATIENT_RAY, skip_without_ray
from watching import Seen, Watch, by_hook, by_strace, has_strace, watch

SOURCE = Path(__file__).parents[1] / "src" / "mien"
ON = {
    "FASTAPI_OTEL_AUTO_CONFIGURE": "true",
    "ORT_DISABLE_TELEMETRY": "0",
    "OTEL_EXPORTER_OTLP_ENDPOINT": "http://203.0.113.9:4318",
    "RAY_USAGE_STATS_ENABLED": "1",
}
"""Telemetry switched on in the environment."""
SMALL = "--set model.width=8 --set batch=16 --set precision=float32 --set stages.0.epochs=1"
COMMANDS = """
import synthetic imported --set faces=16 --set people=4 --side 32
train faces --out run SMALL --epochs 1
resume run
runs
evaluate run faces --by subject
export run given_away
predict photos --model given_away --align whole
describe faces --picture faces.png
weights run faces
identities faces identities
peaks faces peaks
label-errors faces --model run
intensity run faces
autoencoder train faces --out neighbors --epochs 1
consistency run faces --neighbors neighbors
verify run faces --folds 2 --split all
compare faces --recipes supervised --seeds 1 --out compared SMALL --epochs 1
protocol cross faces imported --recipes supervised --seeds 1 --out crossed SMALL --epochs 1
rounds faces --recipe supervised --out rounds --per-round 5 --rounds 1 --start-labels-per-class 3 --oracle labels SMALL
adapt run faces --out adapted
explain run photos/0.png --out explained.png
neurons run faces --out neurons
features run:stem faces features
duplicates faces
recipes
databases
annotators add ann --store labels.db
labels show labels.db
labels tasks faces tasks --model run
tables list --data photos
predict photos film.mp4 --draw drawn
watch 0 --draw watched --json
annotate faces --store answers.db --model run --port 0 --add ann
prepare photos film.mp4 prepared --workers 2 --color
"""
MANY = """
import json, os, re, signal, sys, urllib.request
from mien.cli import main
import cv2

class Camera:
    photo, left = cv2.imread("photos/0.png"), 3
    def __init__(self, number): pass
    def isOpened(self): return True
    def set(self, key, value): return True
    def release(self): pass
    def read(self):
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt
        return True, self.photo

def ask(said, served):
    address = next(found[0] for line in said if (found := re.search(r"http://127.0.0.1:[0-9]+", line)))
    print(urllib.request.build_opener(urllib.request.ProxyHandler({})).open(address).read().decode())
    os.kill(served, signal.SIGINT)
    assert os.waitstatus_to_exitcode(os.waitpid(served, 0)[1]) in (0, 130)

cv2.VideoCapture = Camera
for words in json.loads(sys.argv[1]):
    sys.argv = ["mien", *words]
    if words[0] == "annotate":
        sys.stdout.flush()
        said, says = os.pipe()
        if served := os.fork():
            os.close(says)
            ask(open(said), served)
            continue
        os.dup2(says, 1)
        sys.stdout.reconfigure(line_buffering=True)
    code = 0
    try:
        main()
    except SystemExit as end:
        code = end.code
    if words[0] == "annotate":
        os._exit(code or 0)
    assert not code or words[0] == "adapt", (words, code)
"""
"""Commands one after the other: to load torch takes its time.

`adapt` refuses a model that gets no better, after all its work. `watch` sees a camera, which somebody ends after three frames.
`annotate` serves a page from a process of its own, which somebody opens and ends.
"""

OFFEND = """
import os, pathlib, socket
home = pathlib.Path.home()
(home / "written").write_text("here")
(home / "made").mkdir()
pathlib.Path("given").write_text("here")
os.rename("given", home / "moved")
for family, address in ((socket.AF_INET, "203.0.113.7"), (socket.AF_INET6, "2001:db8::7"), (socket.AF_INET, "127.0.0.1")):
    with socket.socket(family, socket.SOCK_DGRAM) as one:
        try:
            one.connect((address, 9))
        except OSError:
            pass
with socket.socket() as one:
    one.bind(("0.0.0.0", 0))
try:
    socket.getaddrinfo("a-name.invalid", 80)
except OSError:
    pass
"""
"""Everything that must not be, and what may."""


SERVE = """
import os, re, signal, subprocess, sys, urllib.request
words = [sys.executable, "-c", sys.argv[1], "serve", "--port", "0"]
served = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONUNBUFFERED": "1"})
address = next(found[0] for line in served.stdout if (found := re.search(r"http://127.0.0.1:[0-9]+", line)))
request = urllib.request.Request(f"{address}/v1/read", open("photos/0.png", "rb").read(), {"Content-Type": "image/png"})
print(urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request).read().decode())
served.send_signal(signal.SIGINT)
served.wait()
"""
"""`mien serve`, which somebody asks about a photo."""


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """A folder with faces, photos and a video; a home lies beside it. Its name is short, as sockets have names in it."""
    with tempfile.TemporaryDirectory(prefix="m", dir="/tmp") as folder:
        work, pictures = Path(folder, "w"), next(source_from("synthetic", {"faces": 3, "people": 3, "side": 128}).blocks()).faces
        for made in (work / "t", work / "photos", work.parent / "home"):
            made.mkdir(parents=True)
        moving = moving_faces()
        columns = {name: moving.values(name) for name in ("sequence", "subject", "frame", "split")}
        columns["intensity"] = columns["frame"] / FRAMES
        faces = FaceSet.from_arrays(moving.faces(), moving.labels, moving.classes, columns).save(work / "faces")
        Store.create(work / "labels.db", faces.classes, "faces", faces.info.checksum).close()
        with av.open(str(work / "film.mp4"), "w") as film:
            stream = film.add_stream("mpeg4", rate=10)
            stream.width, stream.height, stream.pix_fmt = 128, 128, "yuv420p"
            for number, picture in enumerate(pictures):
                Image.fromarray(picture).save(work / "photos" / f"{number}.png")
                film.mux(stream.encode(av.VideoFrame.from_ndarray(np.repeat(picture[:, :, None], 3, axis=2), format="rgb24")))
            film.mux(stream.encode(None))
        yield work


def watched(work: Path, *program: str, by: Watch = watch) -> Seen:
    """A Python program that may change its folder and mien's cache. Nothing of the environment silences it; Ray is given time."""
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH", "LANG") if name in os.environ}
    home = work.parent / "home"
    environ = kept | ON | PATIENT_RAY | {"HOME": str(home), "TMPDIR": str(work / "t"), "OMP_NUM_THREADS": "1"}
    return by([sys.executable, "-c", *program], environ, work, [work, home / ".cache" / "mien"])


def require_silence(work: Path, *program: str) -> Seen:
    """Run it, and look at what it did, and at what lies in its home afterwards."""
    seen = watched(work, *program)
    skip_without_ray(seen.said)
    assert seen.code == 0, seen.said[-3000:]
    assert seen.addresses == ()
    assert seen.files == ()
    home = work.parent / "home"
    left = {path.relative_to(home).parts[:2] for path in home.rglob("*")}
    assert left <= {(".cache",), (".cache", "mien")}
    return seen


def test_importing_mien_silences_what_is_imported_after_it(place: Path) -> None:
    require_silence(place, "import mien, onnxruntime")


CLUSTER = """
import warnings
warnings.simplefilter("ignore")
from mien.preparation import prepare as room
room.INPUTS = 5
asked = room.PreparationSettings(("many",), "box margin=0", "photographs:Mortal marker=marker", side=16)
room.prepare_faces(asked, "by_ray", cluster="local")
"""
"""Photos prepared by a cluster, one of whose processes dies in the midst of its first task."""


def test_a_cluster_is_silent_and_gives_what_one_process_gives_though_a_worker_is_lost(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A local Ray cluster, of which one test is enough: it takes its time to begin."""
    pytest.importorskip("ray", reason="Ray is not installed")
    monkeypatch.setenv("PYTHONPATH", ENVIRONMENT["PYTHONPATH"])
    monkeypatch.setattr(room, "INPUTS", 5)
    write_folder(place / "many", 23)
    program = CLUSTER.replace("marker=marker", f"marker={place / 'marker'}")
    require_silence(place, program)
    assert (place / "marker").exists(), "nobody died"
    assert not [path for path in (place / "t").iterdir() if path.name.startswith(("mien-", "ray"))]
    asked = PreparationSettings((str(place / "many"),), "box margin=0", f"photographs:Mortal marker={place / 'marker'}", side=16)
    alone = prepare_faces(asked, place / "alone").faces
    assert FaceSet.open(place / "by_ray", verify=True).info.checksum == alone.info.checksum


def test_every_command_is_watched() -> None:
    """`demo` is import, train and evaluate; `convert` reads one file and writes another.

    `collect` is there to ask the web: tests/collect look at what it asks.
    """
    known = set(typer.main.get_group(app).commands)
    apart = {"collect", "serve"}
    assert known - apart - {"convert", "demo"} == {line.split()[0] for line in COMMANDS.strip().splitlines()}


def test_all_commands_do_their_work_in_silence(place: Path) -> None:
    """Recognizers are trained, tested and given away; photos, a video and a camera are read; the page is served."""
    commands = [line.replace("SMALL", SMALL).split() for line in COMMANDS.strip().splitlines()]
    if find_spec("cleanlab") is None:
        commands.remove(["label-errors", "faces", "--model", "run"])
    seen = require_silence(place, MANY, json.dumps(commands))
    assert (place / "given_away" / "model.json").is_file()
    assert list((place / "compared").glob("*.html"))
    for made in ("drawn", "watched", "prepared"):
        assert (place / made).is_dir(), seen.said
    assert '"time"' in seen.said
    assert "<html" in seen.said


def test_photos_are_answered_in_silence(place: Path) -> None:
    assert '"photos"' in require_silence(place, SERVE, "from mien.cli import main; main()").said


def test_the_page_tells_no_tracer_what_is_asked(stored: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = list[str]()

    class Tracers(TracerProvider):
        def get_tracer(self, instrumenting_module_name: str, *more: Any, **settings: Any) -> Tracer:
            told.append(instrumenting_module_name)
            return NoOpTracer()

    monkeypatch.setattr("opentelemetry.trace.get_tracer_provider", Tracers)
    pool = FaceSet.open(stored)

    async def ask() -> int:
        with Store.create(tmp_path / "labels.db", pool.classes, "bright", pool.info.checksum) as store:
            asked = httpx.ASGITransport(build(store, pool))
            async with httpx.AsyncClient(transport=asked, base_url="http://127.0.0.1") as client:
                return (await client.get("/sign-in")).status_code

    assert asyncio.run(ask()) == 200
    assert told == []


STRACE = pytest.param(by_strace, marks=pytest.mark.skipif(not has_strace(), reason="strace is missing, or may not look"))


@pytest.mark.parametrize("by", [STRACE, by_hook])
def test_an_offender_is_seen(place: Path, tmp_path: Path, by: Watch) -> None:
    work = tmp_path / "work"
    for made in (work / "t", tmp_path / "home"):
        made.mkdir(parents=True)
    seen = watched(work, OFFEND, by=by)
    assert seen.code == 0, seen.said
    found = {line.split()[1] for line in seen.addresses}
    assert {"203.0.113.7", "2001:db8::7", "0.0.0.0"} <= found
    assert "127.0.0.1" not in found
    assert found - {"203.0.113.7", "2001:db8::7", "0.0.0.0"}, "nobody saw that a name was looked for"
    assert {Path(line.partition(" ")[2]).name for line in seen.files} == {"written", "made", "moved"}


@pytest.mark.skipif(not has_strace(), reason="strace is missing, or may not look")
def test_onnxruntime_is_seen_where_nothing_silences_it(tmp_path: Path) -> None:
    for made in (tmp_path / "work" / "t", tmp_path / "home"):
        made.mkdir(parents=True)
    seen = watched(tmp_path / "work", "import onnxruntime")
    assert any("onnxruntime" in line for line in seen.files), "it keeps no queue any more: what else does it do?"


def test_an_environment_that_wants_telemetry_is_overruled(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in OFF:
        monkeypatch.setenv(name, "yes")
    monkeypatch.delitem(sys.modules, "onnxruntime", raising=False)
    switch_off_telemetry()
    assert {name: os.environ[name] for name in OFF} == OFF
    monkeypatch.setenv("ORT_DISABLE_TELEMETRY", "0")
    import_onnxruntime()
    assert os.environ["ORT_DISABLE_TELEMETRY"] == "1"


def test_who_imports_onnxruntime_first_is_warned(monkeypatch: pytest.MonkeyPatch) -> None:
    told, module = list[bool](), ModuleType("onnxruntime")
    module.disable_telemetry_events = lambda: told.append(True)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "onnxruntime", module)
    monkeypatch.setenv("ORT_DISABLE_TELEMETRY", "0")
    with pytest.warns(RuntimeWarning, match="imported before mien, with its telemetry on: import mien first"):
        switch_off_telemetry()
    switch_off_telemetry()
    assert told == [True]


def test_an_environment_is_changed_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIEN_THERE", "before")
    with changed_environment({"MIEN_THERE": "within", "MIEN_NEW": "within"}):
        assert (os.environ["MIEN_THERE"], os.environ["MIEN_NEW"]) == ("within", "within")
    assert os.environ["MIEN_THERE"] == "before"
    assert "MIEN_NEW" not in os.environ


def test_the_cache_is_where_others_are(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert own_cache() == tmp_path / "mien"
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    assert own_cache() == Path.home() / ".cache" / "mien"


def test_what_is_compiled_for_a_gpu_is_kept_in_the_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_CACHE_PATH", raising=False)
    choose_device("cpu")
    assert "CUDA_CACHE_PATH" not in os.environ
    monkeypatch.setenv("CUDA_CACHE_PATH", "/elsewhere")
    choose_device("auto")
    assert os.environ["CUDA_CACHE_PATH"] == "/elsewhere"
    monkeypatch.delenv("CUDA_CACHE_PATH")
    choose_device("auto")
    assert os.environ["CUDA_CACHE_PATH"] == str(own_cache() / "cuda")


def test_what_talks_is_imported_in_one_place() -> None:
    """Which files name packages that have to be silenced first."""
    homes: dict[str, set[str]] = {"onnxruntime": set(), "matplotlib": set(), "ray": set()}
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
            for name in {name.partition(".")[0] for name in names} & set(homes):
                homes[name].add(path.relative_to(SOURCE).as_posix())
    assert homes == {
        "onnxruntime": {"telemetry.py"},
        "matplotlib": {"matplotlib_parts.py"},
        "ray": {"preparation/ray_cluster.py"},
    }
