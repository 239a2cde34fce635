"""Techniques of somebody's own that give back something else than their protocol says: a sentence names them."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor

from conftest import bright_faces, small_recipe
from mien import MienError, TrainingSettings, train
from mien.techniques import Draw, Loss, Start, Step, Targets, Unlabeled, Weigh
from mien.techniques.loss.cross_entropy import CrossEntropy


class Own:
    """Gives back what the test says."""

    made: ClassVar[Callable[..., Any]]

    def __call__(self, *given: Any) -> Any:
        return Own.made(*given)


@dataclass(frozen=True)
class OwnStart(Own, Start):
    """A start."""


@dataclass(frozen=True)
class OwnDraw(Own, Draw):
    """A draw, of unlabeled faces, too."""

    draws_unlabeled: ClassVar[bool] = True


@dataclass(frozen=True)
class OwnTargets(Own, Targets):
    """Targets."""


@dataclass(frozen=True)
class OwnWeigh(Own, Weigh):
    """Weights."""


@dataclass(frozen=True)
class OwnLoss(Own, Loss):
    """A loss."""


@dataclass(frozen=True)
class OwnUnlabeled(Own, Unlabeled):
    """A technique for unlabeled faces."""


@dataclass(frozen=True)
class OwnStep(Own, Step):
    """A step."""


@dataclass(frozen=True)
class Stranger:
    """A technique that subclasses nothing."""

    def __call__(self, run: Any) -> Tensor:
        return torch.ones(len(run.labels))


@dataclass(frozen=True)
class OfBatch(Weigh):
    """Weighs every batch as the test says."""

    made: ClassVar[Callable[..., Any]]

    def __call__(self, run: Any) -> Tensor:
        return torch.ones(len(run.labels))

    def of_batch(self, run: Any, batch: Any) -> Any:
        return OfBatch.made()


@dataclass(frozen=True)
class Displayed(CrossEntropy):
    """Shows what the test says."""

    made: ClassVar[Callable[..., Any]]

    def displayed(self, output: Tensor, target: Tensor) -> Any:
        return Displayed.made()


def _to_double(run: Any) -> None:
    run.network.double()


def _to_nan(run: Any) -> None:
    with torch.no_grad():
        next(run.network.parameters()).fill_(torch.nan)


WRONG: dict[str, list[tuple[Callable[..., Any], str]]] = {
    "start": [
        (lambda run: run.network.state_dict(), "a OrderedDict"),
        (_to_double, "of float64 on cpu"),
        (_to_nan, "some in "),
        (lambda run: run.network.to("meta") and None, "on meta"),
    ],
    "draw": [
        (lambda run: None, "None"),
        (lambda run: 1.0, "a float"),
        (lambda run: [], "an empty list"),
        (lambda run: run.labeled, "a tensor .* of int64 on cpu"),
        (lambda run: [[0, 1]], "a list"),
        (lambda run: [run.labeled.float()], "of float32 on cpu"),
        (lambda run: [run.labeled.reshape(2, -1)], "of int64 on cpu"),
        (lambda run: [run.labeled[:0]], "a batch without rows"),
        (lambda run: [run.labeled + 10**6], "rows from 1000000"),
        (lambda run: [run.labeled.to("meta")], "on meta"),
    ],
    "targets": [
        (lambda run: None, "None"),
        (lambda run: 0.5, "a float"),
        (lambda run: run.labels, "of int64 on cpu"),
        (lambda run: run.one_hot().long(), "of int64 on cpu"),
        (lambda run: run.one_hot()[:, :1], "of float32 on cpu"),
        (lambda run: run.one_hot() * torch.nan, "some that are"),
        (lambda run: -run.one_hot(), "-1"),
        (lambda run: run.one_hot().to("meta"), "on meta"),
        (lambda run: run.one_hot().numpy(), "a ndarray"),
    ],
    "weigh": [
        (lambda run: None, "None"),
        (lambda run: 1.0, "a float"),
        (lambda run: torch.tensor(1.0), r"a tensor \(\) of float32"),
        (lambda run: torch.ones(3), r"a tensor \(3,\) of float32"),
        (lambda run: run.labels >= 0, "of bool on cpu"),
        (lambda run: run.weights / 0, "some that are"),
        (lambda run: -run.weights, "-1"),
        (lambda run: run.weights.to("meta"), "on meta"),
    ],
    "loss": [
        (lambda output, target: None, "None"),
        (lambda output, target: 0.5, "a float"),
        (lambda output, target: output.sum(), r"a tensor \(\) of float32"),
        (lambda output, target: output - target, "of float32 on cpu"),
        (lambda output, target: output.argmax(dim=1), "of int64 on cpu"),
        (lambda output, target: output.detach().sum(dim=1), "one without"),
    ],
    "unlabeled": [
        (lambda run, batch: 0.5, "a float"),
        (lambda run, batch: torch.tensor(0.5), r"a tensor \(\) of float32"),
        (lambda run, batch: lambda: None, "None"),
        (lambda run, batch: lambda: 0.5, "a float"),
        (lambda run, batch: lambda: torch.ones(3), r"a tensor \(3,\) of float32"),
    ],
    "step": [
        (lambda run, labeled, unlabeled: labeled(), r"a tensor \(\) of float32"),
        (lambda *given: 1.0, "a float"),
        (lambda *given: None, "none in an epoch"),
    ],
}
CASES = [(question, made, found) for question, wrong in WRONG.items() for made, found in wrong]


@pytest.mark.parametrize(("question", "made", "found"), CASES)
def test_what_is_wrong_is_said_and_names_the_technique(
    question: str, made: Callable[..., Any], found: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Own, "made", staticmethod(made), raising=False)
    name = f"{__name__}:Own{question.capitalize()}"
    recipe = small_recipe(unlabeled="conftest:Agree").with_settings({question: {"technique": name}})
    with pytest.raises(MienError, match=rf" from {question} = {re.escape(name)}; found .*{found}"):
        train(bright_faces(), recipe, tmp_path / "run", TrainingSettings(labels=60, threads=1, device="cpu"))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("made", [lambda: 1.0, lambda: lambda: 1.0, lambda: lambda: torch.ones(1), lambda: lambda: None])
def test_weights_of_a_batch(made: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OfBatch, "made", staticmethod(made), raising=False)
    with pytest.raises(MienError, match=rf" from weigh = {re.escape(__name__)}:OfBatch"):
        train(
            bright_faces(), small_recipe(weigh=f"{__name__}:OfBatch"), tmp_path / "run", TrainingSettings(threads=1, device="cpu")
        )


def test_a_loss_that_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Displayed, "made", staticmethod(lambda: 1.0), raising=False)
    with pytest.raises(MienError, match=rf" from loss = {re.escape(__name__)}:Displayed; found a float"):
        train(
            bright_faces(),
            small_recipe(loss=f"{__name__}:Displayed"),
            tmp_path / "run",
            TrainingSettings(threads=1, device="cpu"),
        )


def test_a_loss_that_is_no_number_may_be_that_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Own, "made", staticmethod(lambda output, target: output.sum(dim=1) * torch.nan), raising=False)
    with pytest.raises(MienError, match=rf"a finite loss; .* or look at {re.escape(__name__)}:OwnLoss"):
        train(
            bright_faces(), small_recipe(loss=f"{__name__}:OwnLoss"), tmp_path / "run", TrainingSettings(threads=1, device="cpu")
        )


def test_halves_and_doubles_are_numbers_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Own, "made", staticmethod(lambda run: run.one_hot().double()), raising=False)
    made = train(
        bright_faces(),
        small_recipe(targets=f"{__name__}:OwnTargets"),
        tmp_path / "run",
        TrainingSettings(threads=1, device="cpu"),
    )
    assert made.card.metrics["validation_accuracy"] >= 0


@pytest.mark.parametrize(("name", "found"), [("Stranger", "a class without a base"), ("OwnTargets", "one of Own, Targets")])
def test_who_does_not_subclass_the_protocol_of_the_question_is_told_to(name: str, found: str, tmp_path: Path) -> None:
    recipe = small_recipe(weigh=f"{__name__}:{name}")
    with pytest.raises(MienError) as caught:
        train(bright_faces(), recipe, tmp_path / "run", TrainingSettings(threads=1, device="cpu"))
    wanted = f"expected a subclass of mien.techniques.Weigh for weigh = {__name__}:{name}; found {found}; "
    assert str(caught.value) == wanted + f"import Weigh from mien.techniques, and write class {name}(Weigh)"
    assert not (tmp_path / "run").exists()


MISSPELT = """
from dataclasses import dataclass

from torch import Tensor
from typing_extensions import override

from mien.techniques import Weigh
from mien.training.face_loader import Batch
from mien.training.losses import Unevaluated
from mien.training.run import Run


@dataclass(frozen=True)
class Mine(Weigh):
    @override
    def __call__(self, run: Run) -> Tensor:
        return run.weights

    @override
    def NAME(self, run: Run, batch: Batch) -> Unevaluated | None:
        return None
"""


def test_a_hook_that_is_misspelt_fails_in_mypy(tmp_path: Path) -> None:
    api = pytest.importorskip("mypy.api")
    names = ("of_batch", "of_bach")
    for name in names:
        (tmp_path / f"{name}.py").write_text(MISSPELT.replace("NAME", name))
    # Only what the protocol is made of is read, and none of what that is made of.
    read = "[mypy-mien.techniques,mien.training.questions]\nfollow_imports = silent\n"
    (tmp_path / "mypy.ini").write_text(f"[mypy]\n[mypy-mien.*,torch.*,pydantic.*]\nfollow_imports = skip\n{read}")
    words = [
        "--strict",
        "--follow-imports=silent",
        "--cache-dir",
        str(tmp_path / "cache"),
        "--config-file",
        str(tmp_path / "mypy.ini"),
    ]
    said = api.run([*words, *(str(tmp_path / f"{name}.py") for name in names)])[0]
    assert 'Method "of_bach" is marked as an override, but no base method was found' in said
    assert said.count("error:") == 1, "the one that is spelt right is fine"
