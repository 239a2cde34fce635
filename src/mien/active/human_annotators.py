"""People who label the faces of a round: questions go into a label store, and what they agree on comes back."""

import time
from dataclasses import dataclass

import numpy as np

from mien.active.annotators import RoundQuestions
from mien.active.pool import DISPUTED, NOT_A_FACE, UNDECIDED, AllFaces
from mien.data.faceset import FaceSet
from mien.data.format import Rows
from mien.errors import MienError
from mien.labeling.store.database import Database
from mien.labeling.store.records import Question
from mien.labeling.store.store import Store
from mien.progress import Progress
from mien.wording import quantity

POLL_SECONDS = 2.0
"""How often the store is read while people answer."""


class HumanAnnotators:
    """People who answer on the page: asks them, waits until each face has the answers it wants, and returns what they agree on.

    With `go_on`, the first round that is asked about does not wait: it takes the answers that are there.
    """

    def __init__(self, address: str, per_face: int, pool: FaceSet, all_faces: AllFaces, go_on: bool = False) -> None:
        """Open the store at an address, or make it. `pool`: the stored set whose faces people are asked about, by their ids.

        Raises MienError for a store of another pool, other classes or another number of answers per face, and for a pool that
        holds features or two faces of one id.
        """
        if pool.info.kind != "faces":
            raise MienError("faces that people can look at", pool.info.kind, "give the faces themselves, or an oracle")
        names = all_faces.stored_ids()
        asked = [names[row] for row in all_faces.candidates]
        if len(set(asked)) < len(asked):
            raise MienError("faces with ids of their own", f"{len(asked)} faces with {len(set(asked))} ids", "import them again")
        self._address = address
        self._per_face = per_face
        self._pool = pool
        self._names = names
        self._classes = all_faces.faces.classes
        self._go_on = go_on
        self._open().close()

    def __call__(self, asked: RoundQuestions, progress: Progress) -> Rows:
        """What people say of each face, (n,): a class, UNDECIDED, NOT_A_FACE or DISPUTED.

        Raises MienError where it may not wait and there is no answer.
        """
        faces = [self._names[row] for row in asked.rows]
        go_on, self._go_on = self._go_on, False
        with self._open() as store:
            store.ask([
                Question(face, asked.round, model=asked.model or None, guess=int(guess) if guess >= 0 else None)
                for face, guess in zip(faces, asked.guesses, strict=True)
            ])  # fmt: skip
            agreed = _agreed(store, faces)
            if agreed.left and not go_on:
                self._tell(asked, agreed.left, progress)
                agreed = _wait(store, asked.round, faces, progress)
        if go_on and (agreed.answers == UNDECIDED).all():
            found = f"none to the {quantity(len(faces), 'face')} of round {asked.round}"
            raise MienError("an answer to go on with", found, self._todo(asked))
        return agreed.answers

    def _open(self) -> Store:
        info = self._pool.info
        return Store.open_or_create(self._address, self._classes, info.name, info.checksum, self._per_face)

    def _tell(self, asked: RoundQuestions, left: int, progress: Progress) -> None:
        wait = f"{left} of {quantity(len(asked.rows), 'face')} {'waits' if left == 1 else 'wait'}"
        progress.say(
            f"round {asked.round}: {wait} for answers; {self._todo(asked)}. This command goes on "
            "when they are there; stopped and given again with --go-on, it takes those that are there by then"
        )

    def _todo(self, asked: RoundQuestions) -> str:
        store = address_without_password(self._address)
        model = "" if asked.run is None else f" --model {asked.run}"
        return f"open the page: mien annotate {self._pool.folder}{model} --store {store}"


def address_without_password(address: str) -> str:
    """The address of a store without its password, so that it may be shown and written down."""
    return address if "://" not in address else Database(address).name


@dataclass(frozen=True, eq=False)
class _Agreed:
    """What people have agreed on so far."""

    answers: Rows
    """(n,) labels, UNDECIDED, NOT_A_FACE or DISPUTED."""
    left: int
    """How many faces want more answers."""


def _wait(store: Store, number: int, faces: list[str], progress: Progress) -> _Agreed:
    """Read the store again and again, until each face has its answers."""
    progress.begin(f"round {number}, answers", len(faces))
    before = 0
    while True:
        agreed = _agreed(store, faces)
        done = max(before, len(faces) - agreed.left)  # An answer that is taken back does not draw a bar back.
        progress.advance(done - before)
        if not agreed.left:
            return agreed
        before = done
        time.sleep(POLL_SECONDS)


def _agreed(store: Store, faces: list[str]) -> _Agreed:
    """What people agree on by now: the majority of their votes. Unsure ones have no vote."""
    found = store.consensus()
    places = {face: place for place, face in enumerate(found.faces)}
    mine = np.array([places[face] for face in faces], np.int64)
    given = (found.votes.sum(axis=1) + found.not_a_face + found.unsure)[mine]
    states = found.states[mine]
    wanting = given < np.where(states == "disputed", store.info.most, store.info.least)
    conditions = [states == "agreed", states == "not_a_face", np.isin(states, ["disputed", "unsure"]) & ~wanting]
    answers = np.select(conditions, [found.labels[mine], NOT_A_FACE, DISPUTED], UNDECIDED)
    return _Agreed(answers.astype(np.int64), int(wanting.sum()))
