"""Reads one ONNX file that mien exported, with float32 or eight bits: the card that it notes, and the network."""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

from mien.disk import read_bytes
from mien.errors import MienError
from mien.installed import require_package
from mien.json_toml import parse_json
from mien.onnx_file import LIMIT
from mien.recognize.model_card import ModelCard, card_from
from mien.recognize.model_folder import NOTED

AGAIN = "export the model again, by mien export --one-file or --int8, or name its folder"
"""What to do about a file that cannot be read."""


@dataclass(frozen=True)
class OneFile:
    """A model that was read from one file."""

    card: ModelCard
    """The card; for its hashes it has the file's."""
    graph: bytes
    """The network, which was checked and may be run."""
    batch: int
    """Most faces in a batch."""


def read_one_file(file: Path) -> OneFile:
    """The model in an ONNX file that mien exported.

    Raises MienError for another file, for one from before the card was noted in it, and for a graph that mien would not write.
    """
    require_package("onnx")
    from google.protobuf.message import DecodeError
    from onnx import ModelProto

    from mien.onnx_check import Refusal
    from mien.recognize.onnx_graph_check import check_one_file

    content, model = read_bytes(file, AGAIN, LIMIT - 1), ModelProto()
    try:
        model.ParseFromString(content)
    except DecodeError as error:
        raise MienError(f"a run, a model folder or an ONNX file at {file}", "another file", AGAIN) from error
    noted = [entry.value for entry in model.metadata_props if entry.key == NOTED]
    if len(noted) != 1:
        raise MienError(f"an ONNX file in which mien noted the model's card at {file}", "one without", AGAIN)
    values = parse_json(noted[0].encode(), str(file), AGAIN)
    if not isinstance(values, dict):
        raise MienError(f"a card in {file}", type(values).__name__, AGAIN)
    sha256 = hashlib.sha256(content).hexdigest()
    card = replace(card_from(values, file), weights=sha256, graph=sha256)
    checked = check_one_file(model, card, Refusal(file, AGAIN))
    return OneFile(card, checked.content, checked.batch)
