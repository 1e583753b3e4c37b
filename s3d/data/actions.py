"""What happens in the sample videos: actions that only the order of frames tells apart, and looks.

Each pair of actions is one process, stationary in time: a cycle that runs on before and after the
video, entered at a random phase. The second member is the same process played backwards. So the
frames of any clip, as a set, are distributed alike for both members; so is any part of a clip that
is chosen by place, such as every second frame.

The classes of appearance are the opposite: a shape sways, which is the same played backwards, and
only which shape it is tells the class.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from s3d.data.scenes import Colour, Floats, Pose, Scene, cover_of, lay_ground, local_axes, paint

Range = tuple[float, float]

ORDER_PAIRS: tuple[tuple[str, str], ...] = (
    ("move_left", "move_right"),
    ("grow", "shrink"),
    ("appear", "vanish"),
    ("open", "close"),
    ("rotate_clockwise", "rotate_anticlockwise"),
    ("approach", "leave"),
)
ACTIONS: tuple[str, ...] = tuple(name for pair in ORDER_PAIRS for name in pair)
"""Classes of order: what `s3d sample` writes where nothing else is asked for."""
APPEARANCES: tuple[str, ...] = ("sway_cross", "sway_disc", "sway_star", "sway_triangle")
"""Classes of appearance: order says nothing of them."""


@dataclass(frozen=True)
class Stage:
    """One video while it is drawn: its size, its time, its scene and its luck.

    Attributes:
        size: (frames, height, width).
        seconds: (T,) time of each frame.
        scene: Colours, texture and shapes.
        difficulty: 0 easy .. 1 hard.
        rng: Source of all that differs between the videos of a scene.
    """

    size: tuple[int, int, int]
    seconds: Floats
    scene: Scene
    difficulty: float
    rng: np.random.Generator

    def cycle(self, slow_hz: float, fast_hz: float) -> Floats:
        """Return a sawtooth in 0..1, (T,), of random speed and uniformly random phase."""
        spread = (fast_hz - slow_hz) * (0.5 + 0.5 * self.difficulty) / 2
        middle = (slow_hz + fast_hz) / 2
        rate_hz = self.rng.uniform(middle - spread, middle + spread)
        # A uniform phase is what makes the process stationary: see the module's text.
        return ((self.seconds * rate_hz + self.rng.uniform()) % 1.0).astype(np.float32)

    def shade(self) -> Colour:
        """Return one of the scene's colours for things that act."""
        return self.scene.inks[int(self.rng.integers(len(self.scene.inks)))]

    def shape(self) -> str:
        """Return one of the scene's shapes."""
        return self.scene.shapes[int(self.rng.integers(len(self.scene.shapes)))]

    def radius(self, scale: float = 1.0) -> float:
        """Return half the size of the actor, in units of the frame's shorter side."""
        return scale * self.rng.uniform(0.25 - 0.07 * self.difficulty, 0.28)

    def spot(self, margin: float) -> tuple[float, float]:
        """Return a place in the frame at least `margin` (0..0.5) from its edges."""
        x, y = self.rng.uniform(margin, 1 - margin, size=2)
        return float(x), float(y)

    def tilt(self) -> float:
        """Return a small rotation for a thing that does not turn, in radians."""
        return float(self.rng.uniform(-0.3, 0.3))

    def put(self, frames: Floats, shape: str, pose: Pose, opacity: npt.ArrayLike = 1.0) -> None:
        """Lay a shape in one of the scene's colours over frames; opacity is a number or (T,)."""
        cover = cover_of(shape, pose, self.size)
        cover *= np.asarray(opacity, dtype=np.float32).reshape(-1, 1, 1)
        paint(frames, cover, self.shade())


def _move_right(stage: Stage, frames: Floats) -> None:
    radius = stage.radius()
    _, height, width = stage.size
    # Beyond the edges by its own radius: it leaves whole before it comes in again.
    reach = radius * min(height, width) / width
    x = stage.cycle(0.35, 0.7) * (1 + 2 * reach) - reach
    stage.put(frames, stage.shape(), Pose(x, stage.rng.uniform(0.3, 0.7), radius, stage.tilt()))


def _grow(stage: Stage, frames: Floats) -> None:
    largest = stage.radius(1.7)
    radius = largest * 0.22 ** (1 - stage.cycle(0.3, 0.6))
    stage.put(frames, stage.shape(), Pose(*stage.spot(0.38), radius, stage.tilt()))


def _appear(stage: Stage, frames: Floats) -> None:
    pose = Pose(*stage.spot(0.3), stage.radius(1.2), stage.tilt())
    stage.put(frames, stage.shape(), pose, stage.cycle(0.3, 0.6))


def _open(stage: Stage, frames: Floats) -> None:
    """Two panels slide apart from the middle of a box and show what is in it."""
    x, y = stage.spot(0.42)
    quarter_turns = int(stage.rng.integers(2))
    radius = stage.radius(1.35)
    u, v = local_axes(Pose(x, y, radius, quarter_turns * np.pi / 2), stage.size)
    box = np.maximum(np.abs(u), np.abs(v)) < 1
    paint(frames, box.astype(np.float32), stage.scene.ground_tint)
    stage.put(frames, stage.shape(), Pose(x, y, radius * 0.6))
    edge = np.abs(u) - stage.cycle(0.3, 0.6)[:, None, None]
    panel = np.asarray(stage.shade(), dtype=np.float32)
    # Soft by a pixel: hard edges would stand still for some frames and then jump.
    soft_edge = np.clip(edge * np.float32(radius * min(stage.size[1:])) + 0.5, 0, 1)
    paint(frames, box * soft_edge, panel)
    # Rims and a plank travel with the panels, so that closed doors still look like doors.
    lines = box & ((np.abs(edge - 0.04) < 0.05) | (np.abs(edge - 0.55) < 0.07))
    paint(
        frames, lines.astype(np.float32), panel * 0.4 if panel.mean() > 0.4 else panel * 0.4 + 0.6
    )


def _rotate_clockwise(stage: Stage, frames: Floats) -> None:
    shapes = stage.scene.turning_shapes
    shape = shapes[int(stage.rng.integers(len(shapes)))]
    angle = 2 * np.pi * stage.cycle(0.25, 0.5)
    stage.put(frames, shape, Pose(*stage.spot(0.35), stage.radius(1.4), angle))


def _approach(stage: Stage, frames: Floats) -> None:
    """One shape goes to a landmark that stays, from any side, and starts again far away."""
    turn = stage.rng.uniform(0, 2 * np.pi)
    along = np.array([np.cos(turn), np.sin(turn)])
    landmark = np.array(stage.spot(0.46)) - 0.26 * along
    far = 0.62 * (1 - stage.cycle(0.3, 0.6))
    x, y = landmark[:, None] + along[:, None] * far
    stage.put(frames, stage.scene.landmark, Pose(landmark[0], landmark[1], stage.radius(0.85)))
    stage.put(frames, stage.shape(), Pose(x, y, stage.radius(0.6), stage.tilt()))


def _sway(shape: str) -> Callable[[Stage, Floats], None]:
    """Return how a shape swings about a place: a cosine of random phase, the same backwards."""

    def draw(stage: Stage, frames: Floats) -> None:
        x, y = stage.spot(0.36)
        turn = stage.rng.uniform(0, 2 * np.pi)
        swing = 0.1 * np.cos(2 * np.pi * stage.cycle(0.3, 0.6))
        pose = Pose(
            x + np.cos(turn) * swing, y + np.sin(turn) * swing, stage.radius(1.2), stage.tilt()
        )
        stage.put(frames, shape, pose)

    return draw


PROCESSES: dict[str, Callable[[Stage, Floats], None]] = {
    "move_right": _move_right,
    "grow": _grow,
    "appear": _appear,
    "open": _open,
    "rotate_clockwise": _rotate_clockwise,
    "approach": _approach,
    **{name: _sway(name.removeprefix("sway_")) for name in APPEARANCES},
}
BACKWARDS: dict[str, str] = {
    "move_left": "move_right",
    "shrink": "grow",
    "vanish": "appear",
    "close": "open",
    "rotate_anticlockwise": "rotate_clockwise",
    "leave": "approach",
}


def draw_frames(action: str, stage: Stage) -> npt.NDArray[np.uint8]:
    """Return the frames of one video, (T, H, W, 3) uint8 RGB.

    Args:
        action: One of ACTIONS or APPEARANCES.
        stage: Size, time, scene and luck. It does not know which member of the pair it stages.
    """
    frames = lay_ground(stage.scene, *drift(stage), stage.size)
    _put_distractors(stage, frames)
    PROCESSES[BACKWARDS.get(action, action)](stage, frames)
    frames *= 255
    add_noise(stage, frames)
    pixels = np.clip(frames, 0, 255, out=frames).astype(np.uint8)
    # The member is decided last, so that nothing else can depend on it.
    return pixels[::-1].copy() if action in BACKWARDS else pixels


def drift(stage: Stage) -> tuple[Floats, Floats]:
    """Draw the background's way: any direction as likely as its opposite, from any place."""
    turn = stage.rng.uniform(0, 2 * np.pi)
    speed = stage.rng.uniform(0, 0.03 + 0.15 * stage.difficulty)
    start = stage.rng.uniform(size=2)
    way = speed * np.array([np.cos(turn), np.sin(turn)])
    x, y = (start[:, None] + way[:, None] * stage.seconds).astype(np.float32)
    return x, y


def _put_distractors(stage: Stage, frames: Floats) -> None:
    """Scatter small shapes that stay, or drift slowly in directions that mean nothing."""
    count = int(stage.rng.integers(round(4 * stage.difficulty) + 1))
    for _ in range(count):
        turn = stage.rng.uniform(0, 2 * np.pi)
        speed = stage.rng.choice([0.0, 0.15]) * stage.rng.uniform(0.5, 1.5)
        start = stage.rng.uniform(size=2)
        x = (start[0] + speed * np.cos(turn) * stage.seconds) % 1.0 * 1.2 - 0.1
        y = (start[1] + speed * np.sin(turn) * stage.seconds) % 1.0 * 1.2 - 0.1
        pose = Pose(x, y, stage.rng.uniform(0.05, 0.08), stage.rng.uniform(0, 6.28))
        stage.put(frames, stage.shape(), pose)


def add_noise(stage: Stage, frames: Floats) -> None:
    """Add noise, 0..255 scale, drawn anew for each frame."""
    amount = np.float32(stage.rng.uniform(0.3, 1.0) * (3 + 24 * stage.difficulty))
    noise = stage.rng.random(frames.shape, dtype=np.float32)
    noise -= np.float32(0.5)
    noise *= amount
    frames += noise
