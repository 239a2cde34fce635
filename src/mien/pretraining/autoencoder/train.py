"""Training an autoencoder of faces in two phases, alone or within a run, and keeping what was trained for other runs."""

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, field, replace
from dataclasses import dataclass as plain
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
from pydantic import Field, TypeAdapter
from pydantic.dataclasses import dataclass
from torch import Tensor

from mien.data.faceset import BLOCK, FaceSet
from mien.data.splits import split_rows, training_rows
from mien.data.views import Views
from mien.data.writer import write_table
from mien.disk import read_as, read_json, require_name, write_aside
from mien.errors import MienError
from mien.models import Network
from mien.models.asymmetric_autoencoder import ENCODER, critic
from mien.plain import counted, to_json
from mien.pretraining.autoencoder.cache import cache_folder, fetch, is_kept, keep_for_others
from mien.pretraining.autoencoder.objectives import Perception, Reconstruct, Refine
from mien.pretraining.autoencoder.pictures import one_of_each
from mien.pretraining.pretrain import Workplace, portions, pretrain
from mien.progress import Progress, Silent
from mien.recipes.changed_values import with_values
from mien.recipes.recipe import Answer, Recipe, Stage
from mien.recognize.device import channels_last, choose_device, to_device
from mien.recognize.model_card import ModelCard, read_card
from mien.recognize.run_records import note_source, read_history
from mien.recognize.saved_networks import build_network, write_model
from mien.recognize.semantic_neighbors import DEVIATION, SIGMA, SemanticNeighbors, autoencoder, encode
from mien.registry import STRICT, Count, NotNegative, Positive, Seed, Share, each_meant, meant, validate, worded
from mien.training.loop import own_threads
from mien.training.run import EVALUATION_BATCH, Run, RunData
from mien.training.run_data import TrainingSettings, budget_table, prepare_run


@worded
@dataclass(frozen=True, config=STRICT)
class Autoencoding:
    """How an autoencoder is trained; the defaults are SNA's, for faces of 112 pixels."""

    model: Answer = field(default_factory=lambda: {"network": "asymmetric_autoencoder"})
    """Its settings."""
    stages: tuple[Stage, ...] = (Stage(epochs=50, lr=1e-3, weight_decay=4e-4, schedule="step", drops=(0.2, 0.4, 0.6, 0.8)),)
    """Of the first phase (Eq. 4)."""
    batch: Count = 256
    """Faces in a batch of the first phase."""
    at_least: Count = 1
    """Batches in each of its epochs at least."""
    face_weight: Positive = 4.0
    """Weight of the face itself in Eq. 4; the encoder's maps have 1."""
    refine: Literal["none", "wgan"] = "wgan"
    """Whether the second phase (Eq. 5-8) follows; it uses labels, for the network that compares faces."""
    refine_stages: tuple[Stage, ...] = (Stage(epochs=100, lr=1e-4, optimizer="rmsprop", weight_decay=0.0),)
    """Of the second phase, whose encoder is frozen."""
    refine_batch: Count = 64
    """Faces in a batch of the second phase."""
    expression: str = "two_scale"
    """The recipe of the expression network C of Eq. 5, which is trained on the labeled faces."""
    perceptual: Annotated[dict[str, NotNegative], Field(min_length=1)] = field(
        default_factory=lambda: {"conv3_b": 100.0, "conv4": 0.1, "conv5": 0.001}
    )
    """Blocks of that network, and what the difference of their maps weighs."""
    autoencoding: NotNegative = 1e-3
    """lambda_AE; it falls to a tenth four times on the way."""
    adversarial: NotNegative = 5.0
    """lambda_Adv."""
    reconstruction: NotNegative = 1.0
    """lambda_Rec."""
    critic_rate: Positive = 2e-5
    """Learning rate of the critic."""
    critic_every: Count = 10
    """Steps of the decoder for one of the critic, after the first epoch."""
    held_out: Share = 0.05
    """Share of the faces that measures the reconstruction."""
    sigma: Positive = SIGMA
    """Noise of the neighbors that are drawn in the pictures, in deviations of the code."""
    seed: Seed = 0
    """Draws weights, batches and the faces that are held out."""


GRAY = 0.8
"""An autoencoder whose error is a larger share of the mean face's than this is warned of."""

PRESETS: Mapping[str, Mapping[str, Any]] = {
    "paper": {},
    "small": {
        "model": {"network": "asymmetric_autoencoder", "latent": 256, "residuals": [2, 2, 2, 0, 0]},
        "stages": [{"epochs": 8, "lr": 2e-3, "optimizer": "adamw", "weight_decay": 1e-4, "schedule": "one_cycle"}],
        "batch": 128,
        "at_least": 40,
        "refine": "none",
        "refine_stages": [{"epochs": 6, "lr": 1e-4, "optimizer": "rmsprop", "weight_decay": 0.0}],
        "expression": "two_scale_small",
    },
}
"""Settings by name: SNA's own, and those of 48-pixel faces on a CPU."""


def autoencoding(given: str | Mapping[str, Any], changed: Mapping[str, Any] | None = None) -> Autoencoding:
    """Settings by a preset's name, or a table of them that may name one under `preset`; `changed` by key, as in recipes."""
    table = {"preset": given} if isinstance(given, str) else dict(given)
    name = table.pop("preset", "paper")
    if name not in PRESETS:
        raise MienError(
            f"settings of an autoencoder among {', '.join(PRESETS)}", meant(name, PRESETS), "choose one, or name a folder"
        )
    made: Autoencoding = validate(Autoencoding, {**PRESETS[name], **table})
    return validate(Autoencoding, with_values(TypeAdapter(Autoencoding).dump_python(made, mode="json"), changed or {}))


@plain(frozen=True)
class Bench:
    """Where an autoencoder is trained."""

    folder: Path
    seed: int
    device: torch.device
    progress: Progress


def train_neighbors(
    faceset: FaceSet | Path | str,
    out: Path | str,
    settings: Autoencoding,
    order: TrainingSettings | None = None,
    progress: Progress | None = None,
) -> ModelCard:
    """`mien neighbors train`: an autoencoder of the training split of a face set in the folder `out`, and its card.

    Interrupted, the same call goes on. `order`: split, device, threads, and the label budget of the expression network that a
    second phase needs; a first phase looks at no label. Raises MienError where `out` holds anything else.
    """
    folder, order, progress = Path(out), order or TrainingSettings(), progress or Silent()
    require_name(folder)
    faces = faceset if isinstance(faceset, FaceSet) else FaceSet.open(faceset, verify=True)
    order = replace(order, threads=order.threads or _threads(folder), checksums=(faces.info.checksum, ""))
    bench = Bench(folder, settings.seed, choose_device(order.device), progress)
    _begin(folder, {"autoencoding": asdict(settings), "order": asdict(order)})
    if not is_made(folder):
        try:
            with own_threads(order.threads):
                _train(bench, faces, settings, order)
        except MienError:
            if not (folder / "parts").exists():
                shutil.rmtree(folder)  # Settings or faces were refused: there is nothing to go on with.
            raise
    return read_card(folder)


def _train(bench: Bench, faces: FaceSet, settings: Autoencoding, order: TrainingSettings) -> None:
    rows = training_rows(faces) if order.split is None else split_rows(faces, order.split)
    seen, budget, learned, labels = None, dict[str, Any](), faces.select(rows), ""
    if settings.refine != "none":
        prepared = prepare_run(faces, None, Recipe.load(settings.expression), order, bench.progress)
        seen, budget = perception(bench, settings, prepared.material), prepared.facts
        labels = labels_digest(prepared.material)
        write_table(bench.folder / "budget.parquet", budget_table(faces, prepared))
    learn_neighbors(bench, learned, settings, seen, budget)
    keep_for_others(bench.folder, settings_key(settings, digest(learned), labels))


@dataclass(frozen=True)
class _Begun:
    """What neighbors.json says that an autoencoder was begun with."""

    order: TrainingSettings


def is_made(folder: Path) -> bool:
    """Whether the autoencoder in `folder` is finished: the card is written last."""
    return (folder / "model" / "model.json").is_file()


def _begin(folder: Path, asked: dict[str, Any]) -> None:
    """A new folder that says what was asked, or one that was asked the same."""
    told = json.loads(to_json(asked))
    file = folder / "neighbors.json"
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        folder.mkdir(parents=True, exist_ok=True)
        write_aside(file, to_json(told).encode())
    elif not file.is_file():
        found = "a folder with other files in it, or a file"
        raise MienError(f"nothing at {folder} yet, or an autoencoder that was begun", found, "choose another --out")
    elif (before := read_json(file, "remove the folder")) != told:
        parts = {part: values for part in told if isinstance(values := before.get(part), dict)}
        other = [key for part in told for key in told[part] if parts.get(part, {}).get(key) != told[part][key]]
        found = f"other {', '.join(other[:3])}" if other else "others"
        todo = "ask for the same again to go on, or choose another --out"
        raise MienError(f"the settings and faces that {folder} was begun with", found, todo)


def _threads(folder: Path) -> int:
    """Those that an autoencoder in `folder` was begun with, else torch's own number."""
    file = folder / "neighbors.json"
    begun = read_as(_Begun, file, "remove the folder").order.threads if file.is_file() else None
    return begun or torch.get_num_threads()


def learn_neighbors(
    bench: Workplace, faces: FaceSet, settings: Autoencoding, seen: Perception | None, budget: Mapping[str, Any] | None = None
) -> None:
    """Train on all these faces, without a label, into `bench.folder`: parts/, pictures/ and model/; go on where it was.

    Labels, where `faces` have some, say of which classes faces are shown in the pictures.
    `seen`: C of Eq. 5, where there is a second phase; `budget`: the labels that it was trained with.
    """
    if faces.info.kind != "faces":
        raise MienError("faces, whose pixels an autoencoder can learn", faces.info.kind, "import pictures, or compare features")
    parts = portions(torch.arange(len(faces)), settings.held_out, settings.seed)
    material = parts.material(faces)
    with torch.random.fork_rng([]):
        torch.default_generator.manual_seed(settings.seed)
        network = autoencoder(settings.model, faces.info)
        judge = critic(faces.info.channels, faces.info.side)
    pictures = one_of_each(faces.select(parts.held_out), bench.folder / "pictures", "autoencoder", settings.sigma)
    recipe = _recipe(settings.model, settings.stages, settings.batch, settings.at_least)
    network = pretrain(bench, "autoencoder", recipe, material, network, Reconstruct(settings.face_weight, pictures))
    if seen is not None:
        judge.to(bench.device).requires_grad_(False)
        lesson = Refine(
            judge,
            seen,
            settings.face_weight,
            settings.autoencoding,
            settings.adversarial,
            settings.reconstruction,
            settings.critic_rate,
            settings.critic_every,
            replace(pictures, name="refined"),
        )
        stages = [replace(stage, frozen=ENCODER) for stage in settings.refine_stages]
        recipe = _recipe(settings.model, stages, settings.refine_batch, 1)
        network = pretrain(bench, "refined", recipe, material, network, lesson)
    kept = read_history(bench.folder / "parts" / ("autoencoder" if seen is None else "refined"))[-1]
    plain = mean_face_error(faces.select(parts.taught), faces.select(parts.held_out))
    if kept["pixel_error"] > GRAY * plain:
        found = f"a pixel is {kept['pixel_error']:.1f} of 255 from what it was, with the mean face {plain:.1f}"
        bench.progress.say(
            f"warning: {found}: the autoencoder knows little of these faces; take more faces or epochs, or features"
        )
    views = Views(faces.info)
    deviation = _deviation(to_device(network.eval(), bench.device), views, faces.select(parts.taught), bench.device)
    info = replace(faces.info, classes=(), checksum=digest(faces), count=len(faces))
    told = {"autoencoding": asdict(settings)}
    card = ModelCard(
        settings.model,
        (),
        info,
        recipe=told,
        budget=dict(budget or {}),
        metrics=kept | {"mean_face_error": plain},
        seed=settings.seed,
    )
    write_model(bench.folder / "model", network.state_dict() | {DEVIATION: deviation}, card)


def _recipe(model: Answer, stages: Any, batch: int, at_least: int) -> Recipe:
    """What is kept is the last epoch's: the rate has fallen by then, and it is what the last picture shows."""
    draw = {"technique": "shuffled", "at_least": at_least}
    plain = {"model": model, "stages": tuple(stages), "batch": batch, "draw": draw}
    return Recipe.parse(plain | {"choose": "last", "average": 0.0})


def mean_face_error(taught: FaceSet, held_out: FaceSet) -> float:
    """How far a pixel of held-out faces is from the mean of the others, of 255, on average: what knowing nothing gives."""
    blocks = np.array_split(np.arange(len(taught)), -(-len(taught) // BLOCK))
    mean = np.sum([taught.faces(rows).sum(axis=0, dtype=np.int64) for rows in blocks], axis=0) / len(taught)
    return float(np.abs(held_out.faces() - mean).mean())


@torch.no_grad()
def _deviation(network: Network, views: Views, faces: FaceSet, device: torch.device) -> Tensor:
    """(D,) standard deviation of each number of the codes of these faces."""
    found = []
    for rows in np.array_split(np.arange(len(faces)), -(-len(faces) // EVALUATION_BATCH)):
        inputs = views.clean(torch.from_numpy(faces.faces(rows)).to(device))
        found.append(encode(network, channels_last(inputs)).float())
    return torch.cat(found).std(dim=0, correction=0)


def digest(faces: FaceSet) -> str:
    """sha256 of the pixels of these faces, in hexadecimal: which faces they are, however they were selected."""
    found = hashlib.sha256()
    for start in range(0, len(faces), BLOCK):
        found.update(np.ascontiguousarray(faces.faces(np.arange(start, min(len(faces), start + BLOCK)))).data)
    return found.hexdigest()


def labels_digest(material: RunData) -> str:
    """sha256, in hexadecimal, of the faces of a run that have labels, and of these, validation included."""
    labeled = torch.nonzero(material.labels >= 0).squeeze(1)
    pixels = [digest(faces) for faces in (material.faces.select(labeled.numpy()), material.validation)]
    labels = [labels.numpy().tobytes() for labels in (material.labels[labeled], material.validation_labels)]
    return hashlib.sha256(b"\n".join([*map(str.encode, pixels), *labels])).hexdigest()


def settings_key(settings: Autoencoding, faces: str, labels: str) -> str:
    """Under which an autoencoder is cached: the settings, the digest of its faces, and of the labels it used if any."""
    values = {name: value for name, value in asdict(settings).items() if name != "sigma"}  # That of pictures alone.
    if settings.refine != "none":
        values["expression"] = Recipe.load(settings.expression).table()  # A file's recipe may change.
    told = json.dumps(values, sort_keys=True, default=str)
    return hashlib.sha256("\n".join((told, faces, labels)).encode()).hexdigest()[:32]


def neighbors_of(run: Run, given: str | Mapping[str, Any]) -> SemanticNeighbors:
    """The autoencoder of a run, in its parts/neighbors: copied from the folder or the cache, or trained now.

    `given`: a folder, a preset's name, or settings. Raises MienError for an autoencoder that was made for other faces.
    """
    if run.cache.setdefault("neighbors_given", given) != given:
        raise MienError(f"one autoencoder for all masks of a run, {run.cache['neighbors_given']!r}", repr(given), "name the same")
    if "neighbors" not in run.cache:
        folder = run.folder / "parts" / "neighbors"
        if not is_made(folder):
            _obtain(run, given, folder)
        run.cache["neighbors"] = SemanticNeighbors.load(folder, run.device)
    known: SemanticNeighbors = run.cache["neighbors"]
    return known


def _obtain(run: Run, given: str | Mapping[str, Any], folder: Path) -> None:
    faces = run.material.split or run.material.faces
    if faces.info.kind != "faces":
        raise MienError("faces, whose pixels make neighbors", faces.info.kind, 'set weigh.space to "features"')
    found = digest(faces)
    if isinstance(given, str) and given not in PRESETS:
        SemanticNeighbors.load(Path(given), run.device).require(faces.info, found)
        if read_card(Path(given)).budget:  # The labels of its expression network count for this run as well.
            folder.mkdir(parents=True, exist_ok=True)
            note_source(folder, Path(given), _set_of(Path(given)))
        fetch(Path(given), folder)
        return
    settings = autoencoding(given)
    judged = settings.refine != "none"
    key = settings_key(settings, found, labels_digest(run.material) if judged else "")
    if not is_kept(key, asdict(settings), found):
        run.progress.say(f"an autoencoder of {counted(len(faces), 'face')} is trained first, and kept in {cache_folder()}")
        bench = Bench(folder, settings.seed, run.device, run.progress)
        budget = {"train": len(run.labeled), "validation": len(run.validation_labels)} if judged else None
        unlabeled = faces.with_column("label", np.full(len(faces), -1))
        learn_neighbors(bench, unlabeled, settings, perception(bench, settings, run.material) if judged else None, budget)
        keep_for_others(folder, key)
        return
    fetch(cache_folder() / key, folder)
    error = read_card(folder).metrics.get("pixel_error", float("nan"))
    run.progress.say(f"autoencoder: from {cache_folder() / key} (a pixel is {error:.1f} of 255 from what it was)")


def _set_of(folder: Path) -> str:
    """Checksum of the face set that an autoencoder was trained on; empty where its folder does not say."""
    file = folder / "neighbors.json"
    return read_as(_Begun, file, "train it again").order.checksums[0] if file.is_file() else ""


def perception(bench: Workplace, settings: Autoencoding, material: RunData) -> Perception:
    """C of Eq. 5, trained on the labeled faces of `material` alone.

    Raises MienError for blocks that it does not have and for faces that the autoencoder cannot take, before it is trained.
    """
    recipe, info = Recipe.load(settings.expression), material.faces.info
    with torch.random.fork_rng([]):
        autoencoder(settings.model, info)
    blocks = build_network(recipe.model, len(info.classes), info).blocks
    missing = set(settings.perceptual) - set(blocks)
    if missing:
        raise MienError(
            f"perceptual blocks among {', '.join(blocks)}",
            each_meant(missing, blocks),
            "name some of those",
        )
    network = pretrain(bench, "expression", recipe, material).requires_grad_(False)
    return Perception(network, recipe.normalize, settings.perceptual)
