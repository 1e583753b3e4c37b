"""What happens in a clip, before anyone is dressed or filmed: who is where, at every moment."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from s3d.data.world.strokes import ACTOR, BYSTANDER, Floats

X, Z, HEADING, PITCH, LEAN, SIDE, JUMP = range(7)
ARM_LEFT, ARM_RIGHT, LEG_LEFT, LEG_RIGHT = 7, 10, 13, 16
"""Where each limb's three angles begin: forwards, outwards, bent."""
POSE = 19
"""Numbers of a figure at a moment. Places are in body heights, angles in radians."""

AT_X, AT_Y, ANGLE, ALONG, ACROSS, OPACITY, OPEN = range(7)
PLACE = 7
"""Numbers of a thing at a moment. Places and half sizes are in frame heights."""


@dataclass
class Figure:
    """Hold where an articulated figure is and how it stands, (moments, POSE)."""

    pose: Floats
    owner: int
    group: int = 0


@dataclass
class Thing:
    """Hold where a thing is and how it lies, (moments, PLACE); `has_doors` shuts and opens."""

    place: Floats
    owner: int
    turns: bool = False
    has_doors: bool = False


@dataclass
class Play:
    """Hold a clip's luck, its moments, and who is on stage.

    Attributes:
        rng: Decides everything that the verb leaves open.
        seconds: (moments,) of the world's time.
        beats: How often what is done was done again, 0 where it is done once.
    """

    rng: np.random.Generator
    seconds: Floats
    figures: list[Figure] = field(default_factory=list)
    things: list[Thing] = field(default_factory=list)
    beats: float = 0.0

    @property
    def span(self) -> float:
        """Return the seconds from the first moment to the last."""
        return float(self.seconds[-1] - self.seconds[0])

    def uniform(self, low: float, high: float) -> float:
        """Return a number between two."""
        return low + (high - low) * self.rng.random()

    def is_so(self, share: float) -> bool:
        """Return whether something is so that is so in this share of clips."""
        return self.rng.random() < share

    def wave(self, low_hz: float, high_hz: float) -> Floats:
        """Return the angle (moments,) of something that swings, and count its beats."""
        rate = self.uniform(low_hz, high_hz)
        self.beats = rate * self.span
        return (2 * np.pi * (rate * self.seconds + self.rng.random())).astype(np.float32)

    def ramp(self, least: float = 0.25, most: float = 0.8) -> Floats:
        """Return what goes once from 0 to 1, (moments,), smoothly and within the clip."""
        length = self.uniform(least, most) * self.span
        start = self.uniform(-0.15, 1.1 - length / self.span) * self.span
        t = np.clip((self.seconds - start) / length, 0, 1)
        ramp: Floats = (t * t * (3 - 2 * t)).astype(np.float32)
        return ramp

    def progress(self, low_hz: float = 0.3, high_hz: float = 0.9) -> Floats:
        """Return what goes from 0 to 1, (moments,): once, or again and again from the start."""
        if self.is_so(0.4):
            return self.ramp()
        rate = self.uniform(low_hz, high_hz)
        self.beats = rate * self.span
        return ((rate * self.seconds + self.rng.random()) % 1).astype(np.float32)

    def drift(self, reach: float, knots: int = 4) -> Floats:
        """Return what wanders smoothly about 0, (moments,), about as far as `reach`."""
        at = np.linspace(self.seconds[0], self.seconds[-1], knots)
        values = self.rng.normal(size=knots) * reach
        coarse = np.interp(self.seconds, at, values)
        kernel = np.ones(5) / 5
        return np.convolve(np.pad(coarse, 2, "edge"), kernel, "valid").astype(np.float32)

    def strikes(self, low_hz: float, high_hz: float, length: float = 0.35) -> Floats:
        """Return what shoots from 0 to 1 and back now and then, (moments,): blows, steps, claps."""
        rate = self.uniform(low_hz, high_hz)
        count = max(1, round(rate * self.span + self.uniform(-0.5, 0.5)))
        self.beats = count
        when = self.seconds[0] + self.rng.random(count) * self.span
        away = np.abs(self.seconds[:, None] - when) / (length / 2)
        strikes: Floats = np.clip(1 - away, 0, 1).max(1).astype(np.float32)
        return strikes

    def add_figure(
        self, x: float, z: float, heading: float, owner: int = ACTOR, group: int = 0
    ) -> Floats:
        """Bring a figure on stage that stands; return its pose (moments, POSE), to be changed."""
        pose = np.zeros((len(self.seconds), POSE), np.float32)
        pose[:, X], pose[:, Z], pose[:, HEADING] = x, z, heading
        for arm in (ARM_LEFT, ARM_RIGHT):
            pose[:, arm] = self.drift(0.08) + self.uniform(-0.1, 0.2)
            pose[:, arm + 1] = self.uniform(0.05, 0.25)
            pose[:, arm + 2] = self.uniform(0.1, 0.5)
        for leg in (LEG_LEFT, LEG_RIGHT):
            pose[:, leg + 1] = self.uniform(0.0, 0.15)
            pose[:, leg + 2] = self.uniform(0.02, 0.15)
        pose[:, LEAN] = self.drift(0.04) + self.uniform(0, 0.1)
        pose[:, SIDE] = self.drift(0.03)
        self.figures.append(Figure(pose, owner, group))
        return pose

    def add_thing(
        self,
        x: float = 0.0,
        y: float = 0.0,
        size: float | None = None,
        owner: int = ACTOR,
        turns: bool = False,
        has_doors: bool = False,
    ) -> Floats:
        """Bring a thing on stage that lies still; return its place (moments, PLACE)."""
        place = np.zeros((len(self.seconds), PLACE), np.float32)
        half = size or self.uniform(0.08, 0.24)
        place[:, AT_X], place[:, AT_Y] = x, y
        place[:, ANGLE] = self.uniform(0, 6.28) if turns else self.uniform(-0.4, 0.4)
        place[:, ALONG], place[:, ACROSS] = half, half * self.uniform(0.6, 1.2)
        place[:, OPACITY] = 1
        self.things.append(Thing(place, owner, turns, has_doors))
        return place

    def spot(self, reach: float = 0.3) -> tuple[float, float]:
        """Return a place in the frame."""
        return self.uniform(-reach, reach), self.uniform(-reach, reach)

    def turn_back(self) -> None:
        """Play everything backwards."""
        for figure in self.figures:
            figure.pose = figure.pose[::-1].copy()
        for thing in self.things:
            thing.place = thing.place[::-1].copy()


def bystanders(play: Play, difficulty: float) -> None:
    """Add things that lie or drift, of which nothing is asked: at most three at difficulty 1."""
    if not play.things:
        return
    for _ in range(int(play.uniform(0, 4) * difficulty)):
        place = play.add_thing(*play.spot(0.5), play.uniform(0.03, 0.1), BYSTANDER)
        if play.is_so(0.4):
            place[:, AT_X] += play.drift(0.1)
            place[:, AT_Y] += play.drift(0.1)
