"""Drawn faces whose truth is known: people, seven expressions with their intensity, pose, light and what hides them."""

from collections.abc import Iterator
from dataclasses import dataclass as plain
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import Field
from pydantic.dataclasses import dataclass

from mien.data.format import Info
from mien.data.label_noise import flip_uniform
from mien.data.source import FaceBlock, Source
from mien.data.synthetic_faces.population import (
    COVERED,
    DRIFT,
    IDLE,
    LOWEST,
    MANNER,
    MISSING,
    OCCASION,
    PEOPLE,
    PEOPLE_B,
    PICTURES,
    PICTURES_B,
    PROTOTYPES,
    TRAIT_LIMITS,
)
from mien.data.synthetic_faces.scenes import ACTIONS, CONDITIONS, TRAITS, Scenes
from mien.errors import MienError
from mien.expressions import BASIC
from mien.settings import STRICT, Seed, Share

Floats = npt.NDArray[np.float64]

Integers = npt.NDArray[np.int64]

Mask = npt.NDArray[np.bool_]

Domain = Literal["a", "b"]


@plain(frozen=True)
class DrawingPlan:
    """All that is drawn, before a picture is; all arrays have N values."""

    scenes: Scenes
    label: Integers
    true_label: Integers
    person: Integers
    intensity: Floats
    test: Mask
    sequence: Integers
    frame: Integers


@dataclass(frozen=True, config=STRICT)
class Synthetic(Source):
    """Gray faces drawn by `mien.data.synthetic_faces.render`: no input, no download, the same faces for the same settings.

    Every person is in one split. Labels are wrong or missing among the training faces alone; the test faces keep theirs.
    Columns beside the common ones: true_label (-1: no face), intensity, domain, pose (degrees the head is turned
    sideways), occluded, face.
    """

    people: Annotated[int, Field(ge=2, le=10**6)] = 300
    """Persons drawn; a quarter of them, at least one, are the test split."""
    faces: Annotated[int, Field(ge=1, le=10**6)] = 6000
    """Pictures drawn; of sequences as many as there is room for."""
    side: Annotated[int, Field(ge=32, le=128)] = 48
    """Side of a picture in pixels."""
    seed: Seed = 0
    """What all randomness comes from; another seed draws other people."""
    domain: Domain = "a"
    """`b` draws other faces by other means: tones, line widths, contrast, sharpness and proportions differ."""
    label_noise: Share = 0.0
    """Share of the labeled training faces whose label is wrong, any other class being equally likely."""
    unlabeled: Share = 0.0
    """Share of the training faces without a label."""
    not_faces: Share = 0.0
    """Share of the pictures that show no face; their label is -1."""
    sequences: Annotated[int, Field(ge=0, le=10**6)] = 0
    """Frames of each sequence, from neutral to the peak of one of the six expressions; 0 draws single faces."""

    def info(self) -> Info:
        """Seven classes, gray, `side` pixels."""
        return Info(
            classes=BASIC,
            side=self.side,
            name=f"synthetic, domain {self.domain}, seed {self.seed}",
            alignment="drawn: eyes about 30 % of the side apart",
            license="Apache-2.0",
            citation="drawn by mien",
        )

    def total(self) -> int:
        """The number of pictures."""
        episodes, frames = self._episodes()
        return episodes * frames + self._nothings()

    def blocks(self, size: int = 512) -> Iterator[FaceBlock]:
        """The pictures, `size` at a time, which changes nothing else. Raises MienError where no sequence fits into `faces`."""
        from mien.data.synthetic_faces.render import draw_scenes  # with torch, which takes long to load: names need it not

        plan = self.plan()
        columns = self._columns(plan)
        for start in range(0, len(plan.label), size):
            rows = slice(start, start + size)
            pixels = draw_scenes(Scenes(plan.scenes.values[rows]), self.side)
            yield FaceBlock(pixels, {name: values[rows] for name, values in columns.items()})

    def plan(self) -> DrawingPlan:
        """All that will be drawn. Raises MienError where no sequence fits into `faces`."""
        episodes, frames = self._episodes()
        expression, person = self._cast(episodes)
        peak = self._peaks(expression)
        rise = np.linspace(0, 1, frames) if frames > 1 else np.ones(1)
        episode, frame = np.repeat(np.arange(episodes), frames), np.tile(np.arange(frames), episodes)
        intensity = peak[episode] * rise[frame]
        traits = self._traits()
        conditions = self._conditions(episode, rise[frame], traits[person, TRAITS.index("skin")][episode])
        actions = self._actions(expression, person, episode, intensity)
        faces = np.hstack([traits[person[episode]], conditions, actions])
        test = self._test_people()[person[episode]]
        true = expression[episode]
        nothings = self._nothings()
        # fmt: off
        none = np.full(nothings, -1)
        return DrawingPlan(
            scenes=Scenes(np.vstack([faces, self._things(nothings, traits)]).astype(np.float32)),
            label=np.concatenate([self._given(true, test), none]),
            true_label=np.concatenate([true, none]),
            person=np.concatenate([person[episode], none]),
            intensity=np.concatenate([intensity, np.zeros(nothings)]),
            test=np.concatenate([test, np.arange(nothings) < round(nothings / 4)]),
            sequence=np.concatenate([episode, none]),
            frame=np.concatenate([frame, none]),
        )
        # fmt: on

    def _nothings(self) -> int:
        return round(self.not_faces * self.faces)

    def _episodes(self) -> tuple[int, int]:
        """The number of faces or sequences, and the number of frames in each."""
        room = self.faces - self._nothings()
        if not self.sequences:
            return room, 1
        if self.sequences == 1 or room < self.sequences:
            raise MienError(
                "sequences of 2 frames or more that fit into `faces`",
                f"{self.sequences} of {room}",
                "change `sequences` or `faces`",
            )
        return room // self.sequences, self.sequences

    def _generator(self, purpose: int) -> np.random.Generator:
        """A random generator for one purpose, so that settings of one leave the draws for others alone."""
        return np.random.default_rng((self.seed, "ab".index(self.domain), purpose))

    def _test_people(self) -> Mask:
        """Who is in the test split, (people,)."""
        return self._generator(1).permutation(self.people) < max(1, round(self.people / 4))

    def _cast(self, episodes: int) -> tuple[Integers, Integers]:
        """The expression and the person of every episode: each about equally often, in random order."""
        generator = self._generator(2)
        shown = [label for label, name in enumerate(BASIC) if name != "neutral" or not self.sequences]
        expression = np.array(shown)[generator.permutation(np.arange(episodes) % len(shown))]
        return expression, generator.permutation(np.arange(episodes) % self.people)

    def _peaks(self, expression: Integers) -> Floats:
        """The intensity that each episode reaches; 0 for neutral."""
        lowest = 0.7 if self.sequences else LOWEST
        peaks = self._generator(3).uniform(lowest, 1, len(expression))
        return np.where(expression == BASIC.index("neutral"), 0.0, peaks)

    def _traits(self) -> Floats:
        """The traits of people, (people, traits): normal, at most two deviations from the mean, within what can be drawn."""
        table = {**PEOPLE, **(PEOPLE_B if self.domain == "b" else {})}
        mean, deviation = np.array([table[name] for name in TRAITS]).T
        drawn = self._generator(4).standard_normal((self.people, len(TRAITS))).clip(-2, 2)
        low, high = np.array([TRAIT_LIMITS.get(name, (-np.inf, np.inf)) for name in TRAITS]).T
        traits: Floats = np.clip(mean + deviation * drawn, low, high)
        return traits

    def _bounds(self) -> tuple[Floats, Floats]:
        table = {**PICTURES, **(PICTURES_B if self.domain == "b" else {})}
        low, high = np.array([table[name] for name in CONDITIONS]).T
        return low, high

    def _conditions(self, episode: Integers, rise: Floats, skin: Floats) -> Floats:
        """Conditions (n, conditions): drawn for each episode, drifting a little in its course; noise is new in each frame."""
        generator, episodes = self._generator(5), len(skin)
        low, high = self._bounds()
        first, last = generator.uniform(low, high, (2, episodes, len(low)))
        cover = np.where(generator.random(episodes) < COVERED, generator.integers(1, 4, episodes), 0)
        hand = skin * generator.uniform(0.8, 1.15, episodes)
        values: Floats = first[episode] + DRIFT * rise[:, None] * (last - first)[episode]
        put = {name: values[:, CONDITIONS.index(name)] for name in ("cover", "cover_tone", "grain")}
        put["cover"][:] = cover[episode]
        put["cover_tone"][:] = np.where(cover == 2, hand, first[:, CONDITIONS.index("cover_tone")])[episode]
        put["grain"][:] = generator.uniform(*PICTURES["grain"], len(episode))
        return values

    def _actions(self, expression: Integers, person: Integers, episode: Integers, intensity: Floats) -> Floats:
        """What muscles do, (n, actions): the prototype as this person does it this time, and small moves at rest."""
        generator, size = self._generator(6), (len(expression), len(ACTIONS))
        prototypes = np.array([[PROTOTYPES[name].get(action, 0.0) for action in ACTIONS] for name in BASIC])
        manner = generator.uniform(1 - MANNER, 1 + MANNER, (self.people, len(ACTIONS)))
        occasion = generator.uniform(1 - OCCASION, 1 + OCCASION, size) * np.where(generator.random(size) < MISSING, 0.3, 1)
        idle = IDLE * np.abs(generator.standard_normal(size)).clip(max=2.5)
        peak = prototypes[expression] * manner[person] * occasion
        actions: Floats = peak[episode] * intensity[:, None] + idle[episode]
        return actions

    def _things(self, count: int, traits: Floats) -> Floats:
        """The numbers (count, numbers) of pictures that show no face."""
        generator = self._generator(7)
        conditions = generator.uniform(*self._bounds(), (count, len(CONDITIONS)))
        conditions[:, CONDITIONS.index("thing")] = generator.integers(1, 4, count)
        conditions[:, CONDITIONS.index("yaw")] = 0
        return np.hstack([traits[generator.integers(0, self.people, count)], conditions, np.zeros((count, len(ACTIONS)))])

    def _given(self, true: Integers, test: Mask) -> Integers:
        """The labels that are told: some of the training faces' are missing, and some of the others wrong."""
        train = np.flatnonzero(~test)
        told = true[train]
        told[self._generator(8).choice(len(train), round(self.unlabeled * len(train)), replace=False)] = -1
        given = true.copy()
        given[train] = flip_uniform(told, self.label_noise, len(BASIC), self.seed)
        return given

    def _columns(self, plan: DrawingPlan) -> dict[str, Any]:
        face = plan.true_label >= 0
        mark = f"{self.domain}{self.seed}"
        columns: dict[str, Any] = {
            "id": np.array([f"{mark}-{row:07d}" for row in range(len(face))]),
            "label": plan.label,
            "subject": pa.array([f"{mark}-p{person:05d}" for person in plan.person], mask=~face),
            "split": np.where(plan.test, "test", "train"),
            "true_label": plan.true_label.astype(np.int16),
            "intensity": plan.intensity.astype(np.float32),
            "domain": np.full(len(face), self.domain),
            "pose": plan.scenes.of("yaw"),
            "occluded": plan.scenes.of("cover") > 0,
            "face": face,
        }
        if self.sequences:
            columns["sequence"] = pa.array([f"{mark}-s{number:05d}" for number in plan.sequence], mask=~face)
            columns["frame"] = pa.array(plan.frame, pa.int32(), mask=~face)
        return columns
