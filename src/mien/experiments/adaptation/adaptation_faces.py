"""The faces that a model is adapted to, as its last layer sees them."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Generator, Tensor, nn

from mien.data.face_groups import validation_groups
from mien.data.faceset import FaceSet
from mien.data.format import Rows
from mien.data.splits import training_rows
from mien.data.views import Views
from mien.errors import MienError
from mien.experiments.adaptation.class_shares import class_prior
from mien.models import Network
from mien.progress import Progress
from mien.recognize.recognizer import Recognizer

FOLDS = 5
"""Parts of the faces: the last layer is fitted to all but one and tried on that one, in turn."""
LEAST = 5
"""Least faces of a new class, one for each part, and of a known class that is judged."""


@dataclass(frozen=True, eq=False)
class AdaptationFaces:
    """N labeled faces as the model's last layer sees them."""

    views: Tensor
    """(V, N, D), float64: the last layer's inputs for V views of each face; the first view is the face as it is."""
    labels: Tensor
    """(N,) labels as indices into `classes`."""
    classes: tuple[str, ...]
    """The classes that the model knows, then the new ones."""
    groups: Tensor
    """(N,) a number for the person or the video that each face is of."""
    folds: Tensor
    """(N,) the part, 0 to FOLDS - 1, that each face is in."""
    rows: Tensor
    """(K, D + 1), float64: the last layer's rows of the known classes, the bias last."""
    prior: Tensor
    """(K,) logarithm of how much more frequent each known class is here than among the model's training faces."""

    @property
    def known(self) -> int:
        """Number of classes that the model knows."""
        return len(self.rows)

    @property
    def weights(self) -> Tensor:
        """Two weights for each face, (2, N).

        By the first, known classes are as frequent as among the model's training faces, and faces of new classes count 1. By the
        second, all classes are equally frequent.
        """
        prior = torch.cat([self.prior, torch.zeros(len(self.classes) - self.known)])
        return torch.stack([(-prior[self.labels]).exp(), 1 / self.counts[self.labels]])

    @property
    def counts(self) -> Tensor:
        """(K',) number of faces of each class, known and new."""
        return torch.bincount(self.labels, minlength=len(self.classes)).double()

    @property
    def seen(self) -> Tensor:
        """(K',) whether each class has enough faces to be judged."""
        return self.counts >= LEAST

    @property
    def logits(self) -> Tensor:
        """(V, N, K) the model's own logits of the known classes."""
        return self.views @ self.rows[:, :-1].T + self.rows[:, -1]


VIEWS = 6
"""Random weak views of each face, beside the face itself and its mirror image."""


CHUNK = 512
"""Faces that go through the network at a time."""


def see_faces(recognizer: Recognizer, faces: FaceSet, seed: int, progress: Progress) -> AdaptationFaces:
    """Take the labeled training faces of a set through the model up to its last layer; `seed` draws views and parts.

    Raises MienError where the network's head does not end in a linear layer.
    """
    rows = training_rows(faces)
    rows = rows[faces.labels[rows] >= 0]
    mine = faces.select(rows)
    present = [faces.classes[label] for label in np.unique(mine.labels)]
    classes = (*recognizer.classes, *(name for name in present if name not in recognizer.classes))
    place = np.array([classes.index(name) if name in classes else -1 for name in faces.classes], np.int64)
    labels = place[mine.labels]
    groups = validation_groups(mine)
    of = np.arange(len(mine)) if groups is None else groups.of
    folds = deal_parts(labels, of, seed)
    last = linear_head(recognizer.network)
    own = torch.cat([last.weight, last.bias[:, None]], dim=1).detach().cpu().double()
    views = _features(recognizer, mine, seed, progress) if len(mine) else torch.zeros(1, 0, own.shape[1] - 1)
    whose, parts = torch.from_numpy(of), torch.from_numpy(folds)
    return AdaptationFaces(views, torch.from_numpy(labels), classes, whose, parts, own, class_prior(labels, recognizer.card))


def linear_head(network: Network) -> nn.Linear:
    """The linear layer that the network's head ends in. Raises MienError where the head is not a sequence that ends in one."""
    last = network.head[-1] if isinstance(network.head, nn.Sequential) else None
    if not isinstance(last, nn.Linear) or last.bias is None:
        raise MienError("a network whose head ends in one linear layer", "another head", "take a model of mien_s or resnet18")
    return last


@torch.inference_mode()
def _features(recognizer: Recognizer, faces: FaceSet, seed: int, progress: Progress) -> Tensor:
    """The last layer's inputs, (V, N, D) float64, for each face, its mirror image, and weak views."""
    network, device = recognizer.network.eval(), recognizer.device
    assert isinstance(network.head, nn.Sequential)
    views, generator = Views(faces.info, recognizer.card.normalize), Generator(device).manual_seed(seed)
    made = []
    progress.begin("looking at the faces", len(faces))
    for first in range(0, len(faces), CHUNK):
        pixels = torch.from_numpy(faces.faces(np.arange(first, min(first + CHUNK, len(faces))))).to(device)
        shown = [views.clean(pixels), views.mirror(pixels), *(views.view(pixels, "weak", generator) for _ in range(VIEWS))]
        parts = [network.head[:-1](network.features(inputs, list(network.blocks)[-1])) for inputs in shown]
        made.append(torch.stack(parts).cpu().double())
        progress.advance(len(pixels))
    return torch.cat(made, dim=1)


def deal_parts(labels: Rows, groups: Rows, seed: int) -> Rows:
    """The part of each face, (N,): a group's faces go into one part, and each class is dealt out over the parts, the rarest
    first."""
    generator = np.random.default_rng(seed)
    _, group = np.unique(groups, return_inverse=True)
    counts = np.bincount(labels)
    # A group goes by the rarest class that it shows.
    rarest = np.full(group.max(initial=-1) + 1, labels.max(initial=0))
    by_count = np.argsort(np.argsort(counts, kind="stable"), kind="stable")
    np.minimum.at(rarest, group, by_count[labels])
    order = np.lexsort((generator.permutation(len(rarest)), rarest))
    part = np.empty(len(rarest), np.int64)
    part[order] = np.arange(len(rarest)) % FOLDS
    return part[group]
