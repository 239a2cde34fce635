"""Rounds of active learning (DAL, Algorithm 1): score the pool, ask about a part of it, learn from the answers, measure, again.

All that a chain of rounds has found is on disk: a process that was killed goes on in the same round when it is asked the same
again, with the same results. A round's folder is filled in this order: asked.parquet (U sorted by W, and Z), answers.parquet,
run/ (M_T), point.json.

Where there are no labels there is no M_0: the first faces are chosen by their features (`mien.active.first_round`).

Departures from Algorithm 1: validation takes its share of the new labels, which the paper does not say; and it says how H is
chosen by what M_(T-1) makes of L, but not of which faces L is at first: here the start labels, since M_0 has learned from some.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from mien.active.acquire import Acquire
from mien.active.annotators import Annotators, RoundQuestions
from mien.active.first_round import FirstRound
from mien.active.human_annotators import HumanAnnotators
from mien.active.learning_curve import LearningCurve, RoundResult, draw_learning_curve, write_curve_tables, write_round_result
from mien.active.oracle import Oracle
from mien.active.pool import UNDECIDED, AllFaces, KnownLabels
from mien.active.resolved_settings import Recipes, build_strategy, claim_folder, named_classes, resolve_split_to_test
from mien.active.round_figures import measure_round, missed_rows, round_in_words
from mien.active.round_files import read_answers, read_own_result, read_questions, write_answers, write_questions
from mien.active.rounds_settings import RoundsSettings, folder_name
from mien.active.scoring import score_pool
from mien.data.faceset import FaceSet
from mien.data.format import Rows
from mien.data.label_budget import LabelBudget
from mien.data.splits import require_untrained
from mien.disk import require_utf8_path, write_atomically
from mien.errors import MienError
from mien.folders import exclusive
from mien.progress import Progress, Quiet, Silent
from mien.recipes.recipe import Recipe
from mien.recognize.recognizer import Recognizer
from mien.training.loop import own_threads
from mien.training.settings import TrainingSettings
from mien.training.train import drop_checkpoint, train_or_resume
from mien.wording import percentage_points

DRAW_SECONDS = 10.0
"""Seconds that pass at least before curve.png is drawn again, where an oracle answers."""
DRAWS = 4
"""Seeds what strategies draw, beside seed and round, so that labels, validation, flips and unlabeled faces are drawn apart."""


@dataclass(frozen=True, eq=False)
class _Work:
    """What all chains of rounds share."""

    settings: RoundsSettings
    faces: FaceSet
    all_faces: AllFaces
    first_round: FirstRound
    recipes: Recipes
    annotators: Callable[[int], Annotators]
    """Whoever labels faces, by the seed of the chain."""
    threads: int
    out: Path
    bar: Progress
    said: set[str] = field(default_factory=set)


@dataclass(frozen=True, eq=False)
class _Chain:
    """A chain of rounds: one strategy with one seed."""

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
    run: Path | None
    """Folder of the last model's run; None where there are not labels enough for one."""
    result: RoundResult


def rounds(
    faceset: FaceSet | Path | str,
    settings: RoundsSettings,
    out: Path | str,
    progress: Progress | None = None,
    go_on: bool = False,
) -> LearningCurve:
    """Follow every strategy with every seed through its rounds, on a stored set, and write all of it into the folder `out`.

    Asked the same again, it goes on where it was. With an oracle, strategies, seeds and rounds may change: what is there stays.
    `go_on`: take the answers that people have given instead of waiting for more. Leaves rounds.json, curve.csv, table.csv,
    curve.png, the start of each seed and a folder for each chain. Raises MienError where `out` holds other things or rounds with
    other settings, another process works there, a set has changed, the set has no classes, or the split to test is trained on.
    """
    require_utf8_path(Path(out))
    with exclusive(Path(out)):
        return _all_rounds(_work(faceset, settings, Path(out), progress or Silent(), go_on))


def _all_rounds(work: _Work) -> LearningCurve:
    """Follow all chains, one after another."""
    settings, done = work.settings, dict[tuple[str, int], list[RoundResult]]()
    # People answer for hours: what they have reached is drawn after each round.
    pause = 0.0 if settings.oracle is None else DRAW_SECONDS
    due = time.monotonic() + pause

    def write() -> None:
        nonlocal due
        write_curve_tables(_curve(settings, done), work.out)
        if time.monotonic() >= due:
            write_atomically(work.out / "curve.png", draw_learning_curve(_curve(settings, done)))
            due = time.monotonic() + pause

    with own_threads(work.threads):
        for seed in range(settings.seed, settings.seed + settings.seeds):
            for name in settings.acquire:
                chain = _Chain(name, build_strategy(name), seed, work.out / f"{folder_name(name)}-seed{seed}")
                points = done[name, seed] = list[RoundResult]()
                _follow(work, chain, points, write)
    due = -np.inf
    write()
    return _curve(settings, done)


def _work(faceset: FaceSet | Path | str, settings: RoundsSettings, out: Path, bar: Progress, go_on: bool) -> _Work:
    """Check everything before anything is written."""
    for name in settings.acquire:
        build_strategy(name)
    faces = FaceSet.of(faceset)
    faces.require_stored()
    faces = named_classes(faces, settings.classes)
    pool = None if settings.pool is None else FaceSet.of(settings.pool)
    settings, given = resolve_split_to_test(settings, out, faces), settings
    recipes, all_faces = Recipes.of(settings, bar), AllFaces.of(faces, pool, settings.oracle is not None, bar)
    share, split = recipes.whole.validation, settings.split_to_test
    if split is None and given.split_to_test is not None:
        bar.say("no labeled split to test on: figures are those on validation; name a split with --split-to-test")
    if split is not None:
        require_untrained(faces, split, "--split-to-test")
    if settings.min_gain is not None and not share:
        raise MienError("validation faces, to measure a gain", "a recipe with none", "set validation, or leave `min_gain` out")
    all_faces.start(settings.start_labels_per_class, share, settings.seed)
    threads = claim_folder(out, settings, recipes, faces, pool)
    people = (
        None if settings.store is None else HumanAnnotators(settings.store, settings.per_face, pool or faces, all_faces, go_on)
    )

    def annotators(seed: int) -> Annotators:
        return people or Oracle.of(all_faces, settings.oracle or 0.0, seed)

    first = FirstRound(all_faces.faces, settings.device, bar)
    return _Work(settings, faces, all_faces, first, recipes, annotators, threads, out, bar)


def _curve(settings: RoundsSettings, done: dict[tuple[str, int], list[RoundResult]]) -> LearningCurve:
    ordered = [point for name in settings.acquire for (other, _), points in done.items() if other == name for point in points]
    return LearningCurve(settings.acquire, settings.reference, settings.split_to_test, tuple(ordered))


def _follow(work: _Work, chain: _Chain, points: list[RoundResult], write: Callable[[], None]) -> None:
    """Go through all rounds of a chain. Figures are added to `points`, and `write` is called, after each."""
    state = _start(work, chain)
    points.append(state.result)
    write()
    for number in range(1, work.settings.rounds + 1):
        if not len(work.all_faces.open(state.known)):
            work.bar.say(f"{chain}: the pool is empty after round {number - 1}")
            return
        state = _round(work, chain, number, state)
        points.append(state.result)
        write()
        gain, least = state.result.gain, work.settings.min_gain
        if least is not None and gain is not None and gain < least:
            work.bar.say(f"{chain}: ended after round {number}, which gained {percentage_points(gain)} points on validation")
            return


def _start(work: _Work, chain: _Chain) -> _State:
    """Train and measure the first model, M_0, which all strategies of a seed share; without labels there is none."""
    folder = work.out / f"start-seed{chain.seed}"
    known = work.all_faces.start(work.settings.start_labels_per_class, work.recipes.whole.validation, chain.seed)
    run, result = folder / "run" if known.can_train else None, read_own_result(folder, "", chain.seed, 0)
    if result is None:
        title = f"start, seed {chain.seed}"
        folder.mkdir(parents=True, exist_ok=True)
        model = None if run is None else _trained(work, title, chain.seed, run, work.recipes.whole, known, known.budget)
        result = _measured(work, known, model, None, RoundResult("", chain.seed, 0))
        write_round_result(folder, result)
        work.bar.say(round_in_words(title, result))
    return _State(known, run, replace(result, strategy=chain.name))


def _round(work: _Work, chain: _Chain, number: int, last: _State) -> _State:
    """Go through a round, as far as it is not on disk."""
    folder = chain.folder / f"round-{number:02d}"
    folder.mkdir(parents=True, exist_ok=True)
    asked = _questions(work, chain, number, last, folder / "asked.parquet")
    answers = _answers(work, chain, asked, folder / "answers.parquet")
    known = last.known.with_answers(asked.rows, answers, work.recipes.whole.validation, chain.seed)
    # Without a new label to learn from the model stays as it is.
    run = folder / "run" if known.can_train and len(known.train) > len(last.known.train) else last.run
    result = read_own_result(folder, chain.name, chain.seed, number)
    if result is None:
        undecided = int((answers == UNDECIDED).sum())
        blank = RoundResult(chain.name, chain.seed, number, asked=len(answers), undecided=undecided)
        result = _learned(work, chain, last, _State(known, run, blank))
        write_round_result(folder, result)
        work.bar.say(round_in_words(f"{chain}, round {number} of {work.settings.rounds}", result))
    return _State(known, run, result)


def _learned(work: _Work, chain: _Chain, last: _State, now: _State) -> RoundResult:
    """Train the round's model and measure it: M_T = F(H and Z, M_(T-1)). A first model learns from all labels, by the recipe."""
    known, title = now.known, f"{chain}, round {now.result.round}"
    model = None if last.run is None else Recognizer.load(last.run, work.settings.device)
    missed = known.train[:0] if model is None else missed_rows(work.all_faces, last.known, model)
    if now.run is None or now.run == last.run:
        return _measured(work, known, model, model, replace(now.result, missed=len(missed)))
    new = np.setdiff1d(known.train, last.known.train)
    learned = known.train if work.settings.learn != "new" or model is None else np.union1d(missed, new)
    if len(np.unique(known.labels[learned])) < 2:  # A model of one class would say it of every face.
        learned = known.train
    recipe = work.recipes.whole
    if last.run is not None and work.settings.learn != "afresh":
        recipe = work.recipes.going_on(last.run.resolve())
    after = _trained(work, title, chain.seed, now.run, recipe, known, LabelBudget(learned, known.validation))
    return _measured(work, known, after, model, replace(now.result, missed=len(missed)))


def _questions(work: _Work, chain: _Chain, number: int, last: _State, file: Path) -> RoundQuestions:
    """The faces that the round asks about: those in the file, or those that the strategy chooses by the last model."""
    known, run, all_faces = last.known, last.run, work.all_faces
    if file.is_file():
        return read_questions(file, number, run, known, all_faces)
    view, rows, labeled = all_faces.view(known), all_faces.open(known), np.union1d(known.train, known.validation)
    if run is None:
        model, choose, pool = None, work.first_round.strategy(chain.choose), work.first_round.pool(rows, labeled)
    else:
        model, choose = Recognizer.load(run, work.settings.device), chain.choose
        bar = Quiet(work.bar, f"{chain}, round {number}", work.said)
        pool = score_pool(model, view.select(rows), choose, view.select(labeled), bar)
    chosen = choose(pool, work.settings.per_round, np.random.default_rng((chain.seed, DRAWS, number)))
    guesses: Rows = np.full(len(chosen), UNDECIDED)
    if model is not None:
        guesses = model.logits(view.select(rows[chosen])).argmax(axis=1).astype(np.int64)
    asked = RoundQuestions(number, rows[chosen], guesses, "" if model is None else model.card.weights, run)
    scores = choose.scores(pool)
    write_questions(file, asked, all_faces, None if scores is None else scores[chosen])
    return asked


def _answers(work: _Work, chain: _Chain, asked: RoundQuestions, file: Path) -> Rows:
    """(n,) what annotators say of the faces: asked for once, and then read from the file."""
    if file.is_file():
        return read_answers(file, asked.rows, work.all_faces)
    answers = work.annotators(chain.seed)(asked, work.bar)
    write_answers(file, answers, asked.rows, work.all_faces)
    return answers


def _measured(
    work: _Work, known: KnownLabels, model: Recognizer | None, before: Recognizer | None, blank: RoundResult
) -> RoundResult:
    return measure_round(blank, model, before, known, work.all_faces, work.faces, work.settings.split_to_test)


def _trained(
    work: _Work, title: str, seed: int, folder: Path, recipe: Recipe, known: KnownLabels, budget: LabelBudget
) -> Recognizer:
    """Train on a budget of what is known, or go on with a run that was interrupted; its checkpoint is deleted."""
    view, bar, device = work.all_faces.view(known), Quiet(work.bar, title, work.said), work.settings.device
    training = TrainingSettings(seed=seed, device=device, threads=work.threads, checksums=(work.faces.info.checksum, ""))
    made = train_or_resume(view, recipe, folder, training, progress=bar, budget=budget)
    drop_checkpoint(folder)
    return made
