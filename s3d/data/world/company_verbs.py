"""What figures with limbs do in twos and in crowds, and those who look on."""

from __future__ import annotations

import numpy as np

from s3d.data.world import limbs
from s3d.data.world.limbs import BEND
from s3d.data.world.play import (
    ARM_LEFT,
    ARM_RIGHT,
    HEADING,
    LEAN,
    LEG_LEFT,
    LEG_RIGHT,
    PITCH,
    SIDE,
    Play,
    X,
    Z,
)
from s3d.data.world.strokes import ACTOR, BYSTANDER, Floats


def _facing(play: Play, apart: float, owner: int = ACTOR) -> tuple[Floats, Floats, float]:
    """Return two figures that face each other, and the heading of the first."""
    way = play.uniform(0, 2 * np.pi)
    x, z = play.uniform(-0.4, 0.4), play.uniform(-0.4, 0.4)
    cos, sin = np.cos(way) * apart / 2, np.sin(way) * apart / 2
    a = play.add_figure(x - cos, z - sin, way, owner, group=1)
    b = play.add_figure(x + cos, z + sin, way + np.pi, owner, group=1)
    return a, b, way


def _shift(pose: Floats, way: float, far: Floats | float) -> None:
    pose[:, X] += np.cos(way) * far
    pose[:, Z] += np.sin(way) * far


def talk(play: Play) -> None:
    """Stand together, one speaking."""
    a, b, _ = _facing(play, play.uniform(0.4, 0.8))
    limbs.speak(play, a)
    if play.is_so(0.5):
        limbs.speak(play, b)


def shake_hands(play: Play) -> None:
    """Shake hands."""
    beat = play.wave(1.0, 2.5)
    for pose in _facing(play, play.uniform(0.5, 0.65))[:2]:
        pose[:, ARM_RIGHT] = 0.9 + 0.15 * np.sin(beat)
        pose[:, ARM_RIGHT + BEND] = 0.4


def hug(play: Play) -> None:
    """Come together and hold each other."""
    a, b, way = _facing(play, 0.25)
    gone = play.ramp()
    for pose, sign in ((a, -1), (b, 1)):
        _shift(pose, way, sign * play.uniform(0.3, 0.7) * (1 - gone))
        for arm in (ARM_LEFT, ARM_RIGHT):
            pose[:, arm] += 1.3 * gone
            pose[:, arm + BEND] += 0.6 * gone
        limbs.step(pose, play.wave(0.8, 1.2) * (gone < 1), 0.5)


def fight(play: Play) -> None:
    """Strike at one another."""
    _fight(play, ACTOR)


def _fight(play: Play, owner: int) -> None:
    a, b, way = _facing(play, play.uniform(0.35, 0.65), owner)
    sway = play.drift(0.18, 6)
    for pose, sign in ((a, 1), (b, -1)):
        limbs.box(play, pose, 1.2, 3.5)
        if play.is_so(0.4):
            limbs.kick(play, pose)
        _shift(pose, way, sway + sign * play.uniform(0.05, 0.25) * play.strikes(0.4, 1.2, 0.5))
        _shift(pose, way + np.pi / 2, play.drift(0.08, 5))
        limbs.step(pose, play.wave(0.8, 2.0), play.uniform(0.2, 0.7))
        pose[:, LEAN] += play.uniform(0, 0.3) + play.drift(0.1, 6)
        pose[:, SIDE] += play.drift(0.12, 6)


def wrestle(play: Play) -> None:
    """Hold and drag each other about."""
    a, b, way = _facing(play, play.uniform(0.22, 0.4))
    turn = play.drift(0.8, 4)
    middle = (a[:, X : Z + 1] + b[:, X : Z + 1]) / 2 + np.stack(
        [play.drift(0.25, 5), play.drift(0.25, 5)], 1
    )
    half = play.uniform(0.12, 0.2) * (1 + play.drift(0.2, 6))
    for pose, sign in ((a, -1), (b, 1)):
        pose[:, HEADING] += turn
        pose[:, X] = middle[:, 0] + sign * half * np.cos(way + turn)
        pose[:, Z] = middle[:, 1] + sign * half * np.sin(way + turn)
        for arm in (ARM_LEFT, ARM_RIGHT):
            pose[:, arm] = 1.2 + play.drift(0.4, 7)
            pose[:, arm + BEND] = 0.7 + play.drift(0.4, 7)
        pose[:, LEAN] += play.uniform(0.2, 0.6) + play.drift(0.2, 6)
        pose[:, SIDE] += play.drift(0.25, 6)
        limbs.step(pose, play.wave(0.8, 2.0), play.uniform(0.4, 0.9))


def shove(play: Play) -> None:
    """Shove another, who goes back or falls."""
    a, b, way = _facing(play, play.uniform(0.4, 0.55))
    _strike_down(play, a, b, way, play.is_so(0.4))


def _strike_down(play: Play, a: Floats, b: Floats, way: float, falls: bool) -> None:
    when = play.uniform(0.15, 0.6) * play.span
    out = np.clip(1 - np.abs(play.seconds - when) / play.uniform(0.2, 0.4), 0, 1)
    since = np.clip((play.seconds - when) / play.uniform(0.3, 0.7), 0, 1)
    for arm in (ARM_LEFT, ARM_RIGHT):
        a[:, arm] = 0.5 + 1.1 * out
        a[:, arm + BEND] = 1.8 * (1 - out)
    _shift(a, way, 0.2 * np.clip((play.seconds - when) / 0.4 + 1, 0, 1))
    _shift(b, way, play.uniform(0.3, 0.9) * since)
    if falls:
        b[:, PITCH] -= 1.5 * since * since
    else:
        b[:, LEAN] -= 0.5 * np.sin(np.pi * since)
        limbs.step(b, play.wave(1.2, 2.2), 0.8)


def knock_down(play: Play) -> None:
    """Strike another, who falls."""
    a, b, way = _facing(play, play.uniform(0.4, 0.55))
    _strike_down(play, a, b, way, True)
    if play.is_so(0.5):
        limbs.kick(play, a)


def beat_down(play: Play) -> None:
    """Strike again and again at one who lies."""
    a, b, _ = _facing(play, play.uniform(0.2, 0.4))
    limbs.box(play, a, 1.5, 4.0)
    a[:, LEAN] += play.uniform(0.5, 0.9)
    if play.is_so(0.5):
        limbs.kick(play, a)
    b[:, PITCH] -= 1.45
    for limb in (ARM_LEFT, ARM_RIGHT, LEG_LEFT, LEG_RIGHT):
        b[:, limb] += play.drift(0.4, 7)
        b[:, limb + BEND] += 0.6 + play.drift(0.3, 7)


def brawl(play: Play) -> None:
    """Fight, many."""
    for _ in range(int(play.rng.integers(2, 4))):
        _fight(play, ACTOR)
    for figure in play.figures:
        figure.pose[:, X] *= 1.2


def chase(play: Play) -> None:
    """Run after another who runs."""
    way, gap = play.uniform(0, 2 * np.pi), play.uniform(0.6, 1.2)
    speed = play.uniform(1.2, 2.2)
    for behind in (0, gap):
        pose = play.add_figure(-behind * np.cos(way), -behind * np.sin(way), way, ACTOR, group=1)
        limbs.go(play, pose, speed * (1.1 if behind else 1.0), play.uniform(1.3, 2.0), 1.5)
        pose[:, LEAN] += 0.2


def walk_together(play: Play) -> None:
    """Walk side by side."""
    way, speed = play.uniform(0, 2 * np.pi), play.uniform(0.5, 0.9)
    for side in range(int(play.rng.integers(2, 4))):
        away = 0.4 * side
        pose = play.add_figure(-away * np.sin(way), away * np.cos(way), way, ACTOR, group=1)
        limbs.go(play, pose, speed, play.uniform(0.8, 1.1), 0.9)


def walk_past(play: Play) -> None:
    """Walk past one another."""
    way = play.uniform(0, 2 * np.pi)
    for side, turn in ((0.2, 0.0), (-0.2, np.pi)):
        x, z = -side * np.sin(way), side * np.cos(way)
        limbs.go(play, play.add_figure(x, z, way + turn), play.uniform(0.5, 1.0), 1.0, 0.9)


def crowd(play: Play) -> None:
    """Walk about, many, each their way."""
    for _ in range(int(play.rng.integers(3, 8))):
        pose = limbs.anywhere(play, reach=1.3)
        if play.is_so(0.75):
            limbs.go(play, pose, play.uniform(0.4, 1.0), play.uniform(0.7, 1.3), 0.9)


def dance_together(play: Play) -> None:
    """Dance, in one rhythm."""
    beat = play.wave(0.7, 1.8)
    for _ in range(int(play.rng.integers(2, 5))):
        limbs.dance(play, limbs.anywhere(play, reach=0.9), beat)


def onlookers(play: Play, difficulty: float) -> None:
    """Add figures that stand, speak or walk, of whom nothing is asked: often at difficulty 1."""
    if not play.figures or not play.is_so(0.6 * difficulty):
        return
    for _ in range(int(play.rng.integers(1, 4))):
        pose = limbs.anywhere(play, BYSTANDER, 1.6)
        does = play.rng.random()
        if does < 0.3:
            limbs.go(play, pose, play.uniform(0.4, 0.9), play.uniform(0.7, 1.2), 0.8)
        elif does < 0.6:
            limbs.speak(play, pose)
