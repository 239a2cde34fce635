"""FaceNet2ExpNet: a face-recognition network teaches the expression network's convolutions (FN2EN, Eq. 1-4, Fig. 2a)."""

import shutil
from dataclasses import replace
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from typing_extensions import override

from mien.data.faceset import FaceSet
from mien.data.views import Views
from mien.errors import MienError
from mien.pretraining.distillation import Imitate, same_form, student_network, write_imitation
from mien.pretraining.pretrain import is_pretrained, portions, pretrain, pretraining_recipe
from mien.pretraining.soft_targets import has_logits, require_logits, write_logits
from mien.recipes.recipe import Recipe, Stage
from mien.recipes.recipe_files import recipe_names
from mien.recognize.features import Tap, note_tapped, tap, write_taps
from mien.recognize.saved_networks import build_network
from mien.settings import STRICT, NotNegative, Positive, Share
from mien.training.questions import Start
from mien.training.run import Run
from mien.wording import with_suggestion


@dataclass(frozen=True, config=STRICT)
class Distill(Start):
    """Stage 0: fine-tune a face net on the labeled faces. Stage 1: regress its feature map, on unlabeled faces too. The
    recipe's stages are stage 2: layers above the regressed map start from N(0, `deviation`), then all learn from labels.

    Departures: any face net and any of its blocks (the paper: VGG-Face, pool5); unlabeled faces teach as well
    (`unlabeled = false`: labeled ones only); the paper's learning rate 1e-7 is Caffe's 1/(2N) sum, 1e-7 M/2 on the mean over a
    map of M numbers: 4.1e-4 for the default block's 8,192, 1.25e-3 for pool5's 25,088; faces and their mirror images instead of
    random crops, whose maps by the teacher are computed once and lie in parts/maps until stage 1 is over; the weights kept are
    the best on held-out faces. Beyond the paper: `head`, and `keep_logits`, for targets and unlabeled = soft_targets.
    """

    teacher: str | dict[str, Any] = "face_finetune"
    """A recipe that fine-tunes the face net (stage 0); or a run, or a network with published weights, taken as it is."""
    settings: dict[str, Any] | None = None
    """What is changed in the teacher's recipe, by key."""
    block: str = "block9"
    """The teacher's block whose map is regressed."""
    grid: Annotated[int, Field(ge=0, le=4096)] = 0
    """The teacher's map is averaged to grid x grid first; 0 for its own size, 1 for the vectors of Eq. 1-3."""
    student: str | None = None
    """The block that regresses it; unless said, the last one that has a map."""
    p: Annotated[float, Field(gt=0, le=100, allow_inf_nan=False)] = 2
    """Power of the difference in Eq. 4."""
    stages: tuple[Stage, ...] = (Stage(epochs=300, lr=4.1e-4, schedule="step", drops=(1 / 3,)),)
    """Epochs and learning rates of stage 1. Its history has R2 of the map on held-out faces, `validation_r2`: 1 is the best."""
    unlabeled: bool = True
    """Whether unlabeled faces are regressed too."""
    held_out: Share = 0.05
    """Share of these faces that measures the regression."""
    deviation: NotNegative = 0.01
    """Standard deviation of the weights above the regressed map; 0 leaves them as the network begins."""
    head: Literal["fresh", "teacher"] = "fresh"
    """`teacher` begins with the teacher's last layer, where that was trained on the run's classes and has the network's form."""
    keep_maps: bool = False
    """Whether parts/maps stays, for unlabeled = regression to keep the term in stage 2."""
    keep_logits: bool = False
    """Whether the teacher's logits of every face are kept, for targets and unlabeled = soft_targets."""
    limit_gb: Positive = 8.0
    """The most that the teacher's maps may take on disk."""

    @property
    @override
    def draws_unlabeled(self) -> bool:
        """Whether this start looks at faces without labels."""
        return self.unlabeled

    @override
    def without_unlabeled(self) -> "Distill":
        """Labeled faces alone are regressed, and a teacher's recipe is its control."""
        return replace(self, unlabeled=False, settings={**(self.settings or {}), "control": True})

    @override
    def __call__(self, run: Run) -> None:
        """Train teacher and student in the run's parts/teacher and parts/distill. Raises MienError for what does not fit."""
        goal = self.goal(run)
        student = student_network(run.network, self.student, goal, self.deviation, run.seed)
        source = self.face_net(run)
        rows = torch.cat([run.labeled, run.unlabeled]) if self.unlabeled else run.labeled
        parts = portions(rows, self.held_out, run.seed)
        recipe = pretraining_recipe(run, self.stages, {"technique": "squared", "p": self.p}, self.held_out)
        objective = None if is_pretrained(run, "distill") else Imitate.of(self.maps(run, source), parts, goal, run.device)
        pretrain(run, "distill", recipe, parts.data(run.data.faces), student, objective)
        if self.keep_logits and not has_logits(run):
            write_logits(run, source, self.maps(run, source))
        if self.head == "teacher":
            run.network.head.load_state_dict(source.network.head.state_dict())
        if self.keep_maps:
            write_imitation(run.folder, name := list(student.blocks)[-1], run.network.shapes()[name], goal, self.p)
        else:
            shutil.rmtree(run.folder / "parts" / "maps", ignore_errors=True)

    def goal(self, run: Run) -> tuple[int, int, int]:
        """The shape (C, H, W) of what is regressed. All that would be refused later is refused here, before hours of training."""
        info, recipe = run.data.faces.info, self.recipe()
        if recipe is None:
            taken = self.face_net(run)
            built, knows = taken.network, taken.classes == run.data.faces.classes
        else:
            built, knows = build_network(recipe.model, run.classes, info), True
        shapes = built.shapes()
        if self.block not in shapes:
            raise MienError(f"start.block among {', '.join(shapes)}", with_suggestion(self.block, shapes), "choose one of those")
        channels, *whole = (*shapes[self.block], 1, 1)[:3]
        height, width = (self.grid, self.grid) if self.grid else whole
        gigabytes = len(run.labels) * 2 * channels * height * width * 2 / 1e9
        if gigabytes > self.limit_gb:
            raise MienError(
                f"maps of at most {self.limit_gb:g} GB", f"{gigabytes:.3g} GB", "set start.grid, or raise start.limit_gb"
            )
        if self.head == "teacher" and not (knows and same_form(built.head, run.network.head)):
            found = "another form" if knows else f"teacher = {self.teacher}"
            raise MienError("a fine-tuned teacher whose last layer has the network's form", found, "set start.head to fresh")
        if self.keep_logits:
            require_logits(str(self.teacher), knows, self.block, list(shapes)[-1], self.grid)
        return channels, height, width

    def recipe(self) -> Recipe | None:
        """The recipe by which the teacher is fine-tuned; None where it is taken as it is."""
        named = isinstance(self.teacher, str) and (self.teacher in recipe_names() or self.teacher.endswith(".toml"))
        return Recipe.load(str(self.teacher)).with_settings(self.settings or {}) if named else None

    def face_net(self, run: Run) -> Tap:
        """Stage 0: G of Eq. 3, fine-tuned where `teacher` is a recipe."""
        info, recipe = run.data.faces.info, self.recipe()
        if recipe is not None:
            network = pretrain(run, "teacher", recipe, run.data)
            return Tap(network, self.block, Views(info, recipe.normalize), f"{self.teacher}, fine-tuned, block {self.block}")
        note_tapped(run.folder, self.teacher)
        return tap(self.teacher, self.block, info, run.seed, run.device)

    def maps(self, run: Run, source: Tap) -> FaceSet:
        """G(I) of every face and its mirror image, float16 (N, 2, C H W), computed once."""
        folder = run.folder / "parts" / "maps"
        if not folder.is_dir():
            for left_over in folder.parent.glob(".maps*"):
                shutil.rmtree(left_over)  # Written when the run was killed.
            write_taps(source, run.data.faces, folder, 2, self.grid, run.seed, run.device, run.progress, self.limit_gb)
        return FaceSet.open(folder)
