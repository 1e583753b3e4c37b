"""One figure: what it does, when, where, and the boxes of what is drawn of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from s3d.data.actions import BACKWARDS, Stage
from s3d.data.scenes import Bools, Colour, Floats, Pose, cover_of
from s3d.detect.tube import Boxes

WHOLE_SHARE = 0.4
"""Of the figures, that act from the first frame to the last."""


@dataclass(frozen=True, eq=False)
class Figure:
    """Hold a figure as it is in every frame.

    Attributes:
        action: One of FIGURE_ACTIONS; "" where it does nothing.
        shape: One of the scene's.
        colour: One of the scene's.
        pose: x, y and radius are (T,).
        acts: (T,) where it does what it does.
        shown: (T,) where it is seen.
    """

    action: str
    shape: str
    colour: Colour
    pose: Pose
    acts: Bools
    shown: Bools

    def cover(self, size: tuple[int, int, int]) -> Floats:
        """Return how much of each pixel it covers, (T, H, W) in 0..1."""
        cover = cover_of(self.shape, self.pose, size)
        cover *= self.shown[:, None, None]
        return cover

    def gap(self, other: Figure, size: tuple[int, int, int]) -> float:
        """Return how far it is at least from another, in px; below 0 they may overlap."""
        (x, y, radius), (other_x, other_y, other_radius) = self._circle(size), other._circle(size)
        gaps = np.hypot(x - other_x, y - other_y) - radius - other_radius
        return float(gaps.min())

    def _circle(self, size: tuple[int, int, int]) -> tuple[Floats, Floats, Floats]:
        frames, height, width = size
        factors = (width, height, min(height, width))
        x, y, radius = (
            np.broadcast_to(np.asarray(value, np.float32) * factor, (frames,))
            for value, factor in zip(
                (self.pose.x, self.pose.y, self.pose.radius), factors, strict=True
            )
        )
        return x, y, radius


def boxes_of(cover: Floats) -> tuple[npt.NDArray[np.int64], Boxes]:
    """Return where a figure is: the smallest boxes that hold every pixel it changes.

    Args:
        cover: (T, H, W) how much of each pixel it covers.

    Returns:
        The frames (n,) in which there is anything of it, and the boxes (n, 4).
    """
    covered = cover > 0
    rows, columns = (np.asarray(covered.any(axis)) for axis in (2, 1))
    frames = np.flatnonzero(np.asarray(rows.any(1))).astype(np.int64)
    edges = [axis[frames].argmax(1) for axis in (columns, rows)]
    ends = [axis.shape[1] - axis[frames, ::-1].argmax(1) for axis in (columns, rows)]
    return frames, np.stack([*edges, *ends], 1).astype(np.float32)


def draw_figure(action: str, stage: Stage, colour: Colour) -> Figure:
    """Draw what a figure looks like, when it acts and where it is.

    Args:
        action: One of FIGURE_ACTIONS, or "" for a figure that only stands there.
        stage: Size, scene and luck.
        colour: Of the figure.
    """
    acts = _draw_span(stage) if action else np.zeros(stage.size[0], np.bool_)
    along = _progress(acts)
    if action in BACKWARDS:
        # All that tells the members of a pair apart: the shape, the place and the span do not.
        along = 1 - along
    shape, pose = POSES[BACKWARDS.get(action, action)](stage, along)
    waits = not action or stage.rng.uniform() < stage.difficulty
    return Figure(action, shape, colour, pose, acts, acts | waits)


def _draw_span(stage: Stage) -> Bools:
    """Draw when a figure acts. A span as likely as its mirror image: no order is told by it."""
    frames = stage.size[0]
    begin, end = stage.rng.uniform(0.1, 0.35), stage.rng.uniform(0.65, 0.9)
    cut = int(stage.rng.integers(1, 4)) if stage.rng.uniform() >= WHOLE_SHARE else 0
    first = round(begin * frames) if cut & 1 else 0
    last = round(end * frames) if cut & 2 else frames
    places = np.arange(frames)
    return np.asarray((places >= first) & (places < last), np.bool_)


def _progress(acts: Bools) -> Floats:
    """Return 0 before a figure acts, 1 after it, and rising evenly between: (T,)."""
    step = np.cumsum(acts) - 1.0
    along: Floats = np.clip(step / max(1, acts.sum() - 1), 0, 1).astype(np.float32)
    return along


def _spot(stage: Stage, radius: float) -> tuple[float, float]:
    """Return a place at which a shape of that radius is whole in the picture."""
    x, y = (stage.rng.uniform(margin, 1 - margin) for margin in _margins(stage, radius))
    return float(x), float(y)


def _margins(stage: Stage, radius: float) -> tuple[float, float]:
    _, height, width = stage.size
    reach = radius * min(height, width)
    return reach / width, reach / height


def _move_right(stage: Stage, along: Floats) -> tuple[str, Pose]:
    radius = stage.radius(0.65)
    margin, _ = _margins(stage, radius)
    length = (1 - 2 * margin) * stage.rng.uniform(0.45, 0.85)
    start = stage.rng.uniform(margin, 1 - margin - length)
    _, y = _spot(stage, radius)
    return stage.shape(), Pose(start + length * along, y, radius, stage.tilt())


def _grow(stage: Stage, along: Floats) -> tuple[str, Pose]:
    largest = stage.radius(0.95)
    radius = largest * stage.rng.uniform(0.35, 0.5) ** (1 - along)
    return stage.shape(), Pose(*_spot(stage, largest), radius, stage.tilt())


def _rotate_clockwise(stage: Stage, along: Floats) -> tuple[str, Pose]:
    radius = stage.radius(0.85)
    angle = stage.rng.uniform(0, 2 * np.pi) + 2 * np.pi * stage.rng.uniform(0.6, 1.1) * along
    return _pick(stage, stage.scene.turning_shapes), Pose(*_spot(stage, radius), radius, angle)


def _stand(stage: Stage, along: Floats) -> tuple[str, Pose]:
    """Look like any figure, but do nothing."""
    del along
    shape = _pick(stage, (*stage.scene.shapes, *stage.scene.turning_shapes))
    radius = stage.radius(0.7)
    return shape, Pose(*_spot(stage, radius), radius, stage.tilt())


def _pick(stage: Stage, shapes: tuple[str, ...]) -> str:
    return shapes[int(stage.rng.integers(len(shapes)))]


POSES: dict[str, Callable[[Stage, Floats], tuple[str, Pose]]] = {
    "move_right": _move_right,
    "grow": _grow,
    "rotate_clockwise": _rotate_clockwise,
    "": _stand,
}
