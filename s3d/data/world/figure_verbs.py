"""What figures with limbs do: alone, in twos, and in crowds."""

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
from s3d.data.world.strokes import ACTOR, BYSTANDER, Floats

SWING, OUT, BEND = range(3)


def _anywhere(play: Play, owner: int = ACTOR, reach: float = 0.5) -> Floats:
    heading = play.uniform(0, 2 * np.pi)
    return play.add_figure(play.uniform(-reach, reach), play.uniform(-reach, reach), heading, owner)


def _go(play: Play, pose: Floats, speed: float, rate_hz: float, vigour: float) -> None:
    """Step forwards along the heading, `speed` body heights a second."""
    beat = 2 * np.pi * (rate_hz * play.seconds + play.rng.random())
    along = speed * (play.seconds - play.span / 2)
    pose[:, X] += np.cos(pose[:, HEADING]) * along
    pose[:, Z] += np.sin(pose[:, HEADING]) * along
    _step(pose, beat.astype(np.float32), vigour)


def _step(pose: Floats, beat: Floats, vigour: float) -> None:
    stride, swing = 0.5 * vigour, np.sin(beat)
    pose[:, LEG_LEFT] += stride * swing
    pose[:, LEG_RIGHT] -= stride * swing
    pose[:, LEG_LEFT + BEND] += 0.7 * vigour * np.clip(np.cos(beat), 0, 1)
    pose[:, LEG_RIGHT + BEND] += 0.7 * vigour * np.clip(-np.cos(beat), 0, 1)
    pose[:, ARM_LEFT] -= 0.8 * stride * swing
    pose[:, ARM_RIGHT] += 0.8 * stride * swing
    pose[:, LEAN] += 0.06 * vigour


def stand(play: Play) -> None:
    """Stand, and shift a little."""
    for _ in range(int(play.rng.integers(1, 5))):
        _anywhere(play, reach=1.0)


def walk(play: Play) -> None:
    """Walk."""
    rate = play.uniform(0.7, 1.2)
    play.beats = rate * play.span
    _go(play, _anywhere(play), play.uniform(0.5, 0.9), rate, play.uniform(0.7, 1.0))


def run(play: Play) -> None:
    """Run."""
    rate = play.uniform(1.3, 2.0)
    play.beats = rate * play.span
    pose = _anywhere(play)
    _go(play, pose, play.uniform(1.4, 2.4), rate, play.uniform(1.3, 1.8))
    pose[:, LEAN] += 0.2
    pose[:, ARM_LEFT + BEND] += 1.2
    pose[:, ARM_RIGHT + BEND] += 1.2


def turn_round(play: Play) -> None:
    """Turn to another side."""
    _anywhere(play)[:, HEADING] += play.uniform(1.5, 4.0) * play.ramp()


def jump(play: Play) -> None:
    """Jump."""
    pose = _anywhere(play)
    phase = (play.wave(0.6, 1.6) / (2 * np.pi)) % 1
    up = np.clip(np.sin(2 * np.pi * phase), -1, 1)
    pose[:, JUMP] = play.uniform(0.1, 0.3) * np.clip(up, 0, 1)
    crouch = np.clip(-up, 0, 1)
    for leg in (LEG_LEFT, LEG_RIGHT):
        pose[:, leg] += 0.7 * crouch
        pose[:, leg + BEND] += 1.4 * crouch
    for arm in (ARM_LEFT, ARM_RIGHT):
        pose[:, arm] += 1.5 * np.clip(up, 0, 1)


def jumping_jack(play: Play) -> None:
    """Spread arms and legs, and close them, by turns."""
    pose = _anywhere(play)
    wide = 0.5 - 0.5 * np.cos(play.wave(0.6, 1.6))
    for arm in (ARM_LEFT, ARM_RIGHT):
        pose[:, arm + OUT] += 2.4 * wide
    for leg in (LEG_LEFT, LEG_RIGHT):
        pose[:, leg + OUT] += 0.5 * wide


def wave_hand(play: Play) -> None:
    """Wave with a raised arm."""
    pose = _anywhere(play)
    arm = ARM_LEFT if play.is_so(0.5) else ARM_RIGHT
    pose[:, arm + OUT] = play.uniform(1.8, 2.4)
    pose[:, arm + BEND] = 0.6 + 0.6 * np.sin(play.wave(0.8, 2.2))


def clap(play: Play) -> None:
    """Clap."""
    pose = _anywhere(play)
    apart = 0.5 + 0.5 * np.sin(play.wave(1.0, 3.0))
    for arm in (ARM_LEFT, ARM_RIGHT):
        pose[:, arm] = 1.2
        pose[:, arm + OUT] = -0.25 + 0.6 * apart
        pose[:, arm + BEND] = 0.3


def bow(play: Play) -> None:
    """Bend down forwards."""
    low = play.progress(0.3, 0.6)
    pose = _anywhere(play)
    pose[:, LEAN] += play.uniform(0.8, 1.6) * low
    for arm in (ARM_LEFT, ARM_RIGHT):
        pose[:, arm] += 0.8 * low


def crouch(play: Play) -> None:
    """Go down on bent legs."""
    low = play.progress(0.3, 0.6)
    pose = _anywhere(play)
    for leg in (LEG_LEFT, LEG_RIGHT):
        pose[:, leg] += 1.4 * low
        pose[:, leg + BEND] += 2.4 * low
    pose[:, LEAN] += 0.4 * low


def fall(play: Play) -> None:
    """Fall over, any side."""
    _tumble(play, _anywhere(play), play.ramp(0.2, 0.5))


def _tumble(play: Play, pose: Floats, gone: Floats) -> None:
    way = play.uniform(1.2, 1.6) * (1 if play.is_so(0.6) else -1)
    pose[:, PITCH] += way * gone * gone
    pose[:, HEADING] += play.uniform(-0.8, 0.8) * gone
    for limb in (ARM_LEFT, ARM_RIGHT, LEG_LEFT, LEG_RIGHT):
        pose[:, limb] += play.uniform(-0.8, 0.8) * gone
        pose[:, limb + OUT] += play.uniform(0.0, 0.8) * gone
    for leg in (LEG_LEFT, LEG_RIGHT):
        pose[:, leg + BEND] += play.uniform(0.0, 1.2) * gone


def punch(play: Play) -> None:
    """Strike with the fists."""
    _box(play, _anywhere(play), 1.0, 3.0)


def _box(play: Play, pose: Floats, low_hz: float, high_hz: float) -> None:
    for arm in (ARM_LEFT, ARM_RIGHT):
        out = play.strikes(low_hz / 2, high_hz / 2, play.uniform(0.25, 0.5))
        guard, aim = play.uniform(0.2, 0.9), play.uniform(1.2, 1.9)
        pose[:, arm] = guard + (aim - guard) * out
        pose[:, arm + BEND] = 2.0 * (1 - out)
        pose[:, arm + OUT] = play.uniform(-0.2, 0.5) + play.uniform(-0.3, 0.3) * out
        pose[:, LEAN] += 0.25 * out
    pose[:, HEADING] += play.drift(0.2, 6)


def kick(play: Play) -> None:
    """Kick."""
    _kick(play, _anywhere(play))


def _kick(play: Play, pose: Floats) -> None:
    out = play.strikes(0.4, 1.0, play.uniform(0.4, 0.7))
    leg = LEG_LEFT if play.is_so(0.5) else LEG_RIGHT
    pose[:, leg] += play.uniform(1.0, 1.7) * out
    pose[:, leg + BEND] += 0.8 * np.sin(np.pi * out)
    pose[:, LEAN] -= 0.3 * out


def hurl(play: Play) -> None:
    """Throw with one arm from behind the head."""
    pose = _anywhere(play)
    arm = ARM_LEFT if play.is_so(0.5) else ARM_RIGHT
    gone = play.progress(0.4, 1.0)
    pose[:, arm] = 3.6 - 3.2 * gone
    pose[:, arm + BEND] = 1.6 * (1 - gone)
    pose[:, LEAN] += 0.5 * gone - 0.2


def raise_arms(play: Play) -> None:
    """Raise the arms."""
    up, pose = play.progress(0.3, 0.8), _anywhere(play)
    part = SWING if play.is_so(0.5) else OUT
    arms = (ARM_LEFT, ARM_RIGHT) if play.is_so(0.6) else (ARM_LEFT,)
    for arm in arms:
        pose[:, arm + part] += play.uniform(1.4, 2.9) * up


def dance(play: Play) -> None:
    """Swing all limbs in one rhythm."""
    _dance(play, _anywhere(play), play.wave(0.7, 1.8))


def _dance(play: Play, pose: Floats, beat: Floats) -> None:
    for limb in (ARM_LEFT, ARM_RIGHT, LEG_LEFT, LEG_RIGHT):
        size = 1.0 if limb < LEG_LEFT else 0.4
        for part in range(3):
            swing = size * play.uniform(0, 0.9) * np.sin(beat + play.uniform(0, 6.28))
            pose[:, limb + part] += np.abs(swing) if part == BEND else swing
    pose[:, SIDE] += play.uniform(0, 0.3) * np.sin(beat)
    pose[:, JUMP] += play.uniform(0, 0.05) * (1 + np.sin(2 * beat))


def gesture(play: Play) -> None:
    """Move the hands as one who speaks."""
    _speak(play, _anywhere(play))


def _speak(play: Play, pose: Floats) -> None:
    for arm in (ARM_LEFT, ARM_RIGHT):
        pose[:, arm] += 0.4 + play.drift(0.25, 8)
        pose[:, arm + BEND] += 0.8 + play.drift(0.4, 9)
        pose[:, arm + OUT] += play.drift(0.15, 7)


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
    _speak(play, a)
    if play.is_so(0.5):
        _speak(play, b)


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
        _step(pose, play.wave(0.8, 1.2) * (gone < 1), 0.5)


def fight(play: Play) -> None:
    """Strike at one another."""
    _fight(play, ACTOR)


def _fight(play: Play, owner: int) -> None:
    a, b, way = _facing(play, play.uniform(0.35, 0.65), owner)
    sway = play.drift(0.18, 6)
    for pose, sign in ((a, 1), (b, -1)):
        _box(play, pose, 1.2, 3.5)
        if play.is_so(0.4):
            _kick(play, pose)
        _shift(pose, way, sway + sign * play.uniform(0.05, 0.25) * play.strikes(0.4, 1.2, 0.5))
        _shift(pose, way + np.pi / 2, play.drift(0.08, 5))
        _step(pose, play.wave(0.8, 2.0), play.uniform(0.2, 0.7))
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
        _step(pose, play.wave(0.8, 2.0), play.uniform(0.4, 0.9))


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
        _step(b, play.wave(1.2, 2.2), 0.8)


def knock_down(play: Play) -> None:
    """Strike another, who falls."""
    a, b, way = _facing(play, play.uniform(0.4, 0.55))
    _strike_down(play, a, b, way, True)
    if play.is_so(0.5):
        _kick(play, a)


def beat_down(play: Play) -> None:
    """Strike again and again at one who lies."""
    a, b, _ = _facing(play, play.uniform(0.2, 0.4))
    _box(play, a, 1.5, 4.0)
    a[:, LEAN] += play.uniform(0.5, 0.9)
    if play.is_so(0.5):
        _kick(play, a)
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
        _go(play, pose, speed * (1.1 if behind else 1.0), play.uniform(1.3, 2.0), 1.5)
        pose[:, LEAN] += 0.2


def walk_together(play: Play) -> None:
    """Walk side by side."""
    way, speed = play.uniform(0, 2 * np.pi), play.uniform(0.5, 0.9)
    for side in range(int(play.rng.integers(2, 4))):
        away = 0.4 * side
        pose = play.add_figure(-away * np.sin(way), away * np.cos(way), way, ACTOR, group=1)
        _go(play, pose, speed, play.uniform(0.8, 1.1), 0.9)


def walk_past(play: Play) -> None:
    """Walk past one another."""
    way = play.uniform(0, 2 * np.pi)
    for side, turn in ((0.2, 0.0), (-0.2, np.pi)):
        x, z = -side * np.sin(way), side * np.cos(way)
        _go(play, play.add_figure(x, z, way + turn), play.uniform(0.5, 1.0), 1.0, 0.9)


def crowd(play: Play) -> None:
    """Walk about, many, each their way."""
    for _ in range(int(play.rng.integers(3, 8))):
        pose = _anywhere(play, reach=1.3)
        if play.is_so(0.75):
            _go(play, pose, play.uniform(0.4, 1.0), play.uniform(0.7, 1.3), 0.9)


def dance_together(play: Play) -> None:
    """Dance, in one rhythm."""
    beat = play.wave(0.7, 1.8)
    for _ in range(int(play.rng.integers(2, 5))):
        _dance(play, _anywhere(play, reach=0.9), beat)


def onlookers(play: Play, difficulty: float) -> None:
    """Add figures that stand, speak or walk, of whom nothing is asked: often at difficulty 1."""
    if not play.figures or not play.is_so(0.6 * difficulty):
        return
    for _ in range(int(play.rng.integers(1, 4))):
        pose = _anywhere(play, BYSTANDER, 1.6)
        does = play.rng.random()
        if does < 0.3:
            _go(play, pose, play.uniform(0.4, 0.9), play.uniform(0.7, 1.2), 0.8)
        elif does < 0.6:
            _speak(play, pose)
