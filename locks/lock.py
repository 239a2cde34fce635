"""Writes constraints.txt and the locks beside this file anew: `make locks`, with uv, which resolves for all systems at once.

Versions in constraints.txt stay; remove a line there, before, to get a newer one.
Each lock holds what the ones before it do not: `core`, what reads photos and what builds mien; `train` and `label`, what these
extras bring; `cuda`, what torch needs for a GPU; `extras`, the other ones; `develop`, what tests and checks need; and `docs`,
what `make site` needs.
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent
CONSTRAINTS = ROOT / "constraints.txt"
BUILD = "editables\nhatchling==1.27.0\n"
"""With what mien is installed in place; the version is that of pyproject.toml."""
FOR_GPUS = ("cuda-", "nvidia-", "triton")
LAYERS = {
    "core": [],
    "train": ["train"],
    "label": ["label"],
    "extras": ["cluster", "dlib", "doubts", "facenet", "frames", "onnx", "postgresql", "serve", "sklearn"],
    "develop": ["test", "lint"],
    "docs": ["docs"],
}
"""Extras of pyproject.toml by lock."""
BLOCK = re.compile(r"^([\w.-]+)==(\S+)[^\n]*(?:\n[ \t][^\n]*)*\n", re.M)


def resolve(extras: list[str]) -> list[re.Match[str]]:
    """A block for each package: name, version, systems, hashes."""
    with tempfile.TemporaryDirectory() as folder:
        build, lock = Path(folder, "build.in"), Path(folder, "lock.txt")
        build.write_text(BUILD)
        plain = ["--no-annotate", "--no-header", "--no-emit-index-url", "--no-emit-package", "mien", "--quiet"]
        kind = ["--universal", "--generate-hashes", "--python-version", "3.11"]
        words = [*kind, *plain, "--constraint", str(CONSTRAINTS), "--output-file", str(lock)]
        named = [word for extra in extras for word in ("--extra", extra)]
        uv = [sys.executable, "-m", "uv", "pip", "compile", str(ROOT / "pyproject.toml"), str(build), *words, *named]
        subprocess.run(uv, check=True, stdout=subprocess.DEVNULL)
        return list(BLOCK.finditer(lock.read_text()))


def main() -> None:
    """All locks, from the smallest on, and at last the versions alone."""
    seen, extras, blocks = set[str](), list[str](), list[re.Match[str]]()
    for layer, more in LAYERS.items():
        extras += more
        blocks = resolve(extras)
        lines: dict[str, str] = {}
        for block in blocks:
            first = block[0].partition("\n")[0]
            if first not in seen:
                lock = "cuda" if block[1].startswith(FOR_GPUS) else layer
                lines[lock] = lines.get(lock, "") + block[0]
            seen.add(first)
        for lock, text in lines.items():
            (HERE / f"{lock}.txt").write_text(text)
    CONSTRAINTS.write_text("".join(sorted((f"{block[1]}=={block[2]}\n" for block in blocks), key=str.lower)))


if __name__ == "__main__":
    main()
