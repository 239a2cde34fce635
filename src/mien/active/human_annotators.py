"""People who label the faces of a round: questions go into a label store, and what they agree on comes out of it."""

import time
from dataclasses import dataclass

import numpy as np

from mien.active.oracle import RoundQuestions
from mien.active.pool import DISPUTED, NOT_A_FACE, UNDECIDED, AllFaces
from mien.data.faceset import FaceSet
from mien.data.format import Rows
from mien.errors import MienError
from mien.labeling.store.database import Database
from mien.labeling.store.records import Question
from mien.labeling.store.store import Store
from mien.plain import counted
from mien.progress import Progress

POLL_SECONDS = 2.0
"""How often the store is looked at while people answer."""


class HumanAnnotators:
    """Whoever answers on the page. Asks, waits until each face has the answers it wants, and says what they agree on.

    With `go_on`, the first round that is asked about does not wait: it takes the answers that are there.
    """

    def __init__(self, address: str, per_face: int, pool: FaceSet, world: AllFaces, go_on: bool = False) -> None:
        """`pool`: the stored set whose faces are asked about, to whose ids the store's questions are.

        Makes the store where there is none. Raises MienError where it is of another pool, classes or answers per face, where
        `pool` holds no faces that can be looked at, or two of them have the same id.
        """
        if pool.info.kind != "faces":
            raise MienError("faces that people can look at", pool.info.kind, "give the faces themselves, or an oracle")
        names = world.stored_ids()
        asked = [names[row] for row in world.candidates]
        if len(set(asked)) < len(asked):
            raise MienError("faces with ids of their own", f"{len(asked)} faces with {len(set(asked))} ids", "import them again")
        self._address, self._per_face, self._pool, self._names, self._go_on = address, per_face, pool, names, go_on
        self._open().close()

    def __call__(self, asked: RoundQuestions, progress: Progress) -> Rows:
        """Labels, UNDECIDED, NOT_A_FACE or DISPUTED, (n,). Raises MienError where it may not wait and there is no answer."""
        faces = [self._names[row] for row in asked.rows]
        go_on, self._go_on = self._go_on, False
        with self._open() as store:
            store.ask([
                Question(face, asked.round, model=asked.model, guess=int(guess))
                for face, guess in zip(faces, asked.guesses, strict=True)
            ])  # fmt: skip
            said = _said(store, faces)
            if said.left and not go_on:
                self._tell(asked, said.left, progress)
                said = _wait(store, asked.round, faces, progress)
        if go_on and (said.answers == UNDECIDED).all():
            found = f"none to the {counted(len(faces), 'face')} of round {asked.round}"
            raise MienError("an answer to go on with", found, self._todo(asked))
        return said.answers

    def _open(self) -> Store:
        info = self._pool.info
        return Store.open_or_create(self._address, info.classes, info.name, info.checksum, self._per_face)

    def _tell(self, asked: RoundQuestions, left: int, progress: Progress) -> None:
        wait = f"{left} of {counted(len(asked.rows), 'face')} {'waits' if left == 1 else 'wait'}"
        progress.say(
            f"round {asked.round}: {wait} for answers; {self._todo(asked)}. This command goes on "
            "when they are there; stopped and given again with --go-on, it takes those that are there by then"
        )

    def _todo(self, asked: RoundQuestions) -> str:
        store = address_without_password(self._address)
        return f"open the page: mien annotate {self._pool.folder} --model {asked.run} --store {store}"


def address_without_password(address: str) -> str:
    """The address of a store without a password, as it may be said and written down."""
    return address if "://" not in address else Database(address).name


@dataclass(frozen=True, eq=False)
class _Said:
    """What people have said so far."""

    answers: Rows
    """(n,) labels, UNDECIDED, NOT_A_FACE or DISPUTED."""
    left: int
    """How many of the faces want more answers."""


def _wait(store: Store, number: int, faces: list[str], progress: Progress) -> _Said:
    """Look again and again, until each face has its answers."""
    progress.begin(f"round {number}, answers", len(faces))
    before = 0
    while True:
        said = _said(store, faces)
        done = max(before, len(faces) - said.left)  # An answer that is taken back does not draw a bar back.
        progress.advance(done - before)
        if not said.left:
            return said
        before = done
        time.sleep(POLL_SECONDS)


def _said(store: Store, faces: list[str]) -> _Said:
    """What people agree on: the majority of their votes, whoever was unsure left out."""
    found = store.consensus()
    places = {face: place for place, face in enumerate(found.faces)}
    mine = np.array([places[face] for face in faces], np.int64)
    given = (found.votes.sum(axis=1) + found.not_a_face + found.unsure)[mine]
    states = found.states[mine]
    wanting = given < np.where(states == "disputed", store.info.most, store.info.least)
    conditions = [states == "agreed", states == "not_a_face", np.isin(states, ["disputed", "unsure"]) & ~wanting]
    answers = np.select(conditions, [found.labels[mine], NOT_A_FACE, DISPUTED], UNDECIDED)
    return _Said(answers.astype(np.int64), int(wanting.sum()))
