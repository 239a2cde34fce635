"""`mien autoencoder train` as people type it, and a run that masks by what it made."""

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from conftest import TINY_AUTOENCODER, Command, bright_faces, require_one_sentence
from mien.folders import LOCK, exclusive

SMALL = ["--set", f"model={json.dumps(TINY_AUTOENCODER['model'])}", "--epochs", 1, "--set", "batch=32", "--threads", 1]


@pytest.fixture
def refining(tmp_path: Path) -> list[Any]:
    """The words for a second phase that is over in a moment."""
    file = tmp_path / "expression.toml"
    file.write_text('model = { network = "mien_s", width = 8, depths = [1, 1, 1] }\ndraw = "shuffled"\nbatch = 16\n'
        'average = 0.0\nstages = [ { epochs = 2, lr = 0.05 } ]\n')  # fmt: skip
    settings = {"expression": file, "perceptual": '{"stem": 100.0}', "refine_stages.0.epochs": 2, "critic_every": 2}
    return ["--refine", "wgan", *(word for key, value in settings.items() for word in ("--set", f"{key}={value}"))]


def test_an_autoencoder_and_what_it_says(mien: Command, stored: Path, tmp_path: Path) -> None:
    done = mien("autoencoder", "train", stored, "--out", tmp_path / "made", *SMALL)
    assert done.code == 0, done.err
    assert "a pixel is" in done.out
    assert "of 255 from what it was" in done.out
    assert str(tmp_path / "made" / "pictures") in done.out.replace("\n", "")
    with Image.open(tmp_path / "made" / "pictures" / "autoencoder-001.png") as picture:
        assert picture.width > 500
    told = json.loads((tmp_path / "made" / "neighbors.json").read_text())
    assert told["autoencoding"]["refine"] == "none", "the preset's"
    assert told["autoencoding"]["stages"][0]["epochs"] == 1


def test_refined_with_a_critic(mien: Command, stored: Path, tmp_path: Path, refining: list[Any]) -> None:
    """--refine wgan with --json: figures and the labels of the expression network; the same words find it done."""
    words = ["autoencoder", "train", stored, "--out", tmp_path / "made", *SMALL, *refining, "--labels-per-class", 10, "--json"]
    done = mien(*words)
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert found["out"] == str(tmp_path / "made")
    assert (found["labels"]["train"], found["labels"]["validation"], found["labels"]["labels_per_class"]) == (24, 6, 10)
    assert {"validation_loss", "pixel_error", "autoencoding", "adversarial", "reconstruction"} <= found["metrics"].keys()
    assert found["metrics"]["epoch"] == 1
    pictures = sorted(path.name for path in (tmp_path / "made" / "pictures").iterdir())
    assert pictures == ["autoencoder-001.png", "refined-001.png", "refined-002.png"]
    before = (tmp_path / "made" / "model" / "model.safetensors").stat().st_mtime_ns
    assert json.loads(mien(*words).out) == found
    assert (tmp_path / "made" / "model" / "model.safetensors").stat().st_mtime_ns == before
    run = [
        "train",
        stored,
        "--out",
        tmp_path / "run",
        "--set",
        "model.width=8",
        "--set",
        "batch=16",
        "--epochs",
        1,
        "--threads",
        1,
    ]
    weigh = {"technique": "neighborhood", "autoencoder": str(tmp_path / "made")}
    done = mien(*run, "--set", f"weigh={json.dumps(weigh)}", "--json")
    assert done.code == 0, done.err
    done = mien("evaluate", tmp_path / "run", stored, "--json")
    assert "30 more labels" in json.loads(done.out)["notes"]["began with"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["{set}", "--out", "{set}"], "choose another --out"),
        (["{new}", "--out", "{new}2"], "a face set at"),
        (["{set}", "--out", "{new}", "--preset", "big"], "among paper, small; found 'big'"),
        (["{set}", "--out", "{new}", "--refine", "gan"], "'none' or 'wgan'"),
        (["{set}", "--out", "{new}", "--set", "model.network=mien_s"], "mien_s to be given"),
        (["{set}", "--out", "{new}", "--device", "tpu"], "a device among"),
        (["{odd}", "--out", "{new}"], "a multiple of 16, to be halved four times; found 20"),
        (["{odd}", "--out", "{new}", "--refine", "wgan"], "a multiple of 16"),
    ],
)
def test_mistakes_get_one_sentence(mien: Command, stored: Path, tmp_path: Path, words: list[str], said: str) -> None:
    bright_faces(side=20).save(tmp_path / "odd")
    before = {path: path.read_bytes() for path in stored.iterdir()}
    places = {"set": stored, "new": tmp_path / "new", "odd": tmp_path / "odd"}
    done = mien("autoencoder", "train", *(word.format(**places) for word in words))
    require_one_sentence(done, said)
    assert before == {path: path.read_bytes() for path in stored.iterdir()}
    assert not (tmp_path / "new").exists()


def test_two_at_a_time_are_refused(mien: Command, stored: Path, tmp_path: Path) -> None:
    words = ["autoencoder", "train", stored, "--out", tmp_path / "made", *SMALL]
    with exclusive(tmp_path / "made"):
        require_one_sentence(mien(*words), "alone; found another process that does")
        assert [path.name for path in (tmp_path / "made").iterdir()] == [LOCK], "the other's, which stays"


def test_wrong_usage_is_exit_code_2(mien: Command, stored: Path) -> None:
    assert mien("autoencoder", "train", stored).code == 2
    assert mien("autoencoder", "sing").code == 2
