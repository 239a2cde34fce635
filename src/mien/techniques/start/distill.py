"""FaceNet2ExpNet: a face-recognition network teaches the expression network's convolutions (FN2EN, Eq. 1-4, Fig. 2a)."""

import shutil
from typing import Any, Literal

import torch
from pydantic.dataclasses import dataclass
from torch import nn

from mien.data.faceset import FaceSet
from mien.data.views import Views
from mien.errors import MienError
from mien.models import Network
from mien.recipe import Recipe, Stage, recipe_names
from mien.recognize.features import Tap, tap, write_taps
from mien.registry import STRICT, CountOrZero, NotNegative, Positive, Share
from mien.training.imitation import Imitate, keep, match
from mien.training.parts import fit_part, part_is_done, part_recipe, portions
from mien.training.run import Run


@dataclass(frozen=True, config=STRICT)
class Distill:
    """Stage 0: fine-tune a face net on the labeled faces. Stage 1: regress its feature map, on unlabeled faces too.

    The recipe's stages are stage 2: layers above the regressed map start from N(0, `deviation`), then all learn from labels.

    Departures: any face net and any of its blocks (the paper: VGG-Face, pool5); unlabeled faces teach as well
    (`unlabeled = false`: labeled ones only); the paper's learning rate 1e-7 is Caffe's 1/(2N) sum, 1.25e-3 on the mean; faces
    and their mirror images instead of random crops, so that the teacher's maps are computed once per face and lie, in half
    precision, in parts/maps until stage 1 is over; the weights kept are the best on held-out faces, which need no label. Beyond
    the paper, the student may begin with the teacher's last layer (`head`).
    """

    teacher: str | dict[str, Any] = "face_finetune"
    """A recipe that fine-tunes the face net (stage 0); or a run, or a network with published weights, taken as it is."""
    settings: dict[str, Any] | None = None
    """What is changed in the teacher's recipe, by key."""
    block: str = "block9"
    """The teacher's block whose map is regressed."""
    grid: CountOrZero = 0
    """The teacher's map is averaged to grid x grid first; 0 for its own size, 1 for the vectors of Eq. 1-3."""
    student: str | None = None
    """The block that regresses it; unless said, the last one that has a map."""
    p: Positive = 2
    """Power of the difference in Eq. 4."""
    stages: tuple[Stage, ...] = (Stage(epochs=300, lr=1.25e-3, schedule="step", drops=(1 / 3,)),)
    """Epochs and learning rates of stage 1."""
    unlabeled: bool = True
    """Whether unlabeled faces are regressed too."""
    held_out: Share = 0.05
    """Share of these faces that measures the regression."""
    deviation: NotNegative = 0.01
    """Standard deviation of the weights above the regressed map; 0 leaves them as the network begins."""
    head: Literal["fresh", "teacher"] = "fresh"
    """`teacher` begins with the last layer of the teacher that a recipe fine-tuned, where the two have the same form."""
    keep_maps: bool = False
    """Whether parts/maps stays, for unlabeled = regression to keep the term in stage 2."""
    limit_gb: Positive = 8.0
    """The most that the teacher's maps may take on disk."""

    @property
    def draws_unlabeled(self) -> bool:
        """Whether this start looks at faces without labels."""
        return self.unlabeled

    def __call__(self, run: Run) -> None:
        """Leaves what was trained on the way in the run's parts/: teacher, distill."""
        source = self.face_net(run)
        channels, *size = source.network.shapes()[self.block]
        goal = (channels, *([self.grid, self.grid] if self.grid else size))
        student = self.convolutions(run, goal)
        rows = torch.cat([run.labeled, run.unlabeled]) if self.unlabeled else run.labeled
        parts = portions(rows, self.held_out, run.seed)
        recipe = part_recipe(run.recipe, self.stages, {"technique": "squared", "p": self.p})
        material = parts.material(run.material.faces)
        lesson = None if part_is_done(run, "distill") else Imitate.of(self.maps(run, source), parts, goal, run.device)
        fit_part(run, "distill", recipe, material, student, lesson)
        if self.head == "teacher":
            self.take_head(run.network, source.network)
        if self.keep_maps:
            name = list(student.blocks)[-1]
            keep(run.folder, name, run.network.shapes()[name], goal)
        else:
            shutil.rmtree(run.folder / "parts" / "maps", ignore_errors=True)

    def is_recipe(self) -> bool:
        """Whether the teacher is fine-tuned first."""
        return isinstance(self.teacher, str) and (self.teacher in recipe_names() or self.teacher.endswith(".toml"))

    def face_net(self, run: Run) -> Tap:
        """Stage 0: G of Eq. 3, fine-tuned where `teacher` is a recipe."""
        info = run.material.faces.info
        if self.is_recipe():
            recipe = Recipe.load(str(self.teacher)).with_settings(self.settings or {})
            network = fit_part(run, "teacher", recipe, run.material)
            return Tap(network, self.block, Views(info, recipe.normalize), f"{self.teacher}, fine-tuned, block {self.block}")
        return tap(self.teacher, self.block, info, run.seed, run.device)

    def convolutions(self, run: Run, goal: tuple[int, ...]) -> Network:
        """g of Eq. 4 and what matches its map to the teacher's; the run's own modules, those above them drawn afresh."""
        shapes = run.network.shapes()
        name = self.student or [block for block, shape in shapes.items() if len(shape) == 3][-1]
        if len(shapes.get(name, ())) != 3:
            maps = ", ".join(block for block, shape in shapes.items() if len(shape) == 3)
            raise MienError(f"a block of the network with a map, among {maps}", repr(name), "set start.student")
        names = list(run.network.blocks)
        above = names[names.index(name) + 1 :]
        with torch.random.fork_rng([]):
            torch.manual_seed(run.seed)
            if self.deviation:
                for module in (*(run.network.blocks[block] for block in above), run.network.head):
                    start_small(module, self.deviation)
            matching = match(shapes[name], goal)
        return Network({block: run.network.blocks[block] for block in names if block not in above}, matching, run.network.shape)

    def maps(self, run: Run, source: Tap) -> FaceSet:
        """G(I) of every face and its mirror image, float16 (N, 2, C H W), computed once."""
        folder = run.folder / "parts" / "maps"
        if not folder.is_dir():
            for left_over in folder.parent.glob(".maps*"):
                shutil.rmtree(left_over)  # Written when the run was killed.
            write_taps(source, run.material.faces, folder, 2, self.grid, run.seed, run.device, run.progress, self.limit_gb)
        return FaceSet.open(folder)

    def take_head(self, student: Network, teacher: Network) -> None:
        """The teacher's last layer on the student's map: what it learned from the labels is not learned anew."""
        mine, theirs = student.head.state_dict(), teacher.head.state_dict()
        if not self.is_recipe() or {k: v.shape for k, v in mine.items()} != {k: v.shape for k, v in theirs.items()}:
            found = "another form" if self.is_recipe() else f"teacher = {self.teacher}"
            raise MienError("a fine-tuned teacher whose last layer has the network's form", found, "set start.head = fresh")
        student.head.load_state_dict(theirs)


def start_small(module: nn.Module, deviation: float) -> None:
    """Weights from N(0, deviation), biases 0."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d):
            nn.init.normal_(layer.weight, 0.0, deviation)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
