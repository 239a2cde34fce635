"""Rounds of active learning (DAL, Algorithm 1): score the pool, ask about a part of it, learn from the answers, measure, again.

All that a chain of rounds has found is on disk, whole: a process that is killed goes on in the same round when it is asked the
same again, and gives what it would have given. A round's folder is filled in this order: asked.parquet (U sorted by W, and Z),
answers.parquet, run/ (M_T), point.json.

Departures from Algorithm 1: validation takes its share of the new labels, which the paper does not say; and it says how H is
chosen by what M_(T-1) makes of L, but not of which faces L is at first: here the start labels, since M_0 has learned from some.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from mien.active.acquire import Acquire
from mien.active.human_annotators import HumanAnnotators
from mien.active.learning_curve import (
    LearningCurve,
    RoundResult,
    draw_learning_curve,
    read_round_result,
    write_curve_tables,
    write_round_result,
)
from mien.active.oracle import Annotators, Oracle, RoundQuestions
from mien.active.pool import DISPUTED, UNDECIDED, AllFaces, KnownLabels
from mien.active.scoring import score_pool
from mien.active.settings import Recipes, RoundsSettings, build_strategy, claim, folder_name, with_test_split
from mien.data.faceset import FaceSet
from mien.data.format import Rows
from mien.data.splits import Budget, require_untrained
from mien.data.writer import write_table
from mien.disk import alone, require_name, write_aside
from mien.errors import MienError
from mien.evaluation.evaluate import evaluate
from mien.plain import counted
from mien.progress import Progress, Quiet, Silent
from mien.recipes.recipe import Recipe
from mien.recognize.recognizer import Recognizer
from mien.tabular.parquet_files import read_table
from mien.training.loop import own_threads
from mien.training.objective import validation_figures
from mien.training.run_data import TrainingSettings
from mien.training.train import resume, train

DRAW_SECONDS = 10.0
"""With an oracle curve.png is not drawn anew more often."""
AGAIN = "remove the folder of this round and of those after it, and they are done again"
DRAWS = 4
"""Beside a seed and a round: what a strategy draws is not what labels, validation, flips or unlabeled faces are drawn by."""


@dataclass(frozen=True, eq=False)
class _Work:
    """What all chains share."""

    asked: RoundsSettings
    faces: FaceSet
    world: AllFaces
    recipes: Recipes
    annotators: Callable[[int], Annotators]
    """By seed."""
    threads: int
    out: Path
    bar: Progress
    said: set[str] = field(default_factory=set)


@dataclass(frozen=True, eq=False)
class _Chain:
    """A strategy followed with a seed."""

    name: str
    choose: Acquire
    seed: int
    folder: Path

    def __str__(self) -> str:
        return f"{self.name}, seed {self.seed}"


@dataclass(frozen=True, eq=False)
class _State:
    """Where a chain is after a round."""

    known: KnownLabels
    run: Path
    """Folder of the last model's run."""
    point: RoundResult


def rounds(
    faceset: Path | str, asked: RoundsSettings, out: Path | str, progress: Progress | None = None, go_on: bool = False
) -> LearningCurve:
    """Follow every strategy of the plan with every seed through its rounds, into the folder `out`.

    The same plan goes on where it was. With an oracle, strategies, seeds and rounds may be others: what is there stays.
    `go_on`: do not wait for people, but go on with the answers that are there. Leaves rounds.json, curve.csv, table.csv,
    curve.png, the start of each seed and a folder for each chain. Raises MienError where `out` holds other things or another
    plan, another process works there, a set was changed since, classes of the pool are others, or the split to test is learned
    from.
    """
    require_name(Path(out))
    with alone(Path(out)):
        return _all_rounds(_work(faceset, asked, Path(out), progress or Silent(), go_on))


def _all_rounds(work: _Work) -> LearningCurve:
    """Every chain, in turn."""
    asked, done = work.asked, dict[tuple[str, int], list[RoundResult]]()
    # People answer for hours: what they have reached is drawn after each round.
    pause = 0.0 if asked.oracle is None else DRAW_SECONDS
    due = time.monotonic() + pause

    def write() -> None:
        nonlocal due
        write_curve_tables(_curve(asked, done), work.out)
        if time.monotonic() >= due:
            write_aside(work.out / "curve.png", draw_learning_curve(_curve(asked, done)))
            due = time.monotonic() + pause

    with own_threads(work.threads):
        for seed in range(asked.seed, asked.seed + asked.seeds):
            for name in asked.acquire:
                chain = _Chain(name, build_strategy(name), seed, work.out / f"{folder_name(name)}-seed{seed}")
                points = done[name, seed] = list[RoundResult]()
                _follow(work, chain, points, write)
    due = -np.inf
    write()
    return _curve(asked, done)


def _work(faceset: Path | str, asked: RoundsSettings, out: Path, bar: Progress, go_on: bool) -> _Work:
    """Everything checked before anything is written."""
    for name in asked.acquire:
        build_strategy(name)
    faces = FaceSet.open(faceset, verify=True)
    pool = None if asked.pool is None else FaceSet.open(asked.pool, verify=True)
    asked, given = with_test_split(asked, out, faces), asked
    recipes, world = Recipes.of(asked, bar), AllFaces.of(faces, pool, asked.oracle is not None)
    share, split = recipes.whole.validation, asked.split_to_test
    if split is None and given.split_to_test is not None:
        bar.say("no labeled split to test on: figures are those on validation; name a split with --split-to-test")
    if split is not None:
        require_untrained(faces, split, "--split-to-test")
    if asked.min_gain is not None and not share:
        raise MienError("validation faces, to measure a gain", "a recipe with none", "set validation, or leave --min-gain out")
    world.start(asked.start_labels_per_class, share, asked.seed)
    threads = claim(out, asked, recipes, faces, pool)
    people = None if asked.store is None else HumanAnnotators(asked.store, asked.per_face, pool or faces, world, go_on)

    def annotators(seed: int) -> Annotators:
        return people or Oracle.of(world, asked.oracle or 0.0, seed)

    return _Work(asked, faces, world, recipes, annotators, threads, out, bar)


def _curve(asked: RoundsSettings, done: dict[tuple[str, int], list[RoundResult]]) -> LearningCurve:
    ordered = [point for name in asked.acquire for (other, _), points in done.items() if other == name for point in points]
    return LearningCurve(asked.acquire, asked.reference, asked.split_to_test, tuple(ordered))


def _follow(work: _Work, chain: _Chain, points: list[RoundResult], write: Callable[[], None]) -> None:
    """All rounds of a chain, whose points are added to `points`; `write` is called after each."""
    state = _start(work, chain)
    points.append(state.point)
    write()
    for number in range(1, work.asked.rounds + 1):
        if not len(work.world.open(state.known)):
            work.bar.say(f"{chain}: the pool is empty after round {number - 1}")
            return
        state = _round(work, chain, number, state)
        points.append(state.point)
        write()
        gain, least = state.point.gain, work.asked.min_gain
        if least is not None and gain is not None and gain < least:
            work.bar.say(f"{chain}: ended after round {number}, which gained {100 * gain:+.1f} points on validation")
            return


def _start(work: _Work, chain: _Chain) -> _State:
    """The first model, M_0, which all strategies of a seed share."""
    folder = work.out / f"start-seed{chain.seed}"
    known = work.world.start(work.asked.start_labels_per_class, work.recipes.whole.validation, chain.seed)
    point = _own_point(folder, "", chain.seed, 0)
    if point is None:
        title = f"start, seed {chain.seed}"
        model = _trained(work, title, chain.seed, folder / "run", work.recipes.whole, known, known.budget)
        point = _measured(work, known, model, None, RoundResult("", chain.seed, 0))
        write_round_result(folder, point)
        work.bar.say(_line(title, point))
    return _State(known, folder / "run", replace(point, strategy=chain.name))


def _round(work: _Work, chain: _Chain, number: int, last: _State) -> _State:
    """One round, as far as it is not on disk."""
    folder = chain.folder / f"round-{number:02d}"
    folder.mkdir(parents=True, exist_ok=True)
    chosen = _chosen(work, chain, number, last, folder / "asked.parquet")
    answers = _answers(work, chain, chosen, folder / "answers.parquet")
    known = last.known.with_answers(chosen.rows, answers, work.recipes.whole.validation, chain.seed)
    # Without a new label to learn from the model stays as it is.
    run = folder / "run" if len(known.train) > len(last.known.train) else last.run
    point = _own_point(folder, chain.name, chain.seed, number)
    if point is None:
        undecided = int((answers == UNDECIDED).sum())
        blank = RoundResult(chain.name, chain.seed, number, asked=len(answers), undecided=undecided)
        point = _learned(work, chain, last, _State(known, run, blank))
        write_round_result(folder, point)
        work.bar.say(_line(f"{chain}, round {number} of {work.asked.rounds}", point))
    return _State(known, run, point)


def _learned(work: _Work, chain: _Chain, last: _State, now: _State) -> RoundResult:
    """Train the round's model and measure it: M_T = F(H and Z, M_(T-1))."""
    model, known = Recognizer.load(last.run, work.asked.device), now.known
    missed = _missed(work, last.known, model)
    if now.run == last.run:
        return _measured(work, known, model, model, replace(now.point, missed=len(missed)))
    new = np.setdiff1d(known.train, last.known.train)
    learned = np.union1d(missed, new) if work.asked.learn == "new" else known.train
    recipe = work.recipes.whole if work.asked.learn == "afresh" else work.recipes.going_on(last.run.resolve())
    title = f"{chain}, round {now.point.round}"
    after = _trained(work, title, chain.seed, now.run, recipe, known, Budget(learned, known.validation))
    return _measured(work, known, after, model, replace(now.point, missed=len(missed)))


def _chosen(work: _Work, chain: _Chain, number: int, last: _State, file: Path) -> RoundQuestions:
    """The faces that the round asks about: what the file says, or what the last model and the strategy make of the pool."""
    known, run = last.known, last.run
    if file.is_file():
        return _asked_before(work, known, number, run, file)
    model, view, rows = Recognizer.load(run, work.asked.device), work.world.view(known), work.world.open(known)
    bar = Quiet(work.bar, f"{chain}, round {number}", work.said)
    labeled = np.union1d(known.train, known.validation)
    pool = score_pool(model, view.select(rows), chain.choose, view.select(labeled), bar)
    places = chain.choose(pool, work.asked.per_round, np.random.default_rng((chain.seed, DRAWS, number)))
    chosen, score = view.select(rows[places]), getattr(chain.choose, "scores", None)
    guesses: Rows = model.logits(chosen).argmax(axis=1).astype(np.int64)
    found: dict[str, Any] = {"id": chosen.column("id"), "row": rows[places], "guess": guesses}
    found |= {} if score is None else {"score": score(pool)[places]}
    write_table(file, pa.table(found).replace_schema_metadata({"model": model.card.weights}))
    return RoundQuestions(number, rows[places], guesses, model.card.weights, run)


def _answers(work: _Work, chain: _Chain, chosen: RoundQuestions, file: Path) -> Rows:
    """What annotators say of the faces, (n,); asked for once, and then kept."""
    if file.is_file():
        table = read_table(file, {"id": pa.string(), "answer": pa.int64()}, AGAIN)
        kept: Rows = table.column("answer").to_numpy()
        if not ((kept >= DISPUTED) & (kept < len(work.world.faces.classes))).all():
            raise MienError(f"answers that are classes in {file}", "others", AGAIN)
        _require_ids(work, chosen.rows, table, file)
        return kept
    answers = work.annotators(chain.seed)(chosen, work.bar)
    write_table(file, pa.table({"id": work.world.faces.select(chosen.rows).column("id"), "answer": answers}))
    return answers


def _asked_before(work: _Work, known: KnownLabels, number: int, run: Path, file: Path) -> RoundQuestions:
    """What the file of a round says. Raises MienError where it is damaged, or that of another round."""
    table = read_table(file, {"id": pa.string(), "row": pa.int64(), "guess": pa.int64()}, AGAIN)
    rows, guesses = (table.column(name).to_numpy() for name in ("row", "guess"))
    model = (table.schema.metadata or {}).get(b"model", b"").decode("ascii", "replace")
    if not model or len(np.unique(rows)) < len(rows) or not np.isin(rows, work.world.open(known)).all():
        raise MienError(f"faces that this round may ask about in {file}", "others", AGAIN)
    if not ((guesses >= 0) & (guesses < len(work.world.faces.classes))).all():
        raise MienError(f"guesses that are classes in {file}", "others", AGAIN)
    _require_ids(work, rows, table, file)
    return RoundQuestions(number, rows, guesses, model, run)


def _require_ids(work: _Work, rows: Rows, table: pa.Table, file: Path) -> None:
    """Raises MienError where a table is not of the faces of these rows, in their order."""
    if table.column("id").to_pylist() != work.world.faces.select(rows).column("id").to_pylist():
        raise MienError(f"the faces of this round in {file}", "others", AGAIN)


def _own_point(folder: Path, strategy: str, seed: int, number: int) -> RoundResult | None:
    """The point in a round's folder, None where the round is not over. Raises MienError for that of another round."""
    point = read_round_result(folder)
    if point is not None and (point.strategy, point.seed, point.round) != (strategy, seed, number):
        raise MienError(f"the figures of this round in {folder}", f"those of round {point.round} of {point.strategy!r}", AGAIN)
    return point


def _missed(work: _Work, known: KnownLabels, model: Recognizer) -> Rows:
    """H: rows of the labeled faces to train on that the model takes for something else."""
    predicted = model.logits(work.world.faces.select(known.train)).argmax(axis=1)
    missed: Rows = known.train[predicted != known.labels[known.train]]
    return missed


def _trained(work: _Work, title: str, seed: int, folder: Path, recipe: Recipe, known: KnownLabels, budget: Budget) -> Recognizer:
    """Train on a budget of what is known, or go on with a run that was interrupted; its checkpoint is deleted."""
    view, bar, device = work.world.view(known), Quiet(work.bar, title, work.said), work.asked.device
    if (folder / "model" / "model.json").is_file():
        return Recognizer.load(folder, device)
    if (folder / "run.json").is_file():
        made = resume(folder, bar, view, budget)
    else:
        order = TrainingSettings(seed=seed, device=device, threads=work.threads, checksums=(work.faces.info.checksum, ""))
        made = train(view, recipe, folder, order, progress=bar, budget=budget)
    (folder / "checkpoint.safetensors").unlink(missing_ok=True)
    return made


def _measured(work: _Work, known: KnownLabels, model: Recognizer, before: Recognizer | None, blank: RoundResult) -> RoundResult:
    """The point with its figures: of `model`, and what it gained over the one before on the same validation faces."""
    split = work.asked.split_to_test
    tested = evaluate(model, work.faces, split) if split else None
    found, last = _on_validation(work, known, model), None if before is None else _on_validation(work, known, before)
    accuracy = found.get("validation_accuracy")
    return replace(
        blank,
        labels=known.charged,
        train=len(known.train),
        validation=len(known.validation),
        rejected=len(known.rejected),
        disputed=len(known.disputed),
        pool=len(work.world.open(known)),
        validation_accuracy=accuracy,
        validation_average_accuracy=found.get("validation_average_accuracy"),
        gain=None if last is None or accuracy is None else accuracy - last["validation_accuracy"],
        accuracy=None if tested is None else tested.accuracy,
        average_accuracy=None if tested is None else tested.average_accuracy,
        tested=None if tested is None else tested.count,
    )


def _on_validation(work: _Work, known: KnownLabels, model: Recognizer) -> dict[str, float]:
    """Figures on the validation faces; empty where there are none."""
    if not len(known.validation):
        return {}
    logits = model.logits(work.world.faces.select(known.validation))
    return validation_figures(torch.from_numpy(logits), torch.from_numpy(known.labels[known.validation]))


def _line(title: str, point: RoundResult) -> str:
    """A round in words."""
    text = f"{title}: {counted(point.labels, 'label')}"
    lost = {"no face": point.rejected, "disputed": point.disputed}
    if any(lost.values()):
        text += f" ({', '.join(f'{count} {what}' for what, count in lost.items() if count)})"
    if point.undecided:
        stay = counted(point.undecided, "face without enough answers stays", "faces without enough answers stay")
        text += f", {stay} in the pool"
    if point.validation_accuracy is not None:
        gain = "" if point.gain is None else f" ({100 * point.gain:+.1f} points)"
        text += f", validation accuracy {point.validation_accuracy:.1%}{gain}"
    return text if point.accuracy is None else f"{text}, accuracy {point.accuracy:.1%}, average {point.average_accuracy or 0:.1%}"
