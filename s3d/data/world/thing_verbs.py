"""What one or two things do: each verb a process that a reverse, played backwards, undoes."""

from __future__ import annotations

import numpy as np

from s3d.data.world.play import ACROSS, ALONG, ANGLE, AT_X, AT_Y, OPACITY, OPEN, Play
from s3d.data.world.strokes import Floats


def _way(play: Play) -> tuple[float, float]:
    turn = play.uniform(0, 2 * np.pi)
    return float(np.cos(turn)), float(np.sin(turn))


def rest(play: Play) -> None:
    """Lie still."""
    play.add_thing(*play.spot())


def wander(play: Play) -> None:
    """Drift about, no way more than another."""
    place = play.add_thing(*play.spot(0.15))
    place[:, AT_X] += play.drift(0.18, 5)
    place[:, AT_Y] += play.drift(0.18, 5)


def move(play: Play) -> None:
    """Cross the frame."""
    place = play.add_thing(*play.spot(0.2))
    cos, sin = _way(play)
    along = (play.progress(0.25, 0.9) - 0.5) * play.uniform(0.5, 1.4)
    place[:, AT_X] += cos * along
    place[:, AT_Y] += sin * along


def start(play: Play) -> None:
    """Lie still, then go faster and faster."""
    place = play.add_thing(*play.spot(0.3))
    cos, sin = _way(play)
    t = np.clip(play.seconds / play.span - play.uniform(0, 0.4), 0, 1)
    far = play.uniform(0.8, 2.0) * t * t
    place[:, AT_X] += cos * far
    place[:, AT_Y] += sin * far


def drop(play: Play) -> None:
    """Fall, and stay lying below."""
    floor = play.uniform(0.15, 0.4)
    place = play.add_thing(play.uniform(-0.35, 0.35), 0)
    t = np.maximum(play.seconds - play.uniform(0, 0.4) * play.span, 0)
    height = np.maximum(play.uniform(0.4, 0.8) - play.uniform(0.6, 2.5) * t * t, 0)
    place[:, AT_Y] = floor - height
    place[:, AT_X] += play.uniform(-0.2, 0.2) * t * (height > 0)


def grow(play: Play) -> None:
    """Become larger."""
    place = play.add_thing(*play.spot(0.2))
    factor = play.uniform(0.15, 0.5) ** (1 - play.progress())
    place[:, ALONG : ACROSS + 1] *= (1.4 * factor)[:, None]


def stretch(play: Play) -> None:
    """Become longer and thinner."""
    place = play.add_thing(*play.spot(0.2), play.uniform(0.1, 0.2))
    factor = play.uniform(1.6, 2.6) ** (play.progress() - 0.3)
    place[:, ALONG] *= factor
    place[:, ACROSS] /= factor


def wobble(play: Play) -> None:
    """Grow long and wide by turns."""
    place = play.add_thing(*play.spot(0.2), play.uniform(0.1, 0.2))
    factor = np.exp(play.uniform(0.15, 0.5) * np.sin(play.wave(0.6, 2.5)))
    place[:, ALONG] *= factor
    place[:, ACROSS] /= factor


def spin(play: Play) -> None:
    """Turn clockwise, as one sees it."""
    place = play.add_thing(*play.spot(0.2), turns=True)
    rate = play.uniform(0.15, 0.9)
    play.beats = rate * play.span
    place[:, ANGLE] += 2 * np.pi * rate * play.seconds


def roll(play: Play) -> None:
    """Turn and go as a wheel does."""
    size = play.uniform(0.08, 0.18)
    place = play.add_thing(0, play.uniform(-0.1, 0.35), size, turns=True)
    way = 1 if play.is_so(0.5) else -1
    along = (play.progress(0.25, 0.7) - 0.5) * play.uniform(0.7, 1.4)
    place[:, AT_X] = way * along
    place[:, ANGLE] += way * along / size
    place[:, ACROSS] = place[:, ALONG]


def appear(play: Play) -> None:
    """Become seen."""
    play.add_thing(*play.spot())[:, OPACITY] = play.progress()


def blink(play: Play) -> None:
    """Be seen and not be seen, by turns."""
    place = play.add_thing(*play.spot())
    place[:, OPACITY] = np.clip(0.5 + 2 * np.sin(play.wave(0.5, 2.5)), 0, 1)


def open_up(play: Play) -> None:
    """Open: doors that slide, or a mouth."""
    place = play.add_thing(*play.spot(0.2), play.uniform(0.15, 0.3), has_doors=play.is_so(0.6))
    place[:, OPEN] = 0.02 + 0.98 * play.progress()


def flap(play: Play) -> None:
    """Open and close by turns."""
    place = play.add_thing(*play.spot(0.2), play.uniform(0.15, 0.3), has_doors=play.is_so(0.6))
    place[:, OPEN] = 0.5 + 0.48 * np.sin(play.wave(0.6, 2.5))


def shake(play: Play) -> None:
    """Tremble about a place."""
    place = play.add_thing(*play.spot())
    cos, sin = _way(play)
    away = play.uniform(0.02, 0.08) * np.sin(play.wave(2.0, 5.0))
    place[:, AT_X] += cos * away
    place[:, AT_Y] += sin * away


def swing(play: Play) -> None:
    """Hang and swing."""
    x, y = play.spot(0.2)
    length = play.uniform(0.2, 0.5)
    place = play.add_thing(x, y, play.uniform(0.06, 0.15))
    angle = play.uniform(0.3, 1.1) * np.sin(play.wave(0.4, 1.6))
    place[:, AT_X] += length * np.sin(angle)
    place[:, AT_Y] += length * (np.cos(angle) - 0.8)
    place[:, ANGLE] = -angle


def bounce(play: Play) -> None:
    """Leap from the floor, again and again."""
    place = play.add_thing(play.uniform(-0.3, 0.3), 0, play.uniform(0.06, 0.14))
    phase = (play.wave(0.5, 2.0) / (2 * np.pi)) % 1
    place[:, AT_Y] = play.uniform(0.1, 0.4) - play.uniform(0.25, 0.7) * 4 * phase * (1 - phase)
    place[:, AT_X] += play.uniform(-0.3, 0.3) * (play.seconds / play.span - 0.5)


def orbit(play: Play) -> None:
    """Go round a place, clockwise as one sees it."""
    x, y = play.spot(0.12)
    place = play.add_thing(x, y, play.uniform(0.06, 0.15))
    reach = play.uniform(0.15, 0.35)
    angle = play.wave(0.2, 1.0)
    place[:, AT_X] += reach * np.cos(angle)
    place[:, AT_Y] += reach * np.sin(angle)


def zigzag(play: Play) -> None:
    """Go to and fro."""
    place = play.add_thing(*play.spot(0.1))
    cos, sin = _way(play)
    away = play.uniform(0.15, 0.4) * (2 / np.pi) * np.arcsin(np.sin(play.wave(0.4, 1.6)))
    place[:, AT_X] += cos * away
    place[:, AT_Y] += sin * away


def _two(play: Play) -> tuple[Floats, Floats, float, float]:
    """Return two things in the middle, and the way from the first to the second."""
    x, y = play.spot(0.1)
    pair = (play.add_thing(x, y, play.uniform(0.06, 0.16)) for _ in range(2))
    return (*pair, *_way(play))  # type: ignore[return-value]


def _set_apart(
    a: Floats, b: Floats, cos: float, sin: float, first: Floats | float, second: Floats | float
) -> None:
    """Put two things so far along a line through the middle."""
    for place, far in ((a, first), (b, second)):
        place[:, AT_X] += cos * far
        place[:, AT_Y] += sin * far


def approach(play: Play) -> None:
    """Go up to another, and begin anew."""
    a, b, cos, sin = _two(play)
    _set_apart(a, b, cos, sin, 0.15 - 0.6 * (1 - play.progress()), 0.3)


def meet(play: Play) -> None:
    """Come together, both."""
    a, b, cos, sin = _two(play)
    far = 0.13 + 0.4 * (1 - play.progress())
    _set_apart(a, b, cos, sin, -far, far)


def collide(play: Play) -> None:
    """Come together, strike and fly apart."""
    a, b, cos, sin = _two(play)
    when = play.uniform(0.25, 0.75) * play.span
    far = 0.12 + play.uniform(0.4, 1.2) * np.abs(play.seconds - when)
    _set_apart(a, b, cos, sin, -far, far)


def merge(play: Play) -> None:
    """Go into another and be gone."""
    a, b, cos, sin = _two(play)
    gone = play.progress()
    _set_apart(a, b, cos, sin, -0.5 * (1 - gone), 0.0)
    a[:, OPACITY] = np.clip(4 * (1 - gone), 0, 1)
    b[:, ALONG : ACROSS + 1] *= (1 + 0.25 * gone)[:, None]


def push(play: Play) -> None:
    """Go up to another and shove it along."""
    a, b, cos, sin = _two(play)
    gap = float(a[0, ALONG] + b[0, ALONG])
    front = play.uniform(-0.6, -0.4) + play.uniform(0.6, 1.1) * play.ramp(0.5, 1.0)
    _set_apart(a, b, cos, sin, front, np.maximum(front + gap, play.uniform(-0.15, 0.1)))


def knock(play: Play) -> None:
    """Strike another that lies, stop, and send it off."""
    a, b, cos, sin = _two(play)
    gap, lies = float(a[0, ALONG] + b[0, ALONG]), play.uniform(-0.1, 0.15)
    when, speed = play.uniform(0.2, 0.6) * play.span, play.uniform(0.5, 1.4)
    since = play.seconds - when
    _set_apart(
        a,
        b,
        cos,
        sin,
        lies - gap + speed * np.minimum(since, 0),
        lies + speed * np.maximum(since, 0),
    )


def pass_by(play: Play) -> None:
    """Go past one another."""
    a, b, cos, sin = _two(play)
    far = play.uniform(0.5, 1.2) * (play.seconds / play.span - 0.5)
    _set_apart(a, b, cos, sin, far, -far)
    _set_apart(a, b, -sin, cos, 0.12, -0.12)


def follow(play: Play) -> None:
    """Go after another."""
    a, b, cos, sin = _two(play)
    far = play.uniform(0.5, 1.3) * (play.seconds / play.span - 0.5)
    gap = play.uniform(0.2, 0.35)
    _set_apart(a, b, cos, sin, far - gap, far + 0.3 * gap)


def circle(play: Play) -> None:
    """Go round one another, clockwise as one sees it."""
    a, b, _, _ = _two(play)
    angle, reach = play.wave(0.2, 0.9), play.uniform(0.12, 0.3)
    _set_apart(a, b, 1.0, 0.0, reach * np.cos(angle), -reach * np.cos(angle))
    _set_apart(a, b, 0.0, 1.0, reach * np.sin(angle), -reach * np.sin(angle))


def throw(play: Play) -> None:
    """Fly in a bow from one to the other."""
    way = 1 if play.is_so(0.5) else -1
    reach = play.uniform(0.25, 0.4)
    for side in (-1, 1):
        play.add_thing(side * reach, 0.2, play.uniform(0.08, 0.14))
    ball = play.add_thing(0, 0, play.uniform(0.04, 0.08))
    gone = play.progress(0.4, 1.0)
    ball[:, AT_X] = way * reach * (2 * gone - 1)
    ball[:, AT_Y] = 0.15 - play.uniform(0.8, 1.6) * gone * (1 - gone)


def burst(play: Play) -> None:
    """Fly apart into pieces."""
    x, y = play.spot(0.15)
    gone = play.progress()
    count, reach = int(play.rng.integers(4, 9)), play.uniform(0.25, 0.6)
    for turn in 2 * np.pi * (np.arange(count) + play.rng.random()) / count:
        piece = play.add_thing(x, y, play.uniform(0.03, 0.07))
        piece[:, AT_X] += reach * gone * np.cos(turn)
        piece[:, AT_Y] += reach * gone * np.sin(turn)


def pour(play: Play) -> None:
    """Stream one way, many small ones."""
    cos, sin = _way(play)
    rate = play.uniform(0.3, 1.2)
    for _ in range(int(play.rng.integers(5, 14))):
        piece = play.add_thing(0, 0, play.uniform(0.02, 0.06))
        along = ((rate * play.seconds + play.rng.random()) % 1 - 0.5) * 1.5
        across = play.uniform(-0.5, 0.5)
        piece[:, AT_X] += cos * along - sin * across
        piece[:, AT_Y] += sin * along + cos * across
