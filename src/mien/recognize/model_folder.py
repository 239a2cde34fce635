"""The files of a model folder: model.json (the card), model.safetensors (weights) and, where exported, model.onnx (the graph).

The graph refers to the weights by their place in model.safetensors. No pickle is ever read.
"""

import hashlib
from pathlib import Path

from mien.disk import require_regular, require_utf8_path
from mien.errors import MienError
from mien.recognize.bundled import BUNDLED
from mien.recognize.weights_file import WeightsFile, check_weights
from mien.wording import suggestion

WEIGHTS, CARD, GRAPH = "model.safetensors", "model.json", "model.onnx"
"""Names of the files in a model folder."""
RUN = "run.json"
"""The file that makes a folder a run's."""
MOST_CARD, MOST_WEIGHTS, MOST_GRAPH = 1 << 24, 1 << 32, 1 << 21
"""Most bytes of the card, the weights and the graph."""
LARGE = 256 << 20
"""A file of more bytes is checked against its hash before it is read into memory."""
FACES, LOGITS, FEATURES = "faces", "logits", "features"
"""Names of the graph's input, of its output, and of a second output that it may have: the last layer's inputs."""
NOTED = "card"
"""Under which name one ONNX file notes the card, whole."""


def model_folder(path: Path) -> Path:
    """The model folder at `path`, which may be a run's folder or a model's. Raises MienError where there is none."""
    require_utf8_path(path)
    if path.is_file():
        todo = "name the folder; an ONNX file that mien exported is for what only reads: predict, watch, serve, evaluate"
        raise MienError(f"the folder of a run or a model at {path}", "a file", todo)
    for folder in (path / "model", path):
        if (folder / CARD).is_file():
            return folder
    if (path / RUN).is_file():
        raise MienError(f"a finished run at {path}", "one that was interrupted", f"go on with it: mien resume {path}")
    raise MienError(
        f"a run or a model at {path}", f"no model.json{suggestion(path, BUNDLED)}", "train one with mien train, or check the path"
    )


def is_of_run(path: Path) -> bool:
    """Whether the model at `path` lies in a run's folder, or is the model of one of its stages."""
    folder = model_folder(path).absolute()
    return any((place / RUN).is_file() for place in (folder, *folder.parents[:2]))


def read_weights_file(path: Path, sha256: str) -> WeightsFile:
    """The weights of the model or run at `path`, whose card names this hash.

    Raises MienError where the file is missing, has another hash, or holds values that are not finite.
    """
    file = model_folder(path) / WEIGHTS
    return check_weights(_read_file(file, sha256, MOST_WEIGHTS), file)


def read_graph(path: Path, sha256: str) -> bytes | None:
    """The content of model.onnx, whose hash the card names; None where the card names none: the model was not exported then.

    Raises MienError where the file is missing or has another hash.
    """
    return _read_file(model_folder(path) / GRAPH, sha256, MOST_GRAPH) if sha256 else None


def require_size(file: Path, most: int) -> None:
    """Raises MienError where a model's file has more than `most` bytes."""
    if file.stat().st_size > most:
        raise MienError(f"a file of at most {most:,} bytes at {file}", f"{file.stat().st_size:,}", "take another model")


def _read_file(file: Path, sha256: str, most: int) -> bytes:
    if not file.is_file():
        raise MienError(f"a file of the model at {file}", "no such file", "train the model again, or copy its folder whole")
    require_size(file, most)
    if require_regular(file, "copy the model again") > LARGE:
        # A file of nothing but zeros takes no room on disk, and all of it in memory.
        with file.open("rb") as opened:
            _require_hash(file, hashlib.file_digest(opened, "sha256").hexdigest(), sha256)
    content = file.read_bytes()
    _require_hash(file, hashlib.sha256(content).hexdigest(), sha256)
    return content


def _require_hash(file: Path, found: str, sha256: str) -> None:
    if found != sha256:
        raise MienError(f"sha256 {sha256[:12]}… of {file}", f"{found[:12]}…", "it was changed: copy it again, or train it")
