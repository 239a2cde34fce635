"""What mien does where its core's packages alone are installed: it reads photos and videos, and says what else to install."""

import hashlib
import importlib.metadata as metadata
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from PIL import Image

import mien
from drawn import drawings
from mien.errors import MienError
from mien.installed import EXTRAS, explain_missing, require_extras
from mien.recognize.bundled import BUNDLED

ROOT = Path(__file__).parents[1]
SOURCE = Path(mien.__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

READ = (
    ["predict", "photo.png", "film.mp4", "--json", "--every", "0.2"],
    ["predict", "photo.png", "--draw", "drawn"],
    ["predict", "list.txt", "--csv"],
    ["watch", "nowhere://camera"],
    ["--help"],
    ["--version"],
    ["annotate", "--help"],
)
"""What works without any extra; there is no such camera."""
TRAIN = """
import synthetic made
databases
describe faces
features mien-s faces features
convert weights.mat converted
duplicates faces
identities faces identities
peaks faces peaks
train faces --out run
resume run
adapt mien-s faces --out adapted
export run exported
evaluate run faces
weights run faces
label-errors faces --model mien-s
intensity mien-s faces
consistency mien-s faces --neighbors neighbors
neurons mien-s faces --out neurons
explain mien-s photo.png --out explained.png
verify mien-s faces
compare faces --recipes supervised --out compared
protocol cross faces others --recipes supervised --out crossed
recipes
demo --out demo
autoencoder train faces --out neighbors
prepare photo.png prepared
collect collected --yes
tables list
predict list.csv
predict photo.png --model run
"""
LABEL = (
    ["annotate", "faces", "--store", "labels.db"],
    ["annotators", "list", "--store", "labels.db"],
    ["labels", "show", "labels.db"],
    ["rounds", "faces", "--out", "rounds"],
)
GIVEN = ["predict", "photo.png", "--model", "given"]
"""With a model that somebody exported."""
RUN = """
import contextlib, io, json, sys
asked = []
sys.addaudithook(lambda event, values: asked.append(event) if event.startswith("socket.") else None)
import mien
from mien.cli import main
ended = []
for words in json.loads(sys.argv[1]):
    sys.argv = ["mien", *words]
    said, told, code = io.StringIO(), io.StringIO(), 0
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(told):
        try:
            main()
        except SystemExit as end:
            code = end.code or 0
    ended.append([words, code, said.getvalue(), told.getvalue()])
try:
    mien.train
except mien.MienError as error:
    ended.append([["mien.train"], 1, "", str(error)])
try:
    import mien.sklearn
except mien.MienError as error:
    ended.append([["mien.sklearn"], 1, "", str(error)])
print(json.dumps({"asked": asked, "ended": ended, "loaded": sorted({name.partition(".")[0] for name in sys.modules})}))
"""


def closure(wanted: Iterable[str]) -> set[str]:
    """The names of the distributions that are wanted, and of all that they want."""
    seen, waiting = set[str](), [Requirement(one) for one in wanted]
    while waiting:
        one = waiting.pop()
        if canonicalize_name(one.name) not in seen:
            seen.add(canonicalize_name(one.name))
            others = map(Requirement, metadata.requires(one.name) or [])
            waiting += [other for other in others if other.marker is None or other.marker.evaluate({"extra": ""})]
    return seen


@pytest.fixture(scope="module")
def core(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the packages of the core, and no others: links to those that are installed."""
    folder = tmp_path_factory.mktemp("core")
    for name in closure(PROJECT["dependencies"]):
        found = metadata.distribution(name)
        tops = {file.parts[0] for file in found.files or [] if file.parts[0] not in ("..", "__pycache__")}
        for top in tops:
            if not (folder / top).exists():
                (folder / top).symlink_to(Path(str(found.locate_file(top))).resolve())
    return folder


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a photo, a film of it, and lists."""
    folder = tmp_path_factory.mktemp("photos")
    drawing = drawings()[2].photo
    Image.fromarray(drawing).save(folder / "photo.png")
    with av.open(str(folder / "film.mp4"), "w") as film:
        stream = film.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 400, 300, "yuv420p"
        for _ in range(6):
            film.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(drawing[:300, :400]))))
        film.mux(stream.encode())
    (folder / "list.txt").write_text("photo.png\n")
    shutil.copytree(BUNDLED["mien-s"], folder / "given")  # with another hash, as if somebody had exported it
    card = json.loads((folder / "given" / "model.json").read_text())
    (folder / "given" / "model.onnx").write_bytes((folder / "given" / "model.onnx").read_bytes() + b"\x00")
    card["graph"] = hashlib.sha256((folder / "given" / "model.onnx").read_bytes()).hexdigest()
    (folder / "given" / "model.json").write_text(json.dumps(card))
    shutil.copytree(folder / "given", folder / "run")
    (folder / "run" / "model.json").write_text(json.dumps(card | {"graph": ""}))
    (folder / "list.csv").write_text("path\nphoto.png\n")
    return folder


def run(commands: Sequence[Sequence[str]], paths: Sequence[Path], cwd: Path) -> dict[str, Any]:
    """What came of commands, one after the other in one process that finds packages in `paths` alone."""
    own = {"PYTHONPATH": os.pathsep.join(map(str, paths)), "OMP_NUM_THREADS": "1", "HOME": str(cwd), "PATH": os.defpath}
    words = [sys.executable, "-S", "-c", RUN, json.dumps(commands)]
    done = subprocess.run(words, capture_output=True, text=True, cwd=cwd, env=own, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.fixture(scope="module")
def light(core: Path, photos: Path) -> dict[str, Any]:
    """What all commands say with the core alone."""
    return run([*READ, *map(str.split, TRAIN.strip().splitlines()), *LABEL, GIVEN], [SOURCE, core], photos)


def said(light: dict[str, Any], command: Sequence[str]) -> tuple[int, str, str]:
    """A command's exit code, and what it said on standard output and on standard error."""
    code, out, err = next(rest for words, *rest in light["ended"] if words == list(command))
    return code, out, err


def test_photos_and_videos_are_read_with_the_core_alone(light: dict[str, Any], photos: Path) -> None:
    code, out, err = said(light, READ[0])
    assert code == 0, err
    lines = [json.loads(line) for line in out.splitlines()]
    assert len(lines[0]["faces"]) == 1
    assert len(lines) >= 3, "frames of the film"
    assert {face["track"] for line in lines[1:] for face in line["faces"]} == {1}
    assert said(light, READ[1])[0] == 0
    assert list((photos / "drawn").iterdir())
    assert said(light, READ[2])[1].startswith("photo,path")


@pytest.mark.parametrize("command", READ[4:], ids=" ".join)
def test_what_needs_no_extra_works_without(light: dict[str, Any], command: list[str]) -> None:
    code, out, err = said(light, command)
    assert code == 0, err
    assert out
    assert "mien[" not in err


def test_reading_asks_no_network_and_loads_nothing_else(light: dict[str, Any]) -> None:
    assert light["asked"] == []
    assert not {*light["loaded"]} & {package for packages in EXTRAS.values() for package in packages}


@pytest.mark.parametrize("command", [*TRAIN.strip().splitlines(), "mien.train"])
def test_what_trains_says_which_extra_it_needs(light: dict[str, Any], command: str) -> None:
    code, _, err = said(light, command.split())
    assert code == 1
    assert re.fullmatch(r"(mien: )?expected the package \w+; found none installed; pip install 'mien\[train\]'\n?", err)


def test_the_estimator_says_which_extra_it_needs(light: dict[str, Any]) -> None:
    assert said(light, ["mien.sklearn"])[2].endswith("pip install 'mien[sklearn]'")


def test_a_model_from_elsewhere_wants_its_graph_checked(light: dict[str, Any]) -> None:
    assert said(light, GIVEN) == (1, "", "mien: expected the package onnx; found none installed; pip install 'mien[onnx]'\n")


@pytest.mark.parametrize("command", LABEL, ids=" ".join)
def test_what_labels_says_which_extra_it_needs(light: dict[str, Any], command: list[str]) -> None:
    code, _, err = said(light, command)
    wanted = "label,train" if command[0] == "rounds" else "label"
    assert code == 1
    assert err == f"mien: expected the package fastapi; found none installed; pip install 'mien[{wanted}]'\n"


def test_only_packages_of_extras_are_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    assert explain_missing(ModuleNotFoundError("No module named 'mine'", name="mine")) is None
    assert explain_missing(ImportError("cannot import name", name="torch")) is None
    found = explain_missing(ModuleNotFoundError("No module named 'ray'", name="ray.data"))
    assert found is not None
    assert found.todo == "pip install 'mien[cluster]'"
    require_extras("train", "label")
    monkeypatch.setitem(sys.modules, "sqlalchemy", None)
    with pytest.raises(MienError, match=r"expected the package sqlalchemy.*'mien\[label\]'"):
        require_extras("train", "label")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel and the source archive."""
    pytest.importorskip("hatchling", reason="hatchling, which builds mien, is not installed")
    folder = tmp_path_factory.mktemp("built")
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-d", str(folder)], cwd=ROOT, check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def installed(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, installed without what it depends on."""
    (wheel,) = built.glob("*.whl")
    folder = tmp_path_factory.mktemp("installed")
    words = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--no-compile"]
    subprocess.run([*words, "--target", str(folder), str(wheel)], check=True, capture_output=True)
    return folder


def test_the_wheel_reads_a_photo(installed: Path, core: Path, photos: Path) -> None:
    found = run([["predict", "photo.png", "--json"], ["--version"]], [installed, core], photos)
    assert len(json.loads(said(found, ["predict", "photo.png", "--json"])[1])["faces"]) == 1
    assert said(found, ["--version"])[1] == f"mien {PROJECT['version']}\n"
    assert (installed / "bin" / "mien").is_file()


def test_archives_hold_what_is_needed_and_no_more(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.partition("/")[0] for name in names}
    assert tops == {"mien", f"mien-{PROJECT['version']}.dist-info"}
    assert {"mien/py.typed", "mien/faces/mtcnn/weights/onet.onnx", "mien/recognize/weights/mien-xs/model.safetensors"} <= {*names}
    vendored = {f"mien/browser/vendor/{one.name}" for one in (ROOT / "src/mien/browser/vendor").glob("[!.]*")}
    assert vendored <= {*names}, "what make web put there"
    assert [name for name in names if name.endswith((".png", ".jpg", ".npy", ".parquet", ".pyc", ".pkl"))] == []
    (archive,) = built.glob("*.tar.gz")
    with tarfile.open(archive) as opened:
        kept = {name.partition("/")[2].partition("/")[0] for name in opened.getnames()}
    assert kept - {""} == {
        "src", "pyproject.toml", "PKG-INFO", "README.md", "CHANGELOG.md", "LICENSE", "LICENSES.md", "CITATION.cff", "SECURITY.md",
        ".gitignore",
    }  # fmt: skip


def test_a_script_that_uses_the_wheel_passes_strict_type_checks(installed: Path, core: Path, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "from mien import MienError, Prediction, Recognizer\n\n"
        "def best(photo: str) -> list[tuple[str, float]]:\n"
        "    found: tuple[Prediction, ...] = Recognizer.load()(photo)\n"
        "    return [(face.top, face.confidence) for face in found]\n\n"
        "try:\n    print(best('photo.png'))\nexcept MienError as error:\n    print(error.todo)\n"
    )
    site = tmp_path / "venv" / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
    venv.create(tmp_path / "venv", symlinks=True)
    (site / "wheel.pth").write_text(f"{installed}\n{core}\n")
    kept = ["--cache-dir", str(tmp_path / "cache"), "--config-file", os.devnull]
    words = [sys.executable, "-m", "mypy", "--strict", *kept, "--python-executable", str(tmp_path / "venv" / "bin" / "python")]
    done = subprocess.run([*words, str(script)], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "Success: no issues found in 1 source file\n"), done.stdout + done.stderr
    script.write_text("from mien import Recognizer\n\nRecognizer.load(model=3)\n")
    done = subprocess.run([*words, str(script)], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert "[arg-type]" in done.stdout, "types are known, not Any"
