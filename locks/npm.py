"""Fetches what the page in the browser runs on, from npm: `make web`. Versions and hashes stand in npm.json beside this file.

onnxruntime-web goes into the package (src/mien/browser/vendor), with its license; axe-core, which checks the page in tests, into
build. Files of a package with another hash are not written. WebAssembly is stored compressed, as servers send it.
"""

import base64
import gzip
import hashlib
import importlib.util
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parent
PACKAGES: dict[str, dict[str, Any]] = json.loads((HERE / "npm.json").read_text())
DONE = ".sha512"
"""The file in a folder with the hash of the package whose files lie there, the files that were asked for, and what is there."""
ONCE = ("--silent", "--fetch-retries=0", "--fetch-timeout=30000")
"""npm is asked once: without a network it would try for minutes."""
SECONDS = 300
"""How long npm may take for a package."""
BROTLI = (
    "const z = require('zlib'), fs = require('fs'), c = z.constants, b = fs.readFileSync(process.argv[1]);"
    "const params = { [c.BROTLI_PARAM_QUALITY]: 10, [c.BROTLI_PARAM_LGWIN]: 24, [c.BROTLI_PARAM_SIZE_HINT]: b.length };"
    "fs.writeFileSync(process.argv[2], z.brotliCompressSync(b, { params }));"
)
"""A program for node, which npm brings: Python has no Brotli of its own."""


def fetch(name: str, version: str, sha512: str) -> bytes | None:
    """The archive of a package, by npm as it is set up on this machine; None where npm does not get it.

    Ends with a message where its hash is another.
    """
    with tempfile.TemporaryDirectory() as folder:
        words = ["npm", "pack", f"{name}@{version}", *ONCE, "--pack-destination", folder]
        try:
            if subprocess.run(words, cwd=folder, stdout=subprocess.DEVNULL, timeout=SECONDS).returncode:
                return None
        except subprocess.TimeoutExpired:
            return None
        (archive,) = Path(folder).glob("*.tgz")
        content = archive.read_bytes()
    found = base64.b64encode(hashlib.sha512(content).digest()).decode()
    if found != sha512:
        sys.exit(f"web: expected {name} {version} with the hash in locks/npm.json; found {found}")
    return content


def unpack(content: bytes, files: list[str], folder: Path) -> None:
    """Write some files of an archive into a folder."""
    with tempfile.TemporaryFile() as archive:
        archive.write(content)
        archive.seek(0)
        with tarfile.open(fileobj=archive) as opened:
            for file in files:
                found = opened.extractfile(f"package/{file}")
                assert found is not None, file
                (folder / Path(file).name).write_bytes(found.read())


def add_licenses(folder: Path) -> None:
    """Put the license beside onnxruntime-web, whose package has none, and the notices that onnxruntime for Python has."""
    shutil.copy(HERE / "onnxruntime-web.LICENSE", folder / "LICENSE")
    spec = importlib.util.find_spec("onnxruntime")
    places = spec.submodule_search_locations if spec else None
    for notices in (Path(place, "ThirdPartyNotices.txt") for place in places or ()):
        if notices.is_file():
            shutil.copy(notices, folder)


def compress(folder: Path) -> None:
    """Store WebAssembly as gzip and as Brotli, a third smaller, and no longer as it was."""
    for file in folder.glob("*.wasm"):
        Path(f"{file}.gz").write_bytes(gzip.compress(file.read_bytes(), 9, mtime=0))
        subprocess.run(["node", "-e", BROTLI, str(file), f"{file}.br"], check=True)
        file.unlink()


def is_there(name: str) -> bool:
    """Whether the folder of a package holds what npm.json asks for, whole."""
    wanted = PACKAGES[name]
    done = ROOT / wanted["folder"] / DONE
    said = done.read_text().splitlines() if done.is_file() else []
    return said[:2] == stamp(wanted) and all((done.parent / file).is_file() for file in said[2:])


def stamp(wanted: dict[str, Any]) -> list[str]:
    """What tells the files of a package from those of another version, and from others of the same one."""
    return [wanted["sha512"], " ".join(wanted["files"])]


def put(name: str, finish: Callable[[Path], None]) -> bool:
    """Make the folder of a package anew, unless its files are there already; False where npm does not get it."""
    if is_there(name):
        return True
    wanted = PACKAGES[name]
    folder = ROOT / wanted["folder"]
    content = fetch(name, wanted["version"], wanted["sha512"])
    if content is None:
        print(f"web: npm did not get {name}; tests that need it are skipped")
        return False
    folder.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".web-"))
    try:
        unpack(content, wanted["files"], aside)
        finish(aside)
        (aside / DONE).write_text("\n".join(stamp(wanted) + sorted(file.name for file in aside.iterdir())))
        aside.chmod(0o755)
        shutil.rmtree(folder, ignore_errors=True)
        aside.rename(folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    print(f"{name} {wanted['version']} -> {wanted['folder']}")
    return True


def finish_runtime(folder: Path) -> None:
    """Complete the folder of onnxruntime-web."""
    add_licenses(folder)
    compress(folder)


def main(words: list[str]) -> None:
    """All packages; without npm nothing is fetched, which is said. With `check` nothing is fetched either.

    `check` ends with a message where onnxruntime-web is not there as npm.json asks for it.
    """
    if words == ["check"]:
        if not is_there("onnxruntime-web"):
            sys.exit("web: onnxruntime-web is missing, or another one than in locks/npm.json")
        return
    if shutil.which("npm") is None or shutil.which("node") is None:
        print("web: npm is not installed, so that mien serve has no page; its tests are skipped")
        return
    # Where the first did not come, the second would hardly come.
    if put("onnxruntime-web", finish_runtime):
        put("axe-core", lambda folder: None)


if __name__ == "__main__":
    main(sys.argv[1:])
