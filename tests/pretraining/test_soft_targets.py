"""What a teacher says of all faces: its logits and the losses by hand, killed and resumed, what is refused."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from conftest import Interrupted, StopAfter, bright_faces, small_recipe
from mien import FaceSet, MienError, Recipe, TrainingSettings, resume, train
from mien.pretraining.soft_targets import read_logits, softened
from mien.recognize.run_records import read_history
from mien.recognize.saved_networks import build_network
from mien.training.checkpoint import read_state, write_state
from mien.training.run import Run
from runs import begun, techniques

ORDER = TrainingSettings(seed=3, labels=60, threads=1)


def recipe(folder: Path, **changed: Any) -> Recipe:
    """A student of 4 channels; its teacher, of 8, is trained first. No label validates."""
    (folder / "teacher.toml").write_text('model = { network = "mien_s", width = 8, depths = [1, 1, 1] }\nprecision = "float32"\n'
        'draw = "shuffled"\nbatch = 16\nstages = [ { epochs = 2, lr = 0.05 } ]\n')  # fmt: skip
    distill = {"technique": "distill", "teacher": str(folder / "teacher.toml"), "block": "stage3_1", "keep_logits": True}
    table = {
        "model": {"network": "mien_s", "width": 4, "depths": [1, 1, 1]},
        "start": distill | {"stages": [{"epochs": 2, "lr": 0.01}]},
        "targets": {"technique": "soft_targets", "share": 0.25, "temperature": 3.0},
        "unlabeled": {"technique": "soft_targets", "weight": 2.0, "temperature": 4.0},
        "stages": [{"epochs": 2, "lr": 0.01}],
        "validation": 0.0,
    }
    return small_recipe(**table).with_settings(changed)


def faces_of_nobody() -> FaceSet:
    return bright_faces(120).with_column("subject", [None] * 120)


def teacher_says(run: Run, mirrored: bool) -> torch.Tensor:
    """The teacher's logits of all faces of the run."""
    teacher = build_network({"network": "mien_s", "width": 8, "depths": [1, 1, 1]}, 3, run.data.faces.info)
    teacher.load_state_dict(read_state(run.folder / "parts" / "teacher" / "weights.safetensors"))
    faces = run.pool.fetch(torch.arange(len(run.labels))).faces
    with torch.no_grad():
        found: torch.Tensor = teacher.eval()((run.views.mirror if mirrored else run.views.clean)(faces))
    return found


def test_the_kept_logits_are_the_teachers(tmp_path: Path) -> None:
    """Mean of the face's and of its mirror image's, as far as maps in half precision tell."""
    run, _ = begun(tmp_path / "run", faces_of_nobody(), recipe(tmp_path), ORDER)
    by_hand = (teacher_says(run, mirrored=False) + teacher_says(run, mirrored=True)) / 2
    assert torch.allclose(read_logits(run), by_hand, atol=5e-3)
    assert by_hand.std() > 0.05
    assert not (tmp_path / "run" / "parts" / "maps").exists()


def test_labeled_faces_are_taught_both(tmp_path: Path) -> None:
    run, _ = begun(tmp_path / "run", faces_of_nobody(), recipe(tmp_path), ORDER)
    assert len(run.labeled) == 60
    assert not run.targets[run.unlabeled].any()
    for row in run.labeled[:5].tolist():
        powers = [math.exp(value / 3) for value in read_logits(run)[row].tolist()]
        for name, power in enumerate(powers):
            expected = 0.75 * (name == int(run.labels[row])) + 0.25 * power / sum(powers)
            assert run.targets[row, name].item() == pytest.approx(expected, abs=1e-5)


def test_unlabeled_faces_by_hand(tmp_path: Path) -> None:
    """weight T^2 times the mean cross-entropy, both sides at T."""
    run, _ = begun(tmp_path / "run", faces_of_nobody(), recipe(tmp_path), ORDER)
    run.network.eval()
    batch, state = run.pool.fetch(run.unlabeled.cpu()[:5]), run.view_rng.get_state()
    unevaluated = techniques(run).unlabeled(run, batch)
    assert unevaluated is not None
    loss = unevaluated()
    run.view_rng.set_state(state)
    with torch.no_grad():
        own = run.network(run.view(batch, "weak"))
    by_hand = 0.0
    for face, row in enumerate(batch.rows.tolist()):
        taught, said = softened(read_logits(run)[row : row + 1], 4.0), torch.log_softmax(own[face] / 4, dim=0)
        by_hand -= 2 * 16 * float((taught[0] * said).sum()) / 5
    assert loss.item() == pytest.approx(by_hand, rel=1e-5)


@pytest.mark.usefixtures("checkpoint_each_batch")
def test_goes_on_wherever_it_was_killed(tmp_path: Path, stored: Path) -> None:
    """In the teacher's training, after maps were written, in the regression, and in both epochs of the student."""
    whole = train(stored, recipe(tmp_path), tmp_path / "whole", ORDER)
    reached = set()
    for batches in (3, 8, 12, 17, 21):
        killed = tmp_path / f"killed{batches}"
        with pytest.raises(Interrupted):
            train(stored, recipe(tmp_path), killed, ORDER, progress=StopAfter(batches))
        reached.add(tuple(sorted(path.name for path in (killed / "parts").rglob("*") if path.suffix == ".safetensors")))
        again = resume(killed)
        for key, value in whole.network.state_dict().items():
            assert torch.equal(value, again.network.state_dict()[key]), (batches, key)
    assert reached >= {("checkpoint.safetensors",), ("logits.safetensors", "weights.safetensors", "weights.safetensors")}
    assert {"agreement", "pseudo_label_accuracy"} <= read_history(tmp_path / "whole")[-1].keys()
    assert "validation_r2" in read_history(tmp_path / "whole" / "parts" / "distill")[-1]


def test_what_has_no_logits_is_refused(tmp_path: Path) -> None:
    made, faces = recipe(tmp_path), faces_of_nobody()
    cases: tuple[tuple[dict[str, Any], str], ...] = (
        ({"start.keep_logits": False}, "or with distill and start.keep_logits = true"),
        ({"start.block": "stage2_1"}, "the teacher's last block, stage3_1, whole"),
        ({"start.grid": 1}, "block stage3_1, grid 1; set start.block to stage3_1 and start.grid to 0"),
        ({"start.teacher": {"network": "mien_s"}, "start.block": "stage3_2"}, "a teacher of the run's classes"),
    )
    for number, (changed, message) in enumerate(cases):
        with pytest.raises(MienError, match=message):
            train(faces, made.with_settings(changed), tmp_path / str(number), ORDER)


def test_logits_of_other_faces_are_refused(tmp_path: Path) -> None:
    run, _ = begun(tmp_path / "run", faces_of_nobody(), recipe(tmp_path), ORDER)
    run.cache.values.clear()
    write_state(run.folder / "parts" / "distill" / "logits.safetensors", {"logits": torch.zeros(4, 3)})
    with pytest.raises(MienError, match="found those of 4 faces; train again"):
        read_logits(run)
