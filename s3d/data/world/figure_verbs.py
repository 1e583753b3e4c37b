"""What a figure with limbs does alone."""

from __future__ import annotations

import numpy as np

from s3d.data.world import limbs
from s3d.data.world.limbs import BEND, OUT, SWING
from s3d.data.world.play import ARM_LEFT, ARM_RIGHT, HEADING, JUMP, LEAN, LEG_LEFT, LEG_RIGHT, Play


def stand(play: Play) -> None:
    """Stand, and shift a little."""
    for _ in range(int(play.rng.integers(1, 5))):
        limbs.anywhere(play, reach=1.0)


def walk(play: Play) -> None:
    """Walk."""
    rate = play.uniform(0.7, 1.2)
    play.beats = rate * play.span
    limbs.go(play, limbs.anywhere(play), play.uniform(0.5, 0.9), rate, play.uniform(0.7, 1.0))


def run(play: Play) -> None:
    """Run."""
    rate = play.uniform(1.3, 2.0)
    play.beats = rate * play.span
    pose = limbs.anywhere(play)
    limbs.go(play, pose, play.uniform(1.4, 2.4), rate, play.uniform(1.3, 1.8))
    pose[:, LEAN] += 0.2
    pose[:, ARM_LEFT + BEND] += 1.2
    pose[:, ARM_RIGHT + BEND] += 1.2


def turn_round(play: Play) -> None:
    """Turn to another side."""
    limbs.anywhere(play)[:, HEADING] += play.uniform(1.5, 4.0) * play.ramp()


def jump(play: Play) -> None:
    """Jump."""
    pose = limbs.anywhere(play)
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
    pose = limbs.anywhere(play)
    wide = 0.5 - 0.5 * np.cos(play.wave(0.6, 1.6))
    for arm in (ARM_LEFT, ARM_RIGHT):
        pose[:, arm + OUT] += 2.4 * wide
    for leg in (LEG_LEFT, LEG_RIGHT):
        pose[:, leg + OUT] += 0.5 * wide


def wave_hand(play: Play) -> None:
    """Wave with a raised arm."""
    pose = limbs.anywhere(play)
    arm = ARM_LEFT if play.is_so(0.5) else ARM_RIGHT
    pose[:, arm + OUT] = play.uniform(1.8, 2.4)
    pose[:, arm + BEND] = 0.6 + 0.6 * np.sin(play.wave(0.8, 2.2))


def clap(play: Play) -> None:
    """Clap."""
    pose = limbs.anywhere(play)
    apart = 0.5 + 0.5 * np.sin(play.wave(1.0, 3.0))
    for arm in (ARM_LEFT, ARM_RIGHT):
        pose[:, arm] = 1.2
        pose[:, arm + OUT] = -0.25 + 0.6 * apart
        pose[:, arm + BEND] = 0.3


def bow(play: Play) -> None:
    """Bend down forwards."""
    low = play.progress(0.3, 0.6)
    pose = limbs.anywhere(play)
    pose[:, LEAN] += play.uniform(0.8, 1.6) * low
    for arm in (ARM_LEFT, ARM_RIGHT):
        pose[:, arm] += 0.8 * low


def crouch(play: Play) -> None:
    """Go down on bent legs."""
    low = play.progress(0.3, 0.6)
    pose = limbs.anywhere(play)
    for leg in (LEG_LEFT, LEG_RIGHT):
        pose[:, leg] += 1.4 * low
        pose[:, leg + BEND] += 2.4 * low
    pose[:, LEAN] += 0.4 * low


def fall(play: Play) -> None:
    """Fall over, any side."""
    limbs.tumble(play, limbs.anywhere(play), play.ramp(0.2, 0.5))


def punch(play: Play) -> None:
    """Strike with the fists."""
    limbs.box(play, limbs.anywhere(play), 1.0, 3.0)


def kick(play: Play) -> None:
    """Kick."""
    limbs.kick(play, limbs.anywhere(play))


def hurl(play: Play) -> None:
    """Throw with one arm from behind the head."""
    pose = limbs.anywhere(play)
    arm = ARM_LEFT if play.is_so(0.5) else ARM_RIGHT
    gone = play.progress(0.4, 1.0)
    pose[:, arm] = 3.6 - 3.2 * gone
    pose[:, arm + BEND] = 1.6 * (1 - gone)
    pose[:, LEAN] += 0.5 * gone - 0.2


def raise_arms(play: Play) -> None:
    """Raise the arms."""
    up, pose = play.progress(0.3, 0.8), limbs.anywhere(play)
    part = SWING if play.is_so(0.5) else OUT
    arms = (ARM_LEFT, ARM_RIGHT) if play.is_so(0.6) else (ARM_LEFT,)
    for arm in arms:
        pose[:, arm + part] += play.uniform(1.4, 2.9) * up


def dance(play: Play) -> None:
    """Swing all limbs in one rhythm."""
    limbs.dance(play, limbs.anywhere(play), play.wave(0.7, 1.8))


def gesture(play: Play) -> None:
    """Move the hands as one who speaks."""
    limbs.speak(play, limbs.anywhere(play))
