"""Drawn faces whose truth is known: people, seven expressions with their intensity, pose, light and what hides them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass as plain
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pydantic import Field
from pydantic.dataclasses import dataclass

from mien.data.format import Info
from mien.data.label_noise import flip_uniform
from mien.data.source import Block
from mien.data.synthetic import ACTIONS, BANK, CONDITIONS, TRAITS, Scenes, render
from mien.errors import MienError
from mien.expressions import BASIC
from mien.settings import STRICT, Seed, Share

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
Domain = Literal["a", "b"]

PROTOTYPES: Mapping[str, Mapping[str, float]] = {
    "anger": {"frown": 1.1, "upper_lid": 0.4, "cheek": 0.35, "press": 1, "chin": 0.35, "nose": 0.15},
    "disgust": {"nose": 1, "upper_lip": 0.9, "frown": 0.5, "cheek": 0.5, "corners": 0.35, "part": 0.25, "chin": 0.3},
    "fear": {"inner_brow": 1, "outer_brow": 0.45, "frown": 0.35, "upper_lid": 1, "stretch": 1, "part": 0.7, "jaw": 0.2},
    "happiness": {"cheek": 0.8, "smile": 1, "part": 0.6},
    "neutral": {},
    "sadness": {"inner_brow": 0.9, "frown": 0.3, "corners": 1, "chin": 0.5, "droop": 0.6},
    "surprise": {"inner_brow": 0.9, "outer_brow": 1, "upper_lid": 0.9, "jaw": 1, "part": 0.8},
}
"""Muscles of each expression at full intensity, after the prototypes of the Facial Action Coding System."""

PEOPLE: Mapping[str, tuple[float, float]] = {
    "head_width": (0.69, 0.026), "head_height": (0.9, 0.03), "jaw_narrow": (0.26, 0.06), "skin": (0.6, 0.075),
    "hair": (0.26, 0.08), "hair_volume": (0.1, 0.026), "hairline": (-0.6, 0.052), "hair_curve": (0.5, 0.14),
    "hair_part": (0, 0.08), "hair_length": (0.2, 0.3), "eye_x": (0.3, 0.015), "eye_y": (-0.13, 0.019),
    "eye_width": (0.145, 0.009), "eye_open": (0.065, 0.006), "eye_slant": (0, 0.045), "iris": (0.14, 0.038),
    "socket": (0.12, 0.068), "brow_y": (-0.33, 0.017), "brow_width": (0.17, 0.011), "brow_thick": (0.032, 0.006),
    "brow_arch": (0.03, 0.011), "brow_slope": (0, 0.013), "brow_dark": (0.75, 0.09), "nose_width": (0.125, 0.012),
    "nose_length": (0.22, 0.022), "nose_dark": (0.2, 0.053), "mouth_y": (0.5, 0.019), "mouth_width": (0.23, 0.017),
    "upper_thick": (0.035, 0.0067), "lower_thick": (0.05, 0.009), "lip_dark": (0.7, 0.06), "mouth_curve": (0, 0.009),
    "age": (0.6, 0.5), "beard": (-0.4, 0.6), "mustache": (-0.6, 0.7), "glasses": (0, 0.5),
}  # fmt: skip
"""Mean and deviation of every trait over people, in domain a."""

PEOPLE_B: Mapping[str, tuple[float, float]] = {
    "head_width": (0.74, 0.024), "skin": (0.48, 0.085), "hair": (0.4, 0.11), "eye_open": (0.075, 0.007),
    "socket": (0.2, 0.068), "mouth_width": (0.21, 0.016), "lip_dark": (0.6, 0.06), "nose_length": (0.19, 0.022),
    "hairline": (-0.52, 0.052), "age": (0.9, 0.6), "brow_thick": (0.026, 0.005),
}  # fmt: skip
"""The traits whose statistics differ in domain b."""

PICTURES: Mapping[str, tuple[float, float]] = {
    "roll": (-9, 9), "yaw": (-20, 20), "pitch": (-12, 12), "scale": (0.93, 1.07), "shift_x": (-0.05, 0.05),
    "shift_y": (-0.05, 0.05), "gaze": (-0.04, 0.04), "mouth_tilt": (-0.04, 0.04), "brow_tilt": (-0.035, 0.035),
    "light_x": (-0.4, 0.4), "light_y": (-0.25, 0.25), "exposure": (0.85, 1.15), "contrast": (0.75, 1.15),
    "curve": (-0.2, 0.2), "blur": (0, 0.5), "noise": (0.005, 0.025), "grain": (0, BANK - 128 * 128),
    "stroke": (0.85, 1.15), "outline": (0, 0.25), "backdrop": (0.05, 0.95), "slope_x": (-0.3, 0.3),
    "slope_y": (-0.3, 0.3), "clothes": (0.05, 0.95), "blob_x": (-1, 1), "blob_y": (-1, 0.6), "blob_size": (0.2, 0.9),
    "blob_tone": (0, 1), "cover": (0, 0), "cover_x": (-0.6, 0.6), "cover_y": (-0.2, 0.75), "cover_angle": (-60, 60),
    "cover_size": (0.07, 0.15), "cover_tone": (0.1, 0.9), "thing": (0, 0), "thing_angle": (-75, 75),
    "thing_size": (0.15, 0.4), "thing_tone": (0, 1),
}  # fmt: skip
"""Bounds of every condition over pictures, in domain a."""

PICTURES_B: Mapping[str, tuple[float, float]] = {
    "stroke": (1.3, 1.7), "outline": (0.35, 0.7), "contrast": (0.5, 0.85), "curve": (-0.6, -0.2), "blur": (0.35, 0.8),
    "noise": (0.012, 0.035), "exposure": (0.95, 1.3), "light_y": (-0.5, 0),
}  # fmt: skip
"""The conditions whose bounds differ in domain b."""


LIMITS: Mapping[str, tuple[float, float]] = {
    "skin": (0.25, 0.9), "hair": (0.04, 0.9), "age": (0, 2), "beard": (0, 0.85), "mustache": (0, 1), "socket": (0, 1),
    "brow_dark": (0.3, 1), "iris": (0.03, 0.5),
}  # fmt: skip
"""What every trait is kept within."""

LOWEST = 0.5
"""The least intensity of an expression in a single picture."""
MANNER, OCCASION = 0.25, 0.2
"""How far a muscle's part in an expression varies between persons, and between one person's pictures."""
MISSING = 0.08
"""How often a muscle is left almost at rest."""
IDLE = 0.04
"""Deviation of what muscles do that mean nothing."""
COVERED = 0.12
"""Share of faces that something hides in part."""
DRIFT = 0.15
"""How far a sequence's pose and light move from where they began to another random one."""


@plain(frozen=True)
class DrawingPlan:
    """Everything about every picture before one is drawn; all arrays have N values."""

    scenes: Scenes
    label: Integers
    true_label: Integers
    person: Integers
    intensity: Floats
    test: Mask
    sequence: Integers
    frame: Integers


@dataclass(frozen=True, config=STRICT)
class Synthetic:
    """Gray faces drawn by `mien.data.synthetic`: no input, no download, the same faces for the same settings.

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
        return Info(
            classes=BASIC,
            side=self.side,
            name=f"synthetic, domain {self.domain}, seed {self.seed}",
            alignment="drawn: eyes about 30 % of the side apart",
            license="Apache-2.0",
            citation="drawn by mien",
        )

    def total(self) -> int:
        episodes, frames = self._episodes()
        return episodes * frames + self._nothings()

    def blocks(self, size: int = 512) -> Iterator[Block]:
        """`size` pictures at a time; the size changes nothing else. Raises MienError where no sequence fits into `faces`."""
        plan = self.plan()
        columns = self._columns(plan)
        for start in range(0, len(plan.label), size):
            rows = slice(start, start + size)
            yield Block(render(Scenes(plan.scenes.values[rows]), self.side), {name: c[rows] for name, c in columns.items()})

    def plan(self) -> DrawingPlan:
        """What `blocks` draws. Raises MienError where no sequence fits into `faces`."""
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
        """How many faces or sequences, and how many frames in each."""
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
        """One for each purpose, so that settings of one leave the others' draws as they are."""
        return np.random.default_rng((self.seed, "ab".index(self.domain), purpose))

    def _test_people(self) -> Mask:
        """(people,) who is in the test split."""
        return self._generator(1).permutation(self.people) < max(1, round(self.people / 4))

    def _cast(self, episodes: int) -> tuple[Integers, Integers]:
        """The expression and the person of every episode: each as often as any other, in random order."""
        generator = self._generator(2)
        shown = [label for label, name in enumerate(BASIC) if name != "neutral" or not self.sequences]
        expression = np.array(shown)[generator.permutation(np.arange(episodes) % len(shown))]
        return expression, generator.permutation(np.arange(episodes) % self.people)

    def _peaks(self, expression: Integers) -> Floats:
        """The intensity each episode reaches; neutral has none."""
        lowest = 0.7 if self.sequences else LOWEST
        peaks = self._generator(3).uniform(lowest, 1, len(expression))
        return np.where(expression == BASIC.index("neutral"), 0.0, peaks)

    def _traits(self) -> Floats:
        """(people, traits): normal, at most two deviations from the mean and within what can be drawn."""
        table = {**PEOPLE, **(PEOPLE_B if self.domain == "b" else {})}
        mean, deviation = np.array([table[name] for name in TRAITS]).T
        drawn = self._generator(4).standard_normal((self.people, len(TRAITS))).clip(-2, 2)
        low, high = np.array([LIMITS.get(name, (-np.inf, np.inf)) for name in TRAITS]).T
        traits: Floats = np.clip(mean + deviation * drawn, low, high)
        return traits

    def _bounds(self) -> tuple[Floats, Floats]:
        table = {**PICTURES, **(PICTURES_B if self.domain == "b" else {})}
        low, high = np.array([table[name] for name in CONDITIONS]).T
        return low, high

    def _conditions(self, episode: Integers, rise: Floats, skin: Floats) -> Floats:
        """(n, conditions) of faces: drawn for each episode, drifting a little in its course; noise is new in each frame."""
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
        """(n, actions): the prototype as this person does it and as it came out this time, and muscles at play at rest."""
        generator, size = self._generator(6), (len(expression), len(ACTIONS))
        prototypes = np.array([[PROTOTYPES[name].get(action, 0.0) for action in ACTIONS] for name in BASIC])
        manner = generator.uniform(1 - MANNER, 1 + MANNER, (self.people, len(ACTIONS)))
        occasion = generator.uniform(1 - OCCASION, 1 + OCCASION, size) * np.where(generator.random(size) < MISSING, 0.3, 1)
        idle = IDLE * np.abs(generator.standard_normal(size)).clip(max=2.5)
        peak = prototypes[expression] * manner[person] * occasion
        actions: Floats = peak[episode] * intensity[:, None] + idle[episode]
        return actions

    def _things(self, count: int, traits: Floats) -> Floats:
        """(count, numbers) of pictures that show no face."""
        generator = self._generator(7)
        conditions = generator.uniform(*self._bounds(), (count, len(CONDITIONS)))
        conditions[:, CONDITIONS.index("thing")] = generator.integers(1, 4, count)
        conditions[:, CONDITIONS.index("yaw")] = 0
        return np.hstack([traits[generator.integers(0, self.people, count)], conditions, np.zeros((count, len(ACTIONS)))])

    def _given(self, true: Integers, test: Mask) -> Integers:
        """The labels told: some of the training faces' are missing, some of the others wrong."""
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
