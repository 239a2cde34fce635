"""What a network says of faces and of their neighbors, and scores of that: S (SNA, Eq. 10), and the label's loss."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from mien.data.augment import normalize
from mien.data.views import Views
from mien.errors import MienError
from mien.models import Network
from mien.neighbors.divergence import divergence
from mien.neighbors.kinds import Fitted
from mien.recognize.device import channels_last, sum_dtype

See = Callable[[Tensor], Tensor]
"""Gives the logits (B, K) of inputs (B, ...)."""


@dataclass(frozen=True)
class Drawn:
    """Faces and their neighbors, drawn, that no network has looked at yet."""

    inputs: Tensor
    """Inputs (B, ...) of what neighbors are compared with."""
    near: Tensor | None
    """Near faces (D, B, C, S, S) in [0, 1], or inputs (D, B, F) of cached features; None where they lie among features."""
    move: Callable[[Tensor], Tensor] | None
    """Gives near features (D, B, ...) of features (B, ...), always the same ones; None where neighbors are faces."""
    views: Views
    """Makes the network's inputs of faces."""


def draw_neighbors(fitted: Fitted, views: Views, rows: Tensor, faces: Tensor, draws: int, generator: Generator) -> Drawn:
    """Draw `draws` neighbors of each of the stored faces (B, ...), whose rows (B,) are those that `fitted` knows.

    `views` makes the network's inputs of faces. Kinds that do not vary are drawn once.
    """
    count, clean = draws if fitted.varies else 1, views.clean(faces)
    if fitted.among == "features":
        # How many numbers there are is known when the network has looked; drawn again, they have to be the same.
        seed = int(torch.randint(2**62, (), generator=generator, device=generator.device))

        def move(features: Tensor) -> Tensor:
            generator = Generator(features.device).manual_seed(seed)
            return _require_near(fitted, fitted.near(rows, features, count, generator), count, features)

        return Drawn(clean, None, move, views)
    itself = fitted.itself(faces)
    base = clean if itself is None else as_inputs(views, itself)
    return Drawn(base, _require_near(fitted, fitted.near(rows, faces, count, generator), count, clean), None, views)


def _require_near(fitted: Fitted, made: Tensor, count: int, given: Tensor) -> Tensor:
    """The `count` neighbors (D, B, ...) of what was given (B, ...). Raises MienError where a kind made another shape."""
    wanted = (count, *given.shape)
    if not isinstance(made, Tensor) or tuple(made.shape) != wanted or not made.is_floating_point():
        name = type(fitted).__name__
        found = f"a {str(made.dtype).removeprefix('torch.')} one {tuple(made.shape)}" if isinstance(made, Tensor) else f"{made!r}"
        raise MienError(f"a tensor {wanted} of floats from {name}.near", found, f"mend {type(fitted).__module__}:{name}")
    return made


def alone(views: Views, faces: Tensor) -> Drawn:
    """Stored faces (B, ...) without any neighbor."""
    clean = views.clean(faces)
    return Drawn(clean, clean.new_zeros(0, *clean.shape), None, views)


def as_inputs(views: Views, near: Tensor) -> Tensor:
    """A network's inputs (B, C, S, S) of faces in [0, 1]; inputs (B, F) of cached features are inputs already."""
    return channels_last(near if views.info.kind == "features" else normalize(near, views.normalization))


def look(network: Network, drawn: Drawn, see: See | None = None, apart: bool = False) -> tuple[Tensor, Tensor]:
    """Logits of faces (B, K) and of their D neighbors (D, B, K), float32.

    `see`: how inputs are looked at, unless by the network's own forward pass; of near features the network's last layers see.
    `apart`: faces and each draw of neighbors go through the network one after the other, else all at once.
    """
    if drawn.move is not None:
        found = network.last_features(channels_last(drawn.inputs))
        near = drawn.move(found)
        return network.decide(found).float(), torch.stack([network.decide(one) for one in near]).float()
    assert drawn.near is not None, "neighbors are faces or features"
    look_at, inputs = see or network, [drawn.inputs, *(as_inputs(drawn.views, one) for one in drawn.near)]
    given = inputs if apart else [torch.cat(inputs)]
    logits = torch.cat([look_at(channels_last(one)).float() for one in given])
    own, *beside = logits.chunk(len(inputs))
    return own, torch.stack(beside) if beside else own.new_zeros(0, *own.shape)


def stability(own: Tensor, near: Tensor) -> Tensor:
    """S (B,) of Eq. 10, in nats: the mean divergence between logits of faces (B, K) and of D neighbors (D, B, K)."""
    return torch.stack([divergence(own, one) for one in near]).mean(dim=0)


def label_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Minus log p of labels (B,), in nats: the mean over D predictions by their logits (D, B, K)."""
    likely = logits.to(sum_dtype(logits.device)).log_softmax(dim=2)
    return torch.stack([F.nll_loss(one, labels, reduction="none") for one in likely]).mean(dim=0).float()
