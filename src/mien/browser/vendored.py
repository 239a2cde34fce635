"""onnxruntime-web, which the page runs on: files that `make web` puts into the package."""

import gzip
from pathlib import Path

from mien.errors import MienError

FOLDER = Path(__file__).parent / "vendor"
"""Where the files are."""
SCRIPTS = ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs")
WASM = "ort-wasm-simd-threaded.wasm"
"""The program of WebAssembly, which is stored as gzip and as Brotli."""
LICENSES = ("LICENSE", "ThirdPartyNotices.txt")
"""Texts that go with the files; the second is there where onnxruntime for Python was when they were fetched."""


def missing_files() -> list[str]:
    """Names of the files that are not there."""
    wanted = (*SCRIPTS, f"{WASM}.gz", f"{WASM}.br", LICENSES[0])
    return [name for name in wanted if not (FOLDER / name).is_file()]


def require_vendored() -> None:
    """Raises MienError where files are missing."""
    if missing := missing_files():
        todo = "install a released mien, or run make web where npm is installed, and start again"
        raise MienError("onnxruntime-web, which the page runs on, in this installation", f"no {missing[0]}", todo)


def vendored_texts() -> dict[str, bytes]:
    """Scripts and licenses by their names."""
    return {name: (FOLDER / name).read_bytes() for name in (*SCRIPTS, *LICENSES) if (FOLDER / name).is_file()}


def wasm(encoding: str = "") -> bytes:
    """The program of WebAssembly, as `gzip` or `br`, or as it is."""
    if encoding == "br":
        return (FOLDER / f"{WASM}.br").read_bytes()
    packed = (FOLDER / f"{WASM}.gz").read_bytes()
    return packed if encoding == "gzip" else gzip.decompress(packed)
