"""Any face-recognition network from an ONNX file, as a teacher whose weights stay as they are."""

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import torch
from pydantic import BeforeValidator
from pydantic.dataclasses import dataclass
from torch import Tensor, nn
from typing_extensions import override

from mien.errors import MienError
from mien.models import Architecture, FacePixels, Network, pooled_head, require_side
from mien.onnx_file import first_line, open_session, read_model, serialize, thread_count
from mien.settings import STRICT, Finite, PixelsOrZero, Positive, Share


@dataclass(frozen=True, config=STRICT)
class OnnxFacenet(Architecture):
    """A network of one block, `map`, which onnxruntime computes on the CPU up to the named output, and a head that learns.

    The defaults are those of InsightFace's networks: 127.5 / 127.5, RGB. The file's input is (B, 3, S, S), or (B, S, S, 3).
    """

    takes_gray_values: ClassVar[bool] = True
    path: Path
    """The ONNX file."""
    output: Annotated[str, BeforeValidator(lambda given: str(given) if type(given) is int else given)] = ""
    """Name of the feature map: an output, or any value inside; the first output where it is empty.

    Many files number their values: 427 stands for "427".
    """
    mean: tuple[Finite, Finite, Finite] = (127.5, 127.5, 127.5)
    """Values that are subtracted from red, green and blue, 0 to 255."""
    divisor: Positive = 127.5
    """Divisor of the values after the subtraction."""
    order: Literal["rgb", "bgr"] = "rgb"
    """Order of the color channels that the file takes."""
    side: PixelsOrZero = 0
    """Side to which faces are resized; 0 for the one that the file states."""
    sha256: str = ""
    """sha256 of the file in hexadecimal: another file is refused. Empty: any file is taken. Files beside it are not checked."""
    dropout: Share = 0.0
    """Share of the features before the last layer that training leaves out, where the output is a map."""

    @override
    def build(self, classes: int, channels: int, side: int) -> Network:
        """The network. Raises MienError where the file, its input or its output is not as it has to be."""
        require_side("onnx_facenet", side, 16)
        inner = OnnxMap(self.path, self.output, self.order == "bgr", self.sha256, self.side)
        shown = self.side or inner.side
        if not shown:
            raise MienError(
                f"a side of faces stated in {self.path}",
                "none: it takes any side",
                "set model.side to the side that it was trained on",
            )
        if inner.side not in (0, shown):
            raise MienError(f"model.side {inner.side}, which {self.path} states", f"{shown}", "leave model.side out")
        block = nn.Sequential(FacePixels(shown, self.mean, self.divisor), inner)
        shape = block(torch.zeros(1, channels, side, side)).shape[1:]
        if len(shape) not in (1, 3):
            raise MienError(
                "an output (B, D) or (B, C, S, S)", f"{len(shape) + 1} dimensions", f"set model.output: {inner.known}"
            )
        head = nn.Linear(shape[0], classes) if len(shape) == 1 else pooled_head(shape[0], classes, self.dropout)
        return Network({"map": block}, head, (channels, side, side))


class OnnxMap(nn.Module):
    """Computes the values called `output` of an ONNX file for pictures (B, 3, S, S). The file is read once; copies run apart."""

    def __init__(self, path: Path, output: str, flips: bool, sha256: str = "", side: int = 0) -> None:
        super().__init__()
        self.flips = flips
        model, found = read_model(path, sha256)
        self.file = f"{path.name}, sha256 {found[:12]}"
        self._choose(model, output, path)
        _leave_needed(model.graph, self.output)
        given = {entry.name for entry in (*model.graph.initializer, *(one.values for one in model.graph.sparse_initializer))}
        inputs = [entry for entry in model.graph.input if entry.name not in given]
        sizes = [entry.dim_value for entry in inputs[0].type.tensor_type.shape.dim] if len(inputs) == 1 else []
        last = len(sizes) == 4 and sizes[1] != 3
        square = len(sizes) == 4 and (sizes[1] == sizes[2] if last else sizes[2] == sizes[3])
        if not square or 3 not in (sizes[1], sizes[3]) or sizes[0] > 1:
            found = f"{len(inputs)} inputs" if len(inputs) != 1 else f"{sizes} (0: free)"
            raise MienError(f"one input (B or 1, 3, S, S) or (B or 1, S, S, 3) in {path}", found, "take another file")
        self.name, self.single, self.last = inputs[0].name, sizes[0] == 1, last
        self.side = sizes[2]
        if shown := self.side or side:
            from mien.onnx_check import Refusal, require_feed_forward

            refuse = Refusal(path, "set model.path to a network of layers alone")
            require_feed_forward(model, {self.name: (1, shown, shown, 3) if last else (1, 3, shown, shown)}, refuse)
        self.content = serialize(model, path)
        self.session: Any = None

    def _choose(self, model: Any, output: str, path: Path) -> None:
        """Make `output` the model's only output, so that nothing above it is computed."""
        self.known = ", ".join(entry.name for entry in model.graph.output)
        inside = {name for node in model.graph.node for name in node.output if name}
        self.output = output or model.graph.output[0].name
        if self.output not in inside:
            raise MienError(f"an output of {path} ({self.known}) or a value inside", repr(output), "set model.output")
        entries = [entry for entry in (*model.graph.output, *model.graph.value_info) if entry.name == self.output]
        wanted = entries[0] if entries else type(model.graph.output[0])(name=self.output)
        copied = type(wanted).FromString(wanted.SerializeToString())
        del model.graph.output[:]
        model.graph.output.append(copied)

    def __getstate__(self) -> dict[str, Any]:
        # onnxruntime's session cannot be copied; a copy opens its own.
        return self.__dict__ | {"session": None}

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        """Pictures (B, 3, S, S) to features (B, C', S', S') or (B, D'), float32."""
        self.session = self.session or open_session(self.content, thread_count())
        shown = (x.flip(1) if self.flips else x).float().cpu()
        shown = shown.permute(0, 2, 3, 1) if self.last else shown
        parts = shown.split(1) if self.single else (shown,)
        try:
            made = [self.session.run([self.output], {self.name: part.contiguous().numpy()})[0] for part in parts]
        except Exception as error:  # onnxruntime's own kinds are not public
            raise MienError(
                f"an ONNX file that takes {tuple(parts[0].shape)}",
                first_line(error),
                "set model.side, or take another file",
            ) from error
        if not all(len(array) == len(part) and np.isfinite(array).all() for array, part in zip(made, parts, strict=True)):
            raise MienError(f"numbers for each of {len(shown)} faces", "others, nan or infinite ones", "take another file")
        out = torch.cat([torch.from_numpy(array) for array in made]).to(x.device)
        return out.permute(0, 3, 1, 2).contiguous() if self.last and out.ndim == 4 else out


def _leave_needed(graph: Any, output: str) -> None:
    """Take away the nodes that `output` does not depend on, and the inputs that no remaining node reads.

    Files hold such nodes from training, or for other outputs. onnxruntime wants a value for every input, read or not.
    """
    makers = {name: number for number, node in enumerate(graph.node) for name in node.output if name}
    wanted, needed, due = {output}, set[int](), [output]
    while due:
        number = makers.get(due.pop())
        if number is not None and number not in needed:
            needed.add(number)
            read = set(graph.node[number].input) - wanted
            wanted |= read
            due += read
    nodes = [node for number, node in enumerate(graph.node) if number in needed]
    inputs = [entry for entry in graph.input if entry.name in wanted]
    for entries, kept in ((graph.node, nodes), (graph.input, inputs)):
        if len(kept) < len(entries):
            del entries[:]
            entries.extend(kept)
