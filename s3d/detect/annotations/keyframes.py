"""Boxes between the frames in which somebody drew them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

Places = tuple[float, float, float, float]


@dataclass(frozen=True)
class Keyframe:
    """Hold a box that somebody drew.

    Attributes:
        frame: From 0.
        box: x1, y1, x2, y2.
        is_shown: Whether it is there in its frame.
        goes_on: Whether it is there in the frames behind, until the next.
        labels: What is done, here and behind.
    """

    frame: int
    box: Places
    is_shown: bool
    goes_on: bool
    labels: tuple[str, ...]


def fill_between(keys: Sequence[Keyframe], end: int) -> Iterator[tuple[int, Places, Keyframe]]:
    """Yield every frame in which a box is there, with the box and the keyframe before it.

    Between two keyframes it moves in a straight line at an even pace; behind the last it stays.

    Args:
        keys: In any order; of several in one frame the last counts.
        end: One past the last frame; of those behind only keyframes are given.
    """
    by_frame = {key.frame: key for key in keys}
    rising = [by_frame[frame] for frame in sorted(by_frame)]
    for place, key in enumerate(rising):
        after = rising[place + 1] if place + 1 < len(rising) else None
        if key.is_shown:
            yield key.frame, key.box, key
        if key.goes_on:
            # A keyframe far behind the end must not make a billion boxes.
            for frame in range(key.frame + 1, min(after.frame, end) if after else end):
                yield frame, _between(key, after, frame) if after else key.box, key


def _between(first: Keyframe, last: Keyframe, frame: int) -> Places:
    share = (frame - first.frame) / (last.frame - first.frame)
    x1, y1, x2, y2 = (a + share * (b - a) for a, b in zip(first.box, last.box, strict=True))
    return x1, y1, x2, y2
