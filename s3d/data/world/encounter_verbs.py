"""What several things do: to one another, side by side, or all at once."""

from __future__ import annotations

import numpy as np

from s3d.data.world.play import ACROSS, ALONG, AT_X, AT_Y, OPACITY, Play
from s3d.data.world.strokes import Floats
from s3d.data.world.thing_verbs import draw_way


def _two(play: Play) -> tuple[Floats, Floats, float, float]:
    """Return two things in the middle, and the way from the first to the second."""
    x, y = play.spot(0.1)
    pair = (play.add_thing(x, y, play.uniform(0.06, 0.16)) for _ in range(2))
    return (*pair, *draw_way(play))  # type: ignore[return-value]


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
    cos, sin = draw_way(play)
    rate = play.uniform(0.3, 1.2)
    for _ in range(int(play.rng.integers(5, 14))):
        piece = play.add_thing(0, 0, play.uniform(0.02, 0.06))
        along = ((rate * play.seconds + play.rng.random()) % 1 - 0.5) * 1.5
        across = play.uniform(-0.5, 0.5)
        piece[:, AT_X] += cos * along - sin * across
        piece[:, AT_Y] += sin * along + cos * across
