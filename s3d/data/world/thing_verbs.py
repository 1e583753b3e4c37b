"""What one thing does alone: each verb a process that a reverse, played backwards, undoes."""

from __future__ import annotations

import numpy as np

from s3d.data.world.play import ACROSS, ALONG, ANGLE, AT_X, AT_Y, OPACITY, OPEN, Play


def draw_way(play: Play) -> tuple[float, float]:
    """Return the cosine and the sine of any way to go."""
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
    cos, sin = draw_way(play)
    along = (play.progress(0.25, 0.9) - 0.5) * play.uniform(0.5, 1.4)
    place[:, AT_X] += cos * along
    place[:, AT_Y] += sin * along


def start(play: Play) -> None:
    """Lie still, then go faster and faster."""
    place = play.add_thing(*play.spot(0.3))
    cos, sin = draw_way(play)
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
    cos, sin = draw_way(play)
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
    cos, sin = draw_way(play)
    away = play.uniform(0.15, 0.4) * (2 / np.pi) * np.arcsin(np.sin(play.wave(0.4, 1.6)))
    place[:, AT_X] += cos * away
    place[:, AT_Y] += sin * away
