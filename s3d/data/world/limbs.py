"""Moves that verbs share: to step, strike, tumble, swing, speak with the hands."""

from __future__ import annotations

import numpy as np

from s3d.data.world.play import (
    ARM_LEFT,
    ARM_RIGHT,
    HEADING,
    JUMP,
    LEAN,
    LEG_LEFT,
    LEG_RIGHT,
    PITCH,
    SIDE,
    Play,
    X,
    Z,
)
from s3d.data.world.strokes import ACTOR, Floats

SWING, OUT, BEND = range(3)
"""Which of a limb's three angles: forwards, outwards, bent."""


def anywhere(play: Play, owner: int = ACTOR, reach: float = 0.5) -> Floats:
    """Bring a figure on stage that stands somewhere near the middle; return its pose."""
    heading = play.uniform(0, 2 * np.pi)
    return play.add_figure(play.uniform(-reach, reach), play.uniform(-reach, reach), heading, owner)


def go(play: Play, pose: Floats, speed: float, rate_hz: float, vigour: float) -> None:
    """Step forwards along the heading, `speed` body heights a second."""
    beat = 2 * np.pi * (rate_hz * play.seconds + play.rng.random())
    along = speed * (play.seconds - play.span / 2)
    pose[:, X] += np.cos(pose[:, HEADING]) * along
    pose[:, Z] += np.sin(pose[:, HEADING]) * along
    step(pose, beat.astype(np.float32), vigour)


def step(pose: Floats, beat: Floats, vigour: float) -> None:
    """Swing legs and arms as one who walks, by the angle of the beat (moments,)."""
    stride, swing = 0.5 * vigour, np.sin(beat)
    pose[:, LEG_LEFT] += stride * swing
    pose[:, LEG_RIGHT] -= stride * swing
    pose[:, LEG_LEFT + BEND] += 0.7 * vigour * np.clip(np.cos(beat), 0, 1)
    pose[:, LEG_RIGHT + BEND] += 0.7 * vigour * np.clip(-np.cos(beat), 0, 1)
    pose[:, ARM_LEFT] -= 0.8 * stride * swing
    pose[:, ARM_RIGHT] += 0.8 * stride * swing
    pose[:, LEAN] += 0.06 * vigour


def box(play: Play, pose: Floats, low_hz: float, high_hz: float) -> None:
    """Strike with both fists out of a guard."""
    for arm in (ARM_LEFT, ARM_RIGHT):
        out = play.strikes(low_hz / 2, high_hz / 2, play.uniform(0.25, 0.5))
        guard, aim = play.uniform(0.2, 0.9), play.uniform(1.2, 1.9)
        pose[:, arm] = guard + (aim - guard) * out
        pose[:, arm + BEND] = 2.0 * (1 - out)
        pose[:, arm + OUT] = play.uniform(-0.2, 0.5) + play.uniform(-0.3, 0.3) * out
        pose[:, LEAN] += 0.25 * out
    pose[:, HEADING] += play.drift(0.2, 6)


def kick(play: Play, pose: Floats) -> None:
    """Kick with one leg, now and then."""
    out = play.strikes(0.4, 1.0, play.uniform(0.4, 0.7))
    leg = LEG_LEFT if play.is_so(0.5) else LEG_RIGHT
    pose[:, leg] += play.uniform(1.0, 1.7) * out
    pose[:, leg + BEND] += 0.8 * np.sin(np.pi * out)
    pose[:, LEAN] -= 0.3 * out


def tumble(play: Play, pose: Floats, gone: Floats) -> None:
    """Fall forwards or backwards, limbs flung about, as far as `gone` (moments,) says."""
    way = play.uniform(1.2, 1.6) * (1 if play.is_so(0.6) else -1)
    pose[:, PITCH] += way * gone * gone
    pose[:, HEADING] += play.uniform(-0.8, 0.8) * gone
    for limb in (ARM_LEFT, ARM_RIGHT, LEG_LEFT, LEG_RIGHT):
        pose[:, limb] += play.uniform(-0.8, 0.8) * gone
        pose[:, limb + OUT] += play.uniform(0.0, 0.8) * gone
    for leg in (LEG_LEFT, LEG_RIGHT):
        pose[:, leg + BEND] += play.uniform(0.0, 1.2) * gone


def dance(play: Play, pose: Floats, beat: Floats) -> None:
    """Swing all limbs by the angle of the beat (moments,), each its own way."""
    for limb in (ARM_LEFT, ARM_RIGHT, LEG_LEFT, LEG_RIGHT):
        size = 1.0 if limb < LEG_LEFT else 0.4
        for part in range(3):
            swing = size * play.uniform(0, 0.9) * np.sin(beat + play.uniform(0, 6.28))
            pose[:, limb + part] += np.abs(swing) if part == BEND else swing
    pose[:, SIDE] += play.uniform(0, 0.3) * np.sin(beat)
    pose[:, JUMP] += play.uniform(0, 0.05) * (1 + np.sin(2 * beat))


def speak(play: Play, pose: Floats) -> None:
    """Move the hands as one who speaks."""
    for arm in (ARM_LEFT, ARM_RIGHT):
        pose[:, arm] += 0.4 + play.drift(0.25, 8)
        pose[:, arm + BEND] += 0.8 + play.drift(0.4, 9)
        pose[:, arm + OUT] += play.drift(0.15, 7)
